"""A column with values that no journal writes, or invalid text: named, or refused with a project error."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

import eventstore
from eventstore import Batch, CorruptJournal, EventStore, ManualClock, record
from tests.reliability.pages import File, Value, column, columns
from tests.reliability.pages import record as encoded
from tests.store.facts import AT, ORDER, OTHER, rejected

COUNT = 600
JOURNAL = Path("main") / "journal.db"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("original")
    with eventstore.open(directory, clock=ManualClock(AT)) as store:
        for number in range(COUNT // 2):
            store.append_many([Batch(ORDER, rejected(number)), Batch(OTHER, rejected(number))])
    return (directory / JOURNAL).read_bytes()


@pytest.fixture
def store(original: bytes, tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _copied(original: bytes, tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    (tmp_path / JOURNAL).write_bytes(original)


def put(path: Path, table: str, number: int, value: Value, *, row: int = 0) -> None:
    """Give a column of a row of a table's first leaf a value of any kind, by the file's bytes."""
    with closing(sqlite3.connect(path)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
    file = File(path.read_bytes())
    page = next(page for page in file.pages(root) if page.right is None)
    parts = columns(page.cells[row].payload)
    parts[number] = column(value)
    page.cells[row] = page.cells[row]._replace(payload=encoded(parts))
    assert file.put(page)
    path.write_bytes(file.data)


def test_a_node_that_is_text_is_named(tmp_path: Path) -> None:
    # (8, 0), (8, 1), (9, 0) and no more: opening begins at the first, so it meets the second's place.
    put(tmp_path / JOURNAL, "node", 2, "x" * 32)
    with pytest.raises(CorruptJournal, match="node 0 of level 8 is malformed") as caught:
        eventstore.open(tmp_path)
    assert caught.value.position == 1


def test_a_time_that_is_not_a_number_is_named(tmp_path: Path) -> None:
    put(tmp_path / JOURNAL, "event", 5, 1.5)
    with eventstore.open(tmp_path) as store:
        found = store.verify()
        assert (found.ok, found.first_bad) == (False, 1)
        with pytest.raises(CorruptJournal, match=r"1\.5 stands where a number belongs") as caught:
            store.position_at(AT)
    assert caught.value.position == 1


def test_a_version_that_is_not_a_number_is_named(tmp_path: Path) -> None:
    put(tmp_path / JOURNAL, "event", 2, "1")
    with eventstore.open(tmp_path) as store:
        assert store.verify().first_bad == 1
        with pytest.raises(CorruptJournal, match="'1' stands where a number belongs"):
            list(store.read(stream=ORDER, after=1))


def test_data_that_is_stored_as_bytes_is_named(tmp_path: Path) -> None:
    """Reads of this project give the same, those of other tools do not."""
    put(tmp_path / JOURNAL, "event", 8, b'{"reason":"0"}')
    with eventstore.open(tmp_path) as store:
        assert next(store.read()).data == b'{"reason":"0"}'
        found = store.verify()
    assert (found.ok, found.first_bad) == (False, 1)
    assert found.reason == "the data column is not of the kind that it is declared: it was changed"


def test_an_index_that_has_a_version_as_another_kind_of_number_is_named(tmp_path: Path) -> None:
    """It compares like the table's, and is what a read by stream would return."""
    put(tmp_path / JOURNAL, "event_by_stream", 1, 1.0)
    with eventstore.open(tmp_path) as store:
        found = store.verify()
    assert (found.ok, found.first_bad) == (False, 1)
    assert found.reason == f"the versions of {ORDER} are not 1 to 300"


def test_types_that_are_not_utf8_are_named(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / JOURNAL, isolation_level=None)) as journal:
        journal.execute("INSERT INTO type VALUES (CAST(x'ff' AS TEXT), 1, 'SYNCED', '[]')")
    with eventstore.open(tmp_path) as store:
        found = store.verify()
        assert (found.ok, found.first_bad) == (False, 0)
        assert "is not UTF-8" in (found.reason or "")
        with pytest.raises(CorruptJournal, match="not UTF-8"):
            store._journal.types()


def test_meta_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / JOURNAL, isolation_level=None)) as journal:
        journal.execute("INSERT INTO meta VALUES (CAST(x'ff' AS TEXT), 1)")
    with pytest.raises(CorruptJournal, match="not UTF-8"):
        eventstore.open(tmp_path)


def test_a_head_that_is_damaged_while_the_store_is_open_is_a_verdict(store: EventStore, tmp_path: Path) -> None:
    with closing(apsw.Connection(str(tmp_path / JOURNAL))) as other:
        other.execute("UPDATE head SET frontier = x'00'")
    found = store.verify()
    assert (found.ok, found.first_bad, found.checked) == (False, COUNT, 0)
    assert "the head's tree is damaged" in (found.reason or "")


def test_a_node_that_is_damaged_before_the_part_that_is_checked_is_a_verdict(store: EventStore, tmp_path: Path) -> None:
    with closing(apsw.Connection(str(tmp_path / JOURNAL))) as other:
        other.execute("PRAGMA ignore_check_constraints = ON; DELETE FROM node WHERE level = 9")
    found = store.verify(after=550)
    assert not found.ok
    assert "the stored tree is incomplete" in (found.reason or "")


def test_many_streams_and_writers_are_digested_as_few_are(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "SHARED_MAX", 1)
    digester = record.Digester(store.log_id)
    assert all(digester.is_sound(each) for each in store.read(limit=50))
