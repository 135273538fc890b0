"""Limits of groups whose members, currencies or names leave something unknown: it rejects, and says which."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import projections
from eventstore import InvalidEvent
from eventstore.trading import (
    LimitsSet,
    OrderReported,
    OrderStatus,
    PositionReported,
    Side,
    Verdict,
)
from projections.risk import Proposal, check
from projections.risk.limits.daily_loss import DailyLoss
from projections.risk.limits.groups import GroupLimits, accounts_concerned
from projections.risk.policies import Policies
from projections.rules import shipped_rules
from projections.valuation import Status
from projections.views.groups import GroupsView
from tests.projections.firm import DESK, Firm
from tests.projections.rules_day import CALENDAR, RESET

REJECT, PASS = Verdict.REJECT, Verdict.PASS
RULE = "group:desk:daily-loss"


def test_policies_for_some_accounts_are_not_stopped_by_a_limit_of_a_group(firm: Firm) -> None:
    with projections.open(firm.store, accounts=("A",), calendars=CALENDAR) as book:
        policies = Policies(book, shipped_rules()).start(ticking=False)
        firm.limit("daily-loss", limit="1000")
        firm.limit("kill-switch", enabled=True)
        policies.tick()
        assert book.covers(DESK)
        policies.stop()  # raises what has stopped a policy


# What is unknown


def test_a_member_without_a_quote_rejects_new_exposure_of_every_member_by_name(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000", basis="equity")
    firm.fill("B", Side.BUY, "5000")
    firm.pass_seconds(60)
    checked = firm.check("A")
    assert checked.verdict is REJECT
    assert "group:desk:daily-loss cannot be judged: B: " in checked.reason
    headroom = firm.headroom("A")
    assert (headroom.rule_id, headroom.status is Status.KNOWN) == (RULE, False)
    assert headroom.why.startswith("B: ")
    assert [each.rule_id for each in firm.book.limits.unjudged("A")] == [RULE]
    assert firm.locked() == []
    # An order that can only reduce passes.
    assert firm.check("B", side=Side.SELL).verdict is PASS


def test_a_book_that_lacks_a_member_says_so_before_each_order(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000")
    with projections.open(firm.store, accounts=["A"]) as book:
        [headroom] = book.limits.headroom("A")
        assert (headroom.rule_id, headroom.status) == (RULE, Status.UNKNOWN)
        assert "account B" in headroom.why
        order = Proposal(account="A", symbol="ES", side=Side.BUY, quantity=Decimal(1))
        checked = check(book, order, firm.clock.now_ns())
        assert (checked.verdict, checked.rule_id) == (REJECT, RULE)
    with projections.open(firm.store, accounts=["A", "B"]) as book:
        assert book.limits.headroom("A")[0].status is Status.KNOWN
    with projections.open(firm.store, accounts=["C"]) as book:
        assert book.limits.headroom("C") == ()


def test_a_parked_member_rejects_and_stops_no_policy_of_another(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    firm.limit("daily-loss", limit="1000")
    view = firm.book._fold.slots["executions"].view
    monkeypatch.setattr(type(view), "apply_beside", lambda *_: 1 / 0)
    firm.fill("B", Side.BUY, "5000")
    monkeypatch.undo()
    assert ("executions", "B") in firm.book.parked
    checked = firm.check("A")
    assert checked.verdict is REJECT
    assert "view executions stopped for B" in checked.reason
    firm.pass_seconds(1)
    firm.policies.tick()
    assert ("group-limits", "A") not in firm.policies.stopped
    assert firm.book.retry("executions", "B")
    firm.policies.tick()
    assert firm.check("A").verdict is PASS


def test_groups_that_cannot_be_folded_reject_and_leave_an_account_s_own_limits_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    firm = Firm(tmp_path / "other", "A", policies=[DailyLoss()])
    firm.limit("daily-loss", "A", limit="1000")
    monkeypatch.setattr(GroupsView, "apply", lambda *_: 1 / 0)
    firm.group("A")
    monkeypatch.undo()
    checked = firm.check("A")
    assert (checked.verdict, "view groups stopped" in checked.reason) == (REJECT, True)
    firm.make("A", "-1000")
    assert firm.locked() == ["A"]
    firm.close()


def test_an_order_of_unknown_effect_in_one_member_rejects_those_of_all(firm: Firm) -> None:
    firm.limit("maximum-contracts", limit="5")
    firm.book.append("order/B/O99", OrderReported(status=OrderStatus.NEW))
    checked = firm.check("A")
    assert checked.verdict is REJECT
    assert "B: working order O99 lacks symbol, side or quantity" in checked.reason
    firm.pass_seconds(1)
    firm.policies.tick()
    assert "B: working order O99" in firm.headroom("A").why
    # What is past the limit without it is past it for certain.
    firm.fill("B", Side.BUY, "5000", "6")
    assert firm.locked() == ["A", "B"]


def test_one_report_that_the_fills_contradict_rejects_and_locks_nobody(firm: Firm) -> None:
    firm.limit("maximum-contracts", limit="5")
    firm.fill("B", Side.BUY, "5000")
    firm.book.append("position/B/ES", PositionReported(symbol="ES", quantity=Decimal(9)))
    assert "maximum-contracts" in str(firm.check("A").rule_id)
    assert firm.locked() == []


def test_a_policy_that_stopped_for_one_member_rejects_orders_of_the_others(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    firm.limit("daily-loss", limit="1000")
    monkeypatch.setattr(GroupLimits, "decide", lambda *_: 1 / 0)
    firm.fill("B", Side.BUY, "5000")
    monkeypatch.undo()
    assert "the policies have not decided" in firm.check("A").reason
    assert firm.check("C").verdict is PASS
    firm.policies.stopped.clear()


# Currencies


def test_members_of_different_currencies_need_the_limit_s(firm: Firm) -> None:
    firm.open("E", "EUR")
    firm.group("A", "E")
    firm.limit("daily-loss", limit="1000")
    checked = firm.check("A")
    assert checked.verdict is REJECT
    assert "the results of its members are in EUR, USD: set the limit's currency" in checked.reason
    firm.group("A", "E", name="two")
    firm.group("A")
    firm.limit("daily-loss", "@two", limit="1000", currency="USD")
    assert firm.check("A").verdict is PASS


def test_an_amount_without_a_rate_is_unknown_and_one_with_a_rate_is_converted(firm: Firm) -> None:
    firm.open("E", "EUR")
    firm.group("A", "E")
    firm.limit("daily-loss", limit="1000", currency="EUR")
    firm.make("A", "-1100")
    checked = firm.check("E")
    assert checked.verdict is REJECT
    assert "cannot be judged: A: " in checked.reason
    # The quote is judged at once, for the group though no account converts at it by itself.
    firm.quote("1.10", "EURUSD")
    assert firm.headroom("E").figure == 1_000
    assert firm.locked() == ["A", "E"]


# Names


@pytest.mark.parametrize(
    ("kind", "parameters", "why"),
    [
        ("trailing-drawdown", {"distance": 500}, "it is judged for one account alone: set it for each member"),
        ("consistency", {"limit": "0.5"}, "it is judged for one account alone"),
        ("cooldown", {"losing_trips": 3}, "it is judged for one account alone"),
        ("available-balance", {}, "it is judged for one account alone"),
        ("concentration", {"limit": "0.5"}, "it is judged for one account alone"),
        ("daily-loss", {"limit": 5, "trailing": True}, "trailing is from the best result of one account"),
        ("maximum-contracts", {"limit": 5, "scaling": [["0", "5"]]}, "scaling is by the balance of one account"),
        ("trade-limit:" + "x" * 90, {"limit": 5}, "bytes, and 100 are allowed: shorten a name"),
    ],
)
def test_a_kind_that_cannot_be_added_up_is_refused_and_unjudged_in_an_old_log(
    firm: Firm, kind: str, parameters: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidEvent, match=f"cannot be a limit of group desk: .*{why}"):
        firm.limit(kind, **parameters)
    event = LimitsSet(rule_id=kind, parameters=parameters)
    firm.store.append(f"limits/@desk/{kind}", event, actor="risk@desk")
    firm.book.refresh()
    assert (firm.headroom("A").status, firm.check("B").verdict) == (Status.UNKNOWN, REJECT)
    firm.limit(kind, enabled=False)
    firm.clock.set(RESET)
    for account in ("A", "B"):
        firm.begin(account)
    assert firm.book.limits.headroom("A") == ()


@pytest.mark.parametrize("accounts", [("A", "-"), ("@other",), ("A", ""), ("a/b",)])
def test_a_member_that_cannot_be_an_account_is_refused(firm: Firm, accounts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidEvent, match="cannot be an account"):
        firm.group(*accounts)


def test_a_member_that_nobody_opened_is_named(firm: Firm) -> None:
    firm.group("A", "ACC7")
    firm.limit("daily-loss", account="@empty", limit="5")
    assert firm.book.groups.problems() == (
        "ACC7, a member of group desk, was never opened: open it, or define the group again",
        "group empty has limits and no members: define it, or disable them",
    )
    # It has lost nothing, and its limits are judged.
    firm.limit("daily-loss", limit="1000")
    assert firm.headroom("A").status is Status.KNOWN


def test_a_group_is_not_an_account(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000", severity="WARNING")
    firm.make("A", "-1000")
    assert firm.book.accounts.known() == ("A", "B", "C")
    assert firm.book.accounts.active() == ("A", "B", "C")
    assert firm.book.limits.headroom(DESK) == firm.book.limits.headroom("A")


def test_the_accounts_that_an_order_rests_on(firm: Firm) -> None:
    firm.group("B", "C", name="all")
    assert accounts_concerned(firm.book, "B") == ("B", "A", "C", "@all", "@desk", "-")
    assert accounts_concerned(firm.book, "D") == ("D", "-")


# Members come and go


def test_a_group_that_is_defined_again_has_the_new_members_at_once(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000")
    firm.make("C", "-600")
    firm.make("A", "-400")
    assert firm.locked() == []
    firm.group("A", "C", "C")
    assert firm.locked() == ["A", "C"]


def test_a_dissolved_group_limits_nobody(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000")
    firm.group()
    firm.make("A", "-1000")
    assert (firm.locked(), firm.check("A").verdict) == ([], PASS)


def test_a_member_of_two_groups_is_judged_by_both(firm: Firm) -> None:
    firm.group("A", "C", name="all")
    firm.limit("daily-loss", limit="1000")
    firm.limit("daily-loss", "@all", limit="500")
    firm.make("C", "-500")
    assert firm.locked() == ["A", "C"]
    assert [each.rule_id for each in firm.book.limits.headroom("A")] == ["group:all:daily-loss", RULE]
