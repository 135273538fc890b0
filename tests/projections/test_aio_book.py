"""The book of asyncio programs: lookups in the loop, appends and orders awaited, other processes' commits seen."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import time
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest

import eventstore
import projections.aio
from eventstore import (
    Batch,
    Closed,
    EventStore,
    InvalidEvent,
    ManualClock,
    Overloaded,
    ReadOnly,
    VersionConflict,
    aio,
)
from eventstore.aio import AsyncEventStore
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    LimitsSet,
    LockoutSet,
    OrderCanceled,
    OrderFilled,
    OrderSubmitted,
    QuoteReceived,
    Side,
    TradeBusted,
)
from projections import Calendar, Policies
from projections.aio import CHUNK, AsyncBook
from projections.risk import Proposal
from projections.rules import shipped_rules
from tests.places import Place
from tests.store.asynchronous import disk_held, raised

pytestmark = [pytest.mark.usefixtures("no_thread_left"), pytest.mark.in_each_place(slow=True)]

NOON = 1_763_467_200_000_000_000
SECOND = 1_000_000_000
Story = Callable[[AsyncEventStore, AsyncBook], Awaitable[None]]


def run_story(place: Place, story: Story, **options: Any) -> None:  # noqa: ANN401 - the arguments of `projections.aio.open`
    async def main() -> None:
        async with aio.open(place, clock=ManualClock(NOON)) as store, projections.aio.open(store, **options) as book:
            await story(store, book)

    asyncio.run(main())


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a book fold what others have committed only when it is asked."""
    monkeypatch.setattr(projections.aio, "KEEP_UP_SECONDS", 3_600)


def order(quantity: int = 1) -> OrderSubmitted:
    return OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(quantity))


def fill(trade_id: str, side: Side = Side.BUY, price: str = "5000") -> OrderFilled:
    return OrderFilled(trade_id=trade_id, symbol="ES", side=side, quantity=Decimal(1), price=Decimal(price))


async def opened(book: AsyncBook, account: str = "A") -> None:
    await book.append_many(
        [
            Batch("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD")),
            Batch(f"account/{account}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD")),
        ]
    )


async def limited(book: AsyncBook, rule_id: str, **parameters: object) -> None:
    await book.append(f"limits/A/{rule_id}", LimitsSet(rule_id=rule_id, parameters=parameters), actor="desk")


def test_errors_arrive_as_they_are_and_fold_nothing(place: Place) -> None:
    async def story(store: AsyncEventStore, book: AsyncBook) -> None:
        await book.append("order/A/O-1", order())
        assert isinstance(await raised(book.append("order/A/O-1", order(), expected=5)), VersionConflict)
        assert isinstance(await raised(book.append("nonsense", order())), InvalidEvent)
        assert isinstance(await raised(limited(book, "maximum-position", limit="many")), InvalidEvent)
        assert isinstance(await raised(book.submit("A", "O-2", OrderCanceled(), NOON)), InvalidEvent)  # type: ignore[arg-type]
        assert isinstance(await raised(book.observe("order/A/O-1", order())), InvalidEvent)
        with pytest.raises(TypeError, match="expcted"):
            await book.append("order/A/O-1", order(), expcted=3)  # type: ignore[call-arg]
        assert (await store.head(), book.position) == (1, 1)

    run_story(place, story)


def test_a_closed_book_says_so_and_the_store_stays_open(place: Place) -> None:
    async def story(store: AsyncEventStore, book: AsyncBook) -> None:
        await book.append("order/A/O-1", order())
        await book.close()
        await book.close()
        for call in (
            book.append("order/A/O-1", order()),
            book.append("trade/A/T-1", TradeBusted(trade_id="T-1")),
            book.submit("A", "O-2", order(), NOON),
            book.observe("quote/-/ES", QuoteReceived(symbol="ES", last=Decimal(1))),
        ):
            assert isinstance(await raised(call), ReadOnly)
        assert await book.refresh() == 0
        assert await store.head() == 1
        async with projections.aio.open(store) as again:
            assert again.orders.get("A", "O-1") is not None
            await store.close()
            assert isinstance(await raised(again.append("order/A/O-1", order())), Closed)
            assert isinstance(await raised(again.refresh()), Closed)

    run_story(place, story)


def test_a_log_that_only_reads_makes_a_book_that_only_answers(place: Place) -> None:
    with eventstore.open(place) as store:
        store.append("order/A/O-1", order())

    async def main() -> None:
        async with aio.open(place, read_only=True) as store, projections.aio.open(store) as book:
            assert book.orders.get("A", "O-1") is not None
            assert isinstance(await raised(book.append("order/A/O-1", order())), ReadOnly)

    asyncio.run(main())


def test_arguments_of_opening_are_refused_and_leave_nothing(place: Place) -> None:
    with pytest.raises(InvalidEvent):
        run_story(place, lambda _, book: book.close(), accounts=3)


def test_what_was_appended_is_folded_when_the_append_returns(place: Place) -> None:
    async def story(store: AsyncEventStore, book: AsyncBook) -> None:
        await opened(book)
        appends = [book.append(f"order/A/O-{n}", [order(), fill(f"T-{n}")], key=[f"{n}", f"T-{n}"]) for n in range(30)]
        for records in await asyncio.gather(*appends):
            assert book.orders.get("A", records[0].stream.rpartition("/")[2]) is not None
        assert [trade.trade_id for trade in book.trades.of("A")] == [f"T-{number}" for number in range(30)]
        assert book.positions.get("A", "ES").quantity == 30
        assert book.position == await store.head() == 62
        assert book.state("executions", "A") is not None
        assert (book.parked, book.recovery.lockouts) == ({}, ())
        assert "at 62" in repr(book)

    run_story(place, story)


def test_what_was_folded_already_takes_no_thread(place: Place) -> None:
    async def story(store: AsyncEventStore, book: AsyncBook) -> None:
        records = await store.append("order/A/O-1", [order(), order()])
        await book.refresh()
        with patch.object(store.threads, "page", side_effect=AssertionError("a thread")):
            assert await book.fold(records) == records
        # Old ones after new ones, as an append answers that repeats a part: what is new is folded.
        (new,) = await store.append("order/A/O-2", order())
        await book.fold([new, records[0]])
        assert book.position == new.position
        await book.fold(await store.append("order/A/O-3", order()))
        assert [book.orders.get("A", name) is not None for name in ("O-1", "O-2", "O-3")] == [True, True, True]

    run_story(place, story)


@pytest.mark.usefixtures("unasked")
def test_tasks_that_wait_for_the_same_records_share_one_fold(place: Place) -> None:
    async def story(store: AsyncEventStore, book: AsyncBook) -> None:
        records = [(await store.append(f"order/A/O-{number}", order()))[0] for number in range(10)]
        with patch.object(store.threads, "page", wraps=store.threads.page) as page:
            # Nobody has folded the first one, so none of the others follows what the book has.
            tasks = [asyncio.create_task(book.fold([record])) for record in records[1:]]
            await asyncio.sleep(0)
            tasks[0].cancel()
            folded = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(folded[0], asyncio.CancelledError)
        assert folded[1:] == [[record] for record in records[2:]]
        assert book.position == 10
        assert page.call_count == 1

    run_story(place, story)


def test_a_bust_that_follows_its_fill_at_once_is_completed(place: Place) -> None:
    async def story(store: AsyncEventStore, book: AsyncBook) -> None:
        await opened(book)
        bust = TradeBusted(trade_id="T-1", reason="clearly erroneous")
        # In one call each, none awaited before the next: the bust is completed from a book that has the fill.
        filled, busted, last = await asyncio.gather(
            book.append("order/A/O-1", fill("T-1")),
            book.append("order/A/O-1", bust),
            book.append("order/A/O-2", order()),
        )
        assert [records[0].position for records in (filled, busted, last)] == [3, 4, 5]
        event = busted[0].event
        assert isinstance(event, TradeBusted)
        assert (event.symbol, event.side, event.quantity) == ("ES", Side.BUY, Decimal(1))
        assert book.positions.get("A", "ES").quantity == 0

    run_story(place, story)


def test_of_many_orders_at_once_only_those_pass_that_fit(place: Place) -> None:
    async def story(store: AsyncEventStore, book: AsyncBook) -> None:
        await opened(book)
        await limited(book, "maximum-position", limit="3")
        append = asyncio.ensure_future(book.append("order/A/O-0", order(1)))
        sent = await asyncio.gather(*(book.submit("A", f"O-{number}", order(), NOON) for number in range(1, 9)))
        first = await append
        assert first[0].position < min(each.records[0].position for each in sent)
        assert [each.answer.passed for each in sent] == [True, True] + [False] * 6
        assert sum(each.leaves or 0 for each in book.orders.open("A")) == 3
        again = await book.submit("A", "O-1", order(), NOON)
        assert "recorded already" in again.answer.reason or not again.answer.passed
        assert not (await book.check(Proposal.of("A", order(), order_id="O-99"), NOON)).passed

    run_story(place, story)


def test_what_a_submit_records_is_by_the_actor_it_names(place: Place) -> None:
    async def story(store: AsyncEventStore, book: AsyncBook) -> None:
        await opened(book)
        await limited(book, "maximum-position", limit="1")
        # The second is rejected, and recorded as checked.
        sent = [await book.submit("A", f"O-{number}", order(), NOON, actor="desk-1") for number in (1, 2)]
        assert [each.records[0].type for each in sent] == ["OrderSubmitted", "RiskChecked"]
        assert [each.records[0].actor for each in sent] == ["desk-1", "desk-1"]
        again = await book.submit("A", "O-3", order(), NOON)
        assert again.records[0].actor == store.actor

    run_story(place, story)


def test_a_cancelled_submit_is_found_under_its_key(place: Place) -> None:
    async def story(store: AsyncEventStore, book: AsyncBook) -> None:
        await opened(book)
        async with disk_held(store) as begun:
            sent = asyncio.ensure_future(book.submit("A", "O-1", order(), NOON, key="mine"))
            await begun.wait()
            sent.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sent
        again = await book.submit("A", "O-1", order(), NOON, key="mine")
        assert (again.answer.passed, again.records[0].version) == (True, 1)
        assert await store.version("order/A/O-1") == 1

    run_story(place, story)


def test_what_a_cancelled_task_appended_is_folded_all_the_same(place: Place) -> None:
    async def story(store: AsyncEventStore, book: AsyncBook) -> None:
        async with disk_held(store) as begun:
            append = asyncio.ensure_future(book.append("order/A/O-1", order()))
            await begun.wait()
            append.cancel()
            with pytest.raises(asyncio.CancelledError):
                await append
        async with asyncio.timeout(30):
            while book.orders.get("A", "O-1") is None:  # noqa: ASYNC110 - nothing is awaited for: the book keeps up
                await asyncio.sleep(0.001)

    run_story(place, story)


@pytest.mark.usefixtures("unasked")
def test_a_lockout_of_another_process_is_seen_by_the_next_question(place: Place) -> None:
    locked = LockoutSet(rule_id="desk", reason="stopped by the desk")

    async def story(store: AsyncEventStore, book: AsyncBook) -> None:
        await opened(book)
        with eventstore.open(place, clock=store.clock) as elsewhere:
            await asyncio.to_thread(elsewhere.append, "lockout/A/desk", locked)
            # Without an await: nothing but the question itself can have folded it.
            assert [each.rule_id for each in book.lockouts.active("A", NOON)] == ["desk"]
            await asyncio.to_thread(elsewhere.append, "order/A/O-1", [order()] * (CHUNK + 1))
            with pytest.raises(Overloaded, match=rf"{CHUNK + 1} records behind .*await book\.refresh"):
                book.lockouts.active("A", NOON)
            assert await book.refresh() == CHUNK + 1
            assert [each.rule_id for each in book.lockouts.active("A", NOON)] == ["desk"]
            await asyncio.to_thread(elsewhere.append, "order/B/O-1", [order()] * (CHUNK + 1))
            answer = await book.check(Proposal.of("A", order(), order_id="O-2"), NOON)
            assert "stopped by the desk" in answer.reason
            await asyncio.to_thread(elsewhere.append, "order/B/O-1", [order()] * (CHUNK + 1))
            assert not (await book.submit("A", "O-2", order(), NOON)).answer.passed

    run_story(place, story)


@pytest.mark.usefixtures("unasked")
def test_a_check_in_the_loop_that_is_far_behind_rejects(place: Place) -> None:
    async def story(store: AsyncEventStore, book: AsyncBook) -> None:
        await opened(book)
        with eventstore.open(place, clock=store.clock) as elsewhere:
            await asyncio.to_thread(elsewhere.append, "order/B/O-1", [order()] * (CHUNK + 1))
        answer = projections.risk.check(book.sync_book, Proposal.of("A", order(), order_id="O-2"), NOON)
        assert not answer.passed
        assert "await book.refresh()" in answer.reason

    run_story(place, story)


@pytest.mark.usefixtures("unasked")
def test_policies_decide_before_the_append_returns_and_never_in_the_loop(place: Place) -> None:
    async def story(store: AsyncEventStore, book: AsyncBook) -> None:
        blocking = store.sync_store
        appending: list[threading.Thread] = []
        real = blocking._append

        def appends(*arguments: Any) -> Any:  # noqa: ANN401 - those of the method
            appending.append(threading.current_thread())
            return real(*arguments)

        policies = Policies(book.sync_book, shipped_rules())
        with patch.object(blocking, "_append", appends):
            await store.long(lambda: policies.start(ticking=False))
            await opened(book)
            await limited(book, "daily-loss", limit="500")
            await book.append("order/A/O-1", [fill("T-1"), fill("T-2", Side.SELL, "4980")], key=["1", "2"])
            assert [each.rule_id for each in book.lockouts.active("A", NOON)] == ["daily-loss"]
            assert [record.type async for record in store.read(stream="lockout/")] == ["LockoutSet"]
            assert not (await book.submit("A", "O-3", order(), NOON)).answer.passed
            # Folded in the loop, decided upon elsewhere.
            await opened(book, "B")
            limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "500"})
            await book.append("limits/B/daily-loss", limit, actor="desk")
            with eventstore.open(place, clock=store.clock) as elsewhere:
                loss = [fill("T-1"), fill("T-2", Side.SELL, "4980")]
                await asyncio.to_thread(elsewhere.append, "order/B/O-1", loss, key=["1", "2"])
                book.lockouts.active("B", NOON)
                assert book.trades.of("B") != ()
                async with asyncio.timeout(30):
                    while not book.lockouts.active("B", NOON):  # noqa: ASYNC110 - the policies' thread decides
                        await asyncio.sleep(0.001)
            await store.long(policies.stop)
        assert threading.main_thread() not in appending

    run_story(place, story)


@pytest.mark.in_directory
def test_quotes_calendars_and_snapshots_are_those_of_the_book(place: Place) -> None:
    calendar = Calendar(zone="America/Chicago", open=time(17), reset=time(17))

    async def story(store: AsyncEventStore, book: AsyncBook) -> None:
        await opened(book)
        await book.append("order/A/O-1", fill("T-1"))
        await asyncio.gather(
            *(book.observe("quote/-/ES", QuoteReceived(symbol="ES", last=Decimal(5000 + n))) for n in range(5))
        )
        quote = book.quotes.get("ES", NOON)
        assert quote is not None
        assert quote.last == 5004
        assert book.sessions is book.sync_book.sessions
        assert book.sessions.calendars["*"] == calendar
        assert await book.snapshot()
        assert await book.ask(lambda asked: asked.position) == 3

    run_story(place, story, calendars=calendar)

    async def again(store: AsyncEventStore, book: AsyncBook) -> None:
        assert (book.recovery.cut, book.position) == (3, 3)

    run_story(place, again)


def test_a_loop_may_end_without_closing_anything(place: Place) -> None:
    kept: list[EventStore] = []

    async def main() -> None:
        store = await aio.open(place)
        book = await projections.aio.open(store)
        kept.append(store.sync_store)
        await book.append("order/A/O-1", order())
        waits = asyncio.ensure_future(book.append("order/A/O-1", order()))
        await asyncio.sleep(0)
        assert not waits.done()
        for pool in store.threads._pools:
            pool.shutdown(wait=True)

    asyncio.run(main())
    kept[0].close()
    with eventstore.open(place) as store:
        assert store.head() in {1, 2}
