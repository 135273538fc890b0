"""Several processes that do the same work at the same time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from tests.places import Place

PROCESSES = 4
_SPAWN = multiprocessing.get_context("spawn")


def run_together(work: Callable[[Any, int, Any], Any], place: Place) -> list[Any]:
    """Return what each process makes of a place, its number and a barrier for all of them.

    A process that dies fails the test; a pool of multiprocessing would wait for its answer forever.
    """
    with _SPAWN.Manager() as manager, ProcessPoolExecutor(PROCESSES, mp_context=_SPAWN) as pool:
        barrier = manager.Barrier(PROCESSES)
        jobs = [pool.submit(work, place, number, barrier) for number in range(PROCESSES)]
        return [job.result() for job in jobs]
