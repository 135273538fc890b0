"""How fast virtual time passes in real time, and the pause of a replay."""

from __future__ import annotations

import threading
import time

from eventstore import InvalidEvent
from eventstore.clock import NANOSECONDS
from eventstore.errors import shown

SLICE_SECONDS = 0.1


class PausedError(Exception):
    """Somebody paused while the next record was waited for."""


class ReplayPace:
    """Waits until an instant of virtual time has come, at a speed that may change meanwhile."""

    def __init__(self, speed: float) -> None:
        self._pause = threading.Event()
        self.set_speed(speed)

    @property
    def speed(self) -> float:
        """How much faster than real time; 0 waits for nothing."""
        return self._speed

    def set_speed(self, speed: object) -> None:
        """Continue at another speed; raise InvalidEvent for what is not one."""
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0 <= speed < float("inf"):
            msg = f"speed is a number, 0 for as fast as possible, 1 for real time, not {shown(speed)}"
            raise InvalidEvent(msg)
        self._speed = float(speed)
        self._anchor: tuple[float, int] | None = None

    @property
    def is_paused(self) -> bool:
        """Whether `pause` was called since the last `resume`."""
        return self._pause.is_set()

    def pause(self) -> None:
        """End every wait, now and from now on."""
        self._pause.set()

    def resume(self) -> None:
        """Begin again: time passes from here on."""
        self._pause.clear()
        self._anchor = None

    def wait(self, now: int, instant: int) -> None:
        """Wait until an instant has come, if it is `now` in virtual time; raise PausedError if somebody pauses."""
        while self._speed:
            began, began_at = self._anchor = self._anchor or (time.monotonic(), now)
            left = began + (instant - began_at) / NANOSECONDS / self._speed - time.monotonic()
            if left <= 0:
                return
            # In slices: a pause, and another speed, count at once.
            if self._pause.wait(min(left, SLICE_SECONDS)):
                raise PausedError
