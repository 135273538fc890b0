"""What an account has realized, by currency: in a trading day or week, or since its first event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from projections.decimals import ZERO
from projections.valuation import KNOWN, Standing, unknown, worst
from projections.views.accounts import account_rates
from projections.views.executions.pnl_totals import currency_sums
from projections.views.executions.state import VIEW
from projections.views.valuing import Amounts, added

if TYPE_CHECKING:
    from collections.abc import Iterable

    from projections.view import BookReader
    from projections.views.executions.ledger_entry import LedgerEntry
    from projections.views.executions.pnl_totals import Rates
    from projections.views.executions.state import ExecutionsState


class PeriodSums(msgspec.Struct, frozen=True):
    """Realized results before fees, fees, and cash that counts as a result, each by currency.

    `standing` is UNKNOWN if a contract's multiplier is not known: its part is left out. `unpriced` are the symbols in
    which a change of position had no price, `uncertain_fees` those in which a trade was reported with several fees.
    """

    realized: Amounts = {}
    fees: Amounts = {}
    cash: Amounts = {}
    standing: Standing = KNOWN
    unpriced: tuple[str, ...] = ()
    uncertain_fees: tuple[str, ...] = ()

    def amounts(self, *, net: bool) -> Amounts:
        """Return the result by currency, before fees or net of them."""
        gross = added(self.realized, self.cash) if self.cash else self.realized
        if not net or not self.fees:
            return gross
        return added(gross, {currency: -amount for currency, amount in self.fees.items()})


NO_SUMS = PeriodSums()


def sums_of(entries: Iterable[tuple[str, LedgerEntry]], rates: Rates) -> PeriodSums:
    """Return the sums of ledger entries, realized by the account's method.

    Callers have set the context of projections.decimals.FIXED.
    """
    known, unpriced, uncertain, missing = [], [], [], []
    for key, entry in entries:
        symbol, _, _, multiplier = rates.known.get(key) or rates.of_key(key)
        if entry.unpriced:
            unpriced.append(symbol)
        if entry.uncertain_fees:
            uncertain.append(symbol)
        # A symbol without a multiplier must not hide what all others lost.
        if multiplier is None and rates.points(entry):
            missing.append(symbol)
        known.append((key, entry if multiplier is not None else _without_points(entry)))
    realized: Amounts = {}
    fees: Amounts = {}
    cash: Amounts = {}
    for currency, total in currency_sums(known, rates):
        realized[currency] = total.result(rates.cost)
        if total.fees:
            fees[currency] = total.fees
        if total.cash:
            cash[currency] = total.cash
    sums = PeriodSums(realized, fees, cash)
    return sums if not (missing or unpriced or uncertain) else _marked(sums, missing, unpriced, uncertain)


def _marked(sums: PeriodSums, missing: list[str], unpriced: list[str], uncertain: list[str]) -> PeriodSums:
    """Return sums with the symbols that leave them uncertain."""
    standing = worst([unknown(f"the multiplier of {symbol} is not known") for symbol in _names(missing)])
    return replace(sums, standing=standing, unpriced=_names(unpriced), uncertain_fees=_names(uncertain))


def _without_points(entry: LedgerEntry) -> LedgerEntry:
    """Return an entry as if it had made nothing, by either method."""
    if not entry.points and not entry.points_average_cost:
        return entry
    return replace(entry, points=ZERO, points_average_cost=ZERO)


def day_sums(book: BookReader, account: str, at: int) -> PeriodSums:
    """Return the sums of the trading day that an instant lies in, as sessions state it, else of the date in UTC."""
    state: ExecutionsState | None = book.state(VIEW, account)
    if state is None:
        return NO_SUMS
    return sums_of(state.ledger.at(at).items(), account_rates(book, account))


def _names(symbols: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(symbols)))
