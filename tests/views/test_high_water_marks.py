"""A day's high, by its fills in the order they happened, against an independent sum; and the highs as marked."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import projections
from eventstore import Event, EventStore, ManualClock
from eventstore.clock import to_ns
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    EquityMarked,
    LimitsSet,
    OrderFilled,
    SessionClosed,
    SessionOpened,
    SessionReset,
    Side,
    TradeBusted,
)
from projections import Book, Calendar
from projections.sessions import TradingDay
from projections.views.executions import pnl_path
from projections.views.executions.ledger_entry import LedgerEntry
from projections.views.executions.pnl_path import PnlLedger
from projections.views.high_water_marks import DAYS_MAX, Highs

START = 1_790_000_000_000_000_000
SECOND = 1_000_000_000
TODAY = date(2026, 9, 21)
ONE = Decimal(1)


@pytest.fixture
def book() -> Book:
    store = EventStore(MemoryJournal(clock=ManualClock(START)), clock=ManualClock(START))
    return prepared(projections.open(store))


def prepared(book: Book) -> Book:
    for symbol, multiplier in (("ES", 50), ("NQ", 20)):
        contract = ContractDefined(symbol=symbol, multiplier=Decimal(multiplier), currency="USD")
        book.append(f"contract/-/{symbol}", contract)
    book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
    return book


def trip(book: Book, number: int, symbol: str, points: int, at: int, *, fee: str = "0.5") -> None:
    """Buy and sell one contract at an instant, for a fee each."""
    for side, price in ((Side.BUY, 1_000), (Side.SELL, 1_000 + points)):
        event = OrderFilled(
            trade_id=f"{number}-{side}",
            symbol=symbol,
            side=side,
            quantity=Decimal(1),
            price=Decimal(price),
            fee=Decimal(fee),
        )
        book.append(f"order/A/{number}", event, occurred_at=at)


@given(trips=st.lists(st.tuples(st.sampled_from(["ES", "NQ"]), st.integers(-20, 20), st.integers(0, 9)), max_size=12))
def test_the_high_is_the_highest_of_the_sums_in_order_of_time(trips: list[tuple[str, int, int]]) -> None:
    clock = ManualClock(START)
    book = prepared(projections.open(EventStore(MemoryJournal(clock=clock), clock=clock)))
    for number, (symbol, points, second) in enumerate(trips):
        trip(book, number, symbol, points, START + second * SECOND)
    total = best = best_net = fees = Decimal(0)
    for _, number in sorted((second, number) for number, (_, _, second) in enumerate(trips)):
        symbol, points, _ = trips[number]
        # The buying fill is charged before the selling one has made anything.
        total, fees = total + points * (50 if symbol == "ES" else 20), fees + 1
        best, best_net = max(best, total), max(best_net, total - fees)
    assert book.bests.realized("A", START, net=False) == best
    assert book.bests.realized("A", START) == best_net


def test_a_day_has_its_own_high(book: Book) -> None:
    trip(book, 1, "ES", 10, START)
    end = START + 50 * SECOND
    book.append("session/A/1", SessionOpened(trading_day=TODAY, began_at=START + SECOND, resets_at=end))
    trip(book, 2, "ES", 4, START + 2 * SECOND)
    trip(book, 3, "ES", 6, end)
    assert [book.bests.realized("A", at) for at in (START, START + SECOND, end - 1, end)] == [499, 199, 199, 299]
    planned = TradingDay(TODAY, START, START, None, end, TODAY, "UTC")
    assert book.bests.realized("A", START, planned=planned) == 698
    assert book.bests.realized("A", START, "EUR") == 0
    assert book.bests.realized("B", START) == 0


@pytest.mark.parametrize(
    "care",
    [
        LimitsSet(rule_id="daily-loss", parameters={"limit": "1"}),
        AccountOpened(starting_balance=ONE, currency="USD"),
    ],
)
def test_an_account_keeps_steps_only_once_it_is_opened_limited_or_has_sessions(care: Event) -> None:
    clock = ManualClock(START)
    book = projections.open(EventStore(MemoryJournal(clock=clock), clock=clock))
    book.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
    trip(book, 1, "ES", 10, START)
    trip(book, 2, "ES", -4, START + SECOND)
    ledger = book.state("executions", "A").ledger
    assert not ledger.steps
    stream = "limits/A/daily-loss" if isinstance(care, LimitsSet) else "account/A/-"
    book.append(stream, care, actor="boss")
    trip(book, 3, "ES", 2, START + 2 * SECOND)
    trip(book, 4, "ES", -1, START + 3 * SECOND)
    assert len(ledger.steps) == 4
    # What came before, 499 less 201, is known as a sum alone; then there was a trip that made 99.
    assert book.bests.realized("A", START) == 499 - 201 + 99


def test_what_was_realized_since_an_instant_is_none_if_nothing_was(book: Book) -> None:
    trip(book, 1, "ES", 10, START)
    trip(book, 2, "ES", -4, START + SECOND)
    assert book.bests.realized_since("A", START) == 298
    assert book.bests.realized_since("A", START + SECOND) == -201
    assert book.bests.realized_since("A", START + SECOND + 1) is None


def test_a_busted_fill_makes_no_high(book: Book) -> None:
    trip(book, 1, "ES", 10, START)
    event = TradeBusted(trade_id="1-SELL", symbol="ES", side=Side.SELL, quantity=Decimal(1), price=Decimal(1_010))
    book.append("order/A/1", event, occurred_at=START + SECOND)
    assert book.bests.realized("A", START) == 0


def test_a_day_older_than_the_kept_steps_is_known_by_its_sum(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pnl_path, "STEPS_MAX", 8)
    for number in range(20):
        trip(book, number, "ES", 1, START + number * SECOND)
    state = book.state("executions", "A")
    assert len(state.ledger.steps) <= 8
    assert book.bests.realized("A", START, net=False) == 1_000
    trip(book, 20, "ES", -5, START + 20 * SECOND)
    assert book.bests.realized("A", START, net=False) == 1_000


def test_what_came_before_the_steps_that_are_kept_is_where_they_begin(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pnl_path, "STEPS_MAX", 8)
    for number in range(24):
        trip(book, number, "ES", 1 if number < 12 else -1, START + number * SECOND, fee="0")
    kept = (book.state("executions", "A").ledger.steps_from - START) // SECOND + 1
    assert kept > 12
    assert book.bests.realized("A", START, net=False) == (24 - kept) * 50


CHICAGO = Calendar(zone="America/Chicago", open=time(17), reset=time(17))
EVENING = to_ns("2026-09-21T17:30-05:00")


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(SessionReset(trading_day=TODAY, scheduled_for=EVENING - 30 * 3_600 * SECOND), id="reset"),
        pytest.param(SessionOpened(trading_day=TODAY, began_at=EVENING - 30 * 3_600 * SECOND), id="opening"),
        pytest.param(LimitsSet(rule_id="daily-loss", parameters={"limit": "500"}), id="limit"),
    ],
)
def test_what_a_day_lost_before_its_steps_are_kept_counts_by_the_calendar_too(first: Event) -> None:
    clock = ManualClock(EVENING)
    book = projections.open(EventStore(MemoryJournal(clock=clock), clock=clock), calendars=CHICAGO)
    book.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
    trip(book, 1, "ES", -20, EVENING, fee="0")
    if not isinstance(first, LimitsSet):
        ended = msgspec.structs.replace(first, resets_at=EVENING - 1_800 * SECOND)
        book.append(f"session/A/{TODAY}", ended)
    book.append("limits/A/daily-loss", LimitsSet(rule_id="daily-loss", parameters={"limit": "500"}), actor="kim")
    clock.set(EVENING + SECOND)
    trip(book, 2, "ES", 1, EVENING + SECOND, fee="0")
    [headroom] = book.limits.headroom("A", EVENING + SECOND)
    assert (headroom.figure, headroom.left) == (Decimal(950), Decimal(-450))


def test_steps_of_days_long_past_are_dropped() -> None:
    earnings = PnlLedger(keeps_steps=True)
    made = LedgerEntry(points=Decimal(1))
    for number in range(501):
        earnings.add_entry(START + number, number, "ES\0NET", made)
    earnings.add_entry(START + pnl_path.KEPT_NS + 1_000, 501, "ES\0NET", made)
    assert len(earnings.steps) == 377
    assert earnings.steps_from == START + 125
    assert earnings == msgspec.msgpack.decode(msgspec.msgpack.encode(earnings), type=PnlLedger)


def mark(balance: int, equity: int, day: date = TODAY, fees: int = 0) -> EquityMarked:
    made = Decimal(balance - 50_000)
    return EquityMarked(
        balance=Decimal(balance),
        equity=Decimal(equity),
        high_water=Decimal(equity),
        realized=made,
        unrealized=Decimal(equity - balance),
        fees=Decimal(fees),
        trading_day=day,
    )


def test_the_highs_are_the_highest_marks(book: Book) -> None:
    assert book.bests.highs("A") == Highs()
    for event in (mark(50_500, 50_400), mark(50_100, 50_900, fees=30), mark(50_300, 50_300)):
        book.append("equity/A/-", event)
    assert book.bests.highs("A") == Highs(Decimal(50_500), Decimal(50_900), None)
    assert book.bests.marked("A", TODAY, START, net=False) == 900
    assert book.bests.marked("A", TODAY, START) == 870
    assert book.bests.marked("A", date(2026, 9, 22), START) is None


def test_a_mark_of_the_close_does_not_count_for_the_equity(book: Book) -> None:
    [closed] = book.append("session/A/1", SessionClosed(trading_day=TODAY))
    book.append("equity/A/-", mark(50_200, 51_000), causation_id=closed.id)
    assert book.bests.highs("A") == Highs(Decimal(50_200), None, Decimal(50_200))
    assert book.bests.marked("A", TODAY, START) is None


def test_the_newest_days_are_kept(book: Book) -> None:
    for number in range(1, DAYS_MAX + 3):
        book.append("equity/A/-", mark(50_000, 50_000 + number, date(2026, 9, number)))
    marked = [book.bests.marked("A", date(2026, 9, number), START) for number in range(1, DAYS_MAX + 3)]
    assert marked == [None, None, *range(3, DAYS_MAX + 3)]
