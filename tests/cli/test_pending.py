"""What is pending is shown everywhere: by whom it is done, until when, and loudly where a person has to act."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import Batch, EventStore, ManualClock
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    EnforcementAction,
    EnforcementClaimed,
    EnforcementEscalated,
    EnforcementTaken,
    LimitsSet,
    LockoutSet,
    OrderFilled,
    Side,
)
from projections.risk.enforcement.requests import requests_of
from tests.cli.command import Run

AT = datetime(2025, 11, 19, 15, tzinfo=UTC)
LATER = AT + timedelta(seconds=5)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    """Yield a log in which an account with an open position is locked, and asked to be flat."""
    with eventstore.open(tmp_path / "data", clock=ManualClock(AT)) as found:
        found.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        found.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD"))
        limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "1000"})
        found.append("limits/A/daily-loss", limit, actor="risk@desk")
        fill = OrderFilled(
            trade_id="T1", symbol="ESZ5", side=Side.BUY, quantity=Decimal(1), price=Decimal(6_000), fee=Decimal(0)
        )
        found.append("order/A/O-1", fill)
        lockout = LockoutSet(rule_id="daily-loss", reason="too much lost")
        asked = requests_of(
            "A", "daily-loss", EnforcementAction.FLATTEN, name="loss", reason="too much lost", details={}
        )
        found.append_many([Batch("lockout/A/daily-loss", lockout), *(Batch(*each) for each in asked)])
        yield found


def claim(store: EventStore) -> None:
    until = int(LATER.timestamp()) * 1_000_000_000 + 5_000_000_000
    store.append("enforcement/A/loss", EnforcementClaimed(request_id="loss", claimant="desk-1", lease_until=until))


def escalate(store: EventStore) -> None:
    store.append("enforcement/A/goal", EnforcementEscalated(request_id="loss", attempts=3, why="not flat after 15 s"))


def test_state_says_who_does_it_until_when(run: Run, tmp_path: Path, store: EventStore) -> None:
    claim(store)
    data = tmp_path / "data"
    document = run("state", "--at", LATER.isoformat(), "--data", data, "--json").document
    cancel, flatten = document["pending"]
    assert (cancel["action"], flatten["action"], flatten["attempt"]) == ("CANCEL_ORDERS", "FLATTEN", 1)
    assert (flatten["claimant"], flatten["lease_until"]) == ("desk-1", "2025-11-19T15:00:10.000000000Z")
    output = run("state", "--at", LATER.isoformat(), "--data", data).out
    assert "Pending enforcement requests (2)" in output
    assert "desk-1 until 2025-11-19" in output
    assert "nobody yet" in output
    assert "ESCALATED" not in output
    later = run("state", "--at", (LATER + timedelta(seconds=5)).isoformat(), "--data", data).out
    assert "nobody; desk-1's lease has ended" in later


def test_what_was_answered_and_is_not_so_is_shown(run: Run, tmp_path: Path, store: EventStore) -> None:
    store.append("enforcement/A/loss", EnforcementTaken(request_id="loss", success=True), actor="desk-1")
    output = run("state", "--at", LATER.isoformat(), "--data", tmp_path / "data").out
    assert "desk-1, who says done: not done" in output
    past = run("as-of", store.head() - 1, "--data", tmp_path / "data").out
    assert "FLATTEN" in past
    assert "who says" not in past


def test_an_escalation_is_loud_in_each_command(run: Run, tmp_path: Path, store: EventStore) -> None:
    data = tmp_path / "data"
    quiet = run("doctor", "--data", data, "--json").document
    found = [each for each in quiet["checks"] if each["name"] == "enforcement"]
    assert [each["status"] for each in found] == ["ok", "warning", "warning"]
    escalate(store)
    said = "ESCALATED at 2025-11-19"
    for command in (("state", "--at", LATER.isoformat()), ("limits",)):
        assert said in run(*command, "--data", data).out
    [limit] = run("limits", "--data", data, "--json").document
    assert [each["escalation"] for each in limit["requests"]] == ["", "not flat after 15 s"]
    ended = run("doctor", "--data", data)
    assert ended.code == 1
    assert "a person has to act: A is asked to FLATTEN by daily-loss, attempt 1" in " ".join(ended.out.split())


def test_a_notebook_shows_it_too(store: EventStore) -> None:
    claim(store)
    escalate(store)
    html = projections.open(store)._repr_html_()
    assert "ESCALATED at 2025-11-19T15:00:00Z: FLATTEN" in html
    assert "claimed by desk-1 until 2025-11-19T15:00:10Z" in html
