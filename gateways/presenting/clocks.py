"""How far a clock was off, as a sentence, and whether that needs attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.clock import NANOSECONDS

if TYPE_CHECKING:
    from eventstore.trading import ClockChecked

_MS = NANOSECONDS // 1_000


def clock_sentence(check: ClockChecked) -> str:
    """Return how far the clock is ahead or behind, of what, and how exactly that is known."""
    if check.offset_ns is None:
        return f"how far the clock is off is not known: {check.why or f'{check.source} does not say'}"
    side = "ahead of" if check.offset_ns >= 0 else "behind"
    error = "" if check.error_ns is None else f", give or take {check.error_ns / _MS:,.3f} ms"
    return f"the clock is {abs(check.offset_ns) / _MS:,.3f} ms {side} {check.source}{error}"


def is_off(check: ClockChecked) -> bool:
    """Return whether a clock is off by a second or more, or not known to be right."""
    return check.offset_ns is None or abs(check.offset_ns) + (check.error_ns or 0) >= NANOSECONDS
