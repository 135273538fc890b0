"""Random tasks on a book of an asyncio program, some cancelled: what was awaited is there once, in order, folded."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import pytest

import projections.aio
from eventstore import Batch, EventStore, Record, StoreError
from eventstore.aio import AsyncEventStore
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import AccountOpened, ContractDefined, OrderFilled, Side, TradeBusted
from projections.aio import AsyncBook
from tests.proving import rounds
from tests.reference.appended_in_order import Appended, faults

STREAM = "order/A/O-1"


class Desk:
    """Tasks that append fills, alone or in batches, and observe nothing but what the book says of them."""

    def __init__(self, book: AsyncBook, chance: random.Random) -> None:
        self.book, self.chance = book, chance
        self.called: list[Appended] = []
        self.names = 0

    async def run(self) -> None:
        tasks = [asyncio.ensure_future(self.work()) for _ in range(self.chance.randint(1, 4))]
        for _ in range(self.chance.randint(0, 3)):
            await asyncio.sleep(self.chance.choice([0, 0.0003, 0.001]))
            self.chance.choice(tasks).cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome

    async def work(self) -> None:
        for _ in range(self.chance.randint(1, 3)):
            await self.append()

    async def append(self) -> None:
        own = []
        for _ in range(self.chance.choice([1, 1, 2, 20])):
            self.names += 1
            own.append(Appended(f"T-{self.names}"))
        self.called += own
        fills = [
            OrderFilled(trade_id=each.name, symbol="ES", side=Side.BUY, quantity=Decimal(1), price=Decimal(5))
            for each in own
        ]
        expected = self.chance.choice([None, None, None, 999])
        try:
            if self.chance.random() < 0.5:
                records = await self.book.append(STREAM, fills, expected=expected)
            else:
                records = await self.book.append_many([Batch(STREAM, fills, expected=expected)])
        except StoreError:
            for each in own:
                each.outcome = "refused"
            return
        self.answered(own, records)
        if self.chance.random() < 0.3:
            # Completed from the book, in a thread: nothing that is called later may overtake it.
            name = self.chance.choice(own).name
            self.called.append(bust := Appended(f"bust of {name}"))
            self.answered([bust], await self.book.append(STREAM, TradeBusted(trade_id=name)))

    def answered(self, own: list[Appended], records: list[Record]) -> None:
        for each, record in zip(own, records, strict=True):
            each.outcome, each.position = "done", record.position
        known = {trade.trade_id for trade in self.book.trades.of("A")}
        assert all(each.name.removeprefix("bust of ") in known for each in own)


def name_of(record: Record) -> str:
    event = record.event
    return f"bust of {event.trade_id}" if isinstance(event, TradeBusted) else getattr(event, "trade_id", record.type)


async def history(chance: random.Random) -> list[str]:
    async with AsyncEventStore(EventStore(MemoryJournal())) as store, projections.aio.open(store) as book:
        first = [Appended("AccountOpened", "done", 1), Appended("ContractDefined", "done", 2)]
        await book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        await book.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
        desk = Desk(book, chance)
        await desk.run()
        await store.flush()
        await book.refresh()
        records = [record async for record in store.read()]
        found = faults([name_of(record) for record in records], first + desk.called)
        bought = {record.event.trade_id for record in records if isinstance(record.event, OrderFilled)}
        busted = {record.event.trade_id for record in records if isinstance(record.event, TradeBusted)}
        if book.positions.get("A", "ES").quantity != len(bought) - len(busted):
            found.append("the position is not what the log says")
        if book.position != len(records):
            found.append("the book is not at the head")
        return found


@pytest.mark.untraced
@pytest.mark.usefixtures("no_thread_left")
def test_random_tasks_find_their_fills_in_the_log_and_in_the_book() -> None:
    for seed in rounds("asyncio book", test=60, prove=20_000):
        assert asyncio.run(history(random.Random(seed))) == [], f"seed {seed}"
