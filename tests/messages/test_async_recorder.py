"""The recorder of an asyncio program: in order, in a thread of its own, and sure whatever becomes of a task."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from eventstore import Closed, Overloaded, StorageFull
from gateways.messages import AsyncRecorder, Recorder
from gateways.messages.async_recorder import EVENTS_AT_ONCE
from gateways.messages.projectx import ProjectX, message
from gateways.messages.projectx.mapping import PART_OBJECTS
from projections import Book
from tests.messages.projectx_messages import ACCOUNT, CONTRACT_ID, answer, contract, position, quote, trade, user


class Gate:
    """Holds the recorder's thread that stores back until a test lets it through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.threads: set[str] = set()
        store_all: Callable[..., Any] = Recorder.store_all

        def held(recorder: Recorder, messages: Any) -> Any:  # noqa: ANN401
            self.threads.add(threading.current_thread().name)
            assert self.open.wait(60)
            return store_all(recorder, messages)

        monkeypatch.setattr(Recorder, "store_all", held)


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
        # The second part is refused once by itself, and with others whenever it shares their commit.
        if "6" in [each.events.trade_id for each in batches] and (failing or len(batches) > PART_OBJECTS):
            raise failing[0] if len(batches) > PART_OBJECTS else failing.pop()
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
    assert max(sizes) <= EVENTS_AT_ONCE
    assert sizes.count(PART_OBJECTS) >= 3
    assert trades(book) == [str(n) for n in numbers]


def test_what_is_given_after_a_long_answer_is_recorded_after_all_of_it(book: Book) -> None:
    symbols = [f"CON.F.US.X{n}.Z26" for n in range(12)]

    async def run() -> None:
        async with AsyncRecorder(book, ProjectX()) as recorder:
            held = [position(contractId=symbol) for symbol in symbols]
            await asyncio.gather(
                recorder.record(answer("Position/searchOpen", positions=held)),
                recorder.record(user("Position", position(contractId=symbols[-1], size=5))),
                recorder.record(answer("Position/searchOpen", positions=[{**each, "size": 2} for each in held[:8]])),
                recorder.record(user("Position", position(contractId=symbols[0], size=3))),
            )

    asyncio.run(run())
    reported = [book.positions.get(ACCOUNT, symbol).reported for symbol in symbols]
    assert reported == [3, *[2] * 7, *[1] * 3, 5]


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


def test_a_quote_does_not_wait_for_what_is_stored(book: Book, gate: Gate) -> None:
    async def run() -> None:
        async with AsyncRecorder(book, ProjectX()) as recorder:
            recording = asyncio.create_task(recorder.record(user("Trade", trade(1))))
            await recorder.record(message("GatewayQuote", CONTRACT_ID, quote(lastPrice=21_001)))
            known = book.quotes.get("MNQZ6")
            assert known is not None
            assert known.last == Decimal(21_001)
            assert not recording.done()
            gate.open.set()
            await recording

    asyncio.run(run())
    assert trades(book) == ["1"]


def test_what_waits_shares_a_commit_and_each_gets_its_own_records(
    book: Book, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    append = book.append_many

    def append_many(batches: Any, **options: Any) -> Any:  # noqa: ANN401
        sizes.append(len(batches))
        return append(batches, **options)

    monkeypatch.setattr(book, "append_many", append_many)

    async def run() -> None:
        async with AsyncRecorder(book, ProjectX()) as recorder:
            numbers = [1, *range(2, 41), 7, 8]
            given = [
                asyncio.create_task(recorder.record(user("Trade", trade(n, orderId=None)))) for n in numbers
            ]  # fmt: skip
            # A quote is observed once all of them are in the queue.
            await recorder.record(message("GatewayQuote", CONTRACT_ID, quote()))
            gate.open.set()
            found = [[each.event.trade_id for each in records] for records in await asyncio.gather(*given)]  # type: ignore[attr-defined]
            assert found == [[str(n)] for n in range(1, 41)] + [[], []]

    asyncio.run(run())
    # The first one may have been alone; no commit has more than a millisecond's work.
    assert sum(sizes) == 40
    assert 2 <= max(sizes) <= 16


def test_one_that_the_store_cannot_take_keeps_no_other_of_its_commit_out(
    book: Book, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = book.append_many

    def append_many(batches: Any, **options: Any) -> Any:  # noqa: ANN401
        if any(getattr(each.events, "trade_id", "") == "2" for each in batches):
            raise Overloaded
        return append(batches, **options)

    async def run() -> None:
        recorder = AsyncRecorder(book, ProjectX())
        monkeypatch.setattr(book, "append_many", append_many)
        given = [asyncio.create_task(recorder.record(user("Trade", trade(n, orderId=None)))) for n in (1, 2)]
        await recorder.record(message("GatewayQuote", CONTRACT_ID, quote()))
        gate.open.set()
        first, second = await asyncio.gather(*given, return_exceptions=True)
        assert isinstance(first, list)
        assert isinstance(second, Overloaded)
        assert (trades(book), recorder.counts.held) == (["1"], 1)
        monkeypatch.undo()
        await recorder.close()

    asyncio.run(run())
    assert trades(book) == ["1", "2"]


def test_contracts_that_wait_are_compared_with_one_another(book: Book, gate: Gate) -> None:
    async def run() -> None:
        async with AsyncRecorder(book, ProjectX()) as recorder:
            given = [contract(id="B", name="MBTZ6", tickSize=5, tickValue=value) for value in (0.5, 0.0005)]
            for each in given:
                asyncio.get_running_loop().create_task(recorder.record(answer("Contract/search", contracts=[each])))
            await recorder.record(message("GatewayQuote", CONTRACT_ID, quote()))
            gate.open.set()

    asyncio.run(run())
    found = book.contracts.get("MBTZ6")
    assert found is not None
    assert found.multiplier == Decimal("0.1")


def test_a_second_close_waits_for_the_first(book: Book, gate: Gate) -> None:
    async def run() -> None:
        recorder = AsyncRecorder(book, ProjectX())
        given = asyncio.create_task(recorder.record(user("Trade", trade(1))))
        await asyncio.sleep(0)
        closing = [asyncio.create_task(recorder.close()) for _ in range(2)]
        for _ in range(100):
            await asyncio.sleep(0)
        assert not any(each.done() for each in closing)
        gate.open.set()
        await asyncio.gather(given, *closing)
        await recorder.close()

    asyncio.run(run())
    assert trades(book) == ["1"]


# Measured, its child could wait for a lock of coverage that a thread of the parent held.
@pytest.mark.untraced
def test_a_fork_s_child_gets_closed_as_the_recorder_is_its_parent_s(book: Book) -> None:
    async def closed(recorder: AsyncRecorder) -> int:
        failed = 0
        for call in (lambda: recorder.record(user("Trade", trade(2))), recorder.retry, recorder.close):
            try:
                await call()
            except Closed:
                failed += 1
        return failed

    async def run() -> None:
        async with AsyncRecorder(book, ProjectX()) as recorder:
            await recorder.record(user("Trade", trade(1)))
            child = os.fork()
            if not child:
                coroutine, status = closed(recorder), 9
                signal.alarm(60)
                try:
                    # Nothing is awaited in it, so it needs no loop.
                    coroutine.send(None)
                except StopIteration as e:
                    status = e.value
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3  # noqa: ASYNC222 - it ends at once

    asyncio.run(run())
