"""Queries about positions: quantity, lots, cost and realized points from executions, beside the broker's reports."""

from decimal import Decimal
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from eventstore import Instant, UnknownContract
from eventstore.readable import Readable
from eventstore.streams import SEPARATOR
from eventstore.trading import Cost, PositionSide
from projections.decimals import FIXED, ZERO
from projections.view import SHARED, BookReader, check_covered
from projections.views.contracts.view import Contract, ContractsState, ContractsView
from projections.views.executions.anomalies import UNCERTAIN, TradeAnomaly, bounded
from projections.views.executions.fees import Fees
from projections.views.executions.payoffs import average, closing_points, in_force
from projections.views.executions.pnl_totals import Rates, points_under_first_terms
from projections.views.executions.position_totals import Lot
from projections.views.executions.state import VIEW, ExecutionsState, Holding, TermsPoints
from projections.views.executions.unknown_trades import UNKNOWN

REMEMBERED_MAX = 1_000
"""How many positions are remembered as they were last asked for."""


class Position(Readable, msgspec.Struct, frozen=True):
    """One account's position in one symbol and side. Points are price × quantity, before fees and multiplier.

    Those of an inverse contract are quantity × (-1 ÷ price), and its average prices are harmonic means.
    `quantity` is negative when short. `average_price` is that of the open lots (first in, first out), `average_cost`
    that of the average-cost method; both are None when flat, and leave out `unpriced`: the quantity that was opened
    without a price, which realizes nothing. `cost` is what the lots cost in points, `average_cost_total` the same by
    average cost. `fees` are those in the contract's currency and those that name none.
    `anomalies` are the last 100 anomalous records: kind and log position; of more than 100, what leaves the figures
    uncertain stays. `reported` is the broker's report as of
    `reported_at`, `superseded` if a fill came after it. `conflicts` are the log positions of trades that were reported
    with other figures too, or with times days apart. `first_position` and `last_position` are log positions.
    """

    shown_too: ClassVar[tuple[str, ...]] = ("realized", "difference")

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
    conflicts: tuple[int, ...] = ()
    by_terms: tuple[tuple[Decimal | None, Decimal, Decimal], ...] = ()
    """Multiplier, points and points by average cost of what was realized under other terms of the contract."""
    average_cost_total: Decimal = ZERO
    inverse: bool = False

    @property
    def is_uncertain(self) -> bool:
        """Whether a figure may be wrong: by reports that differ, an unknown bust, a missing price or a rounded sum."""
        return bool(self.conflicts) or any(each.kind in UNCERTAIN for each in self.anomalies)

    @property
    def difference(self) -> Decimal | None:
        """The quantity that the broker reports in excess of the fills; None without a report."""
        return None if self.reported is None else FIXED.subtract(self.reported, self.quantity)

    @property
    def realized(self) -> Decimal:
        """Money, first in, first out, before fees; raises UnknownContract if no multiplier is known."""
        return self._money(self.realized_points, [(multiplier, points) for multiplier, points, _ in self.by_terms])

    @property
    def realized_average_cost(self) -> Decimal:
        """Money by average cost, before fees; raises UnknownContract if no multiplier is known."""
        return self._money(
            self.realized_points_average_cost, [(multiplier, points) for multiplier, _, points in self.by_terms]
        )

    def _money(self, total: Decimal, parts: list[tuple[Decimal | None, Decimal]]) -> Decimal:
        if not parts:
            return FIXED.multiply(total, self._known_multiplier())
        amount = ZERO
        for multiplier, points in parts:
            if not points:
                continue
            if multiplier is None:
                raise UnknownContract(self.symbol)
            amount, total = FIXED.fma(points, multiplier, amount), FIXED.subtract(total, points)
        return FIXED.fma(total, self._known_multiplier(), amount) if total else amount

    def unrealized_points(self, price: Decimal, cost: Cost = Cost.FIFO) -> Decimal:
        """Return what closing the open lots at a price would realize, in points, by default first in, first out.

        Raises NoValue for a price of zero or below of an inverse contract.
        """
        priced = FIXED.subtract(self.quantity, self.unpriced)
        paid = self.cost if cost is Cost.FIFO else self.average_cost_total
        return closing_points(priced, paid, price, inverse=self.inverse, symbol=self.symbol)

    def unrealized(self, price: Decimal, cost: Cost = Cost.FIFO) -> Decimal:
        """Return the same in money; raises UnknownContract if no multiplier is known."""
        return FIXED.multiply(self.unrealized_points(price, cost), self._known_multiplier())

    def _known_multiplier(self) -> Decimal:
        if self.multiplier is None:
            raise UnknownContract(self.symbol)
        return self.multiplier


class Positions:
    """Queries about positions. The contract's multiplier is joined on reading, so that it may be defined late."""

    def __init__(self, book: BookReader) -> None:
        self._book = book
        # By the identity of a holding, which is kept with it: a change replaces it, and usually nothing has changed.
        self._made: dict[int, tuple[Holding, Contract | None, Position]] = {}

    def get(self, account: str, symbol: str, side: str = PositionSide.NET) -> Position:
        """Return the position in a contract, by any of its names; a flat one if there never was any.

        `side`: NET, or LONG and SHORT where the venue keeps both; anything else raises ValueError. Raises InvalidEvent
        for an account that the book was not opened for.
        """
        state: ExecutionsState | None = self._book.state(VIEW, account)
        contracts: ContractsState | None = self._book.state(ContractsView.name, SHARED)
        contract = None if contracts is None else contracts.find(symbol)
        if state is not None:
            key = symbol + SEPARATOR + side
            holding = state.holdings.get(key)
            if holding is None:
                key = (
                    (state.symbols.get(symbol) or (symbol if contract is None else contract.symbol)) + SEPARATOR + side
                )
                holding = state.holdings.get(key)
            if holding is not None:
                window = state.windows.get(key)
                if window is None or window.terms or holding.anomalies or holding.marks or state.waiting:
                    return self._position(account, state, holding, contract)
                return self._remembered(account, state, holding, contract)
        else:
            check_covered(self._book, account)
        name = symbol if contract is None else contract.symbol
        flat = Position(account, name, PositionSide(side), anomalies=() if state is None else _unknown_of(state, name))
        if contract is None:
            return flat
        return replace(
            flat, multiplier=contract.multiplier, currency=contract.currency, inverse=contract.inverse
        )  # fmt: skip

    def of(self, account: str) -> tuple[Position, ...]:
        """Return every position the account ever had, including flat ones, sorted by symbol and side.

        A book lists none of an account that it was not opened for; of these `get` says so.
        """
        state: ExecutionsState | None = self._book.state(VIEW, account)
        contracts: ContractsState | None = self._book.state(ContractsView.name, SHARED)
        if state is None:
            return ()
        found = sorted(state.holdings.values(), key=lambda holding: (holding.symbol, holding.side))
        return tuple(
            self._position(account, state, holding, None if contracts is None else contracts.find(holding.symbol))
            for holding in found
        )

    def unassigned_fees(self, account: str) -> Fees:
        """Return, by currency, the fees of trades that belong to no position."""
        state: ExecutionsState | None = self._book.state(VIEW, account)
        return () if state is None else state.fees

    def anomalies(self, account: str) -> tuple[TradeAnomaly, ...]:
        """Return the anomalies of busts and corrections that belong to no position."""
        state: ExecutionsState | None = self._book.state(VIEW, account)
        if state is None:
            check_covered(self._book, account)
        return () if state is None else bounded((*state.anomalies, *unknown_amendments(state, None)))

    def _remembered(
        self, account: str, state: ExecutionsState, holding: Holding, contract: Contract | None
    ) -> Position:  # fmt: skip
        """Return a position that follows from its holding and contract alone."""
        made = self._made.get(id(holding))
        if made is not None and made[1] is contract and made[2].account == account:
            return made[2]
        position = self._position(account, state, holding, contract)
        if len(self._made) >= REMEMBERED_MAX:
            self._made.clear()
        self._made[id(holding)] = holding, contract, position
        return position

    def _position(self, account: str, state: ExecutionsState, holding: Holding, contract: Contract | None) -> Position:
        totals, fees_by_currency, report = in_force(holding.totals, contract), holding.fees, holding.report
        average_price = average_cost = multiplier = currency = None
        if contract is not None:
            multiplier, currency = contract.multiplier, contract.currency
        if totals.lots:
            average_price = average(totals, totals.cost)
            average_cost = average(totals, totals.average_cost_total)
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
            anomalies_of(state, holding) if holding.anomalies or holding.marks or state.waiting else (),
            holding.first_record,
            holding.last_record,
            holding.conflicts,
            self._by_terms(state, holding),
            totals.average_cost_total,
            totals.inverse,
        )

    def _by_terms(
        self, state: ExecutionsState, holding: Holding
    ) -> tuple[tuple[Decimal | None, Decimal, Decimal], ...]:  # fmt: skip
        """Return what was realized under other terms of the contract; nearly every contract has kept its first ones."""
        window = state.windows.get(holding.symbol + SEPARATOR + holding.side)
        if window is not None and not window.terms:
            return ()
        return _terms(holding, Rates(self._book, None))


def unknown_amendments(state: ExecutionsState, symbol: str | None) -> list[TradeAnomaly]:
    """Return the busts and corrections of unknown trades that name a contract, or with None those that name none."""
    return [
        TradeAnomaly(UNKNOWN[each.kind], each.log_position)
        for waiting in list(state.waiting.values())
        for each in waiting
        if each.unknown
        and (each.symbol is None if symbol is None else state.symbols.get(each.symbol or "", each.symbol) == symbol)
    ]


def _unknown_of(state: ExecutionsState, symbol: str) -> tuple[TradeAnomaly, ...]:
    """Return the anomalies that a position may have of which nothing else is known."""
    unknown = [*unknown_amendments(state, symbol), *unknown_amendments(state, None)]
    unknown += [each for each in state.anomalies if each.kind in UNCERTAIN]
    return bounded(tuple(sorted(unknown, key=lambda each: each.position)))


def anomalies_of(state: ExecutionsState, holding: Holding) -> tuple[TradeAnomaly, ...]:
    """Return the anomalies of a holding, in the order of the log; an unknown bust may be of any position."""
    found = holding.anomalies + holding.marks
    if state.waiting or state.anomalies:
        found += _unknown_of(state, holding.symbol)
    if not holding.marks and found is holding.anomalies:
        return found
    return bounded(tuple(sorted(found, key=lambda each: each.position)))


def _terms(holding: Holding, rates: Rates) -> tuple[tuple[Decimal | None, Decimal, Decimal], ...]:
    """Return what was realized under each of the contract's terms where that is not what is in force now."""
    first = TermsPoints(0, *points_under_first_terms(holding, rates))
    parts = [
        (rates.terms(holding.symbol, each.terms).multiplier, each.points, each.points_average_cost)
        for each in (*holding.by_terms, first)
        if each.points or each.points_average_cost
    ]
    contract = rates.find(holding.symbol)
    in_force = None if contract is None else contract.multiplier
    return tuple(parts) if any(multiplier != in_force for multiplier, _, _ in parts) else ()
