"""Trading days are opened, closed and reset exactly once, missed ones too."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

import projections
from eventstore import Event, EventStore, ManualClock
from eventstore.clock import to_ns
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    EquityMarked,
    LockoutExpired,
    LockoutSet,
    OrderFilled,
    SessionClosed,
    SessionOpened,
    SessionReset,
    Side,
)
from projections import Book
from projections.risk.limits.schedule import MISSED_MAX, LockoutExpiry, SessionKeeper
from projections.risk.policies import Policies, Trigger, TriggerKind
from projections.sessions import Calendar
from projections.view import PartitionParked
from tests.projections.clockwork import DAY, HOUR, MINUTE, NOON, SECOND, STREAM, expired, locked, recorded
from tests.projections.policy_scene import running

pytestmark = pytest.mark.in_each_place(slow=True)

CHICAGO = Calendar(
    zone="America/Chicago",
    open=datetime(2025, 1, 1, 17).time(),  # noqa: DTZ001 - a time of day
    reset=datetime(2025, 1, 1, 17).time(),  # noqa: DTZ001 - a time of day
    flat_by=datetime(2025, 1, 1, 15, 10).time(),  # noqa: DTZ001 - a time of day
)
# Monday noon in Chicago, in summer: the reset is at 22:00 UTC.
MONDAY = date(2025, 7, 21)
RESET = to_ns(datetime(2025, 7, 21, 22, tzinfo=UTC))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


# Trading days


def sessions(store: EventStore, account: str = "A") -> list[Event]:
    return recorded(store, stream=f"session/{account}/")


def known(book: Book) -> None:
    """Open an account in dollars, and define a contract."""
    book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
    book.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))


def trip(book: Book, points: int, number: int = 1) -> None:
    price = {Side.BUY: Decimal(100), Side.SELL: Decimal(100 + points)}
    for side in Side:
        fill = OrderFilled(
            trade_id=f"{side}-{number}", symbol="ES", side=side, quantity=Decimal(1), price=price[side], fee=Decimal(2)
        )
        book.append(f"order/A/O{number}", fill)


def test_an_account_begins_with_the_current_day(store: EventStore, book: Book) -> None:
    known(book)
    policies = running(book, SessionKeeper(CHICAGO))
    policies.tick()
    assert sessions(store) == [CHICAGO.day(MONDAY).opened()]
    session = book.sessions.current("A")
    assert session is not None
    assert (session.trading_day, session.resets_at) == (MONDAY, RESET)
    assert session.began_at is not None
    assert session.began_at < NOON


def test_at_the_reset_a_day_is_closed_and_the_next_one_begins(
    store: EventStore, book: Book, clock: ManualClock
) -> None:
    known(book)
    policies = running(book, SessionKeeper(CHICAGO))
    trip(book, -10)
    trip(book, 4, 2)
    marked = EquityMarked(balance=Decimal(50_000), equity=Decimal(50_300), high_water=Decimal(50_300), currency="USD")
    book.append("equity/A/-", marked)
    clock.set(RESET - 1)
    policies.tick()
    assert len(sessions(store)) == 1
    clock.advance(1)
    policies.tick()
    policies.tick()
    closed, reset = list(store.read(stream="session/A/"))[1:]
    assert closed.event == SessionClosed(
        trading_day=MONDAY,
        balance=Decimal(49_692),
        realized=Decimal(-300),
        fees=Decimal(8),
        high_water=Decimal(50_300),
        trades=4,
        currency="USD",
    )
    tuesday = CHICAGO.day(date(2025, 7, 22))
    assert reset.event == tuesday.reset()
    assert (closed.stream, reset.stream) == ("session/A/2025-07-21", "session/A/2025-07-22")
    assert reset.position == closed.position + 1
    assert policies.is_caught_up


def test_the_second_day_starts_unlocked(store: EventStore, book: Book, clock: ManualClock) -> None:
    known(book)
    policies = running(book, SessionKeeper(CHICAGO), LockoutExpiry())
    trip(book, -10)
    book.append(STREAM, LockoutSet(rule_id="loss", until=book.sessions.next_reset("A"), revocable=False))
    clock.advance(RESET - NOON)
    policies.tick()
    assert book.counters.of("A").day.fills == 0
    assert [made for made in book.pnl.day("A") if made.realized or made.fees] == []
    assert not locked(book)
    assert expired(store) == [LockoutExpired(rule_id="loss", scope="account")]
    trip(book, 1, 2)
    assert book.counters.of("A").day.fills == 2
    assert book.counters.day("A", MONDAY).fills == 2


def test_a_friday_s_reset_begins_monday_which_opens_on_sunday(
    store: EventStore, book: Book, clock: ManualClock
) -> None:
    known(book)
    friday = to_ns(datetime(2025, 7, 25, 21, tzinfo=UTC))
    clock.set(friday)
    policies = running(book, SessionKeeper(CHICAGO))
    clock.set(friday + HOUR)
    policies.tick()
    monday = CHICAGO.day(date(2025, 7, 28))
    assert sessions(store)[1:] == [
        SessionClosed(
            trading_day=date(2025, 7, 25),
            balance=Decimal(50_000),
            realized=Decimal(0),
            fees=Decimal(0),
            trades=0,
            currency="USD",
        ),
        monday.reset(),
    ]
    clock.set(monday.opens_at - 1)
    policies.tick()
    assert len(sessions(store)) == 3
    clock.advance(1)
    policies.tick()
    policies.tick()
    assert sessions(store)[3:] == [monday.opened()]
    # Another process, later that day, finds it recorded already.
    book.unwatch(policies)
    clock.advance(HOUR)
    running(book, SessionKeeper(CHICAGO)).tick()
    assert len(sessions(store)) == 4


@pytest.mark.parametrize(("after", "late"), [(0, False), (3 * SECOND, False), (MINUTE, False), (MINUTE + 1, True)])
def test_a_reset_recorded_more_than_a_minute_late_is_marked_late(
    store: EventStore, book: Book, clock: ManualClock, after: int, late: bool
) -> None:
    known(book)
    policies = running(book, SessionKeeper(CHICAGO))
    clock.set(RESET + after)
    policies.tick()
    [reset] = recorded(store, SessionReset)
    assert isinstance(reset, SessionReset)
    assert (reset.scheduled_for, reset.late) == (RESET, late)


def test_missed_resets_are_recorded_once_oldest_first_and_marked_late(
    store: EventStore, book: Book, clock: ManualClock
) -> None:
    known(book)
    running(book, SessionKeeper(CHICAGO)).stop()
    clock.set(to_ns(datetime(2025, 7, 25, 23, tzinfo=UTC)))
    for _ in range(2):
        policies = running(book, SessionKeeper(CHICAGO))
        policies.tick()
        policies.stop()
    resets = recorded(store, SessionReset)
    days = [date(2025, 7, day) for day in (22, 23, 24, 25, 28)]
    assert resets == [CHICAGO.day(day).reset(late=True) for day in days]
    closed = [event.trading_day for event in recorded(store, SessionClosed) if isinstance(event, SessionClosed)]
    assert closed == [MONDAY, *days[:-1]]
    session = book.sessions.current("A")
    assert session is not None
    assert (session.trading_day, session.late) == (date(2025, 7, 28), True)


def test_trades_of_missed_days_count_for_their_day(store: EventStore, book: Book, clock: ManualClock) -> None:
    known(book)
    running(book, SessionKeeper(CHICAGO)).stop()
    clock.set(RESET + HOUR)
    trip(book, 4)
    clock.set(RESET + DAY + HOUR)
    running(book, SessionKeeper(CHICAGO))
    assert book.counters.day("A", date(2025, 7, 22)).fills == 2
    assert book.counters.of("A").day.fills == 0
    assert recorded(store, SessionClosed)[1] == SessionClosed(trading_day=date(2025, 7, 22))


def test_of_very_many_missed_resets_the_newest_are_recorded(store: EventStore, book: Book, clock: ManualClock) -> None:
    known(book)
    running(book, SessionKeeper(CHICAGO)).stop()
    clock.set(NOON + 800 * DAY)
    policies = running(book, SessionKeeper(CHICAGO))
    resets = recorded(store, SessionReset)
    assert len(resets) == MISSED_MAX
    session = book.sessions.current("A")
    assert session is not None
    assert session.trading_day == CHICAGO.day_at(clock.now_ns()).trading_day
    assert policies.is_caught_up


def test_two_processes_reset_a_day_once(store: EventStore, book: Book, clock: ManualClock) -> None:
    known(book)
    with projections.open(store, snapshots=False) as other:
        both = [running(each, SessionKeeper(CHICAGO)) for each in (book, other)]
        for day in range(1, 4):
            clock.set(RESET + day * DAY)
            for policies in both if day % 2 else both[::-1]:
                policies.tick()
        names = [event.trading_day for event in recorded(store, SessionReset) if isinstance(event, SessionReset)]
        assert len(names) == len(set(names)) == 4
        assert len(recorded(store, SessionClosed)) == 4
        assert len(recorded(store, SessionOpened)) == 1


def test_a_process_behind_another_resets_no_day_again(store: EventStore, book: Book, clock: ManualClock) -> None:
    known(book)
    with projections.open(store, snapshots=False) as other:
        first, lagging = (Policies(each, [SessionKeeper(CHICAGO)]) for each in (book, other))
        lagging.start(ticking=False)
        other.refresh()
        first.start(ticking=False)
        clock.set(RESET)
        first.tick()
        clock.set(RESET + DAY)
        # It decides on both days without having folded either, while the other is at the second already.
        lagging._evaluate_all([SessionKeeper(CHICAGO)], TriggerKind.TIME, clock.now_ns())
        first.tick()
        lagging.flush()
        assert [event for event in sessions(store) if isinstance(event, SessionReset)] == [
            CHICAGO.day(date(2025, 7, day)).reset() for day in (22, 23)
        ]


def test_a_process_unaware_of_a_day_begins_none_after_another_did(
    store: EventStore, book: Book, clock: ManualClock
) -> None:
    known(book)
    with projections.open(store, snapshots=False) as other:
        lagging = Policies(other, [])
        lagging.start(ticking=False)
        running(book, SessionKeeper(CHICAGO))
        clock.set(RESET)
        lagging._evaluate_all([SessionKeeper(CHICAGO)], TriggerKind.TIME, clock.now_ns())
        lagging.flush()
        assert sessions(store) == [CHICAGO.day(MONDAY).opened()]


def test_another_calendar_applies_from_the_known_day_s_reset(store: EventStore, book: Book, clock: ManualClock) -> None:
    known(book)
    running(book, SessionKeeper(CHICAGO)).stop()
    later = Calendar(zone="America/Chicago", open=CHICAGO.open, reset=CHICAGO.reset.replace(hour=18))
    policies = running(book, SessionKeeper(later))
    clock.set(RESET - 1)
    policies.tick()
    assert len(sessions(store)) == 1
    clock.set(RESET + HOUR)
    policies.tick()
    tuesday = replace(later.day(date(2025, 7, 22)), began_at=RESET)
    assert recorded(store, SessionReset) == [tuesday.reset(late=True)]
    assert tuesday.resets_at == RESET + DAY + HOUR


def test_each_account_has_its_own_calendar_or_the_default(store: EventStore, book: Book) -> None:
    berlin = Calendar(zone="Europe/Berlin", open=CHICAGO.open.replace(hour=8), reset=CHICAGO.reset.replace(hour=22))
    for account in ("A", "B", "C"):
        book.append(f"account/{account}/-", AccountOpened(starting_balance=Decimal(1), currency="USD"))
    running(book, SessionKeeper({"B": berlin, "A": CHICAGO}))
    assert sessions(store, "A") == [CHICAGO.day(MONDAY).opened()]
    assert sessions(store, "B") == [berlin.day(MONDAY).opened()]
    assert sessions(store, "C") == []


def test_without_calendars_of_its_own_it_follows_the_book_s(store: EventStore) -> None:
    with projections.open(store, calendars=CHICAGO) as book:
        known(book)
        running(book, SessionKeeper())
    assert sessions(store) == [CHICAGO.day(MONDAY).opened()]


def test_an_account_that_was_never_opened_has_days_without_figures(
    store: EventStore, book: Book, clock: ManualClock
) -> None:
    book.append(
        "trade/A/T", OrderFilled(trade_id="T", symbol="ES", side=Side.BUY, quantity=Decimal(1), price=Decimal(1))
    )
    policies = running(book, SessionKeeper(CHICAGO))
    clock.set(RESET)
    policies.tick()
    assert recorded(store, SessionClosed) == [SessionClosed(trading_day=MONDAY, trades=1)]


def test_a_day_closed_late_has_its_own_balance(store: EventStore, book: Book, clock: ManualClock) -> None:
    known(book)
    policies = running(book, SessionKeeper(CHICAGO))
    trip(book, -10)
    clock.set(RESET + 1)
    trip(book, 100, 2)
    policies.tick()
    [closed] = recorded(store, SessionClosed)
    assert isinstance(closed, SessionClosed)
    assert (closed.balance, closed.realized, closed.fees) == (Decimal(50_000 - 500 - 4), Decimal(-500), Decimal(4))


def test_an_undefined_contract_does_not_keep_a_day_from_closing(
    store: EventStore, book: Book, clock: ManualClock
) -> None:
    book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
    policies = running(book, SessionKeeper(CHICAGO))
    trip(book, -10)
    clock.set(RESET)
    policies.tick()
    assert recorded(store, SessionClosed) == [SessionClosed(trading_day=MONDAY, trades=2, currency="USD")]
    assert policies.is_caught_up


def parked(book: Book, view: str, account: str = "A") -> None:
    book._fold.slots[view].parked[account] = PartitionParked(view, account, 1, LookupError("broken"))


def test_an_account_with_failed_sessions_does_not_affect_others(store: EventStore, book: Book) -> None:
    known(book)
    book.append("account/B/-", AccountOpened(starting_balance=Decimal(1), currency="USD"))
    parked(book, "sessions")
    keeper = SessionKeeper(CHICAGO)
    for account in "AB":
        trigger = Trigger(TriggerKind.TIME, account, NOON, account)
        assert len(list(keeper.decide(book, trigger))) == (account == "B")


def test_failed_views_do_not_keep_a_day_from_closing(store: EventStore, book: Book, clock: ManualClock) -> None:
    known(book)
    policies = running(book, SessionKeeper(CHICAGO))
    parked(book, "executions")
    clock.set(RESET)
    policies.tick()
    # How many trades there were is as unknown as what they realized.
    assert recorded(store, SessionClosed) == [SessionClosed(trading_day=MONDAY)]
    assert policies.is_caught_up
