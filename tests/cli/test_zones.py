"""`--zone`: the zone in which each command reads and prints times, and its default."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

import eventstore
from eventstore.clock import format_time, parse_time
from eventstore.trading import LimitsSet, LockoutSet, SessionOpened
from gateways.presenting.times import zone_named
from tests.cli.command import NINE, SECOND, Run

CHICAGO = "America/Chicago"
HOUR = 3_600 * SECOND


@pytest.fixture
def zoned(data: Path) -> Path:
    """Return the small log, in which ACC2's trading days are Tokyo's; ACC1's zone is none that is known."""
    with eventstore.open(data) as store:
        for account, zone in (("ACC1", "Middle-earth/Shire"), ("ACC2", "Europe/London"), ("ACC2", "Asia/Tokyo")):
            day = date(2025, 11, 19 if zone != "Asia/Tokyo" else 20)
            opened = SessionOpened(trading_day=day, began_at=NINE, resets_at=NINE + 8 * HOUR, zone=zone)
            store.append(f"session/{account}/{day}", opened, occurred_at=NINE)
    return data


def occurred(run: Run, *arguments: object) -> list[str]:
    return [line.split("\t")[2] for line in run("read", "--limit", "1", *arguments).out.splitlines()]


@pytest.mark.parametrize(
    "narrowed", [("--account", "ACC2"), ("--stream", "order/ACC2/"), ("--stream", "order/ACC2/O-2")]
)
def test_an_account_s_own_zone_is_taken_where_it_is_asked_for_alone(
    run: Run, zoned: Path, narrowed: tuple[str, str]
) -> None:
    assert occurred(run, *narrowed, "--data", zoned) == ["2025-11-20T00:00:04.000+09:00"]
    assert occurred(run, "--account", "ACC1", "--data", zoned) == ["2025-11-19T15:00:01.000Z"]
    assert occurred(run, "--data", zoned) == ["2025-11-19T15:00:00.000Z"]


def test_the_zone_named_wins_over_the_environment_and_that_over_the_account(
    run: Run, zoned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTSTORE_ZONE", "Asia/Kolkata")
    assert occurred(run, "--account", "ACC2", "--data", zoned) == ["2025-11-19T20:30:04.000+05:30"]
    assert occurred(run, "--account", "ACC2", "--zone", CHICAGO, "--data", zoned) == ["2025-11-19T09:00:04.000-06:00"]
    monkeypatch.setenv("EVENTSTORE_ZONE", "")
    assert occurred(run, "--account", "ACC2", "--data", zoned) == ["2025-11-20T00:00:04.000+09:00"]


def test_exact_shows_all_nine_decimals(run: Run, zoned: Path) -> None:
    [shown] = occurred(run, "--account", "ACC2", "--exact", "--data", zoned)
    assert shown == "2025-11-20T00:00:04.000000000+09:00"


def test_json_is_in_utc_unless_a_zone_is_named(run: Run, zoned: Path) -> None:
    arguments = ("state", "--account", "ACC2", "--at", "2025-11-20 00:30", "--data", zoned, "--json")
    assert run(*arguments).document["at"] == "2025-11-19T15:30:00.000000000Z"
    asked = run(*arguments, "--zone", CHICAGO).document["at"]
    assert asked == "2025-11-20T00:30:00.000000000-06:00"


@pytest.mark.parametrize(
    ("account", "zone", "text"),
    [
        ("ACC2", (), "2025-11-20 00:30"),
        ("ACC2", ("--zone", CHICAGO), "2025-11-19 09:30"),
        ("ACC1", (), "2025-11-19T15:30"),
        ("ACC2", (), "2025-11-19T15:30:00Z"),
    ],
)
def test_state_reads_its_instant_in_the_zone(
    run: Run, zoned: Path, account: str, zone: tuple[str, ...], text: str
) -> None:
    asked = run("state", "--account", account, "--at", text, *zone, "--data", zoned, "--json").document
    assert parse_time(asked["at"]) == parse_time("2025-11-19T15:30:00Z")
    assert len(asked["lockouts"]) == (account == "ACC2")


def test_as_of_and_diff_read_theirs_in_the_zone(run: Run, zoned: Path) -> None:
    at = ("2025-11-19 09:00:04", "--occurred-at", "--zone", CHICAGO, "--data", zoned, "--json")
    assert [held["quantity"] for held in run("as-of", *at).document["positions"]] == ["2", "-1"]
    with eventstore.open(zoned) as store:
        recorded_at = next(store.read(after=3, limit=1)).recorded_at
    local = format_time(recorded_at, zone_named(CHICAGO))[:29]
    assert run("as-of", local, "--zone", CHICAGO, "--data", zoned, "--json").document["position"] == 4
    assert run("diff", "2", local, "--zone", CHICAGO, "--data", zoned, "--json").document["second"] == 4
    assert json.loads(run("read", "--start", local, "--limit", "1", "--zone", CHICAGO, "--data", zoned, "--json").out)[
        "position"
    ] == 4  # fmt: skip


def test_what_is_appended_is_read_in_the_zone_of_its_account(run: Run, zoned: Path) -> None:
    members = json.dumps({"rule_id": "r", "until": "2025-11-20 01:00"})
    arguments = ("append", "lockout/ACC2/r", "LockoutSet", members, "--occurred-at", "2025-11-20 00:10")
    assert run(*arguments, "--data", zoned).code == 0
    with eventstore.open(zoned) as store:
        *_, record = store.read(stream="lockout/ACC2/r")
    assert record.occurred_at == parse_time("2025-11-19T15:10:00Z")
    assert isinstance(record.event, LockoutSet)
    assert record.event.until == parse_time("2025-11-19T16:00:00Z")


def test_a_lock_ends_in_the_zone_of_its_account(run: Run, zoned: Path) -> None:
    ended = run("lock", "ACC2", "--until", "2099-01-01 09:00", "--data", zoned)
    assert "until 2099-01-01T09:00:00.000+09:00" in ended.out
    ended = run("lock", "ACC2", "--until", "2099-01-02", "--rule", "other", "--zone", CHICAGO, "--data", zoned)
    assert "until 2099-01-02T00:00:00.000-06:00" in ended.out


def test_a_lock_by_a_calendar_is_shown_in_its_zone(run: Run, zoned: Path, tmp_path: Path) -> None:
    file = tmp_path / "risk.toml"
    file.write_text(f'[accounts.ACC1.calendar]\nzone = "{CHICAGO}"\nopen = "17:00"\nreset = "17:00"\n')
    ended = run("lock", "ACC1", "--session", "--calendars", file, "--data", zoned)
    assert "T17:00:00.000-0" in ended.out


def test_a_limit_is_shown_in_the_zone_of_its_account(run: Run, zoned: Path) -> None:
    with eventstore.open(zoned) as store:
        limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "5E+2"})
        store.append("limits/ACC2/daily-loss", limit, actor="desk", occurred_at=NINE)
    output = run("limits", "--account", "ACC2", "--data", zoned).out
    assert "+09:00  desk" in output
    assert "limit 500" in output


@pytest.mark.parametrize(
    "arguments",
    [
        ("read",),
        ("tail",),
        ("state",),
        ("as-of", "1"),
        ("diff", "1", "2"),
        ("timeline",),
        ("changes",),
        ("limits",),
        ("stats",),
        ("lock", "ACC1"),
        ("unlock", "ACC1"),
        ("mark", "noon"),
        ("append", "mark/-/x", "Marked", '{"name": "x"}'),
        ("mirror", "--check"),
        ("why", "8"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_wrong_zone_is_a_usage_error_with_those_close_to_it(run: Run, data: Path, arguments: tuple[str, ...]) -> None:
    ended = run(*arguments, "--zone", "America/Chikago", "--data", data)
    assert (ended.code, ended.out) == (2, "")
    assert "unknown time zone 'America/Chikago': did you mean America/Chicago" in ended.err
    with eventstore.open(data) as store:
        assert store.head() == 8


def test_a_time_that_the_clocks_show_twice_is_refused_with_both(run: Run, data: Path) -> None:
    ended = run("state", "--at", "2025-11-02 01:30", "--zone", CHICAGO, "--data", data)
    assert ended.code == 2
    assert "give its offset, 2025-11-02T01:30:00-05:00 or 2025-11-02T01:30:00-06:00" in ended.err
