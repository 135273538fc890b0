"""A cancelled append is in the log or not, and nothing false is said; random tasks with random cancellations."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from unittest.mock import patch

import pytest

from eventstore import EventStore, Record, StoreError
from eventstore.aio import AsyncEventStore
from eventstore.aio.appending import IN_LOOP_EVENTS_MAX
from eventstore.journal import Group, Outcome
from eventstore.journals.memory import MemoryJournal
from tests.places import Place
from tests.proving import rounds
from tests.reference.appended_in_order import Appended, faults
from tests.store.asynchronous import disk_held, raised, run_story, texts_of
from tests.store.facts import CONTRACT, ORDER, contract, rejected

pytestmark = [pytest.mark.usefixtures("no_thread_left"), pytest.mark.in_each_place]


async def cancelled(task: asyncio.Future[list[Record]]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_an_append_that_waits_is_withdrawn_and_one_on_its_way_to_the_disk_is_written(place: Place) -> None:
    async def story(store: AsyncEventStore) -> None:
        async with disk_held(store) as begun:
            written = asyncio.ensure_future(store.append(ORDER, rejected("written"), key="w"))
            await begun.wait()
            waits = asyncio.ensure_future(store.append(ORDER, rejected("withdrawn"), key="x"))
            last = asyncio.ensure_future(store.append(ORDER, rejected("last")))
            await asyncio.sleep(0)
            assert store.waiting == 3
            await cancelled(written)
            await cancelled(waits)
            assert store.waiting == 2
        assert [record.position for record in await last] == [2]
        assert await texts_of(store) == ["written", "last"]
        # Under the same keys: the one that was written answers with its record, the other one is appended now.
        assert [(await store.append(ORDER, rejected("written"), key="w"))[0].position] == [1]
        assert [(await store.append(ORDER, rejected("withdrawn"), key="x"))[0].position] == [3]

    run_story(place, story)


def test_a_timeout_bounds_the_wait_and_the_queue_is_empty_after_it(place: Place) -> None:
    async def story(store: AsyncEventStore) -> None:
        async with disk_held(store) as begun:
            first = asyncio.ensure_future(store.append(ORDER, rejected("first")))
            await begun.wait()
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(store.append(ORDER, rejected("late")), 0.001)
            assert store.waiting == 1
        await first
        assert await texts_of(store) == ["first"]

    run_story(place, story)


def test_a_cancelled_append_that_failed_is_not_raised_again(place: Place) -> None:
    async def story(store: AsyncEventStore) -> None:
        async with disk_held(store) as begun:
            wrong = asyncio.ensure_future(store.append(ORDER, rejected(), expected=5))
            await begun.wait()
            await cancelled(wrong)
        await store.flush()

    run_story(place, story)


def test_a_task_that_waits_for_its_turn_may_be_cancelled(place: Place) -> None:
    async def story(store: AsyncEventStore) -> None:
        large = [rejected(number) for number in range(IN_LOOP_EVENTS_MAX + 1)]
        calls = [store.append(ORDER, large), store.append(ORDER, large), store.append(ORDER, rejected("last"))]
        first, second, third = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(0)
        await cancelled(second)
        assert len(await first) == len(large)
        assert (await third)[0].position == len(large) + 1

    run_story(place, story)


def test_one_of_several_that_wait_for_an_enqueued_append_may_be_cancelled(place: Place) -> None:
    async def story(store: AsyncEventStore) -> None:
        async with disk_held(store) as begun:
            pending = await store.enqueue(CONTRACT, contract("a"))
            waiting = [asyncio.ensure_future(pending.result()) for _ in range(3)]
            await begun.wait()
            assert "waiting" in str(await raised(pending.result(0.001)))
            await cancelled(waiting[0])
            assert (pending.done, pending.error) == (False, None)
        assert [(await each)[0].position for each in waiting[1:]] == [1, 1]
        assert "done" in repr(pending)

    run_story(place, story)


class Program:
    """Random tasks that append, enqueue and are refused, and are cancelled at random."""

    def __init__(self, store: AsyncEventStore, chance: random.Random) -> None:
        self.store, self.chance = store, chance
        self.called: list[Appended] = []
        self.names = 0

    async def run(self) -> None:
        tasks = [asyncio.ensure_future(self.work()) for _ in range(self.chance.randint(1, 6))]
        for _ in range(self.chance.randint(0, 6)):
            await asyncio.sleep(self.chance.choice([0, 0, 0.0002, 0.001]))
            self.chance.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def work(self) -> None:
        for _ in range(self.chance.randint(1, 6)):
            if self.chance.random() < 0.3:
                await asyncio.gather(*(self.append() for _ in range(self.chance.randint(1, 5))))
            else:
                await self.append()

    async def append(self) -> None:
        self.names += 1
        count = self.chance.choice([1, 1, 1, 2, IN_LOOP_EVENTS_MAX + 1])
        own = [Appended(f"{self.names}.{part}") for part in range(count)]
        call = self.chance.choice([self.plain, self.plain, self.wrong, self.enqueued, self.bounded])
        try:
            records = await call(own)
        except TimeoutError:
            return
        except StoreError:
            for each in own:
                each.outcome = "refused"
        else:
            for each, record in zip(own, records, strict=True):
                each.outcome, each.position = "done", record.position

    async def plain(self, own: list[Appended]) -> list[Record]:
        self.called += own
        return await self.store.append(CONTRACT, [contract(each.name) for each in own])

    async def wrong(self, own: list[Appended]) -> list[Record]:
        self.called += own
        return await self.store.append("contract/-/OTHER", [contract(each.name) for each in own], expected=99)

    async def enqueued(self, own: list[Appended]) -> list[Record]:
        self.called += own
        return await (await self.store.enqueue(CONTRACT, [contract(each.name) for each in own]))

    async def bounded(self, own: list[Appended]) -> list[Record]:
        # `wait_for` may make the call in a task of its own, or not at all.
        return await asyncio.wait_for(self.plain(own), self.chance.choice([0, 0.0005, 0.002]))


@pytest.mark.untraced
def test_random_tasks_find_what_they_awaited_once_and_in_order() -> None:
    for seed in rounds("asyncio appends", test=200, prove=20_000):
        chance = random.Random(seed)
        store = EventStore(MemoryJournal())
        journal = store.committer._journal
        real = journal.commit

        def commit(groups: Sequence[Group]) -> Sequence[Outcome]:
            time.sleep(chance.choice([0, 0.0002]))  # noqa: B023 - of this round
            return real(groups)  # noqa: B023 - the same

        async def history() -> list[str]:
            async with AsyncEventStore(store) as asynchronous:  # noqa: B023 - the same
                program = Program(asynchronous, chance)  # noqa: B023 - the same
                await program.run()
                await asynchronous.flush()
                log = [str(text) for text in await texts_of(asynchronous)]
                assert asynchronous.waiting == 0
            return faults(log, program.called)

        with patch.object(journal, "commit", commit):
            assert asyncio.run(history()) == [], f"seed {seed}"


def test_the_model_finds_what_is_wrong() -> None:
    called = [Appended("a", "done", 1), Appended("b", "refused"), Appended("c"), Appended("d", "done", 3)]
    assert faults(["a", "c", "d"], called) == []
    assert faults(["a", "d"], [*called[:3], Appended("d", "done", 2)]) == []
    wrong = faults(["d", "a", "b", "x", "a"], called)
    for word in ("never appended", "2 times", "not there", "was refused", "order of the calls"):
        assert any(word in sentence for sentence in wrong)
