"""Reference: the items of one position in the order in which they happened, and what a late report does to them.

Items before `start` are fixed: what concerns them and is reported later becomes an item of its own at the end, on its
own day. The window begins at the item that opened or reversed the position, or earlier if a reconciliation holds it.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod

from tests.reference.facts import Fact, day_of
from tests.reference.items import Item, fix, fractions, ratio, scale, split_price
from tests.reference.lots import Totals, fold
from tests.reference.trades import Execution, state_terms

WINDOW_MAX = 10_000
RECONCILED_MAX = 1_000
Figures = tuple[Fraction, Fraction]


@dataclass
class Position:
    """A contract, under any of its names: NET, LONG or SHORT. `older` are fixed items of positions that have merged."""

    side: str = "NET"
    items: list[Item] = field(default_factory=list)
    start: int = 0
    older: list[list[Item]] = field(default_factory=list)
    marked: list[tuple[str, int]] = field(default_factory=list)
    terms: Fact | None = None
    window_max: int = WINDOW_MAX
    reconciled_max: int = RECONCILED_MAX

    def totals(self) -> Totals:
        return fold(self.items)

    @property
    def lists(self) -> list[list[Item]]:
        return [*self.older, self.items]

    @property
    def fixed(self) -> tuple[int, int]:
        """Return the place up to which everything is fixed."""
        return max((items[-1].place for items in (*self.older, self.items[: self.start]) if items), default=(0, 0))

    def entries(self) -> list[tuple[Item, Fraction, Fraction]]:
        """Return each item with what it realized, by FIFO and by average cost."""
        return [entry for items in self.lists for entry in fold(items).realized]

    def scale_since(self, place: tuple[int, int], until: int | None = None) -> Fraction:
        """Return by how much all splits after a place have multiplied a quantity, up to the item at an index."""
        return prod((scale(items, place) for items in self.older), start=scale(self.items, place, until))

    def item_of(self, execution: Execution) -> Item | None:
        return next(
            (item for items in self.lists for item in items if item.execution is execution and item.kind == "FILL"),
            None,
        )

    def is_open(self, item: Item) -> bool:
        """Return whether an item is within the window: not fixed."""
        return item in self.items[self.start :]

    def place(self, item: Item) -> None:
        """Put an item where it happened; at the end, marked LATE, if that was before the window."""
        item.place, item.terms = (item.at, item.log), item.terms or self.terms
        late = item.place < self.fixed
        is_change = item.kind not in {"RECONCILED", "SPLIT", "REPRICE"}
        gap = item.reconciled = self.reconciled(item.at, item.log) if is_change else None
        self.mark_instant(gap, item.at, item.log)
        if item.kind == "RECONCILED" and item.at > (self.items[-1].place if self.items else self.fixed)[0]:
            # What was open about the quantity is settled.
            self.marked = [each for each in self.marked if each[0] != "AT_RECONCILIATION"]
        index = bisect_right(self.items, item.place, key=lambda each: each.place)
        if late and gap is not None:
            # A reconciliation has already stood for it: it comes just before that, and nothing later changes.
            index = self.items.index(gap)
            item.rescale(self.scale_since(item.place, index))
            item.place = gap.place
        elif late:
            self.marked.append(("LATE", item.log))
            index = len(self.items)
            item.place = max([item.place, *(each.place for each in self.items[-1:])])
        self.items.insert(index, item)
        self.absorb(gap, item, item.quantity)
        opens = index == len(self.items) - 1 == self.totals().opened
        if opens and not any(self._holds(number) for number in range(self.start, index)):
            self.start = index
        if len(self.items) - self.start > self.window_max:
            self._fix_oldest()
        fix(self.items[: self.start])

    def _fix_oldest(self) -> None:
        first, self.start = self.start, self.start + self.window_max // 2
        if any(len(item.history) > 1 for item in self.items[first : self.start]):
            # What the venue held at the time of a split must not be forgotten before the split is fixed, too.
            splits = [index for index, item in enumerate(self.items) if item.kind == "SPLIT"]
            self.start = max([self.start, *(index + 1 for index in splits)])

    def take_out(self, item: Item) -> None:
        """Take an item out again, as if it had never been."""
        if item.reconciled is not None and self.is_open(item.reconciled):
            self.absorb(item.reconciled, item, -item.quantity)
        self.items.remove(item)

    def _holds(self, index: int) -> bool:
        """Return whether an item keeps the window open: its price, or the fill that it stands for, may still come."""
        item, following = self.items[index], len(self.items) - 1 - index
        is_recent = item.kind == "RECONCILED" and following < self.reconciled_max
        return item.is_unpriced or (is_recent and bool(item.quantity))

    def reconciled(self, at: int, log: int) -> Item | None:
        """Return the reconciliation, within the window, that stood for what happened before and is reported later."""
        window = self.items[self.start :]
        return next((each for each in window if each.kind == "RECONCILED" and each.at >= at and each.log < log), None)

    def absorb(self, reconciled: Item | None, item: Item, change: Fraction) -> None:
        """Take a change that a reconciliation stood for out of it: after it, the broker's quantity holds as before."""
        if reconciled is not None:
            between = range(self.items.index(item) + 1, self.items.index(reconciled))
            change *= prod(ratio(self.items, index) for index in between if self.items[index].kind == "SPLIT")
            # One that closes and opens has a record for each: each gives what it stands for, the first takes the rest.
            for part in self._parts(reconciled):
                if part.quantity * change > 0:
                    taken = min(part.quantity, change, key=abs)
                    part.state(part.quantity - taken, part.price)
                    change -= taken
            reconciled.state(reconciled.quantity - change, reconciled.price)

    def _parts(self, reconciled: Item) -> list[Item]:
        """Return the reconciliations of one instant that follow one another in the log, from a first one on."""
        parts = [reconciled]
        for item in self.items[self.items.index(reconciled) + 1 :]:
            if item.kind != "RECONCILED" or (item.at, item.log) != (parts[-1].at, parts[-1].log + 1):
                break
            parts.append(item)
        return parts

    def change(self, item: Item, fact: Fact, after: Figures) -> None:
        """Correct or bust an item within the window: as if it had been so from the start."""
        before, (quantity, price) = item.quantity, after
        item.history.append((fact.at, quantity * item.scale, split_price(price, item.scale, inverse=item.inverse)))
        gap = self.reconciled(fact.at, fact.log)
        self.mark_instant(gap, fact.at, fact.log)
        self.absorb(gap, item, item.quantity - before)

    def mark_instant(self, gap: Item | None, at: int, log: int) -> None:
        """Mark what happened at the very instant of the reconciliation that stands for it."""
        if gap is not None and gap.at == at:
            self.marked.append(("AT_RECONCILIATION", log))

    def moves(self, execution: Execution, days: list[Fact]) -> bool:
        """Return whether an execution counts for another day once its time is known, or earlier than others."""
        item = self.item_of(execution)
        assert item is not None
        if day_of(item.at, days) != day_of(execution.at, days):
            return True
        before = self.items[self.start : self.items.index(item)] if self.is_open(item) else []
        return any(each.place > (execution.at, execution.log) for each in before)

    def define(self, terms: Fact) -> None:
        """Take the terms for what is recorded from now on, and for what was recorded before there were any."""
        self.terms = terms
        for item in (item for items in self.lists for item in items):
            item.terms = item.terms or terms
            state_terms(item.fees, terms)

    def state_price(self, reason: str, price: Fraction | None) -> None:
        """State the price that reconciliations or expiries within the window lack."""
        for item in self.items[self.start :]:
            if item.kind == reason and item.is_unpriced:
                item.state(item.quantity, price)

    def move(self, execution: Execution, log: int, taken: Fraction = Fraction(0)) -> None:
        """Put an execution where it happened once its time is known; what it realized stays if it is fixed.

        `taken` is how much more a fee takes from the coin that it bought.
        """
        item = self.item_of(execution)
        if item is not None and item.at != execution.at and self.is_open(item):
            self.take_out(item)
            item.at = execution.at
            item.rescale(Fraction(1))
            item.lose(taken)
            self.place(item)
        elif item is not None and taken and self.is_open(item):
            item.lose(taken * item.scale)
            self.absorb(self.reconciled(item.at, log), item, -taken * item.scale)
        elif item is not None and taken:
            by = item.scale * self.scale_since(item.place)
            lost, price = fractions((execution.quantity, execution.price), by)
            lost *= taken / Fraction(execution.quantity)
            self.place(Item("OPPOSITE", log, execution.at, [(execution.at, -lost, price)], execution))
