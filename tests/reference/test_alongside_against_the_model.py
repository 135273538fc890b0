"""The same executions in two exports compared with the reference: each is booked once, or the second is refused."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal

import pytest

from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.streams import stream_of
from eventstore.trading import OrderFilled, Side, TradeExecuted
from gateways.importers import BadRow
from gateways.importers.alongside import counted_once, known_executions
from gateways.importers.base import PlannedEvent
from gateways.importers.contract_names import ContractNames
from gateways.importers.contracts import builtin_table
from tests.proving import rounds
from tests.reference.booked_once import Fill, Shown, each_fill, each_order, each_second, totals

pytestmark = pytest.mark.untraced

START_MS = 1_772_465_700_000
EXPORTS = (each_fill, each_second, each_order)
NAMES = ContractNames(builtin_table())


def test_each_execution_is_booked_once_whatever_the_exports() -> None:
    refused = rounds_run = 0
    for seed in rounds("executions in two exports", test=200, prove=20_000):
        chance = random.Random(seed)
        fills = day(chance)
        orders = sorted({fill.order for fill in fills})
        first, second = (set(chance.sample(orders, chance.randint(1, len(orders)))) for _ in range(2))
        one, another = chance.sample(EXPORTS, 2)
        store = EventStore(MemoryJournal(clock=ManualClock("2026-03-03T00:00:00Z")))
        for item in plan(one([fill for fill in fills if fill.order in first])):
            append(store, item, f"import {one.__name__} one.csv")
        rounds_run += 1
        try:
            for _ in range(2):
                import_alongside(
                    store, plan(another([fill for fill in fills if fill.order in second])), another.__name__
                )
        except BadRow:
            refused += 1
            continue
        union = [fill for fill in fills if fill.order in first | second]
        assert totals(booked(store)) == totals(each_fill(union)), (one.__name__, another.__name__)
    assert refused * 4 <= rounds_run


def day(chance: random.Random) -> list[Fill]:
    """Return the executions of some orders. Those of one side are seconds apart: else two could be taken for one."""
    fills: list[Fill] = []
    at = START_MS
    for order in range(chance.randint(2, 6)):
        buys, price = chance.random() < 0.6, Decimal(chance.randrange(84_000, 84_012)) / 4
        earlier = max((fill.at for fill in fills if fill.buys is buys), default=0)
        at = max(at + chance.choice((300, 4_000, 60_000)), earlier + 3_000)
        for _ in range(chance.randint(1, 3)):
            at += chance.choice((0, 150, 2_500))
            price += Decimal(chance.choice((0, 0, 1))) / 4
            fills.append(Fill(order, len(fills), buys, chance.randint(1, 3), price, at))
    return fills


def plan(shown: Sequence[Shown]) -> list[PlannedEvent]:
    planned = []
    for each in shown:
        side = Side.BUY if each.buys else Side.SELL
        event = TradeExecuted(trade_id=each.name, symbol="MNQH6", side=side, quantity=each.quantity, price=each.price)
        planned.append(PlannedEvent(stream_of("trade", "A1", each.name), event, each.name, each.at * 1_000_000, 2))
    return planned


def append(store: EventStore, item: PlannedEvent, note: str) -> None:
    store.append(item.stream, item.event, key=item.key, occurred_at=item.occurred_at, note=note)


def import_alongside(store: EventStore, items: list[PlannedEvent], format: str) -> None:
    found = known_executions(store, items, NAMES, format)
    found.refuse_doubtful("two.csv")
    for item in counted_once(items, found):
        append(store, item, f"import {format} two.csv")


def booked(store: EventStore) -> list[Shown]:
    shown = []
    for record in store.read(types=(OrderFilled, TradeExecuted)):
        event = record.event
        assert isinstance(event, OrderFilled | TradeExecuted)
        shown.append(Shown(event.trade_id, event.side is Side.BUY, event.quantity, event.price, record.occurred_at))
    return shown
