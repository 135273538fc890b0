"""An account's balance by currency, with its status: cash, and what was realized less fees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from projections.valuation import KNOWN, Standing
from projections.views.accounts import cash_by_currency, configuration_of, own_currency
from projections.views.executions.pnl_totals import Rates, since_inception
from projections.views.period_sums import sums_of
from projections.views.valuing import Amounts, added

if TYPE_CHECKING:
    from projections.view import BookReader


class Balances(msgspec.Struct, frozen=True):
    """Balances by currency; `standing` is UNKNOWN if something was realized in a contract without a multiplier."""

    amounts: Amounts
    standing: Standing = KNOWN


def balances_of(book: BookReader, account: str) -> Balances:
    """Return an account's balances; callers have set the context of projections.decimals.FIXED."""
    own = own_currency(book, account)
    sums = sums_of(since_inception(book, account), Rates(book, own, configuration_of(book, account).cost))
    fees = {currency: -amount for currency, amount in sums.fees.items()}
    # Cash that counts as a day's result is in the account's cash already.
    return Balances(added(cash_by_currency(book, account, own), sums.realized, fees), sums.standing)
