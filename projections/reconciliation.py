"""Reconciliation: how brokers' reports differ from the fills, and adjustments of positions on request."""

from __future__ import annotations

import decimal
import enum
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import DuplicateEvent, Instant, Record, VersionConflict
from eventstore.streams import SEPARATOR, unescaped
from eventstore.trading import (
    AdjustmentReason,
    OrderFilled,
    OrderReported,
    OrderStatus,
    PositionAdjusted,
    PositionReported,
    PositionSide,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.decimals import FIXED, ZERO
from projections.views.executions.position_totals import PositionTotals
from projections.views.executions.positions import PositionsView
from projections.views.orders.order import CLOSED, LIVE, Order
from projections.views.orders.view import OrdersView, fold_order

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore import Event
    from projections.book import Book

_TYPES = (OrderFilled, TradeExecuted, TradeBusted, TradeCorrected, PositionAdjusted, PositionReported)
EVIDENCE_MAX = 1_000
ATTEMPTS_MAX = 10
# A share of the price, for symbols without a known tick.
_TOLERANCE = Decimal("0.0001")


class DifferenceKind(enum.StrEnum):
    """How a broker's report differs from our own records."""

    QUANTITY = "QUANTITY"
    """A position of another size on the same side."""
    SIDE = "SIDE"
    """The broker reports long where the fills say short, or the reverse."""
    MISSING_AT_BROKER = "MISSING_AT_BROKER"
    """The fills left a position, and the broker reports none."""
    UNKNOWN_HERE = "UNKNOWN_HERE"
    """The broker reports a position, and the fills say flat."""
    AVERAGE_PRICE = "AVERAGE_PRICE"
    """The same position at another average price, by first in first out and by average cost."""
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    """The broker reports an order that was never submitted here."""
    OPEN_HERE_CLOSED_THERE = "OPEN_HERE_CLOSED_THERE"
    """Only the report says that the order is closed."""
    CLOSED_HERE_OPEN_THERE = "CLOSED_HERE_OPEN_THERE"
    """The order is closed here, and still working at the broker."""
    CLOSED_DIFFERENTLY = "CLOSED_DIFFERENTLY"
    """The order is closed on both sides, with different statuses."""
    FILLED_QUANTITY = "FILLED_QUANTITY"
    """The broker reports more, or less, filled than the fills recorded here."""


ADJUSTABLE = frozenset({
    DifferenceKind.QUANTITY, DifferenceKind.SIDE, DifferenceKind.MISSING_AT_BROKER, DifferenceKind.UNKNOWN_HERE
})  # fmt: skip
"""What `record` books."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One difference between a broker's report and our own records at the time the report was recorded.

    `here` and `there` are the figures compared, in the kind's own measure, and `difference` is `there` less `here`;
    for statuses, `here_status` and `there_status`. `stale`: records after the report are of before it and do not
    explain the difference, so only a new report can decide; it is not booked. `price` is a position report's average
    price, `reported_at` the time that it states. `evidence` has the log positions of the last 1,000 records behind our
    side, `report` is that of the broker's.
    """

    kind: DifferenceKind
    account: str
    symbol: str | None
    side: PositionSide
    sentence: str
    report: int
    report_id: bytes
    reported_at: Instant
    stream: str
    evidence: tuple[int, ...]
    order_id: str | None = None
    here: Decimal | None = None
    there: Decimal | None = None
    here_status: OrderStatus | None = None
    there_status: OrderStatus | None = None
    price: Decimal | None = None
    stale: bool = False

    @property
    def difference(self) -> Decimal | None:
        """The broker's quantity less ours; None where no quantities are compared."""
        return None if self.here is None or self.there is None else FIXED.subtract(self.there, self.here)

    def records(self, book: Book) -> Iterator[Record]:
        """Yield the records behind both sides, oldest first, from the log."""
        wanted = {*self.evidence, self.report}
        for record in book.read(account=self.account):
            if record.position in wanted:
                yield record
                wanted.discard(record.position)
                if not wanted:
                    return


def reconcile(
    book: Book, account: str, *, since: int = 0, tolerance: Decimal | None = None
) -> tuple[Difference, ...]:  # fmt: skip
    """Return where an account's newest reports differ from its other records, positions first.

    A report is compared with what was known at its place in the log; fills recorded later do not count. Those that
    occurred before the report do if that explains the difference; if not, or if they come after it was booked, they
    make it stale. An order's difference disappears when its own events agree with the report; a position's, when it is
    adjusted or reported again. What no report names is not compared: a broker's empty answer means nothing until it
    is reported as zero.

    `since`: a log position; older reports are ignored. `tolerance`: how much average prices may differ, in points; by
    default one tick of the contract, or a ten thousandth of the price without one. Every record of the account's
    positions is read.
    """
    with decimal.localcontext(FIXED):
        positions = list(_positions(book, account, since, tolerance))
        return (*positions, *_orders(book, account, since))


def record(
    book: Book, account: str, differences: Sequence[Difference], *, actor: str, note: str = ""
) -> list[Record]:  # fmt: skip
    """Book differences of positions' quantities as PositionAdjusted(RECONCILED); return the records.

    Each has its report as cause and key, so repeating this books nothing twice. What was recorded in between is read
    first: a difference that is explained by then, or stale, is not booked, and one with a newer report is booked as
    that one says. Differences of other kinds are ignored. Raises VersionConflict where others wrote to the position's
    stream in each of several attempts.
    """
    return [
        each for given in differences if given.kind in ADJUSTABLE for each in _adjust(book, account, given, actor, note)
    ]


def _adjust(book: Book, account: str, given: Difference, actor: str, note: str) -> list[Record]:
    failed: VersionConflict | DuplicateEvent | None = None
    for _ in range(ATTEMPTS_MAX):
        book.refresh()
        version = 0
        # The version is read before the differences: whatever is written to the stream after that is a conflict.
        for last in book.read(stream=given.stream):
            version = last.version
        current = _current(book, account, given)
        if current is None:
            return [each for each in _adjustments(book, given) if each.causation_id == given.report_id]
        if current.stream != given.stream:
            given = current
            continue
        adjusted = PositionAdjusted(
            symbol=current.symbol or "",
            quantity=current.difference or ZERO,
            reason=AdjustmentReason.RECONCILED,
            price=current.price,
            position_side=current.side,
            note=current.sentence,
        )
        key = f"reconciled {current.report_id.hex()} {current.symbol} {current.side}"
        stream, cause = current.stream, current.report_id
        try:
            return book.append(stream, adjusted, key=key, expected=version, actor=actor, note=note, causation_id=cause)
        except (VersionConflict, DuplicateEvent) as e:
            failed = e  # Somebody reported or adjusted in between: read again, decide again.
    assert failed is not None
    raise failed


def _current(book: Book, account: str, given: Difference) -> Difference | None:
    """Return a position's difference as it is now, if there is one to book."""
    with decimal.localcontext(FIXED):
        for found in _positions(book, account, 0, None):
            same = (found.symbol, found.side) == (given.symbol, given.side)
            if same and found.kind in ADJUSTABLE and not found.stale:
                return found
    return None


def _adjustments(book: Book, given: Difference) -> Iterator[Record]:
    for each in book.read(stream=given.stream, types=(PositionAdjusted,)):
        event = each.event
        if isinstance(event, PositionAdjusted) and (event.symbol, event.position_side) == (given.symbol, given.side):
            yield each


class _Report(msgspec.Struct):
    """The newest report of one symbol and side, with the figures of that time and what came after it."""

    record: Record
    event: PositionReported
    figures: PositionTotals
    evidence: list[int]
    adjusted: Decimal | None = None
    """The quantity booked as RECONCILED since: the answer to this report."""
    late: Decimal = ZERO
    """The quantity recorded since that occurred before the report."""


class _PositionHistory:
    """One account's positions, folded again from the log, with their figures at the time of each report."""

    def __init__(self) -> None:
        self.reports: dict[str, _Report] = {}
        self._view = PositionsView()
        self._state = self._view.initial()
        self._quantities: dict[str, Decimal] = {}
        self._evidence: dict[str, list[int]] = {}

    def read(self, record: Record) -> None:
        event = record.event
        self._view.apply(self._state, event, record)
        if isinstance(event, PositionReported):
            key = event.symbol + SEPARATOR + event.position_side
            evidence = self._evidence.get(key, [])[-EVIDENCE_MAX:]
            self.reports[key] = _Report(record, event, self._state.holdings[key].totals, evidence)
            return
        for key in self._keys_of(event):
            holding = self._state.holdings.get(key)
            before = self._quantities.get(key, ZERO)
            after = ZERO if holding is None else holding.totals.quantity
            if before != after:
                self._quantities[key] = after
                self._changed(key, before, after - before, record)

    def _keys_of(self, event: Event) -> list[str]:
        symbol, side = getattr(event, "symbol", None), getattr(event, "position_side", None)
        # A bust or a correction may lack the symbol, and then its trade may be in any position.
        return list(self._state.holdings) if symbol is None else [f"{symbol}{SEPARATOR}{side}"]

    def _changed(self, key: str, before: Decimal, by: Decimal, record: Record) -> None:
        evidence = self._evidence.setdefault(key, [])
        if not before:
            evidence.clear()
        evidence.append(record.position)
        if len(evidence) > 2 * EVIDENCE_MAX:
            del evidence[:EVIDENCE_MAX]
        report, event = self.reports.get(key), record.event
        if report is None:
            return
        if isinstance(event, PositionAdjusted) and event.reason is AdjustmentReason.RECONCILED:
            report.adjusted = (report.adjusted or ZERO) + by
        elif record.occurred_at <= report.record.occurred_at:
            report.late += by
        else:
            return
        report.evidence = [*report.evidence, record.position][-EVIDENCE_MAX:]


def _positions(book: Book, account: str, since: int, tolerance: Decimal | None) -> Iterator[Difference]:
    history = _PositionHistory()
    for each in book.read(account=account, types=_TYPES):
        history.read(each)
    for key in sorted(history.reports):
        report = history.reports[key]
        if report.record.position > since:
            found = _position_difference(book, report, tolerance)
            if found is not None:
                yield found


def _position_difference(book: Book, report: _Report, tolerance: Decimal | None) -> Difference | None:
    event = report.event
    # Venues that keep long and short positions apart report a short one as a positive or a negative quantity.
    there = -abs(event.quantity) if event.position_side is PositionSide.SHORT else event.quantity
    here = report.figures.quantity
    if report.adjusted is not None:
        # The adjustment stood for missing fills: those that are recorded after all would now count twice.
        here += report.adjusted + report.late
    common: dict[str, Any] = {"symbol": event.symbol, "side": event.position_side, "price": event.average_price}
    common["evidence"] = tuple(report.evidence)
    if there == here:
        ours, reported = _differing_average(book, report, tolerance), event.average_price
        if ours is None or reported is None:
            return None
        sentence = f"{_label(event)}: the broker reports an average price of {reported:f}, the fills give {ours:f}"
        return _difference(report.record, DifferenceKind.AVERAGE_PRICE, sentence, here=ours, there=reported, **common)
    if report.adjusted is None and there == here + report.late:
        return None
    sentence = f"{_label(event)}: the broker reports {there:f}, the fills gave {here:f}"
    if report.late:
        sentence += f"; {report.late:f} from before the report was recorded after it"
    common |= {"here": here, "there": there, "stale": bool(report.late)}
    return _difference(report.record, _kind(here, there), sentence, **common)


def _kind(here: Decimal, there: Decimal) -> DifferenceKind:
    if not here:
        return DifferenceKind.UNKNOWN_HERE
    if not there:
        return DifferenceKind.MISSING_AT_BROKER
    return DifferenceKind.QUANTITY if (here > ZERO) is (there > ZERO) else DifferenceKind.SIDE


def _differing_average(book: Book, report: _Report, tolerance: Decimal | None) -> Decimal | None:
    """Return our average price, FIFO or average cost, where the nearer one is not within the tolerance."""
    figures, reported = report.figures, report.event.average_price
    priced = figures.quantity - figures.unpriced
    if reported is None or not priced or figures.unpriced or report.adjusted is not None or report.late:
        return None
    averages = (figures.cost / priced, figures.average_cost_total / priced)
    ours = min(averages, key=lambda average: abs(average - reported))
    if tolerance is None:
        contract = book.contracts.find(report.event.symbol)
        tick = None if contract is None else contract.tick_size
        tolerance = abs(reported) * _TOLERANCE if tick is None else tick
    return ours if abs(ours - reported) > tolerance else None


def _label(event: PositionReported) -> str:
    side = "" if event.position_side is PositionSide.NET else f" {event.position_side}"
    return f"{event.symbol}{side}"


def _orders(book: Book, account: str, since: int) -> Iterator[Difference]:
    newest: dict[str, Record] = {}
    for each in book.read(account=account, types=(OrderReported,)):
        if each.position > since:
            newest[each.stream] = each
    for stream in sorted(newest):
        yield from _order_differences(book, newest[stream])


def _order_differences(book: Book, report: Record) -> Iterator[Difference]:
    """Yield how an order's own events differed from its report, and still do."""
    reported = report.event
    assert isinstance(reported, OrderReported)
    types = tuple(cls for cls in OrdersView.types or () if cls is not OrderReported)
    then = now = None
    evidence: list[int] = []
    for each, now in fold_order(book.read(stream=report.stream, types=types)):
        then = now if each.position < report.position else then
        evidence = [*evidence, each.position][-EVIDENCE_MAX:]
    order_id = unescaped(report.entity)
    common: dict[str, Any] = {"order_id": order_id, "there_status": reported.status, "evidence": tuple(evidence)}
    if now is None or not now.submitted:
        sentence = f"order {order_id}: the broker reports {reported.status}, it was never submitted here"
        common |= {"symbol": reported.symbol, "side": PositionSide.NET, "there": reported.filled_quantity}
        yield _difference(report, DifferenceKind.UNKNOWN_ORDER, sentence, **common)
        return
    common |= {"symbol": now.symbol, "side": now.position_side, "here_status": now.status}
    kind = _status_kind(reported.status, now)
    if kind is not None and then is not None and _status_kind(reported.status, then) is kind:
        sentence = f"order {order_id}: the broker reports {reported.status}, its own events give {now.status}"
        yield _difference(report, kind, sentence, **common)
    if reported.filled_quantity is None:
        return
    missing = reported.filled_quantity - now.cumulative
    missed = reported.filled_quantity - (ZERO if then is None else then.cumulative)
    # A difference counts while it has the same sign as at the report: later fills may explain it, or exceed the report.
    if missing and missed and (missing > ZERO) is (missed > ZERO):
        sentence = f"order {order_id}: the broker reports {reported.filled_quantity:f} filled, not {now.cumulative:f}"
        common |= {"here": now.cumulative, "there": reported.filled_quantity}
        yield _difference(report, DifferenceKind.FILLED_QUANTITY, sentence, **common)


def _status_kind(reported: OrderStatus, order: Order) -> DifferenceKind | None:
    if reported in CLOSED and order.is_open:
        return DifferenceKind.OPEN_HERE_CLOSED_THERE
    if reported in LIVE and order.status in CLOSED:
        return DifferenceKind.CLOSED_HERE_OPEN_THERE
    if reported in CLOSED and order.status in CLOSED and reported is not order.status:
        return DifferenceKind.CLOSED_DIFFERENTLY
    return None


def _difference(report: Record, kind: DifferenceKind, sentence: str, **members: Any) -> Difference:  # noqa: ANN401 - its own
    return Difference(
        kind=kind,
        account=report.account,
        sentence=sentence,
        report=report.position,
        report_id=report.id,
        reported_at=report.occurred_at,
        stream=report.stream,
        **members,
    )
