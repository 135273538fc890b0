"""What clears a lockout: the rule that set it, by its own id, and never one of another rule or a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from eventstore import InvalidEvent
from eventstore.trading import ClockJumped, LockoutCleared, LockoutSet, Side
from projections.risk.limits.kind import KINDS, LimitKind
from projections.risk.limits.unpriced import UnpricedPositions
from projections.rules import shipped_rules
from projections.views.limits.parameters import Parameters, group_rule_id, kind_of
from tests.projections.firm import DESK, Firm
from tests.projections.rules_day import ACCOUNT, SECOND, Day, trading_day

HOUR = 3_600 * SECOND


@pytest.fixture
def firm(tmp_path: Path) -> Iterator[Firm]:
    firm = Firm(tmp_path / "data", "A", "B", policies=shipped_rules())
    firm.group("A", "B")
    yield firm
    firm.close()


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    day = trading_day(tmp_path / "day", UnpricedPositions())
    yield day
    day.close()


def held(firm: Firm, account: str = "A") -> list[str]:
    return [each.rule_id for each in firm.book.lockouts.active(account, firm.clock.now_ns())]


# A clock that ran ahead


@pytest.mark.parametrize("account", ["A", DESK])
def test_what_a_rule_cleared_by_a_wrong_clock_holds_again_a_group_s_rule_included(firm: Firm, account: str) -> None:
    firm.limit("kill-switch", account)
    before = firm.clock.now_ns()
    rules = held(firm)
    firm.clock.set(before + HOUR)
    firm.limit("kill-switch", account, enabled=False)
    assert held(firm) == []
    firm.book.append("lockout/A/clock", ClockJumped(before=before + HOUR, after=before + SECOND))
    firm.clock.set(before + SECOND)
    assert held(firm) == rules


def test_what_a_person_cleared_stays_cleared(firm: Firm) -> None:
    before = firm.clock.now_ns()
    rule = "group:desk:daily-loss"
    firm.book.append(f"lockout/A/{rule}", LockoutSet(rule_id=rule))
    firm.clock.set(before + HOUR)
    firm.book.append(f"lockout/A/{rule}", LockoutCleared(by="desk"))
    firm.book.append("lockout/A/clock", ClockJumped(before=before + HOUR, after=before + SECOND))
    firm.clock.set(before + SECOND)
    assert held(firm) == []


# Names of groups


def test_limits_of_two_groups_never_have_one_rule_id(firm: Firm) -> None:
    firm.group("A", name="desk:maximum-contracts")
    firm.limit("maximum-contracts:kill-switch", limit=2)
    firm.limit("kill-switch", "@desk:maximum-contracts", reason="feed is down")
    assert len(firm.book.limits.judging("A")) == 2
    [switch] = held(firm)
    firm.fill("A", Side.BUY, "5000", "3")
    assert len(held(firm)) == 2
    assert held(firm, "B") == ["group:desk:maximum-contracts:kill-switch"]
    # The end of one breach releases nothing of the other group.
    firm.fill("A", Side.SELL, "5000", "3")
    assert (held(firm), held(firm, "B")) == ([switch], [])
    firm.limit("kill-switch", "@desk:maximum-contracts", enabled=False)
    assert held(firm) == []


def test_the_rule_id_of_a_group_s_limit_is_read_back_in_one_way() -> None:
    names, rules = ("desk", "desk:a", "desk:a:b", "a"), ("a", "a:b", "b", "a:a")
    found = {group_rule_id(f"@{name}", rule) for name in names for rule in rules}
    assert len(found) == len(names) * len(rules)
    assert {kind_of(each) for each in found} == {"group"}
    assert group_rule_id("@desk", "daily-loss:x") == "group:desk:daily-loss:x"


def test_no_kind_of_limit_can_be_named_like_the_limits_of_groups() -> None:
    with pytest.raises(InvalidEvent, match="'group' begins the rule ids of groups' limits: name the kind otherwise"):

        class Grouped(LimitKind[Parameters]):
            name = "group"
            parameters: ClassVar[type[Parameters]] = Parameters

    assert "group" not in KINDS


# Positions without a price


def test_a_lockout_set_by_hand_under_the_policy_s_rule_is_left_alone(day: Day) -> None:
    day.fill(Side.BUY, "5000")
    by_hand = LockoutSet(rule_id="unpriced", scope="symbol:ES", reason="I trust no price today")
    day.book.append(f"lockout/{ACCOUNT}/unpriced", by_hand, actor="risk@desk")
    for _ in range(45):
        day.pass_seconds(1)
        day.policies.tick()
    active = day.book.lockouts.active(ACCOUNT, day.clock.now_ns())
    assert [each.scope for each in active] == ["symbol:ES", "account"]
    day.quote("5000")
    day.policies.tick()
    active = day.book.lockouts.active(ACCOUNT, day.clock.now_ns())
    assert [(each.scope, each.reason) for each in active] == [("symbol:ES", "I trust no price today")]


def test_a_lockout_of_the_whole_account_set_by_hand_is_left_alone_too(day: Day) -> None:
    by_hand = LockoutSet(rule_id="unpriced", reason="I trust no price today", details={"ES": "by hand"})
    day.book.append(f"lockout/{ACCOUNT}/unpriced", by_hand, actor="risk@desk")
    day.pass_seconds(1)
    day.policies.tick()
    assert [each.reason for each in day.book.lockouts.active(ACCOUNT, day.clock.now_ns())] == ["I trust no price today"]
