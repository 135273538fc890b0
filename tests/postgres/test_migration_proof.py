"""The proof at the end of a move finds what is not the source's log, however it came to be so."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

import eventstore
from eventstore import CorruptJournal, migration
from eventstore.journals.postgres import Location
from eventstore.journals.sqlite import ReadOnlyJournal
from eventstore.migration import migrate
from eventstore.record import Digester
from tests.cli.command import small_log
from tests.postgres.servers import PostgresServer
from tests.postgres.test_migration import APPENDS_A_TYPE_OF_ITS_OWN, append_many, changing, nothing
from tests.reliability.checking import environment

CHANGES = {
    "UPDATE event SET note = 'x' WHERE position = 3": (3, "the record does not have its digest"),
    "DELETE FROM event WHERE position = 8": (8, "the record is missing"),
    "UPDATE meta SET value = 5 WHERE key = 'created_at'": (0, "the time at which it was created"),
    "UPDATE type SET measures = '[]' WHERE name = 'tested.Elsewhere'": (0, "its type table is another"),
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    place = tmp_path / "data"
    small_log(place)
    command = [sys.executable, "-c", textwrap.dedent(APPENDS_A_TYPE_OF_ITS_OWN), str(place)]
    subprocess.run(command, env=environment(), check=True)
    return place


def before_the_proof(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    prove = migration._prove

    def late(*arguments: object) -> None:
        act()
        prove(*arguments)  # type: ignore[arg-type] # passed on

    monkeypatch.setattr(migration, "_prove", late)


@pytest.mark.parametrize("sql", CHANGES)
def test_a_copy_in_postgresql_that_differs_is_not_to_be_used(
    sql: str, data: Path, postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = Location.of(postgres_url).schema
    before_the_proof(monkeypatch, lambda: postgres.execute(f"SET search_path = {schema}; {sql}"))
    check_refused(sql, data, postgres_url)


@pytest.mark.parametrize("sql", CHANGES)
def test_nor_is_one_in_a_directory(
    sql: str, data: Path, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(data, postgres_url)
    again = tmp_path / "again"

    def change() -> None:
        connection = apsw.Connection(str(again / "main" / "journal.db"))
        connection.execute(sql)
        connection.close()

    before_the_proof(monkeypatch, change)
    check_refused(sql, postgres_url, again)


def check_refused(sql: str, source: Path | str, target: Path | str) -> None:
    position, why = CHANGES[sql]
    with pytest.raises(CorruptJournal, match=why) as caught:
        migrate(source, target)
    assert caught.value.position == position


def test_a_change_that_has_a_new_tree_is_found_by_the_root(
    data: Path, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if another log's records had been copied: a copy that verifies by itself."""
    migrate(data, postgres_url)
    again, other = tmp_path / "again", tmp_path / "other"
    small_log(other)
    with eventstore.open(other) as store:
        root = store.root()[1]
    prove = migration._prove
    monkeypatch.setattr(migration, "_prove", lambda goal, copy, step: prove(goal, copy._replace(root=root), step))
    with pytest.raises(CorruptJournal, match=r"do not give the root.*do not use it"):
        migrate(postgres_url, again)


def test_a_source_that_stops_answering_is_not_taken_for_a_shorter_log(
    data: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(done: int, total: int) -> None:
        if done * 3 >= total:
            monkeypatch.setattr(ReadOnlyJournal, "read", lambda *_: [])

    with pytest.raises(CorruptJournal, match="the record is missing"):
        migrate(data, postgres_url, progress=step)


@pytest.mark.parametrize("position", [5_800, 5_950])
def test_a_record_that_is_rewritten_with_its_digest_is_found_by_the_source_s_tree(
    position: int, tmp_path: Path, postgres_url: str
) -> None:
    place = tmp_path / "rewritten"
    append_many(place, 6_000)
    with eventstore.open(place) as store:
        record = replace(next(store.read(after=position - 1, limit=1)), note="x")
        digest = Digester(store.log_id).digest(record)
        writer = getattr(store.journal, "_writer")  # noqa: B009 - who changes a record has SQLite for it
        sql = "UPDATE event SET note = 'x', digest = ? WHERE position = ?"
        change = changing(lambda: writer.execute(sql, (digest, position)), 1)
        with pytest.raises(CorruptJournal, match="the source has changed while it was copied"):
            migrate(place, postgres_url, progress=change)
    assert nothing(postgres_url)
