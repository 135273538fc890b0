"""Reference: two positions that turn out to be of one contract, as one. What is fixed of either stays as it was."""

from __future__ import annotations

from dataclasses import replace

from tests.reference.items import Item
from tests.reference.lots import Totals, fold
from tests.reference.sequence import Position


def joined(position: Position, other: Position, log: int) -> Position:
    """Return both as one: their windows are folded together, from what the older one was before its window.

    If both had lots then, those of the other one are carried: they come first in the window.
    """
    both = (position, other)
    older, marked = position.older + other.older, position.marked + other.marked
    if all(each.items[each.start :] or base(each).lots for each in both):
        marked.append(("MERGED", log))
    held = sorted((each for each in both if base(each).lots), key=lambda each: each.items[each.start - 1].place)
    front = held[0].items[: held[0].start] if held else []
    older += [each.items[: each.start] for each in both if each.start and each not in held[:1]]
    window = sorted((item for each in both for item in each.items[each.start :]), key=lambda item: item.place)
    window[:0] = [lot for each in held[1:] for lot in carried(each)]
    return replace(position, items=front + window, start=len(front), older=older, marked=marked)


def base(position: Position) -> Totals:
    """Return what a position was before its window."""
    return fold(position.items[: position.start])


def carried(position: Position) -> list[Item]:
    """Return the lots that were open before the window, as items with the place and time of the last fixed one."""
    totals, last = base(position), position.items[position.start - 1]
    average = totals.average_total / totals.priced if totals.priced else None
    return [
        Item(
            "CARRIED",
            last.log,
            last.at,
            [(last.at, quantity, price)],
            terms=last.terms,
            place=last.place,
            average_price=None if price is None else average,
        )
        for quantity, price in totals.lots
    ]
