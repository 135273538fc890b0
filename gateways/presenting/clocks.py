"""Whether a clock that was checked needs attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.clock import NANOSECONDS

if TYPE_CHECKING:
    from eventstore.trading import ClockChecked


def is_off(check: ClockChecked) -> bool:
    """Return whether a clock is off by a second or more, or not known to be right."""
    return check.offset_ns is None or abs(check.offset_ns) + (check.error_ns or 0) >= NANOSECONDS
