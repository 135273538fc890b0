"""`approve`, and what `unlock`, `resume` and `limits` say of an account that needs a second person."""

from __future__ import annotations

import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import eventstore
import projections
from eventstore.streams import stream_of
from eventstore.trading import AccountConfigured, GroupDefined, LimitsSet, Protection
from tests.cli.command import Run

ANN, BOB = ("--actor", "ann@desk1/cli"), ("--actor", "bob")


def add(data: Path, stream: str, event: eventstore.Event, actor: str = "carl") -> int:
    with eventstore.open(data) as store:
        return store.append(stream, event, actor=actor)[0].position


@pytest.fixture
def guarded(data: Path) -> Path:
    """The log to query, in which ACC1 has the second approver bob, and is locked by hand."""
    add(data, "account/ACC1/-", AccountConfigured(second_approver="bob"))
    return data


def locked(run: Run, data: Path, account: str = "ACC1") -> list[Any]:
    state = run("state", "--account", account, "--json", "--data", data).document
    return [each["rule_id"] for each in state["lockouts"]]


def test_unlock_asks_and_the_second_person_approves(run: Run, guarded: Path) -> None:
    assert run("lock", "ACC1", "--data", guarded, "--actor", "carl").code == 0
    asked = run("unlock", "ACC1", "--reason", "agreed", *ANN, "--data", guarded)
    assert asked.code == 1
    assert "ACC1 still locked: position 11" in asked.out
    said = "the end of the lockout by manual, asked for by ann@desk1/cli"
    assert said in asked.err
    assert "has no effect until bob approves it: eventstore approve 11" in asked.err
    for command in ("state", "limits", "doctor", "approve"):
        shown = run(command, "--data", guarded)
        # A line may be wrapped.
        assert said in " ".join(shown.out.split()), command
    assert locked(run, guarded) == ["manual"]
    own = run("approve", "11", *ANN, "--data", guarded)
    assert (own.code, own.out) == (2, "")
    assert "position 11 was not approved: ann has asked for it: somebody else must approve" in own.err
    done = run("approve", "11", *BOB, "--note", "seen", "--data", guarded)
    assert (done.code, done.err) == (0, "")
    assert "ACC1: position 11 is approved: position 12  approval/ACC1/" in done.out
    assert locked(run, guarded) == []
    assert run("approve", "--data", guarded).out == "nothing waits for approval\n"


def test_what_cannot_be_approved_is_refused_with_nothing_recorded(run: Run, guarded: Path) -> None:
    with eventstore.open(guarded) as store:
        head, id_ = store.head(), next(store.read(limit=1)).uuid
    for target, said in (
        ("2", "it does not wait for approval"),
        (str(id_), "it does not wait for approval"),
        ("99", "position 99 is not in the log"),
        ("x", "'x' is not a record"),
        (str(uuid.UUID(int=7)), "has no record with id"),
    ):
        ended = run("approve", target, *BOB, "--data", guarded)
        assert (ended.code, ended.out) == (2, ""), target
        assert said in ended.err
    ended = run("approve", "2", "--account", "ACC9", *BOB, "--data", guarded)
    assert (ended.code, "not of ACC9" in ended.err) == (2, True)
    with eventstore.open(guarded) as store:
        assert store.head() == head


@pytest.mark.parametrize("command", [("unlock", "ACC1"), ("resume", "ACC1", "--reason", "x"), ("approve", "2")])
def test_nobody_acts_under_the_name_of_a_policy(run: Run, guarded: Path, command: tuple[str, ...]) -> None:
    ended = run(*command, "--actor", "Policy:manual", "--data", guarded)
    assert (ended.code, "is the name of a policy" in ended.err) == (2, True)


def test_resume_leaves_what_the_stop_asked_for_until_it_is_approved(run: Run, guarded: Path) -> None:
    assert run("stop", "ACC1", "--reason", "fast market", "--actor", "carl", "--data", guarded).code == 0
    pending = run("limits", "--account", "ACC1", "--json", "--data", guarded)
    asked = run("resume", "ACC1", "--reason", "calm", *ANN, "--data", guarded)
    assert asked.code == 1
    assert "ACC1 stays stopped until a second person approves it" in asked.out
    assert "the end of the lockout by stop" in asked.err
    with eventstore.open(guarded) as store:
        head = store.head()
    # Asked twice by one person, it is recorded once.
    again = run("resume", "ACC1", "--reason", "calm", *ANN, "--json", "--data", guarded)
    assert again.document["accounts"][0]["changed"] is False
    assert again.document["accounts"][0]["awaits_approval"] is True
    requests = run("state", "--account", "ACC1", "--json", "--data", guarded).document["pending"]
    assert requests
    assert pending.code == 0
    with eventstore.open(guarded) as store:
        assert store.head() == head
    done = run("approve", str(head), *BOB, "--json", "--data", guarded)
    assert done.document[0]["type"] == "Approved"
    assert {each["type"] for each in done.document[1:]} == {"EnforcementTaken"}
    assert locked(run, guarded) == []
    assert run("state", "--account", "ACC1", "--json", "--data", guarded).document["pending"] == []


def test_limits_show_what_waits_and_shadow_mode_waits_too(run: Run, guarded: Path) -> None:
    for limit in ("500", "900"):
        add(guarded, "limits/ACC1/daily-loss", LimitsSet(rule_id="daily-loss", parameters={"limit": limit}), "ann")
    shown = run("limits", "--account", "ACC1", "--data", guarded)
    assert "ACC1: the limit daily-loss with limit 900, asked for by ann" in shown.out
    [pending] = run("limits", "--account", "ACC1", "--pending", "--json", "--data", guarded).document
    assert (pending["awaits_approval"], pending["parameters"]) == (True, {"limit": "900"})
    assert "approval by a second person" in run("limits", "--account", "ACC1", "--pending", "--data", guarded).out
    mode = run("limits", "shadow", "ACC1", "--reason", "to try", *ANN, "--json", "--data", guarded)
    assert mode.code == 1
    assert (mode.document["mode"], mode.document["awaits_approval"]) == (None, True)
    assert "shadow mode, asked for by ann@desk1/cli" in mode.err
    with eventstore.open(guarded) as store:
        assert projections.open(store).shadow.mode("ACC1") is Protection.ARMED


def test_a_groups_members_are_approved_under_its_name(run: Run, guarded: Path) -> None:
    add(guarded, "group/-/desk", GroupDefined(accounts=("ACC1", "ACC2")))
    add(
        guarded,
        stream_of("limits", "@desk", "daily-loss"),
        LimitsSet(rule_id="daily-loss", parameters={"limit": "500"}),
    )
    position = add(guarded, "group/-/desk", GroupDefined(accounts=("ACC2",)), "ann")
    listed = run("approve", "--account", "ACC1", "--data", guarded).out
    assert "@desk: the members ACC2, asked for by ann" in listed
    done = run("approve", str(position), "--account", "@desk", *BOB, "--data", guarded)
    assert (done.code, "approval/-/" in done.out) == (0, True)
    assert run("approve", "--json", "--data", guarded).document == {"waiting": []}


def test_an_event_that_is_appended_as_json_is_said_to_wait(run: Run, guarded: Path) -> None:
    setting = ("account/ACC1/-", "AccountConfigured", '{"second_approver": ""}')
    ended = run("append", *setting, *ANN, "--data", guarded)
    assert (ended.code, "no second_approver, asked for by ann@desk1/cli" in ended.err) == (0, True)
    ended = run("append", "account/ACC2/-", *setting[1:], *ANN, "--data", guarded)
    assert (ended.code, ended.err) == (0, "")


def test_a_setting_that_waits_is_shown_in_words(run: Run, guarded: Path) -> None:
    add(guarded, "account/ACC1/-", AccountConfigured(second_approver="", haircut=Decimal("0.1")), "ann")
    shown = run("approve", "--data", guarded).out
    assert "ACC1: the settings haircut 0.1, no second_approver, asked for by ann" in shown
