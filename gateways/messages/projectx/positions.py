"""What the gateway says of an account's positions, and of those that its answer does not name."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from eventstore.trading import PositionReported
from gateways.messages.mapped import MappedEvent
from gateways.messages.projectx.codes import DELETED, POSITION_SIGNS

if TYPE_CHECKING:
    from gateways.messages.fields import MessageFields
    from gateways.messages.projectx.settings import Settings
    from projections.builtin import BuiltinQueries

FIELDS = {
    "accountId": "the stream's account",
    "contractId": "PositionReported.symbol",
    "type": "PositionReported.quantity: its sign",
    "size": "PositionReported.quantity",
    "averagePrice": "PositionReported.average_price",
}
LEFT_OUT = {
    "id": "the stream is named by account and contract, of which there is one position",
    "creationTimestamp": "when the position was opened, not when it became this size; the report is of when it comes",
}


def position_events(position: MessageFields, settings: Settings, action: object = None) -> tuple[MappedEvent, ...]:
    """Return the report of a position; one of size 0, or one that was taken away, is closed."""
    symbol = settings.symbol(position.identity("contractId"))
    stream = position.stream("position", settings.account(position.identity("accountId")), symbol)
    size = Decimal(0) if action == DELETED else position.decimal("size")
    if size < 0:
        position.refuse("size", "is below zero: type says which side a position is on")
    quantity = size * position.choice("type", POSITION_SIGNS) if size else size
    average = position.optional_decimal("averagePrice") if size else None
    report = PositionReported(symbol=symbol, quantity=quantity, average_price=average)
    return (MappedEvent(stream, report, None, None),)


def with_closed_positions(
    book: BuiltinQueries, settings: Settings, account_id: object, answer: Mapping[str, object]
) -> dict[str, object]:
    """Return an answer of Position/searchOpen with the positions that it implies to be closed, as ones of size 0.

    It names open positions alone, and so says of every other one that the book holds, or that was reported, that it is
    closed. An answer without a list, as of a request that failed, says nothing.
    """
    positions = answer.get("positions")
    if answer.get("success") is False or not isinstance(positions, list):
        return dict(answer)
    named = {each.get("contractId") for each in positions if isinstance(each, Mapping)}
    symbols = {settings.symbol(str(each)) for each in named}
    closed = []
    for held in book.positions.of(settings.account(str(account_id))):
        contract = book.contracts.find(held.symbol)
        names = {held.symbol, *(contract.broker_ids if contract is not None else ())}
        if (held.quantity or held.reported) and not names & (named | symbols):
            closed.append({"accountId": account_id, "contractId": held.symbol, "size": 0})
    return {**answer, "positions": [*positions, *closed]}
