"""A log restored in PostgreSQL from its records: nothing that no journal can have recorded is committed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing

import psycopg
import pytest
from msgspec.structs import replace

import eventstore
from eventstore import CorruptJournal, InvalidEvent, Overloaded, Record, TargetExists, Unavailable
from eventstore.journal import TypeRow, declared
from eventstore.journals.postgres import Location, PostgresJournal, ReadOnlyPostgres, restore
from eventstore.journals.postgres.restore import PostgresRestoration
from eventstore.record import Digester
from tests.postgres.pairs import PostgresPair
from tests.postgres.servers import PostgresServer
from tests.store.facts import ORDER, OTHER, filled, rejected

LOG_ID = bytes(range(16))
FILLED, REJECTED = declared("OrderFilled", 1), declared("OrderRejected", 1)
KEPT = {
    "all": [FILLED, REJECTED],
    "none": [],
    "more": [
        FILLED,
        REJECTED,
        TypeRow("OrderExpired", 1, "SYNCED", ()),
        TypeRow("OrderFilled", 2, "SYNCED", ("price",)),
    ],
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    with eventstore.open(tmp_path_factory.mktemp("source")) as store:
        store.append(ORDER, [filled(number) for number in range(1, 300)])
        store.append(OTHER, rejected())
        return [signed(record) for record in store.read()]


def signed(record: Record) -> Record:
    """Return a record with the digest that it has in the log of these tests."""
    return replace(record, digest=Digester(LOG_ID).digest(record))


def restored(url: str, records: list[Record], types: list[TypeRow] | None = None) -> None:
    restoration = PostgresRestoration(Location.of(url), LOG_ID, created_at=1, types=types or [])
    try:
        restoration.add(records)
        restoration.finish()
    finally:
        restoration.abandon()


def check_nothing_is_there(url: str) -> None:
    with pytest.raises(Unavailable, match="there is no log main"):
        ReadOnlyPostgres(Location.of(url))


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
def test_a_restored_log_has_just_the_types_of_its_records(
    source: list[Record], postgres_url: str, kept: list[TypeRow]
) -> None:
    restored(postgres_url, source, kept)
    with closing(PostgresJournal(Location.of(postgres_url))) as journal:
        assert journal.types() == [FILLED, REJECTED]
        assert (journal.log_id, journal.created_at(), journal.head()) == (LOG_ID, 1, 300)
        assert journal.integrity() == []


FAULTS: dict[str, tuple[Callable[[list[Record]], list[Record]], int, str]] = {
    "a digest": (lambda rows: [*rows[:6], replace(rows[6], note="x"), *rows[7:]], 7, "does not have its digest"),
    "a gap": (lambda rows: [*rows[:6], *rows[7:]], 8, "the position before it is missing"),
    "a start": (lambda rows: rows[1:], 2, "the position before it is missing"),
    "a time": (
        lambda rows: [*rows[:6], signed(replace(rows[6], recorded_at=rows[5].recorded_at)), *rows[7:]],
        7,
        "was not recorded after",
    ),
    "an id": (lambda rows: [*rows[:6], signed(replace(rows[6], id=rows[5].id)), *rows[7:]], 1, "there twice"),
    "a version": (lambda rows: [*rows[:-1], signed(replace(rows[-1], version=2))], 300, "versions of .* have a gap"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_no_journal_can_have_recorded_is_refused(name: str, source: list[Record], postgres_url: str) -> None:
    change, position, why = FAULTS[name]
    with pytest.raises(CorruptJournal, match=why) as caught:
        restored(postgres_url, change(source))
    assert caught.value.position == position
    check_nothing_is_there(postgres_url)
    restored(postgres_url, source)


@pytest.mark.parametrize("members", [{"note": "\0"}, {"data": b'"\0"'}, {"data": b'"\xff"'}], ids=str)
def test_text_that_the_server_does_not_store_is_refused(
    members: dict[str, object], source: list[Record], postgres_url: str
) -> None:
    with pytest.raises(InvalidEvent, match="position 1: its "):
        restored(postgres_url, [signed(replace(source[0], **members))])
    check_nothing_is_there(postgres_url)


def test_an_opener_waits_until_the_log_is_whole(source: list[Record], postgres_url: str) -> None:
    location, seen = Location.of(postgres_url), list[int]()
    restoration = PostgresRestoration(location, LOG_ID, created_at=1)
    restoration.add(source)

    def look() -> None:
        with closing(PostgresJournal(location)) as journal:
            seen.append(journal.head())

    opener = threading.Thread(target=look)
    opener.start()
    time.sleep(0.2)
    assert seen == []
    restoration.finish()
    opener.join(10)
    assert seen == [300]


def test_of_two_that_restore_one_log_the_second_gives_up(
    source: list[Record], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = PostgresRestoration(Location.of(postgres_url), LOG_ID, created_at=1)
    first.add(source)
    monkeypatch.setitem(restore.SETTINGS, "lock_timeout", "100ms")
    with pytest.raises(Overloaded, match="nothing was written"):
        restored(postgres_url, source)
    first.finish()
    with pytest.raises(TargetExists):
        restored(postgres_url, source)


def test_a_server_that_is_lost_at_the_commit_has_all_of_it_or_nothing(
    source: list[Record], own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = own_postgres.url(log="main")
    restoration = PostgresRestoration(Location.of(url), LOG_ID, created_at=1)
    restoration.add(source)
    types = restoration._match_types

    def killed() -> None:
        types()
        monkeypatch.setattr(restoration.connection, "execute", dying)

    execute = restoration.connection.execute

    def dying(sql: str, *rest: Sequence[object]) -> object:
        if sql == "COMMIT":
            own_postgres.kill()
        return execute(sql, *rest)

    monkeypatch.setattr(restoration, "_match_types", killed)
    with pytest.raises(Unavailable, match="there as a whole, or not at all"):
        restoration.finish()
    restoration.abandon()
    own_postgres.start()
    check_nothing_is_there(url)
    restored(url, source)


def cancel(pair: PostgresPair) -> None:
    """Cancel what waits for the standby, as an administrator may."""
    found = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    assert pair.primary.execute(f"SELECT pg_cancel_backend(pid) {found}") == [(True,)]


def need_no_standby(pair: PostgresPair) -> None:
    """Let the primary commit alone, as an administrator may."""
    pair.primary.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
    pair.primary.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize(("act", "why"), [(cancel, "canceling wait"), (need_no_standby, "settings were loaded again")])
def test_a_commit_that_no_standby_has_confirmed_is_not_a_success(
    act: Callable[[PostgresPair], None], why: str, source: list[Record], pair: PostgresPair
) -> None:
    restoration = PostgresRestoration(Location.of(pair.url(log="main", durability="replicated")), LOG_ID, created_at=1)
    restoration.add(source)
    with pair.stalled():
        timer = threading.Timer(1, act, [pair])
        timer.start()
        with pytest.raises(Unavailable, match=f"may be missing on the standby .*{why}"):
            restoration.finish()
        timer.join()
    restoration.abandon()


def test_nothing_is_committed_where_no_standby_is_waited_for_any_more(source: list[Record], pair: PostgresPair) -> None:
    url = pair.url(log="main", durability="replicated")
    restoration = PostgresRestoration(Location.of(url), LOG_ID, created_at=1)
    restoration.add(source)
    need_no_standby(pair)
    time.sleep(0.5)
    with pytest.raises(Unavailable, match="synchronous_standby_names of this server is empty"):
        restoration.finish()
    restoration.abandon()
    check_nothing_is_there(pair.primary.url(log="main"))


@pytest.mark.parametrize("value", [None, "soon"])
def test_tables_that_do_not_say_when_they_were_created_are_damaged(
    value: str | None, source: list[Record], postgres: PostgresServer, postgres_url: str
) -> None:
    restored(postgres_url, source)
    location = Location.of(postgres_url)
    with psycopg.connect(location.uri, options=f"-c search_path={location.schema}") as connection:
        connection.execute("DELETE FROM meta WHERE key = 'created_at'")
        if value is not None:
            connection.execute("INSERT INTO meta VALUES ('created_at', %s)", (value,))
    with closing(ReadOnlyPostgres(location)) as journal, pytest.raises(CorruptJournal, match="created_at"):
        journal.created_at()
