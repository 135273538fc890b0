"""asyncio programs: how long the loop waits for a turn while tasks append, submit, follow and read."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING

import eventstore
import eventstore.aio
import projections.aio
from benchmarks.rows import Row, compared, row
from benchmarks.timing import in_turns, percentile, ratio, spread
from eventstore.trading import AccountOpened, ContractDefined, NoteAdded, OrderCanceled, OrderSubmitted, Side
from projections.risk import submit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from benchmarks.setting import Setting
    from eventstore import EventStore
    from projections import Book

TASKS = 8
STALL_MS_MAX = 2.0
SHARE_MIN = 0.5
PROBE_SECONDS = 0.001
SHORT_SWITCH_SECONDS = 0.0005
ALONE, BLOCKING = "the loop alone", "the blocking store by asyncio.to_thread"
SHORT = f"the same, sys.setswitchinterval({SHORT_SWITCH_SECONDS})"


def measure(setting: Setting) -> list[Row]:
    rounds, count = setting.scaled(5, 2), setting.scaled(100_000, 500)
    long = setting.scaled(2_000, 20) / 1000
    with setting.directory() as directory:
        _fill(directory, count)

        def waits(program: Callable[[Path, int], Awaitable[list[float]]]) -> Callable[[], float]:
            return lambda: percentile(asyncio.run(program(directory, count)), 0.99)  # type: ignore[arg-type]

        def short() -> float:
            with _switching(SHORT_SWITCH_SECONDS):
                return waits(_blocking)()

        measures = {"ours": waits(_asynchronous), ALONE: waits(_alone), BLOCKING: waits(_blocking), SHORT: short}
        stalls = in_turns(rounds, measures, setting.rounds("aio", rounds))
        rates = in_turns(
            rounds,
            {
                "ours": lambda: asyncio.run(_rate(directory, long)),
                f"{TASKS} threads": lambda: _threads_rate(directory, long),
            },
            setting.rounds("aio appends", rounds),
        )
    ours, threads = stalls.pop("ours"), rates[f"{TASKS} threads"]
    return [
        row(
            "aio-stall",
            f"asyncio: the loop waits, p99, while {TASKS} tasks append, {TASKS} submit, {TASKS} follow, one reads",
            unit="ms",
            figures=ours,
            beside=compared(ours, stalls),
            target=f"≤ {STALL_MS_MAX:g} ms",
            met=spread(ours).median <= STALL_MS_MAX,
            note=f"how much later than asked a sleep of 1 ms ends, until {count:,} events are read",
        ),
        row(
            "aio-append",
            f"asyncio: {TASKS} tasks append to a book, one event each",
            unit="events/s",
            figures=rates["ours"],
            beside=compared(rates["ours"], {f"{TASKS} threads": threads}),
            target=f"≥ {SHARE_MIN:.0%} of {TASKS} threads",
            met=ratio(rates["ours"], threads) >= SHARE_MIN,
        ),
    ]


def _fill(directory: Path, count: int) -> None:
    with eventstore.open(directory) as store:
        store.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
        for task in range(TASKS):
            opened = AccountOpened(starting_balance=Decimal(50_000), currency="USD")
            store.append(f"account/A{task}/-", opened)
        for first in range(0, count, 500):
            notes = [NoteAdded(target="order/A0/O-1", text=f"{number}") for number in range(first, first + 500)]
            store.append(f"note/A0/{time.monotonic_ns()}", notes)


@contextlib.contextmanager
def _switching(seconds: float) -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _order() -> OrderSubmitted:
    return OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(1))


def _names(kind: str, task: int) -> Iterator[str]:
    """Yield ids of orders that no other task and no earlier round has used."""
    while True:
        yield f"{kind}-{task}-{time.monotonic_ns()}"


async def _probed(read: Callable[[], Awaitable[object]], tasks: list[asyncio.Task[None]]) -> list[float]:
    """Return by how many milliseconds the loop was late, each time, while others are at work and something is read."""
    late: list[float] = []
    reading = asyncio.ensure_future(read())
    while not reading.done():
        began = time.perf_counter()
        await asyncio.sleep(PROBE_SECONDS)
        late.append((time.perf_counter() - began - PROBE_SECONDS) * 1_000)
    await reading
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
    return late


async def _alone(_: Path, count: int) -> list[float]:
    return await _probed(lambda: asyncio.sleep(count / 100_000), [])


async def _asynchronous(directory: Path, count: int) -> list[float]:
    async with (
        eventstore.aio.open(directory) as store,
        projections.aio.open(store, snapshots=False) as book,
    ):

        async def append(task: int) -> None:
            for name in _names("P", task):
                await book.append(f"order/A{task}/{name}", _order())
                await book.append(f"order/A{task}/{name}", OrderCanceled())

        async def send(task: int) -> None:
            for name in _names("S", task):
                sent = await book.submit(f"A{task}", name, _order(), store.clock.now_ns())
                assert sent.answer.passed
                assert book.orders.get(f"A{task}", name) is not None
                await book.append(f"order/A{task}/{name}", OrderCanceled())

        async def follow(_: int) -> None:
            async for record in store.follow(after=store.sync_store.head()):
                assert record.position

        async def read() -> int:
            return sum([1 async for _ in store.read(limit=count)])

        tasks = [asyncio.create_task(work(task)) for work in (append, send, follow) for task in range(TASKS)]
        return await _probed(read, tasks)


async def _blocking(directory: Path, count: int) -> list[float]:
    with eventstore.open(directory) as store, projections.open(store, snapshots=False) as book:
        end = threading.Event()

        async def append(task: int) -> None:
            for name in _names("P", task):
                await asyncio.to_thread(book.append, f"order/A{task}/{name}", _order())
                await asyncio.to_thread(book.append, f"order/A{task}/{name}", OrderCanceled())

        async def send(task: int) -> None:
            for name in _names("S", task):
                await asyncio.to_thread(submit, book, f"A{task}", name, _order(), store.clock.now_ns())
                assert book.orders.get(f"A{task}", name) is not None
                await asyncio.to_thread(book.append, f"order/A{task}/{name}", OrderCanceled())

        followers = [threading.Thread(target=_followed, args=(store, end)) for _ in range(TASKS)]
        for thread in followers:
            thread.start()
        tasks = [asyncio.create_task(work(task)) for work in (append, send) for task in range(TASKS)]
        try:
            return await _probed(lambda: asyncio.to_thread(lambda: sum(1 for _ in store.read(limit=count))), tasks)
        finally:
            end.set()
            await asyncio.get_running_loop().shutdown_default_executor()
            for thread in followers:
                thread.join()


def _followed(store: EventStore, end: threading.Event) -> None:
    for record in store.follow(after=store.head(), cancel=end):
        assert record.position


async def _rate(directory: Path, long: float) -> float:
    async with (
        eventstore.aio.open(directory) as store,
        projections.aio.open(store, snapshots=False) as book,
    ):
        before, began = await store.head(), time.perf_counter()

        async def append(task: int) -> None:
            for name in _names("R", task):
                await book.append(f"order/A{task}/{name}", _order())
                if time.perf_counter() - began > long:
                    return

        await asyncio.gather(*(append(task) for task in range(TASKS)))
        return (await store.head() - before) / (time.perf_counter() - began)


def _threads_rate(directory: Path, long: float) -> float:
    with eventstore.open(directory) as store, projections.open(store, snapshots=False) as book:
        before, began = store.head(), time.perf_counter()
        threads = [threading.Thread(target=_appended, args=(book, task, began + long)) for task in range(TASKS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return (store.head() - before) / (time.perf_counter() - began)


def _appended(book: Book, task: int, until: float) -> None:
    for name in _names("R", task):
        book.append(f"order/A{task}/{name}", _order())
        if time.perf_counter() > until:
            return
