"""Reference: the items that a position is made of, with the figures each has had, and by how much splits scale them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from tests.reference.facts import Fact
from tests.reference.trades import Execution, Fee

NOTHING = Fraction(0)


@dataclass(eq=False)
class Item:
    """One change of a position: a FILL, a SPLIT, or another adjustment by its reason.

    What changes a trade that is fixed is OPPOSITE (a quantity) or REPRICE (a price). Of a position that has merged, and
    its `older` items, a lot is CARRIED, with its price by average cost; BROUGHT is what those leave to count for the
    next round trip. `history` are the figures (since, quantity, price), the last in force. A split that is fixed keeps
    its ratio. `terms` is the contract's definition when the item was recorded, or the first one after that. `scale` is
    by how much splits multiplied the figures until its place; `reconciled` is the reconciliation that stood for it;
    `is_of_twin`: it changes an execution that turned out to be another one. Quantities are net of what fees have taken
    from the coin bought.
    """

    kind: str
    log: int
    at: int
    history: list[tuple[int, Fraction, Fraction | None]]
    execution: Execution | None = None
    fees: list[Fee] = field(default_factory=list)
    terms: Fact | None = None
    place: tuple[int, int] = (0, 0)
    average_price: Fraction | None = None
    fixed_ratio: Fraction | None = None
    scale: Fraction = Fraction(1)
    reconciled: Item | None = None
    is_of_twin: bool = False
    older: list[Item] = field(default_factory=list)

    @property
    def inverse(self) -> bool:
        return self.terms is not None and self.terms.inverse

    @property
    def quantity(self) -> Fraction:
        return self.history[-1][1]

    @property
    def price(self) -> Fraction | None:
        return self.history[-1][2]

    @property
    def value(self) -> Fraction | None:
        """What its price counts for."""
        return worth(self.price, inverse=self.inverse)

    @property
    def is_unpriced(self) -> bool:
        """Return whether a price is missing that may still be stated."""
        return self.kind in {"RECONCILED", "EXPIRY"} and bool(self.quantity) and self.price is None

    def state(self, quantity: Fraction, price: Fraction | None) -> None:
        """Replace the figures, as if they had always been so."""
        self.history[-1] = (self.history[-1][0], quantity, price)

    def rescale(self, by: Fraction) -> None:
        """Bring the figures to the base of another place: splits have multiplied a quantity by so much until there."""
        more, self.scale = by / self.scale, by
        self.history = [
            (since, quantity * more, split_price(price, more, inverse=self.inverse))
            for since, quantity, price in self.history
        ]

    def lose(self, coin: Fraction) -> None:
        """Let a fee take more from the coin that it bought, as if it had always done so."""
        self.history = [
            (since, quantity - coin if quantity > 0 else quantity, price) for since, quantity, price in self.history
        ]

    def known_at(self, at: int) -> Fraction:
        """Return the quantity as the venue had it at an instant: before any later bust or correction."""
        return next((quantity for since, quantity, _ in reversed(self.history[1:]) if since <= at), self.history[0][1])


def ratio(items: list[Item], index: int) -> Fraction:
    """Return the ratio of a split: of the quantity that the venue held at its time, late reports included.

    A split of nothing, or one through flat, is impossible: 1.
    """
    split, base = items[index], NOTHING
    if split.fixed_ratio is not None:
        return split.fixed_ratio
    for number, item in enumerate(items[:index]):
        if item.kind == "SPLIT":
            base *= ratio(items, number)
        elif item.kind != "REPRICE":
            base += item.known_at(split.at)
    after = base + split.quantity
    return after / base if base * after > 0 else Fraction(1)


def fix(items: list[Item]) -> None:
    """Fix items for good, with the figures in force: nothing tells any more what they were before."""
    for index, item in enumerate(items):
        if item.kind == "SPLIT":
            item.fixed_ratio = ratio(items, index)
    for item in items:
        item.history = item.history[-1:]


def scale(items: list[Item], place: tuple[int, int], until: int | None = None) -> Fraction:
    """Return by how much the splits after a place have multiplied a quantity."""
    product = Fraction(1)
    for index, item in enumerate(items[:until]):
        if item.kind == "SPLIT" and item.place > place:
            product *= ratio(items, index)
    return product


def fractions(
    figures: tuple[Decimal, Decimal], by: Fraction = Fraction(1), *, inverse: bool = False
) -> tuple[Fraction, Fraction]:
    """Return a quantity and a price as exact numbers, on the base of a later time."""
    price = Fraction(figures[1])
    return Fraction(figures[0]) * by, price * by if inverse else price / by


def worth(price: Fraction | None, *, inverse: bool) -> Fraction | None:
    """Return what a price counts for: of an inverse contract -1 ÷ price, which is nothing known at zero or below."""
    if price is None or not inverse:
        return price
    return -1 / price if price > 0 else None


def split_price(price: Fraction | None, by: Fraction, *, inverse: bool) -> Fraction | None:
    """Return a price after a split that multiplies quantities: what was paid stays."""
    if price is None:
        return None
    return price * by if inverse else price / by
