"""Activity rules: a day's limit locks exactly at its unit and liquidates nothing; losses in a row begin a pause."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.clock import to_ns
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    AdjustmentReason,
    Allows,
    ContractDefined,
    FeeCharged,
    LimitBreached,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    OrderFilled,
    OrderSubmitted,
    PositionAdjusted,
    Side,
    TradeBusted,
    TradeCorrected,
)
from projections import Book
from projections.risk.limits.schedule import LockoutExpiry, SessionKeeper
from projections.risk.policies import Policies
from projections.rules import Cooldown, TradeLimit
from projections.sessions import Calendar

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
RESET_TIME = datetime(2025, 1, 1, 17, tzinfo=UTC).time()
CHICAGO = Calendar(zone="America/Chicago", open=RESET_TIME, reset=RESET_TIME)
NOON = to_ns(datetime(2025, 7, 21, 17, tzinfo=UTC))
RESET = to_ns(datetime(2025, 7, 21, 22, tzinfo=UTC))
MONDAY = date(2025, 7, 21)
AAPL = ContractDefined(symbol="AAPL", multiplier=Decimal(1), currency="USD")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def book(clock: ManualClock) -> Iterator[Book]:
    store = EventStore(MemoryJournal(clock=clock), clock=clock)
    with projections.open(store, calendars=CHICAGO) as book:
        book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        book.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
        yield book


def running(book: Book) -> Policies:
    return Policies(book, [SessionKeeper(), TradeLimit(), Cooldown(), LockoutExpiry()]).start(ticking=False)


def limit(book: Book, rule_id: str, **parameters: Any) -> None:  # noqa: ANN401 - any parameters
    book.append(f"limits/A/{rule_id}", LimitsSet(rule_id=rule_id, parameters=parameters), actor="tester")


def order(book: Book, name: str, quantity: int = 1) -> None:
    side = Side.BUY if quantity > 0 else Side.SELL
    book.append(f"order/A/{name}", OrderSubmitted(symbol="ES", side=side, quantity=Decimal(abs(quantity))))


def fill(book: Book, quantity: int, price: int = 100, *, name: str = "O", symbol: str = "ES", fee: int = 0) -> str:
    side = Side.BUY if quantity > 0 else Side.SELL
    trade = OrderFilled(
        trade_id=f"T{book.position}",
        symbol=symbol,
        side=side,
        quantity=Decimal(abs(quantity)),
        price=Decimal(price),
        fee=Decimal(fee),
    )
    book.append(f"order/A/{name}", trade)
    return trade.trade_id


def trip(book: Book, points: int, **more: Any) -> str:  # noqa: ANN401 - any of a fill's
    """Buy one at 100 and sell it a number of points higher."""
    fill(book, 1, **more)
    return fill(book, -1, 100 + points, **more)


def locks(book: Book) -> list[str]:
    return [lockout.rule_id for lockout in book.lockouts.active("A", book.now_ns())]


# A limit of trades


def day_of_five(book: Book) -> Iterator[str]:
    """Buy five, sell two with the next order and three with another, in two fills: 3 orders, 4 fills, 1 round trip."""
    order(book, "in", 5)
    yield "order in"
    fill(book, 5, name="in")
    yield "5 in"
    order(book, "out-1", -2)
    yield "order out 1"
    fill(book, -2, name="out-1")
    yield "2 out"
    order(book, "out-2", -3)
    yield "order out 2"
    fill(book, -2, name="out-2")
    yield "2 more out"
    fill(book, -1, name="out-2")
    yield "1 out"


@pytest.mark.parametrize(
    ("unit", "most", "at"),
    [
        ("orders", 1, "order in"),
        ("orders", 2, "order out 1"),
        ("orders", 3, "order out 2"),
        ("orders", 4, None),
        ("fills", 1, "5 in"),
        ("fills", 3, "2 more out"),
        ("fills", 4, "1 out"),
        ("fills", 5, None),
        ("round_trips", 1, "1 out"),
        ("round_trips", 2, None),
    ],
)
def test_each_unit_reaches_its_limit_at_the_right_fill(book: Book, unit: str, most: int, at: str | None) -> None:
    running(book)
    limit(book, "trade-limit", limit=most, unit=unit)
    assert next((step for step in day_of_five(book) if locks(book)), None) == at


def test_a_trade_limit_liquidates_nothing_and_lets_positions_be_closed(book: Book) -> None:
    policies = running(book)
    limit(book, "trade-limit", limit=1, unit="fills", action="FLATTEN", allows="NOTHING")
    fill(book, 1)
    [lockout] = book.lockouts.active("A", NOON)
    assert (lockout.allows, lockout.until, lockout.scope) == (Allows.REDUCE_ONLY, RESET, "account")
    assert lockout.reason == "trade limit 1 of 1 fills reached; locked until 2025-07-21 17:00 CDT"
    assert isinstance(lockout.details, dict)
    assert (lockout.details["figure"], lockout.details["trading_day"]) == ("1", "2025-07-21")
    assert book.enforcement.pending("A") == ()
    assert policies.is_caught_up


def test_the_count_restarts_after_the_reset(book: Book, clock: ManualClock) -> None:
    policies = running(book)
    limit(book, "trade-limit", limit=2)
    trip(book, 1)
    trip(book, 1)
    assert locks(book) == ["trade-limit"]
    clock.advance(RESET - NOON)
    policies.tick()
    assert locks(book) == []
    trip(book, 1)
    assert locks(book) == []
    trip(book, 1)
    assert locks(book) == ["trade-limit"]
    assert book.lockouts.active("A", book.now_ns())[0].until == RESET + 24 * HOUR


def test_a_limit_set_below_what_was_traded_locks_at_once(book: Book) -> None:
    running(book)
    trip(book, 1)
    limit(book, "trade-limit:fast", limit=1)
    assert locks(book) == ["trade-limit:fast"]


def test_trades_of_a_day_that_is_over_are_a_breach_and_lock_nothing(book: Book, clock: ManualClock) -> None:
    policies = running(book)
    limit(book, "trade-limit", limit=1, unit="fills")
    clock.advance(RESET - NOON)
    policies.tick()
    late = OrderFilled(trade_id="late", symbol="ES", side=Side.BUY, quantity=Decimal(1), price=Decimal(1))
    book.append("order/A/late", late, occurred_at=RESET - MINUTE)
    assert locks(book) == []
    [breach] = book.limits.breaches("A")
    assert (breach.rule_id, breach.trading_day, breach.figure) == ("trade-limit", MONDAY, Decimal(1))


def test_a_trade_limit_with_severity_warning_is_recorded_once_a_day(book: Book) -> None:
    running(book)
    limit(book, "trade-limit", limit=1, unit="fills", severity="WARNING")
    trip(book, 1)
    trip(book, 1)
    assert locks(book) == []
    assert [record.event.figure for record in book.read(types=(LimitBreached,))] == [Decimal(1)]  # type: ignore[attr-defined]


# A pause after losses


def test_losing_trips_in_a_row_begin_a_pause(book: Book, clock: ManualClock) -> None:
    policies = running(book)
    limit(book, "cooldown", losing_trips=3, duration=30 * MINUTE)
    for points in (-1, -2, 5, -1, -1):
        trip(book, points)
        assert locks(book) == []
    clock.advance(MINUTE)
    trip(book, -1)
    [lockout] = book.lockouts.active("A", book.now_ns())
    assert (lockout.rule_id, lockout.until, lockout.allows) == ("cooldown", NOON + 31 * MINUTE, Allows.REDUCE_ONLY)
    assert lockout.reason == (
        "3 losing round trips in a row (30 minutes' pause) reached; locked until 2025-07-21 12:31 CDT"
    )
    assert isinstance(lockout.details, dict)
    assert [trip["net"] for trip in lockout.details["trips"]] == ["-50", "-50", "-50"]
    clock.advance(30 * MINUTE)
    policies.tick()
    assert locks(book) == []


def test_after_a_pause_the_count_restarts(book: Book, clock: ManualClock) -> None:
    policies = running(book)
    limit(book, "cooldown", losing_trips=2, duration=MINUTE)
    trip(book, -1)
    trip(book, -1)
    clock.advance(MINUTE)
    policies.tick()
    trip(book, -1)
    assert locks(book) == []
    trip(book, -1)
    assert locks(book) == ["cooldown"]


def test_one_big_loss_begins_a_pause_and_its_fees_count(book: Book) -> None:
    running(book)
    limit(book, "cooldown", loss="150")
    trip(book, -2)
    trip(book, -2, fee=24)
    assert locks(book) == []
    trip(book, -2, fee=25)
    assert locks(book) == ["cooldown"]
    [lockout] = book.lockouts.active("A", NOON)
    assert lockout.until == NOON + HOUR
    assert lockout.reason.startswith("a round trip's loss -150.00 of -150.00 USD (60 minutes' pause) reached")


def test_a_fee_makes_an_even_trip_a_losing_one_even_when_it_comes_later(book: Book) -> None:
    running(book)
    limit(book, "cooldown", losing_trips=1)
    sold = trip(book, 0)
    assert locks(book) == []
    book.append("order/A/O", FeeCharged(trade_id=sold, amount=Decimal(1), symbol="ES"))
    assert locks(book) == ["cooldown"]


def test_trips_of_all_symbols_count_together(book: Book) -> None:
    running(book)
    book.append("contract/-/AAPL", AAPL)
    limit(book, "cooldown", losing_trips=2)
    fill(book, 1)
    trip(book, -1, symbol="AAPL", name="P")
    assert locks(book) == []
    fill(book, -1, 99)
    assert locks(book) == ["cooldown"]


def test_an_undefined_contract_counts_by_points_and_not_by_money(book: Book) -> None:
    running(book)
    limit(book, "cooldown", losing_trips=2, loss="1")
    trip(book, -1, symbol="XX", name="X")
    assert locks(book) == []
    trip(book, -1, symbol="XX", name="X")
    assert locks(book) == ["cooldown"]


def test_what_happens_after_a_cleared_pause_does_not_lock_again(book: Book) -> None:
    running(book)
    limit(book, "cooldown", losing_trips=1)
    trip(book, -1)
    book.append("lockout/A/cooldown", LockoutCleared(by="supervisor"))
    fill(book, 1)
    assert locks(book) == []
    fill(book, -1, 99)
    assert locks(book) == ["cooldown"]
    assert len(list(book.read(types=(LockoutSet,)))) == 2


def test_a_pause_that_is_over_when_it_is_recorded_locks_nothing(book: Book, clock: ManualClock) -> None:
    running(book)
    limit(book, "cooldown", losing_trips=1, duration=MINUTE)
    clock.advance(HOUR)
    for side, price in ((Side.BUY, 100), (Side.SELL, 90)):
        late = OrderFilled(trade_id=side, symbol="ES", side=side, quantity=Decimal(1), price=Decimal(price))
        book.append("order/A/late", late, occurred_at=NOON)
    assert locks(book) == []
    assert book.limits.breaches("A") == ()


# The result of a round trip


def points(book: Book) -> list[Decimal | None]:
    return [trip.points for trip in book.trips.of("A")]


def test_a_round_trip_is_from_flat_to_flat_and_a_fill_through_zero_begins_the_next(book: Book) -> None:
    fill(book, 2, 100)
    fill(book, -1, 104)
    fill(book, -3, 101, fee=3)
    fill(book, 2, 99)
    assert points(book) == [Decimal(5), Decimal(4)]
    assert [trip.fees for trip in book.trips.of("A")] == [(("", Decimal(3)),), ()]
    assert [trip.symbol for trip in book.trips.of("A", "ES")] == ["ES", "ES"]
    assert book.trips.of("A", "NQ") == book.trips.of("B") == ()


def test_a_correction_and_a_bust_change_the_trip_of_their_trade(book: Book) -> None:
    first = fill(book, 2, 100)
    second = fill(book, 1, 110)
    book.append("order/A/O", TradeCorrected(trade_id=first, quantity=Decimal(2), price=Decimal(98)))
    book.append("order/A/O", TradeBusted(trade_id=second))
    last = fill(book, -2, 100)
    assert points(book) == [Decimal(4)]
    book.append("order/A/O", TradeCorrected(trade_id=last, quantity=Decimal(2), price=Decimal(97)))
    assert points(book) == [Decimal(-2)]


def test_a_trade_reported_twice_counts_once(book: Book) -> None:
    trade = OrderFilled(trade_id="T", symbol="ES", side=Side.BUY, quantity=Decimal(1), price=Decimal(100))
    book.append("order/A/O", [trade, trade])
    fill(book, -1, 103)
    assert points(book) == [Decimal(3)]


def test_an_adjustment_without_a_price_leaves_a_trip_without_a_result(book: Book) -> None:
    fill(book, 1, 100)
    book.append("position/A/ES", PositionAdjusted(symbol="ES", quantity=Decimal(-1), reason=AdjustmentReason.EXPIRY))
    fill(book, 1, 100)
    book.append("position/A/ES", PositionAdjusted(symbol="ES", quantity=Decimal(1), reason=AdjustmentReason.SPLIT))
    fill(book, -2, 55)
    assert points(book) == [None, Decimal(10)]


def test_a_later_fee_belongs_to_the_trip_of_its_trade(book: Book) -> None:
    bought = fill(book, 1, 100, fee=1)
    book.append("order/A/O", FeeCharged(trade_id=bought, amount=Decimal(2)))
    book.append("trade/A/T", FeeCharged(trade_id=bought, amount=Decimal(4), symbol="ES"))
    book.append("order/A/O", FeeCharged(trade_id="unknown", amount=Decimal(8)))
    fill(book, -1, 100)
    assert [trip.fees for trip in book.trips.of("A")] == [(("", Decimal(7)),)]


def test_a_second_bust_of_a_trade_is_ignored(book: Book) -> None:
    fill(book, 1, 100)
    more = fill(book, 1, 110)
    for _ in range(2):
        book.append("order/A/O", TradeBusted(trade_id=more))
    book.append("order/A/O", TradeBusted(trade_id="unknown"))
    fill(book, -1, 101)
    assert points(book) == [Decimal(1)]


def test_a_trip_without_a_result_ends_a_losing_streak(book: Book) -> None:
    running(book)
    limit(book, "cooldown", losing_trips=2)
    trip(book, -1)
    fill(book, 1, 100)
    book.append("position/A/ES", PositionAdjusted(symbol="ES", quantity=Decimal(-1), reason=AdjustmentReason.EXPIRY))
    trip(book, -1)
    assert locks(book) == []


def test_recent_losses_begin_a_pause_when_the_policies_start(book: Book) -> None:
    limit(book, "cooldown", losing_trips=1)
    trip(book, -1)
    assert locks(book) == []
    running(book)
    assert locks(book) == ["cooldown"]


def test_a_bust_returns_its_fee_and_leaves_no_trip(book: Book) -> None:
    only = fill(book, 1, 100, fee=3)
    book.append("order/A/O", TradeBusted(trade_id=only))
    assert book.trips.of("A") == ()
    fill(book, 1, 100)
    more = fill(book, 1, 110, fee=3)
    book.append("order/A/O", TradeBusted(trade_id=more))
    fill(book, -1, 101)
    assert [(trip.points, trip.fees) for trip in book.trips.of("A")] == [(Decimal(1), ())]
