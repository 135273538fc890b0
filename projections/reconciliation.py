"""Reconciliation: what brokers report against what the fills say, as differences, and as adjustments on request."""

from __future__ import annotations

import decimal
import enum
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import DuplicateEvent, Instant, Record, VersionConflict
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
TRIES = 10
# Where no tick is known: a ten thousandth of the price.
_TOLERANCE = Decimal("0.0001")


class DifferenceKind(enum.StrEnum):
    """How a broker's word differs from what our own records say."""

    QUANTITY = "QUANTITY"
    """A position of another size, on the same side."""
    SIDE = "SIDE"
    """The broker is long where the fills say short, or the other way around."""
    MISSING_AT_BROKER = "MISSING_AT_BROKER"
    """The fills left a position, and the broker reports none."""
    UNKNOWN_HERE = "UNKNOWN_HERE"
    """The broker reports a position, and the fills say flat."""
    AVERAGE_PRICE = "AVERAGE_PRICE"
    """The same position at another average price, by first in first out and by average cost."""
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    """The broker reports an order that was never submitted here."""
    OPEN_HERE_CLOSED_THERE = "OPEN_HERE_CLOSED_THERE"
    """Nothing but the report says that the order is over."""
    CLOSED_HERE_OPEN_THERE = "CLOSED_HERE_OPEN_THERE"
    """The order ended here, and the broker still works on it."""
    CLOSED_DIFFERENTLY = "CLOSED_DIFFERENTLY"
    """The order is over on both sides, and not by the same end."""
    FILLED_QUANTITY = "FILLED_QUANTITY"
    """The broker says that more, or less, was filled than the fills that were told of."""


ADJUSTABLE = frozenset({
    DifferenceKind.QUANTITY, DifferenceKind.SIDE, DifferenceKind.MISSING_AT_BROKER, DifferenceKind.UNKNOWN_HERE
})  # fmt: skip
"""What `record` books."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a broker reported otherwise than our own records had it when the report was recorded.

    `here` and `there` are the figures compared, in the kind's own measure, and `difference` is what `there` has
    beyond `here`; of statuses, `here_status` and `there_status`. `stale`: what was recorded after the report had
    happened before it and does not explain the difference, or no more: only a new report can tell; it is not booked.
    `price` is the average that a position's report told, `reported_at` when it says it was so. `evidence` are the
    log positions of the records behind our side, the last 1,000, `report` that of the broker's.
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
        """What the broker has beyond what our records say; None where no quantities are compared."""
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
    """Return where an account's newest reports differ from what its other records said, positions first.

    A report is compared with what was known where it stands in the log: fills recorded later had not happened for it.
    Those among them that had happened by then count if that explains the difference, and make it stale if not, as
    they do when they come after it was booked. An order's difference goes when its own events come to agree; a
    position's, when it is adjusted or reported anew.
    What no report names is not compared: an empty answer of a broker says nothing until it is reported as zero.

    `since`: a log position; older reports are passed over. `tolerance`: how far average prices may lie apart, in
    points; by default one tick of the contract, or a ten thousandth of the price where none is known. Every record
    of the account's positions is read.
    """
    with decimal.localcontext(FIXED):
        positions = list(_positions(book, account, since, tolerance))
        return (*positions, *_orders(book, account, since))


def record(
    book: Book, account: str, differences: Sequence[Difference], *, actor: str, note: str = ""
) -> list[Record]:  # fmt: skip
    """Book what differs in positions' quantities as PositionAdjusted(RECONCILED); return the records.

    Each is caused by its report and keyed by it, so asking twice books once. What was recorded in between is read
    first: a difference that is explained by then, or stale, is not booked, and one that a newer report tells
    otherwise is booked as the newer one says. Differences of other kinds are passed over. Raises VersionConflict
    where others wrote to the position's stream each time it was tried.
    """
    return [
        each for asked in differences if asked.kind in ADJUSTABLE for each in _book(book, account, asked, actor, note)
    ]


def _book(book: Book, account: str, asked: Difference, actor: str, note: str) -> list[Record]:
    failed: VersionConflict | DuplicateEvent | None = None
    for _ in range(TRIES):
        book.refresh()
        version = 0
        # Before the rest is read, so that whatever is written to this stream from now on is a conflict.
        for last in book.read(stream=asked.stream):
            version = last.version
        current = _standing(book, account, asked)
        if current is None:
            return [each for each in _adjustments(book, asked) if each.causation_id == asked.report_id]
        if current.stream != asked.stream:
            asked = current
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
        circumstances: dict[str, Any] = {"actor": actor, "note": note, "causation_id": current.report_id}
        try:
            return book.append(current.stream, adjusted, key=key, expected=version, **circumstances)
        except (VersionConflict, DuplicateEvent) as e:
            failed = e  # Somebody reported or adjusted meanwhile: read again, decide again.
    assert failed is not None
    raise failed


def _standing(book: Book, account: str, asked: Difference) -> Difference | None:
    """Return a position's difference as it is now, if there is one that can be booked."""
    with decimal.localcontext(FIXED):
        for found in _positions(book, account, 0, None):
            same = (found.symbol, found.side) == (asked.symbol, asked.side)
            if same and found.kind in ADJUSTABLE and not found.stale:
                return found
    return None


def _adjustments(book: Book, asked: Difference) -> Iterator[Record]:
    for each in book.read(stream=asked.stream, types=(PositionAdjusted,)):
        event = each.event
        if isinstance(event, PositionAdjusted) and (event.symbol, event.position_side) == (asked.symbol, asked.side):
            yield each


# Positions


class _Report(msgspec.Struct):
    """The newest report of one symbol and side, with what the fold said then and what came after it."""

    record: Record
    event: PositionReported
    then: PositionTotals
    evidence: list[int]
    adjusted: Decimal | None = None
    """What was booked as reconciled since: an answer to this report."""
    late: Decimal = ZERO
    """What was recorded since, and had happened before it."""


class _Reading:
    """One account's positions, folded once more from the log, with what was so at each report."""

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
            key = event.symbol + "\0" + event.position_side
            evidence = self._evidence.get(key, [])[-EVIDENCE_MAX:]
            self.reports[key] = _Report(record, event, self._state.holdings[key].totals, evidence)
            return
        for key in self._touched(event):
            holding = self._state.holdings.get(key)
            before = self._quantities.get(key, ZERO)
            after = ZERO if holding is None else holding.totals.quantity
            if before != after:
                self._quantities[key] = after
                self._changed(key, before, after - before, record)

    def _touched(self, event: Event) -> list[str]:
        symbol, side = getattr(event, "symbol", None), getattr(event, "position_side", None)
        # A bust or a correction may name no symbol, and its trade may be of another side than it says.
        return list(self._state.holdings) if symbol is None else [f"{symbol}\0{side}"]

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
    reading = _Reading()
    for each in book.read(account=account, types=_TYPES):
        reading.read(each)
    for key in sorted(reading.reports):
        report = reading.reports[key]
        if report.record.position > since:
            found = _of_position(book, report, tolerance)
            if found is not None:
                yield found


def _of_position(book: Book, report: _Report, tolerance: Decimal | None) -> Difference | None:
    event = report.event
    # Venues that keep both sides report a short one above zero or below.
    there = -abs(event.quantity) if event.position_side is PositionSide.SHORT else event.quantity
    here = report.then.quantity
    if report.adjusted is not None:
        # What was booked stood for what was missing: of that, whatever is told after all counts twice.
        here += report.adjusted + report.late
    common: dict[str, Any] = {"symbol": event.symbol, "side": event.position_side, "price": event.average_price}
    common["evidence"] = tuple(report.evidence)
    if there == here:
        ours, told = _other_average(book, report, tolerance), event.average_price
        if ours is None or told is None:
            return None
        sentence = f"{_named(event)} is at {told:f} on average by the broker and at {ours:f} by the fills"
        return _difference(report.record, DifferenceKind.AVERAGE_PRICE, sentence, here=ours, there=told, **common)
    if report.adjusted is None and there == here + report.late:
        return None
    sentence = f"{_named(event)} is {there:f} by the broker and was {here:f} by the fills"
    if report.late:
        sentence += f"; {report.late:f} of before the report was told after it"
    common |= {"here": here, "there": there, "stale": bool(report.late)}
    return _difference(report.record, _kind(here, there), sentence, **common)


def _kind(here: Decimal, there: Decimal) -> DifferenceKind:
    if not here:
        return DifferenceKind.UNKNOWN_HERE
    if not there:
        return DifferenceKind.MISSING_AT_BROKER
    return DifferenceKind.QUANTITY if (here > ZERO) is (there > ZERO) else DifferenceKind.SIDE


def _other_average(book: Book, report: _Report, tolerance: Decimal | None) -> Decimal | None:
    """Return our nearest average price where it is too far from the reported one."""
    figures, told = report.then, report.event.average_price
    priced = figures.quantity - figures.unpriced
    if told is None or not priced or figures.unpriced or report.adjusted is not None or report.late:
        return None
    averages = (figures.cost / priced, figures.average_cost_total / priced)
    ours = min(averages, key=lambda average: abs(average - told))
    if tolerance is None:
        contract = book.contracts.find(report.event.symbol)
        tick = None if contract is None else contract.tick_size
        tolerance = abs(told) * _TOLERANCE if tick is None else tick
    return ours if abs(ours - told) > tolerance else None


def _named(event: PositionReported) -> str:
    side = "" if event.position_side is PositionSide.NET else f" {event.position_side}"
    return f"{event.symbol}{side}"


# Orders


def _orders(book: Book, account: str, since: int) -> Iterator[Difference]:
    newest: dict[str, Record] = {}
    for each in book.read(account=account, types=(OrderReported,)):
        if each.position > since:
            newest[each.stream] = each
    for stream in sorted(newest):
        yield from _of_order(book, newest[stream])


def _of_order(book: Book, report: Record) -> Iterator[Difference]:
    """Yield how an order's own events differed from its report, where they still do."""
    told = report.event
    assert isinstance(told, OrderReported)
    types = tuple(cls for cls in OrdersView.types or () if cls is not OrderReported)
    then = now = None
    evidence: list[int] = []
    for each, now in fold_order(book.read(stream=report.stream, types=types)):
        then = now if each.position < report.position else then
        evidence = [*evidence, each.position][-EVIDENCE_MAX:]
    order_id = report.entity.replace("%2F", "/")
    common: dict[str, Any] = {"order_id": order_id, "there_status": told.status, "evidence": tuple(evidence)}
    if now is None or not now.submitted:
        sentence = f"order {order_id} is {told.status} by the broker and was never submitted here"
        common |= {"symbol": told.symbol, "side": PositionSide.NET, "there": told.filled_quantity}
        yield _difference(report, DifferenceKind.UNKNOWN_ORDER, sentence, **common)
        return
    common |= {"symbol": now.symbol, "side": now.position_side, "here_status": now.status}
    kind = _of_status(told.status, now)
    if kind is not None and then is not None and _of_status(told.status, then) is kind:
        sentence = f"order {order_id} is {told.status} by the broker and {now.status} by its own events"
        yield _difference(report, kind, sentence, **common)
    if told.filled_quantity is None:
        return
    missing = told.filled_quantity - now.cumulative
    missed = told.filled_quantity - (ZERO if then is None else then.cumulative)
    # Later fills make up for what was missing, and go beyond what the report could know.
    if missing and missed and (missing > ZERO) is (missed > ZERO):
        sentence = f"order {order_id} filled {told.filled_quantity:f} by the broker and {now.cumulative:f} by its fills"
        common |= {"here": now.cumulative, "there": told.filled_quantity}
        yield _difference(report, DifferenceKind.FILLED_QUANTITY, sentence, **common)


def _of_status(told: OrderStatus, order: Order) -> DifferenceKind | None:
    if told in CLOSED and order.is_open:
        return DifferenceKind.OPEN_HERE_CLOSED_THERE
    if told in LIVE and order.status in CLOSED:
        return DifferenceKind.CLOSED_HERE_OPEN_THERE
    if told in CLOSED and order.status in CLOSED and told is not order.status:
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
