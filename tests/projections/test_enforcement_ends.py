"""What is pending once a lockout has ended, was replaced, or was followed by another one."""

from collections.abc import Iterator

import pytest

from eventstore.trading import LockoutExpired, LockoutSet
from projections.risk.enforcement.requests import next_attempt
from tests.projections.goals_desk import BUY, SELL, GoalsDesk

BOTH = [("CANCEL_ORDERS", 1), ("FLATTEN", 1)]


@pytest.fixture
def desk() -> Iterator[GoalsDesk]:
    found = GoalsDesk()
    yield found
    found.close()


def test_who_ends_a_lockout_ends_what_it_asks_for(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.lock()
    desk.unlock()
    assert desk.pending == []


@pytest.mark.parametrize("is_recorded", [True, False])
def test_what_a_lockout_left_open_when_it_expired_is_still_asked_for(
    desk: GoalsDesk,
    is_recorded: bool,
) -> None:
    desk.submit(SELL, 1, "stop")
    desk.fill(BUY, 1)
    desk.lock(seconds=10)
    desk.pass_seconds(10)
    if is_recorded:
        desk.append("lockout/A/loss", LockoutExpired())
    assert desk.pending == BOTH
    # What is opened from then on is nobody's to close: the account is not locked.
    desk.fill(SELL, 1, "stop")
    assert desk.pending == []
    desk.fill(BUY, 5)
    desk.submit(SELL, 5, "next day")
    assert desk.pending == []


def test_what_was_answered_is_not_asked_for_after_the_lockout(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.lock(seconds=10)
    desk.answer(success=False)
    assert len(desk.pending) == 1
    desk.pass_seconds(10)
    assert desk.pending == []
    # A later lockout of the rule that asks for nothing wants nothing.
    desk.append("lockout/A/loss", LockoutSet(rule_id="loss", reason="next day"))
    assert desk.pending == []


def test_a_lockout_that_replaces_one_in_force_wants_the_same(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.lock()
    desk.answer()
    for number in range(3):
        desk.append("lockout/A/loss", LockoutSet(rule_id="loss", reason=f"by hand {number}"))
        assert desk.pending == [("FLATTEN", 1)]


def test_an_attempt_that_comes_after_the_lockout_asks_for_nothing(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    _, flatten = desk.lock(seconds=10)
    desk.answer(success=False)
    desk.pass_seconds(11)
    desk.append(*next_attempt(flatten, "late"))
    assert desk.pending == []
