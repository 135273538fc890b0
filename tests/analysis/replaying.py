"""Histories to replay: small ones of one account, random ones, and a day with a limit that locks."""

from __future__ import annotations

import datetime
import itertools
import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from eventstore import Event, EventReader, EventStore, ManualClock
from eventstore.clock import NANOSECONDS, parse_time
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    LimitsSet,
    OrderFilled,
    OrderSubmitted,
    Side,
)
from projections import Calendar, Policies
from projections import open as open_book
from projections.analysis import Replay
from projections.past_fold import PastFold
from projections.rules import shipped_rules
from projections.view import is_volatile
from tests.projections.histories import history, store_of

if TYPE_CHECKING:
    from eventstore import Record
    from eventstore.clock import Times
    from projections import Book
    from projections.analysis import Frame, ReplayComparison

BEGINS = parse_time("2025-11-19T15:00:00Z")
SECOND = NANOSECONDS
MINUTE = 60 * SECOND
CALENDAR = Calendar(zone="America/Chicago", open=datetime.time(17), reset=datetime.time(17))

Row = tuple[int, str, float, float, float, float]


class Desk:
    """A store in memory, its clock, and what is appended a second apart."""

    def __init__(self, at: Times = BEGINS) -> None:
        self.clock = ManualClock(at)
        self.store = EventStore(MemoryJournal(clock=self.clock, log_id=bytes(16)), clock=self.clock)
        self._trades = itertools.count(1)

    def append(self, stream: str, event: Event, **options: Any) -> Record:  # noqa: ANN401 - those of append
        self.clock.advance(SECOND)
        return self.store.append(stream, event, **{"actor": "desk", **options})[0]

    def begin(self, account: str = "A", *, limit: str | None = None) -> None:
        """Define ES, open an account, and limit its daily loss."""
        self.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
        self.append(f"account/{account}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        if limit is not None:
            parameters = {"limit": limit, "revocable": False}
            self.append(
                f"limits/{account}/daily-loss", LimitsSet(rule_id="daily-loss", parameters=parameters), key="limit"
            )

    def fill(self, quantity: int, price: str, account: str = "A", **options: Any) -> Record:  # noqa: ANN401 - the same
        """Submit an order and fill it; below zero it sells."""
        number = next(self._trades)
        side, size = (Side.BUY if quantity > 0 else Side.SELL), Decimal(abs(quantity))
        stream = f"order/{account}/O-{number}"
        self.append(stream, OrderSubmitted(symbol="ES", side=side, quantity=size))
        filled = OrderFilled(trade_id=f"T-{number}", symbol="ES", side=side, quantity=size, price=Decimal(price))
        return self.append(stream, filled, **options)


def trading_desk(fills: int = 4) -> Desk:
    """Return a desk with an account that has bought and sold."""
    desk = Desk()
    desk.begin()
    for number in range(fills):
        desk.fill(1 if number % 2 == 0 else -1, str(5_000 + number))
    return desk


def random_store(seed: int, length: int = 120) -> EventStore:
    """Return a store with a random history of three accounts."""
    return store_of(history(random.Random(seed), length))


def policed_desk(fills: list[tuple[int, str]], *, limit: str = "1000") -> Desk:
    """Return a desk on which the shipped policies ran while these fills came."""
    desk = Desk()
    book: Book = open_book(desk.store, calendars=CALENDAR)
    with book, Policies(book, shipped_rules()) as policies:
        desk.begin(limit=limit)
        for quantity, price in fills:
            policies.tick()
            desk.fill(quantity, price)
            book.refresh()
    return desk


def random_fills(seed: int, length: int = 30) -> list[tuple[int, str]]:
    """Return fills at prices of a random walk."""
    chance = random.Random(seed)
    price = Decimal(5_000)
    fills = []
    for _ in range(length):
        price += Decimal(chance.randint(-24, 24)) / 4
        fills.append((chance.choice((-2, -1, 1, 2)), str(price)))
    return fills


def states(book: Book) -> dict[str, Any]:
    """Return the states of all views that fold the log alone."""
    if isinstance(book._fold, PastFold):
        # It folds a view when that is asked.
        book._fold.complete_all()
    slots = book._fold.slots
    return {name: dict(slot.states) for name, slot in slots.items() if not is_volatile(slot.view)}


LOSING = [(1, "5000"), (-1, "4990"), (1, "4990"), (-1, "4978"), (1, "5000"), (-1, "4999")]
"""A loss of 500, of 600 and of 50 USD: 1,100 at the fourth fill."""


def compared(store: EventReader, **options: Any) -> ReplayComparison:  # noqa: ANN401 - those of Replay
    return Replay(store, **{"calendars": CALENDAR, **options}).run().compare()


def rows(frame: Frame) -> list[dict[str, Any]]:
    return frame.to_arrow().to_pylist()  # type: ignore[no-any-return] # Arrow has no types


def the_limit(desk: Desk) -> int:
    return next(desk.store.read(types=(LimitsSet,))).position


def with_limit(desk: Desk, limit: str) -> ReplayComparison:
    """Ask what another limit would have led to."""
    parameters = {"limit": limit, "revocable": False}
    return compared(desk.store, instead={the_limit(desk): LimitsSet(rule_id="daily-loss", parameters=parameters)})


def bar_of(record: Record) -> int:
    """Return the bar, counted from 1, at whose end a record was made."""
    return (record.occurred_at - BEGINS) // MINUTE


def bars(*rows: tuple[float, float, float, float], symbol: str = "ES") -> pa.Table:
    """Return bars of open, high, low and close, which end a minute apart."""
    return table([(BEGINS + (n + 1) * MINUTE, symbol, *row) for n, row in enumerate(rows)])


def table(rows: list[Row]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    types = (pa.timestamp("ns", "UTC"), pa.string(), *(pa.float64(),) * 4)
    names = ("at", "symbol", "open", "high", "low", "close")
    return pa.table({
        name: pa.array(column, kind) for name, column, kind in zip(names, columns, types, strict=True)
    })  # fmt: skip


def prices(*values: float | None) -> pa.Table:
    at = [BEGINS + (n + 1) * MINUTE for n in range(len(values))]
    return pa.table({"at": pa.array(at, pa.timestamp("ns", "UTC")), "symbol": ["ES"] * len(at), "price": list(values)})


def begun(data: object, **options: Any) -> Replay:  # noqa: ANN401 - those of Replay
    """Return a replay of bars alone, in which an account is open and ES is defined."""
    replay = Replay(data=data, calendars=CALENDAR, **options)
    book = replay.book
    book.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
    book.append("contract/-/NQ", ContractDefined(symbol="NQ", multiplier=Decimal(20), currency="USD"))
    book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
    return replay
