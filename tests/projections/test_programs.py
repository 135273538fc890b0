"""The shipped programs of prop firms, each a file with source and date; their worked examples are beside this one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore, InvalidEvent, ManualClock, SystemClock
from eventstore.trading import AccountConfigured, AccountOpened, Cost, LimitsSet
from projections import seeds
from projections.risk import programs
from projections.seeds import PublishedProgram
from projections.views.limits.parameters import read
from tests.documents import ROOT

NAMES = programs.names()
EXAMPLES = [ROOT / "tests" / "projections" / name for name in ("test_worked_examples.py", "test_worked_drawdowns.py")]
ROW = re.compile(r"^\| `(?P<name>[\w-]+)` \| (?P<firm>[^|]+) \| (?P<dated>[\d-]+) \|", re.MULTILINE)
COPIED = """
[program]
name = "mine"
firm = "A firm"
source = "its contract"
dated = 2026-01-05
[defaults]
starting_balance = "50000"
currency = "USD"
[defaults.calendar]
zone = "UTC"
open = "00:00"
reset = "00:00"
[defaults.limits.daily-loss]
limit = "1000"
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data", clock=ManualClock(datetime(2026, 11, 30, tzinfo=UTC))) as opened:
        yield opened


def published(name: str) -> PublishedProgram:
    program = programs.load(name).program
    assert program is not None
    return program


def written(directory: Path, text: str, *accounts: str) -> seeds.Seeds:
    path = directory / "program.toml"
    path.write_text(text, "utf-8")
    return seeds.load(path, *accounts)


# What the files have


def test_there_are_six_of_them() -> None:
    assert len(NAMES) == 6
    assert [path.stem for path in sorted(programs.path(NAMES[0]).parent.glob("*.toml"))] == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_says_whose_rules_it_has_where_they_were_read_and_when(name: str) -> None:
    found = published(name)
    assert found.name == name
    assert found.firm
    assert found.source.startswith("https://")
    today = datetime.fromtimestamp(SystemClock().now_ns() / 1e9, UTC).date()
    assert date(2026, 1, 1) < found.dated <= today


@pytest.mark.parametrize("name", NAMES)
def test_each_states_balance_calendar_settings_and_limits(name: str) -> None:
    plan = programs.load(name, "A")
    assert plan.accounts["A"].program == name
    assert list(plan.calendars) == ["A"]
    settings = plan.settings["A"]
    stated = (settings.valuation, settings.baseline, settings.payout, settings.cost)
    assert None not in stated
    assert "trailing-drawdown" in {limit.rule_id for limit in plan.limits["A"]}


DAYS = {
    "alpha-one-100k": ("2026-01-14 22:00", "2026-07-15 21:00", 7),
    "apex-legacy-50k": ("2026-01-14 23:00", "2026-07-15 22:00", 5),
    "breakout-2-step-100k": ("2026-01-15 00:30", "2026-07-16 00:30", 7),
    "ftmo-2-step-200k": ("2026-01-14 23:00", "2026-07-15 22:00", 7),
    "topstep-combine-50k": ("2026-01-14 23:00", "2026-07-15 22:00", 5),
    "topstep-express-funded-50k": ("2026-01-14 23:00", "2026-07-15 22:00", 5),
}
"""When a day turns after noon of a Wednesday in winter and in summer, in UTC; how many days a week has."""


@pytest.mark.parametrize("name", NAMES)
def test_each_has_the_days_of_its_firm(name: str) -> None:
    [calendar] = programs.load(name, "A").calendars.values()
    winter, summer, count = DAYS[name]
    for noon, reset in (
        (datetime(2026, 1, 14, 12, tzinfo=UTC), winter),
        (datetime(2026, 7, 15, 12, tzinfo=UTC), summer),
    ):
        turns = datetime.fromtimestamp(calendar.next_reset(noon) / 1e9, UTC)
        assert turns == datetime.fromisoformat(f"{reset}+00:00")
    assert len(calendar.weekdays) == count


@pytest.mark.parametrize("name", NAMES)
def test_each_names_only_kinds_and_parameters_that_exist(store: EventStore, name: str) -> None:
    with projections.open(store) as book:
        programs.load(name, "A").apply(book, "desk")
        limits = book.limits.of("A")
        assert len(limits) == len(programs.load(name, "A").limits["A"])
        for limit in limits:
            assert read(limit).enabled


@pytest.mark.parametrize("name", NAMES)
def test_each_has_an_example_of_its_firm_worked_out_through_its_file(name: str) -> None:
    assert any(f'"{name}"' in path.read_text(encoding="utf-8") for path in EXAMPLES)


def test_the_table_in_the_document_has_each_program_with_firm_and_date() -> None:
    text = (ROOT / "docs" / "RISK.md").read_text(encoding="utf-8")
    table = text.partition("\n## Programs\n")[2].partition("\n## ")[0]
    listed = {found["name"]: (found["firm"], found["dated"]) for found in ROW.finditer(table)}
    assert listed == {name: (published(name).firm, published(name).dated.isoformat()) for name in NAMES}


@pytest.mark.parametrize(
    ("name", "share"), [("breakout-2-step-100k", Decimal("0.05")), ("alpha-one-100k", Decimal("0.04"))]
)
def test_a_sum_in_place_of_a_share_is_never_looser_than_the_firms_limit(name: str, share: Decimal) -> None:
    plan = programs.load(name, "A")
    start = plan.accounts["A"].starting_balance
    parameters = {limit.rule_id: limit.parameters for limit in plan.limits["A"]}
    daily = Decimal(parameters["daily-loss"]["limit"])
    distance = Decimal(parameters["trailing-drawdown"]["distance"])
    for baseline in map(Decimal, [*range(90_000, 100_000), *range(100_000, 130_000, 100)]):
        floor = min(max(start, baseline) - distance, Decimal(parameters["trailing-drawdown"]["locks_at"]))
        assert max(floor, baseline - daily) >= max(floor, baseline * (1 - share)), baseline


# Setting one up


@pytest.mark.parametrize("name", NAMES)
def test_a_program_sets_all_of_it_at_once_and_a_second_time_nothing(store: EventStore, name: str) -> None:
    plan = programs.load(name, "A")
    with projections.open(store, calendars=plan.calendars) as book:
        records = plan.apply(book, "desk")
        assert [type(record.event) for record in records[:2]] == [AccountOpened, AccountConfigured]
        assert {type(record.event) for record in records[2:]} == {LimitsSet}
        assert {record.note for record in records} == {f"seeded from {name}.toml, dated {published(name).dated}"}
        head = store.head()
        assert plan.apply(book, "somebody") == []
        assert programs.load(name, "A").apply(book, "somebody") == []
        assert (store.head(), plan.kept(book)) == (head, {})


def test_a_calendar_is_that_of_the_named_accounts_alone(store: EventStore) -> None:
    plan = programs.load("topstep-combine-50k", "A", "B")
    assert list(plan.calendars) == ["A", "B"]
    with projections.open(store, calendars=plan.calendars) as book:
        assert book.sessions.calendar("B") == plan.calendars["A"]
        assert book.sessions.calendar("OTHER") is None


def test_without_an_account_a_program_has_only_its_calendar() -> None:
    plan = programs.load("ftmo-2-step-200k")
    assert (plan.accounts, plan.settings, plan.limits) == ({}, {}, {})
    assert list(plan.calendars) == ["*"]


def test_an_account_of_another_size_or_currency_is_left_alone(store: EventStore) -> None:
    for account, balance, currency in (("A", 100_000, "USD"), ("B", 50_000, "EUR")):
        opened = AccountOpened(starting_balance=Decimal(balance), currency=currency)
        store.append(f"account/{account}/-", opened)
        head = store.head()
        with projections.open(store) as book:
            reason = f"{account} was opened with {balance} {currency}, and topstep-combine-50k is for 50000 USD"
            with pytest.raises(InvalidEvent, match=re.escape(reason)):
                programs.load("topstep-combine-50k", account).apply(book, "desk")
        assert store.head() == head


def test_what_was_set_before_stays_and_is_named(store: EventStore) -> None:
    opened = AccountOpened(starting_balance=Decimal("200000.00"), currency="USD")
    store.append("account/A/-", [opened, AccountConfigured(payout="moves-floor", cost=Cost.FIFO)], actor="trader")
    by_hand = LimitsSet(rule_id="daily-loss", parameters={"limit": "50000"})
    store.append("limits/A/daily-loss", by_hand, actor="trader")
    with projections.open(store) as book:
        plan = programs.load("ftmo-2-step-200k", "A")
        records = plan.apply(book, "desk")
        assert [record.stream for record in records] == ["account/A/-", "limits/A/trailing-drawdown"]
        assert plan.kept(book) == {"A": ["payout", "daily-loss"]}
        limit = book.limits.get("A", "daily-loss")
        assert limit is not None
        assert limit.parameters == {"limit": "50000"}


# What is refused


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("topstep-combine-50", "did you mean topstep-combine-50k?"),
        ("FTMO-2-Step-200k", "did you mean ftmo-2-step-200k?"),
        ("breakout", "The programs are alpha-one-100k, "),
        ("", "The programs are alpha-one-100k, "),
        ("../programs/apex-legacy-50k", "did you mean apex-legacy-50k?"),
        ("apex-legacy-50k.toml", "did you mean apex-legacy-50k?"),
    ],
)
def test_a_misspelt_program_is_refused_with_the_nearest_name(name: str, nearest: str) -> None:
    with pytest.raises(InvalidEvent, match=re.escape(f"there is no program {name!r}: ")) as raised:
        programs.load(name, "A")
    assert nearest in str(raised.value)


@pytest.mark.parametrize(
    ("account", "why"), [("-", "belongs to no account"), ("A/B", "account 'A/B'"), ("", "1 to 64")]
)
def test_what_is_not_an_account_is_refused(account: str, why: str) -> None:
    with pytest.raises(InvalidEvent, match=re.escape(why)):
        programs.load("ftmo-2-step-200k", account)


@pytest.mark.parametrize("account", [None, 3, ["A"]])
def test_an_account_that_is_not_text_is_refused(account: object) -> None:
    with pytest.raises(InvalidEvent, match="account"):
        programs.load("ftmo-2-step-200k", account)  # type: ignore[arg-type]


def test_a_file_of_your_own_may_be_a_program(store: EventStore, tmp_path: Path) -> None:
    plan = written(tmp_path, COPIED, "A")
    with projections.open(store) as book:
        [opened, _] = plan.apply(book, "desk")
    assert opened.note == "seeded from program.toml, dated 2026-01-05"
    assert plan.accounts["A"].program == "mine"


@pytest.mark.parametrize(
    ("line", "instead", "why"),
    [
        ('name = "mine"', "", "[program] lacks name"),
        ('firm = "A firm"', "", "[program] lacks firm"),
        ('source = "its contract"', "", "[program] lacks source"),
        ("dated = 2026-01-05", "", "[program] lacks dated"),
        ('name = "mine"', 'name = ""', "[program] name = '': expected text in quotes"),
        ('firm = "A firm"', "firm = 3", "[program] firm = 3: expected text in quotes"),
        ("dated = 2026-01-05", 'dated = "last year"', "[program] dated 'last year': expected a date"),
        ("dated = 2026-01-05", "date = 2026-01-05", "[program] unknown key date: the keys are name, firm, source, "),
    ],
)
def test_a_program_without_name_firm_source_or_date_is_refused(
    tmp_path: Path, line: str, instead: str, why: str
) -> None:
    assert line in COPIED
    with pytest.raises(InvalidEvent, match=re.escape(why)):
        written(tmp_path, COPIED.replace(line, instead), "A")
