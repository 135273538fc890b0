"""CCXT's funding payments, deposits, withdrawals and transfers: each is cash that moved, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import CashKind, CashMoved
from gateways.messages.binance.words import FUNDING as FUNDING_FEE
from gateways.messages.binance.words import reference_of
from gateways.messages.ccxt.names import symbol_of
from gateways.messages.ccxt.trades import time_of
from gateways.messages.exchanges import code_of, mapped_once, noted, number, optional_code, optional_number

if TYPE_CHECKING:
    from decimal import Decimal

    from gateways.messages.ccxt.settings import CcxtSettings
    from gateways.messages.fields import MessageFields
    from gateways.messages.mapped import MappedEvent

FUNDING, TRANSACTION, TRANSFER = "FundingHistory", "Transaction", "TransferEntry"
_ADDRESS = "which address it came from or went to changes no figure"
_OWN_FORM = "the exchange's own form of the same"
FUNDING_FIELDS = {
    "symbol": "CashMoved.reference, where no id is stated",
    "code": "CashMoved.currency",
    "timestamp": "occurred_at",
    "datetime": "occurred_at",
    "id": "CashMoved.reference",
    "amount": "CashMoved.amount, of kind FUNDING",
}
FUNDING_LEFT_OUT = {
    "rate": "the amount is what was paid",
    "type": "every kind of funding is FUNDING",
    "info": _OWN_FORM,
}
TRANSACTION_FIELDS = {
    "id": "CashMoved.reference",
    "timestamp": "occurred_at",
    "datetime": "occurred_at",
    "type": "CashMoved.kind",
    "amount": "CashMoved.amount",
    "currency": "CashMoved.currency",
    "status": "only what is ok moves cash",
    "fee": "CashMoved of kind FEE: the amount does not include it",
    "fee.currency": "CashMoved.currency",
    "fee.cost": "CashMoved.amount",
}
TRANSACTION_LEFT_OUT = {
    "txid": "a chain's id of what the exchange's id identifies; it may be missing, or come later",
    "address": _ADDRESS,
    "addressFrom": _ADDRESS,
    "addressTo": _ADDRESS,
    "tag": _ADDRESS,
    "tagFrom": _ADDRESS,
    "tagTo": _ADDRESS,
    "network": _ADDRESS,
    "internal": _ADDRESS,
    "updated": "cash moved when it was sent",
    "comment": "text of a person's own",
    "fee.rate": "the cost is what was paid",
    "info": _OWN_FORM,
}
TRANSFER_FIELDS = {
    "id": "CashMoved.reference",
    "timestamp": "occurred_at",
    "datetime": "occurred_at",
    "currency": "CashMoved.currency",
    "amount": "CashMoved.amount, below zero where it leaves the wallet",
    "fromAccount": "CashMoved.amount, by the setting wallet",
    "toAccount": "CashMoved.amount, by the setting wallet",
    "status": "only what is ok moves cash",
}
TRANSFER_LEFT_OUT = {"info": _OWN_FORM}
_MOVES = {"deposit": CashKind.DEPOSIT, "withdrawal": CashKind.WITHDRAWAL}
_SETTLED, _UNSETTLED = "ok", frozenset({"pending", "failed", "canceled"})


def funding_events(settings: CcxtSettings, fields: MessageFields) -> tuple[MappedEvent, ...]:
    """Return the payment: above zero what was received."""
    at, id_ = time_of(fields), fields.optional_identity("id")
    if id_ is None:
        if at is None:
            fields.refuse("id", "identifies no payment, and no time does")
        id_ = f"{symbol_of(settings, fields)} {at}"
    kind, code = CashKind.FUNDING, code_of(fields, "code", settings.codes)
    return (cash(settings, fields, (kind, number(fields, "amount"), code), reference_of(FUNDING_FEE, id_), at),)


def transaction_events(settings: CcxtSettings, fields: MessageFields) -> tuple[MappedEvent, ...]:
    """Return the deposit or withdrawal, and its fee."""
    if not is_settled(fields):
        return ()
    at, kind = time_of(fields), fields.optional_choice("type", _MOVES)
    if kind is None:
        return (unknown_cash(settings, fields, at),)
    reference = reference_of(fields.text("type"), fields.identity("id"))
    moved = (kind, abs(number(fields, "amount")), code_of(fields, "currency", settings.codes))
    return cash(settings, fields, moved, reference, at), *fee_events(settings, fields, reference, at)


def transfer_events(settings: CcxtSettings, fields: MessageFields) -> tuple[MappedEvent, ...]:
    """Return the transfer into or out of the account's wallet; nothing for one between other wallets."""
    if not is_settled(fields):
        return ()
    if settings.wallet is None:
        fields.refuse("toAccount", "may be this account or not: state the setting wallet, such as swap or spot")
    source, target = fields.optional_text("fromAccount"), fields.optional_text("toAccount")
    arrives, leaves = target == settings.wallet, source == settings.wallet
    if arrives is leaves:
        return ()
    amount, code = abs(number(fields, "amount")), code_of(fields, "currency", settings.codes)
    moved = (CashKind.TRANSFER, amount if arrives else -amount, code)
    return (cash(settings, fields, moved, reference_of("transfer", fields.identity("id")), time_of(fields)),)


def is_settled(fields: MessageFields) -> bool:
    """Return whether cash has moved: what is pending comes again, and what failed never moved any."""
    status = fields.optional_text("status")
    if status is None or status == _SETTLED:
        return True
    if status not in _UNSETTLED:
        fields.refuse("status", "is unknown: expected ok, pending, failed or canceled")
    return False


def cash(
    settings: CcxtSettings,
    fields: MessageFields,
    moved: tuple[CashKind, Decimal, str],
    reference: str,
    at: int | None,
) -> MappedEvent:
    """Return cash that moved: kind, amount and currency. The reference identifies it, whatever tells of it."""
    kind, amount, code = moved
    event = CashMoved(amount=amount, currency=code, kind=kind, reference=reference)
    return mapped_once(fields, settings.account_stream, event, f"cash:{reference}", at)


def fee_events(
    settings: CcxtSettings, fields: MessageFields, reference: str, at: int | None
) -> tuple[MappedEvent, ...]:
    """Return the fee that was paid beside an amount, if one is stated."""
    fee = fields.inner("fee") if fields.get("fee") is not None else None
    cost = None if fee is None else optional_number(fee, "cost")
    if fee is None or not cost:
        return ()
    code = optional_code(fee, "currency", settings.codes) or code_of(fields, "currency", settings.codes)
    return (cash(settings, fields, (CashKind.FEE, cost, code), f"{reference}:fee", at),)


def unknown_cash(settings: CcxtSettings, fields: MessageFields, at: int | None) -> MappedEvent:
    """Return a note of cash of which it is not known why it moved: the balance differs until somebody records it."""
    figures = " ".join(f"{name}={fields.get(name)!s:.80}" for name in ("id", "type", "direction", "amount", "currency"))
    text = f"not recorded as cash, because the type of it is unknown: {figures}"
    return noted(fields, settings.account_stream, text, "unknown-cash", at)
