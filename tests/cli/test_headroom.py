"""`limits`, `state` and `doctor` show what is left of each limit, and which limits are not judged."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore.trading import AccountOpened, LimitJudged, LimitsSet, LimitUnjudged, Side
from tests.cli.command import NINE, SECOND, Run, filled

WHY = "the price of ESZ5 is 11 s old and 10 s are allowed"


@pytest.fixture
def limited(data: Path) -> Path:
    """Return a log of an account with an open position, and of one without any."""
    with eventstore.open(data) as store:
        for account in ("ACC1", "ACC3"):
            opened = AccountOpened(starting_balance=Decimal(50_000), currency="USD")
            store.append(f"account/{account}/-", opened, occurred_at=NINE)
            limit(store, account, "daily-loss", limit="1000")
            limit(store, account, "trailing-drawdown", distance="2000", basis="equity")
    return data


def limit(store: eventstore.EventStore, account: str, rule_id: str, **parameters: object) -> None:
    event = LimitsSet(rule_id=rule_id, parameters=parameters)
    store.append(f"limits/{account}/{rule_id}", event, actor="boss", occurred_at=NINE)


def words(text: str) -> str:
    return " ".join(text.split())


def test_limits_show_figure_limit_left_and_share_within_eighty_columns(run: Run, limited: Path) -> None:
    ended = run("limits", "--account", "ACC3", "--data", limited)
    assert "daily-loss 0.00 1,000.00 1,000.00 USD 100.0 % KNOWN" in words(ended.out)
    assert "trailing-drawdown 0.00 2,000.00 2,000.00 USD 100.0 % KNOWN" in words(ended.out)
    table = ended.out.partition("Headroom of ACC3 (2)")[2]
    assert max(map(len, table.partition("not enforced")[0].splitlines())) <= 80
    assert ended.code == 0


def test_each_limit_s_document_has_all_members_of_its_headroom(run: Run, limited: Path) -> None:
    [daily, _] = run("limits", "--account", "ACC3", "--data", limited, "--json").document
    assert daily["headroom"] == {
        "rule_id": "daily-loss",
        "kind": "daily-loss",
        "figure": "0",
        "limit": "1000",
        "left": "1000",
        "share": "1",
        "status": "KNOWN",
        "why": "",
        "unit": "money",
        "currency": "USD",
    }
    assert (daily["unjudged"], daily["enforcement"]) == (None, "not enforced")
    pending = run("limits", "--pending", "--data", limited, "--json").document
    assert pending == []


def test_without_quotes_it_says_whom_to_ask_and_alarms_nobody(run: Run, limited: Path) -> None:
    for command in ("limits", "state"):
        ended = run(command, "--account", "ACC1", "--data", limited)
        assert ended.code == 0
        assert "ACC1 is UNKNOWN for trailing-drawdown: ESZ5 was not quoted since the book was opened" in ended.out
        assert "this command sees no quotes" in ended.out
        assert "not judged" not in ended.out
        assert "this command sees no quotes" not in run(command, "--account", "ACC3", "--data", limited).out
    ended = run("doctor", "--data", limited)
    assert (ended.code, "judged" in ended.out.replace("are judged by", "")) == (0, False)


def test_what_was_recorded_as_not_judged_is_shown_until_it_ends(run: Run, limited: Path) -> None:
    with eventstore.open(limited) as store:
        event = LimitUnjudged(rule_id="trailing-drawdown", why=WHY, since=NINE + SECOND)
        store.append("limits/ACC1/trailing-drawdown", event)
    since = "2025-11-19T15:00:01.000Z"
    said = f"ACC1: trailing-drawdown has not been judged since {since}, so new exposure is rejected: {WHY}"
    assert said in run("limits", "--data", limited).out
    doctor = run("doctor", "--data", limited)
    assert (doctor.code, f"warning  limits       {said}" in doctor.out) == (0, True)
    state = run("state", "--data", limited)
    assert f"ACC1 trailing-drawdown {since} {WHY}" in words(state.out)
    document = run("state", "--data", limited, "--json").document
    assert document["unjudged"] == {
        "ACC1": [{"rule_id": "trailing-drawdown", "why": WHY, "since": "2025-11-19T15:00:01.000000000Z"}]
    }
    assert [each["rule_id"] for each in document["headroom"]["ACC3"]] == ["daily-loss", "trailing-drawdown"]
    with eventstore.open(limited) as store:
        store.append("limits/ACC1/x", LimitJudged(rule_id="trailing-drawdown", why="", since=NINE + 2 * SECOND))
    assert "been judged" not in run("limits", "--data", limited).out + run("doctor", "--data", limited).out


def test_what_no_quote_would_help_is_shown_though_nobody_recorded_it(run: Run, limited: Path) -> None:
    with eventstore.open(limited) as store:
        limit(store, "ACC1", "daily-los", limit="1000")
        store.append("order/ACC3/O-9", filled("T-9", Side.BUY, 1, "60", "CLZ5"), occurred_at=NINE)
        store.append("order/ACC3/O-9", filled("T-10", Side.SELL, 1, "61", "CLZ5"), occurred_at=NINE)
    for command in ("limits", "doctor"):
        output = run(command, "--data", limited).out
        assert "ACC1: daily-los is not judged, so new exposure is rejected: unknown kind of limit" in output
        assert "ACC3: trailing-drawdown is not judged, so new exposure is rejected: " in output
        assert "ACC1: trailing-drawdown is not judged" not in output


def test_a_record_of_a_setting_that_was_replaced_is_not_shown(run: Run, limited: Path) -> None:
    with eventstore.open(limited) as store:
        store.append("limits/ACC3/x", LimitUnjudged(rule_id="daily-loss", why=WHY, since=NINE, limit_position=1))
    assert "judged" not in run("limits", "--account", "ACC3", "--data", limited).out
