"""The arithmetic of a position: lots first in, first out, the average-cost twin beside, and the window of fills.

What each booking realizes goes into the ledger of its day, so that the days always add up to the position's figures.
Quantities are signed: below zero is short. Costs are sums of price × quantity, in points: they are kept whole and
divided only when an average is asked for. Callers have set the context of projections.decimals.FIXED.
"""

from collections.abc import Iterable
from decimal import Decimal
from itertools import islice

import msgspec
from msgspec.structs import replace

from eventstore import Instant
from eventstore.trading import PositionSide
from projections.decimals import ZERO
from projections.views.contracts.view import SYMBOLS_MAX, TooManySymbols
from projections.views.executions.ledger_entry import NOTHING, LedgerEntry
from projections.views.executions.pnl_path import PnlLedger
from projections.views.executions.reported import NO_REPORT, PositionReport, superseded
from projections.views.executions.trades import (
    Fees,
    TradeAnomaly,
    TradeAnomalyKind,
    TwoGenerationCache,
    with_anomaly,
    with_fee,
)

VIEW = "positions"
LOTS_MAX = 10_000
WINDOW_MAX = 10_000
# Looked up once: an access through the enumeration's class costs as much as two multiplications.
_NET, _SHORT = PositionSide.NET, PositionSide.SHORT


class Lot(msgspec.Struct, frozen=True, gc=False):
    """What is left of one opening. `price` is None where nobody told it, `trade_id` where no trade opened it."""

    quantity: Decimal
    price: Decimal | None
    trade_id: str | None
    position: int


class Execution(msgspec.Struct, frozen=True, gc=False):
    """One change of a position. Without a price it is booked at the position's own average, or is a split.

    `fills` is 1 for a trade, -1 for what takes an old one back, 0 for what is none.
    """

    quantity: Decimal
    price: Decimal | None
    trade_id: str | None
    position: int
    occurred_at: Instant
    fills: int = 0
    fee: Decimal = ZERO
    currency: str = ""
    split: bool = False


class PositionTotals(msgspec.Struct, frozen=True, gc=False):
    """A position's sums by both methods. `unpriced` is how much of the quantity has no known price.

    `cost` is what the open lots cost, `average_cost_total` the same by average cost; unpriced lots are in neither,
    and when they are closed they realize nothing.
    """

    quantity: Decimal = ZERO
    lots: tuple[Lot, ...] = ()
    cost: Decimal = ZERO
    realized_points: Decimal = ZERO
    average_cost_total: Decimal = ZERO
    realized_points_average_cost: Decimal = ZERO
    unpriced: Decimal = ZERO


FLAT = PositionTotals()


class Window(msgspec.Struct):
    """The bookings since a position was last flat, and its figures just before them.

    What closed the position stays until the next opening: it is the likeliest to be busted or corrected.
    """

    base: PositionTotals = FLAT
    bookings: dict[str, Execution] = {}

    def keep(self, before: PositionTotals, after: PositionTotals, name: str, booking: Execution) -> None:
        """Take the booking that led from `before` to `after`; one that began at flat, or passed it, comes first."""
        lots = after.lots
        if len(lots) == 1 and lots[0].position == booking.position:
            self.base = before
            self.bookings = {name: booking}
            return
        self.bookings[name] = booking
        if len(self.bookings) > WINDOW_MAX:
            older = list(islice(self.bookings, WINDOW_MAX // 2))
            for each in older:
                self.base = booked(self.base, self.bookings.pop(each))

    def made(self, bookings: Iterable[tuple[str, Execution]]) -> tuple[PositionTotals, dict[str, LedgerEntry]]:
        """Return the figures after these bookings instead of its own, and what each of them made."""
        figures = self.base
        made = {}
        for name, booking in bookings:
            after = booked(figures, booking)
            made[name] = earned(figures, after, booking, ((booking.currency, booking.fee),) if booking.fee else ())
            figures = after
        return figures, made


class Holding(msgspec.Struct, frozen=True, gc=False):
    """What the fold knows of one symbol and side; `first` and `last` are positions of records in the log."""

    symbol: str
    side: PositionSide
    figures: PositionTotals
    fees: Fees
    report: PositionReport
    marked: tuple[TradeAnomaly, ...]
    first: int
    last: int


class PositionsState(msgspec.Struct):
    """One account. Holdings and windows by symbol, NUL and side; recent trades by stream, NUL and trade id.

    `fees` and `marked` are of trades that no holding knows; in the ledger, such fees have no symbol and no side.
    """

    holdings: dict[str, Holding] = {}
    windows: dict[str, Window] = {}
    recent: TwoGenerationCache[str] = msgspec.field(default_factory=TwoGenerationCache)
    fees: Fees = ()
    marked: tuple[TradeAnomaly, ...] = ()
    ledger: PnlLedger = msgspec.field(default_factory=PnlLedger)


def booked(held: PositionTotals, booking: Execution) -> PositionTotals:
    """Return the figures after one more booking."""
    if booking.split:
        return split(held, booking.quantity)
    if booking.price is None:
        return moved(held, booking.quantity, booking.position)
    return traded(held, booking.quantity, booking.price, booking.trade_id, booking.position)


def traded(
    held: PositionTotals, quantity: Decimal, price: Decimal, trade_id: str | None, position: int
) -> PositionTotals:
    """Return the figures after a fill of a signed quantity: it opens, closes, or does both."""
    before = held.quantity
    if not before:
        value = quantity * price
        one = (Lot(quantity, price, trade_id, position),)
        return PositionTotals(quantity, one, value, held.realized_points, value, held.realized_points_average_cost)
    after = before + quantity
    long = before > ZERO
    if long is (quantity > ZERO):
        value = quantity * price
        lots = held.lots if len(held.lots) < LOTS_MAX else merged(held.lots)
        return PositionTotals(
            after,
            lots + (Lot(quantity, price, trade_id, position),),  # noqa: RUF005 - half the time of unpacking
            held.cost + value,
            held.realized_points,
            held.average_cost_total + value,
            held.realized_points_average_cost,
            held.unpriced,
        )
    if not after:
        return closed(held, price)
    if (after > ZERO) is long:
        return reduced(held, quantity, after, price)
    return traded(closed(held, price), after, price, trade_id, position)


def moved(held: PositionTotals, quantity: Decimal, position: int) -> PositionTotals:
    """Return the figures after a change without a price: what comes costs the average, what goes realizes nothing."""
    before, after = held.quantity, held.quantity + quantity
    if not before or (before > ZERO) is (quantity > ZERO):
        return _grown(held, quantity, position)
    if not after:
        return closed(held, None)
    if (after > ZERO) is (before > ZERO):
        return reduced(held, quantity, after, None)
    return _grown(closed(held, None), after, position)


def closed(held: PositionTotals, price: Decimal | None) -> PositionTotals:
    """Return the figures after closing everything; without a price nothing is realized."""
    first, average = held.realized_points, held.realized_points_average_cost
    if price is not None:
        proceeds = (held.quantity - held.unpriced) * price
        first += proceeds - held.cost
        average += proceeds - held.average_cost_total
    return PositionTotals(ZERO, (), ZERO, first, ZERO, average)


def reduced(held: PositionTotals, quantity: Decimal, after: Decimal, price: Decimal | None) -> PositionTotals:
    """Return the figures after closing a part, `after` being what is left; without a price nothing is realized."""
    lots, pool, priced, unpriced = held.lots, held.quantity, -quantity, held.unpriced
    lot = lots[0]
    if len(lots) == 1 and lot.price is not None:
        # Scaling out of one entry is the usual case, and taken() would cost three times as much.
        cost = priced * lot.price
        lots = (Lot(after, lot.price, lot.trade_id, lot.position),)
    else:
        lots, cost, gone = taken(lots, priced)
        pool -= unpriced
        priced -= gone
        unpriced -= gone
    average_cost = held.average_cost_total * priced / pool if pool else ZERO
    first, average = held.realized_points, held.realized_points_average_cost
    if price is not None:
        proceeds = priced * price
        first += proceeds - cost
        average += proceeds - average_cost
    cost, average_cost = held.cost - cost, held.average_cost_total - average_cost
    return PositionTotals(after, lots, cost, first, average_cost, average, unpriced)


def taken(lots: tuple[Lot, ...], leaving: Decimal) -> tuple[tuple[Lot, ...], Decimal, Decimal]:
    """Take a quantity from the oldest lots; return what is left, what the taken cost, and how much had no price."""
    cost = unpriced = ZERO
    for index, lot in enumerate(lots, 1):
        quantity, price = lot.quantity, lot.price
        rest = quantity - leaving
        partial = rest and (rest > ZERO) is (quantity > ZERO)
        gone = leaving if partial else quantity
        if price is None:
            unpriced += gone
        else:
            cost += gone * price
        if partial:
            return (Lot(rest, price, lot.trade_id, lot.position), *lots[index:]), cost, unpriced
        if not rest:
            return lots[index:], cost, unpriced
        leaving = -rest
    # Only the rounding of a split can lead here, by a part in 10**33.
    return (), cost, unpriced


def can_split(held: PositionTotals, quantity: Decimal) -> bool:
    """Tell whether a split by this additional quantity leaves a position on the same side."""
    total = held.quantity + quantity
    return bool(held.quantity) and bool(total) and (total > ZERO) is (held.quantity > ZERO)


def split(held: PositionTotals, quantity: Decimal) -> PositionTotals:
    """Return the figures with each lot scaled to the new total at an unchanged cost."""
    if not can_split(held, quantity):
        return held
    total = held.quantity + quantity
    left, unpriced = total, ZERO
    lots = []
    for index, lot in enumerate(held.lots, 1):
        # The last lot takes what rounding left, so that the lots still add up to the quantity.
        scaled = left if index == len(held.lots) else lot.quantity * total / held.quantity
        left -= scaled
        if lot.price is None:
            unpriced += scaled
            lots.append(Lot(scaled, None, lot.trade_id, lot.position))
        else:
            lots.append(Lot(scaled, lot.quantity * lot.price / scaled, lot.trade_id, lot.position))
    return replace(held, quantity=total, lots=tuple(lots), unpriced=unpriced)


def merged(lots: tuple[Lot, ...]) -> tuple[Lot, ...]:
    """Return the lots with the older half made into one at its average price, beside one of the unpriced."""
    half = len(lots) // 2
    priced = unpriced = cost = ZERO
    for lot in lots[:half]:
        if lot.price is None:
            unpriced += lot.quantity
        else:
            priced += lot.quantity
            cost += lot.quantity * lot.price
    position = lots[half - 1].position
    one = (Lot(priced, cost / priced, None, position),) if priced else ()
    other = (Lot(unpriced, None, None, position),) if unpriced else ()
    return (*other, *one, *lots[half:])


def settle(state: PositionsState, key: str, holding: Holding, name: str, booking: Execution) -> None:
    before = holding.figures
    # Whatever can fail comes first: a partition that failed must be able to fold the same record again.
    price = booking.price
    if price is None or booking.split:
        after = booked(before, booking)
    else:
        after = traded(before, booking.quantity, price, booking.trade_id, booking.position)
    fees, fee = holding.fees, booking.fee
    marked = holding.marked
    if holding.side is not _NET and _overclosed(holding.side, after.quantity, booking.quantity):
        marked = with_anomaly(marked, TradeAnomalyKind.OVERCLOSED, booking.position)
    if len(before.lots) >= LOTS_MAX and abs(after.quantity) > abs(before.quantity):
        marked = with_anomaly(marked, TradeAnomalyKind.LOTS_MERGED, booking.position)
    if fee:
        fees = with_fee(fees, booking.currency, fee)
        made = earned(before, after, booking, ((booking.currency, fee),))
        state.ledger.book(booking.occurred_at, booking.position, key, made)
    elif booking.fills or price is not None:
        state.ledger.book(booking.occurred_at, booking.position, key, earned(before, after, booking, ()))
    state.windows[key].keep(before, after, name, booking)
    state.holdings[key] = Holding(
        holding.symbol,
        holding.side,
        after,
        fees,
        superseded(holding.report, after.quantity, by_fill=bool(booking.fills)),
        marked,
        holding.first,
        booking.position,
    )


def earned(before: PositionTotals, after: PositionTotals, booking: Execution, fees: Fees) -> LedgerEntry:
    """Return what a booking made that led from one of the figures to the other."""
    fills, volume = booking.fills, booking.quantity
    if not fills:
        volume = ZERO
    elif (volume > ZERO) is (fills < 0):
        volume = -volume
    if after.realized_points is before.realized_points:
        # Half of all fills realize nothing: the figures then hand on the very same number.
        return LedgerEntry(ZERO, ZERO, fees, fills, volume)
    average = after.realized_points_average_cost - before.realized_points_average_cost
    return LedgerEntry(after.realized_points - before.realized_points, average, fees, fills, volume)


def _overclosed(side: PositionSide, held: Decimal, booked: Decimal) -> bool:
    """Tell whether a booking left a hedged side on the other side of flat."""
    if side is _SHORT:
        return held > ZERO and booked > ZERO
    return held < ZERO and booked < ZERO


def refold(state: PositionsState, key: str, bookings: dict[str, Execution], fees: Fees, position: int) -> None:
    """Put these bookings in the place of the window's; what each of them made changes in the day it happened in."""
    window = state.windows[key]
    _, before = window.made(window.bookings.items())
    figures, after = window.made(bookings.items())
    ledger = state.ledger
    for name, booking in window.bookings.items():
        difference = after.get(name, NOTHING).minus(before[name])
        if difference != NOTHING:
            ledger.book(booking.occurred_at, booking.position, key, difference)
    window.bookings = bookings
    holding = state.holdings[key]
    report = superseded(holding.report, figures.quantity, by_fill=False)
    state.holdings[key] = replace(holding, figures=figures, fees=fees, report=report, last=position)


def opened(state: PositionsState, key: str, position: int) -> Holding:
    """Return a flat holding, newly entered under its key."""
    symbol, _, side = key.rpartition("\0")
    if len(state.holdings) >= SYMBOLS_MAX:
        raise TooManySymbols(VIEW, symbol)
    holding = Holding(symbol, PositionSide(side), FLAT, (), NO_REPORT, (), position, position)
    state.windows[key] = Window()
    state.holdings[key] = holding
    return holding


def mark(state: PositionsState, key: str, kind: TradeAnomalyKind, position: int) -> None:
    holding = state.holdings.get(key)
    if holding is None:
        state.marked = with_anomaly(state.marked, kind, position)
    else:
        state.holdings[key] = replace(holding, marked=with_anomaly(holding.marked, kind, position))


def _grown(held: PositionTotals, quantity: Decimal, position: int) -> PositionTotals:
    pool = held.quantity - held.unpriced
    if not pool:
        lots = (*held.lots, Lot(quantity, None, None, position))
        return replace(held, quantity=held.quantity + quantity, lots=lots, unpriced=held.unpriced + quantity)
    price = held.cost / pool
    return replace(
        held,
        quantity=held.quantity + quantity,
        lots=(*held.lots, Lot(quantity, price, None, position)),
        cost=held.cost + quantity * price,
        average_cost_total=held.average_cost_total + held.average_cost_total * quantity / pool,
    )
