"""Instants: outside the log they are noted, marks are not mistaken for them, pasts are compared by either time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import eventstore
from eventstore.clock import format_time
from eventstore.trading import Marked
from tests.cli.command import NINE, SECOND, Run

BEGINS = "note: the log begins at "
EARLIER = "; for what happened earlier use --occurred-at\n"
LIKE_INSTANTS = [
    "5", "0", "007", "-5", "+5", "5.5", "1_000", "1,000", "1e3", "0x10", "٣",
    "2025-11-19", "2025-11-19T15:10:00Z", "2025-11-19 15:10", "20251119", "2025-W47-3", "15:10", "9:05", "T15:10",
    "20251119T151000Z", "2025-11-19-close", "now", "NOW", "today", "yesterday", "-5m", "5m", "2h", "1d12h", "+90s",
    "10 min", "@5", "mark:noon",
]  # fmt: skip
NAMES = ["close", "end-of-day", "noon", "v1.2", "Q3", "day 5", "release-2025", "nowhere", "a/b", "día ✓", "h2", "x5m"]


@pytest.mark.parametrize("name", [*LIKE_INSTANTS, "", "  ", " close", "close "], ids=repr)
def test_a_mark_is_not_named_like_an_instant(run: Run, data: Path, name: str) -> None:
    for command in (
        ("mark", "--data", data, "--", name),
        ("append", "mark/-/x", "Marked", json.dumps({"name": name}), "--data", data),
    ):
        ended = run(*command)
        assert (ended.code, ended.out) == (2, "")
        assert "name" in ended.err
        if name in LIKE_INSTANTS and name[0] not in "-+@m":
            assert "could be mistaken for a position or time: use a name such as end-of-day" in ended.err
    with eventstore.open(data) as store:
        assert store.head() == 8


@pytest.mark.parametrize("name", NAMES)
def test_a_mark_of_any_other_name_is_found_by_it(run: Run, data: Path, name: str) -> None:
    assert run("mark", name, "--data", data).code == 0
    for text in (name, f"mark:{name}"):
        ended = run("as-of", text, "--data", data, "--json")
        assert (ended.code, ended.document["position"]) == (0, 9)


def test_an_older_mark_named_like_an_instant_is_found_by_saying_that_it_is_one(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        for name in ("5", "2025-11-19"):
            store.append(f"mark/-/{name}", Marked(name=name))
    assert run("as-of", "5", "--data", data, "--json").document["position"] == 5
    assert run("as-of", "mark:5", "--data", data, "--json").document["position"] == 9
    assert run("as-of", "mark:2025-11-19", "--data", data, "--json").document["position"] == 10
    assert len(run("diff", "mark:5", "mark:2025-11-19", "--data", data, "--json").document["changes"]) == 0
    assert "unknown mark 'none'" in run("as-of", "mark:none", "--data", data).err


@pytest.mark.parametrize(
    "command",
    [
        ("as-of", "2025-11-19T15:00:00Z"),
        ("diff", "2025-11-19T15:00:00Z", "8"),
        ("as-of", "2025-11-19T15:00:10Z", "--occurred-at", "--known-by", "2025-11-19T15:00:00Z"),
        (
            "diff",
            "2025-11-19T15:00:00Z",
            "2025-11-19T15:00:10Z",
            "--occurred-at",
            "--known-by",
            "2025-11-19T15:00:00Z",
            "8",
        ),
    ],
    ids=" ".join,
)
def test_an_instant_before_the_log_says_where_it_begins(run: Run, data: Path, command: tuple[str, ...]) -> None:
    with eventstore.open(data) as store:
        first = next(store.read()).recorded_at
    ended = run(*command, "--data", data)
    assert ended.code == 0
    assert ended.err == BEGINS + format_time(first)[:23] + "Z" + EARLIER


@pytest.mark.parametrize(
    "command", [("as-of",), ("as-of", "--occurred-at"), ("diff", "8"), ("diff", "0", "--occurred-at")]
)
def test_an_instant_in_the_future_says_so(run: Run, data: Path, command: tuple[str, ...]) -> None:
    ended = run(*command, "2190-01-01T00:00:00Z", "--data", data)
    assert ended.code == 0
    assert ended.err == "note: 2190-01-01T00:00:00.000Z is in the future: this is what is known now, at position 8\n"


@pytest.mark.parametrize(
    "command", [("as-of", "0"), ("as-of", "8"), ("as-of", "2025-11-19T15:00:03Z", "--occurred-at"), ("diff", "0", "8")]
)
def test_an_instant_within_the_log_says_nothing(run: Run, data: Path, command: tuple[str, ...]) -> None:
    assert run(*command, "--data", data).err == ""


def test_an_empty_log_says_that_it_is(run: Run, tmp_path: Path) -> None:
    eventstore.open(tmp_path / "data").close()
    ended = run("as-of", "2025-11-19T15:00:00Z", "--data", tmp_path / "data")
    assert (ended.code, ended.err) == (0, "note: the log has no records yet\n")


def test_a_difference_by_the_times_of_happening_names_its_records(run: Run, data: Path) -> None:
    first, second = (format_time(NINE + seconds * SECOND) for seconds in (2, 5))
    assert run("diff", first, second, "--data", data, "--json").document["changes"] == []
    ended = run("diff", second, first, "--occurred-at", "--data", data, "--json")
    document = ended.document
    assert document["occurred_at"] == [first, second]
    assert (document["first"], document["second"]) == (8, 8)
    named = {
        (each["view"], each["key"]): [record["position"] for record in each["records"]] for each in document["changes"]
    }
    assert named["orders", "O-1"] == [4]
    assert named["positions", "ESZ5/NET"] == [4, 6]
    assert ("lockouts", "daily-loss") not in named
    shown = run("diff", first, second, "--occurred-at", "--account", "ACC1", "--data", data).out
    assert "log main, at 2025-11-19T15:00:02.000Z as known by position 8 and at 2025-11-19T15:00:05.000Z" in shown


def test_one_instant_known_twice_shows_what_was_learned(run: Run, data: Path) -> None:
    at = format_time(NINE + 60 * SECOND)
    document = run("diff", at, at, "--occurred-at", "--known-by", "4", "6", "--data", data, "--json").document
    assert (document["first"], document["second"]) == (4, 6)
    positions = {each["account"]: each["records"] for each in document["changes"] if each["view"] == "positions"}
    assert [record["position"] for record in positions["ACC1"]] == [6]
    assert [record["position"] for record in positions["ACC2"]] == [5]
    assert run("diff", at, at, "--occurred-at", "--data", data, "--json").document["changes"] == []


def test_knowledge_goes_with_happening(run: Run, data: Path) -> None:
    ended = run("diff", "1", "8", "--known-by", "1", "8", "--data", data)
    assert (ended.code, ended.out) == (2, "")
    assert "--known-by requires --occurred-at" in ended.err
    assert run("diff", "1", "8", "--occurred-at", "--known-by", "1", "--data", data).code == 2


@pytest.mark.parametrize(
    "text",
    [
        "9999-12-31",
        "0001-01-01",
        "2200-01-01",
        "1969-12-31 23:59",
        "9999-12-31T23:59:59-10:00",
        "0001-01-01T00:00:00+10:00",
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/Chicago", "Asia/Tokyo"])
def test_a_date_out_of_range_says_which_range(run: Run, data: Path, text: str, zone: str) -> None:
    for command in (("as-of", text), ("diff", text, "2"), ("lock", "ACC1", "--until", text), ("read", "--start", text)):
        ended = run(*command, "--zone", zone, "--data", data)
        assert (ended.code, ended.out) == (2, "")
        assert f"{text!r} is out of range 1970-01-01 to 2199-12-31" in ended.err


@pytest.mark.parametrize(
    ("text", "zone", "is_in_range"),
    [
        ("1970-01-01", "UTC", True),
        ("1970-01-01", "America/Chicago", True),
        ("1970-01-01", "Asia/Tokyo", False),
        ("1970-01-01 09:00", "Asia/Tokyo", True),
        ("2199-12-31 23:59:59.999999999", "UTC", True),
        ("2199-12-31", "America/Chicago", True),
        ("2199-12-31 18:00", "America/Chicago", False),
    ],
)
def test_the_edges_of_the_range_are_those_in_utc(run: Run, data: Path, text: str, zone: str, is_in_range: bool) -> None:
    ended = run("as-of", text, "--zone", zone, "--data", data)
    assert ("is out of range" in ended.err) is not is_in_range
    assert ended.code == (0 if is_in_range else 2)


@pytest.mark.parametrize(
    ("number", "unit"),
    [
        ("1763600000", "seconds"),
        ("1763600000000", "milliseconds"),
        ("1763600000000000", "microseconds"),
        ("1763600000000000000", "nanoseconds"),
    ],
)
def test_a_unix_time_in_place_of_a_position_is_named(run: Run, data: Path, number: str, unit: str) -> None:
    for command in (("as-of", number), ("diff", "1", number), ("read", "--start", number), ("state", "--at", number)):
        ended = run(*command, "--data", data)
        assert (ended.code, ended.out) == (2, "")
        assert (
            f"position {number} is not in the log, which ends at 8; a number is a position, and this one looks like a "
            f"time in {unit}: write it as 2025-11-20T00:53:20.000000000Z" in ended.err
        )
    ended = run("as-of", "9", "--data", data)
    assert "which ends at 8\n" in ended.err


def test_text_before_1990_is_the_time_it_says(run: Run, tmp_path: Path) -> None:
    until = '{"rule_id": "r", "until": "1985-07-02T12:00:00Z"}'
    occurred = ("--occurred-at", "1985-07-01T12:00:00.000000001Z", "--data", tmp_path, "--json")
    record = run("append", "lockout/A/r", "LockoutSet", until, *occurred).document
    assert record["occurred_at"] == "1985-07-01T12:00:00.000000001Z"
    assert record["data"]["until"] == 489_153_600_000_000_000
    assert run("mark", "then", *occurred).document["occurred_at"] == "1985-07-01T12:00:00.000000001Z"
    for instant in ("1985-07-01 12:00:01", "1", "then"):
        past = run("as-of", instant, "--occurred-at", "--data", tmp_path, "--json").document
        assert [held["rule_id"] for held in past["lockouts"]] == ["r"]
    changed = run("diff", "1985-07-01", "then", "--occurred-at", "--data", tmp_path, "--json").document["changes"]
    assert [change["view"] for change in changed] == ["lockouts"]
    assert run("read", "--start", "1985-07-01", "--data", tmp_path).out.count("\n") == 2
    assert run("state", "--at", "1985-07-01", "--data", tmp_path).code == 0


@pytest.mark.parametrize("number", ["1763600000000", "0", "-5"])
def test_an_int_in_json_is_in_nanoseconds(run: Run, tmp_path: Path, number: str) -> None:
    ended = run("append", "lockout/A/r", "LockoutSet", f'{{"rule_id": "r", "until": {number}}}', "--data", tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert f"LockoutSet.until: {number} as UNIX nanoseconds is before 1990" in ended.err
    assert not (tmp_path / "main").exists()
