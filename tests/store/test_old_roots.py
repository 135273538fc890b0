"""A root kept elsewhere stays useful while the log grows: it is verified for its size."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

import eventstore
from eventstore import CorruptJournal, EventStore, InvalidEvent, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.reader import EventReader
from eventstore.testing import naive_root
from tests.store import forging
from tests.store.facts import AT, ORDER, OTHER, rejected

COUNT = 1_300
"""Five complete tiles of 256 and a bit."""
SIZES = [0, 1, 2, 3, 255, 256, 257, 511, 512, 768, 1_023, 1_024, 1_280, COUNT - 1, COUNT]
JOURNAL = Path("main") / "journal.db"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data")
    with eventstore.open(directory, clock=ManualClock(AT)) as store:
        for number in range(COUNT // 100):
            store.append(ORDER, [rejected(f"{number}/{each}") for each in range(100)])
    return directory


@pytest.fixture(scope="module")
def leaves(data: Path) -> Sequence[bytes]:
    with eventstore.open(data) as store:
        return [record.digest for record in store.read()]


@pytest.fixture(scope="module", params=["store", "memory", "reader"])
def log(request: pytest.FixtureRequest, data: Path) -> Iterator[EventReader]:
    """A log as a store has it, in memory, and as it is read where no digests are stored."""
    with eventstore.open(data) as store:
        if request.param == "store":
            yield store
        elif request.param == "reader":
            yield EventReader(store._journal)
        else:
            journal = MemoryJournal(log_id=store.log_id)
            journal._records += list(store.read())
            yield EventStore(journal)


@pytest.mark.parametrize("size", SIZES)
def test_the_root_of_each_size_is_given_and_proved(log: EventReader, leaves: Sequence[bytes], size: int) -> None:
    root = naive_root(leaves[:size])
    assert log.root(size) == (size, root)
    found = log.verify(root=root, size=size)
    assert (found.ok, found.checked) == (True, COUNT), found


def test_a_root_is_bytes_or_hexadecimal_text(log: EventReader, leaves: Sequence[bytes]) -> None:
    root = naive_root(leaves[:700])
    for given in (root, root.hex(), root.hex().upper()):
        assert log.verify(root=given, size=700, after=600).checked == COUNT - 600
    assert log.verify(root=root, size=700, after=900).checked == COUNT - 900
    assert log.verify(root=root, size=700, after=5_000).ok


def test_without_a_size_a_root_is_todays(log: EventReader, leaves: Sequence[bytes]) -> None:
    assert log.root() == (COUNT, naive_root(leaves))
    assert log.verify(root=naive_root(leaves)).ok
    assert not log.verify(root=naive_root(leaves[:-1])).ok


@pytest.mark.parametrize("size", [1, 256, 700, COUNT])
def test_another_root_is_found_by_the_range_that_does_not_give_it(log: EventReader, size: int) -> None:
    found = log.verify(root=bytes(32), size=size)
    assert (found.ok, found.first_bad, found.checked) == (False, 1, 0)
    assert f"positions 1 to {size} do not give the root" in (found.reason or "")


def test_a_root_past_the_end_says_that_the_tail_is_lost(log: EventReader, leaves: Sequence[bytes]) -> None:
    for after in (0, 600):
        found = log.verify(root=naive_root(leaves), size=COUNT + 1, after=after)
        assert (found.ok, found.first_bad, found.checked) == (False, COUNT + 1, COUNT - after)
        assert f"the log ends at position {COUNT}" in (found.reason or "")
        assert "its tail is lost" in (found.reason or "")


def test_an_empty_log_had_one_root_only(log: EventReader, leaves: Sequence[bytes]) -> None:
    found = log.verify(root=naive_root(leaves), size=0)
    assert (found.ok, found.first_bad) == (False, 0)


def test_a_root_with_another_size_names_its_own(data: Path, leaves: Sequence[bytes]) -> None:
    with eventstore.open(data) as store:
        found = store.verify(root=naive_root(leaves), size=1_000)
    assert (found.ok, found.first_bad) == (False, 0)
    assert f"this is the log's root at size {COUNT}, not at size 1000" in (found.reason or "")


MALFORMED: dict[str, dict[str, Any]] = {
    "a size alone": {"size": 5},
    "no hex": {"root": "z" * 64},
    "a short root": {"root": "ab" * 31},
    "a long root": {"root": "ab" * 33},
    "an empty root": {"root": ""},
    "hex with blanks": {"root": " ".join(["abab"] * 16)},
    "hex of other digits": {"root": "\u0661" * 64},
    "short bytes": {"root": bytes(31)},
    "a number": {"root": 5},
    "a negative size": {"root": bytes(32), "size": -1},
    "a size that is text": {"root": bytes(32), "size": "5"},
    "a size that is true": {"root": bytes(32), "size": True},
}


@pytest.mark.parametrize("given", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_root_or_size_is_refused(log: EventReader, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        log.verify(**given)


@pytest.mark.parametrize("size", [-1, COUNT + 1, 1 << 70, "5", 1.0])
def test_the_root_of_a_size_that_the_log_never_had_is_refused(log: EventReader, size: Any) -> None:  # noqa: ANN401 - anything
    with pytest.raises(InvalidEvent, match="size"):
        log.root(size)


def test_a_size_beyond_all_logs_is_beyond_this_one(log: EventReader) -> None:
    assert log.verify(root=bytes(32), size=1 << 70).first_bad == COUNT + 1


def copied(data: Path, target: Path) -> sqlite3.Connection:
    (target / "main").mkdir()
    (target / JOURNAL).write_bytes((data / JOURNAL).read_bytes())
    return sqlite3.connect(target / JOURNAL, isolation_level=None)


def test_a_log_that_was_rewritten_with_its_tree_is_found_by_an_old_root(
    data: Path, leaves: Sequence[bytes], tmp_path: Path
) -> None:
    with closing(copied(data, tmp_path)) as journal:
        forged = 900
        forging.forge(
            journal, lambda record: msgspec.structs.replace(record, note="x") if record.position == forged else record
        )
    with eventstore.open(tmp_path) as store:
        assert store.verify().ok
        assert store.verify(root=naive_root(leaves[:899]), size=899).ok
        found = store.verify(root=naive_root(leaves[:900]), size=900)
        assert (found.ok, found.first_bad) == (False, 1)
        assert "the log was rewritten with its tree" in (found.reason or "")


def test_a_log_that_was_cut_off_with_its_tree_is_found_by_an_old_root(
    data: Path, leaves: Sequence[bytes], tmp_path: Path
) -> None:
    with closing(copied(data, tmp_path)) as journal:
        log_id = journal.execute("SELECT value FROM meta WHERE key = 'log_id'").fetchone()[0]
        forging.write(journal, forging.read(journal)[:1_000], log_id)
    with eventstore.open(tmp_path) as store:
        assert store.verify().ok
        assert store.verify(root=naive_root(leaves[:1_000]), size=1_000).ok
        assert store.verify(root=naive_root(leaves), size=COUNT).first_bad == 1_001
        store.append(OTHER, [rejected()] * 400)
        assert store.verify(root=naive_root(leaves), size=COUNT).first_bad == 1


def test_a_changed_record_is_named_rather_than_the_range_of_the_root(
    data: Path, leaves: Sequence[bytes], tmp_path: Path
) -> None:
    with closing(copied(data, tmp_path)) as journal:
        journal.execute("UPDATE event SET note = 'x' WHERE position = 333")
    with eventstore.open(tmp_path) as store:
        for size in (300, 900, COUNT):
            assert store.verify(root=naive_root(leaves[:size]), size=size).first_bad == 333
            assert store.verify(root=bytes(32), size=size).first_bad == 333
        # What lies before `after` is proved by the root itself.
        assert store.verify(root=naive_root(leaves[:900]), size=900, after=900).ok
        assert store.verify(root=bytes(32), size=900, after=900).first_bad == 1


def test_the_root_of_an_old_size_needs_the_stored_nodes(data: Path, tmp_path: Path) -> None:
    with closing(copied(data, tmp_path)) as journal:
        journal.execute("DELETE FROM node WHERE level = 9 AND number = 0")
    with eventstore.open(tmp_path) as store:
        with pytest.raises(CorruptJournal, match="the stored tree is incomplete"):
            store.root(600)
        assert store.verify(after=600).first_bad == 513
        assert store.verify().first_bad == 1
