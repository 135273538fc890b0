"""The same executions in another file: which of a file's the log has from elsewhere, and how they are counted once."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec.structs import replace

from eventstore.clock import NANOSECONDS
from eventstore.errors import InvalidEvent
from eventstore.ids import keyed_id
from eventstore.record import Record
from eventstore.streams import account_of
from eventstore.trading import (
    FeeCharged,
    OrderFilled,
    OrderReported,
    OrderStatus,
    OrderSubmitted,
    Side,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from gateways.importers.base import BadRow, PlannedEvent
from gateways.importers.granularity import DAY, MINUTE, Granularity
from gateways.importers.kinds.execution import is_made
from gateways.importers.notes import is_of_format
from gateways.importers.rewritten import rewritten_executions
from projections.decimals import ZERO
from projections.execution_matching import WINDOW_NS, ComparedExecution, Match, compared, kind_of_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import tzinfo
    from decimal import Decimal

    from eventstore.store import EventStore
    from gateways.importers.contract_names import ContractNames

_TYPES = (OrderFilled, TradeExecuted, TradeCorrected, TradeBusted, FeeCharged)
_KINDS_MAX = 1_000
_Group = tuple[str, object, Side]
Origin = TypeVar("Origin", PlannedEvent, Record)


class KnownElsewhere(InvalidEvent):
    """Executions of a file are in the log from another source.

    `count` is their number, `file` and `line` are those of the first, `position` is where the log has it.
    """

    def __init__(self, file: str, line: int, count: int, record: Record) -> None:
        self.file, self.line, self.count, self.position = file, line, count, record.position
        source = f" ({record.note})" if record.note else ""
        super().__init__(
            f"{file}, line {line}: the log has this execution from another source, at position {record.position}"
            f"{source}, and {count:,} of the file's in all. To count them once, pass --alongside (in Python "
            "alongside=True)"
        )


class Alongside(msgspec.Struct, frozen=True):
    """What of a file's executions the log has from elsewhere.

    `matches` are executions of the file with those of the log that are the same. `doubtful` are those of the file that
    happened in the same second as others of the log, of the same contract and side, which are not the same. `fees` are
    the ids of the fees that the log has apart from their executions, by account and trade id. Times were compared to
    the `unit`, in ns.
    """

    matches: tuple[Match[PlannedEvent, Record], ...] = ()
    doubtful: tuple[tuple[PlannedEvent, Record], ...] = ()
    fees: Mapping[tuple[str, str], frozenset[bytes]] = {}
    unit: int = NANOSECONDS

    @property
    def count(self) -> int:
        """The number of the file's executions that the log has."""
        return sum(len(match.fresh) for match in self.matches)

    def refuse(self, file: str) -> None:
        """Raise KnownElsewhere if there are any."""
        if self.matches:
            first = min(self.matches, key=lambda match: match.fresh[0].origin.line)
            raise KnownElsewhere(file, first.fresh[0].origin.line, self.count, first.known[0].origin)

    def refuse_doubtful(self, file: str) -> None:
        """Raise BadRow for an execution that may be in the log in part, so that it cannot be counted once."""
        name = {MINUTE: "minute", DAY: "day"}.get(self.unit, "second")
        for item, record in self.doubtful if self.matches else ():
            why = (
                f"may be the same as the execution at position {record.position}, or a part of it: both happened in "
                f"one {name}, and neither quantity nor price is the other's. Leave out one of the two files"
            )
            raise BadRow(file, item.line, "", "", why)


def known_executions(
    store: EventStore,
    planned: Iterable[PlannedEvent],
    names: ContractNames,
    format: str,
    zone: tzinfo | None = UTC,
) -> Alongside:
    """Return which executions of a plan the log has from elsewhere: another format, or ids of another kind.

    They are found by account, contract, side, quantity, price and time to the second; to the minute where all times of
    the plan, or all of the log's, are whole minutes, and to the day where they are midnights of `zone`. One at an
    average price is the same as several that add up to it; several in one second at one price are the same as one of
    their sum, or a part of it. `planned` is read twice.
    """
    extent = _Extent(format, zone)
    for item in planned:
        extent.take(item)
    log = _LoggedExecutions(names, extent)
    for account in extent.times:
        for record in store.read(account=account, types=_TYPES):
            log.take(account, record)
    known = log.executions()
    matches, doubtful = list(rewritten_executions(store, planned, names, format)), []
    if not known:
        return Alongside(tuple(matches), fees=log.fees())
    fresh = _fresh(store, planned, log, known)
    for group, executions in fresh.items():
        if log.unit == DAY:
            found, doubts = _compared_by_day(executions, known[group], extent.granularity)
        else:
            found, doubts = compared(executions, known[group])
        matches += found
        doubtful += [(one.origin, another.origin) for one, another in doubts]
    return Alongside(tuple(matches), tuple(doubtful), log.fees(), log.unit)


def _compared_by_day(
    fresh: Sequence[ComparedExecution[PlannedEvent]],
    known: Sequence[ComparedExecution[Record]],
    of_file: Granularity,
) -> tuple[list[Match[PlannedEvent, Record]], list[tuple[ComparedExecution[PlannedEvent], ComparedExecution[Record]]]]:
    """Compare executions of dates; of an evening, those that have no times may state the next trading day."""
    later = DAY if of_file.unit == DAY else -DAY
    matches, doubts = compared(fresh, known)
    ours = {each.number for match in matches for each in match.fresh}
    theirs = {each.number for match in matches for each in match.known}
    found, more = compared(
        [each for each in fresh if each.number not in ours],
        [each._replace(at=each.at + later) for each in known if each.number not in theirs],
    )
    ours = {each.number for match in found for each in match.fresh}
    theirs = {each.number for match in found for each in match.known}
    left = [each for each in doubts if each[0].number not in ours and each[1].number not in theirs]
    return matches + found, left + more


def _fresh(
    store: EventStore,
    planned: Iterable[PlannedEvent],
    log: _LoggedExecutions,
    known: dict[_Group, list[ComparedExecution[Record]]],
) -> dict[_Group, list[ComparedExecution[PlannedEvent]]]:
    """Return the executions of a plan that the log lacks; what it has by their own ids is not from elsewhere."""
    fresh: defaultdict[_Group, list[ComparedExecution[PlannedEvent]]] = defaultdict(list)
    own = set()
    for number, item in enumerate(planned):
        group = _group_of(item.stream, item.event, log.names)
        if group is None or group not in known or not log.is_near(group, log.cut(item.occurred_at)):
            continue
        found = store.find(keyed_id(item.stream, item.key))
        if found is None:
            fresh[group].append(_execution(number, log.cut(item.occurred_at), item.event, item))
        else:
            own.add(found.position)
    for group, executions in known.items():
        known[group] = [each for each in executions if each.number not in own]
    return fresh


def counted_once(planned: Iterable[PlannedEvent], alongside: Alongside) -> Iterator[PlannedEvent]:
    """Yield a plan's events without the executions that the log has, each of which is counted once.

    What such an execution cost is charged to that of the log, if the log has no costs for it. An order of the file that
    it filled is reported as filled, which makes no execution.
    """
    known = {(one.origin.stream, one.origin.key): match for match in alongside.matches for one in match.fresh}
    orders: dict[str, Decimal] = {}
    for item in planned:
        match = known.get((item.stream, item.key))
        if match is None:
            if isinstance(item.event, OrderSubmitted):
                orders[item.stream] = item.event.quantity
            yield item
            continue
        if item.stream in orders:
            orders[item.stream] -= _quantity(item.event)
            status = OrderStatus.PARTIALLY_FILLED if orders[item.stream] > 0 else OrderStatus.FILLED
            yield replace(item, event=OrderReported(status=status), key=f"{item.key}:alongside", reported=None)
        fee = _fee_of(item, match, alongside)
        if fee is not None:
            yield fee


def _fee_of(item: PlannedEvent, match: Match[PlannedEvent, Record], alongside: Alongside) -> PlannedEvent | None:
    """Return what a known execution cost by the file, if the log has no costs of it from elsewhere."""
    event, record = item.event, match.known[0].origin
    if not isinstance(event, OrderFilled | TradeExecuted) or not event.fee:
        return None
    account = account_of(item.stream)
    ours = {keyed_id(record.stream, _fee_key(one.origin)) for one in match.fresh}
    for each in match.known:
        has_fee = isinstance(each.origin.event, OrderFilled | TradeExecuted) and each.origin.event.fee
        if has_fee or alongside.fees.get((account, each.trade_id), frozenset()) - ours:
            return None
    charged = FeeCharged(
        trade_id=match.known[0].trade_id, amount=event.fee, currency=event.fee_currency, symbol=event.symbol
    )
    return PlannedEvent(record.stream, charged, _fee_key(item), item.occurred_at, item.line)


def _fee_key(item: PlannedEvent) -> str:
    return f"alongside {keyed_id(item.stream, item.key).hex()}"


class _Extent:
    """The accounts of a plan's executions with their first and last time, and the kinds of its trade ids."""

    def __init__(self, format: str, zone: tzinfo | None) -> None:
        self.format, self.granularity = format, Granularity(zone)
        self.times: dict[str, tuple[int, int]] = {}
        self.kinds: set[str] = set()

    def take(self, item: PlannedEvent) -> None:
        if isinstance(item.event, OrderFilled | TradeExecuted):
            account = account_of(item.stream)
            self.granularity.take(item.occurred_at)
            first, last = self.times.get(account, (item.occurred_at, item.occurred_at))
            self.times[account] = (min(first, item.occurred_at), max(last, item.occurred_at))
            if len(self.kinds) < _KINDS_MAX:
                self.kinds.add(_kind(item.event.trade_id))

    def has_source_of(self, record: Record, trade_id: str) -> bool:
        """Return whether a record is from the plan's source: then other ids are other executions."""
        return is_of_format(record, self.format) and _kind(trade_id) in self.kinds


class _LoggedExecutions:
    """The executions of the log that a plan may have again, as they are now: corrected ones as corrected."""

    def __init__(self, names: ContractNames, extent: _Extent) -> None:
        self.names, self._extent = names, extent
        self._granularity = Granularity(extent.granularity.zone)
        self._found: dict[tuple[object, ...], tuple[_Group, ComparedExecution[Record]]] = {}
        self._changes: defaultdict[tuple[str, str], list[TradeCorrected | TradeBusted]] = defaultdict(list)
        self._fees: defaultdict[tuple[str, str], set[bytes]] = defaultdict(set)
        self._times: dict[_Group, tuple[int, int]] = {}

    @property
    def unit(self) -> int:
        """To what times are compared."""
        return self._coarser.unit

    def cut(self, at: int) -> int:
        """Return a time as exactly as both the plan and the log have them."""
        return self._coarser.cut(at)

    @functools.cached_property
    def _coarser(self) -> Granularity:
        return max(self._extent.granularity, self._granularity, key=lambda each: each.unit)

    def take(self, account: str, record: Record) -> None:
        first, last = self._extent.times[account]
        if (
            record.type in {"OrderFilled", "TradeExecuted"}
            and not first - WINDOW_NS <= record.occurred_at <= last + WINDOW_NS
        ):
            return
        match event := record.event:
            case OrderFilled() | TradeExecuted():
                self._take_execution(record, event)
            case TradeCorrected() | TradeBusted():
                self._changes[account, event.trade_id].append(event)
            case FeeCharged():
                self._fees[account, event.trade_id].add(record.id)
            case _:
                pass

    def _take_execution(self, record: Record, event: OrderFilled | TradeExecuted) -> None:
        group = _group_of(record.stream, event, self.names)
        if group is None or self._extent.has_source_of(record, event.trade_id):
            return
        execution = _execution(record.position, record.occurred_at, event, record)
        self._granularity.take(record.occurred_at)
        # Reported in two streams, it is one.
        self._found.setdefault(
            (group, event.trade_id, event.quantity, event.price, execution.second), (group, execution)
        )

    def executions(self) -> dict[_Group, list[ComparedExecution[Record]]]:
        """Return the executions by account, contract and side."""
        found: defaultdict[_Group, list[ComparedExecution[Record]]] = defaultdict(list)
        for group, reported in self._found.values():
            each = self._corrected_execution(group, reported)
            if each is not None:
                each = each._replace(at=self.cut(each.at))
                found[group].append(each)
                first, last = self._times.get(group, (each.at, each.at))
                self._times[group] = (min(first, each.at), max(last, each.at))
        return found

    def _corrected_execution(
        self, group: _Group, execution: ComparedExecution[Record]
    ) -> ComparedExecution[Record] | None:
        """Return an execution as it was last corrected; None if it was undone."""
        for change in self._changes.get((group[0], execution.trade_id), ()):
            if change.symbol is not None and self.names.instrument(change.symbol) != group[1]:
                continue
            if isinstance(change, TradeBusted):
                return None
            execution = execution._replace(quantity=change.quantity, price=change.price)
        return execution

    def is_near(self, group: _Group, at: int) -> bool:
        """Return whether a time is near those of a group's executions."""
        first, last = self._times[group]
        return first - WINDOW_NS <= at <= last + WINDOW_NS

    def fees(self) -> dict[tuple[str, str], frozenset[bytes]]:
        """Return the ids of fees by account and trade id."""
        return {name: frozenset(ids) for name, ids in self._fees.items()}


def _group_of(stream: str, event: object, names: ContractNames) -> _Group | None:
    if not isinstance(event, OrderFilled | TradeExecuted):
        return None
    return account_of(stream), names.instrument(event.symbol), event.side


def _execution(number: int, at: int, event: object, origin: Origin) -> ComparedExecution[Origin]:
    assert isinstance(event, OrderFilled | TradeExecuted), event  # it is of a group
    return ComparedExecution(number, at, event.quantity, event.price, event.trade_id, origin)


def _quantity(event: object) -> Decimal:
    return event.quantity if isinstance(event, OrderFilled | TradeExecuted) else ZERO


def _kind(trade_id: str) -> str:
    return "made" if is_made(trade_id) else kind_of_id(trade_id)
