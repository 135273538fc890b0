"""The items that a position is made of: trades and adjustments, each with the figures it has had."""

from __future__ import annotations

import enum
from datetime import date
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from eventstore import Instant, Record
from eventstore.clock import NANOSECONDS
from eventstore.trading import PositionSide
from projections.decimals import ZERO
from projections.views.executions.fees import Fees, with_fee
from projections.views.executions.position_totals import scaled_price
from projections.views.executions.prices import has_value, quotient, value_of

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


NOT_PART_OF_A_GAP = frozenset({ItemKind.RECONCILED, ItemKind.SPLIT, ItemKind.REPRICE})
"""What moves nothing that a broker's report knows: what it booked itself, and what changes units or a price alone."""


class Figures(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A signed quantity and a price that a trade has had since a place; a bust leaves a quantity of zero.

    `taken` is what a fee in the coin bought had taken from earlier ones.
    """

    since: Place
    quantity: Decimal
    price: Decimal | None
    taken: Decimal = ZERO


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
    `gap` is the log position of the reconciliation that stood for it, 0 if none did. `inverse`: its price counts as
    that of an inverse contract. `coin` is the currency bought where a fee in it reduces what was bought, else empty.
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
    inverse: bool = False
    coin: str = ""
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
    def value(self) -> Decimal | None:
        """What its price counts for; None without a price, or with one that has no value."""
        price = self.price
        if price is None or not self.inverse:
            return price
        return value_of(price, inverse=True) if has_value(price, inverse=True) else None

    @property
    def taken(self) -> Decimal:
        """How much of the coin bought its fee has taken: not more than there was, for that no purchase pays."""
        if not self.coin or self.quantity <= ZERO:
            return ZERO
        amount = next((amount for currency, amount in self.fees if currency == self.coin), ZERO)
        return amount if amount < self.quantity else ZERO

    @property
    def charged(self) -> Fees:
        """Its fees as they count: what was taken from the coin bought at its price, in the contract's currency."""
        taken = self.taken
        if self.busted and self.fees and len(self.history) > 1:
            # Those that a busted trade keeps are what they were before.
            taken = self.history[-2].taken
        if not taken or self.price is None:
            return self.fees
        others = tuple([each for each in self.fees if each[0] != self.coin])
        return with_fee(others, "", taken * self.price)

    @property
    def number(self) -> tuple[int, int]:
        """What identifies the item, whatever becomes of its figures."""
        return self.log_position, self.part

    @property
    def figures(self) -> tuple[Figures, ...]:
        """Return all figures that it has had, the first and the present ones included."""
        return self.history or (Figures((self.at, self.log_position), self.quantity, self.price),)

    @property
    def moved(self) -> Decimal:
        """By how much it changes the position: what a fee takes of the coin bought is not held."""
        return self.quantity - self.taken if self.coin else self.quantity

    @property
    def is_trade(self) -> bool:
        return self.kind is ItemKind.TRADE

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
    """Return an item as it counts in its position: net of a fee in the coin bought, on the base of its place."""
    if item.scale is None and not item.coin:
        return item
    now = (item.quantity - item.taken, item.price)
    # The last of the figures are those of now.
    figures = [now, *[(each.quantity - each.taken, each.price) for each in item.history[:-1]], now]
    if item.scale is not None:
        figures = [_scaled(*each, item.scale, inverse=item.inverse) for each in figures]
    quantity, price = figures[0]
    history = tuple(
        [Figures(each.since, *net) for each, net in zip(item.history, figures[1:], strict=False)]
    )  # fmt: skip
    return replace(
        item, quantity=quantity, price=price, history=history, scale=None, fees=item.charged, coin=""
    )  # fmt: skip


def with_fees_taken(item: Item, before: Item) -> Item:
    """Return a trade whose fees now take more of the coin bought than before, as if they had always done so."""
    more = item.taken - before.taken
    if not more or not item.history:
        return item
    history = [replace(each, taken=each.taken + more) if each.quantity > ZERO else each for each in item.history]
    return replace(item, history=tuple(history))


def _scaled(
    quantity: Decimal, price: Decimal | None, scale: tuple[Decimal, Decimal], *, inverse: bool
) -> tuple[Decimal, Decimal | None]:
    after, before = scale
    changed = None if price is None else scaled_price(price, after, before, inverse=inverse)
    return quotient(quantity * after, before), changed


def place_of(item: Item) -> Place:
    """Return where an item lies in the order of its position."""
    return item.place or (item.at, item.log_position)
