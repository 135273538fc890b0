"""Whatever the journal raises, no thread waits forever, the flusher continues, and the error is reported."""

from __future__ import annotations

import struct
import threading
import time

import pytest

from eventstore import EventStore, OutcomeUnknown, Overloaded, commits
from eventstore.journals.sqlite import SqliteJournal
from eventstore.testing import in_time
from tests.store.facts import CONTRACT, ORDER, contract, rejected, texts

FOREIGN = [
    MemoryError(),
    RuntimeError("odd"),
    struct.error("q"),
    RecursionError("deep"),
    StopIteration(),
    ValueError("x"),
]
INTERRUPTIONS = [KeyboardInterrupt(), SystemExit(1), GeneratorExit()]


class Failing:
    """A journal's `commit` that raises errors, one each time, then does what it did."""

    def __init__(self, store: EventStore, *errors: BaseException) -> None:
        journal = store.committer._journal
        self._commit = journal.commit
        self.errors = list(errors)
        journal.commit = self  # type: ignore[method-assign, assignment]

    def __call__(self, groups: object) -> object:
        if groups and self.errors:
            raise self.errors.pop(0)
        return self._commit(groups)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [*FOREIGN, *INTERRUPTIONS], ids=repr)
def test_the_flusher_outlives_any_exception(store: EventStore, error: BaseException) -> None:
    Failing(store, error)
    pending = store.enqueue(CONTRACT, contract("lost"))
    with pytest.raises(OutcomeUnknown, match=type(error).__name__) as caught:
        in_time(lambda: pending.result(5))
    assert len(caught.value.ids) == 1
    later = store.enqueue(CONTRACT, contract("later"))
    assert in_time(lambda: later.result(5))[0].position == 1
    assert texts(store) == ["later"]


@pytest.mark.parametrize("error", FOREIGN, ids=repr)
def test_who_appends_gets_a_store_error_that_names_it(store: EventStore, error: BaseException) -> None:
    Failing(store, error)
    with pytest.raises(OutcomeUnknown, match=type(error).__name__) as caught:
        store.append(ORDER, rejected("lost"))
    assert caught.value.__cause__ is error
    assert store.append(ORDER, rejected("next"))[0].position == 1


@pytest.mark.parametrize("error", [*FOREIGN, *INTERRUPTIONS], ids=repr)
def test_no_caller_that_shares_the_commit_waits_forever(store: EventStore, error: BaseException) -> None:
    """Of eight threads one leads; each has its records or an error within seconds."""
    failing = Failing(store, error, error)
    ends: list[object] = []
    start = threading.Barrier(8)

    def append(number: int) -> None:
        start.wait()
        try:
            ends.append(store.append(f"order/ACC1/{number}", rejected(number)))
        except BaseException as e:  # noqa: BLE001 - it is what is looked at
            ends.append(e)

    threads = [threading.Thread(target=append, args=(number,), daemon=True) for number in range(8)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    assert len(ends) == 8
    assert not failing.errors or len(failing.errors) == 1
    assert store.waiting == 0
    assert store.append(ORDER, rejected("next"))


def test_flush_and_close_raise_errors_that_were_not_asked_for(store: EventStore) -> None:
    Failing(store, RuntimeError("odd"))
    store.enqueue(CONTRACT, contract("lost"))
    with pytest.raises(OutcomeUnknown, match="RuntimeError: odd"):
        store.flush()
    store.flush()


def test_trouble_of_the_flusher_is_seen_by_the_doctor(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = threading.Event()
    broken.set()
    gather = commits.Committer._gather

    def fails(committer: commits.Committer) -> None:
        if broken.is_set():
            msg = "no memory for that"
            raise MemoryError(msg)
        gather(committer)

    monkeypatch.setattr(commits.Committer, "_gather", fails)
    pending = store.enqueue(CONTRACT, contract("kept"))
    while not store.committer.trouble:
        time.sleep(0.001)
    assert "MemoryError: no memory for that" in "".join(store.doctor())
    broken.clear()
    assert in_time(lambda: pending.result(5))[0].position == 1, "it was tried again"
    deadline = time.monotonic() + 5
    while store.committer.trouble and time.monotonic() < deadline:
        time.sleep(0.001)
    assert store.doctor() == []


def test_a_thread_that_cannot_be_had_is_said(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(_: threading.Thread) -> None:
        msg = "can't start new thread"
        raise RuntimeError(msg)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuses)
        with pytest.raises(Overloaded, match="nothing was written"):
            store.enqueue(CONTRACT, contract("lost"))
    assert store.waiting == 0
    store.enqueue(CONTRACT, contract("next"))
    store.flush()
    assert texts(store) == ["next"]


def test_trouble_of_the_background_thread_is_seen_by_the_doctor(store: EventStore) -> None:
    journal = store._journal
    assert isinstance(journal, SqliteJournal)

    def fails() -> None:
        msg = "no room"
        raise OSError(28, msg)

    journal._background._tasks = (fails,)
    journal._background.wake()
    deadline = time.monotonic() + 5
    while not journal.trouble and time.monotonic() < deadline:
        time.sleep(0.001)
    assert "background maintenance of the files failed: [Errno 28] no room" in store.doctor()
