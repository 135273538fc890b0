"""Fills of a strategy's orders at the next price of given bars; nothing of a market is simulated beyond that.

A market order is filled at the open of the symbol's next bar; a limit order once a bar touches its limit, at the limit
or a better open; a stop order once a bar touches its stop, at the stop or a worse open. Each is filled whole. A stop
limit order that was touched is a limit order from the next bar on. The next bar is the first one that begins no earlier
than the order was sent: the prices of one that had begun are partly of the time before. Fees are none, since no bar
says them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.streams import stream_of
from eventstore.trading import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRequested,
    OrderFilled,
    OrderReplaced,
    OrderReplaceRequested,
    OrderSubmitted,
    OrderTriggered,
    OrderType,
    Side,
)
from projections.views.orders.order import CLOSED

if TYPE_CHECKING:
    from decimal import Decimal

    from eventstore import Event, Record
    from projections.analysis.replay.bars import Bar
    from projections.book import Book
    from projections.views.orders.order import Order

ACTOR = "replay:fills"
NOTE = "filled by the replay at the next price of the given bars, not by a market"
_NOTES = {
    OrderType.MARKET: "market order at the next open",
    OrderType.LIMIT: "limit order at its limit or a better open",
    OrderType.STOP: "stop order at its stop or a worse open",
    OrderType.STOP_LIMIT: "stop limit order at its limit or a better open, after its stop",
}


class NextPriceFills:
    """Answers the orders that are submitted in a replay, in place of a broker."""

    def __init__(self, book: Book) -> None:
        self.filled = 0
        self._book = book
        self._working: dict[tuple[str, str], tuple[str, int]] = {}
        """The symbol and the time of each order that works, by account and order id, in the order of submission."""
        self._triggered: set[tuple[str, str]] = set()

    @property
    def working(self) -> int:
        """How many orders wait for a price."""
        return len(self._working)

    def answer(self, record: Record, event: Event) -> None:
        """Answer what the strategy has asked for."""
        key = (record.account, record.entity.replace("%2F", "/"))
        match event:
            case OrderSubmitted():
                self._working[key] = (event.symbol, self._book.now_ns())
                self._append(key, OrderAccepted(broker_order_id=f"replay-{record.position}"))
            case OrderCancelRequested() if key in self._working:
                self._append(key, OrderCanceled(reason=event.reason))
                del self._working[key]
            case OrderReplaceRequested() if key in self._working:
                replaced = OrderReplaced(
                    quantity=event.quantity, limit_price=event.limit_price, stop_price=event.stop_price
                )
                # At its new terms it is a new order for the bars.
                self._working[key] = (self._working.pop(key)[0], self._book.now_ns())
                self._append(key, replaced)
            case _:
                pass

    def fill(self, bar: Bar) -> None:
        """Fill the working orders in a bar's symbol whose price it has."""
        contract = self._book.contracts.find(bar.symbol)
        names = {bar.symbol} if contract is None else {bar.symbol, contract.symbol}
        for key, (symbol, sent_at) in list(self._working.items()):
            if symbol not in names or bar.began_at is None or sent_at > bar.began_at:
                continue
            order = self._book.orders.get(*key)
            if order is None or order.status in CLOSED or not order.leaves:
                del self._working[key]
                continue
            price = self._price(key, order, bar)
            if price is not None:
                self._fill(key, order, price)

    def _price(self, key: tuple[str, str], order: Order, bar: Bar) -> Decimal | None:
        """Return at which price of a bar an order is filled, None if it is not."""
        is_buy, kind = order.side is Side.BUY, order.order_type or OrderType.MARKET
        limit, stop = order.limit_price, order.stop_price
        if kind is OrderType.MARKET:
            return bar.open
        if kind is OrderType.STOP and stop is not None:
            return _worse(stop, bar.open, is_buy=is_buy) if _is_touched(stop, bar, is_buy=not is_buy) else None
        if kind is OrderType.STOP_LIMIT and stop is not None and key not in self._triggered:
            if _is_touched(stop, bar, is_buy=not is_buy):
                self._triggered.add(key)
                self._append(key, OrderTriggered())
            return None
        if kind in {OrderType.LIMIT, OrderType.STOP_LIMIT} and limit is not None:
            return _better(limit, bar.open, is_buy=is_buy) if _is_touched(limit, bar, is_buy=is_buy) else None
        # What has no price to compare, or is of another type, waits: a price for it would be made up.
        return None

    def _fill(self, key: tuple[str, str], order: Order, price: Decimal) -> None:
        if order.symbol is None or order.side is None or order.leaves is None:
            return
        self.filled += 1
        filled = OrderFilled(
            trade_id=f"replay-{self.filled}",
            symbol=order.symbol,
            side=order.side,
            quantity=order.leaves,
            price=price,
            position_side=order.position_side,
        )
        del self._working[key]
        kind = _NOTES[order.order_type or OrderType.MARKET]
        self._append(key, filled, f"{kind}: {NOTE}")

    def _append(self, key: tuple[str, str], event: Event, note: str = "") -> None:
        self._book.append(stream_of("order", *key), event, actor=ACTOR, note=note)


def _is_touched(price: Decimal, bar: Bar, *, is_buy: bool) -> bool:
    """Return whether a bar reaches a price at which one buys, from above, or sells, from below."""
    return bar.low <= price if is_buy else bar.high >= price


def _better(price: Decimal, at_open: Decimal, *, is_buy: bool) -> Decimal:
    return min(price, at_open) if is_buy else max(price, at_open)


def _worse(price: Decimal, at_open: Decimal, *, is_buy: bool) -> Decimal:
    return max(price, at_open) if is_buy else min(price, at_open)
