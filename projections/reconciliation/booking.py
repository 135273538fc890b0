"""Booking what a broker's report of a position shows to be missing, as adjustments."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING

from eventstore import DuplicateEvent, VersionConflict
from eventstore.clock import derived_times
from eventstore.trading import AdjustmentReason, PositionAdjusted
from projections.decimals import FIXED, ZERO
from projections.reconciliation.difference import ADJUSTABLE
from projections.reconciliation.positions import position_difference, reported_positions
from projections.view import SHARED
from projections.views.executions.prices import has_value, price_of, quotient, value_of
from projections.views.executions.state import VIEW, ExecutionsState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from eventstore import Record
    from projections.book import Book
    from projections.reconciliation.difference import Difference
    from projections.reconciliation.positions import ReportedPosition

ATTEMPTS_MAX = 10


def record(
    book: Book, account: str, differences: Sequence[Difference], *, actor: str, note: str = ""
) -> list[Record]:  # fmt: skip
    """Book differences of positions' quantities as PositionAdjusted(RECONCILED); return the records.

    What closes is booked without a price, because no report says at which price it was closed: the adjustment is marked
    UNPRICED, and so is its day, until the price is stated or the missing fill is recorded. What opens is booked at the
    price that makes our average the broker's, or at the broker's average price where ours is not known; without a
    reported average it has no price either. A position on the other side is closed and opened by two adjustments, both
    or neither. They happen when the report did: what happens later is not part of them, whenever it is recorded.

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
            return list(_adjustments(book, given))
        report, found = current
        if found.stream != given.stream:
            given = found
            continue
        with decimal.localcontext(FIXED):
            adjustments = _adjustments_by(report, found)
        key = f"reconciled {found.report_id.hex()} {found.symbol} {found.side}"
        keys = [key, f"{key} opened"][: len(adjustments)]
        stream, cause = found.stream, found.report_id
        try:
            # The time is a record's, and may be that of a wrong clock.
            with derived_times():
                return book.append(
                    stream, adjustments, key=keys, expected=version, occurred_at=report.at, actor=actor, note=note,
                    causation_id=cause,
                )  # fmt: skip
        except (VersionConflict, DuplicateEvent) as e:
            failed = e  # Somebody reported or adjusted in between: read again, decide again.
    assert failed is not None
    raise failed


def _current(book: Book, account: str, given: Difference) -> tuple[ReportedPosition, Difference] | None:
    """Return a position's report and difference as they are now, if there is one to book."""
    shared: ExecutionsState | None = book.state(VIEW, SHARED)
    symbol = given.symbol or ""
    # Its name may have become that of a contract since.
    symbol = symbol if shared is None else shared.directory.symbol_at(symbol, book.position)
    with decimal.localcontext(FIXED):
        for report in reported_positions(book, account):
            if (report.symbol, report.event.position_side) == (symbol, given.side):
                found = position_difference(book, report)
                if found is not None and found.kind in ADJUSTABLE and not found.stale:
                    return report, found
    return None


def _adjustments(book: Book, given: Difference) -> Iterator[Record]:
    """Yield what was booked for a report."""
    for each in book.read(stream=given.stream, types=(PositionAdjusted,)):
        if each.causation_id == given.report_id:
            yield each


def _adjustments_by(report: ReportedPosition, found: Difference) -> list[PositionAdjusted]:
    """Return what makes our quantity the broker's: what it closes without a price, and what it opens."""
    missing = found.difference or ZERO
    held = report.here if report.replaced is None else report.replaced
    is_closing = bool(held) and (held > ZERO) is not (missing > ZERO)
    closing = ZERO if not is_closing else missing if abs(missing) <= abs(held) else -held
    price = _opening_price(report, missing, is_closing=is_closing)
    parts = [(missing, None)] if price is None else [(closing, None), (missing - closing, price)]
    return [
        PositionAdjusted(
            symbol=report.symbol,
            quantity=quantity,
            reason=AdjustmentReason.RECONCILED,
            price=price,
            position_side=found.side,
            note=found.sentence,
        )
        for quantity, price in parts
        if quantity
    ]


def _opening_price(report: ReportedPosition, missing: Decimal, *, is_closing: bool) -> Decimal | None:
    """Return the price of what an adjustment opens, None where it is not known.

    Brokers report an average of 0 where they know none.
    """
    figures, average = report.figures, report.event.average_price
    if not average:
        return None
    is_changed = report.adjusted is not None or report.replaced is not None or report.newer is not None
    known = figures.quantity and not figures.unpriced and not is_changed
    if is_closing or not known:
        return average
    if not has_value(average, inverse=figures.inverse):
        return average
    value = quotient(report.there * value_of(average, inverse=figures.inverse) - figures.cost, missing)
    price = price_of(value, inverse=figures.inverse) if value else value
    # Below zero it means that the broker counts otherwise, or rounds its averages.
    return price if average > ZERO and price > ZERO else average
