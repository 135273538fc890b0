"""The visible book of one symbol, level by level, rebuilt from the messages of its orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

BUY, SELL = "BUY", "SELL"
EMPTY = 9_999_999_999
"""What LOBSTER writes as the price of a level that is not there, below zero for bids."""

Level = tuple[int, int]
"""A price and a size; prices of bids are negative here, so that the best one is always the lowest."""


class BookSide:
    """One side's levels that are in view. LOBSTER has no messages for what lies below the tenth."""

    def __init__(self, levels: Sequence[Level]) -> None:
        self._levels = dict(levels)
        self._last = levels[-1][0] if levels else -EMPTY
        self.taken = 0

    def change(self, price: int, by: int) -> None:
        """Change a level by what an order adds or takes."""
        size = self._levels.pop(price, 0) + by
        if size > 0:
            self._levels[price] = size

    def differs(self, levels: Sequence[Level]) -> bool:
        """Return whether these are not the best levels; what comes into view from below is taken as it is given."""
        after = dict(levels)
        for price in after.keys() - self._levels.keys():
            if price <= self._last:
                return True
            self._levels[price] = after[price]
            self.taken += 1
        last = levels[-1][0] if levels else -EMPTY
        self._levels = {price: size for price, size in self._levels.items() if price <= last}
        self._last = last
        return self._levels != after


def levels_of(cells: Sequence[int]) -> dict[str, list[Level]]:
    """Return the levels of a line of LOBSTER's book: ask price, ask size, bid price, bid size, level by level."""
    asks = [(price, size) for price, size in zip(cells[0::4], cells[1::4], strict=True) if abs(price) != EMPTY]
    bids = [(-price, size) for price, size in zip(cells[2::4], cells[3::4], strict=True) if abs(price) != EMPTY]
    return {SELL: asks, BUY: bids}


def compared(messages: Iterator[tuple[str, int, int]], books: Iterator[Sequence[int]]) -> Counter[str]:
    """Return how many books after a message are right and wrong, and how many levels came into view.

    A message is a side, a price, and by how much it changes what may be executed there; the first one's book is where
    the comparison begins.
    """
    next(messages)
    sides = {side: BookSide(levels) for side, levels in levels_of(next(books)).items()}
    found: Counter[str] = Counter()
    for (side, price, by), cells in zip(messages, books, strict=True):
        if by:
            sides[side].change(-price if side == BUY else price, by)
        after = levels_of(cells)
        found["wrong" if any(sides[each].differs(after[each]) for each in (SELL, BUY)) else "right"] += 1
    found["taken"] = sum(side.taken for side in sides.values())
    return found
