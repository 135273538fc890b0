"""Reference: two positions that turn out to be of one contract, as one."""

from __future__ import annotations

from dataclasses import replace

from tests.reference.lots import fold
from tests.reference.sequence import Position


def joined(position: Position, other: Position) -> Position:
    """Return both as one: windows since flat are folded together, what is older stays as it was."""
    older, marked = position.older + other.older, position.marked + other.marked
    one = replace(position, items=[], start=0, marked=marked, older=older)
    for each in (position, other):
        # A reversal begins a window, too: what is open before it belongs to what is folded together.
        start = next(number for number in range(each.start, -1, -1) if not fold(each.items[:number]).quantity)
        one.older += [each.items[:start]] if start else []
        one.items += each.items[start:]
    if one.older and position.items and other.items:
        one.marked.append(("MERGED", max(item.log for item in one.items)))
    one.items.sort(key=lambda item: item.place)
    return one
