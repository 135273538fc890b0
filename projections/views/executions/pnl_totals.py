"""Money from points: the profit and loss of a day, a week or an account; by currency, never summed across them."""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from eventstore import UnknownContract
from eventstore.streams import SEPARATOR
from eventstore.trading import PositionSide
from projections.decimals import ZERO
from projections.view import SHARED, BookReader
from projections.views.contracts.view import Contract, ContractsState, ContractsView
from projections.views.executions.ledger_entry import LedgerEntry
from projections.views.executions.position_state import VIEW, Holding, PositionsState


class PnlTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Profit and loss in one currency: realized (first in, first out) before fees, and `net` of fees.

    `trades` counts fills, `volume` is the sum of their quantities. `symbol` and `side` are None for all together.
    """

    currency: str | None
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    net: Decimal = ZERO
    realized_average_cost: Decimal = ZERO
    net_average_cost: Decimal = ZERO
    trades: int = 0
    volume: Decimal = ZERO
    symbol: str | None = None
    side: PositionSide | None = None


class Rates:
    """The money value of a point of each symbol: its contract's multiplier, in its contract's currency.

    A contract that names no currency is in the account's own; a fee that names none is in its contract's.
    """

    def __init__(self, book: BookReader, own: str | None) -> None:
        self.own = own
        self._contracts: ContractsState | None = book.state(ContractsView.name, SHARED)

    def find(self, symbol: str) -> Contract | None:
        return None if self._contracts is None else self._contracts.find(symbol)

    def currency(self, symbol: str) -> str | None:
        return self.currency_of(self.find(symbol))

    def currency_of(self, contract: Contract | None) -> str | None:
        return self.own if contract is None or contract.currency is None else contract.currency

    def multiplier(self, symbol: str) -> Decimal:
        return multiplier(symbol, self.find(symbol))

    def money(self, symbol: str, points: Decimal) -> Decimal:
        return points * self.multiplier(symbol) if points else ZERO


def multiplier(symbol: str, contract: Contract | None) -> Decimal:
    """Return money per point and unit; raise UnknownContract if it is not known: assuming 1 would be a wrong figure."""
    if contract is None or contract.multiplier is None:
        raise UnknownContract(symbol)
    return contract.multiplier


class _CurrencyTotals(msgspec.Struct):
    """Sums in one currency."""

    realized: Decimal = ZERO
    average_cost: Decimal = ZERO
    fees: Decimal = ZERO
    trades: int = 0
    volume: Decimal = ZERO


def to_currency(
    entries: Iterable[tuple[str, LedgerEntry]], rates: Rates, *, by_symbol: bool = False
) -> tuple[PnlTotals, ...]:
    """Return the totals of these entries in each currency, sorted; with `by_symbol`, also by symbol and side.

    Callers have set the context of projections.decimals.FIXED.
    """
    sums: dict[tuple[str, str, str | None], _CurrencyTotals] = {}
    for key, entry in entries:
        symbol, _, side = key.partition(SEPARATOR)
        contract = rates.find(symbol)
        currency = rates.currency_of(contract)
        group = (symbol, side) if by_symbol else ("", "")
        total = sums.setdefault((*group, currency), _CurrencyTotals())
        if entry.points or entry.points_average_cost:
            point_value = multiplier(symbol, contract)
            total.realized += entry.points * point_value
            total.average_cost += entry.points_average_cost * point_value
        total.trades += entry.fills
        total.volume += entry.volume
        # A fee may be in another currency than its contract; it then has totals of its own.
        for named, amount in entry.fees:
            fee_currency = named or currency
            other = total if fee_currency == currency else sums.setdefault((*group, fee_currency), _CurrencyTotals())
            other.fees += amount
    return tuple(_pnl_totals(*group, sums[group]) for group in sorted(sums, key=_order))


def _order(group: tuple[str, str, str | None]) -> tuple[str, str, str]:
    symbol, side, currency = group
    return symbol, side, currency or ""


def _pnl_totals(symbol: str, side: str, currency: str | None, total: _CurrencyTotals) -> PnlTotals:
    return PnlTotals(
        currency=currency,
        realized=total.realized,
        fees=total.fees,
        net=total.realized - total.fees,
        realized_average_cost=total.average_cost,
        net_average_cost=total.average_cost - total.fees,
        trades=total.trades,
        volume=total.volume,
        symbol=symbol or None,
        side=PositionSide(side) if side else None,
    )


def holdings_of(book: BookReader, account: str) -> list[Holding]:
    """Return every holding that the account has or ever had, in no particular order."""
    state: PositionsState | None = book.state(VIEW, account)
    return [] if state is None else list(state.holdings.values())


def since_inception(book: BookReader, account: str) -> list[tuple[str, LedgerEntry]]:
    """Return the entries of every holding since the account's first event, without counts."""
    state: PositionsState | None = book.state(VIEW, account)
    if state is None:
        return []
    entries = [
        (key, LedgerEntry(holding.totals.realized_points, holding.totals.realized_points_average_cost, holding.fees))
        for key, holding in list(state.holdings.items())
    ]
    return [*entries, (SEPARATOR, LedgerEntry(fees=state.fees))] if state.fees else entries
