"""Order states of ExecutionReports and OrderCancelRejects: the transition that each names, and the state it states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderExpired,
    OrderRejected,
    OrderReplaced,
    OrderReplaceRejected,
    OrderReported,
    OrderStatus,
    OrderTriggered,
)
from gateways.messages.fix.codes import (
    CANCEL_REJECTIONS,
    DUPLICATE_ORDER,
    ORDER_REJECTIONS,
    ORDER_TYPES,
    STATUSES,
    UNKNOWN_ORDER,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from eventstore import Event
    from gateways.messages.fix.report import FixReport
    from gateways.messages.mapped import MappedEvent

_REPLACED = "5"
_TO_REPLACE = "2"


def order_events(report: FixReport) -> Iterator[MappedEvent]:
    """Yield a report's transition, if it names one, and the order's state as it states it."""
    order_id = report.order_id()
    # A leg states quantities of its own, not the order's.
    if order_id is None or report.is_leg:
        return
    stream = report.stream("order", report.account, order_id)
    for transition in _transitions(report):
        yield report.mapped(stream, transition, type(transition).__name__)
    yield report.mapped(stream, _state(report), "state")


def rejection_events(report: FixReport) -> Iterator[MappedEvent]:
    """Yield what an OrderCancelReject (35=9) says: which request was refused, and the order's state."""
    order_id = report.order_id()
    if order_id is None:
        report.refuse("OrderID", "identifies nothing, and neither do OrigClOrdID (41) and ClOrdID (11)")
    stream, reason = report.stream("order", report.account, order_id), _reason(report, "CxlRejReason")
    is_replacement = report.stated("CxlRejResponseTo") == _TO_REPLACE
    refused = OrderReplaceRejected(reason=reason) if is_replacement else OrderCancelRejected(reason=reason)
    yield report.mapped(stream, refused, "refused")
    # Rejected, as the state of an order that the venue does not know, is of the request.
    status = OrderStatus.UNKNOWN if report.stated("CxlRejReason") == UNKNOWN_ORDER else _status(report)
    state = OrderReported(status=status, raw_status=report.stated("OrdStatus") or None, updated_at=report.at)
    yield report.mapped(stream, state, "state")


def _transitions(report: FixReport) -> Iterator[Event]:
    exec_type, status = report.exec_type, report.stated("OrdStatus")
    reason = _reason(report, "OrdRejReason")
    if exec_type == "0":
        yield OrderAccepted(broker_order_id=report.optional_identity("OrderID"))
    elif exec_type == "5" or (exec_type == "D" and report.optional_decimal("OrderQty") is not None):
        yield _replaced(report)
    elif exec_type == "8" and status == "8" and report.stated("OrdRejReason") != DUPLICATE_ORDER:
        yield OrderRejected(reason=reason)
    elif exec_type == "4" and status == "4":
        yield OrderCanceled(reason=reason)
    elif exec_type == "C" and status == "C":
        yield OrderExpired(reason=reason)
    elif exec_type == "L":
        yield OrderTriggered()


def _replaced(report: FixReport) -> OrderReplaced:
    quantity = report.optional_decimal("OrderQty")
    return OrderReplaced(
        quantity=quantity if quantity is not None and quantity > 0 and not report.is_whole_of_legs else None,
        limit_price=_price(report, "Price"),
        stop_price=_price(report, "StopPx"),
        broker_order_id=report.optional_identity("OrderID"),
    )


def _state(report: FixReport) -> OrderReported:
    """Return the order's state; while a replacement is pending, the terms that are asked for are not in force."""
    is_pending = report.exec_type == "E"
    # What is filled of a spread is in its legs: an order has its own fills only.
    counts = not report.is_whole_of_legs
    cumulative = report.optional_decimal("CumQty") if counts else None
    quantity = report.optional_decimal("OrderQty") if counts and not is_pending else None
    return OrderReported(
        status=_status(report),
        raw_status=_raw_status(report),
        broker_order_id=report.optional_identity("OrderID"),
        symbol=report.symbol(),
        side=report.side(),
        order_type=ORDER_TYPES.get(report.stated("OrdType")),
        quantity=quantity,
        filled_quantity=cumulative,
        average_fill_price=report.optional_decimal("AvgPx") if cumulative else None,
        limit_price=None if is_pending else _price(report, "Price"),
        stop_price=None if is_pending else _price(report, "StopPx"),
        updated_at=report.at,
    )


def _status(report: FixReport) -> OrderStatus:
    word = report.stated("OrdStatus")
    if word == _REPLACED:
        return _by_quantities(report)
    if word == "8" and report.stated("OrdRejReason") == DUPLICATE_ORDER:
        # Rejected is the second message with this ClOrdID; the first one's order stands.
        return OrderStatus.UNKNOWN
    return STATUSES.get(word, OrderStatus.UNKNOWN)


def _by_quantities(report: FixReport) -> OrderStatus:
    """Return what OrdStatus 5 (replaced) of FIX 4.2 means for the order."""
    if not report.optional_decimal("CumQty"):
        return OrderStatus.NEW
    return OrderStatus.PARTIALLY_FILLED if report.optional_decimal("LeavesQty") else OrderStatus.FILLED


def _raw_status(report: FixReport) -> str | None:
    """Return the words that the report has for the state: OrdStatus (39), and ExecType (150) where that adds to it."""
    status, exec_type = report.stated("OrdStatus"), report.stated("ExecType")
    return (status if exec_type in {status, "F", ""} else f"{status} ({exec_type})")[:64] or None


def _price(report: FixReport, name: str) -> Decimal | None:
    """Return a price; 0 stands for none, as on the reports of market orders."""
    return report.optional_decimal(name) or None


def _reason(report: FixReport, name: str) -> str:
    codes = ORDER_REJECTIONS if name == "OrdRejReason" else CANCEL_REJECTIONS
    code, text = report.stated(name), report.stated("Text")
    words = [codes.get(code, f"{name} {code}")] if code else []
    return ": ".join([*words, *[text] * bool(text)])
