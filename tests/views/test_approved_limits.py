"""What loosens the limits, settings or groups of an account with a second approver takes two persons."""

from decimal import Decimal
from typing import Any

import pytest

import projections
from eventstore import InvalidEvent, Record
from eventstore.trading import (
    AccountConfigured,
    Approved,
    GroupDefined,
    LimitsSet,
    Protection,
    ProtectionMode,
    Side,
    Unpriced,
    Valuation,
)
from projections.risk import Proposal, check
from projections.views.configuration import DEFAULTS, configured, loosened_settings
from tests.views.approving import ANN, BOB, CARL, SECOND, Desk

# A limit


def test_a_loosening_waits_for_approval_and_then_for_a_session() -> None:
    desk = Desk()
    desk.limit(CARL, 500)
    request = desk.limit(ANN, 900)
    desk.next_day()
    assert (desk.in_force(), desk.waiting()) == (["500"], [request.position])
    (pending,) = desk.book.limits.pending("A")
    assert (pending.awaits_approval, pending.parameters, pending.actor) == (True, {"limit": "900"}, ANN)
    desk.approve(request)
    assert (desk.in_force(), desk.waiting()) == (["500"], [])
    (pending,) = desk.book.limits.pending("A")
    assert (pending.awaits_approval, pending.approved_by, pending.position) == (False, BOB, request.position)
    desk.next_day()
    assert desk.in_force() == ["900"]
    assert [each.position for each in desk.book.limits.history("A")][-1] == request.position


def test_a_tightening_needs_nobody_and_takes_the_place_of_a_loosening_that_waits() -> None:
    desk = Desk()
    desk.limit(CARL, 500)
    request = desk.limit(ANN, 900)
    desk.limit(CARL, 400)
    assert (desk.in_force(), desk.waiting()) == (["400"], [])
    desk.approve(request)
    desk.next_day()
    assert desk.in_force() == ["400"]


def test_of_two_loosenings_the_newer_one_is_what_can_be_approved() -> None:
    desk = Desk()
    desk.limit(CARL, 500)
    first, second = desk.limit(ANN, 900), desk.limit(ANN, 600)
    desk.approve(first)
    desk.next_day()
    assert desk.in_force() == ["500"]
    desk.approve(second)
    desk.next_day()
    assert desk.in_force() == ["600"]


def test_one_person_cannot_take_back_a_tightening_that_is_to_come() -> None:
    desk = Desk()
    desk.limit(CARL, 500)
    tomorrow = desk.clock.now_ns() + 100 * SECOND
    desk.limit(CARL, 200, effective_from=tomorrow)
    request = desk.limit(ANN, 500)
    desk.clock.advance(200 * SECOND)
    assert (desk.in_force(), desk.waiting()) == (["200"], [request.position])


@pytest.mark.parametrize(
    "weaker", [{"enabled": False}, {"allows": "REDUCE_ONLY", "action": "FLATTEN"}, {"allows": "NOTHING"}]
)
@pytest.mark.parametrize("account", ["A", "@desk"])
def test_one_person_cannot_release_a_kill_switch(account: str, weaker: dict[str, Any]) -> None:
    desk = Desk()
    desk.add("group/-/desk", GroupDefined(accounts=("A", "B")), CARL)
    stream, now = f"limits/{account}/kill-switch", desk.clock.now_ns

    def switch(actor: str, **parameters: Any) -> Record:  # noqa: ANN401 - any parameter
        return desk.add(stream, LimitsSet(rule_id="kill-switch", parameters=parameters), actor)

    strict = {"allows": "NOTHING", "action": "FLATTEN"}
    switch(CARL, **strict)
    request = switch(ANN, **weaker)
    assert [each.parameters for each in desk.book.limits.of(account, now())] == [strict]
    assert switch(ANN, **strict, reason="in words").position
    desk.add("approval/-/1" if account == "@desk" else "approval/A/1", Approved(record=request.uuid), BOB)
    [held] = desk.book.limits.of(account, now())
    assert held.parameters == strict | {"reason": "in words"}, "the newer setting took its place"
    request = switch(ANN, **weaker)
    desk.add("approval/-/2" if account == "@desk" else "approval/A/2", Approved(record=request.uuid), BOB)
    # Once it is approved it waits for no session.
    assert [each.parameters for each in desk.book.limits.of(account, now())] == [weaker]


def test_shadow_mode_waits_for_approval_also_where_nothing_was_limited() -> None:
    for limited in (True, False):
        desk = Desk()
        if limited:
            desk.limit(CARL, 500)
        request = desk.add("account/A/-", ProtectionMode(mode=Protection.SHADOW), ANN)
        desk.next_day()
        assert (desk.book.shadow.mode("A"), desk.waiting()) == (Protection.ARMED, [request.position])
        desk.approve(request)
        desk.next_day()
        assert desk.book.shadow.mode("A") is Protection.SHADOW
        desk.add("account/A/-", ProtectionMode(mode=Protection.ARMED), ANN)
        assert desk.book.shadow.mode("A") is Protection.ARMED


# A setting


def test_one_person_cannot_turn_the_second_approver_off_or_name_another() -> None:
    for other in ("", "*", "ann", "bob,ann"):
        desk = Desk()
        desk.lock()
        release = desk.clear()
        request = desk.configure(ANN, second_approver=other)
        assert desk.book.approvals.approvers("A") == ("bob",)
        desk.approve(release, ANN)
        assert (desk.locked(), desk.waiting()) == (["manual"], [release.position, request.position])
        desk.approve(request)
        assert ("bob" in desk.book.approvals.approvers("A")) == ("bob" in other)
        assert desk.locked() == ["manual"]
        assert desk.waiting() == ([release.position] if other else [])


def test_once_nobody_has_to_approve_one_person_asks_again() -> None:
    desk = Desk()
    desk.lock()
    release = desk.clear()
    desk.approve(desk.configure(ANN, second_approver=""))
    desk.approve(release)
    assert desk.locked() == ["manual"]
    desk.clear()
    assert desk.locked() == []


def test_a_setting_that_is_not_proved_stricter_waits_as_a_whole() -> None:
    desk = Desk()
    request = desk.configure(ANN, haircut=Decimal("0.1"), valuation=Valuation.MID)
    assert desk.book.accounts.configuration("A").haircut == 0
    desk.configure(ANN, haircut=Decimal("0.2"))
    assert desk.book.accounts.configuration("A").haircut == Decimal("0.2")
    # The newer record is about the haircut too: the older one is no longer what anybody asks for.
    assert desk.waiting() == []
    desk.approve(request)
    found = desk.book.accounts.configuration("A")
    assert (found.haircut, found.valuation) == (Decimal("0.2"), Valuation.LAST_WITHIN_SPREAD)


@pytest.mark.parametrize(
    ("settings", "looser"),
    [
        ({"haircut": "0.2"}, ()),
        ({"haircut": "0.1"}, ()),
        ({"haircut": "0.05"}, ("haircut",)),
        ({"unpriced": Unpriced.NOTHING}, ()),
        ({"unpriced": Unpriced.FLATTEN}, ("unpriced",)),
        ({"unpriced_after": 20 * SECOND}, ()),
        ({"unpriced_after": 40 * SECOND}, ("unpriced_after",)),
        ({"balance_tolerance": 5}, ("balance_tolerance",)),
        ({"payout": "moves-floor"}, ()),
        ({"payout": "keeps-floor", "haircut": 0}, ("payout", "haircut")),
        ({"second_approver": "bob"}, ()),
    ],
)
def test_which_changes_of_settings_count_as_loosening(settings: dict[str, Any], looser: tuple[str, ...]) -> None:
    stated: dict[str, Any] = {
        name: Decimal(value) if name in {"haircut", "balance_tolerance"} else value for name, value in settings.items()
    }
    held = configured(DEFAULTS, AccountConfigured(haircut=Decimal("0.1")))
    assert sorted(loosened_settings(held, AccountConfigured(**stated))) == sorted(looser)


@pytest.mark.parametrize(
    "names", [" ", "bob,", ",bob", "bob, ,ann", "policy:x", "bob,Policy:x", "bo\nb", "*@risk", "bob,**"]
)
def test_a_second_approver_that_names_nobody_is_refused(names: str) -> None:
    with pytest.raises(InvalidEvent, match="names no persons"):
        Desk(None).configure(CARL, second_approver=names)


# A group


def test_a_groups_limit_is_loosened_by_a_person_whom_each_member_accepts() -> None:
    desk = Desk("bob,dora")
    desk.configure(CARL, "B", second_approver="bob")
    desk.add("group/-/desk", GroupDefined(accounts=("A", "B", "C")), CARL)
    desk.limit(CARL, 500, "@desk")
    request = desk.limit(ANN, 900, "@desk")
    for actor, account in (("dora", "-"), (ANN, "-"), (BOB, "A"), (BOB, "@desk")):
        desk.approve(request, actor, account)
    for name in ("A", "B", "C"):
        desk.next_day(name)
    assert (desk.in_force("@desk"), desk.waiting("@desk")) == (["500"], [request.position])
    assert [each.awaits_approval for each in desk.book.limits.pending("@desk")] == [True]
    desk.approve(request, BOB, "-")
    for name in ("A", "B", "C"):
        desk.next_day(name)
    assert (desk.in_force("@desk"), desk.waiting("@desk")) == (["900"], [])


def test_one_person_cannot_change_the_members_of_a_group_that_has_limits() -> None:
    for members in ((), ("B",), ("A", "B", "C")):
        desk = Desk()
        desk.add("group/-/desk", GroupDefined(accounts=("A", "B")), CARL)
        desk.limit(CARL, 500, "@desk")
        request = desk.add("group/-/desk", GroupDefined(accounts=members), ANN)
        assert desk.book.groups.members("desk") == ("A", "B")
        desk.approve(request, ANN, "-")
        assert desk.book.groups.members("desk") == ("A", "B")
        desk.approve(request, BOB, "-")
        assert desk.book.groups.members("desk") == members


# What a book says


def test_what_waits_is_the_same_after_a_restart_and_as_of_then() -> None:
    desk = Desk()
    desk.lock()
    desk.limit(CARL, 500)
    release, loosening = desk.clear(), desk.limit(ANN, 900)
    waits = [release.position, loosening.position]
    again = projections.open(desk.store)
    assert [each.record.position for each in again.approvals.waiting("A")] == waits
    desk.approve(release)
    past = projections.as_of(desk.store, position=loosening.position)
    assert [each.record.position for each in past.approvals.waiting("A")] == waits
    assert past.lockouts.active("A", desk.clock.now_ns())
    assert not again.lockouts.active("A", desk.clock.now_ns())
    assert desk.waiting() == [loosening.position]


def test_an_order_is_rejected_until_the_release_is_approved() -> None:
    desk = Desk()
    desk.lock()
    proposal = Proposal(account="A", symbol="ES", side=Side.BUY, quantity=Decimal(1))
    desk.clear()
    assert "manual" in check(desk.book, proposal, desk.clock.now_ns()).reason


def test_very_many_requests_drop_the_oldest_and_never_what_the_settings_wait_for() -> None:
    desk = Desk()
    setting = desk.configure(ANN, second_approver="")
    requests = []
    for number in range(102):
        desk.lock(rule=f"r{number}")
        requests.append(desk.clear(rule=f"r{number}"))
    assert desk.waiting() == [setting.position, *(each.position for each in requests[2:])]
    desk.approve(requests[0])
    assert "r0" in desk.locked()


def test_a_rule_first_set_by_anybody_is_in_force_at_once() -> None:
    desk = Desk()
    desk.add("limits/A/order-size", LimitsSet(rule_id="order-size", parameters={"limit": "5"}), ANN)
    assert desk.in_force() == ["5"]
