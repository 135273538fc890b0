"""Alpaca's trade updates as events: fills, what is taken back of them, and the state of the order in each update."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from eventstore.trading import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderReplaceRejected,
    OrderReported,
    OrderStatus,
    OrderType,
    Side,
    TradeBusted,
    TradeCorrected,
)
from gateways.messages.fields import MessageFields
from gateways.messages.mapped import MappedEvent
from gateways.messages.notes import events_of_parts

if TYPE_CHECKING:
    from eventstore import Event
    from gateways.messages.mapped import FieldNames

SOURCE = "alpaca"

STATUSES = {
    "new": OrderStatus.NEW,
    "accepted": OrderStatus.NEW,
    "pending_new": OrderStatus.PENDING_NEW,
    "pending_review": OrderStatus.PENDING_NEW,
    "held": OrderStatus.PENDING_NEW,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "filled": OrderStatus.FILLED,
    "done_for_day": OrderStatus.SUSPENDED,
    "suspended": OrderStatus.SUSPENDED,
    "calculated": OrderStatus.SUSPENDED,
    "canceled": OrderStatus.CANCELED,
    "replaced": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
    "pending_cancel": OrderStatus.PENDING_CANCEL,
    "pending_replace": OrderStatus.PENDING_REPLACE,
}
"""A replaced order has ended: the new one has an id of its own. Stopped and accepted_for_bidding are UNKNOWN, which
leaves an order as it was."""
ORDER_TYPES = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stop": OrderType.STOP,
    "stop_limit": OrderType.STOP_LIMIT,
    "trailing_stop": OrderType.TRAILING_STOP,
}
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
FILLS = frozenset({"fill", "partial_fill"})

FIELDS: FieldNames = {
    "trade_updates": {
        "event": "which events",
        "execution_id": "OrderFilled.trade_id, TradeCorrected.correction_id",
        "previous_execution_id": "TradeCorrected.trade_id, TradeBusted.trade_id",
        "timestamp": "occurred_at, OrderReported.updated_at",
        "price": "OrderFilled.price, TradeCorrected.price",
        "qty": "OrderFilled.quantity, TradeCorrected.quantity",
        "reason": "reason",
        "order": "OrderReported",
    },
    "order": {
        "id": "OrderReported.broker_order_id",
        "client_order_id": "the order's stream; without it, id is",
        "symbol": "OrderFilled.symbol, OrderReported.symbol",
        "qty": "OrderReported.quantity",
        "filled_qty": "OrderReported.filled_quantity",
        "filled_avg_price": "OrderReported.average_fill_price",
        "type": "OrderReported.order_type",
        "side": "OrderFilled.side, OrderReported.side",
        "limit_price": "OrderReported.limit_price",
        "stop_price": "OrderReported.stop_price",
        "status": "OrderReported.status, raw_status",
        "order_class": "OrderReported.link_group, parent_order_id",
        "legs": "OrderReported of each leg, with parent_order_id and link_group",
    },
}
"""What each member becomes."""
_TIMES = "timestamp has the time of the update"
LEFT_OUT: FieldNames = {
    "trade_updates": {
        "position_qty": "a position is what its executions make it; ask for positions to compare",
    },
    "order": {
        "created_at": _TIMES,
        "updated_at": _TIMES,
        "submitted_at": _TIMES,
        "filled_at": _TIMES,
        "expired_at": _TIMES,
        "expires_at": "a report states no time in force",
        "canceled_at": _TIMES,
        "failed_at": _TIMES,
        "replaced_at": _TIMES,
        "replaced_by": "the new order's updates have its own id",
        "replaces": "the old order's own update ends it",
        "asset_id": "symbol names the asset",
        "asset_class": "a contract's definition has it",
        "notional": "an order of an amount has no quantity until it is filled",
        "time_in_force": "a report states no time in force",
        "extended_hours": "how the order was asked for",
        "trail_percent": "stop_price is where the stop is",
        "trail_price": "stop_price is where the stop is",
        "hwm": "stop_price is where the stop is",
        "position_intent": "the fold knows whether a trade opens or closes",
        "ratio_qty": "a leg has its own quantity",
    },
}


class Alpaca(msgspec.Struct, frozen=True):
    """Maps `trade_updates`, as the stream or the library delivers them; `account` is whose stream it is.

    The stream states no fees: they come as account activities, by day.
    """

    account: str

    @property
    def source(self) -> str:
        return SOURCE

    def events(self, message: Mapping[str, object]) -> tuple[MappedEvent, ...]:
        """Return an update's events, those of its execution and of its states whatever is wrong with the other ones.

        Raises Unmapped if it is none, or lacks what it means nothing without.
        """
        envelope = MessageFields(SOURCE, "trade_updates", message)
        data = envelope.get("data")
        update = MessageFields(SOURCE, "trade_updates", data, message) if isinstance(data, Mapping) else envelope
        order = update.inner("order")
        return events_of_parts((_execution(update, order, self.account), _states(update, order, self.account)))


def _execution(update: MessageFields, order: MessageFields, account: str) -> Iterator[MappedEvent]:
    word, at = update.text("event"), update.optional_instant("timestamp")
    if word in FILLS:
        filled = OrderFilled(
            trade_id=update.identity("execution_id"),
            symbol=order.text("symbol"),
            side=order.choice("side", SIDES),
            quantity=update.positive("qty"),
            price=update.decimal("price"),
        )
        yield MappedEvent(_stream(order, account), filled, f"execution {filled.trade_id}", at)
    elif word in {"trade_bust", "trade_correct"}:
        yield _changed(update, order, account)


def _changed(update: MessageFields, order: MessageFields, account: str) -> MappedEvent:
    """A bust or a correction names the execution that it is of; a bust may have that one's id itself."""
    own = update.identity("execution_id")
    trade_id = update.optional_identity("previous_execution_id")
    symbol, side, reason = order.text("symbol"), order.optional_choice("side", SIDES), _reason(update)
    event: Event
    if update.text("event") == "trade_bust":
        event = TradeBusted(trade_id=trade_id or own, symbol=symbol, side=side, reason=reason)
    elif trade_id is None:
        update.refuse("previous_execution_id", "is missing: which execution is corrected is not known")
    else:
        event = TradeCorrected(
            trade_id=trade_id,
            quantity=update.positive("qty"),
            price=update.decimal("price"),
            symbol=symbol,
            side=side,
            reason=reason,
            correction_id=own,
        )
    stream = update.stream("trade", account, trade_id or own)
    return MappedEvent(stream, event, f"{update.text('event')} {own}", update.optional_instant("timestamp"))


def _states(update: MessageFields, order: MessageFields, account: str) -> Iterator[MappedEvent]:
    """Yield the transition that an update names, the order's state, and those of its legs."""
    at, order_id = update.optional_instant("timestamp"), _order_id(order)
    stream, word = _stream(order, account), update.text("event")
    transition = _transition(word, order, _reason(update))
    time = update.optional_text("timestamp") or ""
    if transition is not None:
        yield MappedEvent(stream, transition, f"{word} {time}", at)
    legs = order.get("legs")
    entries = legs if isinstance(legs, list) else []
    group = order_id if order.optional_text("order_class") == "oco" and entries else None
    yield MappedEvent(stream, _state(order, at, None, group), f"state {word} {time}", at)
    for entry in entries:
        leg = MessageFields(SOURCE, "trade_updates.order.legs", entry, update.whole)
        # The legs of a bracket wait for their parent and cancel each other; those of a spread do neither.
        links = _links(order, order_id)
        yield MappedEvent(_stream(leg, account), _state(leg, at, *links), f"leg {word} {time}", at)


def _links(order: MessageFields, order_id: str) -> tuple[str | None, str | None]:
    kind = order.optional_text("order_class")
    if kind == "oco":
        return None, order_id
    if kind == "bracket":
        return order_id, f"{order_id} legs"
    return (order_id, None) if kind == "oto" else (None, None)


def _transition(word: str, order: MessageFields, reason: str) -> Event | None:
    match word:
        case "new" | "accepted":
            return OrderAccepted(broker_order_id=order.optional_identity("id"))
        case "canceled" | "replaced":
            return OrderCanceled(reason=reason or word)
        case "expired":
            return OrderExpired(reason=reason)
        case "rejected":
            return OrderRejected(reason=reason)
        case "order_cancel_rejected":
            return OrderCancelRejected(reason=reason)
        case "order_replace_rejected":
            return OrderReplaceRejected(reason=reason)
        case _:
            return None


def _state(order: MessageFields, at: int | None, parent: str | None, group: str | None) -> OrderReported:
    filled, word = order.optional_decimal("filled_qty"), order.optional_text("status") or ""
    return OrderReported(
        status=STATUSES.get(word, OrderStatus.UNKNOWN),
        raw_status=word[:64] or None,
        broker_order_id=order.optional_identity("id"),
        symbol=order.optional_text("symbol"),
        side=order.optional_choice("side", SIDES),
        order_type=order.optional_choice("type", ORDER_TYPES),
        quantity=order.optional_decimal("qty") or None,
        filled_quantity=filled,
        average_fill_price=order.optional_decimal("filled_avg_price") if filled else None,
        limit_price=order.optional_decimal("limit_price"),
        stop_price=order.optional_decimal("stop_price"),
        updated_at=at,
        parent_order_id=parent,
        link_group=group,
    )


def _order_id(order: MessageFields) -> str:
    return order.optional_identity("client_order_id") or order.identity("id")


def _stream(order: MessageFields, account: str) -> str:
    return order.stream("order", account, _order_id(order))


def _reason(update: MessageFields) -> str:
    return update.optional_text("reason") or ""
