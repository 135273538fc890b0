"""The items that a position is made of: trades and adjustments, each with the figures it has had."""

from __future__ import annotations

import enum
from datetime import date
from decimal import Decimal

import msgspec
from msgspec.structs import astuple, replace

from eventstore import Instant, Record
from eventstore.clock import NANOSECONDS
from eventstore.trading import PositionSide
from projections.views.executions.fees import Fees
from projections.views.executions.position_totals import quotient

CHANGES_MAX = 100
"""How many later figures, conflicting reports and streams of one trade are kept: the first, and the newest."""

AHEAD_MAX = 60 * NANOSECONDS
"""How far ahead of the log's time a venue's clock may run: what lies further ahead has not happened yet."""

Place = tuple[int, int]
"""Where an item lies in the order of its position: an instant (UNIX ns) and a log position."""


class ItemKind(enum.StrEnum):
    """What an item is; the reasons of adjustments are named like `AdjustmentReason`."""

    TRADE = "TRADE"
    OPPOSITE = "OPPOSITE"
    """A quantity by which a bust or a correction changes a trade before the window, at a price of its own."""
    REPRICE = "REPRICE"
    """A price by which a correction changes a trade before the window: it moves no lot."""
    CARRIED = "CARRIED"
    """A lot of a position that was merged into another one."""
    OPENING = "OPENING"
    EXPIRY = "EXPIRY"
    ASSIGNMENT = "ASSIGNMENT"
    SPLIT = "SPLIT"
    TRANSFER = "TRANSFER"
    RECONCILED = "RECONCILED"


class Figures(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A signed quantity and a price that a trade has had since a place; a bust leaves a quantity of zero."""

    since: Place
    quantity: Decimal
    price: Decimal | None


class Item(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One change of a position. `symbol` is its contract's; `quantity` is signed, and zero for a busted trade.

    `at` is when it happened, `place` where it lies if not there: what comes from before the window is last. `streams`
    are those a trade was reported in, the first one first; `ordinal` counts the account's trades; `timed` is whether a
    report stated when it happened; `terms` are those of the contract (`Directory.terms_of`). `history` has every
    figure since the first, empty if they never changed; `conflicts` the log positions of reports with other figures.
    `trip` is the number of the round trip that a REPRICE counts for, 0 for the one in progress, and of a trade that
    was fixed before its position merged, or among items that lie elsewhere than where they happened. `part` tells items
    of one record apart; `average_price` is what a CARRIED lot cost by average cost. `stated_fees` are what a report
    stated first, and `fee_conflict` is the log position of one that stated another fee, 0 if there is none. `is_apart`:
    its order has another trade of its id.
    `scale`, after ÷ before, is by how much splits had multiplied a quantity between when it happened and its place;
    `gap` is the log position of the reconciliation that stood for it, 0 if none did.
    """

    kind: ItemKind
    log_position: int
    at: Instant
    quantity: Decimal
    price: Decimal | None
    symbol: str
    side: PositionSide
    trade_id: str | None = None
    streams: tuple[str, ...] = ()
    fees: Fees = ()
    terms: int = 0
    ordinal: int = 0
    timed: bool = True
    stated_fees: Fees = ()
    trading_day: date | None = None
    place: Place | None = None
    history: tuple[Figures, ...] = ()
    conflicts: tuple[int, ...] = ()
    part: int = 0
    trip: int = 0
    average_price: Decimal | None = None
    scale: tuple[Decimal, Decimal] | None = None
    gap: int = 0
    fee_conflict: int = 0
    is_apart: bool = False

    @property
    def number(self) -> tuple[int, int]:
        """What identifies the item, whatever becomes of its figures."""
        return self.log_position, self.part

    @property
    def figures(self) -> tuple[Figures, ...]:
        """Return all figures that it has had, the first and the present ones included."""
        return self.history or (Figures((self.at, self.log_position), self.quantity, self.price),)

    @property
    def busted(self) -> bool:
        return not self.quantity

    @property
    def order_stream(self) -> str | None:
        """The stream of the order that it was first reported for."""
        return next((stream for stream in self.streams if stream.startswith("order/")), None)

    def buys_ever(self, *, buys: bool) -> bool:
        """Return whether it is or was a purchase, or a sale: a correction may change the side."""
        if not self.history:
            return (self.quantity > 0) is buys
        return any((each.quantity > 0) is buys for each in self.history if each.quantity)

    def known_at(self, place: Place) -> Decimal:
        """Return the quantity as the venue had it at a place: before any later bust or correction."""
        history = in_position(self).history
        if not history:
            return in_position(self).quantity
        return next((each.quantity for each in reversed(history[1:]) if each.since <= place), history[0].quantity)


def is_ahead(record: Record) -> bool:
    """Return whether a record states a time that the log has not reached: what it records counts when it came."""
    return record.occurred_at - record.recorded_at > AHEAD_MAX


def counted_at(record: Record) -> Instant:
    """Return when what is recorded happened, as it counts."""
    return record.recorded_at if is_ahead(record) else record.occurred_at


def in_position(item: Item) -> Item:
    """Return an item with figures on the base of its place, where it has those of the time that it happened."""
    if item.scale is None:
        return item
    _, quantity, price = astuple(_scaled(Figures((0, 0), item.quantity, item.price), item.scale))
    history = tuple([_scaled(each, item.scale) for each in item.history])
    return replace(item, quantity=quantity, price=price, history=history, scale=None)


def _scaled(figures: Figures, scale: tuple[Decimal, Decimal]) -> Figures:
    (after, before), price = scale, figures.price
    quantity = quotient(figures.quantity * after, before)
    return Figures(figures.since, quantity, None if price is None else quotient(price * before, after))


def place_of(item: Item) -> Place:
    """Return where an item lies in the order of its position."""
    return item.place or (item.at, item.log_position)
