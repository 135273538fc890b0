"""The recorder of an asyncio program: in order, in a thread of its own, and sure whatever becomes of a task."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from eventstore import Closed, Overloaded, StorageFull
from gateways.messages import AsyncRecorder, Recorder
from gateways.messages.projectx import ProjectX
from projections import Book
from tests.messages.projectx_messages import ACCOUNT, answer, trade, user


class Gate:
    """Holds the recorder's thread back until a test lets it through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.threads: set[str] = set()
        record: Callable[..., Any] = Recorder.record

        def held(recorder: Recorder, message: Any) -> Any:  # noqa: ANN401
            self.threads.add(threading.current_thread().name)
            assert self.open.wait(60)
            return record(recorder, message)

        monkeypatch.setattr(Recorder, "record", held)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


def trades(book: Book) -> list[str]:
    return [each.trade_id for each in book.trades.of(ACCOUNT)]


def test_messages_are_recorded_in_order_and_awaited(book: Book) -> None:
    async def run() -> None:
        async with AsyncRecorder(book, ProjectX()) as recorder:
            (record,) = await recorder.record(user("Trade", trade(1, orderId=None)))
            assert record.type == "TradeExecuted"
            await asyncio.gather(*[recorder.record(user("Trade", trade(n, orderId=None))) for n in range(2, 6)])
            assert trades(book) == ["1", "2", "3", "4", "5"]
            assert (recorder.counts.recorded, recorder.unopened) == (5, frozenset())
            assert "5 messages" in repr(recorder)

    asyncio.run(run())


def test_the_loop_runs_while_a_message_is_recorded(book: Book, gate: Gate) -> None:
    async def run() -> None:
        async with AsyncRecorder(book, ProjectX()) as recorder:
            recording = asyncio.create_task(recorder.record(user("Trade", trade(1))))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not recording.done()
            gate.open.set()
            await recording
        assert gate.threads == {"recorder of projectx_0"}

    asyncio.run(run())
    assert trades(book) == ["1"]


def test_a_cancelled_task_takes_no_message_back(book: Book, gate: Gate) -> None:
    async def run() -> None:
        async with AsyncRecorder(book, ProjectX()) as recorder:
            tasks = [asyncio.create_task(recorder.record(user("Trade", trade(n)))) for n in (1, 2)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            assert [type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)] == [
                asyncio.CancelledError
            ] * 2
            gate.open.set()

    asyncio.run(run())
    assert trades(book) == ["1", "2"]


def test_one_message_too_many_is_refused_and_not_recorded(
    book: Book, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.messages.async_recorder.WAIT_SECONDS", 0.01)

    async def run() -> None:
        async with AsyncRecorder(book, ProjectX(), waiting_max=2) as recorder:
            tasks = [asyncio.create_task(recorder.record(user("Trade", trade(n)))) for n in (1, 2)]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded, match="2 messages wait"):
                await recorder.record(user("Trade", trade(3)))
            gate.open.set()
            await asyncio.gather(*tasks)
            # There is room again.
            await recorder.record(user("Trade", trade(4)))

    asyncio.run(run())
    assert trades(book) == ["1", "2", "4"]


def test_what_the_store_cannot_take_is_raised_to_the_one_who_awaits(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = [StorageFull("full")] * 3
    append = book.append_many

    def append_many(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        if failing:
            raise failing.pop()
        return append(*arguments, **options)

    monkeypatch.setattr(book, "append_many", append_many)

    async def run() -> None:
        recorder = AsyncRecorder(book, ProjectX())
        with pytest.raises(StorageFull):
            await recorder.record(user("Trade", trade(1)))
        with pytest.raises(StorageFull):
            await recorder.retry()
        assert recorder.counts.held == 1
        with pytest.raises(StorageFull):
            await recorder.close()
        with pytest.raises(Closed):
            await recorder.record(user("Trade", trade(2)))
        with pytest.raises(Closed):
            await recorder.retry()
        await recorder.close()

    asyncio.run(run())


def test_a_long_answer_is_recorded_a_few_objects_at_a_time(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    append, failing = book.append_many, [StorageFull("full")]

    def append_many(batches: Any, **options: Any) -> Any:  # noqa: ANN401
        sizes.append(len(batches))
        if len(sizes) == 2:
            raise failing.pop()
        return append(batches, **options)

    monkeypatch.setattr(book, "append_many", append_many)
    numbers = range(1, 13)

    async def run() -> None:
        async with AsyncRecorder(book, ProjectX()) as recorder:
            with pytest.raises(StorageFull):
                await recorder.record(answer("Trade/search", trades=[trade(n, orderId=None) for n in numbers]))
            assert recorder.counts.held == 0

    asyncio.run(run())
    # The part that failed was held, and recorded before the next one.
    assert sizes == [5, 5, 5, 2]
    assert trades(book) == [str(n) for n in numbers]


def test_closing_records_all_that_was_given(book: Book) -> None:
    async def run() -> None:
        recorder = AsyncRecorder(book, ProjectX())
        tasks = [asyncio.create_task(recorder.record(user("Trade", trade(n)))) for n in range(1, 21)]
        await asyncio.sleep(0)
        await recorder.close()
        assert all([await each for each in tasks])

    asyncio.run(run())
    assert len(trades(book)) == 20
    assert book.positions.get(ACCOUNT, "MNQZ6").quantity == Decimal(20)


def test_the_book_of_a_loop_is_recorded_in(book: Book) -> None:
    class OfALoop:
        sync_book = book

    async def run() -> None:
        async with AsyncRecorder(OfALoop(), ProjectX()) as recorder:
            await recorder.record(user("Trade", trade(1)))

    asyncio.run(run())
    assert trades(book) == ["1"]
