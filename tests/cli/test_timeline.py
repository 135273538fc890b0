"""`timeline` and `changes`: sentences on a pipe, on a terminal and as JSON, with bounds, filters and pages."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import eventstore
from eventstore.trading import LimitsSet, NoteAdded, TradeBusted
from tests.cli.command import NINE, SECOND, Run, on_terminal


def fields(out: str) -> list[list[str]]:
    return [line.split("\t") for line in out.splitlines()]


def test_each_record_is_a_line_with_sentence_changes_and_marks(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        store.append("trade/ACC1/T-1", TradeBusted(trade_id="T-1"), occurred_at=NINE + 8 * SECOND, actor="venue")
    rows = fields(run("timeline", "--data", data, "--account", "ACC1").out)
    assert [row[0] for row in rows] == ["2", "3", "4", "6", "8", "9"]
    assert rows[0][5] == "Submitted order O-1: buy 3 ESZ5 at limit 6,650.25"
    assert rows[3][5] == "Sold 1 ESZ5 at 6,652.25, 1 left; realized +100.00; fee 2.25"
    assert "positions ESZ5: quantity 2 → 1" in rows[3][6]
    assert "BUSTED by 9" in rows[2][7]
    assert "BUSTS 4" in rows[5][7]
    assert all("LATE: recorded " in row[7] for row in rows)


def test_bounds_are_of_the_order_asked_for(run: Run, data: Path) -> None:
    at = "2025-11-19T09:00:03-06:00"
    found = run("timeline", "--data", data, "--occurred-at", "--start", at, "--stop", "8")
    assert [row[0] for row in fields(found.out)] == ["4", "5", "6", "7"]
    assert [row[0] for row in fields(run("timeline", "--data", data, "--start", "3", "--stop", "6").out)] == [
        "3", "4", "5"
    ]  # fmt: skip
    assert run("timeline", "--data", data, "--start", "tomorrow-ish").code == 2


def test_a_limit_says_how_to_go_on(run: Run, data: Path) -> None:
    seen: list[str] = []
    after = "0"
    for _ in itertools.count():
        ended = run("timeline", "--data", data, "--after", after, "--limit", "3")
        seen += [row[0] for row in fields(ended.out)]
        if not ended.err:
            break
        assert ended.err == f"note: there is more: --after {seen[-1]} continues\n"
        after = seen[-1]
    assert seen == [str(number) for number in range(1, 9)]


def test_json_has_the_record_and_what_the_timeline_adds(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        [record] = store.read(after=3, limit=1)
        store.append("note/ACC1/1", NoteAdded(target=str(record.uuid), text="early", tags=("size",)), actor="ana")
    line = run("timeline", "--data", data, "--after", "3", "--limit", "1", "--json").lines[0]
    assert line["position"] == 4
    assert line["sentence"] == "Bought 2 ESZ5 at 6,650.25, long 2; fee 2.25"
    assert {change["view"] for change in line["changes"]} == {"orders", "trades", "positions", "balances"}
    positions = next(change for change in line["changes"] if change["view"] == "positions")
    assert (positions["before"], positions["after"]["quantity"]) == (None, "2")
    assert line["tags"] == ["size"]
    assert line["notes"][0]["text"] == "early"
    assert line["error"] is None


def test_a_terminal_shows_an_entry_on_several_lines(data: Path) -> None:
    shown = on_terminal(["timeline", "--data", str(data), "--account", "ACC1", "--after", "4", "--limit", "1"], 60)
    lines = [line.rstrip() for line in shown.out.splitlines()]
    assert any(line.strip().startswith("Sold 1 ESZ5 at 6,652.25, 1 left;") for line in lines)
    assert any(line.strip().startswith("positions ESZ5: quantity 2 → 1") for line in lines)
    assert all(len(line) <= 60 for line in lines if "note:" not in line and "→" not in line)


def test_changes_are_those_of_people_and_by_name(run: Run, data: Path) -> None:
    assert run("changes", "--data", data, "--by", "ana").err == "note: no matching records\n"
    with eventstore.open(data) as store:
        for actor, limit in (("ana@desk/tool", "500"), ("ben@desk/tool", "400")):
            event = LimitsSet(rule_id="daily-loss", parameters={"limit": limit})
            store.append("limits/ACC1/daily-loss", event, actor=actor)
    rows = fields(run("changes", "--data", data).out)
    # The lockout of the log was not caused by a record: somebody set it.
    assert [(row[0], row[4].partition("@")[0]) for row in rows[1:]] == [("9", "ana"), ("10", "ben")]
    assert rows[2][6] == "limits in force daily-loss: parameters limit: 500 → limit: 400"
    (row,) = fields(run("changes", "--data", data, "--by", "ben", "--account", "ACC1").out)
    assert row[5] == "Limit daily-loss was set: limit 400"


@pytest.mark.parametrize("command", ["timeline", "changes"])
def test_an_unknown_account_is_named(run: Run, data: Path, command: str) -> None:
    ended = run(command, "--data", data, "--account", "ACC3")
    assert "there is no account 'ACC3' in log main" in ended.err
    assert not ended.out
