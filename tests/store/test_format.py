"""docs/FORMAT.md against a journal: its script, its example and its schema."""

import hashlib
import json
import re
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path

import pytest

import eventstore
from eventstore import Batch, EventStore, ManualClock
from eventstore.clock import TIME_MAX
from eventstore.events.codec import EVENT_BYTES_MAX
from eventstore.ids import KEY_BYTES_MAX, NAMESPACE, keyed_id
from eventstore.journals.sqlite import schema
from eventstore.record import Draft, digest, digest_prefix
from eventstore.streams import ENTITY_BYTES_MAX
from tests.documents import ROOT, blocks
from tests.store.facts import AT, HOUR, ORDER, POSITION, adjusted, filled, rejected

FORMAT = ROOT / "docs" / "FORMAT.md"
DOCUMENT = FORMAT.read_text(encoding="utf-8")
CHECK = "check.py"
JOURNAL = Path("main") / "journal.db"


def block(language: str, mark: str = "") -> str:
    (found,) = (block for block in blocks(FORMAT, language) if block.mark == mark)
    return found.text


def fill(store: EventStore, clock: ManualClock, count: int) -> None:
    """Append facts of several streams and writers, with and without all that is optional."""
    while store.head() < count:
        number = store.head()
        clock.advance(-HOUR if number % 7 == 0 else 1_000)
        facts = [rejected(f"{number} ü漢😀"), filled(quantity=number + 1)]
        batches = [
            Batch(ORDER, facts, note="n" * (number % 3), causation_id=uuid.UUID(int=number)),
            Batch(POSITION, adjusted(number), actor="ü", correlation_id=uuid.UUID(int=1), occurred_at=number),
        ]
        store.append_many(batches[: 1 + number % 2])


def checked(journal: Path) -> subprocess.CompletedProcess[str]:
    """Run the document's script on a file, in a Python that has nothing but its standard library."""
    script = journal.parent / CHECK
    script.write_text(block("python", CHECK), encoding="utf-8")
    command = [sys.executable, "-I", "-S", "-W", "error", str(script), str(journal)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 255, 256, 257, 1_030])
def test_the_documents_script_gives_the_stores_root(tmp_path: Path, count: int) -> None:
    clock = ManualClock(AT)
    with eventstore.open(tmp_path, clock=clock) as store:
        fill(store, clock, count)
        size, root = store.root()
    ran = checked(tmp_path / JOURNAL)
    assert (ran.stderr, ran.returncode) == ("", 0)
    assert json.loads(ran.stdout) == {"log": "main", "size": size, "root": root.hex()}


def test_the_documents_script_checks_a_backup_of_a_store_in_use(tmp_path: Path) -> None:
    clock = ManualClock(AT)
    with eventstore.open(tmp_path / "data", clock=clock) as store:
        fill(store, clock, 10)
        wanted = store.root()[1].hex()
        copy = store.backup(tmp_path / "copy")
        fill(store, clock, 20)
        assert json.loads(checked(copy / "journal.db").stdout)["root"] == wanted
        refused = checked(tmp_path / "data" / JOURNAL)
    assert (refused.stdout, refused.returncode) == ("", 1)
    assert "some process has the journal open" in refused.stderr


TAMPERED = {
    "data": ("UPDATE event SET data = data || ' ' WHERE position = 300", 300),
    "actor": ("UPDATE event SET actor = 'x' WHERE position = 300", 300),
    "bytes": ("UPDATE event SET note = CAST(x'ff' AS TEXT) WHERE position = 300", 300),
    "id": ("UPDATE event SET id = CAST(id || x'00' AS BLOB) WHERE position = 300", 300),
    "causation": ("UPDATE event SET causation_id = x'' WHERE position = 300", 300),
    "version": ("UPDATE event SET version = -1 WHERE position = 300", 300),
    "digest": ("UPDATE event SET digest = zeroblob(32) WHERE position = 300", 300),
    "deleted": ("DELETE FROM event WHERE position = 300", 300),
    "last deleted": ("DELETE FROM event WHERE position = (SELECT max(position) FROM event)", None),
    "moved": ("UPDATE event SET position = 9999 WHERE position = 300", 300),
    "node": ("UPDATE node SET hash = zeroblob(32) WHERE level = 8 AND number = 1", 257),
    "upper node": ("UPDATE node SET hash = zeroblob(32) WHERE level = 9", 1),
    "node lost": ("DELETE FROM node WHERE level = 8 AND number = 0", 1),
    "node added": ("INSERT INTO node VALUES (8, 77, zeroblob(32))", None),
    "head": ("UPDATE head SET frontier = zeroblob(length(frontier))", None),
    "account": ("UPDATE event SET account = 'ACC9' WHERE position = 300", 300),
    "a longer account": ("UPDATE event SET account = account || '1' WHERE position = 300", 300),
}


@pytest.mark.untraced
@pytest.mark.parametrize(("change", "position"), TAMPERED.values(), ids=TAMPERED)
def test_the_documents_script_names_the_position_that_was_changed(
    tmp_path: Path, change: str, position: int | None
) -> None:
    clock = ManualClock(AT)
    with eventstore.open(tmp_path, clock=clock) as store:
        fill(store, clock, 600)
    with closing(sqlite3.connect(tmp_path / JOURNAL, isolation_level=None)) as journal:
        assert journal.execute(change).rowcount == 1, change
        journal.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ran = checked(tmp_path / JOURNAL)
    assert (ran.stdout, ran.returncode) == ("", 1)
    assert f"position {'' if position is None else f'{position}:'}" in ran.stderr


STORED = {
    "a table": ("CREATE TABLE notes (text TEXT)", "do not belong: ['notes']"),
    "a trigger": ("CREATE TRIGGER t AFTER INSERT ON event BEGIN SELECT 1; END", "do not belong: ['t']"),
    "an index": ("DROP INDEX event_by_account", "missing or do not belong: ['event_by_account']"),
    "a type": ("DELETE FROM type WHERE name = 'OrderFilled'", "the type table does not have the types"),
    "a type that never occurs": ("INSERT INTO type VALUES ('X', 1, 'SYNCED', '[]')", "the type table does not have"),
}


@pytest.mark.parametrize(("change", "reason"), STORED.values(), ids=STORED)
def test_the_documents_script_finds_what_reads_depend_on_besides(tmp_path: Path, change: str, reason: str) -> None:
    clock = ManualClock(AT)
    with eventstore.open(tmp_path, clock=clock) as store:
        fill(store, clock, 10)
    with closing(sqlite3.connect(tmp_path / JOURNAL, isolation_level=None)) as journal:
        journal.execute(change)
        journal.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ran = checked(tmp_path / JOURNAL)
    assert (ran.stdout, ran.returncode) == ("", 1)
    assert reason in ran.stderr


def test_the_documents_script_finds_an_index_that_lacks_a_record(tmp_path: Path) -> None:
    clock = ManualClock(AT)
    with eventstore.open(tmp_path, clock=clock) as store:
        fill(store, clock, 10)
    with closing(sqlite3.connect(tmp_path / JOURNAL, isolation_level=None)) as journal:
        row = journal.execute("SELECT * FROM event WHERE position = 5").fetchone()
        journal.execute("DELETE FROM event WHERE position = 5")
        journal.execute("PRAGMA writable_schema = ON")
        index = journal.execute("SELECT * FROM sqlite_schema WHERE name = 'event_by_account'").fetchone()
        journal.execute("DELETE FROM sqlite_schema WHERE name = 'event_by_account'")
        journal.execute("PRAGMA schema_version = 1000")
        journal.execute(f"INSERT INTO event VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 - question marks
        journal.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", index)
        journal.execute("PRAGMA schema_version = 1001")
        journal.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ran = checked(tmp_path / JOURNAL)
    assert ran.returncode == 1
    assert "row 5 missing from index event_by_account" in ran.stderr


def test_the_documents_script_finds_a_tail_that_was_lost(tmp_path: Path) -> None:
    clock = ManualClock(AT)
    with eventstore.open(tmp_path, clock=clock) as store:
        fill(store, clock, 4)
        older = store.backup(tmp_path / "older") / "journal.db"
        fill(store, clock, 9)
        lost = len(list(store.read(after=4)))
    assert lost
    (tmp_path / JOURNAL).write_bytes(older.read_bytes())
    ran = checked(tmp_path / JOURNAL)
    assert ran.returncode == 1
    assert "the watermark head saw another record" in ran.stderr


def test_the_documents_example_has_the_documents_digest() -> None:
    row = re.compile(r"^\| (\d+) \| ([\w ']+) \| [^|]+ \| (?:`(.*)`|\*none\*) \|$", re.MULTILINE)
    example = {name: value for _, name, value in row.findall(DOCUMENT)}
    assert len(example) == 14
    draft = Draft(
        id=bytes.fromhex(example["id"]),
        stream=example["stream"],
        type=example["type"],
        schema=int(example["schema"]),
        occurred_at=int(example["occurred_at"]),
        data=example["data"].encode(),
        actor=example["actor"],
        note=example["note"],
        correlation_id=None,
        causation_id=bytes.fromhex(example["causation_id"]),
    )
    prefix = digest_prefix(bytes.fromhex(example["the log's id"]), draft)
    place = int(example["position"]), int(example["version"]), int(example["recorded_at"])
    assert f"The example's digest is `{digest(prefix, *place, draft).hex()}`" in DOCUMENT
    assert draft.id == keyed_id(draft.stream, "exec-1")


def test_the_documents_ids_are_the_stores() -> None:
    assert f"`{NAMESPACE}`" in DOCUMENT
    found = uuid.UUID(bytes=keyed_id("order/ACC1/O-17", "exec-1"))
    assert found == uuid.uuid5(NAMESPACE, "order/ACC1/O-17\0exec-1")
    assert f"`{found}`" in DOCUMENT


def test_the_documents_limits_are_the_stores() -> None:
    assert f"at most {EVENT_BYTES_MAX:,} bytes" in DOCUMENT
    assert f"1 to {ENTITY_BYTES_MAX} bytes" in DOCUMENT
    assert f"1 to {KEY_BYTES_MAX:,}" in DOCUMENT
    assert f"to {TIME_MAX} " in DOCUMENT
    assert f"`application_id` {schema.APPLICATION_ID:#x}" in DOCUMENT
    assert f"`user_version` {schema.FORMAT}." in DOCUMENT


def test_the_documents_tables_are_the_journals(tmp_path: Path) -> None:
    eventstore.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / JOURNAL)) as journal:
        created = {sql for (sql,) in journal.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")}
        marks = [journal.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")]
        names = {key for (key,) in journal.execute("SELECT key FROM meta")}
    assert created == {statement.strip() for statement in block("sql").split(";\n") if statement.strip()}
    assert marks == [(0x45565354,), (1,)]
    assert all(f"`{name}`: " in DOCUMENT for name in names)


def test_a_watermark_is_written_as_the_document_says(store: EventStore) -> None:
    (record,) = store.append(ORDER, rejected())
    store.close()
    assert store.directory is not None
    members = f"{store.log_id.hex()} 1 {record.digest.hex()} "
    checksum = hashlib.sha256(members.encode()).hexdigest()[:16]
    mark = (
        f'{{"log_id":"{store.log_id.hex()}","position":1,"digest":"{record.digest.hex()}","checksum":"{checksum}"}}\n'
    )
    assert (store.directory / "watermarks" / "head").read_text() == mark
