"""Counters: orders, fills and round trips, in windows that never undercount, and by trading day."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import projections
from eventstore import Event, EventStore, ManualClock, trading
from eventstore.clock import to_ns
from eventstore.journals.memory import MemoryJournal
from projections.views.executions import counters, seconds
from projections.views.executions.counters import Count, Counters, CountersState, CountersView
from projections.views.executions.seconds import SecondCounts
from projections.views.executions.state import ExecutionsState
from projections.views.executions.view import ExecutionsView
from tests.views.position_folding import LONG, SHORT, Folding, fill, round_tripped

SECOND = 1_000_000_000
MONDAY = date(2025, 7, 21)
NOON = to_ns(datetime(2025, 7, 21, 12, tzinfo=UTC))
RESET = to_ns(datetime(2025, 7, 21, 21, tzinfo=UTC))
DAY = 86_400 * SECOND


class Counting(Folding):
    """A log that counts; what is added happens, and is recorded, when its clock says so."""

    def __init__(self) -> None:
        super().__init__([CountersView(), ExecutionsView()])
        self.counters = Counters(self)
        self.now = NOON

    def happen(self, *events: Event, at: int | None = None, stream: str = "order/A/O-1") -> None:
        self.now = max(self.now + 1, at or 0)
        for event in events:
            self.add(stream, event, occurred_at=self.now if at is None else at, recorded_at=self.now)

    def trade(self, *quantities: int, **more: Any) -> "Counting":  # noqa: ANN401 - any member of a fill
        """Fill these quantities, each by a trade of its own."""
        for quantity in quantities:
            self.happen(fill(f"T-{len(self.records)}", quantity, 50, **more))
        return self

    def today(self) -> tuple[int, int, int]:
        return figures(self.counters.of("A", self.now).day)

    @property
    def sent(self) -> SecondCounts:
        """The orders by second, as far as they are kept."""
        state: CountersState = self.states["counters", "A"]
        return state.orders

    def held(self, symbol: str = "ESZ5") -> Decimal:
        return self.positions.get("A", symbol).quantity


def figures(count: Count) -> tuple[int, int, int]:
    return count.orders, count.fills, count.round_trips


def order() -> Event:
    return trading.OrderSubmitted(symbol="ESZ5", side=trading.Side.BUY, quantity=Decimal(5))


def adjusted(quantity: int, reason: trading.AdjustmentReason, **more: Any) -> Event:  # noqa: ANN401 - any member
    return trading.PositionAdjusted(symbol="ESZ5", quantity=Decimal(quantity), reason=reason, **more)


def reset(day: date, at: int, **more: Any) -> Event:  # noqa: ANN401 - any member
    return trading.SessionReset(trading_day=day, scheduled_for=at, **more)


# What a round trip is


@pytest.mark.parametrize(
    ("quantities", "expected"),
    [
        ((5, -2, -2, -1), 1),
        ((1, 1, 1, -1, -1), 0),
        ((1, 1, -2), 1),
        ((-5, 2, 3), 1),
        ((2, -3), 1),
        ((2, -3, 1), 2),
        ((2, -4, 4, -2), 3),
        ((1, -1, 1, -1, 1), 2),
        ((1,), 0),
    ],
)
def test_a_position_that_came_back_to_flat_is_a_round_trip(quantities: tuple[int, ...], expected: int) -> None:
    assert Counting().trade(*quantities).today() == (0, len(quantities), expected)


@pytest.mark.parametrize(("orders", "entity"), [(2, [0, 1, 1, 1]), (4, [0, 1, 2, 3])])
def test_orders_count_as_sent_however_many_fills_they_get(orders: int, entity: list[int]) -> None:
    book = Counting()
    for number in range(orders):
        book.happen(order(), stream=f"order/A/O-{number}")
    for number, quantity in zip(entity, (5, -2, -2, -1), strict=True):
        book.happen(fill(f"T-{quantity}-{len(book.records)}", quantity, 50), stream=f"order/A/O-{number}")
    assert book.today() == (orders, 4, 1)


def test_both_sides_of_a_hedge_are_positions_of_their_own() -> None:
    book = Counting().trade(2, position_side=LONG).trade(-2, position_side=SHORT)
    assert book.today() == (0, 2, 0)
    assert book.trade(-2, position_side=LONG).today() == (0, 3, 1)
    assert book.trade(2, position_side=SHORT).today() == (0, 4, 2)


def test_two_symbols_are_two_positions() -> None:
    book = Counting().trade(1).trade(-1, symbol="NQZ5")
    assert book.today() == (0, 2, 0)
    assert book.trade(1, symbol="NQZ5").today() == (0, 3, 1)


def test_trades_without_an_order_count_and_accounts_are_counted_apart() -> None:
    book = Counting()
    members = {"symbol": "ESZ5", "quantity": Decimal(1), "price": Decimal(50)}
    book.happen(trading.TradeExecuted(trade_id="1", side=trading.Side.BUY, **members), stream="trade/A/1")  # type: ignore[arg-type]
    book.happen(trading.TradeExecuted(trade_id="2", side=trading.Side.SELL, **members), stream="trade/A/2")  # type: ignore[arg-type]
    assert book.today() == (0, 2, 1)
    assert book.counters.of("B", book.now) == counters.Counts()
    assert book.counters.day("B", MONDAY) == Count()


def test_a_trade_that_is_recorded_twice_counts_once() -> None:
    book = Counting()
    book.happen(fill("T-1", 2, 50), fill("T-1", 2, 50), fill("T-2", -2, 50))
    assert book.today() == (0, 2, 1)
    book.happen(fill("T-1", 2, 50), stream="order/A/O-2")
    assert book.today() == (0, 2, 1)


# What changes a position beside its fills


def test_an_opening_position_that_is_closed_by_fills_is_a_round_trip() -> None:
    book = Counting()
    book.happen(adjusted(3, trading.AdjustmentReason.OPENING), stream="position/A/ESZ5")
    assert book.today() == (0, 0, 0)
    assert book.trade(-1, -2).today() == (0, 2, 1)


def test_an_expiry_ends_a_round_trip_without_a_fill() -> None:
    book = Counting().trade(2)
    book.happen(adjusted(-2, trading.AdjustmentReason.EXPIRY), stream="position/A/ESZ5")
    assert book.today() == figures(book.counters.of("A", book.now).minute) == (0, 1, 1)


def test_an_adjustment_by_nothing_and_a_split_of_nothing_change_nothing() -> None:
    book = Counting()
    book.happen(
        adjusted(0, trading.AdjustmentReason.RECONCILED, price=Decimal(50)), adjusted(5, trading.AdjustmentReason.SPLIT)
    )
    assert book.trade(1, -1).today() == (0, 2, 1)
    book.trade(2).happen(adjusted(-2, trading.AdjustmentReason.SPLIT), adjusted(2, trading.AdjustmentReason.SPLIT))
    assert book.today() == (0, 3, 1)
    assert book.trade(-4).today() == (0, 4, 2)


def test_a_busted_fill_still_counts_and_is_not_held_any_more() -> None:
    book = Counting()
    book.happen(fill("T-1", 2, 50), trading.TradeBusted(trade_id="T-1"))
    assert book.today() == (0, 1, 0)
    book.happen(trading.TradeBusted(trade_id="T-1"))
    assert book.trade(3, -3).today() == (0, 3, 1)


def test_a_bust_of_a_trade_long_gone_goes_by_its_own_figures_once() -> None:
    book = Counting().trade(2)
    members: dict[str, Any] = {"trade_id": "old", "symbol": "ESZ5", "side": trading.Side.BUY, "quantity": Decimal(1)}
    for _ in range(2):
        book.happen(trading.TradeBusted(**members, price=Decimal(50)), stream="order/A/old")
    assert book.trade(-1).today() == (0, 2, 1)
    book.happen(trading.TradeBusted(trade_id="never"), trading.TradeCorrected(trade_id="never", **PAIR))
    assert book.held() == 0


PAIR: dict[str, Any] = {"quantity": Decimal(3), "price": Decimal(50)}


def test_a_correction_changes_what_is_held() -> None:
    book = Counting()
    book.happen(fill("T-1", 2, 50), trading.TradeCorrected(trade_id="T-1", **PAIR))
    assert book.trade(-2).today() == (0, 2, 0)
    assert book.trade(-1).today() == (0, 3, 1)
    members: dict[str, Any] = {"symbol": "ESZ5", "side": trading.Side.SELL, "previous_quantity": Decimal(2)}
    members["previous_price"] = Decimal(50)
    book.happen(trading.TradeCorrected(trade_id="old", **PAIR, **members), stream="order/A/old")
    assert book.held() == -1
    book.happen(trading.TradeBusted(trade_id="T-1"))
    assert book.held() == -4


def test_a_bust_in_another_stream_finds_its_trade_by_id_and_symbol() -> None:
    book = Counting()
    book.happen(fill("1", 2, 50, "NQZ5"), stream="order/A/O-1")
    book.happen(fill("1", 1, 50), stream="order/A/O-2")
    book.happen(trading.TradeBusted(trade_id="1", symbol="NQZ5"), stream="trade/A/1")
    assert [book.held(symbol) for symbol in ("ESZ5", "NQZ5")] == [1, 0]


# Windows


def _shorten(monkeypatch: pytest.MonkeyPatch, hour: int) -> None:
    """Let an hour have so many seconds."""
    for module in (counters, seconds):
        monkeypatch.setattr(module, "HOUR", hour)


def test_a_window_ends_with_the_instant_that_is_asked_for() -> None:
    book = Counting()
    for second in (0, 30, 60, 3_600):
        book.happen(order(), at=NOON + second * SECOND)
    found = [book.counters.of("A", NOON + second * SECOND) for second in (59, 60, 91, 121, 3_600, 3_631)]
    assert [counts.minute.orders for counts in found] == [2, 3, 1, 0, 1, 1]
    assert [counts.hour.orders for counts in found] == [2, 3, 3, 3, 4, 2]


INSTANTS = st.lists(st.tuples(st.integers(0, 7_300 * SECOND), st.integers(-1, 1)), max_size=30)


@given(INSTANTS, st.integers(0, 7_400 * SECOND))
def test_windows_never_count_too_few_and_at_most_a_second_too_many(events: list[tuple[int, int]], at: int) -> None:
    book = Counting()
    sent: list[int] = []
    filled: list[int] = []
    for instant, quantity in events:
        (filled if quantity else sent).append(NOON + instant)
        book.happen(fill(f"T-{len(book.records)}", quantity, 50) if quantity else order(), at=NOON + instant)
    at += NOON
    counts = book.counters.of("A", at)
    for length, found in ((60, counts.minute), (3_600, counts.hour)):
        for instants, count in ((sent, found.orders), (filled, found.fills)):
            within = [instant for instant in instants if at - length * SECOND < instant <= at]
            # The seconds that the window touches last a second longer than it does.
            start = at // SECOND * SECOND - length * SECOND
            touched = [instant for instant in instants if start <= instant < start + (length + 1) * SECOND]
            assert len(within) <= count == len(touched)
            if not any(instant > at for instant in instants):
                assert count <= len([instant for instant in instants if at - (length + 1) * SECOND < instant])


def test_what_is_recorded_late_counts_in_the_second_it_happened() -> None:
    book = Counting()
    book.happen(order(), at=NOON + 90 * SECOND)
    book.happen(order(), at=NOON)
    assert book.counters.of("A", NOON + 90 * SECOND).minute.orders == 1
    assert book.counters.of("A", NOON + 30 * SECOND).minute.orders == 1


@pytest.mark.untraced
def test_seconds_before_the_newest_hour_are_dropped_and_older_windows_read_the_log() -> None:
    book = Counting()
    count = seconds.SECONDS_MAX + 2
    for number in range(count):
        book.happen(order(), at=NOON + number * SECOND)
    assert len(book.sent.counts) == seconds.HOUR + 1
    assert book.counters.of("A", book.now).hour.orders == 3_601
    early = book.counters.of("A", NOON + 60 * SECOND)
    assert (early.minute.orders, early.hour.orders) == (61, 61)
    edge = book.sent.dropped_to
    assert edge is not None
    # The last window that begins with a second that was dropped, and the first that does not.
    assert [book.counters.of("A", (edge + more) * SECOND).hour.orders for more in (3_600, 3_601)] == [3_601, 3_601]


def test_a_clock_that_was_ahead_once_takes_nothing_from_the_present(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "SECONDS_MAX", 10)
    book = Counting()
    book.add("order/A/ahead", order(), occurred_at=NOON + DAY, recorded_at=NOON)
    for number in range(1, 60):
        book.happen(order(), at=NOON + number * SECOND)
    assert set(book.sent.counts) == {NOON // SECOND + number for number in range(1, 60)} | {(NOON + DAY) // SECOND}
    assert book.counters.of("A", book.now).minute.orders == 59
    assert book.counters.of("A", NOON + DAY).minute.orders == 1


def test_what_is_dropped_of_the_future_is_read_from_the_log_when_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "SECONDS_MAX", 10)
    _shorten(monkeypatch, hour=20)
    book = Counting()
    book.happen(order(), at=NOON)
    for number in range(200):
        book.add("order/A/ahead", order(), occurred_at=NOON + DAY + number * SECOND, recorded_at=NOON + number)
    edge = book.sent.dropped_from
    assert edge is not None
    assert book.sent.dropped_to is None
    assert [book.counters.of("A", (edge + more) * SECOND).hour.orders for more in (-1, 0)] == [20, 20]


def test_a_log_whose_own_clock_was_ahead_keeps_the_present_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "SECONDS_MAX", 10)
    book = Counting()
    book.add("order/A/ahead", order(), occurred_at=NOON + DAY, recorded_at=NOON + DAY)
    for number in range(1, 60):
        book.add("order/A/O", order(), occurred_at=NOON + number * SECOND, recorded_at=NOON + DAY + number)
    assert book.sent.dropped_to is None
    assert book.counters.of("A", NOON + 59 * SECOND).minute.orders == 59


def test_an_import_of_the_past_takes_nothing_from_the_present(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "SECONDS_MAX", 10)
    _shorten(monkeypatch, hour=20)
    book = Counting()
    for number in range(60):
        book.happen(order(), at=NOON + number * SECOND)
    now = book.now // SECOND
    for number in range(500):
        book.add("order/A/old", order(), occurred_at=NOON - DAY + number * SECOND, recorded_at=book.now + number)
        assert set(range(now - 19, now + 1)) <= set(book.sent.counts)
    assert book.counters.of("A", book.now).hour.orders == 20
    assert len(book.sent.counts) < 120


@pytest.mark.untraced
def test_the_seconds_are_bounded_whatever_the_clocks_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "SECONDS_MAX", 10)
    _shorten(monkeypatch, hour=20)
    book = Counting()
    sent = [number * 7_919 % 401 for number in range(300)]
    for number, second in enumerate(sent):
        book.add("order/A/O", order(), occurred_at=NOON + second * SECOND, recorded_at=NOON + number * SECOND)
        assert len(book.sent.counts) <= 5 * 20
    assert book.sent.dropped_to is not None
    assert book.sent.dropped_from is not None
    for stop in range(410):
        expected = [second for second in sent if stop - 19 <= second <= stop]
        assert book.counters.of("A", NOON + stop * SECOND).hour.orders == len(expected)


def test_now_is_the_stores_clock_and_an_aware_time_is_taken() -> None:
    clock = ManualClock(NOON)
    with EventStore(MemoryJournal(clock=clock), clock=clock) as store, projections.open(store) as book:
        book.append("order/A/O-1", order())
        assert book.counters.of("A").minute.orders == 1
        clock.advance(3_600 * SECOND)
        assert figures(book.counters.of("A").minute) == (0, 0, 0)
        assert book.counters.of("A").hour.orders == 1
        clock.advance(SECOND)
        assert book.counters.of("A").hour.orders == 0
        assert book.counters.of("A", datetime(2025, 7, 21, 12, tzinfo=UTC)).minute.orders == 1


# Days


def test_without_sessions_a_day_is_the_date_in_utc() -> None:
    book = Counting()
    book.happen(order(), at=NOON)
    book.happen(order(), at=NOON + DAY)
    counts = book.counters.of("A", NOON)
    assert (counts.session.orders, counts.day.orders, counts.week.orders) == (1, 1, 2)
    assert [book.counters.day("A", MONDAY + timedelta(days=n)).orders for n in range(3)] == [1, 1, 0]


def test_a_round_trip_counts_on_the_day_it_ended() -> None:
    book = Counting()
    session = "session/A/days"
    book.happen(reset(MONDAY, RESET - DAY, resets_at=RESET, week=MONDAY), at=NOON - 1, stream=session)
    book.happen(order(), at=NOON)
    book.trade(2)
    tuesday = MONDAY + timedelta(days=1)
    book.happen(reset(tuesday, RESET, resets_at=RESET + DAY, week=MONDAY), at=RESET, stream=session)
    book.trade(-2)
    counts = book.counters.of("A", RESET - 1)
    assert (figures(counts.session), figures(counts.week)) == ((1, 1, 0), (1, 2, 1))
    counts = book.counters.of("A", RESET)
    assert (figures(counts.session), figures(counts.day), figures(counts.week)) == ((0, 1, 1), (0, 1, 1), (1, 2, 1))
    assert figures(book.counters.day("A", MONDAY)) == (1, 1, 0)
    assert figures(book.counters.day("A", tuesday)) == (0, 1, 1)


def test_what_happened_before_its_session_was_recorded_moves_there() -> None:
    book = Counting()
    book.happen(order(), at=NOON)
    tuesday = MONDAY + timedelta(days=1)
    book.happen(reset(tuesday, NOON - SECOND, resets_at=NOON + DAY), at=NOON + 1, stream="session/A/days")
    assert book.counters.of("A", NOON).session.orders == 1
    assert book.counters.day("A", tuesday).orders == 1
    assert book.counters.day("A", MONDAY).orders == 0


def test_the_state_survives_a_snapshot_and_counts_on() -> None:
    book = Counting().trade(2)
    book.happen(order(), reset(MONDAY, RESET - DAY, resets_at=RESET))
    for name, kind in (("counters", CountersState), ("executions", ExecutionsState)):
        restored = round_tripped(book.states[name, "A"], kind)
        assert restored == book.states[name, "A"]
        book.states[name, "A"] = restored
    assert book.trade(-2).today() == (1, 2, 1)
