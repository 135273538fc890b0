"""What is booked of a broker's report: no invented profit, no fill counted twice, under any name of a contract."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

import projections
from eventstore import Event, EventStore, InvalidEvent, ManualClock, Record, StoreError, trading
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import AdjustmentReason
from projections import Book
from projections.reconciliation import DifferenceKind, reconcile, record
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.positions import Position
from tests.projections.reconciling import NOON, ORDER, POSITION, SECOND, booked, kinds, only, reported
from tests.views.position_folding import LONG, SHORT, fill

pytestmark = pytest.mark.in_each_place(slow=True)

Parts = list[tuple[Decimal, Decimal | None]]


@pytest.fixture
def book(store: EventStore) -> Iterator[Book]:
    with projections.open(store) as opened:
        opened.append("contract/-/ESZ5", contract("ESZ5"))
        yield opened


def contract(symbol: str, *names: str) -> Event:
    return trading.ContractDefined(symbol=symbol, multiplier=Decimal(50), currency="USD", broker_ids=names)


def parts(records: list[Record]) -> Parts:
    """Return quantity and price of each adjustment."""
    events = [each.event for each in records]
    return [(each.quantity, each.price) for each in events if isinstance(each, trading.PositionAdjusted)]


def held(book: Book, symbol: str = "ESZ5", side: Any = "NET") -> Position:  # noqa: ANN401 - a text is taken too
    return book.positions.get("A", symbol, side)


def unpriced(book: Book) -> tuple[bool, int]:
    """Return whether the position is marked, and how many changes without a price the day has."""
    (day,) = book.pnl.day("A")
    return any(each.kind is TradeAnomalyKind.UNPRICED for each in held(book).anomalies), day.unpriced


@pytest.mark.parametrize("there", [2, 1, 0])
@pytest.mark.parametrize("average", [None, "50", "90"])
@pytest.mark.parametrize("sign", [1, -1])
def test_what_the_broker_no_longer_reports_is_closed_without_a_price(
    book: Book, there: int, average: str | None, sign: int
) -> None:
    book.append(ORDER, fill("T-1", 3 * sign, 50))
    book.append(POSITION, reported(there * sign, average))
    assert parts(booked(book)) == [((there - 3) * sign, None)]
    assert (held(book).quantity, held(book).realized_points, held(book).is_uncertain) == (there * sign, 0, True)
    assert unpriced(book) == (True, 1)
    assert reconcile(book, "A") == ()


def test_a_closing_that_was_booked_gets_its_price_later(book: Book) -> None:
    book.append(ORDER, fill("T-1", 2, 50))
    book.append(POSITION, reported(0, "50"))
    booked(book)
    book.append(POSITION, adjustment(0, "40"))
    assert (held(book).realized, held(book).is_uncertain) == (-1_000, False)
    assert unpriced(book) == (False, 0)
    assert reconcile(book, "A") == ()


def test_a_closing_that_was_booked_is_replaced_by_its_fill(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, fill("T-1", 2, 50))
    clock.advance(SECOND)
    book.append(POSITION, reported(0))
    clock.advance(SECOND)
    booked(book)
    assert unpriced(book) == (True, 1)
    clock.advance(SECOND)
    book.append("order/A/O-2", fill("T-2", -2, 40), occurred_at=NOON + 1)
    assert (held(book).quantity, held(book).realized, held(book).is_uncertain) == (0, -1_000, False)
    assert unpriced(book) == (False, 0)
    assert reconcile(book, "A") == ()


def test_what_happened_after_the_report_is_not_part_of_what_was_booked(book: Book, clock: ManualClock) -> None:
    book.append(POSITION, reported(2, "50"))
    clock.advance(3 * SECOND)
    booked(book)
    # It was executed between the report and the booking, and is recorded last.
    book.append(ORDER, fill("T-1", 1, 51), occurred_at=NOON + SECOND)
    assert held(book).quantity == 3
    assert reconcile(book, "A") == ()


def test_a_report_of_the_future_stands_for_nothing_that_is_still_to_come(book: Book, clock: ManualClock) -> None:
    book.append(POSITION, reported(2, "50"), occurred_at=NOON + 60 * SECOND)
    booked(book)
    clock.advance(SECOND)
    book.append(ORDER, fill("T-1", 1, 51))
    assert held(book).quantity == 3


@pytest.mark.parametrize("is_recorded_last", [True, False])
def test_a_report_knows_nothing_of_fills_after_it_whichever_is_recorded_first(
    book: Book, clock: ManualClock, *, is_recorded_last: bool
) -> None:
    if not is_recorded_last:
        book.append(POSITION, reported(1, "50"))
    clock.advance(SECOND)
    book.append(ORDER, fill("T-1", 3, 52))
    if is_recorded_last:
        book.append(POSITION, reported(1, "50"), occurred_at=NOON)
    (done,) = booked(book)
    assert (parts([done]), done.occurred_at) == ([(1, Decimal(50))], NOON)
    assert held(book).quantity == 4
    assert reconcile(book, "A") == ()


def test_a_report_by_a_clock_that_was_wrong_is_booked() -> None:
    clock = ManualClock("1970-01-01T00:00:01Z")
    with EventStore(MemoryJournal(clock=clock), clock=clock) as store, projections.open(store) as book:
        book.append(POSITION, reported(2))
        clock.advance(NOON)
        (done,) = booked(book)
        assert (done.occurred_at, held(book).quantity) == (SECOND, 2)


@pytest.mark.parametrize(
    ("here", "there", "average", "price"),
    [
        ([(1, 50)], 3, "52", "53"),
        ([(-1, 50)], -3, "52", "53"),
        ([(1, 50), (1, 60), (-1, 60)], 2, "59", "58"),
        ([(1, 50)], 4, "51", "51.33333333333333333333333333333333"),
        # No price would make the averages equal: the broker counts otherwise.
        ([(3, 50)], 4, "30", "30"),
        ([(3, 50)], 4, "-30", "-30"),
        ([(3, -50)], 4, "-30", "-30"),
        # Our average is not known.
        ([(1, None)], 3, "52", "52"),
        ([], 2, "52", "52"),
        ([], -2, "-0.5", "-0.5"),
        # Without a reported average there is no price, and 0 is what some brokers report for none.
        ([(1, 50)], 3, None, None),
        ([(1, 50)], 3, "0", None),
        ([], 2, None, None),
    ],
)
def test_what_opens_costs_what_makes_the_averages_equal(
    book: Book, here: list[tuple[int, int | None]], there: int, average: str | None, price: str | None
) -> None:
    for number, (quantity, at) in enumerate(here):
        if at is None:
            book.append(POSITION, adjustment(quantity, None, AdjustmentReason.OPENING))
        else:
            book.append(f"order/A/{number}", fill(f"T-{number}", quantity, at))
    before = sum(quantity for quantity, _ in here)
    book.append(POSITION, reported(there, average))
    assert parts(booked(book)) == [(there - before, None if price is None else Decimal(price))]
    assert held(book).quantity == there
    if price is None:
        assert unpriced(book) == (True, 1)
    if price not in {None, average}:
        assert abs((held(book).average_price or 0) - Decimal(average or 0)) < Decimal("1e-19")
    assert reconcile(book, "A") == ()


def test_the_other_side_is_closed_without_a_price_and_opened_at_the_average(book: Book, store: EventStore) -> None:
    book.append(ORDER, fill("T-1", 3, 50))
    (report,) = book.append(POSITION, reported(-2, "40"))
    asked = reconcile(book, "A")
    assert kinds(book) == [DifferenceKind.SIDE]
    done = record(book, "A", asked, actor="ops@desk")
    assert parts(done) == [(-3, None), (-2, 40)]
    assert {each.causation_id for each in done} == {report.id}
    assert (held(book).quantity, held(book).realized, held(book).average_price) == (-2, 0, 40)
    assert unpriced(book) == (True, 1)
    head = store.head()
    assert record(book, "A", asked, actor="ops@desk") == done
    # Two processes that book one report at once book the same facts.
    key = f"reconciled {report.id.hex()} ESZ5 NET"
    assert store.append(POSITION, [each.event for each in done], key=[key, f"{key} opened"]) == done
    assert (store.head(), reconcile(book, "A")) == (head, ())


def test_both_adjustments_of_a_side_are_booked_or_none(book: Book, store: EventStore) -> None:
    book.append(ORDER, fill("T-1", 3, 50))
    (report,) = book.append(POSITION, reported(-2, "40"))
    asked, head = reconcile(book, "A"), store.head()
    # Something else has the second one's key.
    store.append(POSITION, adjustment(7, "1"), key=f"reconciled {report.id.hex()} ESZ5 NET opened")
    with pytest.raises(StoreError):
        record(book, "A", [*asked, *asked], actor="ops@desk")
    assert store.head() == head + 1


@pytest.mark.parametrize("missing", [[(-5, 44)], [(-3, 45), (-2, 43)], [(-2, 43), (-3, 45)], [(-1, 45), (-4, 43)]])
def test_fills_that_come_after_all_replace_both_adjustments_of_a_side(
    book: Book, clock: ManualClock, missing: list[tuple[int, int]]
) -> None:
    book.append(ORDER, fill("T-1", 3, 50))
    clock.advance(SECOND)
    book.append(POSITION, reported(-2, "40"))
    booked(book)
    clock.advance(SECOND)
    for number, (quantity, price) in enumerate(missing):
        book.append("order/A/O-2", fill(f"L-{number}", quantity, price), occurred_at=NOON + 1 + number)
        assert held(book).quantity == -2
        assert reconcile(book, "A") == ()
    assert (held(book).is_uncertain, unpriced(book)) == (False, (False, 0))
    assert [each.price for each in held(book).lots] == [missing[-1][1]]


@pytest.mark.parametrize("later", [1, 4])
def test_a_position_that_was_opened_again_since_is_not_closed_at_the_reported_average(
    book: Book, clock: ManualClock, later: int
) -> None:
    book.append(ORDER, fill("T-1", 3, 50))
    book.append(POSITION, reported(5, "52"))
    clock.advance(SECOND)
    book.append(ORDER, fill("T-2", -3, 60))
    clock.advance(SECOND)
    book.append(ORDER, fill("T-3", -later, 61))
    # What the report lacks counts at the end, where it closes a part of the short position.
    expected: Parts = [(Decimal(1), None), (Decimal(1), Decimal(52))] if later == 1 else [(Decimal(2), None)]
    assert parts(booked(book)) == expected
    assert held(book).quantity == 2 - later
    assert held(book).realized_points == 30


def test_each_side_of_a_hedged_position_is_booked_by_itself(book: Book) -> None:
    sides = [fill("T-1", 2, 50, position_side=LONG), fill("T-2", -2, 60, position_side=SHORT)]
    book.append(ORDER, sides)
    book.append(POSITION, [reported(1, "50", side=LONG), reported(3, "62", side=SHORT)])
    assert parts(booked(book)) == [(-1, None), (-1, 66)]
    assert [held(book, side=side).quantity for side in (LONG, SHORT)] == [1, -3]


def test_a_bust_of_a_long_side_by_id_alone_counts_as_late(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, fill("T-1", 2, 50, position_side=LONG))
    clock.advance(SECOND)
    book.append(POSITION, reported(0, side=LONG))
    clock.advance(SECOND)
    book.append(ORDER, trading.TradeBusted(trade_id="T-1", symbol="ESZ5"), occurred_at=NOON + 1)
    assert reconcile(book, "A") == ()


def test_a_report_under_another_name_is_of_the_contract(book: Book) -> None:
    book.append("contract/-/ESZ5", contract("ESZ5", "CON.ES"))
    book.append(ORDER, fill("T-1", 2, 50))
    book.append("position/A/CON.ES", reported(2, "50", symbol="CON.ES"))
    assert reconcile(book, "A") == ()
    book.append("position/A/CON.ES", reported(3, "51", symbol="CON.ES"))
    assert (only(book).symbol, only(book).here, only(book).there) == ("ESZ5", 2, 3)
    assert parts(booked(book)) == [(1, 53)]
    assert (held(book).quantity, held(book, "CON.ES").quantity) == (3, 3)


@pytest.mark.parametrize("fills_first", [True, False])
def test_a_name_that_becomes_known_later_is_the_contracts_from_the_start(book: Book, *, fills_first: bool) -> None:
    if fills_first:
        book.append(ORDER, fill("T-1", 2, 50))
    book.append("position/A/CON.ES", reported(2, "50", symbol="CON.ES"))
    if not fills_first:
        book.append(ORDER, fill("T-1", 2, 50), occurred_at=NOON)
    asked = reconcile(book, "A")
    assert [each.symbol for each in asked] == ["CON.ES"]
    book.append("contract/-/ESZ5", contract("ESZ5", "CON.ES"))
    assert reconcile(book, "A") == ()
    assert record(book, "A", asked, actor="ops@desk") == []
    assert held(book).quantity == 2


def test_what_was_found_under_a_name_is_booked_for_its_contract(book: Book) -> None:
    book.append("position/A/CON.ES", reported(2, "50", symbol="CON.ES"))
    asked = reconcile(book, "A")
    book.append("contract/-/ESZ5", contract("ESZ5", "CON.ES"))
    book.append(ORDER, fill("T-1", -1, 50), occurred_at=NOON + SECOND)
    assert parts(record(book, "A", asked, actor="ops@desk")) == [(2, 50)]
    assert held(book).quantity == 1


def test_a_name_that_is_used_again_is_of_each_contract_in_its_time(book: Book) -> None:
    book.append("contract/-/ESZ5", contract("ESZ5", "101"))
    book.append(ORDER, fill("T-1", 2, 50, "101"))
    book.append("contract/-/ESZ5", contract("ESZ5"))
    book.append("contract/-/ESH6", contract("ESH6", "101"))
    book.append("position/A/101", reported(1, symbol="101"))
    difference = only(book)
    assert (difference.symbol, difference.here, difference.there) == ("ESH6", 0, 1)


def adjustment(quantity: int, price: str | None, reason: AdjustmentReason = AdjustmentReason.RECONCILED) -> Event:
    return trading.PositionAdjusted(
        symbol="ESZ5", quantity=Decimal(quantity), reason=reason, price=None if price is None else Decimal(price)
    )


def test_who_books_is_checked_before_anything_is_written(book: Book, store: EventStore) -> None:
    book.append(POSITION, reported(2))
    head = store.head()
    with pytest.raises(InvalidEvent):
        record(book, "A", reconcile(book, "A"), actor="\0")
    assert store.head() == head
