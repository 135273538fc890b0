"""`lock`, `unlock` and `limits`: by hand, until when, for whom, and what is refused without writing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import InvalidEvent
from eventstore.clock import parse_duration, parse_time
from eventstore.trading import (
    AccountOpened,
    Allows,
    BlackoutScheduled,
    ContractDefined,
    LimitsSet,
    LockoutSet,
    PolicyStopped,
    SessionOpened,
)
from projections import Policies
from projections.rules import shipped_rules
from tests.cli.command import NINE, SECOND, Run

HOUR = 3_600 * SECOND
SEEDS = """
[accounts.ACC1]
starting_balance = "50000"
currency = "USD"

[accounts.ACC1.limits.daily-loss]
limit = "1000"
"""


def head(data: Path) -> int:
    with eventstore.open(data) as store:
        return store.head()


def lockouts(data: Path) -> list[LockoutSet]:
    with eventstore.open(data) as store:
        events = [record.event for record in store.read(stream="lockout/ACC1/manual")]
    return [event for event in events if isinstance(event, LockoutSet)]


def test_a_lock_without_a_time_has_no_end(run: Run, data: Path) -> None:
    ended = run("lock", "ACC1", "--reason", "too much coffee", "--data", data)
    assert ended.code == 0
    assert "ACC1 locked: position " in ended.out
    assert "locked without end date by manual (account), lets reductions through" in ended.out
    [event] = lockouts(data)
    assert event == LockoutSet(rule_id="manual", allows=Allows.REDUCE_ONLY, reason="too much coffee")


def test_a_lock_until_an_instant_ends_then(run: Run, data: Path) -> None:
    ended = run(
        "lock", "ACC1", "--until", "2099-01-01T00:00:00Z", "--nothing", "--symbol", "ESZ5", "--data", data, "--json"
    )
    [held] = ended.document["lockouts"]
    assert (held["until"], held["scope"], held["allows"]) == (
        "2099-01-01T00:00:00.000000000Z",
        "symbol:ESZ5",
        "NOTHING",
    )
    assert ended.document["record"]["type"] == "LockoutSet"


def test_a_lock_for_a_time_begins_now(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        before = store.clock.now_ns()
    run("lock", "ACC1", "--for", "2h", "--data", data)
    with eventstore.open(data) as store:
        after = store.clock.now_ns()
    until = lockouts(data)[0].until
    assert until is not None
    assert before + 2 * HOUR <= until <= after + 2 * HOUR


def test_a_lock_for_the_session_ends_with_the_reset(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        reset = store.clock.now_ns() + 5 * HOUR
        opened = SessionOpened(trading_day=date(2026, 1, 5), began_at=NINE, resets_at=reset)
        store.append("session/ACC1/2026-01-05", opened)
    assert run("lock", "ACC1", "--session", "--data", data).code == 0
    assert lockouts(data)[0].until == reset


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--session",), "no session of ACC1 says when it resets next: give --until, --for or --calendars"),
        (("--until", "2020-01-01T00:00:00Z"), "is in the past: a lockout must end in the future"),
        (("--until", "2099-01-01T00:00:00Z", "--for", "2h"), "give one of --until, --for and --session"),
        (
            ("--for", "99999d"),
            "--for 99999d is out of range: a lockout ends by 2199-12-31; leave out --for for no end date",
        ),
        (("--for", "soon"), "invalid duration 'soon': write it like 2h, 90m or 1d12h"),
        (("--symbol", "ESZ5", "--root", "ES"), "give --symbol or --root"),
    ],
)
def test_what_says_no_end_or_two_is_refused(run: Run, data: Path, arguments: tuple[str, ...], sentence: str) -> None:
    before = head(data)
    ended = run("lock", "ACC1", *arguments, "--data", data)
    assert ended.code == 2
    assert sentence in ended.err
    assert head(data) == before


def test_a_group_is_not_locked_by_its_name(run: Run, data: Path) -> None:
    for more in ((), ("--new",)):
        ended = run("lock", "@desk", *more, "--data", data)
        assert (ended.code, ended.out) == (2, "")
        assert "@desk is a group, and each account is locked by itself: name its members" in ended.err


def test_a_calendar_may_come_from_a_file(run: Run, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "risk.toml"
    file.write_text('[accounts.ACC1.calendar]\nzone = "UTC"\nopen = "00:00"\nreset = "00:00"\nweekdays = ["Monday"]\n')
    assert run("lock", "ACC1", "--session", "--calendars", file, "--data", data).code == 0
    until = lockouts(data)[0].until
    assert until is not None
    # Monday's trading day is reset when Tuesday begins; 1970 began on a Thursday.
    assert (until // (24 * HOUR) + 3) % 7 == 1
    assert until % (24 * HOUR) == 0


def test_unlock_of_an_account_that_is_open_says_so(run: Run, data: Path) -> None:
    ended = run("unlock", "ACC1", "--data", data)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "ACC1 has no active lockouts" in ended.err


def test_unlock_ends_what_was_set_by_hand(run: Run, data: Path) -> None:
    run("lock", "ACC1", "--root", "ES", "--data", data)
    ended = run("unlock", "ACC1", "--reason", "slept over it", "--actor", "boss", "--data", data)
    assert ended.code == 0
    assert ended.out.startswith("ACC1 unlocked: position ")
    assert "manual" not in run("state", "--account", "ACC1", "--data", data).out


def test_unlock_says_what_else_holds(run: Run, data: Path) -> None:
    run("lock", "ACC1", "--data", data)
    run("lock", "ACC1", "--rule", "supervisor", "--data", data)
    ended = run("unlock", "ACC1", "--data", data)
    assert "ACC1 still locked" in ended.out
    assert "locked without end date by supervisor (account)" in ended.out


def test_an_irrevocable_lock_stays(run: Run, data: Path) -> None:
    run("lock", "ACC1", "--for", "1d", "--irrevocable", "--data", data)
    before = head(data)
    ended = run("unlock", "ACC1", "--data", data)
    assert ended.code == 1
    assert "irrevocable: nothing was changed" in ended.err
    assert head(data) == before


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ((), ()),
        ((), ("--until", "2099-01-01")),
        ((), ("--irrevocable",)),
        (("--nothing",), ()),
        (("--until", "2099-01-01"), ("--until", "2099-01-01", "--reason", "another")),
        (("--until", "2099-01-01"), ("--for", "2h")),
        (("--symbol", "ESZ5"), ("--symbol", "ESZ5", "--for", "2h")),
    ],
)
def test_locking_no_stricter_than_an_irrevocable_lock_changes_nothing(
    run: Run, data: Path, first: tuple[str, ...], again: tuple[str, ...]
) -> None:
    assert run("lock", "ACC1", *first, "--irrevocable", "--data", data).code == 0
    before = head(data)
    for form in ((), ("--json",)):
        ended = run("lock", "ACC1", *again, *form, "--data", data)
        assert (ended.code, ended.out) == (1, "")
        assert "ACC1 is already locked irrevocably" in ended.err
        assert "by manual" in ended.err
        assert ended.err.endswith("; nothing was changed\n")
    assert head(data) == before


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (("--irrevocable",), ("--nothing",)),
        (("--irrevocable", "--until", "2099-01-01"), ("--until", "2099-01-02")),
        (("--irrevocable", "--until", "2099-01-01"), ()),
        (("--irrevocable",), ("--rule", "supervisor")),
        (("--irrevocable", "--symbol", "ESZ5"), ()),
        ((), ("--for", "2h")),
    ],
)
def test_locking_more_strictly_or_elsewhere_is_recorded(
    run: Run, data: Path, first: tuple[str, ...], again: tuple[str, ...]
) -> None:
    run("lock", "ACC1", *first, "--data", data)
    before = head(data)
    assert run("lock", "ACC1", *again, "--data", data).code == 0
    assert head(data) == before + 1


def test_unlocking_what_is_not_locked_names_what_is(run: Run, data: Path) -> None:
    run("lock", "ACC1", "--rule", "supervisor", "--data", data)
    ended = run("unlock", "ACC1", "--data", data)
    assert ended.code == 2
    assert "no active lockout by 'manual'" in ended.err
    assert "supervisor (account)" in ended.err


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7_200), ("90m", 5_400), ("1d12h", 129_600), ("45s", 45), ("1h30m15s", 5_415)]
)
def test_times_are_written_as_people_do(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds * SECOND


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2h 30m", "0h", "2H"])
def test_other_texts_are_not_times(text: str) -> None:
    with pytest.raises(InvalidEvent, match="invalid duration"):
        parse_duration(text)


def test_limits_are_seeded_once_and_shown(run: Run, tmp_path: Path) -> None:
    file, data = tmp_path / "risk.toml", tmp_path / "data"
    file.write_text(SEEDS)
    first = run("limits", "--seed", file, "--actor", "boss", "--data", data)
    assert "2 events appended" in first.err
    assert "daily-loss" in first.out
    assert "limit 1000" in first.out
    assert "boss" in first.out
    again = run("limits", "--seed", file, "--data", data, "--json")
    assert "nothing was added" in again.err
    [limit] = again.document
    assert (limit["account"], limit["rule_id"], limit["parameters"]) == ("ACC1", "daily-loss", {"limit": "1000"})


def test_a_loosening_is_shown_as_waiting(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        for limit in ("1000", "2000"):
            event = LimitsSet(rule_id="daily-loss", parameters={"limit": limit})
            store.append("limits/ACC1/daily-loss", event, actor="boss", occurred_at=parse_time("2026-01-01T00:00:00Z"))
    assert "limit 1000" in run("limits", "--data", data).out
    waiting = run("limits", "--pending", "--data", data).out
    assert "limit 2000" in waiting
    assert "the next session" in waiting


EQUITY = SEEDS + 'basis = "equity"\n'


def test_limits_and_doctor_say_where_a_limit_on_equity_lacks_a_baseline(run: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "risk.toml").write_text(EQUITY)
    ended = run("limits", "--seed", tmp_path / "risk.toml", "--data", data)
    why = "ACC1: no baseline is stated, so results on basis equity are judged by maximum, the strictest"
    assert why in " ".join(ended.out.split())
    assert why in " ".join(run("doctor", "--data", data).out.split())
    [limit] = run("limits", "--data", data, "--json").document
    assert (limit["baseline"], limit["baseline_stated"]) == ("maximum", False)


def test_a_stated_baseline_and_a_limit_on_what_is_realized_need_no_word(run: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "risk.toml").write_text(EQUITY + '[accounts.ACC1.settings]\nbaseline = "maximum"\n')
    ended = run("limits", "--seed", tmp_path / "risk.toml", "--data", data)
    assert "baseline is stated" not in ended.out + run("doctor", "--data", data).out
    [limit] = run("limits", "--data", data, "--json").document
    assert (limit["baseline"], limit["baseline_stated"]) == ("maximum", True)
    other = tmp_path / "other"
    (tmp_path / "risk.toml").write_text(SEEDS)
    assert "baseline" not in run("limits", "--seed", tmp_path / "risk.toml", "--data", other).out
    assert "baseline" not in run("limits", "--data", other, "--json").out


def shown(run: Run, data: Path) -> tuple[str, str, str]:
    """Return what `limits`, its JSON and `doctor` say."""
    [limit] = run("limits", "--data", data, "--json").document
    words = [" ".join(run(command, "--data", data).out.split()) for command in ("limits", "doctor")]
    why = None if limit["unjudged"] is None else limit["unjudged"]["why"]
    return words[0], f"{limit['enforcement']}: {why}", words[1]


def test_limits_and_doctor_say_whether_policies_enforce_them(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "risk.toml").write_text(SEEDS)
    run("limits", "--seed", tmp_path / "risk.toml", "--data", data)
    limits, status, doctor = shown(run, data)
    assert "ACC1: not enforced, only checked before each order" in limits
    assert status == "not enforced: None"
    assert "warning policies ACC1: not enforced" in doctor
    with eventstore.open(data) as store, projections.open(store) as book:
        policies = Policies(book, shipped_rules()).start(ticking=False)
        limits, status, doctor = shown(run, data)
        assert "enforced" not in limits
        assert status == "enforced: None"
        assert "ok policies none has stopped" in doctor
        policies.stop()
    limits, status, doctor = shown(run, data)
    for said in (limits, status, doctor):
        assert "no process runs the policies of log main for ACC1, so its limits are unjudged" in said
    assert status.startswith("unjudged: ")


def test_a_stopped_policy_is_shown_as_what_is_wrong(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "risk.toml").write_text(SEEDS)
    run("limits", "--seed", tmp_path / "risk.toml", "--data", data)
    with eventstore.open(data) as store:
        store.append("policy/ACC1/daily-loss", PolicyStopped(policy="daily-loss", why="it broke"))
    limits, status, doctor = shown(run, data)
    for said in (limits, status, doctor):
        assert "policy daily-loss has stopped for ACC1 (it broke), so its limits are unjudged" in said
    assert "wrong policies policy daily-loss" in doctor
    assert run("doctor", "--data", data).code == 1


def test_misspelt_accounts_and_symbols_of_blackouts_are_shown(run: Run, tmp_path: Path) -> None:
    data, now = tmp_path / "data", parse_time("2030-01-01T00:00:00Z")
    with eventstore.open(data) as store:
        store.append("account/ACC1/-", AccountOpened(starting_balance=Decimal(1), currency="USD"))
        store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", root="ES"))
        for account in ("ACC1", "ACCI", "OTHER"):
            event = LimitsSet(rule_id="trade-limit", parameters={"limit": 9})
            store.append(f"limits/{account}/trade-limit", event, actor="boss")
        for stream, stop in (("blackout/-/CPI", now), ("blackout/ACC1/old", NINE)):
            news = BlackoutScheduled(start=NINE - SECOND, stop=stop, reason="news", symbols=("ES", "EZS5"))
            store.append(stream, news)
    unopened = [
        "ACCI has limits, and was never opened: did you mean ACC1? If not, open it",
        "OTHER has limits, and was never opened: open it",
    ]
    found = " ".join(run("doctor", "--data", data).out.split())
    for note in (*unopened, "every account: blackout CPI names EZS5, and no contract has this name or root"):
        assert note in found
    assert (found.count("was never opened"), found.count("names EZS5")) == (2, 1)
    assert all(note in " ".join(run("limits", "--data", data).out.split()) for note in unopened)


NAMED = """
[accounts.ACC1]
starting_balance = "50000"
currency = "USD"

[accounts.ACC1.limits.maximum-position]
limit = "3"
limits = {ES = "3", EZS5 = "2", NQ = "3"}

[accounts.ACC1.limits.maximum-contracts]
limit = "3"
weights = {MES = "0.1", GC = "10"}

[accounts.ACC1.limits.available-balance]
margins = {ESZ5 = "500", SI = "500"}

[accounts.ACC1.limits.symbol-block]
symbols = ["ESZ5", "CLF6"]
"""


def test_a_name_in_a_limit_that_no_contract_has_is_shown(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "risk.toml").write_text(NAMED)
    assert "no contract has" not in run("limits", "--seed", tmp_path / "risk.toml", "--data", data).out, (
        "none is defined"
    )
    with eventstore.open(data) as store:
        store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", root="ES"))
    unknown = "and no contract has this name or root, so that part of it applies to nothing:"
    notes = [
        f"ACC1: available-balance names SI, {unknown} define it, or set it again",
        f"ACC1: maximum-contracts names GC, {unknown} define it, or set it again",
        f"ACC1: maximum-position names EZS5, {unknown} did you mean ESZ5? If not, define it",
        f"ACC1: symbol-block names CLF6, {unknown} define it, or set it again",
    ]
    for command in ("limits", "doctor"):
        said = " ".join(run(command, "--data", data).out.split())
        for note in notes:
            assert note in said
        assert said.count("no contract has this name") == len(notes), "weights and limits that others are not looser by"
    with eventstore.open(data) as store:
        for symbol, root, others in (("CLF6", None, ("EZS5",)), ("GCG6", "GC", ()), ("SIH6", "SI", ())):
            store.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, root=root, broker_ids=others))
    assert "no contract has this name" not in run("limits", "--data", data).out
