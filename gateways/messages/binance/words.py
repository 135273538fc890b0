"""Binance's words for income: which are cash of what kind, and which repeat what trades say.

Binance API documentation, USD-M Futures, "Get Income History".
"""

from __future__ import annotations

from eventstore.trading import CashKind

FUNDING = "FUNDING_FEE"
"""The type of funding payments, under which CCXT's own history of them is recorded as well."""

INCOME = {
    "TRANSFER": CashKind.TRANSFER,
    "INTERNAL_TRANSFER": CashKind.TRANSFER,
    "CROSS_COLLATERAL_TRANSFER": CashKind.TRANSFER,
    "STRATEGY_UMFUTURES_TRANSFER": CashKind.TRANSFER,
    # One coin for another: both legs come.
    "AUTO_EXCHANGE": CashKind.TRANSFER,
    "COIN_SWAP_DEPOSIT": CashKind.TRANSFER,
    "COIN_SWAP_WITHDRAW": CashKind.TRANSFER,
    # Given by the exchange: capital, no result of trading.
    "WELCOME_BONUS": CashKind.TRANSFER,
    "CONTEST_REWARD": CashKind.TRANSFER,
    FUNDING: CashKind.FUNDING,
    "SPECIAL_FUNDING_FEE": CashKind.FUNDING,
    "BFUSD_REWARD": CashKind.INTEREST,
    # The insurance fund takes what a liquidation leaves.
    "INSURANCE_CLEAR": CashKind.FEE,
    "REFERRAL_KICKBACK": CashKind.FEE,
    "COMMISSION_REBATE": CashKind.FEE,
    "API_REBATE": CashKind.FEE,
    "FEE_RETURN": CashKind.FEE,
    "POSITION_LIMIT_INCREASE_FEE": CashKind.FEE,
    # Options that no other message is about: their results come as income alone.
    "OPTIONS_PREMIUM_FEE": CashKind.FEE,
    "OPTIONS_SETTLE_PROFIT": CashKind.FEE,
}
"""The types of income that are cash. A FEE's amount is what was paid: a rebate, or a profit, is below zero."""

INCOME_LEFT_OUT = {
    "REALIZED_PNL": "the executions say it: each would count twice",
    "COMMISSION": "the executions state their commissions: each would count twice",
    "DELIVERED_SETTELMENT": "the executions of the delivery say it: it would count twice",
}
"""The types of income that are left out, and why."""


def reference_of(word: str, id_: str) -> str:
    """Return what identifies cash, in messages as in exported files: an id is unique within its type."""
    return f"{word}-{id_}"
