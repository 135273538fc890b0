"""Fills of one contract in a row: folded together, and to the last digit as if each were folded by itself."""

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from eventstore import Event, EventStore, ManualClock, Record
from eventstore.clock import utc_date
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountReopened,
    ClockJumped,
    LimitsSet,
    OrderFilled,
    PositionReported,
    PositionSide,
    SessionReset,
    Side,
    TradeBusted,
    TradeCorrected,
)
from projections.fold import Fold
from projections.views.executions import filling
from projections.views.executions.position_totals import PositionTotals, traded_to
from projections.views.executions.state import ExecutionsState, Holding
from projections.views.executions.view import ExecutionsView

CATEGORIES = {
    AccountReopened: "account",
    ClockJumped: "lockout",
    LimitsSet: "limits",
    PositionReported: "position",
    SessionReset: "session",
}
SECOND = 1_000_000_000
HOUR = 3_600
VIEW = ExecutionsView.name

Fact = tuple[Event | Callable[[ManualClock], Event], int]
"""An event, or what makes it when its time has come, and how many seconds after the one before that is."""


def records_of(facts: list[Fact]) -> list[Record]:
    """Return the records of one account's events."""
    clock = ManualClock(1_750_000_020 * SECOND)
    store = EventStore(MemoryJournal(clock=clock, log_id=bytes(16)), clock=clock)
    for number, (fact, seconds) in enumerate(facts):
        clock.advance(max(seconds, 1) * SECOND)
        event = fact if isinstance(fact, Event) else fact(clock)
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


def state_of(fold: Fold) -> bytes:
    """Return the account's state as a snapshot has it: numbers that are equal may differ in their digits."""
    assert not fold.slots[VIEW].parked
    return msgspec.msgpack.encode(fold.slots[VIEW].states["A"])


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


def jump(seconds: int) -> Callable[[ManualClock], Event]:
    """Set the wall clock ahead or back."""

    def made(clock: ManualClock) -> Event:
        before = clock.now_ns()
        clock.set(before + seconds * SECOND)
        return ClockJumped(before=before, after=clock.now_ns())

    return made


def reset(clock: ManualClock) -> Event:
    """Begin a trading day."""
    return SessionReset(trading_day=utc_date(clock.now_ns()), scheduled_for=clock.now_ns())


def some_other(chance: random.Random, number: int, symbol: str) -> Event | Callable[[ManualClock], Event]:
    """Return what ends a row."""
    trade = f"T{chance.randint(0, number)}"
    # A clock that ran ahead is put right, or one that was right is set.
    set_by = chance.choice((1, -1)) * chance.choice((HOUR, 9 * HOUR, 24 * HOUR))
    return chance.choice(
        (
            TradeBusted(trade_id=trade),
            TradeCorrected(trade_id=trade, quantity=Decimal(2), price=Decimal(101)),
            PositionReported(symbol=symbol, quantity=Decimal(3)),
            LimitsSet(rule_id="daily-loss"),
            AccountReopened(starting_balance=Decimal(50_000)),
            jump(set_by),
            reset,
        )
    )


def some_facts(chance: random.Random, length: int) -> list[Fact]:
    """Return rows of fills, mostly a second apart, with all that ends a row in between: often, or seldom."""
    facts: list[Fact] = []
    symbol, usual = "ESZ5", chance.choice((0.8, 0.95, 0.99))
    for number in range(length):
        if chance.random() < 0.1:
            symbol = chance.choice(("ESZ5", "NQZ5", "CLZ5"))
        seconds = 1 if chance.random() < usual else chance.choice((30, 0, -90))
        other = chance.random() > usual
        facts.append((some_other(chance, number, symbol) if other else some_fill(chance, number, symbol), seconds))
    return facts


def states_of(records: list[Record], seed: int) -> list[bytes]:
    """Return the account's state after pages of one record, of all of them, and of some."""
    chance = random.Random(seed)
    pages: list[Callable[[], int]] = [lambda: 1, lambda: len(records), lambda: chance.randint(1, 20)]
    return [state_of(folded(records, page)) for page in pages]


@pytest.mark.parametrize("seed", range(60))
def test_fills_in_a_row_give_the_state_that_each_gives_by_itself(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    records = records_of(some_facts(random.Random(seed), 120))
    with monkeypatch.context() as patch:
        # As if each fill were unusual, so that the general steps fold it.
        patch.setattr(filling.Fills, "fold", lambda *_: False)
        one_by_one = states_of(records, seed)
    assert states_of(records, seed) == one_by_one
    # What is late is folded once a page, which may leave other zeros at a number's end, and nothing else.
    first, *others = [msgspec.msgpack.decode(each, type=ExecutionsState) for each in one_by_one]
    assert others == [first, first]


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
    # Its last known position, which is asked for then, has the fills before that.
    state = fold.slots[VIEW].states["A"]
    assert state.holdings["ESZ5\0NET"].totals.quantity == 3
    assert [each.fills for each in state.ledger.of_day("~2025-06-15").values()] == [3]
