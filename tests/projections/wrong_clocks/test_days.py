"""A wall clock that ran ahead and was put right ends no day."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

import eventstore
from eventstore.clock import to_ns
from eventstore.trading import (
    AccountOpened,
    ClockJumped,
    SessionClosed,
    SessionReset,
)
from tests.projections.clockwork import DAY, HOUR, MINUTE, NOON, SECOND, recorded
from tests.projections.wrong_clocks.desk import (
    CHICAGO,
    JUMPS,
    LONG_JUMP,
    MONDAY,
    RESET,
    SHORT_JUMPS,
    TUESDAY,
    WEDNESDAY,
    Desk,
    Way,
)
from tests.proving import cases


@pytest.mark.untraced
@pytest.mark.parametrize("by", JUMPS)
def test_a_day_that_had_not_come_has_not_begun(desk: Desk, set_clock: Way, by: int) -> None:
    set_clock(desk, NOON + by)
    set_clock(desk, NOON + MINUTE)
    session = desk.book.sessions.current("A")
    assert session is not None
    assert (session.trading_day, session.closed, session.resets_at) == (MONDAY, False, RESET)
    assert desk.book.sessions.day("A", TUESDAY) is None
    assert [each.what for each in desk.book.sessions.anomalies("A")][-2:]


@pytest.mark.prove
@pytest.mark.parametrize("by", cases(test=SHORT_JUMPS, prove=[LONG_JUMP]))
def test_its_day_is_recorded_again_when_it_comes(desk: Desk, set_clock: Way, by: int) -> None:
    set_clock(desk, NOON + by)
    set_clock(desk, NOON + MINUTE)
    before = len(recorded(desk.store, SessionReset))
    desk.advance(RESET - NOON - MINUTE - 1)
    assert desk.day() == MONDAY
    desk.advance(1)
    session = desk.book.sessions.current("A")
    assert session is not None
    assert (session.trading_day, session.began_at, session.late) == (TUESDAY, RESET, False)
    assert len(recorded(desk.store, SessionReset)) == before + 1
    monday = desk.book.sessions.day("A", MONDAY)
    assert monday is not None
    assert monday.closed_at == RESET


def test_what_had_not_come_says_why_it_does_not_count(desk: Desk) -> None:
    desk.set(RESET + HOUR)
    desk.set(NOON)
    [jump] = [record for record in desk.store.read(types=(ClockJumped,)) if record.event.after == NOON]  # type: ignore[attr-defined]
    assert [(each.what, each.stated, each.put_right_to) for each in desk.book.sessions.anomalies("A")] == [
        ("the close of 2025-07-21", RESET + HOUR, NOON),
        ("the trading day 2025-07-22", RESET, NOON),
    ]
    assert {each.log_position for each in desk.book.sessions.anomalies("A")} == {jump.position}


def test_an_account_opened_under_the_wrong_time_begins_with_the_right_day(desk: Desk, set_clock: Way) -> None:
    set_clock(desk, NOON + 7 * DAY)
    desk.book.append("account/B/-", AccountOpened(starting_balance=Decimal(1), currency="USD"))
    desk.tick()
    set_clock(desk, NOON)
    session = desk.book.sessions.current("B")
    assert session is not None
    assert session.trading_day == MONDAY


def test_several_jumps_ahead_and_back_end_no_day(desk: Desk, set_clock: Way) -> None:
    for by in (DAY, 7 * DAY, 2 * DAY):
        set_clock(desk, NOON + by)
        set_clock(desk, NOON + by + DAY)
        set_clock(desk, NOON + by // 2)
        set_clock(desk, NOON + MINUTE)
        assert desk.day() == MONDAY
    desk.advance(RESET - NOON - MINUTE)
    assert desk.day() == TUESDAY
    desk.advance(DAY)
    assert desk.day() == WEDNESDAY


def test_a_clock_that_was_behind_and_is_set_right_is_believed(desk: Desk, set_clock: Way) -> None:
    set_clock(desk, NOON + DAY)
    assert desk.day() == TUESDAY
    desk.advance(DAY)
    assert desk.day() == WEDNESDAY
    assert desk.book.sessions.anomalies("A") == ()


def test_a_clock_that_was_wrongly_set_back_ends_the_day_once_it_is_right_again(desk: Desk, set_clock: Way) -> None:
    desk.advance(RESET - NOON + HOUR)
    set_clock(desk, NOON)
    assert desk.day() == MONDAY
    set_clock(desk, RESET + 2 * HOUR)
    session = desk.book.sessions.current("A")
    assert session is not None
    assert (session.trading_day, session.began_at, session.late) == (TUESDAY, RESET, True)


def test_a_step_within_the_tolerance_proves_nothing(desk: Desk, set_clock: Way) -> None:
    desk.advance(RESET - NOON + SECOND)
    set_clock(desk, RESET - 2 * SECOND)
    assert desk.jumps() == []
    assert desk.book.sessions.anomalies("A") == ()


def test_the_end_of_summer_time_is_not_a_jump(desk: Desk) -> None:
    # In Chicago the clocks go back at 7:00 UTC on 2 November.
    desk.set(to_ns(datetime(2025, 11, 2, 6, 30, tzinfo=UTC)))
    before = len(desk.jumps())
    for _ in range(3):
        desk.advance(HOUR)
    assert len(desk.jumps()) == before


@pytest.mark.parametrize("is_seen", [True, False])
def test_a_clock_before_1990_proves_nothing(desk: Desk, is_seen: bool) -> None:
    desk.limit(100)
    if not is_seen:
        desk.stop()
    desk.clock.set("1980-01-01T00:00:00Z")
    if not is_seen:
        desk.book = desk.start()
    desk.tick()
    desk.set(NOON + MINUTE)
    assert desk.book.sessions.anomalies("A") == desk.book.limits.anomalies("A") == ()
    assert (desk.day(), desk.held()) == (MONDAY, "100")


def test_a_clock_put_right_is_recorded_once_for_each_account(desk: Desk) -> None:
    desk.start()
    desk.set(NOON + DAY)
    desk.set(NOON)
    desk.restart()
    desk.start()
    desk.tick()
    desk.advance(HOUR)
    assert [(each.before, each.after) for each in desk.jumps()] == [(NOON, NOON + DAY), (NOON + DAY, NOON)]


def test_a_writer_that_runs_no_policies_is_seen_as_well(desk: Desk) -> None:
    """Between two looks at the clock it was ahead, and somebody appended."""
    desk.clock.set(NOON + DAY)
    begun = CHICAGO.day(TUESDAY).reset()
    desk.store.append_many(
        [
            eventstore.Batch("session/A/2025-07-21", [SessionClosed(trading_day=MONDAY)]),
            eventstore.Batch("session/A/2025-07-22", [begun]),
        ]
    )
    desk.set(NOON)
    assert desk.day() == MONDAY
    assert desk.jumps()[-1].after == NOON
