"""The store of asyncio programs: each method answers as the blocking one does, in the order of the calls."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

import eventstore
from eventstore import Batch, Closed, Event, EventStore, InvalidEvent
from eventstore.aio import AsyncEventStore
from eventstore.aio.appending import IN_LOOP_EVENTS_MAX
from eventstore.aio.store import CHUNK
from eventstore.journal import Group, Outcome
from eventstore.journals.memory import MemoryJournal
from tests.places import Place
from tests.store.asynchronous import disk_held, raised, run_story, texts_of
from tests.store.facts import AT, CONTRACT, ORDER, OTHER, contract, rejected, text_of, texts

if TYPE_CHECKING:
    from eventstore.reader import ReadOptions

pytestmark = [pytest.mark.usefixtures("no_thread_left"), pytest.mark.in_each_place]


# Order


def test_gathered_appends_arrive_in_the_order_of_the_calls(place: Place) -> None:
    large = IN_LOOP_EVENTS_MAX + 1

    async def story(store: AsyncEventStore) -> None:
        calls: list[Awaitable[object]] = []
        for number in range(30):
            size = large if number % 7 == 3 else 1
            events = [contract(f"{number}.{part}") for part in range(size)]
            calls.append(store.enqueue(CONTRACT, events) if number % 3 == 1 else store.append(CONTRACT, events))
        await asyncio.gather(*calls)
        await store.flush()
        expected = [f"{n}.{part}" for n in range(30) for part in range(large if n % 7 == 3 else 1)]
        assert await texts_of(store) == expected

    run_story(place, story)


def test_tasks_share_a_sync(place: Place) -> None:
    async def story(store: AsyncEventStore) -> None:
        commits_made: list[int] = []
        journal = store.sync_store.committer._journal
        real = journal.commit

        def commit(groups: Sequence[Group]) -> Sequence[Outcome]:
            commits_made.append(len(groups))
            return real(groups)

        with patch.object(journal, "commit", commit):
            await asyncio.gather(*(store.append(f"order/A/{number}", rejected(number)) for number in range(64)))
        assert sum(commits_made) == 64
        assert len(commits_made) < 10

    run_story(place, story)


# The same answers


def test_each_method_answers_as_the_blocking_one(place: Place) -> None:
    async def story(store: AsyncEventStore) -> None:
        given: dict[str, Any] = {"actor": "me", "note": "n", "correlation_id": bytes(15) + b"\1", "occurred_at": AT}
        (record,) = await store.append(ORDER, rejected("a"), key="1", **given)
        assert (record.actor, record.note, record.occurred_at) == ("me", "n", AT)
        assert await store.append(ORDER, rejected("a"), key="1") == [record]
        assert await store.append(ORDER, []) == []
        assert await store.append_many(iter([Batch(ORDER, iter([rejected("b")])), Batch(OTHER, rejected("c"))])) != []  # type: ignore[arg-type]
        pending = await store.enqueue(CONTRACT, contract("d"))
        assert [each.position for each in await pending.result(5)] == [4]
        assert (pending.done, pending.error, await pending) == (True, None, await pending.result())
        await store.flush()
        blocking = store.sync_store
        assert (await store.head(), await store.version(ORDER)) == (4, 2)
        assert await store.root() == blocking.root()
        assert await store.root(2) == blocking.root(2)
        assert (await store.verify()) == blocking.verify()
        assert await store.find(record.id) == record
        assert await store.doctor() == []
        assert (store.log, store.log_id, store.actor) == (blocking.log, blocking.log_id, blocking.actor)
        assert (store.clock, store.directory, store.waiting) == (blocking.clock, blocking.directory, 0)

    run_story(place, story)


def test_a_backup_is_made_as_by_the_blocking_one(tmp_path: Path) -> None:
    async def story(store: AsyncEventStore) -> None:
        await store.append(ORDER, [rejected("a"), rejected("b")])
        copy = await store.backup(tmp_path / "copy")
        with eventstore.open(copy.parent, log=copy.name, read_only=True) as copied:
            assert texts(copied) == ["a", "b"]
        assert isinstance(await raised(store.backup(tmp_path / "data" / "main")), InvalidEvent)

    run_story(tmp_path / "data", story)


def test_a_read_filters_and_ends_as_the_blocking_one(place: Place) -> None:
    with eventstore.open(place) as store:
        for number in range(2 * CHUNK + 50):
            store.enqueue(CONTRACT if number % 3 else f"contract/-/N{number}", contract(number))
        store.flush()
        wholes = list(store.read())

    async def story(store: AsyncEventStore) -> None:
        middle = wholes[120].recorded_at
        asked: tuple[ReadOptions, ...] = (
            {},
            {"after": 3, "limit": 2 * CHUNK},
            {"limit": CHUNK},
            {"limit": 0},
            {"until": CHUNK + 1},
            {"stream": CONTRACT, "limit": CHUNK + 7},
            {"stream": "contract/-/", "start": middle},
            {"stop": datetime.fromtimestamp(middle // 10**9, UTC)},
            {"start": middle, "stop": wholes[-1].recorded_at},
            {"account": "-", "types": "ContractDefined"},
            {"account": "ACC1"},
        )
        for options in asked:
            found = [record async for record in store.read(**options)]
            assert found == list(store.sync_store.read(**options)), options
        for wrong in ({"stream": ""}, {"types": 3}, {"start": "noon"}, {"stop": 3}):
            with pytest.raises(InvalidEvent):
                store.read(**wrong)
        for wrong in ({"after": -1}, {"limit": "x"}):
            assert isinstance(await raised(anext(store.read(**wrong))), InvalidEvent)
        with pytest.raises(InvalidEvent):
            store.follow(stream="")
        # Left in the middle, and continued.
        pages = store.read()
        assert [text_of(await anext(pages)) for _ in range(3)] == ["0", "1", "2"]
        await pages.aclose()
        async for record in store.read():
            assert text_of(record) == "0"
            break

    run_story(place, story)


def test_a_follower_sees_history_and_each_new_record(place: Place) -> None:
    async def story(store: AsyncEventStore) -> None:
        await store.append(ORDER, [rejected(number) for number in range(CHUNK + 5)])
        seen: list[list[object]] = [[] for _ in range(4)]
        total = CHUNK + 5 + 40

        async def follow(index: int) -> None:
            stream = None if index else ORDER
            async for record in store.follow(after=index, stream=stream):
                seen[index].append(text_of(record))
                if record.position >= total:
                    return

        followers = [asyncio.ensure_future(follow(index)) for index in range(4)]
        for number in range(20):
            await store.append(OTHER, rejected(f"other {number}"))
            await asyncio.to_thread(store.sync_store.append, ORDER, rejected(f"new {number}"))
        await asyncio.wait_for(asyncio.gather(*followers), 30)
        every = await texts_of(store)
        assert seen[1:] == [every[index:] for index in (1, 2, 3)]
        assert seen[0] == await texts_of(store, stream=ORDER)

    run_story(place, story)


def test_another_process_is_followed_too(place: Place) -> None:
    async def story(store: AsyncEventStore) -> None:
        follower = store.follow()
        first = asyncio.ensure_future(anext(follower))
        with eventstore.open(place) as elsewhere:
            await asyncio.to_thread(elsewhere.append, ORDER, rejected("from elsewhere"))
        assert text_of(await asyncio.wait_for(first, 30)) == "from elsewhere"
        await follower.aclose()

    run_story(place, story)


def test_a_cancelled_follower_leaves_the_others(place: Place) -> None:
    async def story(store: AsyncEventStore) -> None:
        followers = [asyncio.ensure_future(anext(store.follow())) for _ in range(3)]
        await asyncio.sleep(0.01)
        followers[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await followers[0]
        await store.append(ORDER, rejected("a"))
        found = await asyncio.wait_for(asyncio.gather(*followers[1:]), 30)
        assert [text_of(record) for record in found] == ["a", "a"]
        waiting = asyncio.ensure_future(anext(store.follow(after=1)))
        await asyncio.sleep(0.01)
        await store.close()
        assert isinstance(await raised(waiting), Closed)

    run_story(place, story)


def test_a_store_in_memory_has_the_same_face() -> None:
    async def main() -> None:
        async with AsyncEventStore(EventStore(MemoryJournal())) as store:
            await store.append(ORDER, [rejected("a"), rejected("b")])
            assert await texts_of(store) == ["a", "b"]
            assert "MemoryJournal" in repr(store)

    asyncio.run(main())


def test_an_iterators_events_are_made_by_the_task_that_gives_them(place: Place) -> None:
    def made() -> Iterator[Event]:
        for number in range(3 * IN_LOOP_EVENTS_MAX):
            assert threading.current_thread() is threading.main_thread()
            yield rejected(number)

    async def story(store: AsyncEventStore) -> None:
        await store.append(ORDER, made())  # type: ignore[arg-type]
        assert await store.head() == 3 * IN_LOOP_EVENTS_MAX

    run_story(place, story)


def test_the_loop_continues_while_the_disk_is_slow(place: Place) -> None:
    async def story(store: AsyncEventStore) -> None:
        async with disk_held(store) as begun:
            append = asyncio.ensure_future(store.append(ORDER, rejected("a")))
            flush = asyncio.ensure_future(store.flush())
            await begun.wait()
            for _ in itertools.repeat(None, 100):
                await asyncio.sleep(0)
            assert await store.head() == 0
            assert not append.done()
            assert not flush.done()
        await flush
        assert append.done()

    run_story(place, story)
