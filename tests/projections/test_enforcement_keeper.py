"""The policy that asks again: after bounded waits, at once for what opens a position, once however many run."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

import eventstore
import projections
from eventstore import ManualClock
from eventstore.trading import (
    ClockJumped,
    EnforcementClaimed,
    EnforcementEscalated,
    EnforcementRequested,
    EnforcementTaken,
    LimitsSet,
    LockoutSet,
    OrderAccepted,
)
from projections import Book, Policies
from projections.risk.limits.enforcement_keeper import EnforcementKeeper
from projections.risk.policies import Policy
from projections.rules import shipped_rules
from tests.places import Place
from tests.projections.goals_desk import BEGAN, BUY, CANCEL, FLATTEN, NOON, REDUCE_TO, SECOND, SELL, GoalsDesk

pytestmark = pytest.mark.in_each_place(slow=True)

WAITED = [1, 3, 7, 15, 30, 60, 90, 120]
"""When it is asked again in seconds after the first request, if nobody answers."""


@pytest.fixture
def desk() -> Iterator[GoalsDesk]:
    found = GoalsDesk(EnforcementKeeper())
    yield found
    found.close()


def claim(desk: GoalsDesk, seconds: int) -> None:
    for each in desk.book.enforcement.pending("A"):
        event = EnforcementClaimed(request_id=each.request_id, claimant="one", lease_until=desk.now + seconds * SECOND)
        desk.append(f"enforcement/A/{each.request_id}", event)


@contextlib.contextmanager
def running(book: Book, *policies: Policy) -> Iterator[Policies]:
    """Run policies that tick when the test lets them."""
    found = Policies(book, policies).start(ticking=False)
    yield found
    found.stop()


# What must not be asked for


def test_nothing_is_asked_again_that_is_reached(desk: GoalsDesk) -> None:
    desk.lock()
    for _ in range(50):
        desk.pass_seconds(1)
    desk.answer(success=False)
    desk.pass_seconds(100)
    assert (desk.attempts, desk.escalations) == ([], [])


def test_nothing_is_asked_again_without_a_lockout_in_force(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.append("enforcement/A/R1", EnforcementRequested(rule_id="desk", action=FLATTEN))
    desk.lock()
    desk.unlock()
    desk.lock(rule="week", seconds=0.5)
    for _ in range(50):
        desk.pass_seconds(1)
    assert (desk.attempts, desk.escalations) == ([], [])


def test_nothing_is_asked_again_while_a_claim_runs(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.lock()
    claim(desk, 5)
    for _ in range(4):
        desk.pass_seconds(1)
    assert desk.attempts == []
    # A lease that has ended protects nobody: its process may have died.
    desk.pass_seconds(1)
    assert desk.attempts == [(5, "FLATTEN", 2)]


def test_nothing_is_asked_again_by_another_account_s_records(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.lock()
    desk.append("enforcement/B/R1", EnforcementTaken(request_id="loss-1", success=True))
    desk.append("lockout/B/loss", LockoutSet(rule_id="loss"))
    assert desk.attempts == []


# Asking again


@pytest.mark.parametrize("step", [0.25, 1])
def test_what_nobody_answers_is_asked_again_after_growing_waits(desk: GoalsDesk, step: float) -> None:
    desk.fill(BUY, 1)
    desk.lock(FLATTEN)
    for _ in range(int(125 / step)):
        desk.pass_seconds(step)
    assert desk.attempts == [(at, "FLATTEN", number) for number, at in enumerate(WAITED, 2)]
    assert desk.pending == [("CANCEL_ORDERS", 1), ("FLATTEN", 9)]
    # Once the third attempt is on record.
    assert desk.escalations == [(3 + step, 3)]


def test_what_failed_is_asked_again_from_the_answer_on(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.submit(BUY, 1, "stop")
    desk.lock()
    desk.pass_seconds(0.5)
    desk.answer(success=False)
    desk.pass_seconds(0.75)
    assert desk.attempts == []
    desk.pass_seconds(0.25)
    assert desk.attempts == [(1.5, "CANCEL_ORDERS", 2), (1.5, "FLATTEN", 2)]
    desk.cancel("stop")
    desk.answer(success=False)
    desk.pass_seconds(2)
    assert desk.attempts[2:] == [(3.5, "FLATTEN", 3)]
    reasons = [each.reason for each in desk.book.enforcement.of("A")]
    assert reasons[-1] == "too much; asked again: the answer says that it failed"


def test_a_success_that_is_none_is_asked_again(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.lock()
    desk.answer()
    desk.pass_seconds(1)
    assert desk.attempts == [(1, "FLATTEN", 2)]
    desk.answer()
    desk.fill(SELL, 1)
    desk.pass_seconds(60)
    assert len(desk.attempts) == 1


def test_a_stop_that_fills_after_the_answer_is_asked_for_at_once(desk: GoalsDesk) -> None:
    desk.submit(BUY, 3, "stop")
    desk.fill(BUY, 1)
    desk.lock()
    desk.fill(SELL, 1)
    desk.answer()
    desk.clock.advance(SECOND // 4)
    desk.fill(BUY, 3, "stop")
    assert desk.attempts == [(0.25, "FLATTEN", 2)]
    assert desk.pending == [("FLATTEN", 2)]
    # A part of the closing changes nothing.
    desk.answer()
    desk.fill(SELL, 1)
    assert len(desk.attempts) == 1
    desk.fill(SELL, 3)
    assert desk.attempts[1:] == [(0.25, "FLATTEN", 3)], "it is short now"


def test_a_loss_locks_and_a_stop_that_fills_under_the_lock_is_asked_for() -> None:
    desk = GoalsDesk(*shipped_rules())
    limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "1000"})
    desk.append("limits/A/daily-loss", limit, actor="risk@desk")
    desk.submit(BUY, 3, "stop")
    desk.append("order/A/stop", OrderAccepted())
    desk.fill(BUY, 1, price=6_000)
    desk.fill(SELL, 1, price=5_970)
    # No fill and no cancel of the stop has come, though the answers say that all is done.
    desk.answer()
    assert desk.pending == [("CANCEL_ORDERS", 1)]
    desk.fill(BUY, 3, "stop", price=6_010)
    assert desk.policies is not None
    desk.policies.tick()
    assert desk.book.positions.get("A", "ESZ6").quantity == 3
    assert desk.pending == [("FLATTEN", 2)]
    assert desk.book.lockouts.active("A", desk.now)
    desk.close()


def test_a_report_that_contradicts_after_the_answer_is_asked_for_at_once(desk: GoalsDesk) -> None:
    desk.fill(BUY, 2)
    desk.lock()
    desk.fill(SELL, 2)
    desk.answer()
    desk.clock.advance(SECOND // 4)
    desk.report(2)
    assert desk.attempts == []
    desk.clock.advance(SECOND // 4)
    desk.report(2)
    assert desk.attempts == [(0.5, "FLATTEN", 2)]


def test_a_bust_that_opens_a_position_again_is_asked_for(desk: GoalsDesk) -> None:
    desk.fill(BUY, 2)
    desk.lock()
    desk.fill(SELL, 2, "close")
    desk.answer()
    desk.pass_seconds(1)
    trade = desk.book.trades.of("A")[-1]
    desk.append("order/A/close", eventstore.trading.TradeBusted(trade_id=trade.trade_id))
    assert desk.attempts == [(1, "FLATTEN", 2)]


def test_a_request_by_hand_of_a_lockout_by_hand_is_a_goal_too(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.append("lockout/A/stop", LockoutSet(rule_id="stop", reason="enough"))
    desk.append("enforcement/A/by-hand", EnforcementRequested(rule_id="stop", action=FLATTEN))
    desk.pass_seconds(1)
    assert desk.attempts == [(1, "FLATTEN", 2)]


def test_a_reduction_and_a_cancel_are_asked_again_too(desk: GoalsDesk) -> None:
    desk.fill(BUY, 3)
    desk.submit(SELL, 3, "stop")
    desk.lock(REDUCE_TO, rule="size", symbol="ESZ6", quantity=2)
    desk.lock(CANCEL, rule="kill")
    desk.answer()
    desk.pass_seconds(1)
    assert [(action, attempt) for _, action, attempt in desk.attempts] == [("REDUCE_TO", 2), ("CANCEL_ORDERS", 2)]


# Times that are wrong


@pytest.mark.parametrize("at", ["1970-01-01T00:00:00Z", "2026-11-20T15:00:30Z", "2150-01-01T00:00:00Z"])
def test_an_absurd_time_of_an_answer_does_not_keep_it_from_being_asked(desk: GoalsDesk, at: str) -> None:
    desk.fill(BUY, 1)
    desk.lock()
    for each in desk.book.enforcement.pending("A"):
        stream = f"enforcement/A/{each.request_id}"
        desk.append(stream, EnforcementTaken(request_id=each.request_id, success=True), occurred_at=at)
    desk.pass_seconds(1)
    desk.pass_seconds(0.25)
    assert [attempt for _, _, attempt in desk.attempts] == [2]
    assert desk.escalations == []


def test_a_clock_that_was_set_back_does_not_make_it_wait_longer(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.lock()
    desk.clock.set(BEGAN - 3_600 * SECOND)
    desk.append("lockout/A/clock", ClockJumped(before=BEGAN, after=desk.now))
    for _ in range(10):
        desk.pass_seconds(0.25)
    assert 2 <= len(desk.attempts) <= 3


# Escalation


def test_a_person_has_to_act_after_the_third_attempt_and_hears_it_once(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.lock()
    for _ in range(4 * 299):
        desk.pass_seconds(0.25)
        desk.answer(success=False)
    assert desk.escalations == [(3.25, 3)]
    [request] = desk.book.enforcement.pending("A")
    assert request.escalated_at == BEGAN + 13 * SECOND // 4
    assert request.escalation == "FLATTEN for loss: not so after 3 attempts in 3 s"
    for _ in range(40):
        desk.pass_seconds(0.25)
    assert len(desk.escalations) == 2
    assert desk.escalations[1][0] == 303.25


def test_a_person_has_to_act_after_fifteen_seconds_under_a_claim(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.lock()
    for _ in range(20):
        claim(desk, 10)
        desk.pass_seconds(1)
    assert desk.attempts == []
    assert desk.escalations == [(15, 1)]


def test_what_is_done_in_time_is_escalated_to_nobody_though_it_is_undone_later(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.lock()
    desk.pass_seconds(0.5)
    desk.fill(SELL, 1)
    desk.answer()
    desk.pass_seconds(100)
    desk.fill(BUY, 1)
    desk.pass_seconds(0.5)
    assert (len(desk.attempts), desk.escalations) == (1, [])
    desk.pass_seconds(15)
    assert [attempts for _, attempts in desk.escalations] == [2] or len(desk.escalations) == 1


# Once, whatever happens


def test_two_processes_ask_once_and_escalate_once() -> None:
    desk = GoalsDesk(EnforcementKeeper())
    desk.fill(BUY, 1)
    desk.lock()
    other = projections.open(desk.store)
    with running(other, EnforcementKeeper()) as policies:
        for _ in range(50):
            desk.clock.advance(SECOND // 2)
            policies.tick()
            assert desk.policies is not None
            desk.policies.tick()
        assert policies.is_caught_up
    numbers = [attempt for _, _, attempt in desk.attempts]
    assert numbers == list(range(2, len(numbers) + 2))
    assert len(desk.escalations) == 1
    assert {each.causation_id for each in desk.store.read(types=(EnforcementEscalated,))} == {
        next(each.id for each in desk.store.read(types=(EnforcementRequested,)) if each.entity == "loss-2")
    }
    desk.close()


def test_an_endless_failure_makes_a_short_chain_of_causes(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    _, flatten = desk.lock()
    first = flatten.id
    for number in range(30):
        newest = desk.book.enforcement.pending("A")[-1]
        # As a process does that names the cause of everything that it appends.
        answer = EnforcementTaken(request_id=newest.request_id, success=bool(number % 2))
        record = desk.append(f"enforcement/A/{newest.request_id}", answer, causation_id=newest.id)
        desk.submit(BUY, 1, f"O-{number}", causation_id=record.id)
        desk.fill(BUY, 1, f"O-{number}")
        desk.pass_seconds(31)
    assert desk.policies is not None
    assert desk.policies.is_caught_up
    again = [each for each in desk.store.read(types=(EnforcementRequested,)) if each.causation_id is not None]
    assert {each.causation_id for each in again if "FLATTEN" in str(each.event)} == {first}
    assert len(again) >= 30


def test_a_restart_asks_for_what_was_due_meanwhile_and_nothing_twice(place: Place) -> None:
    clock = ManualClock(NOON)
    with eventstore.open(place, clock=clock) as store:
        desk = GoalsDesk.__new__(GoalsDesk)
        desk.clock, desk.store, desk.number, desk.policies = clock, store, 0, None
        desk.book = projections.open(store)
        with running(desk.book, *shipped_rules()):
            desk.fill(BUY, 1)
            desk.lock(seconds=3_600)
        # Nothing runs, and somebody's stop fills.
        clock.advance(40 * SECOND)
        desk.fill(BUY, 2)
        clock.advance(40 * SECOND)
        desk.book.close()
        for _ in range(2):
            desk.book = projections.open(store)
            with running(desk.book, *shipped_rules()) as policies:
                assert policies.is_caught_up
            desk.book.close()
        assert desk.attempts == [(80, "FLATTEN", 2)]
        assert [attempts for _, attempts in desk.escalations] == [1]


def test_what_was_recorded_under_a_lockout_asks_for_nothing_after_it(place: Place) -> None:
    clock = ManualClock(NOON)
    with eventstore.open(place, clock=clock) as store:
        desk = GoalsDesk.__new__(GoalsDesk)
        desk.clock, desk.store, desk.number, desk.policies = clock, store, 0, None
        desk.book = projections.open(store)
        with running(desk.book, *shipped_rules()):
            desk.fill(BUY, 1)
            desk.lock(seconds=3_600)
        clock.advance(40 * SECOND)
        desk.fill(BUY, 2)
        clock.advance(4_000 * SECOND)
        with running(desk.book, *shipped_rules()) as policies:
            policies.tick()
        assert (desk.attempts, desk.escalations) == ([], [])
        desk.book.close()


# Settings


def test_waits_and_escalation_are_settings() -> None:
    desk = GoalsDesk(EnforcementKeeper(waits=(0.5, 3), escalated_attempts=5, escalated_after=9, escalated_every=2))
    desk.fill(BUY, 1)
    desk.lock()
    for _ in range(28):
        desk.pass_seconds(0.5)
    assert [at for at, _, _ in desk.attempts] == [0.5, 3.5, 6.5, 9.5, 12.5]
    assert desk.escalations == [(9, 4), (11, 5), (13, 6)]
    desk.close()


@pytest.mark.parametrize("waits", [(), (0,), (1, -1)])
def test_waits_that_would_ask_without_end_are_refused(waits: Any) -> None:  # noqa: ANN401 - wrong on purpose
    with pytest.raises(ValueError, match="above 0"):
        EnforcementKeeper(waits=waits)
