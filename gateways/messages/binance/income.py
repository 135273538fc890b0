"""Binance's income history: what its entries say that executions do not is cash that moved.

Binance API documentation, USD-M Futures, "Get Income History".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import CashKind, CashMoved
from gateways.messages.binance.words import INCOME, INCOME_LEFT_OUT, reference_of
from gateways.messages.exchanges import code_of, mapped_once, newest, noted, number

if TYPE_CHECKING:
    from gateways.messages.binance.settings import BinanceSettings
    from gateways.messages.fields import MessageFields
    from gateways.messages.mapped import MappedEvent

KIND = "income"
FIELDS = {
    "incomeType": "CashMoved.kind",
    "income": "CashMoved.amount; of a fee what was paid",
    "asset": "CashMoved.currency",
    "time": "occurred_at",
    "tranId": "CashMoved.reference, with the type: an id is unique within one",
}
LEFT_OUT = {
    "symbol": "cash belongs to the account",
    "info": "a text of the exchange about the same",
    "tradeId": "entries of trades are left out: the executions say the same",
}


def income_events(settings: BinanceSettings, fields: MessageFields) -> tuple[MappedEvent, ...]:
    """Return the cash that moved; nothing for what executions state, a note for a type that is unknown."""
    word, at = fields.text("incomeType"), newest(fields, "time")
    if word in INCOME_LEFT_OUT:
        return ()
    kind = INCOME.get(word)
    if kind is None:
        figures = " ".join(f"{name}={fields.get(name)!s:.80}" for name in ("incomeType", "income", "asset", "tranId"))
        text = f"not recorded as cash, because the type of it is unknown: {figures}"
        return (noted(fields, settings.account_stream, text, "unknown-cash", at),)
    income = number(fields, "income")
    reference = reference_of(word, fields.identity("tranId"))
    event = CashMoved(
        amount=-income if kind is CashKind.FEE and income else income,
        currency=code_of(fields, "asset", settings.codes),
        kind=kind,
        reference=reference,
    )
    return (mapped_once(fields, settings.account_stream, event, f"cash:{reference}", at),)
