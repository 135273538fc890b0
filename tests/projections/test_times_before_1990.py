"""Times before 1990: an int is refused in every question, a fact of the past and a clock without a battery are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

import projections
from eventstore import InvalidEvent
from eventstore.clock import to_ns
from eventstore.trading import (
    ClockJumped,
    ContractDefined,
    LockoutExpired,
    QuoteReceived,
    SessionOpened,
    Side,
)
from projections import Book
from projections.risk import Cancel, Proposal, check
from projections.rules import shipped_rules
from tests.projections.rules_day import ACCOUNT, CALENDAR, NOON, SECOND, Day

MS = NOON // 1_000_000
ORDER = Proposal(account=ACCOUNT, symbol="ES", side=Side.BUY, quantity=Decimal(1))
THEN = datetime(1985, 7, 1, 15, tzinfo=UTC)
MINUTE = 60 * SECOND


# What the clock of a PC says after it was started without a battery.
BOOTED = datetime(1980, 1, 1, 15, tzinfo=UTC)
BOOTED_RESET = to_ns("1980-01-01T23:00:00Z")


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    found = Day(tmp_path / "data", shipped_rules())
    found.open_account()
    found.define("ES")
    found.limit("daily-loss", limit="1000")
    found.policies.tick()
    yield found
    found.close()


QUESTIONS: dict[str, Callable[[Book, int], object]] = {
    "as_of recorded": lambda book, at: projections.as_of(book.reader, recorded_at=at),
    "as_of occurred": lambda book, at: projections.as_of(book.reader, occurred_at=at),
    "diff": lambda book, at: projections.diff(book.reader, at, NOON),
    "diff until": lambda book, at: projections.diff(book.reader, NOON, at),
    "diff occurred": lambda book, at: projections.diff(book.reader, at, NOON, occurred_at=True),
    "diff known": lambda book, at: projections.diff(book.reader, NOON, NOON + 1, occurred_at=True, known_by=at),
    "observe": lambda book, at: book.observe("quote/-/ES", QuoteReceived(symbol="ES"), occurred_at=at),
    "lockouts": lambda book, at: book.lockouts.active(ACCOUNT, at),
    "remaining": lambda book, at: book.lockouts.history(ACCOUNT)[0].remaining(at),
    "check": lambda book, at: check(book, ORDER, at),
    "check a cancel": lambda book, at: check(book, Cancel(account=ACCOUNT, order_id="O1"), at),
    "limits": lambda book, at: book.limits.of(ACCOUNT, at),
    "a limit": lambda book, at: book.limits.get(ACCOUNT, "daily-loss", at),
    "pending limits": lambda book, at: book.limits.pending(ACCOUNT, at),
    "session": lambda book, at: book.sessions.current(ACCOUNT, at),
    "next reset": lambda book, at: book.sessions.next_reset(ACCOUNT, at),
    "next open": lambda book, at: book.sessions.next_open(ACCOUNT, at),
    "next flat_by": lambda book, at: book.sessions.next_flat_by(ACCOUNT, at),
    "quote": lambda book, at: book.quotes.get("ES", at),
    "fresh quote": lambda book, at: book.quotes.fresh("ES", at),
    "quotes": lambda book, at: book.quotes.all(at),
    "equity": lambda book, at: book.equity.now(ACCOUNT, at),
    "counters": lambda book, at: book.counters.of(ACCOUNT, at),
    "today's count": lambda book, at: book.counters.today(ACCOUNT, at),
    "pnl of a day": lambda book, at: book.pnl.day(ACCOUNT, at),
    "pnl of a session": lambda book, at: book.pnl.session(ACCOUNT, at),
    "pnl of a week": lambda book, at: book.pnl.week(ACCOUNT, at),
    "unrealized": lambda book, at: book.pnl.unrealized(ACCOUNT, at),
    "blackouts": lambda book, at: book.blackouts.active(ACCOUNT, at),
    "scheduled blackouts": lambda book, at: book.blackouts.scheduled(ACCOUNT, at),
    "requests from": lambda book, at: book.enforcement.of(ACCOUNT, start=at),
    "requests until": lambda book, at: book.enforcement.of(ACCOUNT, stop=at),
    "timer": lambda book, at: book.timers.get(ACCOUNT, "t", at),
    "timers": lambda book, at: book.timers.of(ACCOUNT, at),
    "due timers": lambda book, at: book.timers.due(at),
    "a lost timer": lambda book, at: book.timers.lost(at),
    "calendar": lambda _, at: CALENDAR.day_at(at),
    "calendar's reset": lambda _, at: CALENDAR.next_reset(at),
    "calendar's open": lambda _, at: CALENDAR.next_open(at),
    "calendar's flat_by": lambda _, at: CALENDAR.next_flat_by(at),
    "calendar's days": lambda _, at: CALENDAR.days(at, NOON),
    "calendar's days until": lambda _, at: CALENDAR.days(NOON, at),
    "a day holds": lambda _, at: CALENDAR.day_at(NOON).holds(at),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_in_another_unit_is_refused(day: Day, question: str) -> None:
    day.make("-1500")
    assert check(day.book, ORDER, NOON).passed is False
    ask = QUESTIONS[question]
    for number, unit in ((MS, "milliseconds"), (NOON // SECOND, "seconds"), (NOON // 1_000, "microseconds")):
        with pytest.raises(InvalidEvent, match=f"it looks like {unit}, in which it is 2026-11-20T15:00:00"):
            ask(day.book, number)
    for number in (0, -1):
        with pytest.raises(InvalidEvent, match="no unit that I know"):
            ask(day.book, number)


def test_a_fill_of_1970_cannot_hide_a_loss(day: Day) -> None:
    with pytest.raises(InvalidEvent, match="it looks like milliseconds"):
        day.make("-1500", when=MS)
    assert not day.book.trades.of(ACCOUNT)
    day.make("-1500", when=NOON)
    assert [held.rule_id for held in day.book.lockouts.active(ACCOUNT, NOON)] == ["daily-loss"]


def test_facts_before_1990_are_judged_as_of_then(day: Day) -> None:
    day.fill(Side.BUY, "5000")
    for shipped in (THEN, THEN.isoformat(), "1970-01-01T00:00:00Z", "1990-01-01T00:00:00Z"):
        day.make("-1500", when=shipped)
        quote = QuoteReceived(symbol="ES", last=Decimal(5_000))
        day.book.observe("quote/-/ES", quote, occurred_at=shipped)
        day.policies.tick()
    assert day.policies.stopped == {}
    assert day.policies.is_caught_up
    assert not day.is_locked()


def test_questions_as_of_1985_as_datetime_or_text(day: Day) -> None:
    day.book.timers.start(ACCOUNT, "pause", MINUTE, list)
    defined = ContractDefined(symbol="NQ", multiplier=Decimal(20), currency="USD")
    day.book.append("contract/-/NQ", defined, occurred_at="1984-01-01T00:00:00Z")
    day.fill(Side.BUY, "5000", "NQ", when=THEN)
    for then in (THEN, THEN.isoformat()):
        book = projections.as_of(day.store, occurred_at=then)
        assert [position.quantity for position in book.positions.of(ACCOUNT)] == [1]
        assert book.equity.now(ACCOUNT, then).unquoted == ("NQ",)
        assert book.counters.of(ACCOUNT, then).day.fills == 1
        before = datetime(1985, 7, 1, 14, tzinfo=UTC)
        changes = projections.diff(day.store, before, then, account=ACCOUNT, occurred_at=True)
        assert {change.view for change in changes} == {"orders", "positions"}
        assert day.book.sessions.next_reset(ACCOUNT, then) == to_ns("1985-07-01T22:00:00Z")
        assert day.book.quotes.get("ES", then) is None
        assert day.book.quotes.priced("ES", to_ns(then)) == (None, 0)
        assert day.book.timers.due(then) == ()
        assert not day.book.lockouts.active(ACCOUNT, then)
        checked = check(day.book, ORDER, then)
        assert "1990" not in checked.reason


@pytest.fixture
def booted(tmp_path: Path) -> Iterator[Day]:
    day = Day(tmp_path / "data", shipped_rules(), now=BOOTED)
    day.open_account()
    day.define("ES")
    day.limit("daily-loss", limit="1000")
    day.policies.tick()
    yield day
    day.close()


def test_a_clock_without_a_battery_does_not_stop_the_book(booted: Day) -> None:
    book, now = booted.book, booted.clock.now_ns()
    book.observe("quote/-/ES", QuoteReceived(symbol="ES", last=Decimal(5_000)), occurred_at=now)
    assert book.quotes.get("ES", now) == book.quotes.fresh("ES")
    assert check(book, ORDER, now).passed
    booted.make("-1500", when=now)
    [lockout] = book.lockouts.active(ACCOUNT, now)
    assert lockout.until == CALENDAR.next_reset(BOOTED) == BOOTED_RESET
    assert not check(book, ORDER, now).passed
    assert lockout.remaining("1980-01-01T22:59:59Z") == SECOND
    assert book.sessions.current(ACCOUNT, now) == book.sessions.current(ACCOUNT)
    assert book.sessions.next_reset(ACCOUNT, now) == book.sessions.next_reset(ACCOUNT) == BOOTED_RESET
    assert book.limits.of(ACCOUNT, now + SECOND) == book.limits.of(ACCOUNT)
    assert book.equity.now(ACCOUNT, now) == book.equity.now(ACCOUNT)
    assert book.pnl.day(ACCOUNT)[0].realized == -1500
    assert booted.policies.stopped == {}


@pytest.mark.slow
@pytest.mark.untraced
def test_a_clock_that_is_set_right_later(booted: Day) -> None:
    booted.make("-1500")
    booted.clock.set(NOON)
    booted.policies.tick()
    booted.policies.tick()
    book = booted.book
    assert booted.policies.stopped == {}
    jumps = [record.event for record in book.read(types=(ClockJumped,))]
    assert jumps == [ClockJumped(before=to_ns(BOOTED), after=NOON)]
    # It lasts by the time that passes, not by what the clock says, and the next day begins by the right clock.
    assert booted.is_locked()
    assert not list(book.read(types=(LockoutExpired,)))
    session = book.sessions.current(ACCOUNT)
    assert session is not None
    assert session.trading_day.isoformat() == "2026-11-20"
    with pytest.raises(InvalidEvent, match="no unit that I know"):
        check(book, ORDER, to_ns(BOOTED))
    # So it is in another process, which finds the records of 1980 in the log.
    booted.policies.stop()
    booted.restart(shipped_rules())
    booted.policies.tick()
    assert booted.policies.stopped == {}
    assert booted.is_locked()


@pytest.mark.untraced
def test_records_of_1980_that_no_policy_has_seen(booted: Day) -> None:
    booted.policies.stop()
    booted.make("-1500")
    booted.clock.set(NOON)
    booted.restart(shipped_rules())
    booted.policies.tick()
    assert booted.policies.stopped == {}
    assert booted.policies.is_caught_up


@pytest.mark.untraced
def test_a_day_of_1980_whose_reset_is_not_known(tmp_path: Path) -> None:
    day = Day(tmp_path / "data", (), now=BOOTED)
    day.open_account()
    opened = SessionOpened(trading_day=BOOTED.date(), began_at=day.clock.now_ns())
    day.book.append("session/A/1980-01-01", opened)
    day.policies.stop()
    day.clock.set(NOON)
    day.restart(shipped_rules())
    day.policies.tick()
    assert day.policies.stopped == {}
    session = day.book.sessions.current(ACCOUNT)
    assert session is not None
    assert session.trading_day.isoformat() == "2026-11-20"
    day.close()
