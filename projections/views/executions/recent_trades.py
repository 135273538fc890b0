"""The account's recent trades by id: to recognize repeated reports, and to find what a later event names."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec.structs import replace

from projections.on_demand import ON_DEMAND
from projections.views.executions.items import Item

RECENT_MAX = 2_000
NONE: tuple[Item, ...] = ()


class RecentTrades(msgspec.Struct):
    """The account's last 2,000 trades by trade id; several may have one id, in the order of their first reports.

    They are kept in two generations, the older of which is dropped as a whole, so that nothing is evicted one by one;
    `ordinal` decides which are still known. `limit` is the number of trades, `count` how many there ever were, and
    `full_count` what that is when the newer generation is full.
    """

    newer: Annotated[dict[str, tuple[Item, ...]], ON_DEMAND] = {}
    older: Annotated[dict[str, tuple[Item, ...]], ON_DEMAND] = {}
    count: int = 0
    limit: int = RECENT_MAX
    full_count: int = RECENT_MAX

    def add(self, trade_id: str, item: Item, known: tuple[Item, ...]) -> None:
        """Remember a new trade beside the known ones of its id; its ordinal is the count with it."""
        self.count += 1
        newer = self.newer
        # By trades, not by ids: an id that thousands of trades share would keep them all, again and again.
        if self.count > self.full_count:
            self.older, self.newer, self.full_count = newer, {}, self.count + self.limit - 1
            newer = self.newer
        newer[trade_id] = (*known, item) if known else (item,)

    def find(self, trade_id: str) -> tuple[Item, ...]:
        """Return the known trades of an id."""
        items = self.newer.get(trade_id) or self.older.get(trade_id)
        if items is None:
            return NONE
        oldest = self.count - self.limit
        if items[0].ordinal > oldest:
            return items
        return tuple([item for item in items if item.ordinal > oldest])

    def current(self, item: Item) -> Item:
        """Return a trade as it is now, or as it is given where it is not known any more."""
        return next((each for each in self.find(item.trade_id or "") if each.number == item.number), item)

    def put(self, item: Item) -> None:
        """Replace a known trade by its changed self."""
        for generation in (self.newer, self.older):
            known = generation.get(item.trade_id or "")
            if known is not None:
                generation[item.trade_id or ""] = tuple(
                    [item if each.number == item.number else each for each in known]
                )

    def rename(self, name: tuple[str, str], symbol: str) -> None:
        """Let the trades of a symbol and side stand under another symbol."""
        for generation in (self.newer, self.older):
            for trade_id, items in generation.items():
                if any((each.symbol, each.side) == name for each in items):
                    generation[trade_id] = tuple(
                        [replace(each, symbol=symbol) if (each.symbol, each.side) == name else each for each in items]
                    )

    def remove(self, item: Item) -> None:
        """Forget a trade that is another one."""
        for generation in (self.newer, self.older):
            known = generation.get(item.trade_id or "")
            if known is not None:
                left = tuple([each for each in known if each.number != item.number])
                if left:
                    generation[item.trade_id or ""] = left
                else:
                    del generation[item.trade_id or ""]

    def all(self) -> list[Item]:
        """Return the known trades."""
        oldest = self.count - self.limit
        known = {item.number: item for each in (self.older, self.newer) for items in each.values() for item in items}
        return [item for item in known.values() if item.ordinal > oldest]

    def shared_ids(self) -> list[tuple[Item, ...]]:
        """Return the known trades of each id that several have, in the order of their first reports."""
        known = {trade_id: self.find(trade_id) for trade_id in (*self.older, *self.newer)}
        return sorted((items for items in known.values() if len(items) > 1), key=lambda items: items[0].log_position)
