"""Any change in a journal's file is found by `verify`, which names the first bad position."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

import eventstore
from eventstore import Batch, CorruptJournal, ManualClock
from eventstore.record import digest, digest_prefix
from eventstore.testing import LATER, in_time
from tests.store.facts import AT, ORDER, OTHER, rejected

COUNT = 1_100
"""Four complete tiles of 256 and a bit: nodes of the levels 8, 9 and 10 are stored."""
AT_POSITION = 300
JOURNAL = Path("main") / "journal.db"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a journal that has been closed."""
    directory = tmp_path_factory.mktemp("original")
    with eventstore.open(directory, clock=ManualClock(AT)) as store:
        for number in range(COUNT // 2):
            facts = [
                Batch(ORDER, rejected(number), note="n", correlation_id=bytes([1] * 15 + [0])),
                Batch(OTHER, rejected(number), key=f"{number}"),
            ]
            store.append_many(facts)
        assert store.head() == COUNT
    return (directory / JOURNAL).read_bytes()


@pytest.fixture
def journal(original: bytes, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A copy without watermarks, in the hands of somebody who may change anything."""
    (tmp_path / "main").mkdir()
    (tmp_path / JOURNAL).write_bytes(original)
    with closing(sqlite3.connect(tmp_path / JOURNAL, isolation_level=None)) as connection:
        yield connection


def found(directory: Path) -> tuple[int | None, str]:
    """Return the first bad position and the reason, whether opening finds it or `verify`."""
    try:
        with eventstore.open(directory) as store:
            verification = in_time(store.verify, 30.0)
    except CorruptJournal as corrupt:
        return corrupt.position, corrupt.reason
    return verification.first_bad, verification.reason or ""


def test_an_untouched_copy_verifies(journal: sqlite3.Connection, tmp_path: Path) -> None:
    journal.close()
    with eventstore.open(tmp_path) as store:
        assert store.verify() == eventstore.Verification(ok=True, checked=COUNT)
        assert store.verify(after=1_000) == eventstore.Verification(ok=True, checked=100)
        assert store.doctor() == []


CHANGES = {
    "the data": "data = replace(data, '149', '148')",
    "a blank in the data": "data = data || ' '",
    "the type": "type = 'OrderExpired'",
    "the schema": "schema = 2",
    "the stream": "stream = 'order/ACC2/O-3'",
    "the version": "version = 9999",
    "recorded_at": "recorded_at = recorded_at + 1",
    "occurred_at": "occurred_at = occurred_at - 1",
    "an earlier occurred_at": f"occurred_at = occurred_at - {LATER}",
    "the actor": "actor = 'somebody'",
    "the note": "note = 'another'",
    "no note": "note = ''",
    "the correlation": "correlation_id = zeroblob(16)",
    "no correlation": "correlation_id = NULL",
    "the causation": "causation_id = zeroblob(16)",
    "the id": "id = zeroblob(16)",
    "an id without its end": "id = substr(id, 1, 15)",
    "an id with more at its end": "id = CAST(id || x'00' AS BLOB)",
    "an empty causation": "causation_id = x''",
    "the digest": "digest = zeroblob(32)",
    "no digest": "digest = x''",
    "a negative version": "version = -1",
    "a negative schema": "schema = -1",
    "an actor that is not UTF-8": "actor = CAST(x'ff' AS TEXT)",
    "a stream that is not UTF-8": "stream = CAST(x'6fff' AS TEXT)",
    "data that is not UTF-8": "data = CAST(x'ff' AS TEXT)",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_member_is_found_at_its_position(journal: sqlite3.Connection, tmp_path: Path, change: str) -> None:
    # The 300th is of the second stream; its neighbour before it carries the note and the correlation.
    position = AT_POSITION - 1 if "note" in change or "correlation" in change else AT_POSITION
    assert journal.execute(f"UPDATE event SET {change} WHERE position = {position}").rowcount == 1  # noqa: S608 - a test's own text
    journal.close()
    assert found(tmp_path)[0] == position


@pytest.mark.parametrize("position", [1, 256, 257, 1_024, COUNT - 1, COUNT])
def test_a_deleted_record_is_found(journal: sqlite3.Connection, tmp_path: Path, position: int) -> None:
    journal.execute("DELETE FROM event WHERE position = ?", (position,))
    journal.close()
    assert found(tmp_path)[0] == position


def test_a_record_inserted_after_the_head_is_found(journal: sqlite3.Connection, tmp_path: Path) -> None:
    _insert_copy(journal, COUNT + 1)
    journal.close()
    assert found(tmp_path)[0] == COUNT + 1


def _insert_copy(journal: sqlite3.Connection, position: int) -> None:
    columns = "type, schema, recorded_at, occurred_at, data, actor, note, correlation_id, causation_id, digest, account"
    journal.execute(
        f"INSERT INTO event (position, stream, version, id, {columns}) "  # noqa: S608 - a test's own text
        f"SELECT {position}, 'order/ACC1/O-9', 1, randomblob(16), {columns} FROM event WHERE position = 1"
    )


def test_two_records_that_were_swapped_are_found_at_the_first(journal: sqlite3.Connection, tmp_path: Path) -> None:
    for old, new in ((500, -1), (700, 500), (-1, 700)):
        journal.execute("UPDATE event SET position = ? WHERE position = ?", (new, old))
    journal.close()
    assert found(tmp_path)[0] == 500


@pytest.mark.parametrize("level", [8, 9, 10])
def test_a_changed_node_of_the_tree_is_found(journal: sqlite3.Connection, tmp_path: Path, level: int) -> None:
    changed = journal.execute("UPDATE node SET hash = zeroblob(32) WHERE level = ? AND number = 0", (level,))
    assert changed.rowcount == 1
    journal.close()
    assert found(tmp_path)[0] is not None


def test_a_record_rewritten_with_its_digest_is_found_by_the_tree(journal: sqlite3.Connection, tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        (record,) = store.read(after=AT_POSITION - 1, limit=1)
        forged = msgspec.structs.replace(record, note="forged")
        prefix = digest_prefix(store.log_id, forged)
    leaf = digest(prefix, forged.position, forged.version, forged.recorded_at, forged)
    journal.execute("UPDATE event SET note = 'forged', digest = ? WHERE position = ?", (leaf, AT_POSITION))
    journal.close()
    position, reason = found(tmp_path)
    assert position == 257
    assert "tree" in reason


def test_a_change_near_the_end_is_named_on_opening(journal: sqlite3.Connection, tmp_path: Path) -> None:
    journal.execute("UPDATE event SET data = data || ' ' WHERE position = ?", (COUNT - 20,))
    journal.close()
    with pytest.raises(CorruptJournal) as corrupt:
        eventstore.open(tmp_path)
    assert corrupt.value.position == COUNT - 20


@pytest.mark.parametrize(
    "change",
    ["frontier = zeroblob(length(frontier))", "frontier = x''", "position = position - 1", "position = position + 1"],
)
def test_a_changed_head_is_found_on_opening(journal: sqlite3.Connection, tmp_path: Path, change: str) -> None:
    journal.execute(f"UPDATE head SET {change}")  # noqa: S608 - a test's own text
    journal.close()
    with pytest.raises(CorruptJournal):
        eventstore.open(tmp_path)


def test_a_missing_head_is_found_on_opening(journal: sqlite3.Connection, tmp_path: Path) -> None:
    journal.execute("DELETE FROM head")
    journal.close()
    with pytest.raises(CorruptJournal, match="the head's row is missing"):
        eventstore.open(tmp_path)


def test_an_account_that_is_not_the_streams_is_found_by_doctor(journal: sqlite3.Connection, tmp_path: Path) -> None:
    journal.execute("UPDATE event SET account = 'ACC9' WHERE position = 300")
    journal.execute("DELETE FROM type")
    journal.close()
    with eventstore.open(tmp_path) as store:
        assert store.doctor() == [
            "position 300: the account column is not the stream's",
            "type OrderRejected of schema 1 is not in the type table",
        ]


def test_a_page_of_the_file_that_was_overwritten_is_a_corrupt_journal(tmp_path: Path, original: bytes) -> None:
    (tmp_path / "main").mkdir()
    # A page of the table's middle, found by what a record there says.
    at = original.index(b'{"reason":"149"}') // 2_048 * 2_048
    (tmp_path / JOURNAL).write_bytes(original[:at] + b"\xa5" * 2_048 + original[at + 2_048 :])
    position, reason = found(tmp_path)
    assert position is not None
    assert reason
