"""A wall clock that ran ahead and was put right starts no limit and releases nothing."""

from __future__ import annotations

import pytest

import projections
from eventstore.trading import (
    LimitsSet,
    LockoutCleared,
    LockoutSet,
)
from projections.views.lockouts.lockout import LockoutAnomalyKind
from tests.projections.clockwork import DAY, HOUR, MINUTE, NOON, STREAM, expired, locked
from tests.projections.wrong_clocks.desk import (
    JUMPS,
    LONG_JUMP,
    RESET,
    SHORT_JUMPS,
    TUESDAY,
    WAYS,
    Desk,
    Way,
    found_late,
)
from tests.proving import cases

# Limits


@pytest.mark.untraced
@pytest.mark.parametrize("by", JUMPS)
def test_a_loosening_waits_for_the_day_that_truly_begins(desk: Desk, set_clock: Way, by: int) -> None:
    desk.limit(100)
    desk.advance(MINUTE)
    desk.limit(500)
    set_clock(desk, NOON + by)
    set_clock(desk, NOON + 2 * MINUTE)
    assert desk.held() == "100"
    assert [limit.parameters["limit"] for limit in desk.book.limits.pending("A")] == ["500"]
    desk.advance(RESET - NOON - 2 * MINUTE - 1)
    assert desk.held() == "100"
    desk.advance(1)
    assert desk.held() == "500"


def test_a_loosening_set_under_the_wrong_time_waits(desk: Desk, set_clock: Way) -> None:
    desk.limit(100)
    set_clock(desk, NOON + HOUR)
    desk.limit(500)
    set_clock(desk, NOON + DAY)
    assert desk.held() == ("100" if set_clock is not found_late else "500")
    set_clock(desk, NOON + MINUTE)
    assert desk.held() == "100"
    assert [each.what for each in desk.book.limits.anomalies("A")] == ["the setting of daily-loss"]
    desk.advance(RESET - NOON)
    assert desk.held() == "500"


def test_a_tightening_set_under_the_wrong_time_holds(desk: Desk, set_clock: Way) -> None:
    desk.limit(500)
    set_clock(desk, NOON + 7 * DAY)
    desk.limit(100)
    set_clock(desk, NOON + MINUTE)
    assert desk.held() == "100"


def test_a_setting_for_later_waits_for_its_instant(desk: Desk, set_clock: Way) -> None:
    desk.limit(500)
    set_clock(desk, NOON + 7 * DAY)
    desk.limit(100, effective_from=NOON + DAY)
    assert desk.held() == "100"
    set_clock(desk, NOON + MINUTE)
    assert desk.held() == "500"
    desk.advance(DAY)
    assert desk.held() == "100"


def test_a_setting_between_two_limits_is_compared_with_what_is_truly_in_force(desk: Desk, set_clock: Way) -> None:
    desk.limit(100)
    desk.advance(MINUTE)
    desk.limit(500)
    set_clock(desk, NOON + DAY)
    # Tighter than 500, which is in force by the wrong clock; looser than 100, which is by the right one.
    desk.limit(300)
    set_clock(desk, NOON + 2 * MINUTE)
    assert desk.held() == "100"


@pytest.mark.prove
@pytest.mark.parametrize("by", cases(test=[DAY, 7 * DAY], prove=[LONG_JUMP]))
def test_settings_go_on_while_the_log_is_ahead_of_the_clock(desk: Desk, set_clock: Way, by: int) -> None:
    desk.limit(500)
    set_clock(desk, NOON + by)
    set_clock(desk, NOON + MINUTE)
    desk.limit(100)
    assert desk.held() == "100"
    desk.limit(300)
    assert desk.held() == "100"
    desk.advance(RESET - NOON - MINUTE)
    assert desk.held() == "300"
    desk.limit(200)
    assert desk.held() == "200"


def test_a_loosening_cannot_be_backdated_while_the_log_is_ahead(desk: Desk) -> None:
    desk.limit(100)
    desk.set(NOON + 7 * DAY)
    desk.set(NOON + MINUTE)
    desk.advance(RESET - NOON)
    event = LimitsSet(rule_id="daily-loss", parameters={"limit": "500"})
    desk.store.append("limits/A/daily-loss", event, actor="desk", occurred_at=RESET - HOUR)
    desk.tick()
    assert desk.held() == "100"
    desk.advance(DAY)
    assert desk.held() == "500"


def test_a_loosening_set_by_a_clock_that_was_behind_waits_for_the_next_day(desk: Desk) -> None:
    desk.limit(100)
    desk.advance(MINUTE)
    desk.limit(500)
    desk.set(RESET + HOUR)
    assert (desk.day(), desk.held()) == (TUESDAY, "100")
    desk.advance(DAY)
    assert desk.held() == "500"


# Lockouts


@pytest.mark.prove
@pytest.mark.parametrize("revocable", [True, False])
@pytest.mark.parametrize("by", cases(test=SHORT_JUMPS, prove=[LONG_JUMP]))
def test_a_lockout_that_expired_under_the_wrong_time_comes_back(
    desk: Desk, set_clock: Way, by: int, revocable: bool
) -> None:
    desk.book.append(STREAM, LockoutSet(rule_id="loss", until=RESET, revocable=revocable))
    set_clock(desk, NOON + by)
    desk.advance(MINUTE)
    set_clock(desk, NOON + MINUTE)
    assert locked(desk.book)
    desk.advance(RESET - NOON - MINUTE - 1)
    assert locked(desk.book)
    desk.advance(1)
    assert not locked(desk.book)


def test_a_lockout_that_a_rule_released_under_the_wrong_time_comes_back(desk: Desk, set_clock: Way) -> None:
    desk.book.append(STREAM, LockoutSet(rule_id="loss", until=RESET + 2 * DAY))
    desk.book.append("lockout/A/manual", LockoutSet(rule_id="manual", until=RESET + 2 * DAY))
    set_clock(desk, NOON + DAY)
    desk.book.append(STREAM, LockoutCleared(by="loss"))
    desk.book.append("lockout/A/manual", LockoutCleared(by="desk"))
    assert not locked(desk.book)
    set_clock(desk, NOON + MINUTE)
    assert [each.rule_id for each in desk.book.lockouts.active("A", desk.clock.now_ns())] == ["loss"]
    assert [each.kind for each in desk.book.lockouts.anomalies("A")] == [LockoutAnomalyKind.WRONG_TIME]


def test_a_lockout_that_had_ended_before_does_not_come_back(desk: Desk, set_clock: Way) -> None:
    desk.book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + HOUR))
    desk.advance(2 * HOUR)
    set_clock(desk, NOON + DAY)
    set_clock(desk, NOON + 2 * HOUR + MINUTE)
    assert not locked(desk.book)
    assert len(expired(desk.store)) == 1


def test_every_process_and_every_replay_agrees(desk: Desk) -> None:
    desk.limit(100)
    desk.limit(500)
    desk.book.append(STREAM, LockoutSet(rule_id="loss", until=RESET))
    for way, by in zip(WAYS * 2, (DAY, 0, 7 * DAY, HOUR, 2 * DAY, MINUTE), strict=True):
        way(desk, NOON + by)
    with projections.open(desk.store, snapshots=False) as other:
        for view in ("sessions", "limits", "lockouts"):
            assert other.state(view, "A") == desk.book.state(view, "A")
    assert desk.book.sessions.history("A") == desk.book.state("sessions", "A").days
    assert [each.loosens for each in desk.book.limits.history("A")] == [False, True]
