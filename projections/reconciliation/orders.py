"""How an order's report differs from its own events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore.streams import unescaped
from eventstore.trading import OrderReported, PositionSide
from projections.decimals import ZERO
from projections.reconciliation.difference import EVIDENCE_MAX, Difference, DifferenceKind, difference_of
from projections.views.orders.joining import history_of
from projections.views.orders.order import CLOSED, LIVE, Order
from projections.views.orders.view import OrdersView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Record
    from eventstore.trading import OrderStatus
    from projections.book import Book


def order_differences(book: Book, account: str, since: int) -> Iterator[Difference]:
    """Yield where the newest reports of an account's orders differ, by stream."""
    newest: dict[str, Record] = {}
    for each in book.read(account=account, types=(OrderReported,)):
        if each.position > since:
            newest[each.stream] = each
    for stream in sorted(newest):
        yield from _of_order(book, newest[stream])


def _of_order(book: Book, report: Record) -> Iterator[Difference]:
    """Yield how an order's own events differed from its report, and still do."""
    reported = report.event
    assert isinstance(reported, OrderReported)
    types = tuple(cls for cls in OrdersView.types or () if cls is not OrderReported)
    then = now = None
    evidence: list[int] = []
    order_id = unescaped(report.entity)
    for each, now in history_of(book, report.account, order_id, types):
        then = now if each.position < report.position else then
        evidence = [*evidence, each.position][-EVIDENCE_MAX:]
    common: dict[str, Any] = {"order_id": order_id, "there_status": reported.status, "evidence": tuple(evidence)}
    if now is None or not now.submitted:
        sentence = f"order {order_id}: the broker reports {reported.status}, it was never submitted here"
        common |= {"symbol": reported.symbol, "side": PositionSide.NET, "there": reported.filled_quantity}
        yield difference_of(report, DifferenceKind.UNKNOWN_ORDER, sentence, **common)
        return
    common |= {"symbol": now.symbol, "side": now.position_side, "here_status": now.status}
    kind = _status_kind(reported.status, now)
    if kind is not None and then is not None and _status_kind(reported.status, then) is kind:
        sentence = f"order {order_id}: the broker reports {reported.status}, its own events give {now.status}"
        yield difference_of(report, kind, sentence, **common)
    if reported.filled_quantity is None:
        return
    missing = reported.filled_quantity - now.cumulative
    missed = reported.filled_quantity - (ZERO if then is None else then.cumulative)
    # A difference counts while it has the same sign as at the report: later fills may explain it, or exceed the report.
    if missing and missed and (missing > ZERO) is (missed > ZERO):
        sentence = f"order {order_id}: the broker reports {reported.filled_quantity:f} filled, not {now.cumulative:f}"
        common |= {"here": now.cumulative, "there": reported.filled_quantity}
        yield difference_of(report, DifferenceKind.FILLED_QUANTITY, sentence, **common)


def _status_kind(reported: OrderStatus, order: Order) -> DifferenceKind | None:
    if reported in CLOSED and order.is_open:
        return DifferenceKind.OPEN_HERE_CLOSED_THERE
    if reported in LIVE and order.status in CLOSED:
        return DifferenceKind.CLOSED_HERE_OPEN_THERE
    if reported in CLOSED and order.status in CLOSED and reported is not order.status:
        return DifferenceKind.CLOSED_DIFFERENTLY
    return None
