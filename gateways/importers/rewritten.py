"""The same rows in other words: a spreadsheet's copy of a file whose executions have no ids, 21000 as 21000.00."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from eventstore.ids import keyed_id
from eventstore.record import Record
from eventstore.streams import account_of
from eventstore.trading import OrderFilled, TradeExecuted
from gateways.importers.base import PlannedEvent
from gateways.importers.kinds.execution import is_made
from gateways.importers.notes import is_of_format
from projections.execution_matching import ComparedExecution, Match

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from eventstore.store import EventStore
    from gateways.importers.contract_names import ContractNames

_TYPES = (OrderFilled, TradeExecuted)
_Figures: TypeAlias = tuple[object, ...]
Origin = TypeVar("Origin", PlannedEvent, Record)


def rewritten_executions(
    store: EventStore, planned: Iterable[PlannedEvent], names: ContractNames, format: str
) -> Iterator[Match[PlannedEvent, Record]]:
    """Yield executions without ids that the log lacks by their texts, with those that it has by their figures.

    Only what an earlier file of the same format gave is compared, and only to the nanosecond: two executions of one
    second in two exports are two. An execution of the log that the file also has as it is written there is that one.
    """
    known = {}
    for account, extent in _extents(item for item in planned if _is_compared(item.event)).items():
        known.update(_extents(_earlier(store, account, format, extent)))
    if not known:
        return
    fresh: defaultdict[_Figures, list[PlannedEvent]] = defaultdict(list)
    for item in _within(planned, known):
        if not _is_recorded(store, item):
            fresh[_figures(item, names)].append(item)
    own: Counter[_Figures] = Counter()
    for item in _within(planned, known) if fresh else ():
        key = _figures(item, names)
        if key in fresh and _is_recorded(store, item):
            own[key] += 1
    for account, extent in known.items() if fresh else ():
        yield from _matched(_earlier(store, account, format, extent), fresh, own, names)


def _matched(
    records: Iterable[Record], fresh: dict[_Figures, list[PlannedEvent]], own: Counter[_Figures], names: ContractNames
) -> Iterator[Match[PlannedEvent, Record]]:
    for record in records:
        key = _figures(record, names)
        if own[key]:
            own[key] -= 1
        elif waiting := fresh.get(key):
            item = waiting.pop(0)
            yield Match((_compared(item.line, item),), (_compared(record.position, record),))


def _extents(of: Iterable[PlannedEvent] | Iterable[Record]) -> dict[str, tuple[int, int]]:
    """Return the first and the last time by account."""
    found: dict[str, tuple[int, int]] = {}
    for each in of:
        account, at = account_of(each.stream), each.occurred_at
        first, last = found.get(account, (at, at))
        found[account] = (min(first, at), max(last, at))
    return found


def _within(planned: Iterable[PlannedEvent], extents: Mapping[str, tuple[int, int]]) -> Iterator[PlannedEvent]:
    for item in planned:
        first, last = extents.get(account_of(item.stream), (1, 0))
        if first <= item.occurred_at <= last and _is_compared(item.event):
            yield item


def _earlier(store: EventStore, account: str, format: str, extent: tuple[int, int]) -> Iterator[Record]:
    for record in store.read(account=account, types=_TYPES):
        if is_of_format(record, format) and extent[0] <= record.occurred_at <= extent[1] and _is_compared(record.event):
            yield record


def _is_recorded(store: EventStore, item: PlannedEvent) -> bool:
    return store.find(keyed_id(item.stream, item.key)) is not None


def _is_compared(event: object) -> bool:
    return isinstance(event, OrderFilled | TradeExecuted) and is_made(event.trade_id)


def _figures(of: PlannedEvent | Record, names: ContractNames) -> _Figures:
    event = of.event
    assert isinstance(event, OrderFilled | TradeExecuted), event  # it is compared
    stream = of.stream if isinstance(event, OrderFilled) else account_of(of.stream)
    return stream, names.instrument(event.symbol), event.side, event.quantity, event.price, of.occurred_at


def _compared(number: int, origin: Origin) -> ComparedExecution[Origin]:
    event = origin.event
    assert isinstance(event, OrderFilled | TradeExecuted), event  # it is compared
    return ComparedExecution(number, origin.occurred_at, event.quantity, event.price, event.trade_id, origin)
