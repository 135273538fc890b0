"""An account's balance by currency, with its status: cash, and what was realized less fees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from projections.valuation import KNOWN, Standing
from projections.views.accounts import account_rates, cash_by_currency
from projections.views.executions.pnl_totals import since_inception
from projections.views.period_sums import sums_of
from projections.views.valuing import Amounts, added

if TYPE_CHECKING:
    from projections.view import BookReader
    from projections.views.executions.pnl_totals import Rates


class Balances(msgspec.Struct, frozen=True):
    """Balances by currency; `standing` is UNKNOWN if something was realized in a contract without a multiplier."""

    amounts: Amounts
    standing: Standing = KNOWN


def balances_of(book: BookReader, account: str, known_rates: Rates | None = None) -> Balances:
    """Return an account's balances; callers have set the context of projections.decimals.FIXED."""
    rates = known_rates or account_rates(book, account)
    sums = sums_of(since_inception(book, account, rates), rates)
    fees = {currency: -amount for currency, amount in sums.fees.items()}
    # Cash that counts as a day's result is in the account's cash already.
    return Balances(added(cash_by_currency(book, account, rates.own), sums.realized, fees), sums.standing)
