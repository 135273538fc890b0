"""How an order's report differs from its own events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore.streams import unescaped
from eventstore.trading import OrderReported, OrderStatus, PositionSide
from projections.decimals import ZERO
from projections.reconciliation.difference import EVIDENCE_MAX, Difference, DifferenceKind, difference_of
from projections.views.orders.joining import history_of
from projections.views.orders.order import CLOSED, LIVE, Order
from projections.views.orders.reports import is_outdated, without_state
from projections.views.orders.view import OrdersView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Record
    from projections.book import Book


class OrderReports(NamedTuple):
    """The records by which a broker's word on an order is known: of its status, and of what is filled."""

    newest: Record
    status: Record | None = None
    filled: Record | None = None


def order_differences(book: Book, account: str, since: int) -> Iterator[Difference]:
    """Yield where the newest reports of an account's orders differ, by stream."""
    streams = {each.stream for each in book.read(account=account, types=(OrderReported,)) if each.position > since}
    for stream in sorted(streams):
        order_id = unescaped(stream.split("/", 2)[2])
        reports = _newest_reports(book, account, order_id, since)
        if reports is not None:
            yield from _of_order(book, reports, order_id)


def _newest_reports(book: Book, account: str, order_id: str, since: int) -> OrderReports | None:
    """Return the reports that count of an order, as its view takes them: by when each was made, not recorded.

    One that states no status, such as that of an order's parent, says nothing against the one before it that does; nor
    does one that states no quantity.
    """
    found: OrderReports | None = None
    before: Order | None = None
    for record, order in history_of(book, account, order_id):
        event, known = record.event, before
        before = order
        if not isinstance(event, OrderReported) or record.position <= since:
            continue
        is_late = known is not None and is_outdated(known, event, record)
        news = without_state(known, event, record.occurred_at) if is_late and known is not None else event
        found = OrderReports(record) if found is None else found if is_late else found._replace(newest=record)
        if news.status is not OrderStatus.UNKNOWN:
            found = found._replace(status=record)
        if news.filled_quantity is not None:
            found = found._replace(filled=record)
    return found


def _of_order(book: Book, reports: OrderReports, order_id: str) -> Iterator[Difference]:
    """Yield how an order's own events differed from its reports, and still do."""
    newest, account = reports.newest, reports.newest.account
    history = _OwnHistory(book, account, order_id)
    now, status, filled = history.now, _reported(reports.status).status, _reported(reports.filled).filled_quantity
    common: dict[str, Any] = {"order_id": order_id, "there_status": status, "evidence": history.evidence}
    if now is None or not now.submitted:
        sentence = f"order {order_id}: the broker reports {status}, it was never submitted here"
        common |= {"symbol": _reported(newest).symbol, "side": PositionSide.NET, "there": filled}
        yield difference_of(newest, DifferenceKind.UNKNOWN_ORDER, sentence, **common)
        return
    common |= {"symbol": now.symbol, "side": now.position_side, "here_status": now.status}
    kind = _status_kind(status, now)
    if reports.status is not None and kind is not None:
        then = history.before(reports.status)
        if then is not None and _status_kind(status, then) is kind:
            sentence = f"order {order_id}: the broker reports {status}, its own events give {now.status}"
            yield difference_of(reports.status, kind, sentence, **common)
    if reports.filled is None or filled is None:
        return
    then = history.before(reports.filled)
    missing = filled - now.cumulative
    missed = filled - (ZERO if then is None else then.cumulative)
    # A difference counts while it has the same sign as at the report: later fills may explain it, or exceed the report.
    if missing and missed and (missing > ZERO) is (missed > ZERO):
        sentence = f"order {order_id}: the broker reports {filled:f} filled, not {now.cumulative:f}"
        common |= {"here": now.cumulative, "there": filled}
        yield difference_of(reports.filled, DifferenceKind.FILLED_QUANTITY, sentence, **common)


class _OwnHistory:
    """An order by its own events, without what brokers report of it."""

    def __init__(self, book: Book, account: str, order_id: str) -> None:
        types = tuple(cls for cls in OrdersView.types or () if cls is not OrderReported)
        self._steps = [(record.position, order) for record, order in history_of(book, account, order_id, types)]
        self.now = self._steps[-1][1] if self._steps else None
        self.evidence = tuple(position for position, _ in self._steps[-EVIDENCE_MAX:])

    def before(self, report: Record) -> Order | None:
        """Return the order as it was when a report was recorded."""
        return next((order for position, order in reversed(self._steps) if position < report.position), None)


def _reported(record: Record | None) -> OrderReported:
    """Return what a report says; without one, nothing."""
    event = OrderReported() if record is None else record.event
    assert isinstance(event, OrderReported)
    return event


def _status_kind(reported: OrderStatus, order: Order) -> DifferenceKind | None:
    if reported in CLOSED and order.is_open:
        return DifferenceKind.OPEN_HERE_CLOSED_THERE
    if reported in LIVE and order.status in CLOSED:
        return DifferenceKind.CLOSED_HERE_OPEN_THERE
    if reported in CLOSED and order.status in CLOSED and reported is not order.status:
        return DifferenceKind.CLOSED_DIFFERENTLY
    return None
