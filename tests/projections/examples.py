"""Views and events of a user's own, and a few events for the tests of the book."""

import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import msgspec
from typing_extensions import override

import eventstore
from eventstore import VOLATILE, Event, Record
from eventstore.trading import OrderFilled, OrderSubmitted, Side, TradeExecuted
from projections import View


@eventstore.event
class Rained(Event, frozen=True, kw_only=True):
    """A user's own fact: an amount of rain, at a place that is not an account."""

    place: str
    millimetres: int


@eventstore.event(durability=VOLATILE)
class Glimpsed(Event, frozen=True, kw_only=True):
    """A fact that may be lost."""

    millimetres: int


class Water(msgspec.Struct):
    total: int = 0
    seen: list[int] = []


class RainByAccount(View[Water]):
    """Adds up rain, stored and observed, by account; fails on `bad` amounts."""

    name: ClassVar[str] = "rain"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (Rained, Glimpsed)

    def __init__(self) -> None:
        self.bad: set[int] = set()

    @override
    def initial(self) -> Water:
        return Water()

    @override
    def apply(self, state: Water, event: Event, record: Record) -> None:
        if isinstance(event, Rained | Glimpsed):
            if event.millimetres in self.bad:
                msg = f"{event.millimetres} is too much"
                raise ValueError(msg)
            state.total += event.millimetres
            state.seen = [*state.seen, record.position]


class RainByPlace(RainByAccount):
    """The same, with partitions that mix accounts."""

    name: ClassVar[str] = "rain-by-place"
    types: ClassVar[tuple[type[Event], ...] | None] = (Rained,)

    @override
    def partition(self, record: Record) -> str:
        event = record.event
        return event.place if isinstance(event, Rained) else "nowhere"


class Everything(View[Water]):
    """Counts records of any type."""

    name: ClassVar[str] = "everything"
    revision: ClassVar[int] = 1

    @override
    def initial(self) -> Water:
        return Water()

    @override
    def apply(self, state: Water, event: Event, record: Record) -> None:
        state.total += 1


def rain(millimetres: int, place: str = "hill") -> Rained:
    return Rained(place=place, millimetres=millimetres)


def bought(trade_id: str, quantity: int = 1, price: int = 50, symbol: str = "ESZ5") -> TradeExecuted:
    return TradeExecuted(
        trade_id=trade_id, symbol=symbol, side=Side.BUY, quantity=Decimal(quantity), price=Decimal(price)
    )


def submitted(quantity: int = 10, symbol: str = "ESZ5") -> OrderSubmitted:
    return OrderSubmitted(symbol=symbol, side=Side.BUY, quantity=Decimal(quantity))


def filled(trade_id: str, quantity: int = 1, price: int = 50, symbol: str = "ESZ5") -> OrderFilled:
    return OrderFilled(
        trade_id=trade_id, symbol=symbol, side=Side.BUY, quantity=Decimal(quantity), price=Decimal(price)
    )


def in_thread(work: Callable[[], None]) -> Callable[[], None]:
    """Start work in a thread; return a function that joins it and raises what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again where the thread is joined
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def join() -> None:
        thread.join(60)
        assert not thread.is_alive()
        if raised:
            raise raised[0]

    return join


def snapshots_file(directory: Path, log: str = "main") -> Path:
    """Return the default path of a store's cuts."""
    return directory / log / "snapshots.sqlite"
