"""Calls that may hang, made in a thread of their own and given up after a bounded time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SECONDS_MAX = 10.0


def in_time(call: Callable[[], T], seconds: float = SECONDS_MAX) -> T:
    """Return what a call returns or raise what it raises; raise AssertionError when it has not ended in time."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the thread that asked
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    assert not thread.is_alive(), f"the call has not ended within {seconds} s"
    return results[0]
