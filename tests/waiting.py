"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable

WAIT_SECONDS = 90.0
"""More than it takes on a machine on which others use every core."""


def until(condition: Callable[[], object], what: object = "", seconds: float = WAIT_SECONDS) -> float:
    """Wait until a condition is true and return how many seconds that took; fail with `what` if it is not in time."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what or condition}"
        time.sleep(0.005)
    return time.monotonic() - began
