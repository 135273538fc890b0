"""Reference: two positions that turn out to be of one contract, as one. What is fixed of either stays as it was."""

from __future__ import annotations

from dataclasses import replace

from tests.reference.items import NOTHING, Item
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
    held = sorted((each for each in both if base(each).lots), key=lambda each: each.fixed)
    front = held[0].items[: held[0].start] if held else []
    gone = [(each, each.items[: each.start]) for each in both if each.start and each not in held[:1]]
    older += [items for _, items in gone]
    front += [brought(max(each.fixed for each in both), items) for _, items in gone if not fold(items).lots]
    window = sorted((item for each in both for item in each.items[each.start :]), key=_order)
    window[:0] = [lot for each, items in gone if each in held for lot in carried(each, items)]
    return replace(position, items=front + window, start=len(front), older=older, marked=marked)


def base(position: Position) -> Totals:
    """Return what a position was before its window."""
    return fold(position.items[: position.start])


def brought(place: tuple[int, int], items: list[Item]) -> Item:
    """Return an item for what a flat position's fixed items leave to count for its next round trip."""
    at, log = place
    return Item("BROUGHT", log, at, [(at, NOTHING, NOTHING)], place=place, older=items)


def carried(position: Position, items: list[Item]) -> list[Item]:
    """Return the lots that were open before the window, as items with the place and time of the last fixed one."""
    totals, last, (at, log) = fold(items), items[-1], position.fixed
    average = totals.average_total / totals.priced if totals.priced else None
    return [
        Item(
            "CARRIED",
            log,
            at,
            [(at, quantity, price)],
            terms=last.terms,
            place=(at, log),
            average_price=None if price is None else average,
            older=items,
        )
        for quantity, price in totals.lots
    ]


def _order(item: Item) -> tuple[int, int]:
    # Lots that were carried earlier stay first.
    return (-1, 0) if item.kind == "CARRIED" else item.place
