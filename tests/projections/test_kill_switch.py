"""The kill switch: it locks an account or a group while it is set, and is released at once."""

from __future__ import annotations

from typing import Any

import pytest

import projections
from eventstore import InvalidEvent
from eventstore.trading import (
    Allows,
    EnforcementAction,
    LockoutCleared,
    Verdict,
)
from projections.risk.limits.groups import GroupLimits
from projections.rules import shipped_rules
from tests.places import Place
from tests.projections.firm import DESK, Firm

pytestmark = pytest.mark.in_each_place(slow=True)

REJECT, PASS = Verdict.REJECT, Verdict.PASS
RULE = "group:desk:daily-loss"


# The kill switch


@pytest.mark.parametrize("account", ["A", DESK])
def test_a_kill_switch_locks_until_it_is_disabled_which_is_at_once(place: Place, account: str) -> None:
    firm = Firm(place, "A", "B", policies=shipped_rules())
    firm.group("A", "B")
    locked = ["A"] if account == "A" else ["A", "B"]
    firm.limit("kill-switch", account, action="FLATTEN", reason="feed is down")
    assert firm.locked() == locked
    assert [(each, request.action) for each, request in firm.requests()] == [
        (each, action) for each in locked for action in (EnforcementAction.CANCEL_ORDERS, EnforcementAction.FLATTEN)
    ]
    checked = firm.check("A")
    assert checked.verdict is REJECT
    assert "kill switch: feed is down; locked without end unless" in checked.reason
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
    firm.book = projections.open(firm.store, accounts=["B"])
    firm.policies = projections.Policies(firm.book, [GroupLimits()]).start(ticking=False)
    firm.limit("kill-switch")
    assert firm.locked() == ["B"]
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
def test_a_kill_switch_that_would_not_lock_or_not_end_is_refused(firm: Firm, parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent, match=r"kill switch locks|expected NONE"):
        firm.limit("kill-switch", **parameters)
