"""CCXT's ledger: what its entries say that trades do not is cash that moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import CashKind
from gateways.messages.binance.words import FUNDING, INCOME, INCOME_LEFT_OUT, reference_of
from gateways.messages.ccxt.cash import cash, fee_events, is_settled, unknown_cash
from gateways.messages.ccxt.settings import LedgerFee
from gateways.messages.ccxt.trades import time_of
from gateways.messages.exchanges import code_of, number

if TYPE_CHECKING:
    from decimal import Decimal

    from gateways.messages.ccxt.settings import CcxtSettings
    from gateways.messages.fields import MessageFields
    from gateways.messages.mapped import MappedEvent

KIND = "LedgerEntry"
FIELDS = {
    "id": "CashMoved.reference",
    "timestamp": "occurred_at",
    "datetime": "occurred_at",
    "direction": "CashMoved.amount: its sign",
    "type": "CashMoved.kind",
    "currency": "CashMoved.currency",
    "amount": "CashMoved.amount",
    "status": "only what is ok moves cash",
    "fee": "CashMoved of kind FEE: the amount does not include it",
    "info": "Binance's incomeType, which says more than the type",
}
LEFT_OUT = {
    "account": "the exchange's id of the account that the mapping is for",
    "referenceId": "the entry's own id identifies it",
    "referenceAccount": "whose account is the other one changes no figure",
    "before": "the balance's own messages state it",
    "after": "the balance's own messages state it",
}
_REPEATS = "trades state the same"
TYPES_LEFT_OUT = {"trade": _REPEATS, "commission": _REPEATS, "margin": "collateral stays in the account"}
"""The unified types of entries that are left out, and why."""
TYPES = {
    "deposit": CashKind.DEPOSIT,
    "withdrawal": CashKind.WITHDRAWAL,
    "transfer": CashKind.TRANSFER,
    "funding": CashKind.FUNDING,
    "interest": CashKind.INTEREST,
    "rebate": CashKind.FEE,
    "cashback": CashKind.FEE,
    "referral": CashKind.FEE,
}
"""The unified types that are cash of one kind. A `transaction` is a deposit or a withdrawal, by its direction."""
_SIGNS = {"in": 1, "out": -1}
_BY_DIRECTION = {1: "deposit", -1: "withdrawal"}


def ledger_events(settings: CcxtSettings, fields: MessageFields) -> tuple[MappedEvent, ...]:
    """Return the cash that moved and its fee; nothing for what trades state, a note for a type that is unknown."""
    if not is_settled(fields):
        return ()
    income = _income_of(fields)
    word = fields.optional_text("type") or ""
    if income in INCOME_LEFT_OUT or (income is None and _repeats_trades(settings, word)):
        return ()
    sign, at = fields.choice("direction", _SIGNS), time_of(fields)
    if income is None and word == "transaction":
        word = _BY_DIRECTION[sign]
    kind = _kind_of(settings, word) if income is None else INCOME.get(income)
    if kind is None:
        return (unknown_cash(settings, fields, at),)
    reference = reference_of(_name_of(kind, word) if income is None else income, fields.identity("id"))
    moved = (kind, _amount(kind, sign, number(fields, "amount")), code_of(fields, "currency", settings.codes))
    return cash(settings, fields, moved, reference, at), *fee_events(settings, fields, reference, at)


def _income_of(fields: MessageFields) -> str | None:
    """Return the word of Binance's income history that an entry was made of: CCXT calls funding a fee."""
    info = fields.get("info")
    return fields.inner("info").optional_text("incomeType") if isinstance(info, dict) else None


def _repeats_trades(settings: CcxtSettings, word: str) -> bool:
    return word in TYPES_LEFT_OUT or (word == "fee" and settings.ledger_fee is LedgerFee.OF_TRADES)


def _kind_of(settings: CcxtSettings, word: str) -> CashKind | None:
    if word != "fee":
        return TYPES.get(word)
    of_fees = {LedgerFee.FUNDING: CashKind.FUNDING, LedgerFee.OTHER: CashKind.FEE}
    return None if settings.ledger_fee is None else of_fees.get(settings.ledger_fee)


def _name_of(kind: CashKind, word: str) -> str:
    """Return the type before an entry's id. Funding has the one that the history of funding gives it."""
    return FUNDING if kind is CashKind.FUNDING else word


def _amount(kind: CashKind, sign: int, amount: Decimal) -> Decimal:
    """Return the amount with its sign; of a fee it is what was paid."""
    received = abs(amount) * sign
    return -received if kind is CashKind.FEE else received
