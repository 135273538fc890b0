"""`doctor` says how old the newest cut is; `doctor --deep` compares it with the log and names what differs."""

import warnings
from pathlib import Path

import apsw
import pytest

import eventstore
import projections
from eventstore.clock import NANOSECONDS
from gateways.cli import doctor
from projections import SnapshotWarning
from projections.cuts.states import encoded, pack
from tests.cli.command import Run


def cut(data: Path) -> None:
    with eventstore.open(data) as store, projections.open(store) as book:
        assert book.snapshot()


def swap(data: Path, view: str, partition: str, other: str, *, signed: bool) -> None:
    """Put another account's state in the place of one in the newest cut, with the key or without it."""
    with eventstore.open(data) as store, projections.open(store) as book:
        state = book.state(view, other)
        view_state = book._fold.slots[view]
        if signed:
            view_state.states[partition] = state
            view_state.changed.add(partition)
            book._last_cut = 0
            assert book.snapshot()
            return
    connection = apsw.Connection(str(data / "main" / "snapshots.sqlite"))
    connection.execute(
        "UPDATE state SET data = ?, size = ?, digest = ? WHERE view = ? AND partition = ?",
        (*pack(encoded(state)), view, partition),
    )
    connection.close()


def test_doctor_says_how_old_the_newest_cut_is_and_that_it_was_not_compared(run: Run, data: Path) -> None:
    assert "none yet: 8 records folded" in run("doctor", "--data", data).out
    cut(data)
    ended = run("doctor", "--data", data)
    assert ended.code == 0
    assert (
        "the newest cut, at 8, is 0 h 0 min old, 0 records folded after it; not compared with the log: use --deep"
        in ended.out
    )


@pytest.mark.parametrize(
    ("ahead", "says"), [(-7_200, "0 h 0 min"), (59, "0 h 0 min"), (7_260, "2 h 1 min"), (90_000, "1 d 1 h")]
)
def test_an_age_is_never_below_zero(data: Path, ahead: int, says: str) -> None:
    with eventstore.open(data) as store:
        [record] = store.read(after=7)
        clock = eventstore.ManualClock(record.recorded_at + ahead * NANOSECONDS)
    with eventstore.open(data, clock=clock) as store:
        assert doctor._age(store, 8) == f"{says} old"


def test_a_true_cut_passes_a_deep_look(run: Run, data: Path) -> None:
    assert "ok       deep         there is no cut" in run("doctor", "--data", data, "--deep").out
    cut(data)
    ended = run("doctor", "--data", data, "--deep")
    assert ended.code == 0
    assert "states at 8 are what the log's records fold to" in ended.out
    assert "not compared" not in ended.out


def test_a_state_edited_without_the_key_is_named(run: Run, data: Path) -> None:
    cut(data)
    swap(data, "orders", "ACC1", "ACC2", signed=False)
    ended = run("doctor", "--data", data, "--deep", "--json")
    assert ended.code == 1
    checks = [(check["name"], check["status"], check["detail"]) for check in ended.document["checks"]]
    assert (
        "deep",
        "wrong",
        "view orders, partition ACC1, at 8: it differs from the fold of the log's records",
    ) in checks
    assert any(name == "signature" and "orders" in detail for name, _, detail in checks)
    # It is never used, so it may stay where it is.
    assert (data / "main" / "snapshots.sqlite").exists()


def test_a_false_cut_that_is_signed_is_named_and_believed_no_longer(run: Run, data: Path) -> None:
    cut(data)
    swap(data, "orders", "ACC1", "ACC2", signed=True)
    with eventstore.open(data) as store, projections.open(store) as book:
        assert book.orders.open("ACC1") != projections.open(store, snapshots=False).orders.open("ACC1")
    ended = run("doctor", "--data", data, "--deep")
    assert ended.code == 1
    assert "wrong    deep         view orders, partition ACC1, at 8" in ended.out
    assert "it differs from the log: restart what runs on this log" in ended.out
    with warnings.catch_warnings(), eventstore.open(data) as store:
        warnings.simplefilter("error", SnapshotWarning)
        book = projections.open(store)
        assert book.recovery.cut == 0
        assert book.orders.open("ACC1") == projections.open(store, snapshots=False).orders.open("ACC1")
    assert run("doctor", "--data", data, "--deep").code == 0


def test_evidence_is_looked_at_without_its_snapshots(run: Run, data: Path) -> None:
    cut(data)
    ended = run("doctor", "--data", data, "--deep", "--read-only")
    assert ended.code == 0
    assert "not used when the log is read-only" in ended.out
    assert "ok       deep         snapshots not compared: the log is open read-only" in ended.out
    assert "not compared" not in run("doctor", "--data", data, "--read-only").out
