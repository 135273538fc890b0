"""Sessions: trading days from their events, in any order; next open, flat-by and reset."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventstore
import projections
from eventstore import Event, EventStore, InvalidEvent
from eventstore.clock import NANOSECONDS, ManualClock, to_ns
from eventstore.trading import SessionClosed, SessionOpened, SessionReset
from projections import Book
from projections.sessions import Calendar
from projections.views import sessions
from projections.views.sessions import Session, SessionsState, SessionsView
from tests.views.position_folding import Folding, round_tripped

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 3, day) for day in (9, 10, 11))
HOUR = 3_600 * NANOSECONDS
FUTURES = Calendar(zone="America/Chicago", open=time(17), reset=time(17), flat_by=time(15, 10))
COINS = Calendar(zone="UTC", open=time(0), reset=time(0), flat_by=time(23), weekdays=tuple(range(7)))
NOON = to_ns(datetime(2026, 3, 9, 17, tzinfo=UTC))


class Days(Folding):
    """A log of one account's sessions, whose events happen at the time that each one names."""

    def __init__(self, view: SessionsView | None = None) -> None:
        super().__init__()
        self.view = view or SessionsView()
        self.sessions = sessions.Sessions(self)

    def at(self, time: int, event: Event, entity: str = "-") -> None:
        record = self.record(f"session/A/{entity}", event, occurred_at=time, recorded_at=time)
        state = self.states.setdefault(("sessions", "A"), self.view.initial())
        self.view.apply(state, event, record)

    def current(self, at: int) -> date | None:
        session = self.sessions.current("A", at)
        return None if session is None else session.trading_day

    def next(self, at: int) -> tuple[int | None, int | None, int | None]:
        asked = self.sessions
        return asked.next_open("A", at), asked.next_flat_by("A", at), asked.next_reset("A", at)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data", clock=ManualClock(NOON)) as opened:
        yield opened


def test_a_day_is_current_from_its_reset_until_before_the_next() -> None:
    book = Days()
    assert (book.current(10), book.sessions.history("A")) == (None, ())
    book.at(12, SessionReset(trading_day=MONDAY, scheduled_for=10, opens_at=11, flat_by=19, resets_at=20, late=True))
    assert [book.current(at) for at in (9, 10, 19, 20)] == [None, MONDAY, MONDAY, None]
    book.at(20, SessionReset(trading_day=TUESDAY, scheduled_for=20, resets_at=30))
    assert [book.current(at) for at in (19, 20, 29, 30)] == [MONDAY, TUESDAY, TUESDAY, None]
    monday = Session(
        account="A",
        trading_day=MONDAY,
        began_at=10,
        opens_at=11,
        flat_by=19,
        resets_at=20,
        late=True,
        positions=(1,),
    )
    assert book.sessions.day("A", MONDAY) == book.sessions.current("A", 15) == monday
    assert [session.trading_day for session in book.sessions.history("A")] == [MONDAY, TUESDAY]
    assert book.sessions.current("B", 15) is None


def test_a_bare_reset_lasts_until_the_next_one_is_recorded() -> None:
    book = Days()
    book.at(10, SessionReset(trading_day=MONDAY, scheduled_for=10))
    assert [book.current(at) for at in (9, 10, 10**18)] == [None, MONDAY, MONDAY]
    assert book.next(15) == (None, None, None)
    book.at(20, SessionReset(trading_day=TUESDAY, scheduled_for=20))
    assert [book.current(at) for at in (10, 19, 20)] == [MONDAY, MONDAY, TUESDAY]


@pytest.mark.parametrize(
    ("event", "began_at"),
    [
        (SessionOpened(trading_day=MONDAY), 15),
        (SessionOpened(trading_day=MONDAY, opens_at=12), 12),
        (SessionOpened(trading_day=MONDAY, opens_at=12, began_at=10), 10),
    ],
)
def test_a_session_began_when_it_says_or_opened_or_occurred(event: Event, began_at: int) -> None:
    book = Days()
    book.at(15, event)
    session = book.sessions.day("A", MONDAY)
    assert session is not None
    assert session.began_at == began_at


RESET = SessionReset(trading_day=MONDAY, scheduled_for=10, resets_at=20)
OPENED = SessionOpened(trading_day=MONDAY, opens_at=12, flat_by=18, zone="UTC", week=MONDAY)
CLOSED = SessionClosed(trading_day=MONDAY, balance=Decimal("50100.5"), realized=Decimal(120), fees=Decimal("19.5"))


@pytest.mark.parametrize("events", list(permutations([RESET, OPENED, CLOSED])))
def test_the_order_of_the_events_about_a_day_does_not_matter(events: tuple[Event, ...]) -> None:
    book = Days()
    for event in [*events, *events]:
        book.at(19, event)
    session = book.sessions.day("A", MONDAY)
    assert session is not None
    assert msgspec.structs.replace(session, positions=()) == Session(
        account="A",
        trading_day=MONDAY,
        began_at=10,
        opens_at=12,
        flat_by=18,
        resets_at=20,
        week=MONDAY,
        zone="UTC",
        closed_at=19,
        balance=Decimal("50100.5"),
        realized=Decimal(120),
        fees=Decimal("19.5"),
    )
    assert session.positions == (1, 2, 3, 4, 5, 6)
    assert book.sessions.history("A") == (session,)


def test_days_recorded_in_reverse_are_in_order() -> None:
    book = Days()
    for day, begins in ((WEDNESDAY, 30), (MONDAY, 10), (TUESDAY, 20)):
        book.at(35, SessionReset(trading_day=day, scheduled_for=begins, resets_at=begins + 10))
    assert [book.current(at) for at in (5, 15, 25, 35, 45)] == [None, MONDAY, TUESDAY, WEDNESDAY, None]
    assert book.next(15) == (None, None, 20)


def test_a_closed_day_is_the_current_one_until_its_reset() -> None:
    book = Days()
    book.at(10, RESET)
    book.at(16, CLOSED)
    session = book.sessions.current("A", 18)
    assert session is not None
    assert (session.closed, session.closed_at, session.balance) == (True, 16, Decimal("50100.5"))
    assert book.current(20) is None


def test_without_a_known_reset_a_day_lasts_until_its_closing() -> None:
    book = Days()
    book.at(10, SessionReset(trading_day=MONDAY, scheduled_for=10))
    book.at(16, CLOSED)
    assert [book.current(at) for at in (15, 16)] == [MONDAY, None]


@pytest.mark.parametrize(("closed_at", "day"), [(20, MONDAY), (21, TUESDAY), (45, TUESDAY)])
def test_a_closing_without_a_day_closes_the_one_the_account_was_in(closed_at: int, day: date) -> None:
    book = Days()
    book.at(20, SessionReset(trading_day=TUESDAY, scheduled_for=20, resets_at=30))
    book.at(20, RESET)
    book.at(closed_at, SessionClosed(balance=Decimal(1)))
    closed = [session.trading_day for session in book.sessions.history("A") if session.closed]
    assert closed == [day]


def test_a_closing_without_a_day_may_be_named_by_its_stream() -> None:
    book = Days()
    book.at(10, RESET)
    book.at(25, SessionReset(trading_day=TUESDAY, scheduled_for=20, resets_at=30))
    book.at(29, SessionClosed(balance=Decimal(1)), entity="2026-03-09")
    assert [session.closed for session in book.sessions.history("A")] == [True, False]


def test_a_closing_of_no_known_day_changes_nothing() -> None:
    book = Days()
    book.at(5, SessionClosed(balance=Decimal(1)))
    assert book.state("sessions", "A") == SessionsState()
    book.at(10, RESET)
    book.at(10, SessionClosed(balance=Decimal(1)))
    assert not any(session.closed for session in book.sessions.history("A"))


def test_a_day_of_which_only_the_closing_is_known_has_no_begin_and_is_never_current() -> None:
    book = Days()
    book.at(25, CLOSED)
    book.at(20, SessionReset(trading_day=TUESDAY, scheduled_for=20, resets_at=30))
    first, second = book.sessions.history("A")
    assert (first.trading_day, first.began_at, first.balance) == (MONDAY, None, Decimal("50100.5"))
    assert second.trading_day == TUESDAY
    assert [book.current(at) for at in (19, 24, 26, 31)] == [None, TUESDAY, TUESDAY, None]
    book.at(26, RESET)
    assert book.current(19) == MONDAY
    assert [session.trading_day for session in book.sessions.history("A")] == [MONDAY, TUESDAY]


def test_what_comes_next_is_what_the_events_state() -> None:
    book = Days()
    book.at(10, SessionReset(trading_day=MONDAY, scheduled_for=10, opens_at=12, flat_by=18, resets_at=20))
    book.at(10, SessionReset(trading_day=TUESDAY, scheduled_for=20, opens_at=22, flat_by=28, resets_at=30))
    assert [book.next(at) for at in (10, 12, 18, 20, 29)] == [
        (12, 18, 20),
        (22, 18, 20),
        (22, 28, 20),
        (22, 28, 30),
        (None, None, 30),
    ]
    assert book.next(9) == book.next(30) == (None, None, None)


def test_what_no_event_states_is_the_calendar_s() -> None:
    book = Days()
    monday = FUTURES.day(MONDAY)
    book.sessions.calendars["A"] = FUTURES
    assert book.next(NOON) == (monday.resets_at, monday.flat_by, monday.resets_at)
    # An hour earlier than the calendar has it: the events were written when it said so.
    stated = msgspec.structs.replace(monday, flat_by=NOON, resets_at=monday.resets_at - HOUR)
    book.at(NOON, stated.opened())
    tuesday = FUTURES.day(TUESDAY)
    assert book.next(NOON - 1) == (tuesday.opens_at, NOON, stated.resets_at)
    assert book.next(NOON) == (tuesday.opens_at, tuesday.flat_by, stated.resets_at)
    assert book.next(stated.resets_at) == (tuesday.opens_at, tuesday.flat_by, monday.resets_at)


def test_an_open_at_the_very_reset_that_ends_a_recorded_day_is_the_next() -> None:
    book, monday = Days(), FUTURES.day(MONDAY)
    book.sessions.calendars["A"] = FUTURES
    book.at(NOON, monday.reset(late=True))
    assert book.next(NOON) == (monday.resets_at, monday.flat_by, monday.resets_at)


def test_a_bare_reset_leaves_to_the_calendar_what_it_does_not_state() -> None:
    book, monday = Days(), FUTURES.day(MONDAY)
    book.sessions.calendars["*"] = FUTURES
    book.at(monday.began_at, SessionReset(trading_day=MONDAY, scheduled_for=monday.began_at))
    assert book.next(monday.began_at) == (monday.opens_at, monday.flat_by, monday.resets_at)
    assert book.next(NOON) == (monday.resets_at, monday.flat_by, monday.resets_at)


def test_the_state_keeps_the_newest_days_and_the_log_has_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "DAYS_MAX", 3)
    monkeypatch.setattr(sessions, "POSITIONS_MAX", 4)
    book = Days(SessionsView(days_max=3))
    days = [date(2026, 3, number) for number in range(1, 8)]
    for number, day in enumerate(days):
        book.at(number, SessionReset(trading_day=day, scheduled_for=number * 10, resets_at=number * 10 + 10))
    for _ in range(5):
        book.at(70, SessionReset(trading_day=days[-1], scheduled_for=60, resets_at=70))
    state: SessionsState = book.state("sessions", "A")
    assert [session.trading_day for session in state.days] == days[-3:]
    assert state.days[-1].positions == (7, 10, 11, 12)
    assert [session.trading_day for session in book.sessions.history("A")] == days
    oldest = book.sessions.day("A", days[0])
    assert oldest is not None
    assert (oldest.began_at, book.sessions.day("A", date(2026, 2, 1))) == (0, None)
    # A word about a day that is long forgotten does not push out a newer one.
    book.at(75, SessionClosed(trading_day=days[0]))
    assert [session.trading_day for session in book.state("sessions", "A").days] == days[-3:]


def test_400_days_stay_in_state() -> None:
    book = Days()
    for number in range(402):
        book.at(number, SessionReset(trading_day=date.fromordinal(735_000 + number), scheduled_for=number))
    assert len(book.state("sessions", "A").days) == 400
    assert len(book.sessions.history("A")) == 402


def test_readers_see_all_that_an_event_does_or_nothing() -> None:
    book = Days()
    book.at(10, RESET)
    seen = book.state("sessions", "A").days
    before = msgspec.msgpack.encode(seen)
    book.at(16, CLOSED)
    assert msgspec.msgpack.encode(seen) == before


instants = st.integers(0, 60)
maybe = st.one_of(st.none(), instants)
trading_days = st.sampled_from([MONDAY, TUESDAY, WEDNESDAY])
stated = {"opens_at": maybe, "flat_by": maybe, "resets_at": maybe}
session_events = st.one_of(
    st.builds(SessionOpened, trading_day=trading_days, began_at=maybe, **stated),
    st.builds(SessionReset, trading_day=trading_days, scheduled_for=instants, late=st.booleans(), **stated),
    st.builds(SessionClosed, trading_day=st.one_of(st.none(), trading_days), trades=maybe),
)


@given(st.lists(st.tuples(session_events, instants), max_size=12), st.integers(0, 12))
def test_the_fold_continues_from_a_snapshot_at_any_cut(events: list[tuple[Event, int]], cut: int) -> None:
    view, log = SessionsView(), Folding()
    whole, resumed = view.initial(), view.initial()
    for number, (event, occurred_at) in enumerate(events):
        record = log.record("session/A/-", event, occurred_at=occurred_at, recorded_at=occurred_at)
        resumed = round_tripped(resumed, SessionsState) if number == cut else resumed
        for state in (whole, resumed):
            view.apply(state, record.event, record)
    assert resumed == whole
    assert len({session.trading_day for session in whole.days}) == len(whole.days) <= 3


@given(st.lists(st.tuples(session_events, instants), max_size=12), instants)
def test_the_current_day_holds_its_instant_and_what_comes_next_is_after_it(
    events: list[tuple[Event, int]], at: int
) -> None:
    book = Days()
    for event, occurred_at in events:
        book.at(occurred_at, event)
    session = book.sessions.current("A", at)
    assert session is None or session.holds(at)
    begun = [each for each in book.state("sessions", "A").days if each.began_at is not None] if events else []
    newest = max([each.began_at for each in begun if each.began_at <= at], default=None)
    assert session is None or session.began_at == newest
    assert all(instant is None or instant > at for instant in book.next(at))


# In a book


def test_a_book_asks_its_clock_and_remembers_after_a_restart(store: EventStore) -> None:
    monday, tuesday = FUTURES.day(MONDAY), FUTURES.day(TUESDAY)
    with projections.open(store) as book:
        book.append(f"session/A/{monday.name}", monday.reset(late=True), key="reset")
        assert_monday(book)
        book.append(f"session/A/{monday.name}", SessionClosed(trading_day=MONDAY, trades=3, currency="USD"))
        book.append(f"session/A/{tuesday.name}", tuesday.reset())
        assert book.snapshot()
    again = projections.open(store)
    assert again.recovery.tail == 0
    assert_monday(again)
    closed, following = again.sessions.history("A")
    assert (closed.late, closed.closed, closed.trades, closed.currency) == (True, True, 3, "USD")
    assert (following.trading_day, following.closed, following.positions) == (TUESDAY, False, (3,))
    assert again.sessions.next_flat_by("A", monday.flat_by) == tuesday.flat_by


def assert_monday(book: Book) -> None:
    session, monday = book.sessions.current("A"), FUTURES.day(MONDAY)
    assert session is not None
    assert (session.trading_day, session.zone, session.week) == (MONDAY, "America/Chicago", MONDAY)
    asked: Any = (book.sessions.next_reset("A"), book.sessions.next_flat_by("A"))
    assert asked == (monday.resets_at, monday.flat_by)
    assert book.sessions.current("A", datetime(2026, 3, 9, 12, tzinfo=UTC)) == session


def test_a_book_is_opened_with_one_calendar_for_all(store: EventStore) -> None:
    book = projections.open(store, calendars=FUTURES)
    monday = FUTURES.day(MONDAY)
    assert book.sessions.next_reset("A") == book.sessions.next_reset("B", NOON) == monday.resets_at
    assert (book.sessions.next_open("A"), book.sessions.next_flat_by("A")) == (monday.resets_at, monday.flat_by)
    assert book.sessions.current("A") is None
    assert projections.open(store).sessions.next_reset("A") is None


@pytest.mark.slow
def test_a_book_is_opened_with_a_calendar_for_each_account(store: EventStore) -> None:
    some = projections.open(store, calendars={"C": COINS})
    assert (some.sessions.next_reset("C"), some.sessions.next_reset("A")) == (COINS.next_reset(NOON), None)
    book = projections.open(store, calendars={"C": COINS, "*": FUTURES})
    assert book.sessions.next_reset("C") == COINS.next_reset(NOON)
    assert book.sessions.next_reset("A") == FUTURES.next_reset(NOON)
    assert (book.sessions.calendar("C"), book.sessions.calendar("A")) == (COINS, FUTURES)
    with pytest.raises(InvalidEvent, match="account 'no/account'"):
        projections.open(store, calendars={"no/account": COINS})
