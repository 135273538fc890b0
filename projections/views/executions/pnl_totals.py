"""Money from points: what a day, a week or an account has made, in each currency; nothing is summed across them."""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from eventstore import UnknownContract
from eventstore.trading import PositionSide
from projections.decimals import ZERO
from projections.view import SHARED, Lens
from projections.views.contracts.view import Contract, ContractsState, ContractsView
from projections.views.executions.fold import VIEW, Holding, PositionsState
from projections.views.executions.ledger_entry import LedgerEntry


class PnlTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What was made in one currency: realized (first in, first out) before fees, and `net` of them.

    `trades` counts fills, `volume` is the sum of their quantities. `symbol` and `side` are None where it is of all.
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
    """What points of each symbol are worth: its contract's multiplier, in its currency.

    A contract that names no currency is in the account's own, and a fee that names none is in its contract's.
    """

    def __init__(self, lens: Lens, own: str | None) -> None:
        self.own = own
        self._contracts: ContractsState | None = lens.state(ContractsView.name, SHARED)

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
    """Return money per point and unit; raise UnknownContract: a silent 1 would be a wrong figure."""
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
    """Return what these entries come to in each currency, sorted, each symbol and side apart where asked.

    Callers have set the context of projections.decimals.FIXED.
    """
    purses: dict[tuple[str, str, str | None], _CurrencyTotals] = {}
    for key, entry in entries:
        symbol, _, side = key.partition("\0")
        contract = rates.find(symbol)
        currency = rates.currency_of(contract)
        place = (symbol, side) if by_symbol else ("", "")
        purse = purses.setdefault((*place, currency), _CurrencyTotals())
        if entry.points or entry.points_average_cost:
            worth = multiplier(symbol, contract)
            purse.realized += entry.points * worth
            purse.average_cost += entry.points_average_cost * worth
        purse.trades += entry.fills
        purse.volume += entry.volume
        for named, amount in entry.fees:
            charged = named or currency
            other = purse if charged == currency else purses.setdefault((*place, charged), _CurrencyTotals())
            other.fees += amount
    return tuple(_made(*place, purses[place]) for place in sorted(purses, key=_order))


def _order(place: tuple[str, str, str | None]) -> tuple[str, str, str]:
    symbol, side, currency = place
    return symbol, side, currency or ""


def _made(symbol: str, side: str, currency: str | None, purse: _CurrencyTotals) -> PnlTotals:
    return PnlTotals(
        currency=currency,
        realized=purse.realized,
        fees=purse.fees,
        net=purse.realized - purse.fees,
        realized_average_cost=purse.average_cost,
        net_average_cost=purse.average_cost - purse.fees,
        trades=purse.trades,
        volume=purse.volume,
        symbol=symbol or None,
        side=PositionSide(side) if side else None,
    )


def holdings_of(lens: Lens, account: str) -> list[Holding]:
    """Return what the account holds or ever held, each as it stands: sorted by nothing."""
    state: PositionsState | None = lens.state(VIEW, account)
    return [] if state is None else list(state.holdings.values())


def since_inception(lens: Lens, account: str) -> list[tuple[str, LedgerEntry]]:
    """Return what every position has realized and cost since the account's first event, without counts."""
    state: PositionsState | None = lens.state(VIEW, account)
    if state is None:
        return []
    entries = [
        (key, LedgerEntry(holding.figures.realized_points, holding.figures.realized_points_average_cost, holding.fees))
        for key, holding in list(state.holdings.items())
    ]
    return [*entries, ("\0", LedgerEntry(fees=state.fees))] if state.fees else entries
