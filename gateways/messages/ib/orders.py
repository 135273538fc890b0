"""IB's orders: an order's terms and status as one report, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.trading import OrderCanceled, OrderRejected, OrderReported, OrderStatus, OrderType, Side
from gateways.messages.ib.contracts import is_combination, symbol_of
from gateways.messages.ib.executions import fill_events, order_id_of, permanent_id
from gateways.messages.ib.members import Members, content_key
from gateways.messages.mapped import MappedEvent
from gateways.messages.notes import events_of_parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from eventstore import Event

STATUSES = {
    "PendingSubmit": OrderStatus.PENDING_NEW,
    "ApiPending": OrderStatus.PENDING_NEW,
    "PreSubmitted": OrderStatus.NEW,
    "Submitted": OrderStatus.NEW,
    "PendingCancel": OrderStatus.PENDING_CANCEL,
    "Cancelled": OrderStatus.CANCELED,
    "ApiCancelled": OrderStatus.CANCELED,
    "Filled": OrderStatus.FILLED,
    "Inactive": OrderStatus.SUSPENDED,
}
"""Inactive may work again. ValidationError and ApiUpdate are the library's own words and leave the order in force."""
ENDED = frozenset({OrderStatus.CANCELED, OrderStatus.SUSPENDED})
ORDER_TYPES = {
    "MKT": OrderType.MARKET,
    "LMT": OrderType.LIMIT,
    "STP": OrderType.STOP,
    "STP LMT": OrderType.STOP_LIMIT,
    "TRAIL": OrderType.TRAILING_STOP,
    "MIT": OrderType.MARKET_IF_TOUCHED,
    "LIT": OrderType.LIMIT_IF_TOUCHED,
}
SIDES = {"BUY": Side.BUY, "SELL": Side.SELL, "SSHORT": Side.SELL}
_LIMITED = frozenset({"LMT", "STP LMT", "LIT", "TRAIL LIMIT"})
_STOPPED = frozenset({"STP", "STP LMT", "MIT", "LIT"})
_TRAILING = frozenset({"TRAIL", "TRAIL LIMIT"})
_REJECTED = 201
# The members that say which order one waits for: parentId is a number of the same client's.
_PARENT = ("parentId", "parentPermId")
"""IB's error code of an order that it rejects; the status is Cancelled or Inactive."""


def trade_events(trade: Members) -> Iterator[MappedEvent]:
    """Yield an order's fills, and its state: each counts, whatever is wrong with the others."""
    order, contract = trade.inner("order"), trade.inner("contract")
    if order.get("whatIf") is True:
        return
    account, order_id = order.account("account"), order_id_of(order)
    if order_id is None:
        order.refuse("permId", "identifies nothing, and neither does orderId")
    fills = trade.get("fills")
    listed = [
        fill_events(Members("Trade.fills", fill, trade.settings, trade.whole), is_leg=is_combination(contract))
        for fill in (fills if isinstance(fills, list | tuple) else ())
    ]
    yield from events_of_parts((*listed, _state_events(trade, order.stream("order", account, order_id))))


def _state_events(trade: Members, stream: str) -> Iterator[MappedEvent]:
    """Yield an order's state, and how it ended."""
    order, status, contract = trade.inner("order"), trade.inner("orderStatus"), trade.inner("contract")
    at, error = _last_of(trade)
    report = _reported(order, status, contract)
    if error is not None and report.status in ENDED:
        report = replace(report, status=OrderStatus.REJECTED)
    end = _end(report.status, error)
    if end is not None:
        yield MappedEvent(stream, end, content_key("end", end, None), at)
    yield _state_event(stream, report, at)


def status_events(status: Members) -> Iterator[MappedEvent]:
    """Yield an order's state without its terms, which has no time: the one that is recorded last counts."""
    order_id = order_id_of(status)
    if order_id is None:
        status.refuse("permId", "identifies nothing, and neither does orderId")
    parent_id = order_id_of(status, *_PARENT)
    report = OrderReported(**_of_status(status), parent_order_id=parent_id, broker_order_id=permanent_id(status))  # type: ignore[arg-type]
    stream = status.stream("order", status.account("account"), order_id)
    yield _state_event(stream, report, None)


def _state_event(stream: str, report: OrderReported, at: int | None) -> MappedEvent:
    """Return an order's state as of a time; without one, each delivery is a report of its own.

    It may be the same state again after another one, as after a cancellation that was refused.
    """
    return MappedEvent(stream, report, None if at is None else content_key("state", report, at), at)


def _reported(order: Members, status: Members, contract: Members) -> OrderReported:
    kind = order.stated("orderType").upper()
    stated = _of_status(status)
    is_whole = is_combination(contract)
    if is_whole:
        # What is filled of a combination is in its legs: its order has no fills of its own.
        stated |= {"filled_quantity": None, "average_fill_price": None}
    elif stated["filled_quantity"] is None:
        stated["filled_quantity"] = order.number("filledQuantity")
    return OrderReported(
        **stated,  # type: ignore[arg-type]
        broker_order_id=permanent_id(order) or permanent_id(status),
        symbol=None if is_whole else symbol_of(contract),
        side=order.optional_choice("action", SIDES),
        order_type=ORDER_TYPES.get(kind),
        quantity=None if is_whole else order.number("totalQuantity") or None,
        limit_price=order.number("lmtPrice") if kind in _LIMITED else None,
        stop_price=order.number("auxPrice" if kind in _STOPPED else "trailStopPrice")
        if kind in _STOPPED | _TRAILING
        else None,
        parent_order_id=order_id_of(order, *_PARENT),
        link_group=order.optional_text("ocaGroup"),
    )


def _of_status(status: Members) -> dict[str, object]:
    """Return what an OrderStatus states: of one that is new in the library, both quantities are 0 and state nothing."""
    word, filled, remaining = status.stated("status"), status.number("filled"), status.number("remaining")
    known = STATUSES.get(word, OrderStatus.UNKNOWN)
    if known is OrderStatus.NEW and filled:
        known = OrderStatus.PARTIALLY_FILLED
    stated: Decimal | None = filled if filled or remaining else None
    return {
        "status": known,
        "raw_status": word[:64] or None,
        "filled_quantity": stated,
        "average_fill_price": status.number("avgFillPrice") if stated else None,
    }


def _last_of(trade: Members) -> tuple[int | None, str | None]:
    """Return when the newest entry of a trade's log was made, and the message of a rejection."""
    log = trade.get("log")
    entries = [Members("Trade.log", each, trade.settings, trade.whole) for each in log] if isinstance(log, list) else []
    at = max((each.time("time") or 0 for each in entries), default=0) or None
    rejections = [each.stated("message") for each in entries if each.get("errorCode") == _REJECTED]
    return at, rejections[-1] if rejections else None


def _end(status: OrderStatus, error: str | None) -> Event | None:
    if status is OrderStatus.REJECTED:
        return OrderRejected(reason=error or "")
    return OrderCanceled() if status is OrderStatus.CANCELED else None
