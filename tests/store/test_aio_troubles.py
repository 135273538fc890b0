"""The store of asyncio programs when something is wrong: errors, a full queue, closing, loops, forks, Ctrl-C."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import eventstore
from eventstore import (
    MIRRORED,
    QUEUED,
    Batch,
    Closed,
    DuplicateEvent,
    EventStore,
    InvalidEvent,
    OutcomeUnknown,
    Overloaded,
    ReadOnly,
    StoreError,
    Unavailable,
    Unchanged,
    VersionConflict,
    aio,
    commits,
)
from eventstore.aio import AsyncEventStore
from tests.places import Place
from tests.store.asynchronous import disk_held, raised, run_story, texts_of
from tests.store.facts import CONTRACT, ORDER, OTHER, contract, rejected, texts

pytestmark = [pytest.mark.usefixtures("no_thread_left"), pytest.mark.in_each_place]


# What goes wrong


def test_errors_arrive_as_they_are(place: Place) -> None:
    async def story(store: AsyncEventStore) -> None:
        await store.append(ORDER, rejected("a"), key="1")
        conflict = await raised(store.append(ORDER, rejected("b"), expected=7))
        assert isinstance(conflict, VersionConflict)
        assert (conflict.expected, conflict.found) == (7, 1)
        duplicate = await raised(store.append(ORDER, rejected("b"), key="1"))
        assert isinstance(duplicate, DuplicateEvent)
        assert duplicate.record is not None
        assert duplicate.record.position == 1
        changed = store.append(OTHER, rejected("b"), unchanged=Unchanged(accounts=["ACC1"], since=0))
        assert isinstance(await raised(changed), eventstore.AccountChanged)
        for malformed in (
            store.append("nonsense", rejected()),
            store.append(ORDER, "not an event"),  # type: ignore[arg-type]
            store.append(ORDER, rejected(), durability=QUEUED),
            store.append_many([Batch(ORDER, rejected()), ORDER]),  # type: ignore[list-item]
            store.enqueue(ORDER, rejected("is SYNCED")),
            store.verify(size=3),
            store.version("nonsense"),
        ):
            assert isinstance(await raised(malformed), InvalidEvent)
        assert isinstance(await raised(store.append(ORDER, rejected(), durability=MIRRORED)), Unavailable)
        with pytest.raises(TypeError, match="expcted"):
            await store.append(ORDER, rejected(), expcted=3)  # type: ignore[call-arg]
        assert await texts_of(store) == ["a"]
        # None of them is raised again.
        await store.flush()

    run_story(place, story)


def test_a_failed_append_touches_none_that_shares_its_sync(place: Place) -> None:
    async def story(store: AsyncEventStore) -> None:
        appends = [store.append(f"order/ACC1/O-{number}", rejected(number), expected=number % 2) for number in range(8)]
        outcomes = await asyncio.gather(*appends, return_exceptions=True)
        assert [type(each) for each in outcomes] == [list, VersionConflict] * 4
        assert await texts_of(store) == ["0", "2", "4", "6"]

    run_story(place, story)


def test_a_failed_sync_is_an_unknown_outcome(place: Place) -> None:
    async def main() -> None:
        store = await aio.open(place)
        failure = OSError(5, "the disk is gone")
        with patch.object(store.sync_store.committer._journal, "commit", side_effect=failure):
            error = await raised(store.append(ORDER, [rejected("a"), rejected("b")]))
        assert isinstance(error, OutcomeUnknown)
        assert len(error.ids) == 2
        await store.close()

    asyncio.run(main())


def test_a_disk_that_does_not_answer_ends_the_wait(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "COMMIT_SECONDS_MAX", 0.05)

    async def story(store: AsyncEventStore) -> None:
        async with disk_held(store) as begun:
            writing = asyncio.ensure_future(raised(store.append(ORDER, rejected("a"))))
            await begun.wait()
            waits = await raised(store.append(ORDER, rejected("b")))
            assert isinstance(waits, Overloaded)
            assert "nothing was written" in str(waits)
            assert isinstance(await writing, OutcomeUnknown)
        monkeypatch.undo()
        await store.flush()
        assert await texts_of(store) == ["a"]

    run_story(place, story)


def test_a_full_queue_is_waited_for_and_then_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "WAITING_EVENTS_MAX", 2)
    monkeypatch.setattr(commits, "WAIT_SECONDS", 0.05)

    async def story(store: AsyncEventStore) -> None:
        async with disk_held(store) as begun:
            first = asyncio.ensure_future(store.append(ORDER, rejected("a")))
            await begun.wait()
            second = asyncio.ensure_future(store.append(ORDER, rejected("b")))
            await asyncio.sleep(0)
            assert store.waiting == 2
            assert isinstance(await raised(store.append(ORDER, rejected("c"))), Overloaded)
            assert isinstance(await raised(store.enqueue(CONTRACT, contract("d"))), Overloaded)
            monkeypatch.setattr(commits, "WAIT_SECONDS", 30)
            third = asyncio.ensure_future(store.append(ORDER, rejected("e")))
            fourth = asyncio.ensure_future(store.append(ORDER, rejected("f")))
            await asyncio.sleep(0.02)
            assert not third.done()
        await asyncio.gather(first, second, third, fourth)
        assert await texts_of(store) == ["a", "b", "e", "f"]

    run_story(place, story)


def test_a_store_opened_read_only_appends_nothing(place: Place) -> None:
    with eventstore.open(place) as store:
        store.append(ORDER, rejected("a"))

    async def story(store: AsyncEventStore) -> None:
        assert isinstance(await raised(store.append(ORDER, rejected("b"))), ReadOnly)
        assert isinstance(await raised(store.enqueue(CONTRACT, contract())), ReadOnly)
        assert await texts_of(store) == ["a"]
        await store.flush()

    run_story(place, story, read_only=True)


def test_what_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", "http://somewhere/x"):
        with pytest.raises(StoreError):
            run_story(place, lambda store: store.flush())


# Its end


def calls_of(store: AsyncEventStore, tmp_path: Path) -> list[Awaitable[object]]:
    return [
        store.append(ORDER, rejected("late")),
        store.append_many([Batch(ORDER, rejected("late"))]),
        store.enqueue(CONTRACT, contract("late")),
        store.flush(),
        store.head(),
        store.version(ORDER),
        store.find(bytes(16)),
        store.root(),
        store.verify(),
        store.doctor(),
        store.backup(tmp_path / "copy"),
        anext(store.read()),
        anext(store.follow()),
    ]


def test_a_closed_store_says_so_to_each_call_and_may_be_closed_again(place: Place, tmp_path: Path) -> None:
    async def main() -> None:
        store = await aio.open(place)
        await store.append(ORDER, rejected("a"))
        await asyncio.gather(store.close(), store.close())
        await store.close()
        for call in calls_of(store, tmp_path):
            assert isinstance(await raised(call), Closed)

    asyncio.run(main())


def test_closing_writes_what_waits_and_answers_each_waiting_task(place: Place) -> None:
    async def main() -> None:
        store = await aio.open(place)
        async with disk_held(store) as begun:
            waiting = [asyncio.ensure_future(store.append(ORDER, rejected(number))) for number in range(5)]
            await asyncio.sleep(0)
            pending = await store.enqueue(CONTRACT, contract("queued"))
            await begun.wait()
            closing = asyncio.ensure_future(store.close())
            await asyncio.sleep(0.01)
            assert not closing.done()
        await closing
        records = [(await each)[0] for each in waiting] + await pending
        assert [record.position for record in records] == [1, 2, 3, 4, 5, 6]

    asyncio.run(main())
    with eventstore.open(place) as store:
        assert texts(store) == ["0", "1", "2", "3", "4", "queued"]


def test_closing_raises_the_failure_of_an_enqueued_append_that_nobody_asked_for(place: Place) -> None:
    async def main() -> None:
        store = await aio.open(place)
        await store.enqueue(CONTRACT, contract(), expected=3)
        with pytest.raises(VersionConflict):
            await store.close()
        await store.close()

    asyncio.run(main())


def test_a_cancelled_close_closes_all_the_same(place: Place) -> None:
    async def main() -> None:
        store = await aio.open(place)
        async with disk_held(store) as begun:
            append = asyncio.ensure_future(store.append(ORDER, rejected("a")))
            await begun.wait()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(store.close(), 0.01)
        await store.close()
        assert (await append)[0].position == 1

    asyncio.run(main())


def test_a_cancelled_opening_closes_what_it_opened(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[EventStore] = []
    real, begun, free = eventstore.opening.open, threading.Event(), threading.Event()

    def slow(*arguments: Any, **options: Any) -> EventStore:  # noqa: ANN401 - those of `open`
        begun.set()
        assert free.wait(30)
        opened.append(real(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr(eventstore.opening, "open", slow)

    async def main() -> None:
        task = asyncio.ensure_future(aio.open(place)._open())
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        await asyncio.sleep(0.01)
        free.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    with pytest.raises(Closed):
        opened[0].head()


def test_a_loop_may_end_while_appends_wait_and_another_may_follow(place: Place) -> None:
    found: list[AsyncEventStore] = []

    async def first() -> None:
        store = await aio.open(place)
        found.append(store)
        await store.append(ORDER, rejected("a"))
        await store.enqueue(CONTRACT, contract("b"))
        follower = asyncio.ensure_future(anext(store.follow(after=99)))
        await asyncio.sleep(0.01)
        assert not follower.done()

    async def second() -> None:
        await found[0].append(ORDER, rejected("c"))
        assert await texts_of(found[0]) == ["a", "b", "c"]
        await found[0].close()

    asyncio.run(first())
    asyncio.run(second())


def test_a_second_loop_beside_the_first_is_refused(place: Place) -> None:
    async def story(store: AsyncEventStore) -> None:
        errors: list[BaseException] = []

        def elsewhere() -> None:
            for call in (store.append(ORDER, rejected()), store.head(), store.close()):
                try:
                    asyncio.run(call)
                except BaseException as error:  # noqa: BLE001 - looked at below
                    errors.append(error)

        await asyncio.to_thread(elsewhere)
        assert [type(error) for error in errors] == [RuntimeError] * 3
        assert all("another event loop" in str(error) for error in errors)
        # The store of threads is for other threads, at the same time.
        await asyncio.to_thread(store.sync_store.append, ORDER, rejected("a"))
        assert await texts_of(store) == ["a"]

    run_story(place, story)


SECONDS_MAX = 120
"""How long a program may take. Measured by coverage, it could wait forever: a Ctrl-C, or a fork beside threads, may
leave coverage's own lock held."""
FORKED = """
import asyncio, os, sys
from eventstore import Closed, aio, trading

async def main():
    async with aio.open(sys.argv[1]) as store:
        await store.append("order/ACC1/O-1", trading.OrderRejected(reason="parent"))
        child = os.fork()
        if child == 0:
            for call in (lambda: store.append("order/ACC1/O-1", trading.OrderRejected()), store.head, store.close):
                try:
                    coroutine = call()
                    coroutine.send(None)
                except Closed:
                    continue
                except StopIteration:
                    pass
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        await store.append("order/ACC1/O-1", trading.OrderRejected(reason="parent"))
        assert await store.head() == 2

asyncio.run(main())
"""


@pytest.mark.untraced
def test_a_forks_child_finds_its_store_closed(place: Place) -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED, str(place)], check=True, timeout=SECONDS_MAX)


INTERRUPTED = """
import asyncio, os, signal, sys
from eventstore import aio, trading

async def main():
    async with aio.open(sys.argv[1]) as store:
        async def work(name):
            number = 0
            while True:
                await store.append(f"order/ACC1/{name}", trading.OrderRejected(reason=str(number)), expected=number)
                number += 1
                if (name, number) == (0, 20):
                    os.kill(os.getpid(), signal.SIGINT)
        async with asyncio.TaskGroup() as tasks:
            for name in range(8):
                tasks.create_task(work(name))

try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(7)
"""


@pytest.mark.untraced
def test_an_interrupted_program_closes_its_store(place: Place) -> None:
    program = [sys.executable, "-c", INTERRUPTED, str(place)]
    done = subprocess.run(program, check=False, capture_output=True, timeout=SECONDS_MAX)
    assert (done.returncode, done.stderr) == (7, b"")
    with eventstore.open(place) as store:
        assert store.verify().ok
        assert store.version("order/ACC1/0") >= 20
