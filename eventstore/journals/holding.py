"""How long a rotation keeps those waiting who append to the log that it ends."""

from __future__ import annotations

import time

from eventstore.errors import Overloaded

HELD_SECONDS = 2.0
"""Shorter than any journal lets an append wait for others, before it fails."""


class HoldLimit:
    """Since when others wait for a rotation of the log in a `place`: none do until `begin`."""

    def __init__(self, place: object) -> None:
        self._place = place
        self._until: float | None = None

    def begin(self) -> None:
        """Take note that others wait from now on."""
        self._until = time.monotonic() + HELD_SECONDS

    def check(self) -> None:
        """Raise Overloaded where others have waited for long enough."""
        if self._until is not None and time.monotonic() > self._until:
            msg = (
                f"to carry the state of {self._place} on takes more than the {HELD_SECONDS:g} s for which others who "
                "append may be kept waiting: nothing was changed, stop them"
            )
            raise Overloaded(msg)
