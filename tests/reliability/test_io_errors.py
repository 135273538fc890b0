"""Writes and syncs fail, one after another: nothing is acknowledged that the disk does not keep."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw
import pytest

import eventstore
from eventstore import Batch, Closed, EventStore, OutcomeUnknown, Record, StoreError
from eventstore.journals.sqlite import checkpointing
from eventstore.journals.sqlite import journal as sqlite
from tests.reliability.checking import WAIT_SECONDS, Ack, acks_of, check, reported, submitted
from tests.reliability.faults import Disk, Operation

STREAM = "order/ACC1/1"
BACKGROUND_SECONDS = 0.1


class Script:
    """Appends in every way, notes the outcome, and continues after an error as a program would."""

    def __init__(self, store: EventStore) -> None:
        self.acked: list[Ack] = []
        self.unknown: set[bytes] = set()
        self.errors: list[StoreError] = []
        self._store = store

    def run(self) -> None:
        store = self._store
        for number in range(3):
            self.attempt(lambda number=number: store.append(STREAM, submitted(f"a:{number + 1}")))  # type: ignore[misc]
        both = [Batch(f"order/ACC1/{end}", [submitted()] * 3, note="6", correlation_id=b"both" * 4) for end in "23"]
        self.attempt(lambda: store.append_many(both))
        self.attempt(lambda: store.enqueue(STREAM, reported("q:1")).result())
        # Enough for a tile of the tree and for the write-ahead log to be checkpointed.
        self.attempt(lambda: store.append("order/ACC1/4", [submitted()] * 300, note="300", correlation_id=b"many" * 4))
        self._let_the_background_thread_checkpoint()
        for number in range(3):
            self.attempt(lambda number=number: store.append(STREAM, submitted(f"b:{number + 1}")))  # type: ignore[misc]

    def _let_the_background_thread_checkpoint(self) -> None:
        journal = self._store._journal
        assert isinstance(journal, sqlite.SqliteJournal)
        checkpoints = journal._checkpoints
        deadline = time.monotonic() + BACKGROUND_SECONDS
        while (
            checkpoints.is_due and not checkpoints.is_bulk_done and not journal.trouble and time.monotonic() < deadline
        ):
            time.sleep(0.0005)

    def attempt(self, append: Callable[[], Sequence[Record]]) -> None:
        poisoned = any(isinstance(error, OutcomeUnknown) for error in self.errors)
        try:
            records = append()
        except OutcomeUnknown as error:
            assert not poisoned, "a poisoned journal was written to"
            self.unknown |= set(error.ids)
            self.errors.append(error)
        except StoreError as error:
            self.errors.append(error)
        else:
            assert not poisoned, "a poisoned journal was written to"
            self.acked += acks_of(records)


def run_on(disk: Disk, data: Path) -> Script | None:
    """Run the script on a store of its own; return None where the store could not even be opened."""
    try:
        store = disk.store(data)
    except StoreError:
        return None
    script = Script(store)
    try:
        script.run()
    finally:
        # SQLite lets closing succeed when moving the log over fails; only apsw hands a Python disk's exception on.
        with contextlib.suppress(apsw.IOError):
            store.close()
    return script


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of errors that SQLite takes lightly
@pytest.mark.parametrize("forever", [False, True], ids=["once", "forever"])
@pytest.mark.parametrize("operation", ["sync", pytest.param("write", marks=pytest.mark.untraced)])
def test_an_operation_that_fails_costs_no_acknowledged_record(
    operation: Operation, forever: bool, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointing, "CHECKPOINT_PAGES", 30)
    for number in itertools.count(1):
        data = memory_path / str(number)
        disk = Disk()
        disk.fail(operation, number, forever=forever)
        script = run_on(disk, data)
        with eventstore.open(data) as store:
            records = check(store, script.acked if script else ())
            store.append("order/ACC2/after", submitted())
        known = {ack.id for ack in script.acked} | script.unknown if script else set()
        assert {record.id for record in records} <= known, "records are there that were said not to be"
        if script and script.unknown:
            after = script.errors[[type(error) for error in script.errors].index(OutcomeUnknown) + 1 :]
            assert {type(error) for error in after} <= {Closed}
        if not disk.failed:
            assert script is not None
            assert not script.errors
            break
    assert number > {"sync": 10, "write": 100}[operation]


def test_a_failed_sync_poisons_the_store_until_it_is_opened_again(tmp_path: Path) -> None:
    disk = Disk()
    store = disk.store(tmp_path)
    acked = acks_of(store.append(STREAM, submitted("a:1")))
    disk.fail("sync")
    with pytest.raises(OutcomeUnknown, match="reopen the store") as caught:
        store.append(STREAM, [submitted("a:2"), submitted("a:3")], key=["k2", "k3"])
    assert len(caught.value.ids) == 2
    disk.heal()
    for use in (
        lambda: store.append(STREAM, submitted()),
        lambda: store.enqueue(STREAM, reported("")),
        lambda: list(store.read()),
        store.head,
        store.flush,
    ):
        with pytest.raises(Closed, match="open it again"):
            use()
    store.close()
    with eventstore.open(tmp_path) as store:
        check(store, acked)
        again = store.append(STREAM, [submitted("a:2"), submitted("a:3")], key=["k2", "k3"])
        assert tuple(record.id for record in again) == caught.value.ids
        assert len(check(store, acked)) == 3


def test_all_who_share_a_failed_commit_learn_of_their_own_events(tmp_path: Path) -> None:
    disk = Disk()
    store = disk.store(tmp_path)
    errors: dict[int, StoreError] = {}

    def append(number: int) -> None:
        try:
            store.append(f"order/ACC1/{number}", [submitted()] * number, key=[f"{number}-{n}" for n in range(number)])
        except StoreError as error:
            errors[number] = error

    crowd = [threading.Thread(target=append, args=(number,)) for number in range(1, 6)]
    disk.gate.clear()
    first = threading.Thread(target=append, args=(9,))
    first.start()
    assert disk.at_the_gate.wait(WAIT_SECONDS)
    for thread in crowd:
        thread.start()
    pending = store.enqueue("order/ACC1/queued", reported(""))
    while store.waiting < 9 + sum(range(1, 6)) + 1:
        pass
    # The first commit has begun its sync, which succeeds; the crowd's own is the next.
    disk.fail("sync", 2)
    disk.done["sync"] = 1
    disk.gate.set()
    for thread in [first, *crowd]:
        thread.join(WAIT_SECONDS)
    with pytest.raises(OutcomeUnknown) as caught:
        pending.result(WAIT_SECONDS)
    assert len(caught.value.ids) == 1
    assert sorted(errors) == [1, 2, 3, 4, 5]
    for number, error in errors.items():
        assert isinstance(error, OutcomeUnknown | Closed)
        if isinstance(error, OutcomeUnknown):
            assert len(error.ids) == number
    assert sum(isinstance(error, OutcomeUnknown) for error in errors.values()) >= 4
    store.close()
    with eventstore.open(tmp_path) as reopened:
        records = check(reopened)
        assert len([record for record in records if record.stream == "order/ACC1/9"]) == 9


def test_what_is_acknowledged_was_synced_after_it_was_written(tmp_path: Path) -> None:
    disk = Disk()
    with disk.store(tmp_path) as store:
        for append in (
            lambda: store.append(STREAM, submitted()),
            lambda: store.append_many([Batch(STREAM, [submitted()] * 300), Batch("order/ACC1/2", submitted())]),
            lambda: store.enqueue(STREAM, reported("")).result(),
            store.flush,
        ):
            append()
            assert not disk.dirty & {"journal.db-wal"}
        syncs = disk.done["sync of journal.db-wal"]
        store.append(STREAM, submitted())
        assert disk.done["sync of journal.db-wal"] == syncs + 1
