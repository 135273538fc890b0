"""`verify` checks everything a read depends on: definitions, derived columns, indexes, types, nodes, order."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
import msgspec
import pytest

import eventstore
from eventstore import Batch, CorruptJournal, Event, ManualClock, Record, Verification
from eventstore.events import registry
from eventstore.journals.sqlite import SqliteJournal, integrity
from eventstore.testing import in_time
from tests.store import forging
from tests.store.facts import AT, ORDER, OTHER, filled, rejected

COUNT = 600
JOURNAL = Path("main") / "journal.db"


@eventstore.event(name="tested.Measured", measures=("number",))
class Measured(Event, frozen=True, kw_only=True):
    """A fact whose class other processes do not have."""

    number: int = 0


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a journal that has been closed."""
    directory = tmp_path_factory.mktemp("original")
    with eventstore.open(directory, clock=ManualClock(AT)) as store:
        for number in range(COUNT // 3):
            store.append_many(
                [
                    Batch(ORDER, filled(number + 1)),
                    Batch(OTHER, rejected(number)),
                    Batch("note/-/x", Measured(number=1)),
                ]
            )
    return (directory / JOURNAL).read_bytes()


@pytest.fixture
def journal(original: bytes, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A copy in the hands of somebody who may change anything."""
    (tmp_path / "main").mkdir()
    (tmp_path / JOURNAL).write_bytes(original)
    with closing(sqlite3.connect(tmp_path / JOURNAL, isolation_level=None)) as connection:
        yield connection


def verified(directory: Path, *, after: int = 0) -> Verification:
    with eventstore.open(directory) as store:
        return in_time(lambda: store.verify(after=after), 30.0)


# Columns

DERIVED = {
    "another account": "account = 'ACC9'",
    "no account": "account = ''",
    "a longer account": "account = account || '1'",
    "a shorter account": "account = substr(account, 1, 3)",
    "an account that extends into the entity": "account = account || '/O-2'",
    "an account with a NUL": "account = account || char(0) || 'x'",
    "an account in small letters": "account = lower(account)",
}


@pytest.mark.parametrize("change", DERIVED.values(), ids=DERIVED)
def test_an_account_that_is_not_the_streams_is_named(journal: sqlite3.Connection, tmp_path: Path, change: str) -> None:
    journal.execute(f"UPDATE event SET {change} WHERE position IN (302, 500)")  # noqa: S608 - a test's own text
    journal.close()
    found = verified(tmp_path)
    assert (found.first_bad, found.checked) == (302, 301)
    assert found.reason == "the account column is not the stream's"
    assert verified(tmp_path, after=550).first_bad == 302


# Indexes


@contextmanager
def without(journal: sqlite3.Connection, index: str) -> Iterator[None]:
    """Let rows be changed without their entries in an index, as an editor of the file's bytes changes them."""
    journal.execute("PRAGMA writable_schema = ON")
    row = journal.execute("SELECT * FROM sqlite_schema WHERE name = ?", (index,)).fetchone()
    version = journal.execute("PRAGMA schema_version").fetchone()[0]
    journal.execute("DELETE FROM sqlite_schema WHERE name = ?", (index,))
    journal.execute(f"PRAGMA schema_version = {version + 1}")
    yield
    journal.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", row)
    journal.execute(f"PRAGMA schema_version = {version + 2}")


INDEXES = ["event_by_account", "event_by_stream", "event_by_id"]


@pytest.mark.parametrize("index", INDEXES)
def test_a_record_that_an_index_does_not_have_is_named(journal: sqlite3.Connection, tmp_path: Path, index: str) -> None:
    """It is hidden from queries by that index, and its row is as it was."""
    row = journal.execute("SELECT * FROM event WHERE position = 302").fetchone()
    journal.execute("DELETE FROM event WHERE position = 302")
    with without(journal, index):
        journal.execute(f"INSERT INTO event VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 - question marks
    journal.close()
    found = verified(tmp_path)
    assert (found.ok, found.first_bad) == (False, 302)
    assert f"the index {index} lacks this record" in (found.reason or "")


@pytest.mark.parametrize("index", INDEXES)
def test_an_index_entry_without_a_record_is_named(journal: sqlite3.Connection, tmp_path: Path, index: str) -> None:
    with without(journal, index):
        journal.execute("DELETE FROM event WHERE position = 302")
    log_id = journal.execute("SELECT value FROM meta WHERE key = 'log_id'").fetchone()[0]
    journal.close()
    with closing(apsw.Connection(str(tmp_path / JOURNAL))) as connection:
        found = integrity.faults(connection, "main", log_id)
    why = f"the index {index} has an entry that is not this record's"
    assert [fault.position for fault in found if why in fault.reason] == [302], found


@pytest.mark.parametrize("index", INDEXES)
def test_a_damaged_page_of_an_index_is_found(journal: sqlite3.Connection, tmp_path: Path, index: str) -> None:
    pages = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'"
    with closing(apsw.Connection(str(tmp_path / JOURNAL))) as connection:
        page = connection.execute(f"{pages} LIMIT 1 OFFSET 2", (index,)).get
    journal.close()
    data = bytearray((tmp_path / JOURNAL).read_bytes())
    data[(page - 1) * 2_048 : page * 2_048] = b"\xa5" * 2_048
    (tmp_path / JOURNAL).write_bytes(data)
    found = verified(tmp_path)
    assert not found.ok
    assert index in (found.reason or "")


# Small tables

SMALL = {
    "an entry of meta": ("INSERT INTO meta VALUES ('owner', 'me')", "'owner'"),
    "a log that was never created": ("DELETE FROM meta WHERE key = 'created_at'", "created_at is missing or malformed"),
    "a malformed time": (
        "UPDATE meta SET value = 'now' WHERE key = 'created_at'",
        "created_at is missing or malformed",
    ),
    "a type that is missing": ("DELETE FROM type WHERE name = 'OrderFilled'", "type OrderFilled of schema 1 is not in"),
    "a type that never occurs": (
        "INSERT INTO type VALUES ('OrderExpired', 1, 'SYNCED', '[]')",
        "'OrderExpired' of schema 1, which no record has",
    ),
    "a schema that never occurs": (
        "INSERT INTO type VALUES ('OrderFilled', 2, 'SYNCED', '[]')",
        "'OrderFilled' of schema 2, which no record has",
    ),
    "a weaker durability": (
        "UPDATE type SET durability = 'VOLATILE' WHERE name = 'OrderFilled'",
        "its class has SYNCED",
    ),
    "fewer measures": (
        "UPDATE type SET measures = '[]' WHERE name = 'OrderFilled'",
        "with durability SYNCED and measures []",
    ),
    "more measures": (
        """UPDATE type SET measures = '["reason"]' WHERE name = 'OrderRejected'""",
        'measures ["reason"]',
    ),
    "measures that are not JSON": ("UPDATE type SET measures = '[' WHERE name = 'OrderFilled'", "measures [,"),
    "a node below those that are stored": ("INSERT INTO node VALUES (7, 0, zeroblob(32))", "node 0 of level 7"),
    "a node past the head": ("INSERT INTO node VALUES (8, 2, zeroblob(32))", "node 2 of level 8"),
    "a node of a level that no tree has": ("INSERT INTO node VALUES (64, 0, zeroblob(32))", "node 0 of level 64"),
    "a node of a negative number": ("INSERT INTO node VALUES (8, -1, zeroblob(32))", "node -1 of level 8"),
    "a second head": (
        "PRAGMA ignore_check_constraints = ON; INSERT INTO head VALUES (2, 600, 1, x'00')",
        "more than its one row",
    ),
}


@pytest.mark.parametrize(("sql", "reason"), SMALL.values(), ids=SMALL)
def test_what_a_small_table_must_not_say_is_found(
    journal: sqlite3.Connection, tmp_path: Path, sql: str, reason: str
) -> None:
    journal.executescript(sql)
    journal.close()
    found = verified(tmp_path)
    assert not found.ok
    assert found.first_bad in {0, COUNT}
    assert reason in (found.reason or ""), found


UNKNOWN_ROWS = ["durability = 'SOMETIMES'", "measures = '{}'", "measures = '[ ]'", "measures = '[1]'", "measures = '['"]


@pytest.mark.parametrize("change", UNKNOWN_ROWS)
def test_a_type_without_a_class_is_unproved_unless_its_row_is_malformed(
    journal: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.delitem(registry._by_name, "tested.Measured")
    unproved = "durability and measures of type tested.Measured, schema 1, which has no class here"
    found = verified(tmp_path)
    assert found.ok
    assert found.unproved[-1] == unproved
    journal.execute(f"UPDATE type SET {change} WHERE name = 'tested.Measured'")  # noqa: S608 - a test's own text
    journal.close()
    found = verified(tmp_path)
    assert (found.ok, found.first_bad) == (False, 0)
    assert "'tested.Measured', schema 1, is malformed" in (found.reason or "")


def test_what_derives_from_nothing_is_listed(journal: sqlite3.Connection, tmp_path: Path) -> None:
    journal.execute("UPDATE meta SET value = value + 1 WHERE key = 'created_at'")
    journal.close()
    found = verified(tmp_path)
    assert found == Verification(ok=True, checked=COUNT)
    assert hash(found) == hash(Verification(ok=True, checked=COUNT))
    assert found.unproved == ("the log's name", "created_at, the time at which the log was created")
    with eventstore.open(tmp_path / "empty") as store:
        assert "the log's id" in store.verify().unproved


def test_types_that_cannot_be_read_are_a_corrupt_journal(journal: sqlite3.Connection, tmp_path: Path) -> None:
    journal.execute("UPDATE type SET measures = '['")
    journal.close()
    with eventstore.open(tmp_path) as store, pytest.raises(CorruptJournal, match="the type table is damaged"):
        store._journal.types()


# Order, which an attacker who rewrites digests and tree could change


def later(record: Record, **members: int) -> Record:
    return msgspec.structs.replace(record, **members)


def test_a_version_that_was_left_out_is_named(journal: sqlite3.Connection, tmp_path: Path) -> None:
    def skip(record: Record) -> Record:
        is_later = record.stream == ORDER and record.position >= 301
        return later(record, version=record.version + 1) if is_later else record

    forging.forge(journal, skip)
    journal.close()
    found = verified(tmp_path)
    assert (found.ok, found.first_bad) == (False, 301)
    assert f"the versions of {ORDER} are not 1 to 200" in (found.reason or "")


def test_versions_that_do_not_grow_with_the_positions_are_named(journal: sqlite3.Connection, tmp_path: Path) -> None:
    swapped = {301: 102, 304: 101}
    forging.forge(journal, lambda record: later(record, version=swapped.get(record.position, record.version)))
    journal.close()
    found = verified(tmp_path)
    assert (found.ok, found.first_bad) == (False, 301)
    assert "not at an earlier position" in (found.reason or "")


def test_a_time_that_does_not_grow_is_named(journal: sqlite3.Connection, tmp_path: Path) -> None:
    times = {record.position: record.recorded_at for record in forging.read(journal)}
    forging.forge(journal, lambda record: later(record, recorded_at=times[300]) if record.position == 301 else record)
    journal.close()
    found = verified(tmp_path)
    assert (found.ok, found.first_bad) == (False, 301)
    assert found.reason == "it was not recorded after the one before it"


def test_a_forged_log_with_everything_in_order_verifies_without_a_root_kept_elsewhere(
    journal: sqlite3.Connection, tmp_path: Path
) -> None:
    forging.forge(journal, lambda record: msgspec.structs.replace(record, note="forged"))
    journal.close()
    assert verified(tmp_path) == Verification(ok=True, checked=COUNT)


# The check itself


def test_what_lies_on_the_disk_is_verified_not_what_a_connection_remembers(
    journal: sqlite3.Connection, original: bytes, tmp_path: Path
) -> None:
    journal.close()
    with eventstore.open(tmp_path) as store:
        assert len(list(store.read())) == COUNT
        assert store.verify().ok
        at = original.index(b'{"reason":"50"}')
        with (tmp_path / JOURNAL).open("r+b") as file:
            file.seek(at + 11)
            file.write(b"6")
        found = store.verify()
        assert (found.ok, found.first_bad) == (False, 152)


def test_the_first_of_several_faults_is_named(journal: sqlite3.Connection, tmp_path: Path) -> None:
    journal.execute("UPDATE event SET data = data || ' ' WHERE position = 30")
    journal.execute("UPDATE event SET account = 'ACC9' WHERE position = 20")
    journal.execute("INSERT INTO meta VALUES ('owner', 'me')")
    assert verified(tmp_path).first_bad == 20
    journal.execute("UPDATE event SET account = 'ACC9' WHERE position = 40")
    journal.execute("UPDATE event SET account = 'ACC2' WHERE position = 20")
    journal.close()
    assert verified(tmp_path).first_bad == 30


def test_verifying_beside_others_who_append_finds_nothing(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store, eventstore.open(tmp_path) as other:
        stop = threading.Event()

        def append() -> None:
            while not stop.is_set():
                other.append(ORDER, [rejected(number) for number in range(50)])

        thread = threading.Thread(target=append)
        thread.start()
        try:
            for _ in range(10):
                found = store.verify()
                assert found.ok, found
        finally:
            stop.set()
            thread.join()


def test_a_check_that_is_canceled_ends(
    journal: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.close()
    monkeypatch.setattr(integrity, "STEPS", 10)
    opened = SqliteJournal(tmp_path / JOURNAL)
    with closing(opened), pytest.raises(eventstore.Unavailable, match="interrupted"):
        opened.integrity(is_canceled=lambda: True)


def test_an_interrupted_verification_does_not_wait_for_the_storages_check(
    journal: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.close()
    canceled = threading.Event()

    def integrity_until_canceled(self: SqliteJournal, *, is_canceled: object = None) -> list[object]:
        assert callable(is_canceled)
        while not is_canceled():
            pass
        canceled.set()
        return []

    def interrupt(_done: int, _of: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("eventstore.journals.sqlite.reading.SqliteSource.integrity", integrity_until_canceled)
    with eventstore.open(tmp_path) as store, pytest.raises(KeyboardInterrupt):
        store.verify(progress=interrupt)
    assert canceled.is_set()
