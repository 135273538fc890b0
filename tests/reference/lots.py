"""Reference: lots first in, first out, beside the average-cost method; splits; what each item realized."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact
from fractions import Fraction

from tests.reference.items import NOTHING, Item, ratio

DIGITS = Context(prec=34, traps=[Inexact])


@dataclass
class Totals:
    """A position at the end of its items.

    `lots` are open quantities with their prices, None if none was stated; `average_total` is the cost of the priced
    ones by average cost. `realized` has an entry for each item. The item at `opened` was the last to open the position,
    or to reverse it. `went` has 1 if a purchase led above zero, -1 if a sale led below.
    """

    quantity: Fraction = NOTHING
    lots: list[tuple[Fraction, Fraction | None]] = field(default_factory=list)
    average_total: Fraction = NOTHING
    realized: list[tuple[Item, Fraction, Fraction]] = field(default_factory=list)
    opened: int = 0
    inexact: bool = False
    unpriced: bool = False
    went: set[int] = field(default_factory=set)

    @property
    def cost(self) -> Fraction:
        return sum((quantity * price for quantity, price in self.lots if price is not None), NOTHING)

    @property
    def priced(self) -> Fraction:
        return sum((quantity for quantity, price in self.lots if price is not None), NOTHING)

    def points(self) -> tuple[Fraction, Fraction]:
        """Return what all items realized, by FIFO and by average cost."""
        return sum((first for _, first, _ in self.realized), NOTHING), sum(
            (last for *_, last in self.realized), NOTHING
        )


def fold(items: list[Item]) -> Totals:
    """Return a position after its items, one after the other."""
    held = Totals()
    for index, item in enumerate(items):
        before, first, average = held.quantity, NOTHING, NOTHING
        lacking = abs(held.quantity - held.priced)
        if item.kind == "SPLIT":
            _scale(held, ratio(items, index))
        elif item.kind == "REPRICE":
            first = average = item.quantity * (item.price or NOTHING)
        elif item.quantity:
            first, average = _change(held, item.quantity, item.price, item.average_price)
            held.inexact |= not _fits(held.quantity)
            held.went |= {sign for sign in (1, -1) if held.quantity * sign > 0 and item.quantity * sign > 0}
            # What was opened without a price realizes nothing, which may be wrong.
            held.unpriced |= item.is_unpriced or (item.price is None and abs(held.quantity - held.priced) > lacking)
        held.realized.append((item, first, average))
        if held.quantity and before * held.quantity <= 0:
            held.opened = index
    return held


def _change(
    held: Totals, quantity: Fraction, price: Fraction | None, average_price: Fraction | None
) -> tuple[Fraction, Fraction]:
    """Close the oldest lots of the other side, open the rest; return what that realized. Without a price: nothing."""
    by_average = price if average_price is None else average_price
    first = average = NOTHING
    left, pool, pool_cost = quantity, held.priced, held.average_total
    while left and held.lots and held.lots[0][0] * left < 0:
        size, opened_at = held.lots.pop(0)
        part = size if abs(size) <= abs(left) else -left  # signed like the lot
        left += part
        if size != part:
            held.lots.insert(0, (size - part, opened_at))
        if opened_at is not None:
            held.average_total -= pool_cost * part / pool
            if price is not None and by_average is not None:
                first += part * (price - opened_at)
                average += part * by_average - pool_cost * part / pool
    if left and by_average is not None:
        held.average_total += left * by_average
    elif left and held.priced:
        # An addition without a price costs the average, so that the averages stay.
        price = held.cost / held.priced
        held.average_total += left * held.average_total / held.priced
    if left:
        held.lots.append((left, price))
    held.quantity += quantity
    return first, average


def _scale(held: Totals, by: Fraction) -> None:
    held.quantity *= by
    held.lots = [(quantity * by, None if price is None else price / by) for quantity, price in held.lots]


def _fits(quantity: Fraction) -> bool:
    try:
        DIGITS.divide(Decimal(quantity.numerator), Decimal(quantity.denominator))
    except Inexact:
        return False
    return True
