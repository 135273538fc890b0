"""Limits of groups: every member's figure counts, a breach locks every member, and what is unknown rejects."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import projections
from eventstore import InvalidEvent
from eventstore.trading import (
    AccountOpened,
    Allows,
    ContractDefined,
    EnforcementAction,
    GroupDefined,
    LimitBreached,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    OrderReported,
    OrderStatus,
    Severity,
    Side,
    Verdict,
)
from projections.risk import Proposal, check
from projections.risk.limits.groups import GroupLimits, accounts_concerned
from projections.rules import shipped_rules
from projections.valuation import Status
from tests.projections.firm import DESK, Firm
from tests.projections.rules_day import RESET

REJECT, PASS = Verdict.REJECT, Verdict.PASS
RULE = "group:desk:daily-loss"


@pytest.fixture
def firm(tmp_path: Path) -> Iterator[Firm]:
    firm = Firm(tmp_path / "data", "A", "B", "C")
    firm.group("A", "B")
    yield firm
    firm.close()


# A breach


def test_the_fill_with_which_two_accounts_reach_the_loss_locks_both_until_the_reset(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000", action="FLATTEN")
    firm.make("A", "-600")
    assert firm.locked() == []
    crossing = firm.make("B", "-400")
    assert firm.locked() == ["A", "B"]
    records = firm.lockouts()
    assert [record.stream for record in records] == [f"lockout/A/{RULE}", f"lockout/B/{RULE}"]
    assert {record.causation_id for record in records} == {crossing.id}
    for record in records:
        event = record.event
        assert isinstance(event, LockoutSet)
        assert (event.until, event.allows, event.revocable) == (RESET, Allows.REDUCE_ONLY, True)
        assert event.reason == (
            "group desk: daily loss -1,000.00 of -1,000.00 USD reached; locked until 2026-11-20 17:00 CST"
        )
        assert isinstance(event.details, dict)
        assert event.details["accounts"] == {"A": "600", "B": "400"}
    assert [(account, each.action) for account, each in firm.requests()] == [
        ("A", EnforcementAction.FLATTEN),
        ("B", EnforcementAction.FLATTEN),
    ]
    assert firm.check("A").reason.startswith("Order blocked: group desk: daily loss -1,000.00 of -1,000.00 USD reached")


def test_an_account_outside_the_group_does_not_count_and_is_not_locked(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000")
    firm.make("C", "-5000")
    firm.make("A", "-999")
    assert firm.locked() == []
    firm.make("A", "-1")
    assert firm.locked() == ["A", "B"]
    assert firm.check("C").verdict is PASS


def test_a_profit_of_one_member_offsets_the_loss_of_another(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000")
    firm.make("A", "500")
    firm.make("B", "-1499")
    assert firm.locked() == []
    assert firm.headroom("A").left == 1


@pytest.mark.parametrize(("kind", "figure", "sign"), [("weekly-loss", "limit", "-"), ("daily-profit", "target", "")])
def test_a_week_and_a_profit_are_added_up_as_well(firm: Firm, kind: str, figure: str, sign: str) -> None:
    firm.limit(kind, **{figure: "1000"})
    firm.make("A", f"{sign}600")
    firm.make("B", f"{sign}400")
    assert firm.locked() == ["A", "B"]


def test_open_positions_of_both_members_count_and_a_quote_locks_them_once(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000", basis="equity")
    firm.quote("5000")
    firm.fill("A", Side.BUY, "5000")
    firm.fill("B", Side.BUY, "5000")
    firm.pass_seconds(1)
    firm.quote("4990.01")
    assert firm.locked() == []
    firm.quote("4990")
    firm.quote("4989")
    assert [record.account for record in firm.lockouts()] == ["A", "B"]
    firm.pass_seconds(1)
    firm.policies.tick()
    firm.restart()
    firm.policies.tick()
    assert len(firm.lockouts()) == 2


def test_a_lockout_that_was_released_is_not_set_again_by_the_next_tick(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000")
    firm.make("A", "-1000")
    firm.book.append(f"lockout/B/{RULE}", LockoutCleared(by="risk", reason="released", rule_id=RULE), actor="risk")
    firm.pass_seconds(1)
    firm.policies.tick()
    assert firm.locked() == ["A"]
    firm.make("B", "-1")
    assert firm.locked() == ["A", "B"]


def test_each_member_is_unlocked_at_its_own_reset_and_locked_again_while_the_breach_lasts(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000")
    firm.make("A", "-400")
    firm.make("B", "-1100")
    firm.clock.set(RESET)
    firm.begin("A")
    firm.policies.tick()
    assert firm.locked() == []
    # B's day is over as well, by the calendar: what either lost belongs to yesterday.
    assert firm.headroom("A").figure == 0


def test_a_warning_is_recorded_once_for_the_group(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000", severity="WARNING")
    firm.make("A", "-1000")
    firm.make("B", "-50")
    firm.policies.tick()
    [record] = firm.store.read(types=(LimitBreached,))
    assert record.stream == "breach/@desk/daily-loss"
    [breach] = firm.book.limits.breaches(DESK)
    assert (breach.rule_id, breach.severity, breach.figure) == ("daily-loss", Severity.WARNING, 1_000)
    assert (firm.locked(), firm.check("A").verdict) == ([], Verdict.WARNING)


# Exposure and counts


def test_contracts_of_all_members_count_and_an_order_counts_once(firm: Firm) -> None:
    firm.limit("maximum-contracts", limit="5", action="CANCEL_ORDERS")
    firm.fill("A", Side.BUY, "5000", "2")
    firm.work("B", "1")
    assert firm.check("B", "2").verdict is not REJECT
    checked = firm.check("B", "3")
    assert (checked.verdict, checked.rule_id) == (REJECT, "group:desk:maximum-contracts")
    assert checked.reason == "Order blocked: group desk: 6 of at most 5 contracts, working orders counted"
    assert firm.check("C", "3").verdict is PASS


def test_a_fill_in_another_member_changes_what_an_order_may_be(firm: Firm) -> None:
    firm.limit("maximum-contracts", limit="5")
    assert firm.check("A", "5").verdict is not REJECT
    firm.fill("B", Side.BUY, "5000")
    assert firm.check("A", "5").verdict is REJECT


def test_the_largest_position_is_added_up_by_symbol(firm: Firm) -> None:
    firm.limit("maximum-position", limit="3")
    firm.fill("A", Side.BUY, "5000", "2")
    firm.fill("B", Side.BUY, "5000", "3", symbol="NQ")
    firm.book.append("contract/-/NQ", ContractDefined(symbol="NQ", multiplier=Decimal(20), currency="USD"))
    assert firm.check("B", "1").verdict is not REJECT
    assert firm.check("B", "2").verdict is REJECT
    # Without an order, the symbol nearest to the limit.
    assert (firm.headroom("A").figure, firm.headroom("B").figure) == (3, 3)
    firm.fill("B", Side.BUY, "5000", "2")
    assert firm.headroom("A").figure == 4
    # It is checked before orders alone.
    assert firm.locked() == []


def test_longs_of_one_account_do_not_offset_shorts_of_another(firm: Firm) -> None:
    firm.limit("maximum-contracts", limit="3")
    firm.fill("A", Side.BUY, "5000", "2")
    firm.fill("B", Side.SELL, "5000", "2")
    assert firm.headroom("A").figure == 4


def test_trades_of_all_members_count(firm: Firm) -> None:
    firm.limit("trade-limit", limit=2, action="FLATTEN")
    firm.make("A", "1")
    firm.make("B", "1")
    assert firm.locked() == ["A", "B"]
    # It liquidates nothing.
    assert firm.requests() == []


def test_too_many_contracts_lock_until_there_are_fewer_and_each_member_is_asked_for_its_part(firm: Firm) -> None:
    firm.limit("maximum-contracts", limit="4")
    firm.fill("A", Side.BUY, "5000", "4")
    firm.fill("B", Side.BUY, "5000", "2")
    assert firm.locked() == ["A", "B"]
    # 4 of 6 may stay: of A's 4 two, rounded down, of B's 2 one.
    assert [(account, each.quantity) for account, each in firm.requests()] == [("A", 2), ("B", 1)]
    firm.fill("A", Side.SELL, "5000", "2")
    assert firm.locked() == []


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


def test_an_order_of_unknown_effect_in_one_member_rejects_those_of_all(firm: Firm) -> None:
    firm.limit("maximum-contracts", limit="5")
    firm.book.append("order/B/O99", OrderReported(status=OrderStatus.NEW))
    checked = firm.check("A")
    assert checked.verdict is REJECT
    assert "B: working order O99 lacks symbol, side or quantity" in checked.reason
    # What is past the limit without it is past it for certain.
    firm.fill("B", Side.BUY, "5000", "6")
    assert firm.locked() == ["A", "B"]


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
    firm.quote("1.10", "EURUSD")
    assert firm.check("E").verdict is REJECT
    assert firm.headroom("E").figure == 1_000


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
    firm: Firm, kind: str, parameters: dict[str, object], why: str
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
def test_a_member_that_can_be_no_account_is_refused(firm: Firm, accounts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidEvent, match="is no account"):
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


def test_a_group_is_no_account(firm: Firm) -> None:
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


# The kill switch


@pytest.mark.parametrize("account", ["A", DESK])
def test_a_kill_switch_locks_until_it_is_disabled_which_is_at_once(tmp_path: Path, account: str) -> None:
    firm = Firm(tmp_path / "data", "A", "B", policies=shipped_rules())
    firm.group("A", "B")
    locked = ["A"] if account == "A" else ["A", "B"]
    firm.limit("kill-switch", account, action="FLATTEN", reason="feed is down")
    assert firm.locked() == locked
    assert [(each, request.action) for each, request in firm.requests()] == [
        (each, EnforcementAction.FLATTEN) for each in locked
    ]
    checked = firm.check("A")
    assert checked.verdict is REJECT
    assert checked.reason.endswith("kill switch: feed is down; locked without end")
    firm.pass_seconds(1)
    firm.policies.tick()
    assert len(firm.lockouts()) == len(locked)
    # Somebody releases a lockout, but the switch is still set.
    rule_id = firm.lockouts()[0].event.rule_id  # type: ignore[attr-defined]
    firm.book.append(f"lockout/A/{rule_id}", LockoutCleared(by="x", reason="x", rule_id=rule_id), actor="x")
    assert firm.locked() == locked
    firm.limit("kill-switch", account, allows="NOTHING")
    assert [firm.book.lockouts.active("A", firm.clock.now_ns())[0].allows] == [Allows.NOTHING]
    firm.limit("kill-switch", account, enabled=False)
    assert (firm.locked(), firm.check("A").verdict) == ([], PASS)
    firm.close()


def test_a_kill_switch_locks_the_members_that_a_book_has_and_the_rest_elsewhere(firm: Firm) -> None:
    firm.policies.stop()
    firm.book.close()
    firm.book = projections.open(firm.store, accounts=["A"])
    firm.policies = projections.Policies(firm.book, [GroupLimits()]).start(ticking=False)
    firm.limit("kill-switch")
    assert firm.locked() == ["A"]
    firm.restart()
    firm.policies.tick()
    assert firm.locked() == ["A", "B"]


def test_an_account_that_leaves_the_group_stays_locked_until_the_switch_is_released(firm: Firm) -> None:
    firm.limit("kill-switch")
    firm.group("B")
    assert firm.locked() == ["A", "B"]
    firm.group()
    assert firm.locked() == ["A", "B"]
    firm.limit("kill-switch", enabled=False)
    firm.pass_seconds(1)
    firm.policies.tick()
    assert firm.locked() == []


@pytest.mark.parametrize("parameters", [{"revocable": False}, {"severity": "WARNING"}, {"action": "REDUCE_TO"}])
def test_a_kill_switch_that_would_not_lock_or_not_end_is_refused(firm: Firm, parameters: dict[str, object]) -> None:
    with pytest.raises(InvalidEvent, match=r"kill switch locks|expected NONE"):
        firm.limit("kill-switch", **parameters)


# Restarts


def test_what_was_missed_while_no_process_ran_is_decided_at_the_start(firm: Firm) -> None:
    firm.limit("daily-loss", limit="1000")
    firm.make("A", "-600")
    firm.policies.stop()
    firm.book.close()
    firm.book = projections.open(firm.store)
    firm.make("B", "-400")
    firm.book.close()
    firm.start()
    assert firm.locked() == ["A", "B"]
    assert isinstance(firm.lockouts()[0].event, LockoutSet)


def test_a_breach_of_the_group_defined_last_is_found_by_its_definition(firm: Firm) -> None:
    firm.limit("daily-loss", "@new", limit="100")
    firm.make("C", "-100")
    assert firm.locked() == []
    firm.book.append("account/D/-", AccountOpened(starting_balance=Decimal(5), currency="USD"))
    firm.book.append("group/-/new", GroupDefined(accounts=("C", "D")), actor="risk@desk")
    assert firm.locked() == ["C", "D"]
