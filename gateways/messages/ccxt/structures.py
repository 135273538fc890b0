"""Which of CCXT's structures a message is: by its name, or by the members that only that structure has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from gateways.messages.ccxt import balances, cash, ledger, liquidations, markets, orders, positions, trades
from gateways.messages.ccxt.settings import CcxtSettings
from gateways.messages.fields import MessageFields
from gateways.messages.mapped import MappedEvent, Unmapped

if TYPE_CHECKING:
    from gateways.messages.mapped import FieldNames

Events: TypeAlias = Callable[[CcxtSettings, MessageFields], tuple[MappedEvent, ...]]

STRUCTURES: Mapping[str, Events] = {
    trades.KIND: trades.trade_events,
    orders.KIND: orders.order_events,
    positions.KIND: positions.position_events,
    balances.KIND: balances.balance_events,
    markets.KIND: markets.market_events,
    ledger.KIND: ledger.ledger_events,
    cash.FUNDING: cash.funding_events,
    cash.TRANSACTION: cash.transaction_events,
    cash.TRANSFER: cash.transfer_events,
    liquidations.KIND: liquidations.liquidation_events,
}
"""What each of CCXT's structures becomes, by the name that CCXT's `types` has for it."""
FIELDS: FieldNames = {
    trades.KIND: trades.FIELDS,
    orders.KIND: orders.FIELDS,
    positions.KIND: positions.FIELDS,
    balances.KIND: balances.FIELDS,
    markets.KIND: markets.FIELDS,
    ledger.KIND: ledger.FIELDS,
    cash.FUNDING: cash.FUNDING_FIELDS,
    cash.TRANSACTION: cash.TRANSACTION_FIELDS,
    cash.TRANSFER: cash.TRANSFER_FIELDS,
    liquidations.KIND: liquidations.FIELDS,
}
LEFT_OUT: FieldNames = {
    trades.KIND: trades.LEFT_OUT,
    orders.KIND: orders.LEFT_OUT,
    positions.KIND: positions.LEFT_OUT,
    balances.KIND: balances.LEFT_OUT,
    markets.KIND: markets.LEFT_OUT,
    ledger.KIND: ledger.LEFT_OUT,
    cash.FUNDING: cash.FUNDING_LEFT_OUT,
    cash.TRANSACTION: cash.TRANSACTION_LEFT_OUT,
    cash.TRANSFER: cash.TRANSFER_LEFT_OUT,
    liquidations.KIND: liquidations.LEFT_OUT,
}
_MARKS: tuple[tuple[str, frozenset[str]], ...] = (
    (trades.KIND, frozenset({"id", "order", "takerOrMaker", "price", "amount"})),
    (orders.KIND, frozenset({"id", "status", "filled", "remaining"})),
    (liquidations.KIND, frozenset({"symbol", "baseValue", "quoteValue"})),
    (positions.KIND, frozenset({"symbol", "contracts", "entryPrice"})),
    (markets.KIND, frozenset({"symbol", "base", "quote", "precision"})),
    (ledger.KIND, frozenset({"id", "direction", "referenceId"})),
    (cash.TRANSACTION, frozenset({"id", "txid", "type", "amount"})),
    (cash.TRANSFER, frozenset({"id", "fromAccount", "toAccount"})),
    (cash.FUNDING, frozenset({"symbol", "code", "amount"})),
    (balances.KIND, frozenset({"free", "used", "total"})),
)
_ENVELOPE = frozenset({"kind", "data"})


def opened(source: str, message: object) -> tuple[str, MessageFields]:
    """Return a message's structure and its fields: of `{"kind": "Trade", "data": {…}}`, or of a structure by itself."""
    whole = MessageFields(source, "message", message)
    if whole.fields.keys() == _ENVELOPE:
        kind = whole.choice("kind", {name: name for name in STRUCTURES})
        return kind, MessageFields(source, kind, whole.get("data"), message)
    found = [kind for kind, marks in _MARKS if marks <= whole.fields.keys()]
    if len(found) != 1:
        which = " and ".join(found) or "none of them"
        why = f"it has the members of {which}: give it as {{'kind': …, 'data': …}} with one of {', '.join(STRUCTURES)}"
        raise Unmapped(source, "message", why, message)
    return found[0], MessageFields(source, found[0], message)
