"""Orders: each message is a report of the order, and the transition that it states, if it is one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from eventstore.errors import InvalidEvent
from eventstore.events import encode
from eventstore.trading import (
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderRejected,
    OrderReported,
    OrderStatus,
)
from gateways.messages.mapped import MappedEvent
from gateways.messages.projectx.codes import ORDER_TYPES, SIDES, STATUSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventstore import Event
    from gateways.messages.fields import MessageFields
    from gateways.messages.projectx.settings import Settings

FIELDS = {
    "id": "OrderReported.broker_order_id",
    "accountId": "the stream's account",
    "contractId": "OrderReported.symbol",
    "creationTimestamp": "occurred_at, where the order was not updated",
    "updateTimestamp": "occurred_at, and OrderReported.updated_at",
    "status": "OrderReported.status and raw_status; OrderAccepted, OrderCanceled, OrderExpired, OrderRejected",
    "type": "OrderReported.order_type",
    "side": "OrderReported.side",
    "size": "OrderReported.quantity",
    "limitPrice": "OrderReported.limit_price",
    "stopPrice": "OrderReported.stop_price",
    "fillVolume": "OrderReported.filled_quantity",
    "filledPrice": "OrderReported.average_fill_price",
    "customTag": "the order's id here, and so its stream",
    "parentOrderId": "OrderReported.parent_order_id",
    "linkedOrderId": "OrderReported.link_group",
}
LEFT_OUT = {
    "symbolId": "names the product; contractId names the contract",
    "trailDistance": "the vocabulary has no report of a trailing stop's distance; stopPrice is where it stands",
    "trailPrice": "where the trailing stop began; stopPrice is where it stands",
}

RAW_MAX = 200
_SIDES_AND_TYPES: tuple[tuple[str, Mapping[int | str, object]], ...] = (("side", SIDES), ("type", ORDER_TYPES))
_TRANSITIONS: dict[OrderStatus, type[Event]] = {
    OrderStatus.CANCELED: OrderCanceled,
    OrderStatus.EXPIRED: OrderExpired,
    OrderStatus.REJECTED: OrderRejected,
}


def order_events(order: MessageFields, settings: Settings) -> tuple[MappedEvent, ...]:
    """Return the events of an order as the user hub and Order/search state it."""
    broker_id, tag = order.identity("id"), order.optional_text("customTag")
    stream = order.stream("order", settings.account(order.identity("accountId")), tag or broker_id)
    updated, created = order.optional_instant("updateTimestamp"), order.optional_instant("creationTimestamp")
    report = _report(order, broker_id, updated, settings)
    at = updated or created
    key = f"projectx {broker_id} {at} {_digest(order, report)}" if updated else None
    events: list[MappedEvent] = []
    if report.status in {OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED}:
        accepted = OrderAccepted(broker_order_id=broker_id)
        events.append(MappedEvent(stream, accepted, f"projectx {broker_id} accepted", at))
    events.append(MappedEvent(stream, report, key, at))
    if report.status in _TRANSITIONS:
        ended = _TRANSITIONS[report.status]()
        events.append(MappedEvent(stream, ended, f"projectx {broker_id} {report.status}", at))
    return tuple(events)


def _report(order: MessageFields, broker_id: str, updated: int | None, settings: Settings) -> OrderReported:
    size, filled = order.optional_decimal("size"), order.optional_decimal("fillVolume")
    for name, quantity in (("size", size), ("fillVolume", filled)):
        if quantity is not None and quantity < 0:
            order.refuse(name, "is below zero")
    status = order.optional_choice("status", STATUSES) or OrderStatus.UNKNOWN
    if status is OrderStatus.NEW and filled:
        status = OrderStatus.PARTIALLY_FILLED
    linked = order.optional_identity("linkedOrderId")
    return OrderReported(
        status=status,
        raw_status=_raw_status(order),
        broker_order_id=broker_id,
        symbol=settings.symbol(order.identity("contractId")),
        side=order.optional_choice("side", SIDES),
        order_type=order.optional_choice("type", ORDER_TYPES),
        quantity=size or None,
        filled_quantity=filled,
        average_fill_price=order.optional_decimal("filledPrice") if filled else None,
        limit_price=order.optional_decimal("limitPrice"),
        stop_price=order.optional_decimal("stopPrice"),
        updated_at=updated,
        parent_order_id=order.optional_identity("parentOrderId"),
        # Both orders of a pair give the same name, whichever of them is reported first.
        link_group=None if linked is None else "projectx " + "-".join(sorted({broker_id, linked})),
    )


def _raw_status(order: MessageFields) -> str | None:
    """Return the status as it is, and with it the side and the type where these are unknown."""
    status = order.as_word("status")
    parts = [] if status is None else [status]
    for name, known in _SIDES_AND_TYPES:
        word = order.as_word(name)
        if word is not None and order.optional_choice(name, known) is None:
            parts.append(f"{name} {word}")
    return "; ".join(parts)[:RAW_MAX] or None


def _digest(order: MessageFields, report: OrderReported) -> str:
    try:
        return hashlib.sha256(encode(report)[1]).hexdigest()[:16]
    except InvalidEvent as e:
        order.refuse_all(str(e))
