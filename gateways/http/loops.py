"""The event loop of the service: uvloop's, which sends an answer in one call, where it is installed."""

from __future__ import annotations

import asyncio
import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def run(program: Coroutine[Any, Any, None]) -> None:
    """Run a program to its end, as `asyncio.run` does, on the faster loop."""
    with asyncio.Runner(loop_factory=_new_loop()) as runner:
        runner.run(program)


def _new_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    # Windows has none.
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop
