"""Reference: lots first in, first out, beside the average-cost method; splits; what each item realized."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact
from fractions import Fraction

from tests.reference.items import NOTHING, Item, ratio, split_price, worth

DIGITS = Context(prec=34, traps=[Inexact])


@dataclass
class Totals:
    """A position at the end of its items.

    `lots` are open quantities with their prices, None if none was stated; `average_total` is the cost of the priced
    ones by average cost. With `inverse` a price counts for -1 ÷ price. `realized` has an entry for each item. The item
    at `opened` was the last to open the position, or to reverse it. `went` has 1 if a purchase led above zero, -1 if a
    sale led below.
    """

    quantity: Fraction = NOTHING
    lots: list[tuple[Fraction, Fraction | None]] = field(default_factory=list)
    average_total: Fraction = NOTHING
    realized: list[tuple[Item, Fraction, Fraction]] = field(default_factory=list)
    opened: int = 0
    inexact: bool = False
    unpriced: bool = False
    went: set[int] = field(default_factory=set)
    inverse: bool = False

    @property
    def cost(self) -> Fraction:
        values = [(quantity, worth(price, inverse=self.inverse)) for quantity, price in self.lots]
        return sum((quantity * value for quantity, value in values if value is not None), NOTHING)

    @property
    def priced(self) -> Fraction:
        return sum((quantity for quantity, price in self.lots if price is not None), NOTHING)

    def average(self, cost: Fraction) -> Fraction:
        """Return the average price at which the priced lots cost so much: the harmonic mean of an inverse contract."""
        return -self.priced / cost if self.inverse else cost / self.priced

    def points(self) -> tuple[Fraction, Fraction]:
        """Return what all items realized, by FIFO and by average cost."""
        return sum((first for _, first, _ in self.realized), NOTHING), sum(
            (last for *_, last in self.realized), NOTHING
        )


def fold(items: list[Item]) -> Totals:
    """Return a position after its items, one after the other."""
    held = Totals()
    for index, item in enumerate(items):
        if item.quantity and item.kind not in {"REPRICE", "BROUGHT"}:
            _pay_by(held, inverse=item.inverse)
        before, first, average = held.quantity, NOTHING, NOTHING
        lacking = abs(held.quantity - held.priced)
        if item.kind == "SPLIT":
            _scale(held, ratio(items, index))
        elif item.kind == "REPRICE":
            first = average = item.quantity * (item.price or NOTHING)
        elif item.quantity:
            first, average = _change(held, item)
            held.inexact |= not _fits(held.quantity)
            held.went |= {sign for sign in (1, -1) if held.quantity * sign > 0 and item.quantity * sign > 0}
            # What was opened without a price realizes nothing, which may be wrong.
            held.unpriced |= item.is_unpriced or (item.value is None and item.price is not None)
            held.unpriced |= item.value is None and abs(held.quantity - held.priced) > lacking
        held.realized.append((item, first, average))
        if held.quantity and before * held.quantity <= 0:
            held.opened = index
    return held


def _change(held: Totals, item: Item) -> tuple[Fraction, Fraction]:
    """Close the oldest lots of the other side, open the rest; return what that realized. Without a price: nothing."""
    value, left = item.value, item.quantity
    by_average = value if item.average_price is None else worth(item.average_price, inverse=held.inverse)
    first = average = NOTHING
    pool, pool_cost = held.priced, held.average_total
    while left and held.lots and held.lots[0][0] * left < 0:
        size, opened_at = held.lots.pop(0)
        part = size if abs(size) <= abs(left) else -left  # signed like the lot
        left += part
        if size != part:
            held.lots.insert(0, (size - part, opened_at))
        paid = worth(opened_at, inverse=held.inverse)
        if paid is not None:
            held.average_total -= pool_cost * part / pool
            if value is not None and by_average is not None:
                first += part * (value - paid)
                average += part * by_average - pool_cost * part / pool
    if left:
        _open(held, item, left, by_average)
    held.quantity += item.quantity
    return first, average


def _open(held: Totals, item: Item, quantity: Fraction, by_average: Fraction | None) -> None:
    price = item.price if item.value is not None else None
    if by_average is not None:
        held.average_total += quantity * by_average
    elif held.priced:
        # An addition without a price costs the average, so that the averages stay.
        price = held.average(held.cost)
        held.average_total += quantity * held.average_total / held.priced
    held.lots.append((quantity, price))


def _scale(held: Totals, by: Fraction) -> None:
    held.quantity *= by
    held.lots = [(quantity * by, split_price(price, by, inverse=held.inverse)) for quantity, price in held.lots]


def _pay_by(held: Totals, *, inverse: bool) -> None:
    """Let prices count by another payoff; a lot whose price then has no value has none."""
    if held.inverse is not inverse:
        average = held.average(held.average_total) if held.priced else None
        held.inverse, before = inverse, held.priced
        held.lots = [(quantity, price if worth(price, inverse=inverse) else None) for quantity, price in held.lots]
        value = worth(average, inverse=inverse)
        held.average_total = held.cost if value is None or held.priced != before else held.priced * value


def _fits(quantity: Fraction) -> bool:
    try:
        DIGITS.divide(Decimal(quantity.numerator), Decimal(quantity.denominator))
    except Inexact:
        return False
    return True
