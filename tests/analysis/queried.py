"""A log for queries: fills of several accounts in contracts with awkward names, and a lockout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import eventstore
from eventstore import EventStore, ManualClock
from eventstore.trading import LockoutSet, OrderFilled, Side
from tests.memory import directory_in_memory

START = 1_764_500_000_000_000_000
ACCOUNTS = 50
FILLS = 20
"""Of each account."""
QUOTED = 'it\'s "q"; DROP TABLE fills --'
SYMBOLS = ("ESZ5", QUOTED)


def fill(number: int, *, symbol: str = "ESZ5", price: str = "5000.25", fee: str = "2.5") -> OrderFilled:
    return OrderFilled(
        trade_id=f"T{number}",
        symbol=symbol,
        side=Side.SELL if number % 3 else Side.BUY,
        quantity=Decimal(1 + number % 4),
        price=Decimal(price),
        fee=Decimal(fee),
    )


@contextmanager
def recorded(accounts: int = ACCOUNTS, fills: int = FILLS) -> Iterator[EventStore]:
    """Give a store with fills, their times 1 ns apart, in the accounts A0, A1, … and one lockout of A1."""
    with (
        directory_in_memory() as directory,
        eventstore.open(directory, clock=ManualClock(START)) as store,
    ):
        for account in range(accounts):
            numbers = range(account * fills, (account + 1) * fills)
            for number in numbers:
                store.append(
                    f"order/A{account}/O-{number}",
                    fill(number, symbol=SYMBOLS[number % 2]),
                    occurred_at=START + number,
                )
        store.append("lockout/A1/daily-loss", LockoutSet(rule_id="daily-loss", reason="it hurt"), occurred_at=START)
        yield store
