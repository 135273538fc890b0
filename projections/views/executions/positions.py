"""Positions: quantity, lots, cost and realized points from fills, beside what the broker reports."""

from collections.abc import Iterator
from decimal import Decimal
from typing import ClassVar

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import Event, Instant, Record, UnknownContract
from eventstore.trading import (
    AccountOpened,
    AdjustmentReason,
    FeeCharged,
    LimitsSet,
    OrderFilled,
    PositionAdjusted,
    PositionReported,
    PositionSide,
    SessionOpened,
    SessionReset,
    Side,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.decimals import FIXED, ZERO
from projections.view import SHARED, Lens, View
from projections.views.contracts.view import Contract, ContractsState, ContractsView
from projections.views.executions.fold import (
    VIEW,
    Execution,
    Holding,
    Lot,
    PositionsState,
    can_split,
    mark,
    opened,
    refold,
    settle,
)
from projections.views.executions.ledger_entry import LedgerEntry
from projections.views.executions.reported import report_of
from projections.views.executions.trades import AboutTrade, Fees, TradeAnomaly, TradeAnomalyKind, with_fee

# Looked up once: an access through the enumeration's class costs as much as two multiplications.
_BUY, _SHORT = Side.BUY, PositionSide.SHORT
_ONE = Decimal(1)
_NO_SYMBOL = "\0"


class Position(msgspec.Struct, frozen=True):
    """One account's position in one symbol and side. Points are price × quantity, before fees and multiplier.

    `quantity` is below zero when short. `average_price` is the open lots' (first in, first out), `average_cost` that
    of the average-cost method; both are None when flat, and leave out `unpriced`: the quantity whose opening told no
    price, which realizes nothing. `fees` are in the contract's currency or in none named. `anomalies` are the last
    100 records that surprised: kind and position in the log. `reported` is the broker's word as of `reported_at`,
    `superseded` where a fill came after it.
    """

    account: str
    symbol: str
    side: PositionSide
    quantity: Decimal = ZERO
    frozen: Decimal | None = None
    average_price: Decimal | None = None
    lots: tuple[Lot, ...] = ()
    cost: Decimal = ZERO
    realized_points: Decimal = ZERO
    average_cost: Decimal | None = None
    realized_points_average_cost: Decimal = ZERO
    unpriced: Decimal = ZERO
    fees: Decimal = ZERO
    fees_by_currency: Fees = ()
    reported: Decimal | None = None
    reported_average_price: Decimal | None = None
    reported_at: Instant | None = None
    superseded: bool = False
    multiplier: Decimal | None = None
    currency: str | None = None
    anomalies: tuple[TradeAnomaly, ...] = ()
    first_position: int | None = None
    last_position: int | None = None

    @property
    def difference(self) -> Decimal | None:
        """What the broker reports beyond what the fills say; None where it never reported."""
        return None if self.reported is None else FIXED.subtract(self.reported, self.quantity)

    @property
    def realized(self) -> Decimal:
        """Money, first in, first out, before fees; raises UnknownContract where no multiplier is known."""
        return FIXED.multiply(self.realized_points, self._known_multiplier())

    @property
    def realized_average_cost(self) -> Decimal:
        """Money by average cost, before fees; raises UnknownContract where no multiplier is known."""
        return FIXED.multiply(self.realized_points_average_cost, self._known_multiplier())

    def unrealized_points(self, price: Decimal) -> Decimal:
        """Return what closing the open lots at a price would realize, in points."""
        priced = FIXED.subtract(self.quantity, self.unpriced)
        return FIXED.subtract(FIXED.multiply(priced, price), self.cost)

    def unrealized(self, price: Decimal) -> Decimal:
        """Return what closing the open lots at a price would realize, in money; raises UnknownContract."""
        return FIXED.multiply(self.unrealized_points(price), self._known_multiplier())

    def _known_multiplier(self) -> Decimal:
        if self.multiplier is None:
            raise UnknownContract(self.symbol)
        return self.multiplier


class PositionsView(View[PositionsState]):
    """Fills, fees, busts, corrections and adjustments of one account, folded into its holdings and its ledger.

    The ledger counts what each booking realized on the trading day it happened in. A bust or a correction of a fill
    since the position was last flat changes the days of the fills it changes; a later one counts on its own day, as
    the opposite fill that it books. A fee that comes later counts on its trade's day while the trade is among those
    fills, and else on its own.
    """

    name: ClassVar[str] = VIEW
    revision: ClassVar[int] = 2
    types: ClassVar[tuple[type[Event], ...] | None] = (
        OrderFilled,
        TradeExecuted,
        FeeCharged,
        TradeBusted,
        TradeCorrected,
        PositionAdjusted,
        PositionReported,
        SessionOpened,
        SessionReset,
        AccountOpened,
        LimitsSet,
    )

    @override
    def initial(self) -> PositionsState:
        return PositionsState()

    @override
    def apply(self, state: PositionsState, event: Event, record: Record) -> None:
        match event:
            case OrderFilled() | TradeExecuted():
                _fill(state, event, record)
            case PositionReported():
                _report(state, event, record)
            case FeeCharged():
                _charge(state, event, record)
            case PositionAdjusted():
                _adjust(state, event, record)
            case TradeBusted():
                _bust(state, event, record)
            case TradeCorrected():
                _correct(state, event, record)
            case _:
                state.ledger.tell(event, record)


class Positions:
    """Questions about positions. The contract's multiplier is joined when asked, so that it may come late."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens

    def get(self, account: str, symbol: str, side: str = PositionSide.NET) -> Position:
        """Return the position in a symbol, or in what a broker calls so; flat where there never was one.

        `side`: NET, or LONG and SHORT where the venue keeps both; anything else raises ValueError.
        """
        state: PositionsState | None = self._lens.state(VIEW, account)
        contracts: ContractsState | None = self._lens.state(ContractsView.name, SHARED)
        contract = None if contracts is None else contracts.find(symbol)
        holdings = {} if state is None else state.holdings
        holding = holdings.get(symbol + "\0" + side)
        if holding is None and contract is not None:
            symbol = contract.symbol
            holding = holdings.get(symbol + "\0" + side)
        if holding is None:
            multiplier, currency = (None, None) if contract is None else (contract.multiplier, contract.currency)
            flat_side = PositionSide(side)
            return Position(account=account, symbol=symbol, side=flat_side, multiplier=multiplier, currency=currency)
        return _position(account, holding, contract)

    def of(self, account: str) -> tuple[Position, ...]:
        """Return every position the account ever had, flat ones too, sorted by symbol and side."""
        state: PositionsState | None = self._lens.state(VIEW, account)
        contracts: ContractsState | None = self._lens.state(ContractsView.name, SHARED)
        if state is None:
            return ()
        found = sorted(state.holdings.values(), key=lambda holding: (holding.symbol, holding.side))
        return tuple(
            _position(account, holding, None if contracts is None else contracts.find(holding.symbol))
            for holding in found
        )

    def unassigned_fees(self, account: str) -> Fees:
        """Return, by currency, the fees of trades that no position knows."""
        state: PositionsState | None = self._lens.state(VIEW, account)
        return () if state is None else state.fees

    def anomalies(self, account: str) -> tuple[TradeAnomaly, ...]:
        """Return what was odd about busts and corrections that no position knows."""
        state: PositionsState | None = self._lens.state(VIEW, account)
        return () if state is None else state.marked


def _position(account: str, holding: Holding, contract: Contract | None) -> Position:
    figures, fees_by_currency, report = holding.figures, holding.fees, holding.report
    average_price = average_cost = multiplier = currency = None
    if contract is not None:
        multiplier, currency = contract.multiplier, contract.currency
    if figures.lots:
        priced = FIXED.subtract(figures.quantity, figures.unpriced) if figures.unpriced else figures.quantity
        if priced:
            average_price = FIXED.divide(figures.cost, priced)
            average_cost = FIXED.divide(figures.average_cost_total, priced)
    fees = ZERO
    for name, amount in fees_by_currency:
        if not name or name == currency:
            fees = FIXED.add(fees, amount)
    # In the order of the members: by name it takes a lookup twice as long.
    return Position(
        account,
        holding.symbol,
        holding.side,
        figures.quantity,
        report.frozen,
        average_price,
        figures.lots,
        figures.cost,
        figures.realized_points,
        average_cost,
        figures.realized_points_average_cost,
        figures.unpriced,
        fees,
        fees_by_currency,
        report.quantity,
        report.average_price,
        report.at,
        report.superseded,
        multiplier,
        currency,
        holding.marked,
        holding.first,
        holding.last,
    )


def _fill(state: PositionsState, event: OrderFilled | TradeExecuted, record: Record) -> None:
    position = record.position
    name = f"{record.stream}\0{event.trade_id}"
    key = event.symbol + "\0" + event.position_side
    recent = state.recent
    holding = state.holdings.get(key)
    if holding is None:
        holding = opened(state, key, position)
    if name in recent.newer or name in recent.older or name in state.windows[key].bookings:
        mark(state, key, TradeAnomalyKind.DUPLICATE_TRADE, position)
        return
    quantity = event.quantity if event.side is _BUY else -event.quantity
    at, fee, currency = record.occurred_at, event.fee, event.fee_currency or ""
    booking = Execution(quantity, event.price, event.trade_id, position, at, 1, fee, currency)
    settle(state, key, holding, name, booking)
    recent.put(name, key)


def _report(state: PositionsState, event: PositionReported, record: Record) -> None:
    key = event.symbol + "\0" + event.position_side
    holding = state.holdings.get(key) or opened(state, key, record.position)
    last = next((each for each in reversed(state.windows[key].bookings.values()) if each.fills), None)
    report = report_of(event, record.occurred_at, None if last is None else last.occurred_at)
    state.holdings[key] = replace(holding, report=report, last=record.position)


def _charge(state: PositionsState, event: FeeCharged, record: Record) -> None:
    fee = (event.currency or "", event.amount)
    key = "" if event.symbol is None else event.symbol + "\0" + event.position_side
    found = _located(state, event, record.stream)
    if found is not None and key not in state.holdings:
        key = found[0]
    holding = state.holdings.get(key)
    if holding is None and event.symbol is not None:
        holding = opened(state, key, record.position)
    booking = None if found is None or found[0] != key else state.windows[key].bookings.get(found[1])
    # What is charged for a trade is a part of it.
    at, position = (record.occurred_at, record.position) if booking is None else (booking.occurred_at, booking.position)
    if event.amount:
        state.ledger.book(at, position, _NO_SYMBOL if holding is None else key, LedgerEntry(fees=(fee,)))
    if holding is None:
        state.fees = with_fee(state.fees, *fee)
        return
    state.holdings[key] = replace(holding, fees=with_fee(holding.fees, *fee), last=record.position)


def _adjust(state: PositionsState, event: PositionAdjusted, record: Record) -> None:
    position = record.position
    key = event.symbol + "\0" + event.position_side
    holding = state.holdings.get(key) or opened(state, key, position)
    if not event.quantity:
        state.holdings[key] = replace(holding, last=position)
        return
    split = event.reason is AdjustmentReason.SPLIT
    if split and not can_split(holding.figures, event.quantity):
        mark(state, key, TradeAnomalyKind.IMPOSSIBLE_SPLIT, position)
        return
    booking = Execution(event.quantity, event.price, None, position, record.occurred_at, split=split)
    settle(state, key, holding, f"#{position}", booking)
    if not split and abs(state.holdings[key].figures.unpriced) > abs(holding.figures.unpriced):
        mark(state, key, TradeAnomalyKind.UNPRICED, position)


def _bust(state: PositionsState, event: TradeBusted, record: Record) -> None:
    found = _located(state, event, record.stream)
    key, name = found or (_named(event), record.stream + "\0" + event.trade_id)
    done = name + "\0bust"
    if state.recent.get(done) is not None:
        mark(state, key, TradeAnomalyKind.DUPLICATE_BUST, record.position)
        return
    window = state.windows.get(key)
    booking = None if window is None else window.bookings.get(name)
    if window is not None and booking is not None:
        bookings = dict(window.bookings)
        del bookings[name]
        fees = with_fee(state.holdings[key].fees, booking.currency, -booking.fee)
        refold(state, key, bookings, fees, record.position)
    elif not key or event.side is None or event.quantity is None or event.price is None:
        mark(state, key, TradeAnomalyKind.UNKNOWN_BUST, record.position)
        return
    else:
        opposite = -event.quantity if event.side is _BUY else event.quantity
        at, fee, currency = record.occurred_at, -event.fee, event.fee_currency or ""
        holding = state.holdings.get(key) or opened(state, key, record.position)
        booking = Execution(opposite, event.price, None, record.position, at, -1, fee, currency)
        settle(state, key, holding, f"#{record.position}", booking)
        mark(state, key, TradeAnomalyKind.LATE_BUST, record.position)
    state.recent.put(done, "")


def _correct(state: PositionsState, event: TradeCorrected, record: Record) -> None:
    found = _located(state, event, record.stream)
    key, name = found or (_named(event), record.stream + "\0" + event.trade_id)
    window = state.windows.get(key)
    booking = None if window is None else window.bookings.get(name)
    if window is None or booking is None:
        kind = _correct_late(state, key, name, event, record)
        mark(state, key, kind, record.position)
        return
    buys = booking.quantity > ZERO if event.side is None else event.side is _BUY
    quantity = event.quantity if buys else -event.quantity
    bookings = {**window.bookings, name: replace(booking, quantity=quantity, price=event.price)}
    refold(state, key, bookings, state.holdings[key].fees, record.position)


def _correct_late(
    state: PositionsState, key: str, name: str, event: TradeCorrected, record: Record
) -> TradeAnomalyKind:
    """Book a trade that left the window back, and as it should have been; return what to mark this as."""
    quantity, price = event.previous_quantity, event.previous_price
    busted = state.recent.get(name + "\0bust") is not None
    if busted or not key or event.side is None or quantity is None or price is None:
        return TradeAnomalyKind.UNKNOWN_CORRECTION
    done, figures = name + "\0correction", f"{event.quantity}@{event.price}"
    if state.recent.get(done) == figures:
        return TradeAnomalyKind.DUPLICATE_CORRECTION
    sign = _ONE if event.side is _BUY else -_ONE
    position, at = record.position, record.occurred_at
    holding = state.holdings.get(key) or opened(state, key, position)
    settle(state, key, holding, f"#{position}", Execution(-sign * quantity, price, None, position, at, -1))
    again = Execution(sign * event.quantity, event.price, event.trade_id, position, at, 1)
    settle(state, key, state.holdings[key], name, again)
    state.recent.put(done, figures)
    return TradeAnomalyKind.LATE_CORRECTION


def _located(state: PositionsState, event: AboutTrade, stream: str) -> tuple[str, str] | None:
    """Return under which holding and name a trade was booked: in this very stream, else the newest of its id."""
    start = "" if event.symbol is None else event.symbol + "\0"
    for key, name in _candidates(state, event.trade_id, stream):
        if key.startswith(start):
            return key, name
    return None


def _candidates(state: PositionsState, trade_id: str, stream: str) -> Iterator[tuple[str, str]]:
    name, suffix = stream + "\0" + trade_id, "\0" + trade_id
    known = state.recent.get(name)
    if known is not None:
        yield known, name
    yield from ((key, name) for key, window in state.windows.items() if name in window.bookings)
    yield from ((key, other) for other, key in state.recent.ending(suffix) if key in state.holdings)
    for key, window in state.windows.items():
        yield from ((key, other) for other in reversed(window.bookings) if other.endswith(suffix))


def _named(event: TradeBusted | TradeCorrected) -> str:
    """Return the holding that an event names by itself, or ""."""
    return "" if event.symbol is None else event.symbol + "\0" + event.position_side
