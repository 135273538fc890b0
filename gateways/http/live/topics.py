"""The topics of a socket: what of an account is shown, as JSON, and which part of it has changed since."""

from __future__ import annotations

import heapq
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from gateways.presenting.documents import plain
from projections.views.executions.trades import trade_of
from projections.views.executions.view import ExecutionsView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from projections import Book
    from projections.views.executions.items import Item

TRADES_SHOWN = 50
"""So many of an account's newest trades are shown; `/v1/state/trades` has all."""
WHOLE = ""
"""The only item of a topic that is shown as a whole."""
RECORDS = "records"
_encode = msgspec.json.Encoder().encode


class Items(Protocol):
    """Returns what has changed of a topic since it was shown, by item, and what is shown now."""

    def __call__(self, book: Book, account: str, shown: Mapping[str, Any]) -> tuple[dict[str, bytes], dict[str, Any]]:
        """`shown` is what the last call returned second, empty at first."""


class Topic(NamedTuple):
    """What is shown of an account: as a whole each time it changes, or by item; looked at again after `seconds`."""

    items: Items
    is_whole: bool = True
    seconds: float = 0.1
    by_time: bool = False
    """Whether it changes although nothing is recorded: it is looked at once a second in any case."""


def _whole(question: Callable[[Book, str], Any]) -> Items:
    def changed(book: Book, account: str, shown: Mapping[str, Any]) -> tuple[dict[str, bytes], dict[str, Any]]:
        found = _encode(plain(question(book, account)))
        return ({} if shown.get(WHOLE) == found else {WHOLE: found}), {WHOLE: found}

    return changed


def _orders(book: Book, account: str, shown: Mapping[str, Any]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the open orders that have changed, and those that are not open any more as they ended."""
    now = {order.order_id: order for order in book.orders.open(account)}
    changed = {id_: order for id_, order in now.items() if shown.get(id_) != order.last_position}
    for id_ in shown.keys() - now.keys():
        ended = book.orders.get(account, id_)
        if ended is not None:
            changed[id_] = ended
    positions = {id_: order.last_position for id_, order in now.items()}
    return {id_: _encode(plain(order)) for id_, order in changed.items()}, positions


def _trades(book: Book, account: str, shown: Mapping[str, Any]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return those of the newest trades that are new or stand otherwise than before: busted, corrected, with a fee."""
    recent = book.state(ExecutionsView.name, account).recent
    items = (item for generation in (recent.older, recent.newer) for found in generation.values() for item in found)
    newest = heapq.nlargest(TRADES_SHOWN, items, key=attrgetter("log_position"))
    found = {str(item.log_position): _trade(book, item) for item in reversed(newest)}
    return {key: data for key, data in found.items() if shown.get(key) != data}, dict(found)


def _trade(book: Book, item: Item) -> bytes:
    first = item.log_position
    (record,) = book.reader.read(after=first - 1, until=first, limit=1)
    return _encode(plain(trade_of(item, record.event)))


TOPICS: dict[str, Topic] = {
    "orders": Topic(_orders, is_whole=False),
    "trades": Topic(_trades, is_whole=False),
    "positions": Topic(_whole(lambda book, account: book.positions.of(account))),
    "lockouts": Topic(_whole(lambda book, account: book.lockouts.active(account, book.now_ns())), by_time=True),
    "headroom": Topic(_whole(lambda book, account: book.limits.headroom(account)), seconds=1.0, by_time=True),
}
