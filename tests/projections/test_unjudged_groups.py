"""A group's limit that is not judged is recorded for every member, also for one without limits of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventstore.trading import LimitJudged, LimitUnjudged, Side
from projections.risk.limits.daily_loss import DailyLoss
from projections.risk.limits.groups import GroupLimits
from projections.risk.limits.unjudged import UnjudgedLimits
from projections.risk.policies import PolicyFailure
from projections.valuation import Status
from projections.views.groups import GroupsView
from tests.projections.firm import DESK, Firm

RULE = "group:desk:daily-loss"


@pytest.fixture
def firm(tmp_path: Path) -> Iterator[Firm]:
    """Return a firm whose members have no limits of their own, and whose group's limit lacks a price of B's."""
    firm = Firm(tmp_path / "data", "A", "B", "C", policies=[DailyLoss(), GroupLimits(), UnjudgedLimits()])
    firm.group("A", "B")
    firm.limit("daily-loss", limit="1000", basis="equity")
    firm.fill("B", Side.BUY, "5000")
    yield firm
    firm.close()


def wait(firm: Firm, seconds: int, price: str | None = None) -> None:
    """Let time pass, with a quote in each second if there is a price."""
    for _ in range(seconds):
        firm.pass_seconds(1)
        if price is not None:
            firm.quote(price)
        firm.policies.tick()


def recorded(firm: Firm) -> list[tuple[str, str]]:
    found = firm.store.read(types=(LimitUnjudged, LimitJudged))
    return [(record.stream, record.type) for record in found]


def both(event: str) -> list[tuple[str, str]]:
    return [(f"limits/{account}/{RULE}", event) for account in ("A", "B")]


def test_it_is_recorded_for_every_member_and_ends_with_the_price(firm: Firm) -> None:
    wait(firm, 70)
    assert recorded(firm) == both("LimitUnjudged")
    [unjudged] = firm.book.limits.unjudged("A")
    assert (unjudged.rule_id, unjudged.since is None) == (RULE, False)
    wait(firm, 10, "5000")
    assert recorded(firm) == both("LimitUnjudged") + both("LimitJudged")


def test_it_ends_with_another_setting_and_for_a_member_that_leaves(firm: Firm) -> None:
    wait(firm, 70)
    firm.limit("daily-loss", limit="900", basis="equity")
    firm.group("A")
    wait(firm, 2)
    assert recorded(firm) == both("LimitUnjudged") + both("LimitJudged")


def test_groups_that_cannot_be_read_are_recorded(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GroupsView, "apply", lambda *_: 1 / 0)
    firm.group("A", "B", "C")
    monkeypatch.undo()
    wait(firm, 10)
    assert recorded(firm) == [(f"limits/{account}/limits", "LimitUnjudged") for account in ("A", "B", "C")]
    firm.policies.stopped.clear()


def test_the_groups_policy_stops_no_limit_of_an_account_s_own(firm: Firm) -> None:
    firm.limit("daily-loss", "A", limit="500")
    firm.quote("5000")
    assert [each.status for each in firm.book.limits.headroom("A")] == [Status.KNOWN] * 2
    firm.policies.stopped[GroupLimits.name, "B"] = PolicyFailure(GroupLimits.name, "B", 1, LookupError("broken"))
    found = {each.rule_id: each for each in firm.book.limits.headroom("A")}
    assert (found["daily-loss"].status, found[RULE].status) == (Status.KNOWN, Status.UNKNOWN)
    assert "broken" in found[RULE].why
    assert firm.headroom(DESK).status is Status.UNKNOWN
    firm.policies.stopped.clear()


def test_an_account_s_policy_stops_no_limit_of_its_group(firm: Firm) -> None:
    firm.limit("daily-loss", "A", limit="500")
    firm.quote("5000")
    firm.policies.stopped[DailyLoss.name, "A"] = PolicyFailure(DailyLoss.name, "A", 1, LookupError("broken"))
    found = {each.rule_id: each.status for each in firm.book.limits.headroom("A")}
    assert found == {"daily-loss": Status.UNKNOWN, RULE: Status.KNOWN}
    firm.policies.stopped.clear()


def test_headroom_follows_a_fill_in_another_member(firm: Firm) -> None:
    firm.quote("5000")
    assert firm.headroom("A").figure == 0
    # The contract that stays open is worth as much less.
    firm.make("B", "-100")
    assert firm.headroom("A").figure == 200
