"""The workload: the events of a futures desk's orders, many orders alive at a time."""

from __future__ import annotations

from decimal import Decimal
from itertools import count, islice
from typing import TYPE_CHECKING

from eventstore import Batch, Event
from eventstore.trading import (
    LockoutCleared,
    LockoutSet,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRequested,
    OrderFilled,
    OrderRejected,
    OrderReplaced,
    OrderReplaceRequested,
    OrderReported,
    OrderStatus,
    OrderSubmitted,
    OrderType,
    PositionReported,
    Side,
    TimeInForce,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from random import Random

    from eventstore import EventStore

    StreamEvent = tuple[str, Event]

MIX = (
    "of 100 orders 55 are filled in 1 to {fills} parts, 25 cancelled, 8 replaced and then filled, 5 partly filled and "
    "then cancelled, 5 rejected, 2 reported by the broker and then filled; a position report for every 50 orders, "
    "a lockout set and cleared for every 200"
)
BATCH_EVENTS = 1_000

SYMBOLS = ("ESZ5", "NQZ5", "MNQZ5", "CLF6", "GCG6", "ZNH6", "6EZ5", "RTYZ5")
_TICK = Decimal("0.25")
_FEE = Decimal("1.24")


def submitted(number: int, parts: int = 1, side: Side = Side.BUY) -> OrderSubmitted:
    """Return a usual order, of a quantity that can be filled in that number of parts: 150 bytes of data."""
    return OrderSubmitted(
        symbol=_symbol(number),
        side=side,
        quantity=Decimal(parts * (1 + number % 3)),
        order_type=OrderType.LIMIT,
        limit_price=5_000 + _TICK * (number % 400),
        time_in_force=TimeInForce.DAY,
        strategy="opening-range",
    )


def lives(
    rng: Random, *, accounts: int, alive: int, fills_max: int, orders: int | None = None
) -> Iterator[StreamEvent]:
    """Yield (stream, event): `alive` orders at a time, each event of one of them drawn by chance.

    Endless, or until the given number of orders is closed.
    """
    running: list[list[StreamEvent]] = []
    desk = Desk(rng, accounts, fills_max)
    number = 0
    while running or orders is None or number < orders:
        while len(running) < alive and (orders is None or number < orders):
            number += 1
            running.append(desk.life(number)[::-1])
            yield from desk.beside(number)
        at = rng.randrange(len(running))
        life = running[at]
        yield life.pop()
        if not life:
            running[at] = running[-1]
            running.pop()


def five_events(*, accounts: int) -> Iterator[StreamEvent]:
    """Yield (stream, event) without end: orders of five events, one after the other; every second one closes."""
    for number in count():
        # Each account's next order closes what its last one opened, in the next of the symbols.
        turn = number // accounts
        order = submitted(turn // 2 * 7, 3, Side.SELL if turn % 2 else Side.BUY)
        stream = f"order/ACC{number % accounts:03}/O-{number:08}"
        for event in (order, OrderAccepted(broker_order_id=f"B{number:09}"), *_fills(order, number, 3)):
            yield stream, event


def order_of(stream: str) -> str:
    return stream.split("/", 2)[2]


def append_all(store: EventStore, facts: Iterable[StreamEvent]) -> int:
    """Append events in commits of 1,000 and return how many they were."""
    written = 0
    events = iter(facts)
    while some := list(islice(events, BATCH_EVENTS)):
        store.append_many([Batch(stream, event) for stream, event in some])
        written += len(some)
    return written


class Desk:
    """Who sends what: seven orders of ten go against what the account holds in the symbol, so that it is often flat."""

    def __init__(self, rng: Random, accounts: int, fills_max: int) -> None:
        self._rng, self._accounts, self._fills_max = rng, accounts, fills_max
        self._held: dict[tuple[int, str], Decimal] = {}

    def life(self, number: int) -> list[StreamEvent]:
        """Return all that happens to one order."""
        chance = self._rng.randrange(100)
        parts = self._rng.randint(1, self._fills_max) if chance < 55 else 2 if 88 <= chance < 93 else 1
        place = (number % self._accounts, _symbol(number))
        held = self._held.get(place, Decimal(0))
        side = Side.BUY if (held < 0) is (self._rng.randrange(10) < 7) else Side.SELL
        order = submitted(number, parts, side)
        filled = order.quantity * (1 if chance < 55 or 80 <= chance < 88 or chance >= 98 else 0)
        filled = order.quantity / 2 if 88 <= chance < 93 else filled
        self._held[place] = held + filled if side is Side.BUY else held - filled
        stream = f"order/{self._account(number)}/O-{number:08}"
        return [(stream, event) for event in _order_events(order, number, chance, parts)]

    def beside(self, number: int) -> list[StreamEvent]:
        """Return what is reported and locked between this order and the next."""
        account, symbol = self._account(number), _symbol(number)
        events: list[StreamEvent] = []
        if number % 50 == 0:
            events.append((f"position/{account}/{symbol}", PositionReported(symbol=symbol, quantity=Decimal(3))))
        if number % 200 == 0:
            stream = f"lockout/{account}/daily-loss"
            events += [(stream, LockoutSet(rule_id="daily-loss", reason="loss")), (stream, LockoutCleared(by="desk"))]
        return events

    def _account(self, number: int) -> str:
        return f"ACC{number % self._accounts:03}"


def _symbol(number: int) -> str:
    # A step that shares no factor with the usual numbers of accounts, so that each of them deals in all symbols.
    return SYMBOLS[number // 7 % len(SYMBOLS)]


def _order_events(order: OrderSubmitted, number: int, chance: int, parts: int) -> list[Event]:
    events: list[Event] = [order, OrderAccepted(broker_order_id=f"B{number:09}")]
    if chance < 55:
        events += _fills(order, number, parts)
    elif chance < 80:
        events += [OrderCancelRequested(), OrderCanceled()]
    elif chance < 88:
        price = 5_000 + _TICK * (number % 300)
        events += [OrderReplaceRequested(limit_price=price), OrderReplaced(limit_price=price)]
        events += _fills(order, number, 1)
    elif chance < 93:
        events += [*_fills(order, number, parts)[:1], OrderCanceled(reason="day end")]
    elif chance < 98:
        events[1:] = [OrderRejected(reason="margin")]
    else:
        events.append(OrderReported(status=OrderStatus.NEW, symbol=order.symbol, filled_quantity=Decimal(0)))
        events += _fills(order, number, 1)
    return events


def _fills(order: OrderSubmitted, number: int, parts: int) -> list[Event]:
    """Return the fills of a whole order in that number of equal parts."""
    return [
        OrderFilled(
            trade_id=f"T{number}-{index}",
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity / parts,
            price=5_000 + _TICK * ((number + index) % 400),
            fee=_FEE,
        )
        for index in range(1, parts + 1)
    ]
