"""Money from points: the profit and loss of a day, a week or an account; by currency, never summed across them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec

from eventstore import UnknownContract
from eventstore.readable import Readable
from eventstore.streams import SEPARATOR
from eventstore.trading import Cost, PositionSide
from projections.decimals import FIXED, ZERO
from projections.view import SHARED, BookReader
from projections.views.contracts.directory import Directory, Terms
from projections.views.contracts.view import Contract, ContractsState, ContractsView
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.ledger_entry import LedgerEntry, ledger_key, split_key
from projections.views.executions.prices import LAST_DECIMAL
from projections.views.executions.state import VIEW, ExecutionsState, Holding


class PnlTotals(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """Profit and loss in one currency: realized (first in, first out) before fees, and `net` of fees, with `cash`.

    `cash` is funding, interest and dividends received less fees that no trade had; in totals by symbol it has none.
    `cost` is the account's method, by which `result` and `net_result` are: limits and reports use these.
    `trades` counts fills, `volume` is the sum of their quantities; busted ones are in neither. `unpriced` counts
    changes of positions without a price: if there are any, what is realized is not certain. `uncertain_fees` counts
    trades that were reported with several fees. `symbol` and `side` are None for all together.
    """

    currency: str | None
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    cash: Decimal = ZERO
    net: Decimal = ZERO
    realized_average_cost: Decimal = ZERO
    net_average_cost: Decimal = ZERO
    trades: int = 0
    volume: Decimal = ZERO
    symbol: str | None = None
    side: PositionSide | None = None
    unpriced: int = 0
    uncertain_fees: int = 0
    cost: Cost = Cost.FIFO

    @property
    def result(self) -> Decimal:
        """Realized before fees, by the account's method."""
        return self.realized if self.cost is Cost.FIFO else self.realized_average_cost

    @property
    def net_result(self) -> Decimal:
        """Realized net of fees, with cash, by the account's method."""
        return self.net if self.cost is Cost.FIFO else self.net_average_cost

    @property
    def before_fees(self) -> Decimal:
        """The result by the account's method, with cash and without the trades' fees."""
        return FIXED.add(self.result, self.cash)


_NO_TERMS = Terms(0, None, None)
_RESIDUE = Decimal("1e-15")


class Rates:
    """The money value of a point of each symbol: its contract's multiplier, in its contract's currency.

    A contract that names no currency is in the account's own; a fee that names none is in its contract's. `cost` is the
    method by which the account's results count. What it found of a ledger's key stays: make another one once a contract
    has been defined.
    """

    def __init__(self, book: BookReader, own: str | None, cost: Cost = Cost.FIFO) -> None:
        self.own, self.cost = own, cost
        self._contracts: ContractsState | None = book.state(ContractsView.name, SHARED)
        shared: ExecutionsState | None = book.state(VIEW, SHARED)
        self._directory: Directory | None = None if shared is None else shared.directory
        self.known: dict[str, tuple[str, str, str | None, Decimal | None]] = {}
        """What `of_key` has found, for loops that spare its call."""

    def find(self, symbol: str) -> Contract | None:
        return None if self._contracts is None else self._contracts.find(symbol)

    def symbol(self, name: str) -> str:
        """Return the symbol of the contract that a name means now, or the name where none is known."""
        contract = self.find(name)
        return name if contract is None else contract.symbol

    def terms(self, symbol: str, index: int) -> Terms:
        """Return a contract's terms by their index: those that its results were made under."""
        found = None if self._directory is None else self._directory.terms_of(self.symbol(symbol), index)
        return _NO_TERMS if found is None else found

    def currency(self, symbol: str) -> str | None:
        return self.currency_of(self.find(symbol))

    def currency_of(self, contract: Contract | None) -> str | None:
        return self.own if contract is None or contract.currency is None else contract.currency

    def points(self, entry: LedgerEntry) -> Decimal:
        """Return what an entry realized by the account's method, in points."""
        return entry.points if self.cost is Cost.FIFO else entry.points_average_cost

    def multiplier(self, symbol: str) -> Decimal:
        return multiplier(symbol, self.find(symbol))

    def of_key(self, key: str) -> tuple[str, str, str | None, Decimal | None]:
        """Return symbol, side, currency and multiplier of a ledger's key: those that its results were made under."""
        known = self.known.get(key)
        if known is None:
            known = self.known[key] = self._of_key(key)
        return known

    def _of_key(self, key: str) -> tuple[str, str, str | None, Decimal | None]:
        symbol, side, index = split_key(key)
        contract = None if self._contracts is None else self._contracts.find(symbol)
        name = symbol if contract is None else contract.symbol
        known = () if self._directory is None else self._directory.terms.get(name, ())
        # Nearly every contract has kept the terms that it was defined with.
        terms = known[0] if len(known) == 1 else self.terms(name, index)
        return symbol, side, self.own if terms.currency is None else terms.currency, terms.multiplier


def multiplier(symbol: str, contract: Contract | None) -> Decimal:
    """Return money per point and unit; raise UnknownContract if it is not known: assuming 1 would be a wrong figure."""
    if contract is None or contract.multiplier is None:
        raise UnknownContract(symbol)
    return contract.multiplier


class CurrencySums(msgspec.Struct):
    """Sums in one currency."""

    realized: Decimal = ZERO
    average_cost: Decimal = ZERO
    fees: Decimal = ZERO
    cash: Decimal = ZERO
    trades: int = 0
    volume: Decimal = ZERO
    unpriced: int = 0
    uncertain_fees: int = 0

    def result(self, cost: Cost) -> Decimal:
        """Return what was realized by a method."""
        return self.realized if cost is Cost.FIFO else self.average_cost


_Group = tuple[str, str, str | None]
"""Symbol and side, empty for all together, and currency."""


def to_currency(
    entries: Iterable[tuple[str, LedgerEntry]], rates: Rates, *, by_symbol: bool = False
) -> tuple[PnlTotals, ...]:
    """Return the totals of these entries in each currency, sorted; with `by_symbol`, also by symbol and side.

    Callers have set the context of projections.decimals.FIXED.
    """
    return tuple(_pnl_totals(*group, each, rates.cost) for group, each in _sums(entries, rates, by_symbol=by_symbol))


def currency_sums(entries: Iterable[tuple[str, LedgerEntry]], rates: Rates) -> list[tuple[str | None, CurrencySums]]:
    """Return the same by currency as sums only: what limits are judged by."""
    return [(currency, each) for (_, _, currency), each in _sums(entries, rates)]


def _sums(
    entries: Iterable[tuple[str, LedgerEntry]], rates: Rates, *, by_symbol: bool = False
) -> list[tuple[_Group, CurrencySums]]:
    sums: defaultdict[_Group, CurrencySums] = defaultdict(CurrencySums)
    for key, entry in entries:
        symbol, side, currency, point_value = rates.known.get(key) or rates.of_key(key)
        group = (rates.symbol(symbol), side) if by_symbol else ("", "")
        if entry.cash:
            for named, amount in entry.cash:
                sums[(*group, named)].cash += amount
            if entry == LedgerEntry(cash=entry.cash):
                continue
        total = sums[(*group, currency)]
        if entry.points or entry.points_average_cost:
            if point_value is None:
                raise UnknownContract(symbol)
            total.realized += entry.points * point_value
            total.average_cost += entry.points_average_cost * point_value
        total.trades += entry.fills
        total.volume += entry.volume
        total.unpriced += entry.unpriced
        total.uncertain_fees += entry.uncertain_fees
        # A fee may be in another currency than its contract; it then has totals of its own.
        for named, amount in entry.fees:
            fee_currency = named or currency
            other = total if fee_currency == currency else sums[(*group, fee_currency)]
            other.fees += amount
    return sorted(sums.items(), key=_order) if len(sums) > 1 else list(sums.items())


def _order(each: tuple[_Group, CurrencySums]) -> tuple[str, str, str]:
    symbol, side, currency = each[0]
    return symbol, side, currency or ""


def _pnl_totals(
    symbol: str, side: str, currency: str | None, total: CurrencySums, cost: Cost
) -> PnlTotals:  # fmt: skip
    return PnlTotals(
        currency=currency,
        realized=total.realized,
        fees=total.fees,
        cash=total.cash,
        net=total.realized - total.fees + total.cash,
        realized_average_cost=total.average_cost,
        net_average_cost=total.average_cost - total.fees + total.cash,
        trades=total.trades,
        volume=total.volume,
        symbol=symbol or None,
        side=PositionSide(side) if side else None,
        unpriced=total.unpriced,
        uncertain_fees=total.uncertain_fees,
        cost=cost,
    )


def holdings_of(book: BookReader, account: str) -> list[Holding]:
    """Return every holding that the account has or ever had, in no particular order."""
    state: ExecutionsState | None = book.state(VIEW, account)
    return [] if state is None else list(state.holdings.values())


def since_inception(book: BookReader, account: str, rates: Rates) -> list[tuple[str, LedgerEntry]]:
    """Return the entries of every holding since the account's first event, without cash that no trade had."""
    state: ExecutionsState | None = book.state(VIEW, account)
    if state is None:
        return []
    entries = [each for key, holding in list(state.holdings.items()) for each in _of_holding(key, holding, rates)]
    return [*entries, (SEPARATOR, LedgerEntry(fees=state.fees))] if state.fees else entries


def points_under_first_terms(holding: Holding, rates: Rates) -> tuple[Decimal, Decimal]:
    """Return what was realized under a contract's first terms, by FIFO and by average cost.

    Where these give no amount of money, what only rounding has left of all others is nothing.
    """
    totals = holding.totals
    points, average = totals.realized_points, totals.realized_points_average_cost
    if not holding.by_terms:
        return points, average
    most = ZERO
    for each in holding.by_terms:
        points, average = FIXED.subtract(points, each.points), FIXED.subtract(average, each.points_average_cost)
        most = max(most, abs(each.points), abs(each.points_average_cost))
    if rates.terms(holding.symbol, 0).multiplier is None:
        # Also where all others have come to nothing again, and only rounding is left of them too.
        residue = max(FIXED.multiply(most, _RESIDUE), LAST_DECIMAL)
        points, average = (ZERO if abs(each) <= residue else each for each in (points, average))
    return points, average


def _of_holding(key: str, holding: Holding, rates: Rates) -> Iterator[tuple[str, LedgerEntry]]:
    traded, first = holding.traded, points_under_first_terms(holding, rates)
    for each in holding.by_terms:
        yield ledger_key(key, each.terms), LedgerEntry(each.points, each.points_average_cost)
    marks = (*holding.anomalies, *holding.marks)
    unpriced = sum(each.kind is TradeAnomalyKind.UNPRICED for each in marks) if marks else 0
    volume = traded.bought + traded.sold
    fees, uncertain = holding.fees, holding.uncertain_fees
    yield key, LedgerEntry(*first, fees, traded.count, volume, unpriced=unpriced, uncertain_fees=uncertain)
