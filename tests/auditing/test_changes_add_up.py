"""What the records of a timeline changed, put one after the other: each begins where the one before ended."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import eventstore
import projections
from eventstore import EventStore, ManualClock
from eventstore.trading import ContractDefined, FeeCharged, OrderFilled, Side, TradeBusted, TradeExecuted
from projections import auditing
from projections.auditing import Entry
from tests.proving import rounds
from tests.reference.compared import Compared, recorded

VIEWS = frozenset({"orders", "trades", "positions", "balances"})


def breaks(entries: Iterator[Entry]) -> Iterator[tuple[object, ...]]:
    """Yield where a change does not begin with what the one before left, unless what is between is not known."""
    last: dict[tuple[str, str, str], Any] = {}
    for entry in entries:
        for place in [key for key in last if any(each.startswith(f"{key[0]} of {key[1]}:") for each in entry.unknown)]:
            del last[place]
        for change in entry.changes:
            place = change.view, change.account, change.key
            if change.view in VIEWS:
                if last.get(place, change.before) != change.before:
                    yield entry.position, entry.sentence, place, last[place], change.before
                last[place] = change.after


def ends(store: EventStore) -> Iterator[tuple[object, ...]]:
    """Yield the orders and positions that the changes leave otherwise than the book has them."""
    book = projections.as_of(store)
    after = {(each.view, each.account, each.key): each.after for entry in entries_of(store) for each in entry.changes}
    for (view, account, key), value in after.items():
        if view == "orders" and value != book.orders.get(account, key):
            yield view, account, key, value
        symbol, _, side = key.rpartition("/")
        if view == "positions" and value is not None and value != book.positions.get(account, symbol, side):
            yield view, account, key, value


def entries_of(store: EventStore) -> Iterator[Entry]:
    return iter(auditing.timeline(store, limit=10_000))


def test_changes_of_random_histories_add_up_to_the_book(memory_path: Path) -> None:
    for seed in rounds("changes that add up", test=40, prove=2_000):
        both = Compared(recorded(seed, 40), memory_path / f"{seed}.sqlite")
        assert list(breaks(entries_of(both.store))) == [], seed
        assert list(ends(both.store)) == [], seed
        both.close()


def test_a_name_that_is_learned_changes_the_trades_and_orders_that_it_concerns(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data", clock=ManualClock("2025-11-19T14:00:00Z")) as store:
        filled = OrderFilled(
            trade_id="T1", symbol="ESZ5", side=Side.BUY, quantity=Decimal(2), price=Decimal(5_000)
        )  # fmt: skip
        store.append("order/A/O-1", filled)
        store.append("trade/A/T1", TradeBusted(trade_id="T1", symbol="CON.ES"))
        store.append("trade/A/T2", executed("T2", "ESZ5"))
        store.append("fee/A/T2", FeeCharged(trade_id="T2", symbol="CON.ES", amount=Decimal(3)))
        store.append("trade/A/T3", executed("T3", "ESZ5"))
        store.append("trade/A/T3", executed("T3", "CON.ES"))
        event = ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD", broker_ids=("CON.ES",))
        store.append("contract/-/ESZ5", event)
        *_, last = entries_of(store)
        assert list(ends(store)) == []
    changes = {(each.view, each.key): (each.before, each.after) for each in last.changes}
    before, after = changes["orders", "O-1"]
    assert (before.cumulative, after.cumulative) == (2, 0)
    assert [each.busted for each in changes["trades", "T1"]] == [False, True]
    assert [each.fee for each in changes["trades", "T2"]] == [0, 3]
    [twin] = [sides for (view, key), sides in changes.items() if view == "trades" and key.startswith("T3 at")]
    assert (twin[0].quantity, twin[1]) == (4, None)


def executed(trade_id: str, symbol: str) -> TradeExecuted:
    return TradeExecuted(trade_id=trade_id, symbol=symbol, side=Side.BUY, quantity=Decimal(4), price=Decimal(5_000))
