"""What is remembered of an account's recent trades, to recognize duplicates and to find what a later event names."""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

import msgspec

from eventstore.streams import SEPARATOR
from eventstore.trading import FeeCharged, OrderFilled, TradeBusted, TradeCorrected, TradeExecuted

RECENT_MAX = 1_000

TradeEvent = OrderFilled | TradeExecuted
AboutTrade = FeeCharged | TradeBusted | TradeCorrected
"""The events that change a trade, which may stand in another stream than the trade itself."""


class Remembered(Protocol):
    """What a view remembers of a trade."""

    @property
    def symbol(self) -> str: ...


V = TypeVar("V")
R = TypeVar("R", bound=Remembered)


class TwoGenerationCache(msgspec.Struct, Generic[V]):
    """The last 1,000 to 2,000 keys with their values: two generations, the older of which is dropped as a whole.

    Dropping a whole generation keeps `put` cheap: nothing is moved or evicted one by one.
    """

    newer: dict[str, V] = {}
    older: dict[str, V] = {}

    def put(self, key: str, value: V, most: int | None = None) -> None:
        if len(self.newer) >= (most or RECENT_MAX):
            self.older = self.newer
            self.newer = {}
        self.newer[key] = value

    def get(self, key: str) -> V | None:
        value = self.newer.get(key)
        return self.older.get(key) if value is None else value

    def ending_with(self, suffix: str) -> Iterator[tuple[str, V]]:
        """Yield the keys with this ending and their values, newest first."""
        for generation in (self.newer, self.older):
            for key, value in reversed(generation.items()):
                if key.endswith(suffix):
                    yield key, value


def find_trade(recent: TwoGenerationCache[R], event: AboutTrade, stream: str) -> tuple[str, R | None]:
    """Return the trade that an event is about, and its key: the one of this stream, else the newest with its id.

    If the event names a symbol, a trade of another stream must have it.
    """
    key = stream + SEPARATOR + event.trade_id
    trade = recent.get(key)
    if trade is None:
        for other, found in recent.ending_with(SEPARATOR + event.trade_id):
            if event.symbol in {None, found.symbol}:
                return other, found
    return key, trade
