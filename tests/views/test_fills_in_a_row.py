"""Fills of one contract in a row: folded together, and to the last digit as if each were folded by itself."""

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from eventstore import Event, EventStore, ManualClock, Record
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    LimitsSet,
    OrderFilled,
    PositionReported,
    PositionSide,
    Side,
    TradeBusted,
    TradeCorrected,
)
from projections.fold import Fold
from projections.views.executions import filling
from projections.views.executions.position_totals import PositionTotals, traded_to
from projections.views.executions.state import ExecutionsState, Holding
from projections.views.executions.view import ExecutionsView

CATEGORIES = {LimitsSet: "limits", PositionReported: "position"}
SECOND = 1_000_000_000
VIEW = ExecutionsView.name


def records_of(facts: list[tuple[Event, int]]) -> list[Record]:
    """Return the records of one account's events, each so many seconds after the one before."""
    clock = ManualClock(1_750_000_020 * SECOND)
    store = EventStore(MemoryJournal(clock=clock, log_id=bytes(16)), clock=clock)
    for number, (event, seconds) in enumerate(facts):
        clock.advance(max(seconds, 1) * SECOND)
        category = CATEGORIES.get(type(event), "order")
        occurred_at = clock.now_ns() + min(seconds, 0) * SECOND
        store.append(f"{category}/A/{number}", event, key=str(number), occurred_at=occurred_at, actor="desk")
    return list(store.read())


def folded(records: list[Record], page: Callable[[], int]) -> Fold:
    fold = Fold([ExecutionsView()])
    while records:
        size = page()
        fold.apply(records[:size])
        records = records[size:]
    return fold


def state_of(fold: Fold) -> ExecutionsState:
    """Return the account's state as a snapshot gives it back."""
    assert not fold.slots[VIEW].parked
    return msgspec.msgpack.decode(msgspec.msgpack.encode(fold.slots[VIEW].states["A"]), type=ExecutionsState)


def fill(trade_id: str, quantity: str = "1", side: Side = Side.BUY, **more: Any) -> OrderFilled:  # noqa: ANN401 - any of its members
    stated = {"symbol": "ESZ5", "price": Decimal(100), **more}
    return OrderFilled(trade_id=trade_id, side=side, quantity=Decimal(quantity), **stated)


def some_fill(chance: random.Random, number: int, symbol: str) -> OrderFilled:
    return fill(
        # Some ids are repeated, by reports that agree and by some that do not.
        f"T{number if chance.random() < 0.98 else chance.randint(0, number)}",
        chance.choice((*["1", "2", "3"] * 5, "0.1", "1E+2", "1.50")),
        chance.choice((Side.BUY, Side.SELL)),
        symbol=symbol,
        price=Decimal(chance.choice(("100", "100.10", "1E+2", "0", "-3.5", "33.333333333333333333"))),
        fee=Decimal(chance.choice(("0", "1.24", "1.240", "0.3", "1E+1", "-0.5")) if chance.random() < 0.1 else "1.2"),
        fee_currency=chance.choice((*[None] * 30, "USD", "EUR")),
        position_side=chance.choice((*[PositionSide.NET] * 30, PositionSide.LONG)),
    )


def some_facts(chance: random.Random, length: int) -> list[tuple[Event, int]]:
    """Return rows of fills, mostly a second apart, with all that ends a row in between."""
    facts: list[tuple[Event, int]] = []
    symbol = "ESZ5"
    while len(facts) < length:
        seconds = chance.choice((*[1] * 30, 30, 0, -90))
        trade = f"T{chance.randint(0, len(facts))}"
        match chance.randint(0, 30):
            case 0:
                facts.append((TradeBusted(trade_id=trade), seconds))
            case 1:
                facts.append((TradeCorrected(trade_id=trade, quantity=Decimal(2), price=Decimal(101)), seconds))
            case 2:
                facts.append((PositionReported(symbol=symbol, quantity=Decimal(3)), seconds))
            case 3:
                facts.append((LimitsSet(rule_id="daily-loss"), seconds))
            case 4 | 5 | 6:
                symbol = chance.choice(("ESZ5", "NQZ5"))
            case _:
                facts.append((some_fill(chance, len(facts), symbol), seconds))
    return facts


@pytest.mark.parametrize("seed", range(40))
def test_fills_in_a_row_give_the_state_that_each_gives_by_itself(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    records = records_of(some_facts(chance, 120))
    with monkeypatch.context() as patch:
        # As if each fill were unusual, so that the general steps fold it.
        patch.setattr(filling.Fills, "fold", lambda *_: False)
        one_by_one = state_of(folded(records, lambda: 1))
    assert state_of(folded(records, lambda: 1)) == one_by_one
    assert state_of(folded(records, lambda: 120)) == one_by_one
    assert state_of(folded(records, lambda: chance.randint(1, 20))) == one_by_one


def test_a_row_replaces_the_holding_once(monkeypatch: pytest.MonkeyPatch) -> None:
    replaced: list[Holding] = []

    def counted(*members: Any) -> Holding:  # noqa: ANN401 - as many as a holding has
        replaced.append(Holding(*members))
        return replaced[-1]

    monkeypatch.setattr(filling, "Holding", counted)
    fold = folded(records_of([(fill(f"T{number}"), 0) for number in range(20)]), lambda: 20)
    assert fold.slots[VIEW].states["A"].holdings["ESZ5\0NET"].totals.quantity == 20
    assert len(replaced) == 1


def test_a_fill_that_fails_parks_the_account_at_its_own_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*values: Any) -> PositionTotals:  # noqa: ANN401 - as many as it takes
        if values[4] == "T3":
            raise ArithmeticError
        return traded_to(*values)

    monkeypatch.setattr(filling, "traded_to", failing)
    fold = Fold([ExecutionsView()])
    fold.apply(records_of([(fill(f"T{number}"), 0) for number in range(6)]))
    assert fold.slots[VIEW].parked["A"].position == 4
