"""Shared by the tests of policies: two policies, and the events of an account."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import ClassVar

from eventstore import Event, EventStore, Record, StorageFull
from eventstore.trading import LockoutSet, OrderFilled, QuoteReceived, Side
from projections import Book
from projections.risk.policies import Decision, Policies, Policy, Trigger, TriggerKind

START = 1_790_000_000_000_000_000


def locked(account: str) -> Callable[[Book], bool]:
    return lambda book: bool(book.lockouts.active(account, book.now_ns()))


class Loss:
    """Locks an account whose result in ES is -10 points or less, realized or at a quote."""

    types: ClassVar[tuple[type[Event], ...]] = (OrderFilled,)
    quotes: ClassVar[bool] = True
    timed: ClassVar[bool] = False

    def __init__(self, name: str = "loss") -> None:
        self.name = name
        self.triggers: list[Trigger] = []

    def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
        self.triggers.append(trigger)
        position = book.positions.get(trigger.account, "ES")
        points = position.realized_points
        if trigger.kind is TriggerKind.QUOTE and isinstance(trigger.event, QuoteReceived):
            assert trigger.event.last is not None
            points += position.unrealized_points(trigger.event.last)
        if points <= -10 and not locked(trigger.account)(book):
            stream = f"lockout/{trigger.account}/{self.name}"
            yield Decision(((stream, LockoutSet(rule_id=self.name, reason=f"{points}")),), locked(trigger.account))


class FixedDecisions:
    """Returns the same decisions each time."""

    types: ClassVar[tuple[type[Event], ...]] = (OrderFilled,)
    quotes: ClassVar[bool] = False
    timed: ClassVar[bool] = True

    def __init__(self, name: str, *decisions: Decision) -> None:
        self.name, self.decisions = name, decisions

    def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
        return self.decisions


def running(book: Book, *policies: Policy) -> Policies:
    return Policies(book, policies).start(ticking=False)


def fill(side: Side, price: int, number: int) -> OrderFilled:
    return OrderFilled(trade_id=f"T{number}", symbol="ES", side=side, quantity=Decimal(1), price=Decimal(price))


def lose(book: Book | EventStore, points: int, account: str = "A", number: int = 1) -> list[Record]:
    bought, sold = fill(Side.BUY, 100, number * 2), fill(Side.SELL, 100 - points, number * 2 + 1)
    return book.append(f"order/{account}/O{number}", [bought, sold])


def quote(book: Book, price: int, symbol: str = "ES") -> None:
    book.observe(f"quote/-/{symbol}", QuoteReceived(symbol=symbol, last=Decimal(price)))


def lockouts(store: EventStore) -> list[Record]:
    return list(store.read(stream="lockout/", types=(LockoutSet,)))


def locking(name: str, account: str = "A", *, key: str | None = None) -> Decision:
    return Decision(((f"lockout/{account}/{name}", LockoutSet(rule_id=name)),), key=key)


def no_room(*_: object, **__: object) -> list[Record]:
    msg = "no room"
    raise StorageFull(msg)


def fail(*_: object, **__: object) -> None:
    msg = "broken"
    raise LookupError(msg)
