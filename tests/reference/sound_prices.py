"""Reference: which values are a price at all, before they are compared with others."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

PAIR = ("bid", "ask")
GROUPS: tuple[tuple[str, ...], ...] = (PAIR, ("last",), ("mark",))
Span = tuple[Fraction, Fraction]


def sound(group: tuple[str, ...], values: dict[str, Any], tick: Fraction | None, *, negative: bool) -> Span | None:
    """Return the lowest and highest of a group's values, None where they are not a price."""
    found = [values[kind][0] for kind in group if kind in values]
    if len(found) < len(group) or (min(found) <= 0 and not negative):
        return None
    if group == PAIR:
        is_wide = tick is not None and found[1] - found[0] > 20 * tick
        if found[0] > found[1] or is_wide or (found[0] == found[1] and found[0] in {0, -1}):
            return None
    return found[0], found[-1]
