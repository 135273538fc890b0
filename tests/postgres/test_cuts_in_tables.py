"""Cuts in the tables of a log in PostgreSQL: shared by hosts, never believed where damaged, and never in the way."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from typing import TYPE_CHECKING

import pytest

import eventstore
import projections
from eventstore import EventStore
from eventstore.journals.postgres import Location
from projections import SnapshotWarning
from projections.cuts import tables
from tests.projections.cut_files import again, beside, changed, found_in, move_on
from tests.projections.cutting import digest, from_zero
from tests.projections.examples import bought, in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from projections import Book
    from tests.postgres.servers import PostgresServer

BOUND_SECONDS = 15.0
"""How long a cut that cannot be written may keep its thread: a connection, a read of the log and a lock."""
OPENS = """
import sys, eventstore, projections
with eventstore.open(sys.argv[1]) as store, projections.open(store) as book:
    print(book.recovery.cut, book.position)
"""


@pytest.fixture
def store(postgres_url: str) -> Iterator[EventStore]:
    with eventstore.open(postgres_url) as store:
        yield store


def with_cuts(store: EventStore, count: int = 3) -> list[int]:
    """Write cuts of two accounts' trades; return their log positions."""
    with projections.open(store) as book:
        for _ in range(count):
            for account in "ABA":
                number = book.position + 1
                book.append(f"trade/{account}/T{number}", bought(f"T{number}", number))
            assert book.snapshot()
    return beside(store).cuts()


def opened(store: EventStore, says: str) -> Book:
    """Open a book, which warns and is right nevertheless."""
    with pytest.warns(SnapshotWarning, match=says):
        book = projections.open(store)
    assert digest(book) == from_zero(store)
    return book


def cannot_cut(book: Book, says: str) -> float:
    """Try to write a cut, which warns; return how long that took."""
    began = time.monotonic()
    with pytest.warns(SnapshotWarning, match=says):
        assert not book.snapshot()
    assert book.snapshot_trouble is not None
    return time.monotonic() - began


def test_another_host_s_process_starts_from_the_cut(store: EventStore, postgres_url: str, tmp_path: Path) -> None:
    """Whatever keys its user has: the log's own signs."""
    *_, newest = with_cuts(store)
    elsewhere = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "another"), "PYTHONWARNINGS": "error"}
    said = subprocess.run(
        [sys.executable, "-c", OPENS, postgres_url],
        env=elsewhere,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert said.stdout.split() == [str(newest), str(newest)]


def test_two_who_cut_first_at_once_sign_with_one_key(store: EventStore, postgres_url: str) -> None:
    store.append("trade/A/T", bought("T"))
    with eventstore.open(postgres_url) as second, projections.open(store) as mine, projections.open(second) as theirs:
        cut: list[bool] = []
        join = in_thread(lambda: cut.append(theirs.snapshot()))
        assert mine.snapshot()
        join()
        assert len(found_in(store, "SELECT name FROM document")) == 1
        again(store)
        again(second)


def test_a_key_that_is_damaged_is_replaced_and_its_cuts_are_passed_over(store: EventStore) -> None:
    with_cuts(store)
    with store.side.transaction() as connection:  # type: ignore[union-attr]
        connection.execute("UPDATE document SET content = 'short'")
    book = opened(store, "signed with another key")
    assert book.recovery.cut == 0
    move_on(book)
    assert book.snapshot()
    again(store)


@pytest.mark.parametrize(("table", "column"), [("state", "data"), ("state", "digest"), ("part", "signature")])
def test_whatever_byte_is_flipped_the_book_is_right(store: EventStore, table: str, column: str) -> None:
    *_, before, newest = with_cuts(store)
    chance = random.Random(len(column))
    sql = f"SELECT DISTINCT {column} FROM {table} WHERE position = {newest}"  # noqa: S608 - constants
    values = [value for (value,) in found_in(store, sql)]
    for whole in chance.sample(values, min(len(values), 8)):
        place = chance.randrange(len(whole))
        flipped = whole[:place] + bytes([whole[place] ^ 1 << chance.randrange(8)]) + whole[place + 1 :]
        update = f"UPDATE {table} SET {column} = :new WHERE {column} = :old AND position = {newest}"  # noqa: S608 - constants
        changed(store, update, new=flipped, old=whole)
        assert opened(store, f"at {newest} is damaged").recovery.cut == before
        changed(store, update, new=whole, old=flipped)
    again(store)


def test_a_cut_of_what_a_fail_over_took_back_is_passed_over_and_forgotten(store: EventStore) -> None:
    *_, before, newest = with_cuts(store)
    changed(store, "UPDATE cut SET digest = :digest WHERE position = :newest", digest=bytes(32), newest=newest)
    book = opened(store, f"at {newest} belongs to another log, or to another history")
    assert book.recovery.cut == before
    move_on(book)
    assert book.snapshot()
    again(store)
    assert found_in(store, f"SELECT count(*) FROM part WHERE position = {newest}") == [(0,)]  # noqa: S608 - a number


def test_another_log_s_cuts_are_not_believed(store: EventStore) -> None:
    with_cuts(store)
    for table in ("part", "state"):
        changed(store, f"UPDATE {table} SET lineage = :other || substr(lineage, 17)", other=bytes(16))  # noqa: S608 - constants
    changed(store, "UPDATE cut SET log_id = :other", other=bytes(16))
    assert opened(store, "belongs to another log").recovery.cut == 0


def test_without_its_tables_the_book_folds_the_log(store: EventStore) -> None:
    with_cuts(store)
    with projections.open(store) as book, store.side.transaction() as connection:  # type: ignore[union-attr]
        connection.execute("DROP TABLE part")
    assert opened(store, "cannot hold snapshots").recovery.cut == 0
    with projections.open(store, snapshots=False) as book:
        book._snapshots = beside(store)
        move_on(book)
        cannot_cut(book, "cannot hold snapshots")


def test_a_role_without_rights_on_the_tables_folds_the_log(
    store: EventStore, postgres_url: str, postgres: PostgresServer
) -> None:
    with_cuts(store)
    schema = Location.of(postgres_url).schema
    postgres.execute(f"CREATE ROLE desk_{schema} LOGIN")
    try:
        postgres.execute(f"GRANT USAGE ON SCHEMA {schema} TO desk_{schema}")
        postgres.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO desk_{schema}")
        postgres.execute(f"REVOKE ALL ON {schema}.cut, {schema}.state FROM desk_{schema}")
        with eventstore.open(postgres_url.replace("//es@", f"//desk_{schema}@")) as theirs:
            assert opened(theirs, "permission denied").recovery.cut == 0
    finally:
        postgres.execute(f"DROP OWNED BY desk_{schema}")
        postgres.execute(f"DROP ROLE desk_{schema}")


def test_a_store_that_is_opened_read_only_uses_none(store: EventStore, postgres_url: str) -> None:
    with_cuts(store)
    with eventstore.open(postgres_url, read_only=True) as evidence, projections.open(evidence) as book:
        assert book.recovery.cut == 0
        assert not book.snapshot()


def test_a_cut_waits_for_a_lock_only_so_long(store: EventStore) -> None:
    with_cuts(store)
    with projections.open(store) as book:
        move_on(book)
        with store.side.transaction(alone="snapshots") as connection:  # type: ignore[union-attr]
            # As one that works on: one that stands still is ended by the server.
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            assert cannot_cut(book, "cannot hold snapshots") < BOUND_SECONDS
        assert book.snapshot()
    again(store)


def test_a_server_that_answers_slowly_is_asked_no_more(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with_cuts(store)
    monkeypatch.setattr(tables, "WRITE_SECONDS", -1.0)
    monkeypatch.setattr(tables, "READ_SECONDS", -1.0)
    assert opened(store, "answer too slowly").recovery.cut == 0
    with projections.open(store, snapshots=False) as book:
        book._snapshots = beside(store)
        cannot_cut(book, "answer too slowly")
        monkeypatch.undo()
        assert book.snapshot()
    again(store)


@pytest.mark.slow
def test_a_cut_waits_for_a_server_that_is_paused_or_gone_only_so_long(own_postgres: PostgresServer) -> None:
    with eventstore.open(own_postgres.url(log="main")) as store:
        with_cuts(store)
        with projections.open(store) as book:
            move_on(book)
            own_postgres.pause()
            try:
                assert cannot_cut(book, "no snapshots since") < BOUND_SECONDS
                assert book.positions.get("B", "ESZ5").quantity
            finally:
                own_postgres.resume()
            move_on(book)
            assert book.snapshot()
            move_on(book)
            own_postgres.kill()
            assert cannot_cut(book, "no snapshots since") < BOUND_SECONDS
            own_postgres.start()
            assert book.snapshot(), book.snapshot_trouble
            assert book.snapshot_trouble is None
        again(store)


@pytest.mark.slow
def test_no_kill_leaves_a_cut_that_is_not_the_fold(store: EventStore, postgres_url: str) -> None:
    chance = random.Random(20_261_202)
    for number in range(6):
        arguments = [postgres_url, f"K{number}", "1000", str(number)]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.projections.cutting", *arguments], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        with contextlib.closing(process.stdout):
            for _ in range(chance.randint(5, 60)):
                assert process.stdout.readline()
            time.sleep(chance.random() / 50)
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert beside(store).cuts()
    with warnings.catch_warnings():
        warnings.simplefilter("error", SnapshotWarning)
        with projections.open(store) as book:
            assert book.recovery.cut
            assert digest(book) == from_zero(store)
