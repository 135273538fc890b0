"""Reconciliation of positions: broker reports against fills, by kind, booked on request."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Unpack

import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import Event, EventStore, InvalidEvent, ManualClock, Record, VersionConflict, trading
from eventstore.batch import AppendOptions
from eventstore.trading import AdjustmentReason, OrderStatus, PositionSide
from projections import Book
from projections.reconciliation import DifferenceKind, reconcile, record
from tests.places import Place
from tests.projections.reconciling import (
    NOON,
    ORDER,
    POSITION,
    SECOND,
    booked,
    kinds,
    only,
    order_report,
    reported,
    submitted,
)
from tests.views.position_folding import LONG, SHORT, fill

pytestmark = pytest.mark.in_each_place(slow=True)


@pytest.mark.parametrize(
    ("quantity", "there", "kind"),
    [
        (3, 5, DifferenceKind.QUANTITY),
        (-3, -1, DifferenceKind.QUANTITY),
        (3, -3, DifferenceKind.SIDE),
        (3, 0, DifferenceKind.MISSING_AT_BROKER),
        (0, -2, DifferenceKind.UNKNOWN_HERE),
    ],
)
def test_a_position_differs_in_one_of_four_ways_and_is_booked(
    book: Book, quantity: int, there: int, kind: DifferenceKind
) -> None:
    if quantity:
        book.append(ORDER, fill("T-1", quantity, 50))
    (report,) = book.append(POSITION, reported(there))
    difference = only(book)
    assert (difference.kind, difference.here, difference.there) == (kind, quantity, there)
    assert (difference.difference, difference.stale) == (there - quantity, False)
    assert (difference.report, difference.report_id) == (report.position, report.id)
    assert difference.sentence == f"ESZ5: the broker reports {there}, the fills gave {quantity}"
    (done,) = booked(book, note="morning check")
    event = done.event
    assert isinstance(event, trading.PositionAdjusted)
    assert (event.quantity, event.reason, event.price) == (there - quantity, AdjustmentReason.RECONCILED, None)
    assert (done.stream, done.causation_id, done.actor) == (POSITION, report.id, "ops@desk")
    assert done.note == "morning check"
    assert event.note == difference.sentence
    assert book.positions.get("A", "ESZ5").quantity == there
    assert reconcile(book, "A") == ()


def test_what_agrees_is_not_a_difference_and_neither_is_what_nobody_reported(book: Book) -> None:
    book.append(ORDER, [fill("T-1", 3, 50), fill("T-2", 1, 50, "NQZ5")])
    book.append(POSITION, reported(3, "50"))
    assert reconcile(book, "A") == reconcile(book, "B") == ()


def test_the_newest_report_counts_and_each_symbol_and_side_has_its_own(book: Book) -> None:
    book.append(POSITION, [reported(5), reported(0), reported(2, side=LONG), reported(2, side=SHORT)])
    book.append("position/A/NQZ5", reported(1, symbol="NQZ5"))
    found = [(each.symbol, each.side, each.there) for each in reconcile(book, "A")]
    assert found == [("ESZ5", LONG, 2), ("ESZ5", SHORT, -2), ("NQZ5", PositionSide.NET, 1)]
    assert [each.sentence.split(": ")[0] for each in reconcile(book, "A")] == ["ESZ5 LONG", "ESZ5 SHORT", "NQZ5"]
    assert len(booked(book)) == 3
    assert book.positions.get("A", "ESZ5", "SHORT").quantity == -2
    assert reconcile(book, "A") == ()


def test_a_report_is_compared_with_what_was_known_when_it_was_recorded(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, fill("T-1", 3, 50))
    book.append(POSITION, reported(5, "50.5"))
    clock.advance(SECOND)
    book.append(ORDER, fill("T-2", -1, 50))
    difference = only(book)
    assert (difference.here, difference.there, difference.difference) == (3, 5, 2)
    (done,) = booked(book)
    assert isinstance(done.event, trading.PositionAdjusted)
    assert (done.event.price, done.occurred_at) == (Decimal("51.25"), NOON)
    assert book.positions.get("A", "ESZ5").quantity == 4
    assert reconcile(book, "A") == ()


def test_a_report_that_was_made_before_the_newest_one_and_comes_after_it_is_not_compared(
    book: Book, clock: ManualClock
) -> None:
    clock.advance(60 * SECOND)
    book.append(POSITION, reported(5), occurred_at=NOON + SECOND)
    book.append(POSITION, reported(2), occurred_at=NOON)
    assert (only(book).there, book.positions.get("A", "ESZ5").reported) == (5, 5)
    booked(book)
    assert book.positions.get("A", "ESZ5").quantity == 5


@pytest.mark.parametrize(("first", "there", "later"), [(0, 2, [2]), (0, 2, [2, 1]), (-1, 0, [1]), (3, -1, [-4])])
def test_fills_after_a_report_that_lead_to_its_position_make_it_stale(
    book: Book, clock: ManualClock, first: int, there: int, later: list[int]
) -> None:
    if first:
        book.append(ORDER, fill("T-0", first, 50))
    book.append(POSITION, reported(there))
    for number, quantity in enumerate(later, 1):
        clock.advance(SECOND)
        book.append(ORDER, fill(f"T-{number}", quantity, 50))
    difference = only(book)
    assert (difference.here, difference.there, difference.stale) == (first, there, True)
    assert difference.sentence.endswith(f"; fills since have led to {there}")
    assert booked(book) == []
    clock.advance(SECOND)
    book.append(POSITION, reported(first + sum(later)))
    assert reconcile(book, "A") == ()


def test_a_report_by_a_clock_that_runs_ahead_does_not_outlast_later_ones(book: Book) -> None:
    book.append(POSITION, reported(5), occurred_at=NOON + 60 * SECOND)
    book.append(POSITION, reported(2), occurred_at=NOON)
    assert (only(book).there, book.positions.get("A", "ESZ5").reported) == (2, 2)


def test_a_report_that_is_delivered_again_knows_nothing_of_the_fills_since(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, fill("T-1", 2, 50))
    book.append(POSITION, reported(2), occurred_at=NOON)
    clock.advance(SECOND)
    book.append(ORDER, fill("T-2", 1, 51))
    book.append(POSITION, reported(2), occurred_at=NOON)
    assert reconcile(book, "A") == ()


def test_a_report_that_comes_after_a_fill_that_it_does_not_know_of_agrees(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, fill("T-1", 2, 50))
    clock.advance(2 * SECOND)
    book.append(ORDER, fill("T-2", 1, 60))
    book.append(POSITION, reported(2, "50"), occurred_at=NOON + SECOND)
    assert reconcile(book, "A") == ()


def test_later_fills_alone_are_not_a_difference(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, fill("T-1", 3, 50))
    book.append(POSITION, reported(3))
    clock.advance(SECOND)
    book.append(ORDER, fill("T-2", 4, 50))
    assert reconcile(book, "A") == ()


def test_a_fill_that_is_reported_late_explains_the_difference(book: Book, clock: ManualClock) -> None:
    book.append(POSITION, reported(2))
    asked = reconcile(book, "A")
    clock.advance(SECOND)
    book.append(ORDER, fill("T-1", 2, 50), occurred_at=NOON - SECOND)
    assert reconcile(book, "A") == ()
    assert record(book, "A", asked, actor="ops@desk") == []
    assert book.positions.get("A", "ESZ5").quantity == 2


def test_a_late_fill_that_explains_only_a_part_makes_the_report_stale(book: Book, clock: ManualClock) -> None:
    book.append(POSITION, reported(5))
    clock.advance(SECOND)
    book.append(ORDER, fill("T-1", 2, 50), occurred_at=NOON)
    difference = only(book)
    assert (difference.here, difference.there, difference.stale) == (0, 5, True)
    assert difference.sentence.endswith("; 2 from before the report was recorded after it")
    assert booked(book) == []
    book.append(POSITION, reported(5))
    assert only(book).stale is False
    assert len(booked(book)) == 1
    assert book.positions.get("A", "ESZ5").quantity == 5


def test_a_bust_of_before_the_report_that_is_reported_after_it_counts(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, fill("T-1", 2, 50))
    book.append(POSITION, reported(0))
    clock.advance(SECOND)
    book.append(ORDER, trading.TradeBusted(trade_id="T-1"), occurred_at=NOON)
    assert reconcile(book, "A") == ()


def test_asking_twice_adjusts_once(book: Book, store: EventStore) -> None:
    book.append(POSITION, reported(2))
    asked = reconcile(book, "A")
    first = record(book, "A", asked, actor="ops@desk")
    assert record(book, "A", asked, actor="ops@desk") == first
    assert record(book, "A", [*asked, *asked], actor="ops@desk") == [*first, *first]
    assert store.head() == 2
    assert booked(book) == []
    # Two processes that book one report at once book the same fact.
    key = f"reconciled {first[0].causation_id.hex()} ESZ5 NET"  # type: ignore[union-attr]
    assert store.append(POSITION, first[0].event, key=key) == first


def test_a_newer_report_is_followed_and_adjusted_on_its_own(book: Book, store: EventStore) -> None:
    book.append(POSITION, reported(2))
    asked = reconcile(book, "A")
    store.append(POSITION, reported(7))
    (done,) = record(book, "A", asked, actor="ops@desk")
    assert isinstance(done.event, trading.PositionAdjusted)
    assert done.event.quantity == 7
    book.append(POSITION, reported(9))
    assert [each.event.quantity for each in booked(book)] == [2]  # type: ignore[attr-defined]
    assert reconcile(book, "A") == ()


class Racing(Book):
    """A book that somebody else overtakes just before it appends, a given number of times."""

    left: int
    store: EventStore
    stream: str
    event: Any
    occurred_at: int

    @override
    def append(self, stream: str, events: Event | Sequence[Event], **options: Unpack[AppendOptions]) -> list[Record]:
        if self.left:
            self.left -= 1
            self.store.append(self.stream, self.event, occurred_at=self.occurred_at)
        return super().append(stream, events, **options)


def overtaken(book: Book, store: EventStore, times: int, event: Any, stream: str = POSITION) -> Book:  # noqa: ANN401 - an event
    book.__class__ = Racing
    assert isinstance(book, Racing)
    book.left, book.store, book.stream, book.event, book.occurred_at = times, store, stream, event, NOON
    return book


def test_what_is_written_in_between_is_read_before_anything_is_booked(book: Book, store: EventStore) -> None:
    book.append(POSITION, reported(2))
    asked = reconcile(book, "A")
    (done,) = record(overtaken(book, store, 1, reported(3)), "A", asked, actor="ops@desk")
    assert isinstance(done.event, trading.PositionAdjusted)
    assert done.event.quantity == 3
    assert book.positions.get("A", "ESZ5").quantity == 3


def test_a_fill_in_between_that_explains_it_leaves_nothing_to_book(book: Book, store: EventStore) -> None:
    book.append(POSITION, reported(2))
    asked = reconcile(book, "A")
    assert record(overtaken(book, store, 1, fill("T-1", 2, 50)), "A", asked, actor="ops@desk") == []
    assert book.positions.get("A", "ESZ5").quantity == 2


def test_a_fill_that_is_reported_after_it_was_booked_replaces_it(book: Book, clock: ManualClock) -> None:
    book.append(POSITION, reported(2, "50"))
    clock.advance(SECOND)
    booked(book)
    book.append(ORDER, fill("T-1", 2, 49), occurred_at=NOON - SECOND)
    assert reconcile(book, "A") == ()
    position = book.positions.get("A", "ESZ5")
    assert (position.quantity, position.average_price, position.is_uncertain) == (2, 49, False)


def test_a_fill_that_is_recorded_while_it_is_booked_counts_twice_until_the_next_report(
    book: Book, store: EventStore, clock: ManualClock
) -> None:
    book.append(POSITION, reported(2))
    clock.advance(SECOND)
    # No version of the position's stream shows a fill in an order's.
    booked(overtaken(book, store, 1, fill("T-1", 2, 50), ORDER))
    difference = only(book)
    assert (difference.here, difference.there, difference.stale) == (4, 2, True)
    booked(book)
    assert store.head() == 3
    book.append(POSITION, reported(2))
    assert len(booked(book)) == 1
    assert book.positions.get("A", "ESZ5").quantity == 2
    assert reconcile(book, "A") == ()


def test_who_is_overtaken_again_and_again_gives_up(book: Book, store: EventStore) -> None:
    book.append(POSITION, reported(2))
    asked = reconcile(book, "A")
    with pytest.raises(VersionConflict):
        record(overtaken(book, store, 1_000, reported(3)), "A", asked, actor="ops@desk")


def test_a_difference_that_somebody_booked_by_hand_is_not_booked_again(book: Book) -> None:
    book.append(POSITION, reported(2))
    asked = reconcile(book, "A")
    by_hand = trading.PositionAdjusted(symbol="ESZ5", quantity=Decimal(2), reason=AdjustmentReason.RECONCILED)
    book.append(POSITION, by_hand)
    assert reconcile(book, "A") == ()
    assert record(book, "A", asked, actor="ops@desk") == []


def test_what_was_booked_wrongly_by_hand_still_differs_when_the_fill_comes(book: Book, clock: ManualClock) -> None:
    book.append(POSITION, reported(2))
    wrong = trading.PositionAdjusted(symbol="ESZ5", quantity=Decimal(-2), reason=AdjustmentReason.RECONCILED)
    book.append(POSITION, wrong)
    clock.advance(SECOND)
    # It is taken out of what was booked by hand, and changes nothing.
    book.append(ORDER, fill("T-1", 2, 50), occurred_at=NOON)
    assert (only(book).here, only(book).there, only(book).stale) == (-2, 2, False)
    booked(book)
    assert book.positions.get("A", "ESZ5").quantity == 2
    assert reconcile(book, "A") == ()


def test_a_newer_report_in_another_stream_is_followed_there(book: Book) -> None:
    book.append(POSITION, [reported(1), reported(2)])
    asked = reconcile(book, "A")
    book.append("position/A/elsewhere", reported(3))
    assert [each.stream for each in record(book, "A", asked, actor="ops@desk")] == ["position/A/elsewhere"]
    assert book.positions.get("A", "ESZ5").quantity == 3


def test_what_came_to_differ_only_in_price_is_not_booked(book: Book) -> None:
    book.append(POSITION, reported(2))
    asked = reconcile(book, "A")
    book.append(ORDER, fill("T-1", 2, 50))
    book.append(POSITION, reported(2, "60"))
    assert kinds(book) == [DifferenceKind.AVERAGE_PRICE]
    assert record(book, "A", asked, actor="ops@desk") == []


def test_an_order_that_differs_books_no_position(book: Book) -> None:
    book.append(POSITION, reported(2))
    book.append(ORDER, [submitted(), order_report(OrderStatus.CANCELED)])
    position, order = reconcile(book, "A")
    assert record(book, "A", [order], actor="ops@desk") == []
    assert len(record(book, "A", [order, position], actor="ops@desk")) == 1


def test_an_average_price_differs_beyond_a_tick(book: Book) -> None:
    book.append(ORDER, [fill("T-1", 1, 50), fill("T-2", 1, 60), fill("T-3", -1, 60)])
    for average in ("60", "55", "55.005"):
        book.append(POSITION, reported(1, average))
        assert reconcile(book, "A") == ()
    book.append(POSITION, reported(1, "55.25"))
    difference = only(book)
    assert (difference.kind, difference.here, difference.there) == (DifferenceKind.AVERAGE_PRICE, 55, Decimal("55.25"))
    assert difference.sentence == "ESZ5: the broker reports an average price of 55.25, the fills give 55"
    assert kinds(book, tolerance=Decimal("0.25")) == []
    assert booked(book) == []
    book.append("contract/-/ESZ5", trading.ContractDefined(symbol="ESZ5", tick_size=Decimal("0.25")))
    assert reconcile(book, "A") == ()


def test_a_position_whose_opening_had_no_price_has_no_average_to_compare(book: Book) -> None:
    opening = trading.PositionAdjusted(symbol="ESZ5", quantity=Decimal(1), reason=AdjustmentReason.OPENING)
    book.append(POSITION, [opening, reported(1, "50")])
    assert reconcile(book, "A") == ()
    book.append(ORDER, fill("T-1", 1, 50))
    book.append(POSITION, reported(2, "60"))
    assert reconcile(book, "A") == ()


def test_the_records_behind_both_sides_are_read_when_asked_for(book: Book) -> None:
    book.append(ORDER, [fill("T-1", 1, 50), fill("T-2", -1, 50)])
    book.append("order/A/O-2", [submitted(), fill("T-3", 1, 50)])
    book.append("order/B/O-3", fill("T-4", 1, 50))
    book.append(POSITION, reported(5))
    book.append("order/A/O-2", fill("T-5", 1, 50), occurred_at=NOON - 1)
    difference = only(book)
    assert (difference.evidence, difference.report) == ((4, 7), 6)
    assert [each.position for each in difference.records(book)] == [4, 6, 7]


def test_reports_before_a_position_can_be_passed_over(book: Book) -> None:
    book.append(POSITION, reported(5))
    book.append(ORDER, [submitted(), order_report(OrderStatus.CANCELED)])
    assert len(kinds(book, since=0)) == 2
    assert kinds(book, since=1) == [DifferenceKind.OPEN_HERE_CLOSED_THERE]
    assert kinds(book, since=3) == []


def test_an_adjustment_is_there_after_a_restart(place: Place) -> None:
    with eventstore.open(place) as store, projections.open(store) as book:
        book.append(POSITION, reported(2))
        booked(book)
    with eventstore.open(place) as store, projections.open(store) as book:
        assert reconcile(book, "A") == ()
        assert book.positions.get("A", "ESZ5").quantity == 2


def test_who_books_is_named(book: Book) -> None:
    book.append(POSITION, reported(2))
    with pytest.raises(InvalidEvent):
        record(book, "A", reconcile(book, "A"), actor=7)  # type: ignore[arg-type]
