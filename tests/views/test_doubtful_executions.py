"""Executions that cannot be quite as reported: ahead of time, with several fees, days apart, at a reconciliation."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

import projections
from eventstore import Event, EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import FeeCharged, PositionReported, SessionReset, TradeBusted, TradeCorrected, TradeExecuted
from projections import Book
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.items import AHEAD_MAX, Item, ItemKind
from projections.views.executions.positions import Position
from projections.views.executions.recent_trades import RecentTrades
from projections.views.executions.state import VIEW
from projections.views.executions.unknown_trades import WAITING_MAX
from tests.views.position_folding import NET, SELL, adjusted, fill
from tests.views.trading_book import HOUR, MONDAY, TUESDAY, contract

SECOND = 10**9
DAY = 24 * HOUR
NOON = MONDAY + 12 * HOUR
ORDER, OTHER = "order/A/O-1", "order/A/B-1"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def book(clock: ManualClock) -> Iterator[Book]:
    with (
        EventStore(MemoryJournal(clock=clock), clock=clock) as store,
        projections.open(store, snapshots=False) as opened,
    ):
        opened.append("contract/-/ESZ5", contract("ESZ5", 50))
        yield opened


def held(book: Book) -> Position:
    return book.positions.get("A", "ESZ5")


def marks(book: Book) -> list[tuple[str, int]]:
    return [(each.kind.value, each.position) for each in held(book).anomalies]


def days(book: Book) -> list[tuple[str, Any, Any, int]]:
    """Return what each day realized, its fees, and how many trades' fees are uncertain."""
    made = book.pnl.days("A")
    return [(name, total.realized, total.fees, total.uncertain_fees) for name, totals in made for total in totals]


def reported(book: Book) -> list[int]:
    """Return when each trade counts, in the order of the log."""
    return [each.occurred_at for each in book.trades.of("A")]


# Ahead of time


def test_a_fill_from_a_time_that_has_not_come_counts_when_it_was_recorded(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, fill("T1", 2, 100), occurred_at=NOON + 30 * DAY)
    clock.advance(HOUR)
    book.append(ORDER, fill("T2", -2, 103))
    (first, second) = reported(book)
    assert NOON <= first < NOON + SECOND < second
    # Bought before it was sold: by its own time it would have been a sale first, and a month later the purchase.
    assert (held(book).quantity, held(book).realized_points) == (0, 6)
    assert [name for name, *_ in days(book)] == ["~2026-01-05"]
    assert marks(book) == [("AHEAD", 2)]
    assert not held(book).is_uncertain


@pytest.mark.parametrize(("by", "is_marked"), [(AHEAD_MAX, False), (AHEAD_MAX + SECOND, True), (-DAY, False)])
def test_a_clock_may_run_ahead_by_a_minute(book: Book, by: int, is_marked: bool) -> None:
    book.append(ORDER, fill("T1", 2, 100), occurred_at=NOON + by)
    assert [kind for kind, _ in marks(book)] == ["AHEAD"] * is_marked
    assert (reported(book) == [NOON + by]) is not is_marked


def test_a_later_report_may_state_the_time_of_a_fill_that_was_ahead(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, fill("T1", 2, 100), occurred_at=NOON + DAY)
    clock.advance(HOUR)
    # The same time once more says nothing new, however often it is repeated.
    book.append(OTHER, fill("T1", 2, 100), occurred_at=NOON + DAY)
    assert marks(book) == [("AHEAD", 2), ("AHEAD", 3)]
    book.append("trade/A/T1", executed("T1", 2, 100), occurred_at=NOON - HOUR)
    assert reported(book) == [NOON - HOUR]


def test_what_becomes_of_a_trade_counts_when_it_was_recorded_too(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, [fill("T1", 2, 100), fill("T2", -2, 103), fill("T3", 1, 100)])
    clock.advance(DAY)
    ahead = NOON + 30 * DAY
    book.append(ORDER, TradeCorrected(trade_id="T2", quantity=Decimal(2), price=Decimal(104)), occurred_at=ahead)
    book.append("position/A/ESZ5", adjusted(1, "TRANSFER", 100), occurred_at=ahead)
    book.append("fee/A/T9", FeeCharged(trade_id="T9", amount=Decimal(1), symbol="ESZ5"), occurred_at=ahead)
    assert [name for name, *_ in days(book)] == ["~2026-01-05", "~2026-01-06"]
    assert [mark for mark in marks(book) if mark[0] == "AHEAD"] == [("AHEAD", 5), ("AHEAD", 6)]
    # The trade of this fee is unknown: that is marked on the account.
    assert (TradeAnomalyKind.AHEAD, 7) in book.positions.anomalies("A")


def test_a_report_that_was_ahead_is_the_same_trade_when_it_comes_again(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, fill("T1", 2, 100), occurred_at=NOON + 30 * DAY)
    clock.advance(HOUR)
    book.append(OTHER, fill("T1", 2, 100, fee=Decimal(1)))
    assert (held(book).quantity, held(book).fees, held(book).conflicts) == (2, 1, ())


def executed(trade_id: str, quantity: int, price: int, **more: Any) -> Event:  # noqa: ANN401 - any member
    figures: dict[str, Any] = {"quantity": Decimal(abs(quantity)), "price": Decimal(price), **more}
    side = SELL if quantity < 0 else fill("", 1, 1).side  # type: ignore[attr-defined]
    return TradeExecuted(trade_id=trade_id, symbol="ESZ5", side=side, **figures)


# Several fees


def test_of_two_fees_the_first_counts_and_the_day_is_uncertain(book: Book) -> None:
    book.append(ORDER, fill("T1", 2, 100, fee=Decimal("1.25"), fee_currency="USD"))
    book.append(OTHER, fill("T1", 2, 100, fee=Decimal("1.75"), fee_currency="USD"))
    assert days(book) == [("~2026-01-05", 0, Decimal("1.25"), 1)]
    assert [each.uncertain_fees for each in book.pnl.total("A")] == [1]
    assert marks(book) == [("CONFLICTING_FEE", 3)]
    # The quantity and the average are not in doubt.
    assert not held(book).is_uncertain


@pytest.mark.parametrize(("fee", "currency"), [("1.25", "USD"), ("1.25", None), ("0", None), ("1.250", "USD")], ids=str)
def test_a_fee_that_is_repeated_or_left_out_is_the_same_fee(book: Book, fee: str, currency: str | None) -> None:
    book.append(ORDER, fill("T1", 2, 100, fee=Decimal("1.25"), fee_currency="USD"))
    book.append(OTHER, fill("T1", 2, 100, fee=Decimal(fee), fee_currency=currency))
    assert days(book) == [("~2026-01-05", 0, Decimal("1.25"), 0)]
    assert marks(book) == []


def test_the_same_amount_in_another_currency_is_another_fee(book: Book) -> None:
    book.append(ORDER, fill("T1", 2, 100, fee=Decimal("1.25"), fee_currency="USD"))
    book.append(OTHER, fill("T1", 2, 100, fee=Decimal("1.25"), fee_currency="EUR"))
    assert [kind for kind, _ in marks(book)] == ["CONFLICTING_FEE"]


@pytest.mark.parametrize("amount", ["0", "0.5"])
def test_what_the_venue_charges_after_that_settles_it(book: Book, amount: str) -> None:
    book.append(ORDER, fill("T1", 2, 100, fee=Decimal("1.25")))
    book.append(OTHER, fill("T1", 2, 100, fee=Decimal("1.75")))
    book.append(ORDER, FeeCharged(trade_id="T1", amount=Decimal(amount)))
    assert days(book) == [("~2026-01-05", 0, Decimal("1.25") + Decimal(amount), 0)]
    assert [each.uncertain_fees for each in book.pnl.total("A")] == [0]


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_bust_settles_it_in_the_window_and_before_it(book: Book, is_closed: bool) -> None:
    book.append(ORDER, fill("T1", 2, 100, fee=Decimal("1.25")))
    if is_closed:
        book.append(ORDER, [fill("T2", -2, 103), fill("T3", 1, 100)])
    book.append(OTHER, fill("T1", 2, 100, fee=Decimal("1.75")))
    assert sum(count for *_, count in days(book)) == 1
    book.append(ORDER, TradeBusted(trade_id="T1"))
    assert sum(count for *_, count in days(book)) == 0
    assert [each.uncertain_fees for each in book.pnl.total("A")] == [0]


def test_an_uncertain_fee_moves_with_its_trade_to_another_day(book: Book, clock: ManualClock) -> None:
    clock.advance(DAY)
    book.append(ORDER, fill("T1", 2, 100, fee=Decimal("1.25")))
    clock.advance(HOUR)
    book.append(OTHER, fill("T1", 2, 100, fee=Decimal("1.75")))
    assert days(book) == [("~2026-01-06", 0, Decimal("1.25"), 1)]
    book.append("trade/A/T1", executed("T1", 2, 100), occurred_at=NOON)
    assert days(book) == [("~2026-01-05", 0, Decimal("1.25"), 1)]
    assert [each.uncertain_fees for each in book.pnl.total("A")] == [1]


def test_a_fee_of_a_busted_trade_is_marked(book: Book) -> None:
    book.append(ORDER, fill("T1", 2, 100))
    book.append(ORDER, TradeBusted(trade_id="T1"))
    book.append(ORDER, FeeCharged(trade_id="T1", amount=Decimal(1)))
    book.append(OTHER, fill("T1", 2, 100, fee=Decimal(1)))
    book.append(OTHER, fill("T1", 2, 100, fee=Decimal(2)))
    assert [mark for mark in marks(book) if mark[0] == "FEE_OF_BUSTED"] == [("FEE_OF_BUSTED", 4), ("FEE_OF_BUSTED", 5)]
    assert held(book).fees == 0


# Moved by a time that is stated later


def test_a_time_that_moves_a_trade_to_another_day_is_marked(book: Book, clock: ManualClock) -> None:
    clock.advance(12 * HOUR)
    book.append(ORDER, fill("T1", 2, 100))
    clock.advance(HOUR)
    book.append(OTHER, fill("T1", 2, 100), occurred_at=TUESDAY - HOUR)
    assert (reported(book), marks(book)) == ([TUESDAY - HOUR], [("MOVED", 3)])


def test_a_time_that_moves_a_trade_before_others_is_marked(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, [fill("T1", 1, 100), fill("T2", 1, 110)], occurred_at=NOON - 2 * HOUR)
    book.append(ORDER, fill("T3", 1, 90))
    book.append(ORDER, fill("T4", -1, 120))
    before = held(book).realized_points
    clock.advance(HOUR)
    book.append(OTHER, fill("T3", 1, 90), occurred_at=NOON - 3 * HOUR)
    assert (before, held(book).realized_points, marks(book)) == (20, 30, [("MOVED", 6)])


def test_a_time_that_changes_no_other_trade_is_not_marked(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, fill("T1", 1, 100), occurred_at=NOON - 2 * HOUR)
    book.append(ORDER, fill("T2", 1, 90))
    clock.advance(HOUR)
    book.append(OTHER, fill("T2", 1, 90), occurred_at=NOON - HOUR)
    assert (reported(book), marks(book)) == ([NOON - 2 * HOUR, NOON - HOUR], [])


def test_a_trade_that_is_fixed_is_marked_if_it_counts_for_another_day(book: Book, clock: ManualClock) -> None:
    clock.advance(12 * HOUR)
    book.append(ORDER, [fill("T1", 1, 100), fill("T2", -1, 101), fill("T3", 1, 100)])
    clock.advance(HOUR)
    book.append(OTHER, fill("T1", 1, 100), occurred_at=TUESDAY - HOUR)
    assert marks(book) == [("MOVED", 5)]
    book.append("trade/A/T1", executed("T1", 1, 100), occurred_at=TUESDAY - HOUR)
    assert marks(book) == [("MOVED", 5)]


def test_no_trade_moves_to_a_time_after_its_report(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, fill("T1", 1, 100))
    clock.advance(2 * HOUR)
    book.append(OTHER, fill("T1", 1, 100), occurred_at=NOON + HOUR)
    assert (reported(book)[0] < NOON + SECOND, marks(book)) == (True, [])


# Days apart


def test_two_times_more_than_a_day_apart_leave_a_trade_uncertain(book: Book, clock: ManualClock) -> None:
    clock.advance(3 * DAY)
    book.append(ORDER, fill("1", 2, 100), occurred_at=NOON)
    book.append(OTHER, fill("1", 2, 100), occurred_at=NOON + 2 * DAY)
    # One execution, as before; but somebody has to look.
    assert (held(book).quantity, held(book).conflicts, held(book).is_uncertain) == (2, (2,), True)
    assert marks(book) == [("DAYS_APART", 3)]
    book.append(ORDER, TradeCorrected(trade_id="1", quantity=Decimal(2), price=Decimal(100)))
    assert not held(book).is_uncertain


def test_a_trade_that_was_reported_before_it_can_have_happened_is_uncertain(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, fill("1", 2, 100))
    clock.advance(3 * DAY)
    book.append(OTHER, fill("1", 2, 100), occurred_at=NOON + 2 * DAY)
    assert (held(book).quantity, [kind for kind, _ in marks(book)]) == (2, ["DAYS_APART"])


@pytest.mark.parametrize(
    ("first", "second", "again"),
    [
        # Within a day; and reported again without a time, days later.
        ({}, {}, NOON + 23 * HOUR),
        ({}, {}, None),
        # Both state the same day.
        ({"trading_day": date(2026, 1, 5)}, {"trading_day": date(2026, 1, 5)}, NOON + 2 * DAY),
    ],
)
def test_a_repetition_is_not_in_doubt(
    book: Book, clock: ManualClock, first: dict[str, Any], second: dict[str, Any], again: int | None
) -> None:
    clock.advance(3 * DAY)
    book.append(ORDER, fill("1", 2, 100, **first), occurred_at=NOON)
    book.append(OTHER, fill("1", 2, 100, **second), occurred_at=again)
    assert (held(book).quantity, held(book).is_uncertain, marks(book)) == (2, False, [])


def test_two_stated_trading_days_are_two_trades_and_one_is_a_doubt(book: Book, clock: ManualClock) -> None:
    clock.advance(3 * DAY)
    book.append(ORDER, fill("1", 2, 100, trading_day=date(2026, 1, 5)), occurred_at=NOON)
    book.append(ORDER, fill("1", 2, 100, trading_day=date(2026, 1, 7)), occurred_at=NOON + 2 * DAY)
    assert (held(book).quantity, held(book).is_uncertain) == (4, False)
    # Of which of them it is it does not say: of one, and two days from it.
    book.append(OTHER, fill("1", 2, 100), occurred_at=NOON + 4 * HOUR)
    assert (held(book).quantity, [kind for kind, _ in marks(book)]) == (4, ["DAYS_APART"])


# At the very instant of a reconciliation


def reconciled(book: Book, clock: ManualClock) -> None:
    """Reconcile 2 that are missing, and report the fill of them, which happened at that very instant."""
    book.append("position/A/ESZ5", adjusted(2, "RECONCILED", 100), occurred_at=NOON)
    clock.advance(HOUR)
    book.append(ORDER, fill("T1", 2, 101), occurred_at=NOON)


def test_a_fill_at_the_instant_of_a_reconciliation_leaves_the_quantity_uncertain(
    book: Book, clock: ManualClock
) -> None:
    reconciled(book, clock)
    assert (held(book).quantity, held(book).average_price, held(book).is_uncertain) == (2, 101, True)
    assert marks(book) == [("AT_RECONCILIATION", 3)]


@pytest.mark.parametrize("by", [-1, 1])
def test_a_fill_just_before_or_after_a_reconciliation_is_certain(book: Book, clock: ManualClock, by: int) -> None:
    book.append("position/A/ESZ5", adjusted(2, "RECONCILED", 100), occurred_at=NOON)
    clock.advance(HOUR)
    book.append(ORDER, fill("T1", 2, 101), occurred_at=NOON + by)
    assert (held(book).quantity, held(book).is_uncertain, marks(book)) == (2 if by < 0 else 4, False, [])


def test_a_bust_at_the_instant_of_a_reconciliation_is_uncertain_too(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, [fill("T1", 1, 100), fill("T2", 2, 100)], occurred_at=NOON - HOUR)
    book.append("position/A/ESZ5", adjusted(-2, "RECONCILED", 100), occurred_at=NOON)
    clock.advance(HOUR)
    book.append(ORDER, TradeBusted(trade_id="T2"), occurred_at=NOON)
    assert (held(book).quantity, held(book).is_uncertain) == (1, True)


@pytest.mark.parametrize(
    ("quantity", "at", "is_uncertain"), [(2, 1, False), (3, 1, True), (2, 0, True)], ids=["agrees", "differs", "as old"]
)
def test_a_later_report_that_agrees_makes_it_certain(
    book: Book,
    clock: ManualClock,
    quantity: int,
    at: int,
    is_uncertain: bool,
) -> None:
    reconciled(book, clock)
    report = PositionReported(symbol="ESZ5", quantity=Decimal(quantity))
    book.append("position/A/ESZ5", report, occurred_at=NOON + at)
    assert held(book).is_uncertain is is_uncertain


def test_a_later_reconciliation_makes_it_certain(book: Book, clock: ManualClock) -> None:
    reconciled(book, clock)
    book.append("position/A/ESZ5", adjusted(1, "RECONCILED", 100))
    assert (held(book).quantity, held(book).is_uncertain) == (3, False)


def test_a_session_that_ends_later_does_not_unsettle_what_is_marked(book: Book, clock: ManualClock) -> None:
    book.append(ORDER, fill("T1", 2, 100, fee=Decimal(1)))
    book.append(OTHER, fill("T1", 2, 100, fee=Decimal(2)))
    clock.advance(DAY)
    reset = SessionReset(trading_day=date(2026, 1, 5), scheduled_for=MONDAY, resets_at=TUESDAY)
    book.append("session/A/2026-01-05", reset)
    assert days(book) == [("2026-01-05", 0, 1, 1)]


# Bounds


def test_an_id_that_thousands_of_trades_share_is_kept_for_the_newest_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    known = RecentTrades(limit=10, full_count=10)
    for number in range(1, 1_000):
        item = Item(
            ItemKind.TRADE, number, number, Decimal(1), Decimal(1), "X", NET, f"T{number // 20}", ordinal=number
        )
        known.add(item.trade_id or "", item, known.find(item.trade_id or ""))
        # Those of an id, of the last ten trades.
        found = [each.log_position for each in known.find(item.trade_id or "")]
        assert found == list(range(max(number // 20 * 20, number - 9, 1), number + 1))
        assert sum(len(items) for items in (*known.newer.values(), *known.older.values())) <= 60
    monkeypatch.setattr(known, "limit", 5)
    assert len(known.all()) == 5


def test_of_many_busts_of_an_unknown_trade_the_oldest_go_and_stay_marked(book: Book) -> None:
    busts = [TradeBusted(trade_id="T1", symbol="ESZ5", reason=str(number)) for number in range(WAITING_MAX + 2)]
    book.append("trade/A/T1", busts)
    waiting = book.state(VIEW, "A").waiting["T1"]
    assert len(waiting) == WAITING_MAX
    # Two are not looked for any more, but every one of them leaves its position uncertain.
    assert [each.kind for each in held(book).anomalies] == ["UNKNOWN_BUST"] * (WAITING_MAX + 2)
