"""Backoff: pauses between attempts that double up to a limit, with jitter where many clients retry one server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

# Far past any limit, and small enough for a float.
DOUBLINGS_MAX = 30


class Backoff:
    """The pauses of one series of attempts: `first` seconds, then twice as long each time, `longest` at most.

    With `jitter` a pause is drawn evenly from `shortest` to that length ("full jitter"), so that clients that failed
    together do not all retry at the same moment.
    """

    def __init__(
        self, first: float, longest: float, *, shortest: float = 0.0, jitter: random.Random | None = None
    ) -> None:
        self.failures = 0
        self._first, self._longest, self._shortest, self._jitter = first, longest, shortest, jitter

    def next(self) -> float:
        """Count a failure; return how many seconds to pause before the next attempt."""
        seconds = min(self._first * 2 ** min(self.failures, DOUBLINGS_MAX), self._longest)
        self.failures += 1
        return seconds if self._jitter is None else self._jitter.uniform(self._shortest, seconds)

    def reset(self) -> None:
        """Begin again with the shortest pause: an attempt succeeded."""
        self.failures = 0
