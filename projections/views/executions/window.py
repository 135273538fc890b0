"""The items of a position since it was last flat, in the order in which they happened, and what they add up to."""

from __future__ import annotations

import decimal
from bisect import bisect_right
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec.structs import replace

from eventstore import Instant
from eventstore.trading import PositionSide
from projections.decimals import FIXED, ZERO
from projections.views.executions.anomalies import TradeAnomaly, TradeAnomalyKind
from projections.views.executions.items import NOT_PART_OF_A_GAP, Item, ItemKind, Place, in_position, place_of
from projections.views.executions.position_totals import (
    FLAT,
    LOTS_MAX,
    PositionTotals,
    is_residue,
    moved,
    revalued,
    split,
    traded,
)
from projections.views.executions.prices import has_value, quotient, value_of
from projections.views.executions.trip import NO_TRIP, OpenTrip, RoundTrip, counted, ended, points_of, repriced

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW_MAX = 10_000
RECONCILED_MAX = 1_000
"""For how many later items a reconciliation with a price holds the window open: its missing fill may still come."""
BEFORE_ALL: Place = (-(2**63), 0)
_TRADE, _SPLIT, _RECONCILED, _EXPIRY = ItemKind.TRADE, ItemKind.SPLIT, ItemKind.RECONCILED, ItemKind.EXPIRY
_REPRICE = ItemKind.REPRICE
_NET, _LONG = PositionSide.NET, PositionSide.LONG
_REFERRED_TO = frozenset({_SPLIT, _RECONCILED, _EXPIRY})
Ratio = tuple[Decimal, Decimal]
"""By after ÷ before a split multiplies."""
# A sum of quantities must be exact: what is rounded is marked.
_EXACT = FIXED.copy()
_EXACT.traps[decimal.Inexact] = True
add_exactly = _EXACT.add


class SplitRatio(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A split before the window: by after ÷ before."""

    place: Place
    after: Decimal
    before: Decimal


class Window(msgspec.Struct):
    """The items since a position was last flat, sorted by place; whatever precedes them is fixed.

    `base` are the totals before the first item and `fixed` is the place of the last item before it; `base_trip` is the
    round trip in progress there, `trip` the one after the last item, `trips` those that ended in between. `marks` are
    anomalies that follow from the items. `last_at` is when the last item happened. `plain`: no split, reconciliation
    or expiry is among the items; `in_place`: all lie where they happened. `gap_at` is when the newest reconciliation
    among them happened. `terms` are the contract's for the next item, `inverse` its payoff, and `coin` the currency
    bought where fees in it are taken from what was bought.
    """

    base: PositionTotals = FLAT
    items: list[Item] = []
    last_at: Instant = BEFORE_ALL[0]
    fixed: Place = BEFORE_ALL
    base_trip: OpenTrip = NO_TRIP
    trip: OpenTrip = NO_TRIP
    trips: tuple[RoundTrip, ...] = ()
    marks: tuple[TradeAnomaly, ...] = ()
    plain: bool = True
    in_place: bool = True
    gap_at: Instant = BEFORE_ALL[0]
    terms: int = 0
    splits: tuple[SplitRatio, ...] = ()
    inverse: bool = False
    coin: str = ""

    def find(self, item: Item) -> int | None:
        """Return the index of an item, None if it is fixed."""
        place, items = place_of(item), self.items
        index = bisect_right(items, place, key=place_of) - 1
        # Items of one record lie at the same place, and so may late ones: they are few.
        while index >= 0 and place_of(items[index]) == place:
            if items[index].number == item.number:
                return index
            index -= 1
        return None

    def reconciliation_of(self, at: int, log_position: int) -> int | None:
        """Return the index of the reconciliation that stood for what happened before it and is reported after it."""
        if at > self.gap_at:
            return None
        for index, item in enumerate(self.items):
            if item.kind is _RECONCILED and item.at >= at and item.log_position < log_position:
                return index
        return None

    def parts_of(self, index: int) -> list[int]:
        """Return the indices of all parts of the reconciliation whose first one is at an index: one record each."""
        found, items = [index], self.items
        for number, item in enumerate(items[index + 1 :], index + 1):
            last = items[number - 1]
            if item.kind is not _RECONCILED or (item.at, item.log_position) != (last.at, last.log_position + 1):
                break
            found.append(number)
        return found

    def note(self, item: Item) -> None:
        """Remember what a new item is, so that the usual case needs no search."""
        if item.place is not None:
            self.in_place = False
        if not is_plain(item):
            self.plain = False
            if item.kind is _RECONCILED and item.at > self.gap_at:
                self.gap_at = item.at

    def is_held_open(self, before: int) -> bool:
        """Return whether an item before an index may still get its price, or turn out to be a fill that was missing."""
        if self.plain:
            return False
        count = len(self.items)
        return any(
            item.quantity
            and (
                (item.price is None and (item.kind is _RECONCILED or item.kind is _EXPIRY))
                or (item.kind is _RECONCILED and count - index <= RECONCILED_MAX)
            )
            for index, item in enumerate(self.items[:before])
        )

    def ratios(self, items: Sequence[Item]) -> dict[int, Ratio | None]:
        """Return after and before of each split among items by its index, None for an impossible one.

        `before` is what the venue held at its time: late reports included, later busts and corrections not.
        """
        # One pass: to ask each split for those before it, again and again, takes twice as long with every split.
        found: dict[int, Ratio | None] = {}
        base, is_changed = self.base.quantity, any(item.history for item in items)
        for index, item in enumerate(items):
            if item.kind is _SPLIT:
                if is_changed:
                    base = self._held_at((item.at, item.log_position), items[:index], found)
                ratio = base + item.quantity, base
                found[index] = ratio if base * ratio[0] > ZERO else None
                base = _split(base, found[index])
            elif item.kind is not _REPRICE:
                base += in_position(item).quantity
        return found

    def _held_at(self, place: Place, items: Sequence[Item], ratios: dict[int, Ratio | None]) -> Decimal:
        """Return the quantity after items with the figures that they had at a place; `ratios` are of their splits."""
        held = self.base.quantity
        for index, item in enumerate(items):
            if item.kind is _SPLIT:
                held = _split(held, ratios[index])
            elif item.kind is not _REPRICE:
                held += item.known_at(place)
        return held

    def scaled(self, quantity: Decimal, place: Place, until: int | None = None) -> Decimal:
        """Return what the splits after a place have made of a quantity, up to the item at an index."""
        for fixed in self.splits:
            if fixed.place > place:
                quantity = quotient(quantity * fixed.after, fixed.before)
        if self.plain:
            return quantity
        for index, ratio in self.ratios(self.items[:until]).items():
            if place_of(self.items[index]) > place:
                quantity = _split(quantity, ratio)
        return quantity


def _split(quantity: Decimal, ratio: Ratio | None) -> Decimal:
    return quantity if ratio is None else quotient(quantity * ratio[0], ratio[1])


class Outcome(NamedTuple):
    """What an item realized, by FIFO and by average cost, and whether the lack of a price leaves that uncertain."""

    points: Decimal
    average: Decimal
    unpriced: bool


NOTHING = Outcome(ZERO, ZERO, unpriced=False)


class Run(msgspec.Struct):
    """A fold of a window's items, one after the other."""

    key: tuple[str, str]
    totals: PositionTotals
    trip: OpenTrip
    trips: list[RoundTrip] = []
    marks: list[TradeAnomaly] = []
    outcomes: dict[tuple[int, int], tuple[Item, Outcome]] = {}
    opened: int = -1
    """The index of the last item that opened the position, or reversed it."""

    def step(self, items: Sequence[Item], index: int, ratio: Ratio | None) -> None:
        """Fold the item at an index; `ratio` is that of a possible split."""
        item, before = in_position(items[index]), self.totals
        after = self.totals = stepped(before, item, ratio)
        self.outcomes[item.number] = (item, outcome(before, after, item))
        self.marks.extend(marks_of(before, after, item, self.key[1]))
        if item.trip:
            self.trips = repriced(self.trips, item)
        if ends_trip(before, after):
            trip = counted(self.trip, items[self.trip.index : index], index)
            done, self.trip = ended(self.key, trip, item, before.quantity, index)
            self.trips.append(done)
        if begins_window(before, after):
            self.opened = index

    def copy(self) -> Run:
        """Return a fold that can go on with other items."""
        return replace(self, trips=self.trips[:], marks=self.marks[:], outcomes={})


def run(window: Window, key: tuple[str, str], items: Sequence[Item], after: Run | None = None, start: int = 0) -> Run:
    """Fold items from a window's base, or from the one at `start` where those before it are folded already."""
    folded = Run(key, window.base, window.base_trip) if after is None else after.copy()
    is_split = any(item.kind is _SPLIT for item in items[start:])
    ratios = window.ratios(items) if is_split else {}
    for index in range(start, len(items)):
        folded.step(items, index, ratios.get(index))
    return folded


def stepped(held: PositionTotals, item: Item, ratio: Ratio | None = None) -> PositionTotals:
    """Return the totals after an item; `ratio` is that of a possible split."""
    kind = item.kind
    if kind is _SPLIT:
        return held if ratio is None else split(revalued(held, inverse=item.inverse), *ratio)
    if not item.quantity:
        return held
    if kind is _REPRICE:
        points = points_of(item)
        return replace(
            held,
            realized_points=held.realized_points + points,
            realized_points_average_cost=held.realized_points_average_cost + points,
        )
    held = revalued(held, inverse=item.inverse)
    if is_residue(held.quantity + item.quantity, held.quantity):
        item = replace(item, quantity=-held.quantity)
    price, average = item.price, item.average_price
    if price is None or not has_value(price, inverse=item.inverse):
        return moved(held, item.quantity, item.log_position)
    after = traded(held, item.quantity, price, item.trade_id, item.log_position)
    if average is None:
        return after
    more = value_of(average, inverse=item.inverse) - value_of(price, inverse=item.inverse)
    return _at_average(held, after, item, more)


def _at_average(held: PositionTotals, after: PositionTotals, item: Item, more: Decimal) -> PositionTotals:
    """Return the totals after a lot that cost more by average cost than it did first in, first out."""
    opened = after.quantity if begins_window(held, after) else item.quantity
    if abs(after.quantity) < abs(held.quantity) and not begins_window(held, after):
        opened = ZERO
    closed = item.quantity - opened
    return replace(
        after,
        average_cost_total=after.average_cost_total + opened * more,
        realized_points_average_cost=after.realized_points_average_cost - closed * more,
    )


def outcome(before: PositionTotals, after: PositionTotals, item: Item) -> Outcome:
    """Return what the item that led from one totals to the other realized."""
    unpriced = _lacks_price(before, after, item)
    if after.realized_points is before.realized_points and not unpriced:
        return NOTHING
    return Outcome(
        after.realized_points - before.realized_points,
        after.realized_points_average_cost - before.realized_points_average_cost,
        unpriced,
    )


def _lacks_price(before: PositionTotals, after: PositionTotals, item: Item) -> bool:
    if item.kind is _SPLIT or item.kind is _REPRICE or not item.quantity:
        return False
    if item.price is not None:
        return not has_value(item.price, inverse=item.inverse)
    return item.kind is _RECONCILED or item.kind is _EXPIRY or abs(after.unpriced) > abs(before.unpriced)


def marks_of(before: PositionTotals, after: PositionTotals, item: Item, side: str) -> list[TradeAnomaly]:
    """Return what is marked of the item that led from one totals to the other."""
    found, kind, log_position = [], item.kind, item.log_position
    if kind is _SPLIT:
        return [TradeAnomaly(TradeAnomalyKind.IMPOSSIBLE_SPLIT, log_position)] if after is before else []
    if kind is _REPRICE or not item.quantity:
        return []
    if _lacks_price(before, after, item):
        found.append(TradeAnomaly(TradeAnomalyKind.UNPRICED, log_position))
    if not is_exact(before.quantity, item.quantity, after.quantity) or not realizes_exactly(before, after):
        found.append(TradeAnomaly(TradeAnomalyKind.INEXACT, log_position))
    if side != _NET and is_overclosed(side, after.quantity, item.quantity):
        found.append(TradeAnomaly(TradeAnomalyKind.OVERCLOSED, log_position))
    if len(before.lots) >= LOTS_MAX and abs(after.quantity) > abs(before.quantity):
        found.append(TradeAnomaly(TradeAnomalyKind.LOTS_MERGED, log_position))
    return found


def realizes_exactly(before: PositionTotals, after: PositionTotals) -> bool:
    """Return whether what was realized before is still in the sum: a result beyond 34 digits would hide it."""
    was, now = before.realized_points, after.realized_points
    return now is was or now - (now - was) == was


def is_exact(before: Decimal, quantity: Decimal, after: Decimal) -> bool:
    """Return whether the sum of two quantities is what was reached, with no more digits than are kept."""
    return exact_sum(before, quantity) == after


def exact_sum(one: Decimal, other: Decimal) -> Decimal | None:
    """Return the sum of two quantities, None if it has more digits than are kept."""
    try:
        return add_exactly(one, other)
    except decimal.Inexact:
        return None


def is_overclosed(side: str, after: Decimal, quantity: Decimal) -> bool:
    """Return whether an item took a LONG or SHORT side through flat."""
    if side == _LONG:
        return after < ZERO and quantity < ZERO
    return after > ZERO and quantity > ZERO


def ends_trip(before: PositionTotals, after: PositionTotals) -> bool:
    """Return whether a position went to flat, or through it."""
    held, left = before.quantity, after.quantity
    return bool(held) and (not left or (left > ZERO) is not (held > ZERO))


def begins_window(before: PositionTotals, after: PositionTotals) -> bool:
    """Return whether a position was opened, or reversed."""
    held, left = before.quantity, after.quantity
    return bool(left) and (not held or (left > ZERO) is not (held > ZERO))


def stands_for(item: Item) -> bool:
    """Return whether a reconciliation may have stood for an item."""
    return item.kind not in NOT_PART_OF_A_GAP


def is_plain(item: Item) -> bool:
    """Return whether an item is one that nothing later refers to: not a split, a reconciliation or an expiry."""
    return item.kind not in _REFERRED_TO
