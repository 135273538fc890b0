"""Shadow mode of an account that is really locked: what was really asked for is asked again, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eventstore.trading import EnforcementRequested, Protection, ProtectionMode, WouldAsk, WouldLock
from projections.risk.limits.enforcement_keeper import EnforcementKeeper
from tests.projections.goals_desk import BUY, FLATTEN, SELL, GoalsDesk


@pytest.fixture
def desk() -> Iterator[GoalsDesk]:
    found = GoalsDesk(EnforcementKeeper())
    yield found
    found.close()


def shadow(desk: GoalsDesk) -> None:
    mode = ProtectionMode(mode=Protection.SHADOW, reason="to see")
    desk.append("account/A/-", mode, actor="me")
    assert desk.book.shadow.mode("A") is Protection.SHADOW


def test_what_only_would_be_locked_is_not_asked_again(desk: GoalsDesk) -> None:
    shadow(desk)
    desk.fill(BUY, 1)
    desk.append("shadow/A/loss", [WouldLock(rule_id="loss"), WouldAsk(rule_id="loss", action=FLATTEN)])
    # One that was asked without a lockout, under the same rule.
    desk.append("enforcement/A/R1", EnforcementRequested(rule_id="loss", action=FLATTEN))
    for _ in range(40):
        desk.pass_seconds(1)
    assert (desk.attempts, desk.escalations) == ([], [])


def test_what_was_locked_while_armed_is_asked_again_in_shadow_mode(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.lock()
    shadow(desk)
    for _ in range(125):
        desk.pass_seconds(1)
    assert [at for at, action, _ in desk.attempts if action == FLATTEN] == [1, 3, 7, 15, 30, 60, 90, 120]
    assert len(desk.escalations) == 1
    # And no more once it was ended.
    desk.unlock()
    before = desk.attempts
    desk.pass_seconds(60)
    assert desk.attempts == before


def test_a_fill_in_shadow_mode_after_the_answer_is_answered_at_once(desk: GoalsDesk) -> None:
    shadow(desk)
    desk.fill(BUY, 1)
    desk.lock()
    desk.fill(SELL, 1)
    desk.answer()
    desk.fill(BUY, 2)
    assert desk.attempts == [(0, "FLATTEN", 2)]
