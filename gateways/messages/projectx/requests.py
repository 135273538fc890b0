"""What became of a request: the answers to Order/place, Order/modify and Order/cancel, beside the request itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import (
    OrderAccepted,
    OrderCancelRejected,
    OrderRejected,
    OrderReplaced,
    OrderReplaceRejected,
    OrderReported,
)
from gateways.messages.mapped import MappedEvent
from gateways.messages.projectx.codes import PLACE_ERRORS

if TYPE_CHECKING:
    from eventstore import Event
    from gateways.messages.fields import MessageFields
    from gateways.messages.projectx.settings import Settings

REASON_MAX = 500
REQUEST_FIELDS = {
    "accountId": "the stream's account",
    "customTag": "the order's id here (Order/place)",
    "orderId": "the order (Order/modify, Order/cancel)",
    "size": "OrderReplaced.quantity (Order/modify)",
    "limitPrice": "OrderReplaced.limit_price (Order/modify)",
    "stopPrice": "OrderReplaced.stop_price (Order/modify)",
}
REQUEST_LEFT_OUT = {
    "contractId": "OrderSubmitted, recorded before the order is sent, says it",
    "type": "OrderSubmitted says it",
    "side": "OrderSubmitted says it",
    "trailPrice": "the vocabulary has no report of where a trailing stop begins",
    "stopLossBracket": "its order comes as a message of its own",
    "takeProfitBracket": "its order comes as a message of its own",
}
ANSWER_FIELDS = {
    "orderId": "OrderAccepted.broker_order_id",
    "success": "OrderAccepted, OrderReplaced, or their rejection",
    "errorCode": "reason of the rejection; OrderReported.raw_status where an order may work all the same",
    "errorMessage": "reason of the rejection",
}


def place_events(request: MessageFields, answer: MessageFields, settings: Settings) -> tuple[MappedEvent, ...]:
    """Return what the answer to Order/place says of an order that was sent with a tag."""
    tag = request.identity("customTag")
    stream = request.stream("order", settings.account(request.identity("accountId")), tag)
    if answer.optional_flag("success"):
        broker_id = answer.identity("orderId")
        return (MappedEvent(stream, OrderAccepted(broker_order_id=broker_id), f"projectx {broker_id} accepted", None),)
    code = answer.get("errorCode")
    name = PLACE_ERRORS.get(code) if type(code) is int else None
    if name is None:
        # It may work or not: what is asked for next says so.
        return (MappedEvent(stream, OrderReported(raw_status=f"Order/place failed: {_reason(answer)}"), None, None),)
    event = OrderRejected(reason=f"{name}: {_reason(answer)}")
    return (MappedEvent(stream, event, f"projectx {tag} rejected", None),)


def modify_events(request: MessageFields, answer: MessageFields, settings: Settings) -> tuple[MappedEvent, ...]:
    """Return what the answer to Order/modify says."""
    size = request.optional_decimal("size")
    event: Event = OrderReplaced(
        quantity=size or None,
        limit_price=request.optional_decimal("limitPrice"),
        stop_price=request.optional_decimal("stopPrice"),
    )
    if not answer.optional_flag("success"):
        event = OrderReplaceRejected(reason=_reason(answer))
    return (_of_order(request, event, settings),)


def cancel_events(request: MessageFields, answer: MessageFields, settings: Settings) -> tuple[MappedEvent, ...]:
    """Return what the answer to Order/cancel says; that an order is cancelled, its own message says."""
    if answer.optional_flag("success"):
        return ()
    return (_of_order(request, OrderCancelRejected(reason=_reason(answer)), settings),)


def _of_order(request: MessageFields, event: Event, settings: Settings) -> MappedEvent:
    account, order_id = settings.account(request.identity("accountId")), request.identity("orderId")
    return MappedEvent(request.stream("order", account, order_id), event, None, None)


def _reason(answer: MessageFields) -> str:
    return " ".join(word for name in ("errorCode", "errorMessage") if (word := answer.as_word(name)))[:REASON_MAX]
