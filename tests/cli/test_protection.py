"""`limits shadow` and `limits arm`: whether an account's limits act, and where that is shown."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    LimitsSet,
    OrderSubmitted,
    Protection,
    ProtectionMode,
    SessionOpened,
    Side,
)
from tests.cli.command import Run

LIMIT = LimitsSet(rule_id="daily-loss", parameters={"limit": "1000"})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a store with an account that nobody has limited."""
    directory = tmp_path / "data"
    with eventstore.open(directory) as store:
        store.append("account/ACC1/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        store.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
    return directory


def limit(data: Path) -> None:
    with eventstore.open(data) as store:
        store.append("limits/ACC1/daily-loss", LIMIT, actor="risk@desk")


def modes(data: Path) -> list[eventstore.Record]:
    with eventstore.open(data) as store:
        return list(store.read(types=(ProtectionMode,)))


def test_a_mode_is_recorded_with_who_and_why(run: Run, data: Path) -> None:
    ended = run("limits", "shadow", "ACC1", "--reason", "to try it", "--actor", "ann@desk", "--data", data)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("ACC1 is in SHADOW mode since ")
    assert "set by ann@desk (to try it): its limits only record what they would do" in ended.out
    [record] = modes(data)
    assert (record.stream, record.actor) == ("account/ACC1/-", "ann@desk")
    assert record.event == ProtectionMode(mode=Protection.SHADOW, reason="to try it")
    ended = run("limits", "arm", "ACC1", "--reason", "they fit", "--data", data, "--json")
    assert ended.document["mode"]["mode"] == "ARMED"
    assert (ended.document["pending"], ended.document["record"]["position"]) == (None, record.position + 1)


def test_an_account_with_limits_waits_for_its_next_trading_day(run: Run, data: Path) -> None:
    limit(data)
    with eventstore.open(data) as store:
        store.append("order/ACC1/O-1", OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(1)))
    ended = run("limits", "shadow", "ACC1", "--reason", "to try it", "--data", data)
    assert ended.out.startswith("ACC1 is ARMED: its limits lock, and reject orders; in SHADOW mode, set by ")
    assert "waits for its next trading day" in ended.out
    document = run("limits", "--data", data, "--json").document
    assert [each["mode"] for each in document] == ["ARMED"]
    with eventstore.open(data) as store:
        opened = SessionOpened(trading_day=date(2026, 1, 5), began_at=store.clock.now_ns())
        store.append("session/ACC1/2026-01-05", opened)
    document = run("limits", "--data", data, "--json").document
    assert [each["mode"] for each in document] == ["SHADOW"]


def test_the_mode_is_shown_with_the_limits_their_headroom_and_the_state(run: Run, data: Path) -> None:
    run("limits", "shadow", "ACC1", "--reason", "to try it", "--data", data)
    limit(data)
    ended = run("limits", "--data", data)
    assert ended.out.startswith("ACC1 is in SHADOW mode since ")
    assert "Headroom of ACC1, in SHADOW mode (1)" in ended.out
    assert "ACC1 is in SHADOW mode since " in run("state", "--data", data).out
    document = run("state", "--data", data, "--json").document
    [mode] = document["modes"]
    assert (mode["account"], mode["held"]["mode"], mode["waiting"]) == ("ACC1", "SHADOW", None)


def test_a_limit_that_is_not_judged_rejects_nothing_in_shadow_mode(run: Run, data: Path) -> None:
    run("limits", "shadow", "ACC1", "--reason", "to try it", "--data", data)
    with eventstore.open(data) as store:
        store.append("limits/ACC1/no-such-kind", LimitsSet(rule_id="no-such-kind"), actor="risk@desk")
    assert "no-such-kind is not judged, which rejects nothing in SHADOW mode: " in run("limits", "--data", data).out
    assert "nothing of ACC1 is rejected in SHADOW mode" in run("state", "--data", data).out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("shadow", "ACC2", "--reason", "x"), "there is no account 'ACC2' in log main: similar names are ACC1"),
        (("shadow", "acc1", "--reason", "x"), "there is no account 'acc1' in log main: similar names are ACC1"),
        (("shadow", "-", "--reason", "x"), "is not an account"),
        (("shadow", "A/B", "--reason", "x"), "account 'A/B': 1 to 64 of"),
        (("shadow", "@DESK", "--reason", "x"), "@DESK is a group, and each account has a mode of its own"),
        (("shadow", "ACC1"), "limits shadow ACC1: give --reason"),
        (("arm", "ACC1", "--reason", "  "), "limits arm ACC1: give --reason"),
        (("shadow",), "limits shadow: which account?"),
        (("shadwo", "ACC1", "--reason", "x"), "limits shadwo is unknown: did you mean shadow?"),
        (("ACC1",), "limits ACC1 is unknown: expected shadow or arm; --account NAME shows the limits of one account"),
        (("arm", "ACC1", "--reason", "x", "--pending"), "takes --reason and --actor, not --pending"),
    ],
)
def test_what_names_no_account_and_no_mode_is_refused(
    run: Run, data: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    ended = run("limits", *arguments, "--data", data)
    assert ended.code == 2
    assert sentence in ended.err
    assert not modes(data)


def test_an_account_that_was_never_opened_is_noted(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        store.append("limits/ACC3/daily-loss", LIMIT, actor="risk@desk")
    ended = run("limits", "arm", "ACC3", "--reason", "to be sure", "--data", data)
    assert ended.code == 0
    assert "ACC3 was never opened" in ended.err
