"""Several processes that do the same work at the same time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

PROCESSES = 4
_SPAWN = multiprocessing.get_context("spawn")


def run_together(work: Callable[[Path, int, Any], Any], directory: Path) -> list[Any]:
    """Return what each process makes of a directory, its number and a barrier for all of them.

    A process that dies fails the test; a pool of multiprocessing would wait for its answer forever.
    """
    with _SPAWN.Manager() as manager, ProcessPoolExecutor(PROCESSES, mp_context=_SPAWN) as pool:
        barrier = manager.Barrier(PROCESSES)
        jobs = [pool.submit(work, directory, number, barrier) for number in range(PROCESSES)]
        return [job.result() for job in jobs]
