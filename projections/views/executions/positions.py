"""The positions view: quantity, lots, cost and realized points from fills, beside the broker's reports; and queries."""

from decimal import Decimal
from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Instant, Record, UnknownContract
from eventstore.streams import SEPARATOR
from eventstore.trading import (
    AccountOpened,
    FeeCharged,
    LimitsSet,
    OrderFilled,
    PositionAdjusted,
    PositionReported,
    PositionSide,
    SessionOpened,
    SessionReset,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.decimals import FIXED, ZERO
from projections.view import SHARED, BookReader, View
from projections.views.contracts.view import Contract, ContractsState, ContractsView
from projections.views.executions.anomalies import TradeAnomaly
from projections.views.executions.fees import Fees
from projections.views.executions.position_state import VIEW, Holding, PositionsState
from projections.views.executions.position_totals import Lot
from projections.views.executions.position_transitions import adjust, bust, charge_fee, correct, fill, set_report


class Position(msgspec.Struct, frozen=True):
    """One account's position in one symbol and side. Points are price × quantity, before fees and multiplier.

    `quantity` is negative when short. `average_price` is that of the open lots (first in, first out), `average_cost`
    that of the average-cost method; both are None when flat, and leave out `unpriced`: the quantity that was opened
    without a price, which realizes nothing. `fees` are those in the contract's currency and those that name none.
    `anomalies` are the last 100 anomalous records: kind and log position. `reported` is the broker's report as of
    `reported_at`, `superseded` if a fill came after it. `first_position` and `last_position` are log positions.
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
        """The quantity that the broker reports in excess of the fills; None without a report."""
        return None if self.reported is None else FIXED.subtract(self.reported, self.quantity)

    @property
    def realized(self) -> Decimal:
        """Money, first in, first out, before fees; raises UnknownContract if no multiplier is known."""
        return FIXED.multiply(self.realized_points, self._known_multiplier())

    @property
    def realized_average_cost(self) -> Decimal:
        """Money by average cost, before fees; raises UnknownContract if no multiplier is known."""
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

    The ledger counts what each execution realized on the trading day it happened in. A bust or correction of a fill
    since the position was last flat changes the days of all fills whose result it changes; one of an older fill is
    booked as the opposite fill, on its own day. A fee that comes later counts on its trade's day while the trade is
    among the fills since flat, else on its own day.
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
                fill(state, event, record)
            case PositionReported():
                set_report(state, event, record)
            case FeeCharged():
                charge_fee(state, event, record)
            case PositionAdjusted():
                adjust(state, event, record)
            case TradeBusted():
                bust(state, event, record)
            case TradeCorrected():
                correct(state, event, record)
            case _:
                state.ledger.follow(event, record)


class Positions:
    """Queries about positions. The contract's multiplier is joined on reading, so that it may be defined late."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def get(self, account: str, symbol: str, side: str = PositionSide.NET) -> Position:
        """Return the position in a symbol, or a broker's name for one; a flat one if there never was any.

        `side`: NET, or LONG and SHORT where the venue keeps both; anything else raises ValueError.
        """
        state: PositionsState | None = self._book.state(VIEW, account)
        contracts: ContractsState | None = self._book.state(ContractsView.name, SHARED)
        contract = None if contracts is None else contracts.find(symbol)
        holdings = {} if state is None else state.holdings
        holding = holdings.get(symbol + SEPARATOR + side)
        # Trades keep the symbol they were recorded with, so a holding may also stand under the contract's own symbol.
        if holding is None and contract is not None:
            symbol = contract.symbol
            holding = holdings.get(symbol + SEPARATOR + side)
        if holding is None:
            multiplier, currency = (None, None) if contract is None else (contract.multiplier, contract.currency)
            flat_side = PositionSide(side)
            return Position(account=account, symbol=symbol, side=flat_side, multiplier=multiplier, currency=currency)
        return _position(account, holding, contract)

    def of(self, account: str) -> tuple[Position, ...]:
        """Return every position the account ever had, including flat ones, sorted by symbol and side."""
        state: PositionsState | None = self._book.state(VIEW, account)
        contracts: ContractsState | None = self._book.state(ContractsView.name, SHARED)
        if state is None:
            return ()
        found = sorted(state.holdings.values(), key=lambda holding: (holding.symbol, holding.side))
        return tuple(
            _position(account, holding, None if contracts is None else contracts.find(holding.symbol))
            for holding in found
        )

    def unassigned_fees(self, account: str) -> Fees:
        """Return, by currency, the fees of trades that belong to no position."""
        state: PositionsState | None = self._book.state(VIEW, account)
        return () if state is None else state.fees

    def anomalies(self, account: str) -> tuple[TradeAnomaly, ...]:
        """Return the anomalies of busts and corrections that belong to no position."""
        state: PositionsState | None = self._book.state(VIEW, account)
        return () if state is None else state.anomalies


def _position(account: str, holding: Holding, contract: Contract | None) -> Position:
    totals, fees_by_currency, report = holding.totals, holding.fees, holding.report
    average_price = average_cost = multiplier = currency = None
    if contract is not None:
        multiplier, currency = contract.multiplier, contract.currency
    if totals.lots:
        priced = FIXED.subtract(totals.quantity, totals.unpriced) if totals.unpriced else totals.quantity
        if priced:
            average_price = FIXED.divide(totals.cost, priced)
            average_cost = FIXED.divide(totals.average_cost_total, priced)
    fees = ZERO
    for name, amount in fees_by_currency:
        if not name or name == currency:
            fees = FIXED.add(fees, amount)
    # In the order of the members: by name it takes a lookup twice as long.
    return Position(
        account,
        holding.symbol,
        holding.side,
        totals.quantity,
        report.frozen,
        average_price,
        totals.lots,
        totals.cost,
        totals.realized_points,
        average_cost,
        totals.realized_points_average_cost,
        totals.unpriced,
        fees,
        fees_by_currency,
        report.quantity,
        report.average_price,
        report.at,
        report.superseded,
        multiplier,
        currency,
        holding.anomalies,
        holding.first_record,
        holding.last_record,
    )
