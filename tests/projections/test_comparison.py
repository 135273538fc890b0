"""The newest cut compared with the log: differences are named, whether the cut is signed or not."""

import warnings
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

import eventstore
import projections
from eventstore import EventStore
from projections import SnapshotComparison, SnapshotDifference, SnapshotWarning, compare_snapshots
from projections.cuts.states import encoded, pack
from tests.projections.cut_files import changed, executed, move_on
from tests.projections.cutting import digest, from_zero
from tests.projections.examples import RainByAccount, bought, rain, snapshots_file


@pytest.fixture
def store(any_store: EventStore) -> EventStore:
    return any_store


def cut(store: EventStore) -> None:
    with projections.open(store, views=[RainByAccount()]) as book:
        book.append("trade/A/T", bought("T1", 3))
        book.append("trade/B/T", bought("T2", 5))
        book.append("rain/A/x", rain(1))
        assert book.snapshot()
        book.append("trade/B/T", bought("T3", 5))
        assert book.snapshot()


def test_a_true_cut_is_compared_state_by_state(store: EventStore) -> None:
    cut(store)
    found = compare_snapshots(store, views=[RainByAccount()])
    assert (found.cut, found.differences, found.unsigned) == (4, (), ())
    with projections.open(store, views=[RainByAccount()]) as book:
        assert found.compared == len(digest(book))


def test_where_there_is_no_cut_nothing_is_compared(store: EventStore, tmp_path: Path) -> None:
    assert compare_snapshots(store) == SnapshotComparison(0, 0)
    store.append("trade/A/T", bought("T"))
    assert compare_snapshots(store, snapshots=tmp_path / "none") == SnapshotComparison(0, 0)


def test_a_state_edited_without_the_key_is_named_and_not_believed(store: EventStore) -> None:
    cut(store)
    edit(store, "executions", "A")
    found = compare_snapshots(store)
    why = "it differs from the fold of the log's records"
    assert found.differences == (SnapshotDifference("executions", "A", 4, why),)
    assert found.unsigned == ("executions",)
    assert found.signed_differences == ()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        book = projections.open(store)
    assert ["snapshot of executions at" in str(each.message) for each in warned] == [True, True]
    assert digest(book) == from_zero(store)


def edit(store: EventStore, view: str, partition: str) -> None:
    """Put another account's state in the place of one, with everything that does not need the key."""
    with projections.open(store, snapshots=False) as book:
        state = pack(encoded(book.state(view, "B" if partition == "A" else "A")))
    sql = "UPDATE state SET data = :data, size = :size, digest = :digest WHERE view = :view AND partition = :partition"
    changed(store, sql, view=view, partition=partition, **state._asdict())


def test_a_false_state_that_is_signed_is_named_as_believed(store: EventStore) -> None:
    cut(store)
    with projections.open(store) as book:
        state = book.state("executions", "A")
        other = msgspec.msgpack.decode(encoded(book.state("executions", "B")), type=type(state))
        book._fold.slots["executions"].states["A"] = other
        book._fold.slots["executions"].changed.add("A")
        move_on(book)
        assert book.snapshot()
    with projections.open(store) as book:
        # This is why somebody has to ask.
        assert book.positions.get("A", "ESZ5").quantity == Decimal(10)
    found = compare_snapshots(store)
    assert [(each.view, each.partition, each.cut) for each in found.differences] == [("executions", "A", 5)]
    assert found.signed_differences == found.differences


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        ("DELETE FROM state WHERE view = 'executions' AND partition = 'A'", "it is missing from the cut"),
        ("UPDATE state SET partition = 'C' WHERE view = 'executions' AND partition = 'A'", "has no such state"),
        ("UPDATE state SET data = :none WHERE view = 'executions' AND partition = 'A'", "it cannot be read"),
    ],
)
def test_what_is_missing_made_up_or_unreadable_is_named(store: EventStore, harm: str, reason: str) -> None:
    cut(store)
    changed(store, harm, none=b"\0")
    found = compare_snapshots(store)
    assert {each.view for each in found.differences} == {"executions"}
    assert any(reason in each.reason for each in found.differences)


def test_a_view_that_the_newest_cut_lacks_is_compared_in_an_older_one(store: EventStore) -> None:
    view = RainByAccount()
    cut(store)
    with projections.open(store, views=[view]) as book:
        view.bad = {13}
        book.append("rain/A/x", rain(13))
        assert book.parked
        assert book.snapshot()
    assert compare_snapshots(store, views=[RainByAccount()]).differences == ()


def test_a_cut_of_another_format_or_damaged_is_not_used(tmp_path: Path) -> None:
    file = snapshots_file(tmp_path / "data")
    with eventstore.open(tmp_path / "data") as store:
        cut(store)
        executed(file, "PRAGMA user_version = 1")
        with pytest.warns(SnapshotWarning, match="whose cuts are not signed"):
            assert compare_snapshots(store).cut == 0
        file.write_bytes(b"no database" * 1_000)
        with pytest.warns(SnapshotWarning, match="is damaged"):
            assert compare_snapshots(store).cut == 0
