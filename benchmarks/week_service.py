"""The service of the simulated week: what `eventstore serve` runs, at the week's time."""

from __future__ import annotations

import contextlib
import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.week_setting import WeekClock
from gateways.http import open_service
from gateways.http.loops import run
from gateways.http.serving import LOOPBACK, bound, serve

if TYPE_CHECKING:
    import socket


async def _main(directory: str, time: str) -> None:
    with contextlib.closing(bound(LOOPBACK, 0)) as listening:
        async with open_service(directory, clock=WeekClock(Path(time))) as service:
            await serve(service, listening, functools.partial(_ready, listening))


def _ready(listening: socket.socket) -> None:
    print(listening.getsockname()[1], flush=True)


if __name__ == "__main__":
    run(_main(*sys.argv[1:]))
