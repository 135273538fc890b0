"""Groups of accounts on the command line: their limits are shown, and refused where none could judge them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore.trading import AccountOpened, GroupDefined, LimitsSet
from tests.cli.command import Run


@pytest.fixture
def firm(tmp_path: Path) -> Path:
    with eventstore.open(tmp_path / "firm") as store:
        store.append("account/A/-", AccountOpened(starting_balance=Decimal(1), currency="USD"))
        store.append("group/-/desk", GroupDefined(accounts=("A", "ACC7")), actor="risk")
        limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "1000", "basis": "equity"})
        store.append("limits/@desk/daily-loss", limit, actor="risk")
    return tmp_path / "firm"


@pytest.mark.parametrize("account", [(), ("--account", "A"), ("--account", "@desk")])
def test_the_limits_of_a_group_are_shown_with_its_member_s(run: Run, firm: Path, account: tuple[str, ...]) -> None:
    ended = run("limits", *account, "--json", "--data", firm)
    [limit] = json.loads(ended.out)
    assert (ended.code, limit["account"], limit["rule_id"]) == (0, "@desk", "daily-loss")
    assert limit["enforcement"] == "not enforced"
    # Every member is folded, whichever of them is asked about.
    assert (limit["headroom"]["rule_id"], limit["headroom"]["status"]) == ("group:desk:daily-loss", "KNOWN")


def test_a_member_that_nobody_opened_is_named(run: Run, firm: Path) -> None:
    sentence = "ACC7, a member of group desk, was never opened"
    assert sentence in run("limits", "--data", firm).out
    assert sentence in run("doctor", "--data", firm).out


def test_a_kind_that_no_group_can_have_is_refused(run: Run, firm: Path) -> None:
    event = '{"rule_id": "cooldown", "parameters": {"losing_trips": 3}}'
    ended = run("append", "limits/@desk/cooldown", "LimitsSet", event, "--actor", "risk", "--data", firm)
    assert ended.code == 2
    assert "cannot be a limit of group desk" in ended.err


def test_a_group_is_not_listed_among_accounts(run: Run, firm: Path) -> None:
    assert "@desk" not in run("state", "--data", firm).out
