"""What else rests on a decision that a second person approves: policies, requests of a stop, frames and diffs."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

import projections
from eventstore import InvalidEvent
from eventstore.trading import Approved, ContractDefined, LimitsSet, LockoutCleared
from projections import analysis
from projections.risk.approving import approve
from projections.risk.enforcement import stopping
from projections.rules import shipped_rules
from tests.analysis.scenes import rows
from tests.views.approving import ANN, BOB, CARL, Desk

if TYPE_CHECKING:
    from eventstore import Record


def block(desk: Desk, *symbols: str, actor: str = CARL) -> Record:
    event = LimitsSet(rule_id="symbol-block", parameters={"symbols": list(symbols)})
    return desk.add("limits/A/symbol-block", event, actor)


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.add("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"), CARL)
    return desk


def test_a_policy_locks_again_once_the_release_of_its_lockout_is_approved(desk: Desk) -> None:
    with projections.Policies(desk.book, shipped_rules()):
        block(desk, "ES")
        assert desk.locked() == ["symbol-block"]
        request = desk.clear(rule="symbol-block")
        first = desk.book.lockouts.active("A", desk.clock.now_ns())
        desk.approve(request)
        again = desk.book.lockouts.active("A", desk.clock.now_ns())
    assert [each.rule_id for each in again] == ["symbol-block"]
    assert again[0].positions[0] > first[0].positions[-1]


def test_a_policy_ends_its_lockout_itself_once_the_looser_limit_is_approved(desk: Desk) -> None:
    with projections.Policies(desk.book, shipped_rules()):
        block(desk, "ES")
        request = block(desk, actor=ANN)
        desk.next_day()
        assert desk.locked() == ["symbol-block"]
        desk.approve(request)
        assert desk.locked() == ["symbol-block"]
        desk.next_day()
        assert (desk.locked(), desk.waiting()) == ([], [])


def test_what_a_stop_asked_for_stands_until_its_end_is_approved(desk: Desk) -> None:
    stopping.stop(desk.store, ["A"], "fast market", actor=CARL)
    [asked] = stopping.resume(desk.book, ["A"], actor=ANN, reason="calm")
    assert (asked.waits, stopping.stopped(desk.store, "A") is not None) == (True, True)
    pending = desk.book.enforcement.pending("A")
    assert pending
    [again] = stopping.resume(desk.book, ["A"], actor="ann@desk9/app", reason="calm")
    assert (again.waits, again.records) == (True, ())
    with pytest.raises(InvalidEvent, match="ann has asked for it"):
        approve(desk.book, "A", asked.records[0], actor=ANN)
    assert desk.book.enforcement.pending("A") == pending
    records = approve(desk.book, "A", asked.records[0], actor=BOB)
    assert [record.type for record in records] == ["Approved", *["EnforcementTaken"] * len(pending)]
    assert stopping.stopped(desk.store, "A") is None
    assert desk.book.enforcement.pending("A") == ()


def test_a_frame_and_a_diff_name_the_approval_as_what_ended_the_lockout(desk: Desk) -> None:
    set_ = desk.lock()
    request = desk.clear()
    before = desk.clock.now_ns()
    approval = desk.approve(request)
    [row] = rows(analysis.lockouts(desk.store, "A"))
    assert (row["set_position"], row["end_position"]) == (set_.position, approval.position)
    changes = projections.diff(desk.store, before, approval.recorded_at, account="A")
    [change] = [each for each in changes if each.view == "lockouts"]
    assert approval in change.records


def test_the_events_of_an_approval_in_any_order_of_accounts_are_one_fold(desk: Desk) -> None:
    """A book of some accounts holds back what a book of all does."""
    desk.lock()
    request = desk.clear()
    some = projections.open(desk.store, accounts=["A"])
    assert [each.record for each in some.approvals.waiting("A")] == [request]
    some.append("approval/A/1", Approved(record=request.uuid), actor=BOB)
    assert some.lockouts.active("A", desk.clock.now_ns()) == ()
    assert desk.locked() == []
    assert isinstance(request.event, LockoutCleared)
