"""Which records of a timeline are marked busted or corrected: that of the very trade, as known at the log's head."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore, ManualClock
from eventstore.trading import ContractDefined, Side, TradeBusted, TradeExecuted
from projections import auditing
from projections.auditing import MarkKind
from projections.auditing.amendments import Amendments
from projections.views.executions.recent_trades import RECENT_MAX


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data", clock=ManualClock("2025-11-19T14:00:00Z")) as store:
        yield store


def executed(store: EventStore, side: Side, quantity: int, price: int, symbol: str = "ESZ5") -> int:
    event = TradeExecuted(
        trade_id="T1", symbol=symbol, side=side, quantity=Decimal(quantity), price=Decimal(price)
    )  # fmt: skip
    return store.append("trade/A/T1", event)[0].position


def busted(store: EventStore) -> list[int]:
    """Return the log positions that are marked busted, which every way to ask for a timeline agrees on."""
    with projections.open(store) as book:
        glances = list(auditing.glances(book, store.read(), Amendments(store, None)))
    pages = [glances, *(list(auditing.timeline(store, account=each, limit=10_000)) for each in (None, "A"))]
    found = [
        [each.position for each in page if MarkKind.BUSTED in {mark.kind for mark in each.marks}] for page in pages
    ]
    assert found[0] == found[1] == found[2]
    return found[0]


def test_of_two_trades_of_one_id_the_busted_one_is_marked(store: EventStore) -> None:
    executed(store, Side.BUY, 5, 5_310)
    second = executed(store, Side.SELL, 2, 5_400)
    event = TradeBusted(trade_id="T1", side=Side.SELL, quantity=Decimal(2), price=Decimal(5_400))
    store.append("trade/A/T1", event)
    assert busted(store) == [second]


def test_a_trade_is_marked_by_a_name_that_was_learned_later(store: EventStore) -> None:
    trade = executed(store, Side.BUY, 5, 5_310, symbol="CON.ES")
    store.append("trade/A/T1", TradeBusted(trade_id="T1", symbol="ESZ5"))
    assert busted(store) == []
    store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50), broker_ids=("CON.ES",)))
    assert busted(store) == [trade]


def test_amendments_that_are_kept_follow_the_log(store: EventStore) -> None:
    kept = Amendments(store, None)
    trade = executed(store, Side.BUY, 5, 5_310)
    [bust] = store.append("trade/A/T1", TradeBusted(trade_id="T1", symbol="@ES"))
    [record] = store.read(after=trade - 1, until=trade)
    kept.keep_up()
    assert list(kept.of_trade(record, record.event)) == []
    store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50), broker_ids=("@ES",)))
    kept.keep_up()
    assert [each.position for each in kept.of_trade(record, record.event)] == [bust.position]


def test_a_trade_that_is_forgotten_is_not_taken_for_a_later_one_of_its_id(store: EventStore) -> None:
    executed(store, Side.BUY, 5, 5_310)
    others = [
        TradeExecuted(trade_id=f"N{number}", symbol="ESZ5", side=Side.BUY, quantity=Decimal(1), price=Decimal(5_000))
        for number in range(RECENT_MAX)
    ]
    store.append("trade/A/N", others)
    second = executed(store, Side.SELL, 2, 5_400)
    store.append("trade/A/T1", TradeBusted(trade_id="T1"))
    assert busted(store) == [second]
    with projections.open(store) as book:
        first, *_ = auditing.glances(book, store.read(limit=1), Amendments(store, None))
    assert first.marks == ()
