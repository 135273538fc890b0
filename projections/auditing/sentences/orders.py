"""Sentences about orders: stream `order/ACCOUNT/ORDER_ID`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderCancelRequested,
    OrderExpired,
    OrderReduced,
    OrderRejected,
    OrderReplaced,
    OrderReplaceRejected,
    OrderReplaceRequested,
    OrderReported,
    OrderSubmitted,
    OrderTriggered,
    OrderType,
    Side,
)
from projections import numbers
from projections.auditing.sentences.wording import Said, because, of_side, price, quantity, stated

if TYPE_CHECKING:
    from decimal import Decimal

    from projections.auditing.sentences.wording import Sentences


def _words(name: str) -> str:
    return name.lower().replace("_", " ")


def _broker_id(broker_order_id: str | None) -> str:
    return "" if broker_order_id is None else f", {broker_order_id} at the broker"


def _submitted(event: OrderSubmitted, said: Said) -> str:
    side = "buy" if event.side is Side.BUY else "sell"
    kind = "" if event.order_type in {None, OrderType.LIMIT, OrderType.STOP} else f" {_words(event.order_type)}"
    terms = [
        "" if event.limit_price is None else f"limit {price(event.limit_price)}",
        "" if event.stop_price is None else f"stop {price(event.stop_price)}",
        "" if event.trail_amount is None else f"trailing by {price(event.trail_amount)}",
    ]
    further = stated(strategy=event.strategy, child_of=event.parent_order_id)
    reduce = ", to reduce only" if event.reduce_only else ""
    what = f"{side} {quantity(event.quantity)} {event.symbol}{of_side(event.position_side)}{kind}"
    return f"Submitted order {said.entity}: {what}{_at(terms)}{f', {further}' if further else ''}{reduce}"


def _at(terms: list[str]) -> str:
    known = ", ".join(filter(None, terms))
    return f" at {known}" if known else ""


def _accepted(event: OrderAccepted, said: Said) -> str:
    return f"Order {said.entity} was accepted{_broker_id(event.broker_order_id)}"


def _rejected(event: OrderRejected, said: Said) -> str:
    return f"Order {said.entity} was rejected{because(event.reason)}"


def _triggered(_event: OrderTriggered, said: Said) -> str:
    return f"Order {said.entity} was triggered"


def _replace_requested(event: OrderReplaceRequested, said: Said) -> str:
    return f"Asked to change order {said.entity}{_new_terms(event)}"


def _replaced(event: OrderReplaced, said: Said) -> str:
    return f"Order {said.entity} was changed{_new_terms(event)}{_broker_id(event.broker_order_id)}"


def _replace_rejected(event: OrderReplaceRejected, said: Said) -> str:
    return f"The change of order {said.entity} was refused{because(event.reason)}"


def _reduced(event: OrderReduced, said: Said) -> str:
    return f"Order {said.entity} was reduced by {quantity(event.by)}"


def _cancel_requested(event: OrderCancelRequested, said: Said) -> str:
    return f"Asked to cancel order {said.entity}{because(event.reason)}"


def _canceled(event: OrderCanceled, said: Said) -> str:
    rest = "" if event.quantity is None else f", {quantity(event.quantity)} not executed"
    return f"Order {said.entity} was cancelled{rest}{because(event.reason)}"


def _cancel_rejected(event: OrderCancelRejected, said: Said) -> str:
    return f"Cancelling order {said.entity} was refused{because(event.reason)}"


def _expired(event: OrderExpired, said: Said) -> str:
    return f"Order {said.entity} expired{because(event.reason)}"


def _reported(event: OrderReported, said: Said) -> str:
    raw = "" if event.raw_status is None else f" ({event.raw_status})"
    filled = "" if event.filled_quantity is None else f"filled {quantity(event.filled_quantity)}"
    of = "" if event.quantity is None else f"{'' if filled else 'quantity'} {quantity(event.quantity)}"
    figures = stated(
        at_an_average_of=None if event.average_fill_price is None else numbers.mean(event.average_fill_price),
        limit=_price(event.limit_price),
        stop=_price(event.stop_price),
    )
    counts = f"{filled} of{of}" if filled and of else (filled or of).strip()
    stating = ", ".join(filter(None, (counts, figures)))
    return f"The broker reports order {said.entity} as {_words(event.status)}{raw}{f': {stating}' if stating else ''}"


def _new_terms(event: OrderReplaceRequested | OrderReplaced) -> str:
    terms = stated(
        quantity=_quantity(event.quantity), limit=_price(event.limit_price), stop=_price(event.stop_price)
    )  # fmt: skip
    return f": {terms}" if terms else ""


def _quantity(value: Decimal | None) -> str | None:
    return None if value is None else quantity(value)


def _price(value: Decimal | None) -> str | None:
    return None if value is None else price(value)


SENTENCES: Sentences = {
    OrderSubmitted: _submitted,
    OrderAccepted: _accepted,
    OrderRejected: _rejected,
    OrderTriggered: _triggered,
    OrderReplaceRequested: _replace_requested,
    OrderReplaced: _replaced,
    OrderReplaceRejected: _replace_rejected,
    OrderReduced: _reduced,
    OrderCancelRequested: _cancel_requested,
    OrderCanceled: _canceled,
    OrderCancelRejected: _cancel_rejected,
    OrderExpired: _expired,
    OrderReported: _reported,
}
