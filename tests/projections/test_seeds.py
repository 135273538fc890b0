"""Seeds: what a TOML file gives accounts to start with is appended once."""

import re
import threading
from collections.abc import Iterator, Sequence
from datetime import date, time
from decimal import Decimal
from pathlib import Path

import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import (
    SYNCED,
    Batch,
    Durability,
    EventStore,
    InvalidEvent,
    ReadOnly,
    Record,
    Unchanged,
    VersionConflict,
)
from eventstore.ids import keyed_id
from eventstore.trading import AccountOpened, AccountUpdated, LimitsSet
from projections import Book, seeds
from projections.seeds import Seeds, load
from projections.sessions import Calendar

RISK = """
[defaults]
currency = "USD"
program = "Start"

[defaults.calendar]
zone = "America/Chicago"
open = "17:00"
flat_by = 15:10:00
reset = "17:00"
holidays = [2026-12-25, "2027-01-01"]
early_closes = {2026-11-27 = "12:00"}
week_start = "Sunday"

[defaults.limits.daily-loss]
limit = "1000"
basis = "realized"

[accounts.ACC1]
starting_balance = "50000.00"
program = "50K"

[accounts.ACC1.limits.daily-loss]
limit = "500"

[accounts.ACC1.limits."maximum-position:news/no trade"]
limits = {ESZ5 = 3}

[accounts.ACC2]
starting_balance = 25000
currency = "EUR"

[accounts.ACC2.calendar]
zone = "UTC"
open = "00:00"
reset = "00:00"
weekdays = ["Sunday", "monday"]

[accounts.ACC3]
"""
DAILY_LOSS = LimitsSet(rule_id="daily-loss", parameters={"limit": "1000", "basis": "realized"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as opened:
        yield opened


def written(directory: Path, text: str) -> Seeds:
    path = directory / "risk.toml"
    path.write_text(text, "utf-8")
    return load(path)


def facts(store: EventStore) -> list[tuple[str, eventstore.Event]]:
    return [(record.stream, record.event) for record in store.read()]


def test_a_file_says_how_accounts_begin_their_calendars_and_their_limits(tmp_path: Path) -> None:
    found = written(tmp_path, RISK)
    assert found.accounts == {
        "ACC1": AccountOpened(starting_balance=Decimal("50000.00"), currency="USD", program="50K"),
        "ACC2": AccountOpened(starting_balance=Decimal(25000), currency="EUR", program="Start"),
    }
    assert found.calendars == {
        "*": Calendar(
            zone="America/Chicago",
            open=time(17),
            flat_by=time(15, 10),
            reset=time(17),
            holidays=frozenset({date(2026, 12, 25), date(2027, 1, 1)}),
            early_closes={date(2026, 11, 27): time(12)},
            week_start=6,
        ),
        "ACC2": Calendar(zone="UTC", open=time(0), reset=time(0), weekdays=(0, 6)),
    }
    assert found.limits == {
        "ACC1": (
            LimitsSet(rule_id="daily-loss", parameters={"limit": "500"}),
            LimitsSet(rule_id="maximum-position:news/no trade", parameters={"limits": {"ESZ5": 3}}),
        ),
        "ACC2": (DAILY_LOSS,),
        "ACC3": (DAILY_LOSS,),
    }


def test_seeding_appends_each_fact_with_who_did_it_and_a_second_time_nothing(store: EventStore, tmp_path: Path) -> None:
    book, found = projections.open(store), written(tmp_path, RISK)
    records = found.apply(book, "risk desk")
    assert [record.stream for record in records] == [
        "account/ACC1/-",
        "limits/ACC1/daily-loss",
        "limits/ACC1/maximum-position:news%2Fno trade",
        "account/ACC2/-",
        "limits/ACC2/daily-loss",
        "limits/ACC3/daily-loss",
    ]
    assert [record.id for record in records] == [keyed_id(record.stream, "seed") for record in records]
    assert {(record.actor, record.note) for record in records} == {("risk desk", "seeded from risk.toml")}
    assert facts(store)[4:] == [("limits/ACC2/daily-loss", DAILY_LOSS), ("limits/ACC3/daily-loss", DAILY_LOSS)]
    assert book.position == store.head() == 6
    assert found.apply(book, "risk desk") == []
    assert written(tmp_path, RISK).apply(projections.open(store), "somebody") == []
    assert store.head() == 6


def test_a_changed_file_changes_nothing_that_was_seeded(store: EventStore, tmp_path: Path) -> None:
    book = projections.open(store)
    written(tmp_path, RISK).apply(book, "risk desk")
    before = facts(store)
    changed = RISK.replace('"500"', '"5000"').replace('"50000.00"', '"90000"').replace('"1000"', '"1"')
    assert written(tmp_path, changed).apply(book, "risk desk") == []
    assert facts(store) == before


def test_what_a_changed_file_adds_is_seeded(store: EventStore, tmp_path: Path) -> None:
    book = projections.open(store)
    written(tmp_path, RISK).apply(book, "risk desk")
    more = '\n[accounts.ACC2.limits.order-size]\nlimit = 9\n[accounts.ACC4]\nstarting_balance = "1"\n'
    records = written(tmp_path, RISK + more).apply(book, "risk desk")
    assert [record.stream for record in records] == [
        "limits/ACC2/order-size",
        "account/ACC4/-",
        "limits/ACC4/daily-loss",
    ]


def test_a_limit_that_was_set_by_hand_before_stays(store: EventStore, tmp_path: Path) -> None:
    by_hand = LimitsSet(rule_id="daily-loss", parameters={"limit": "1"})
    store.append("limits/ACC1/daily-loss", by_hand, actor="trader")
    opened = AccountOpened(starting_balance=Decimal(7), currency="EUR")
    store.append("account/ACC2/-", opened)
    book = projections.open(store)
    records = written(tmp_path, RISK).apply(book, "risk desk")
    assert [record.stream for record in records][:2] == [
        "account/ACC1/-",
        "limits/ACC1/maximum-position:news%2Fno trade",
    ]
    assert ("limits/ACC1/daily-loss", by_hand) in facts(store)
    assert [event for stream, event in facts(store) if stream == "account/ACC2/-"] == [opened]


def test_a_limit_that_was_changed_after_seeding_stays(store: EventStore, tmp_path: Path) -> None:
    book, found = projections.open(store), written(tmp_path, RISK)
    found.apply(book, "risk desk")
    changed = LimitsSet(rule_id="daily-loss", parameters={"limit": "2"})
    book.append("limits/ACC2/daily-loss", changed, actor="trader")
    assert found.apply(projections.open(store), "risk desk") == []
    assert facts(store)[-1] == ("limits/ACC2/daily-loss", changed)


def test_an_account_of_which_the_broker_reported_before_is_still_opened(store: EventStore, tmp_path: Path) -> None:
    store.append("account/ACC2/-", [AccountUpdated(balance=Decimal(1)), AccountUpdated(balance=Decimal(2))])
    written(tmp_path, RISK).apply(projections.open(store), "risk desk")
    assert [record.type for record in store.read(stream="account/ACC2/-")] == ["AccountUpdated"] * 2 + ["AccountOpened"]


class Late(Book):
    """A book that another writer overtakes just before its first append."""

    meantime: Sequence[tuple[str, eventstore.Event, str | None]] = ()

    @override
    def append_many(
        self, batches: Sequence[Batch], *, durability: Durability = SYNCED, unchanged: Unchanged | None = None
    ) -> list[Record]:
        meantime, self.meantime = self.meantime, ()
        for stream, event, key in meantime:
            self._store().append(stream, event, key=key, actor="trader")
        return super().append_many(batches, durability=durability, unchanged=unchanged)


def overtaken(store: EventStore, *meantime: tuple[str, eventstore.Event, str | None]) -> Late:
    book = projections.open(store)
    book.__class__ = Late
    assert isinstance(book, Late)
    book.meantime = meantime
    return book


@pytest.mark.parametrize("key", [None, "seed"])
def test_who_sets_a_limit_in_the_meantime_goes_first(store: EventStore, tmp_path: Path, key: str | None) -> None:
    by_hand = LimitsSet(rule_id="daily-loss", parameters={"limit": "3"})
    book = overtaken(store, ("limits/ACC1/daily-loss", by_hand, key))
    records = written(tmp_path, RISK).apply(book, "risk desk")
    assert len(records) == 5
    assert [event for stream, event in facts(store) if stream == "limits/ACC1/daily-loss"] == [by_hand]


def test_a_stream_that_never_rests_ends_in_the_conflict(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = overtaken(store, ("account/ACC1/-", AccountUpdated(balance=Decimal(1)), None))
    monkeypatch.setattr(seeds, "ATTEMPTS_MAX", 1)
    with pytest.raises(VersionConflict):
        written(tmp_path, RISK).apply(book, "risk desk")
    assert store.head() == 1


def test_several_at_once_seed_once(tmp_path: Path) -> None:
    found, begin = written(tmp_path, RISK), threading.Barrier(4)
    failures: list[BaseException] = []

    def seed() -> None:
        try:
            with eventstore.open(tmp_path / "data") as store:
                book = projections.open(store, snapshots=False)
                begin.wait(30)
                found.apply(book, "risk desk")
        except BaseException as error:
            failures.append(error)
            raise

    eventstore.open(tmp_path / "data").close()
    threads = [threading.Thread(target=seed) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    with eventstore.open(tmp_path / "data") as store:
        assert sorted(stream for stream, _ in facts(store)) == sorted({stream for stream, _ in facts(store)})
        assert store.head() == 6


def test_a_closed_book_is_not_seeded(store: EventStore, tmp_path: Path) -> None:
    book = projections.open(store)
    book.close()
    with pytest.raises(ReadOnly):
        written(tmp_path, RISK).apply(book, "risk desk")


def test_the_calendars_of_a_file_open_a_book(store: EventStore, tmp_path: Path) -> None:
    book = projections.open(store, calendars=written(tmp_path, RISK).calendars)
    assert book.sessions.calendar("ACC2") != book.sessions.calendar("ACC1") == book.sessions.calendar("OTHER")


def test_an_empty_file_seeds_nothing(store: EventStore, tmp_path: Path) -> None:
    found = written(tmp_path, "")
    assert (found.accounts, found.calendars, found.limits) == ({}, {}, {})
    assert found.apply(projections.open(store), "risk desk") == []


def test_the_example_that_load_documents_can_be_loaded(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", load.__doc__ or "", re.DOTALL)
    assert example is not None
    found = written(tmp_path, example[1])
    assert found.accounts["ACC1"].currency == "USD"
    assert found.limits["ACC1"][0].parameters == {"limit": "500"}
    assert list(found.calendars) == ["*"]


CALENDAR = '[accounts.A.calendar]\nzone = "UTC"\nopen = "17:00"\nreset = "17:00"\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[acounts.A]", "risk.toml: unknown key acounts: the keys are accounts, defaults"),
        ("accounts = 3", "risk.toml: accounts = 3: write a table [accounts] instead"),
        ("[accounts]\nA = 3", "risk.toml: [accounts] A = 3: write a table [accounts.A] instead"),
        (
            "[accounts.A]\nbalance = 3",
            "risk.toml: [accounts.A] unknown key balance: the keys are starting_balance, currency, ",
        ),
        ("[defaults]\nbalance = 3", "risk.toml: [defaults] unknown key balance"),
        ('[accounts."A.B"]\nx = 3', 'risk.toml: [accounts."A.B"] unknown key x'),
        ('[accounts."A/B"]', "risk.toml: [accounts.\"A/B\"] account 'A/B': 1 to 64 of A-Z"),
        ("[accounts.-]", "risk.toml: [accounts.-] is the partition of what belongs to no account"),
        ("[accounts.A]\nstarting_balance = 1.5", "[accounts.A] starting_balance = 1.5 is a float, which is not exact"),
        ("[defaults]\nstarting_balance = nan\n[accounts.A]", "[defaults] starting_balance = nan is a float"),
        ('[accounts.A]\nstarting_balance = "x"', "[accounts.A] starting_balance = 'x': expected a number of 0 or more"),
        (
            '[accounts.A]\nstarting_balance = "NaN"',
            "[accounts.A] starting_balance = 'NaN': expected a number of 0 or more",
        ),
        ("[accounts.A]\nstarting_balance = -1", "[accounts.A] starting_balance = -1: expected a number of 0 or more"),
        (
            "[accounts.A]\nstarting_balance = true",
            "[accounts.A] starting_balance = True: expected a number of 0 or more",
        ),
        ("[accounts.A]\nstarting_balance = [1]", "[accounts.A] starting_balance = [1]: expected a number of 0 or more"),
        ('[accounts.A]\ncurrency = "USD"\nstarting_balance = "1e200"', "[accounts.A] AccountOpened.starting_balance"),
        ('[accounts.A]\nstarting_balance = "1"', "[accounts.A] has a starting_balance and no currency"),
        ('[accounts.A]\ncurrency = "USD"', "[accounts.A] has a currency and no starting_balance"),
        ('[accounts.A]\nprogram = "50K"', "[accounts.A] has a program and no starting_balance"),
        ("[accounts.A]\nstarting_balance = 1\ncurrency = 3", "[accounts.A] currency = 3: expected text in quotes"),
        ('[accounts.A]\nstarting_balance = 1\ncurrency = ""', "[accounts.A] currency = '': expected text in quotes"),
        ("[accounts.A.limits]\nx = 3", "[accounts.A.limits] x = 3: write a table [accounts.A.limits.x] instead"),
        ("[accounts.A.limits.x]\nlimit = 0.5", "[accounts.A.limits.x] limit = 0.5 is a float, which is not exact"),
        ("[defaults.limits.x]\na = [{b = 0.5}]", "[defaults.limits.x] a.b = 0.5 is a float, which is not exact"),
        ('[accounts.A.limits.""]', 'risk.toml: [accounts.A.limits.""]'),
        (
            CALENDAR + 'flatby = "15:10"',
            "[accounts.A.calendar] unknown key flatby: the keys are zone, open, reset, flat_by, ",
        ),
        (CALENDAR + "flat_by = 15", "[accounts.A.calendar] flat_by = 15: expected a local time"),
        (CALENDAR + 'flat_by = "25:10"', "[accounts.A.calendar] flat_by = '25:10': expected a local time"),
        (CALENDAR + 'flat_by = "15:10Z"', "[accounts.A.calendar] flat_by = '15:10Z': expected a local time"),
        (CALENDAR + 'flat_by = "18:00"', "[accounts.A.calendar] flat_by 18:00:00 is after the reset at 17:00:00"),
        (CALENDAR + 'weekdays = ["Mon"]', "[accounts.A.calendar] weekdays 'Mon': expected one of Monday, Tuesday, "),
        (CALENDAR + 'weekdays = "Monday"', "[accounts.A.calendar] weekdays = 'Monday': expected an array in brackets"),
        (CALENDAR + "weekdays = []", "[accounts.A.calendar] weekdays must be one or more of 0 (Monday)"),
        (CALENDAR + "week_start = 0", "[accounts.A.calendar] week_start 0: expected one of Monday"),
        (CALENDAR + 'holidays = ["Christmas"]', "[accounts.A.calendar] holidays 'Christmas': expected a date such"),
        (CALENDAR + "holidays = [2026-12-25T00:00:00]", "[accounts.A.calendar] holidays datetime.datetime(2026"),
        (CALENDAR + "early_closes = [2026-11-27]", "early_closes = [datetime.date(2026, 11, 27)]: write a table"),
        (CALENDAR + 'early_closes = {friday = "12:00"}', "[accounts.A.calendar.early_closes] key 'friday': expected a"),
        (
            CALENDAR + "early_closes = {2026-11-27 = 12}",
            "[accounts.A.calendar.early_closes] 2026-11-27 = 12: expected a local",
        ),
        (CALENDAR.replace("UTC", "Mars/Olympus"), "[accounts.A.calendar] 'Mars/Olympus' is not a time zone"),
        ('[defaults.calendar]\nopen = "17:00"', "[defaults.calendar] lacks zone: a calendar needs at least zone, open"),
        ("[accounts.A.calendar]", "[accounts.A.calendar] lacks zone"),
        ("[accounts.A", "risk.toml cannot be read: "),
    ],
)
def test_what_a_file_may_not_say_is_refused_by_table_and_key(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InvalidEvent, match=re.escape(why)):
        written(tmp_path, text)


def test_a_file_that_is_not_there_or_no_text_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidEvent, match=r"none\.toml cannot be read"):
        load(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(InvalidEvent, match=r"bytes\.toml cannot be read"):
        load(str(tmp_path / "bytes.toml"))
