"""Positions that were asked for before are always what a reader says that has never been asked."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import Event, EventStore
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AdjustmentReason,
    ContractDefined,
    FeeCharged,
    OrderFilled,
    Payoff,
    PositionAdjusted,
    PositionReported,
    Side,
    TradeBusted,
    TradeCorrected,
)
from projections.views.executions import positions as module
from projections.views.executions.positions import Positions
from tests.proving import rounds
from tests.views.position_folding import LONG, NET, SHORT, fill

ACCOUNTS, SYMBOLS = ("A1", "A2"), ("ESZ5", "NQZ5")
NAMES = (*SYMBOLS, "ES DEC25", "unknown")
EVENTS_MAX = 25


def change(chance: random.Random) -> Event:
    """Return anything that a position follows from."""
    symbol, trade_id = chance.choice(SYMBOLS), f"T{chance.randrange(6)}"
    side, quantity, price = (
        chance.choice([NET, NET, LONG]),
        Decimal(chance.randint(1, 3)),
        Decimal(chance.randint(1, 9)),
    )
    match chance.randrange(10):
        case 0 | 1:
            is_inverse = chance.random() < 0.3
            return ContractDefined(
                symbol=symbol,
                multiplier=Decimal(chance.choice([2, 50])),
                currency="BTC" if is_inverse else "USD",
                base_currency="BTC" if is_inverse else None,
                payoff=Payoff.INVERSE if is_inverse else Payoff.LINEAR,
                broker_ids=("ES DEC25",) if symbol == "ESZ5" and chance.random() < 0.5 else (),
            )
        case 2:
            return FeeCharged(trade_id=trade_id, amount=price, symbol=chance.choice([symbol, None]))
        case 3:
            return TradeBusted(trade_id=trade_id)
        case 4:
            return TradeCorrected(trade_id=trade_id, quantity=quantity, price=price)
        case 5:
            reason = chance.choice([AdjustmentReason.TRANSFER, AdjustmentReason.SPLIT])
            return PositionAdjusted(symbol=symbol, quantity=quantity, reason=reason, position_side=side)
        case 6:
            return PositionReported(symbol=symbol, quantity=quantity, position_side=side)
        case _:
            way, fee = chance.choice([Side.BUY, Side.SELL]), chance.choice([Decimal(0), Decimal("0.5")])
            return OrderFilled(
                trade_id=trade_id, symbol=symbol, side=way, quantity=quantity, price=price, fee=fee, position_side=side
            )


def stream_of(account: str, event: Event) -> str:
    if isinstance(event, ContractDefined):
        return f"contract/-/{event.symbol}"
    if isinstance(event, PositionAdjusted | PositionReported):
        return f"position/{account}/{event.symbol}"
    return f"order/{account}/O-1" if isinstance(event, OrderFilled) else f"trade/{account}/T"


@pytest.mark.untraced
def test_what_is_remembered_is_what_is_folded() -> None:
    for seed in rounds("remembered positions", test=150, prove=20_000):
        chance = random.Random(seed)
        with EventStore(MemoryJournal()) as store, projections.open(store) as book:
            for _ in range(chance.randrange(EVENTS_MAX)):
                event = change(chance)
                store.append(stream_of(chance.choice(ACCOUNTS), event), event)
                book.refresh()
                new = Positions(book)
                for place in ((each, name, side) for each in ACCOUNTS for name in NAMES for side in (NET, LONG, SHORT)):
                    expected = new.get(*place)
                    assert book.positions.get(*place) == expected, seed
                    assert book.positions.get(*place) == expected, seed
                for account in ACCOUNTS:
                    held = book.positions.of(account)
                    assert tuple(book.positions.get(account, each.symbol, each.side) for each in held) == held, seed


def test_a_position_that_has_not_changed_is_the_same_object(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store, projections.open(store) as book:
        store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD"))
        store.append("order/A1/O-1", fill("T1", 1, 5000))
        book.refresh()
        held = book.positions.get("A1", "ESZ5")
        assert book.positions.get("A1", "ESZ5") is held
        store.append("order/A2/O-1", fill("T1", 1, 5000))
        book.refresh()
        assert book.positions.get("A1", "ESZ5") is held
        store.append("order/A1/O-2", fill("T2", 1, 5010))
        book.refresh()
        assert book.positions.get("A1", "ESZ5").quantity == 2


def test_no_more_positions_are_remembered_than_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED_MAX", 3)
    with eventstore.open(tmp_path) as store, projections.open(store) as book:
        for number in range(7):
            store.append(f"order/A{number}/O-1", fill("T1", number + 1, 5000))
        book.refresh()
        for number in (*range(7), 3, 6):
            assert book.positions.get(f"A{number}", "ESZ5").quantity == number + 1
            assert len(book.positions._made) <= 3
