"""What unlocks an account with a second approver takes two persons."""

from decimal import Decimal
from typing import Any

import pytest

from eventstore import InvalidEvent
from eventstore.trading import (
    AccountOpened,
    AccountReopened,
    Allows,
    EquityCorrected,
    EquityMarked,
    LockoutCleared,
    LockoutExtended,
    LockoutSet,
)
from projections.views.approvals import person_of
from projections.views.lockouts.lockout import LockoutAnomalyKind
from tests.views.approving import ANN, BOB, CARL, SECOND, Desk


@pytest.mark.parametrize(
    ("actor", "person"),
    [
        ("ann", "ann"),
        ("Ann ", "ann"),
        ("ann@desk1/bot", "ann"),
        ("ann@desk2/cli", "ann"),
        ("ann/cli", "ann"),
        ("ann@firm.example", "ann"),
        ("\uff41nn@desk1/bot", "ann"),
        ("an\u200bn", "ann"),
        ("\u00adann\ufe0f@desk1", "ann"),
        ("a\u034fn\u2060n\U000e0101", "ann"),
        ("\u200b@desk1", ""),
        ("pol\u200bicy:x", "policy:x"),
        ("\u03aa\u0301", "\u0390"),
        ("\u0390", "\u0390"),
        ("policy:daily-loss", "policy:daily-loss"),
        ("Policy:x/y", "policy:x/y"),
        ("", ""),
        ("@desk1/cli", ""),
        ("/cli", ""),
    ],
)
def test_whatever_may_be_one_person_is_one(actor: str, person: str) -> None:
    assert person_of(actor) == person


# A lockout


@pytest.mark.parametrize("approver", [None, ""])
def test_without_a_second_approver_one_person_unlocks(approver: str | None) -> None:
    desk = Desk(approver)
    desk.lock()
    desk.clear()
    assert (desk.locked(), desk.waiting()) == ([], [])


def test_a_lockout_stands_until_a_second_person_has_approved_its_end() -> None:
    desk = Desk()
    desk.lock()
    request = desk.clear()
    assert (desk.locked(), desk.waiting()) == (["manual"], [request.position])
    assert desk.book.approvals.waiting("A")[0].asked_by == ("ann",)
    approval = desk.approve(request)
    assert (desk.locked(), desk.waiting()) == ([], [])
    (ended,) = desk.book.lockouts.history("A")
    assert ended.ended_by == f"cleared by {ANN}, approved by {BOB}"
    assert (ended.ended_at, ended.positions[-1]) == (approval.recorded_at, approval.position)


@pytest.mark.parametrize(
    ("actor", "by", "why"),
    [
        (ANN, "", "ann has asked for it: somebody else must approve"),
        ("ann@desk9/approvals", "", "ann has asked for it: somebody else must approve"),
        ("ANN", "", "ann has asked for it: somebody else must approve"),
        (ANN, "bob", f"it says that bob approved, and was recorded by {ANN}"),
        (CARL, "", "carl may not approve here: bob may"),
        ("policy:bob", "", "policy:bob is not a person"),
        ("/cli", "", "/cli is not a person"),
    ],
)
def test_an_approval_by_anybody_else_counts_for_nothing_and_says_why(actor: str, by: str, why: str) -> None:
    desk = Desk()
    desk.lock()
    request = desk.clear()
    desk.approve(request, actor, by=by)
    assert (desk.locked(), desk.waiting(), desk.whys()) == (["manual"], [request.position], [why])
    # It does not keep a right one from counting.
    desk.approve(request)
    assert desk.locked() == []


def test_an_approval_needs_an_actor() -> None:
    desk = Desk()
    desk.lock()
    with pytest.raises(InvalidEvent, match="actor"):
        desk.approve(desk.clear(), "")


def test_anybody_but_who_asked_may_approve_if_the_setting_says_so() -> None:
    desk = Desk("*")
    desk.lock()
    request = desk.clear(by="carl")
    for actor in (ANN, CARL, "policy:any"):
        desk.approve(request, actor)
    assert desk.locked() == ["manual"]
    desk.approve(request, "dora")
    assert desk.locked() == []


def test_who_asked_without_a_name_cannot_be_shown_to_be_another_person() -> None:
    desk = Desk("*")
    desk.lock()
    request = desk.clear("/")
    desk.approve(request, BOB)
    assert desk.locked() == ["manual"]
    assert "does not say who asked" in desk.whys()[0]


def test_of_several_approvers_each_may_approve_what_another_asked_for() -> None:
    desk = Desk("bob, ann")
    desk.lock()
    request = desk.clear(ANN)
    desk.approve(request, ANN)
    assert desk.locked() == ["manual"]
    desk.approve(request, BOB)
    assert desk.locked() == []


def test_an_approval_before_the_request_counts_for_nothing() -> None:
    desk, other = Desk(), Desk()
    for each in (desk, other):
        each.lock()
    # The id of a record with a key is known before the record.
    known = other.add("lockout/A/manual", LockoutCleared(), ANN, key="clear")
    desk.approve(known)
    request = desk.add("lockout/A/manual", LockoutCleared(), ANN, key="clear")
    assert request.id == known.id
    assert desk.locked() == ["manual"]
    desk.approve(request)
    assert desk.locked() == []


def test_an_approval_in_another_account_or_of_another_record_counts_for_nothing() -> None:
    desk = Desk()
    set_, request = desk.lock(), desk.clear()
    desk.approve(request, account="B")
    desk.approve(request, account="-")
    desk.approve(set_)
    assert (desk.locked(), desk.waiting()) == (["manual"], [request.position])


def test_an_approval_is_no_longer_about_a_lockout_that_was_set_again_since() -> None:
    """Somebody said again that the account must not trade: what was asked before that is not what is approved now."""
    for change in (LockoutSet(rule_id="manual"), LockoutSet(rule_id="manual", reason="again"), LockoutExtended()):
        desk = Desk()
        desk.lock(until=None if not isinstance(change, LockoutExtended) else desk.clock.now_ns() + 100 * SECOND)
        request = desk.clear()
        desk.add("lockout/A/manual", change, CARL)
        assert desk.waiting() == []
        desk.approve(request)
        assert desk.locked() == ["manual"]


def test_a_lockout_of_a_later_day_is_not_ended_by_the_approval_of_an_earlier_request() -> None:
    desk = Desk()
    desk.lock(until=desk.clock.now_ns() + 5 * SECOND)
    request = desk.clear()
    desk.clock.advance(10 * SECOND)
    desk.lock()
    desk.approve(request)
    assert (desk.locked(), desk.waiting()) == (["manual"], [])


def test_an_approval_counts_once_and_from_when_the_log_took_it() -> None:
    desk = Desk()
    desk.lock()
    request = desk.clear()
    approval = desk.approve(request, occurred_at=desk.clock.now_ns() - 100 * SECOND)
    assert desk.book.lockouts.history("A")[0].ended_at == approval.recorded_at
    desk.lock()
    desk.approve(request)
    assert desk.locked() == ["manual"]


def test_an_irrevocable_lockout_stays_in_force_though_it_is_approved() -> None:
    desk = Desk()
    desk.lock(revocable=False)
    request = desk.clear()
    assert desk.waiting() == []
    desk.approve(request)
    assert desk.locked() == ["manual"]


@pytest.mark.parametrize(
    "weaker",
    [
        {"until": 1},
        {"until": 5},
        {"until": 5, "revocable": False},
        {"allows": Allows.REDUCE_ONLY},
    ],
)
def test_one_person_cannot_replace_a_lockout_by_a_weaker_one(weaker: dict[str, Any]) -> None:
    desk = Desk()
    desk.lock(until=desk.clock.now_ns() + 1_000 * SECOND)
    if "until" in weaker:
        weaker = weaker | {"until": desk.clock.now_ns() + weaker["until"] * SECOND}
    desk.lock(ANN, **weaker)
    desk.clock.advance(100 * SECOND)
    (held,) = desk.book.lockouts.active("A", desk.clock.now_ns())
    assert (held.allows, held.set_by) == (Allows.NOTHING, CARL)
    assert held.revocable == weaker.get("revocable", True)
    assert [each.kind for each in desk.book.lockouts.anomalies("A")] == [LockoutAnomalyKind.UNAPPROVED]


def test_a_stricter_lockout_replaces_one_at_once() -> None:
    desk = Desk()
    desk.lock(until=desk.clock.now_ns() + 5 * SECOND, allows=Allows.REDUCE_ONLY)
    desk.lock(ANN, reason="all of it")
    desk.clock.advance(100 * SECOND)
    (held,) = desk.book.lockouts.active("A", desk.clock.now_ns())
    assert (held.allows, held.until, held.set_by) == (Allows.NOTHING, None, ANN)


def test_a_policy_ends_what_it_has_set_itself_and_nothing_else() -> None:
    desk = Desk()
    desk.lock("policy:hours", "hours")
    desk.clear("policy:hours", "hours")
    assert desk.locked() == []
    for setter in (CARL, "policy:daily-loss"):
        desk.lock(setter)
        request = desk.clear("policy:manual")
        assert desk.locked() == ["manual"]
        desk.approve(request)
        assert desk.locked() == []


def test_reopening_the_account_ends_no_lockout_until_it_is_approved() -> None:
    desk = Desk()
    desk.add("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"), CARL)
    desk.lock(revocable=False)
    request = desk.add("account/A/-", AccountReopened(starting_balance=Decimal(60_000)), ANN)
    assert (desk.locked(), desk.waiting()) == (["manual"], [request.position])
    # What the firm says of the account counts: the lockout is what a person decides about.
    assert desk.book.accounts.balance("A") == 60_000
    desk.lock(rule="later")
    desk.approve(request, ANN)
    assert desk.locked() == ["manual", "later"]
    desk.approve(request)
    assert (desk.locked(), desk.waiting()) == (["later"], [])


def test_a_correction_moves_no_floor_and_ends_no_lockout_until_it_is_approved() -> None:
    desk = Desk()
    desk.add("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"), CARL)
    figures = {"balance": 51_000, "equity": 51_000, "high_water": 51_000, "floor": 49_000}
    zero = dict.fromkeys(("realized", "unrealized", "fees"), Decimal(0))
    stated: dict[str, Any] = {name: Decimal(value) for name, value in figures.items()} | zero
    marked = EquityMarked(**stated, quotes={}, currency="USD")
    wrong = desk.add("equity/A/-", marked, "policy:trailing-drawdown")
    desk.lock("policy:trailing-drawdown", revocable=False, details={"marks": [wrong.uuid.hex]})
    correction = EquityCorrected(
        reason="a wrong print", high_water=Decimal(50_000), floor=Decimal(48_000), wrong=wrong.uuid
    )
    request = desk.add("account/A/-", correction, ANN)
    mark, highs = desk.book.equity.get("A"), desk.book.bests.highs("A")
    assert mark is not None
    assert (mark.high_water, mark.floor, highs.equity) == (Decimal(51_000), Decimal(49_000), Decimal(51_000))
    assert (desk.locked(), desk.waiting()) == (["manual"], [request.position])
    desk.approve(request)
    mark, highs = desk.book.equity.get("A"), desk.book.bests.highs("A")
    assert mark is not None
    assert (mark.high_water, mark.floor, highs.equity) == (Decimal(50_000), Decimal(48_000), Decimal(50_000))
    assert (desk.locked(), desk.waiting()) == ([], [])
