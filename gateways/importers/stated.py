"""A broker's file as what it states: its planned events as values that are compared with a log."""

from __future__ import annotations

import hashlib
from datetime import UTC, time
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from eventstore.errors import InvalidEvent
from eventstore.streams import account_of, unescaped
from eventstore.trading import (
    AccountUpdated,
    CashKind,
    CashMoved,
    OrderFilled,
    OrderReported,
    PositionReported,
    TradeExecuted,
)
from gateways.importers.base import TableReader
from gateways.importers.cells import fee_columns
from gateways.importers.granularity import DAY, Granularity, date_of, local, zone_in
from gateways.importers.kinds.execution import is_made
from gateways.importers.mapped import REPEATED, MappedReader
from gateways.importers.mapping import KindOfRow
from projections.auditing import Stated, StatedCash, StatedExecution, StatedPosition
from projections.views.cash import received

if TYPE_CHECKING:
    from datetime import date, tzinfo
    from pathlib import Path

    from eventstore.events import Event
    from gateways.importers.base import PlannedEvent
    from gateways.importers.plan import FilePlan

_CLOSED = frozenset({KindOfRow.ROUND_TRIP, KindOfRow.MATCHED_PAIR})
_EXECUTIONS = _CLOSED | {KindOfRow.EXECUTION, KindOfRow.ORDER}
_EXIT = "-exit"
R = TypeVar("R", StatedCash, StatedPosition)
_REPORTS: dict[type[Event], str] = {AccountUpdated: "balances", OrderReported: "the status of orders"}


def stated_of(plan: FilePlan) -> Stated:
    """Return what a file that was read states; raise InvalidEvent for one that is of a market, not of accounts."""
    reader = plan.reader
    if reader.is_of_market:
        msg = f"{reader.file} has the orders of a market: a statement is a broker's, of an account"
        raise InvalidEvent(msg)
    found = _Rows(plan)
    for item in plan.items:
        found.take(item)
    return found.stated()


class _Rows:
    """What the events of a file state, gathered one by one."""

    def __init__(self, plan: FilePlan) -> None:
        self._plan, reader = plan, plan.reader
        self._kinds = {KindOfRow.EXECUTION}
        self._zone = zone_in(reader)
        self._cash_kinds: frozenset[CashKind] = frozenset()
        self._days_alone: frozenset[KindOfRow] = frozenset()
        self._has_fees = isinstance(reader, TableReader) and "commission" in reader.columns
        if isinstance(reader, MappedReader):
            self._take_mapping(reader)
        self._executions: list[StatedExecution] = []
        self._cash: list[StatedCash] = []
        self._positions: list[StatedPosition] = []
        self._reports: set[str] = set()

    def _take_mapping(self, reader: MappedReader) -> None:
        parts = [(part.mapping, part.table.columns) for part in reader.parts]
        self._kinds = {mapping.rows.kind for mapping, _ in parts} & _EXECUTIONS
        executions = [(mapping, columns) for mapping, columns in parts if mapping.rows.kind in _EXECUTIONS]
        self._has_fees = any(fee_columns(mapping, columns) for mapping, columns in executions)
        cash = [mapping.cash for mapping, _ in parts if mapping.rows.kind is KindOfRow.CASH]
        named = {name for each in cash for name in (*each.kinds, each.kind) if name}
        self._cash_kinds = frozenset(CashKind(name.upper()) for name in named)
        kinds = {part.mapping.rows.kind for part in reader.parts}
        self._days_alone = frozenset(kinds - {part.mapping.rows.kind for part in reader.parts if not part.only_days})

    def take(self, item: PlannedEvent) -> None:
        """Take what an event of a row says."""
        match item.event:
            case OrderFilled() | TradeExecuted():
                self._executions.append(self._execution(item, item.event))
            case CashMoved() as event:
                self._cash.append(
                    StatedCash(
                        line=item.line,
                        account=account_of(item.stream),
                        amount=received(event),
                        currency=event.currency,
                        kind=event.kind,
                        at=item.occurred_at,
                        reference=event.reference,
                    )
                )
            case PositionReported() as event:
                self._positions.append(
                    StatedPosition(
                        line=item.line,
                        account=account_of(item.stream),
                        symbol=event.symbol,
                        quantity=event.quantity,
                        at=item.occurred_at,
                        side=event.position_side,
                    )
                )
            case _:
                name = _REPORTS.get(type(item.event))
                self._reports |= set() if name is None else {name}

    def _execution(self, item: PlannedEvent, event: OrderFilled | TradeExecuted) -> StatedExecution:
        category, account, entity = item.stream.split("/")
        is_order = self._kinds == {KindOfRow.ORDER}
        order_id = unescaped(entity) if category == "order" else getattr(event, "broker_order_id", None)
        is_trip = KindOfRow.ROUND_TRIP in self._kinds and len(self._kinds) == 1
        closes = event.reported_pnl is not None or event.trade_id.endswith(_EXIT)
        return StatedExecution(
            line=item.line,
            account=account,
            symbol=event.symbol,
            side=event.side,
            quantity=event.quantity,
            price=event.price,
            at=item.occurred_at,
            trade_id=None if is_order or is_made(event.trade_id) else event.trade_id,
            order_id=order_id,
            fee=event.fee,
            fee_currency=event.fee_currency,
            pnl=event.reported_pnl,
            trading_day=event.trading_day,
            is_order=is_order,
            trip=item.line if is_trip else None,
            closes=closes or not self._kinds <= _CLOSED,
        )

    def stated(self) -> Stated:
        """Return what the whole file states."""
        plan, reader, executions = self._plan, self._plan.reader, self._executions
        within = Granularity(self._zone, [each.at for each in executions]).unit
        if within == DAY:
            executions = [_on_its_date(each, self._zone) for each in executions]
        if isinstance(reader, MappedReader) and reader.after_fees and self._kinds == {KindOfRow.MATCHED_PAIR}:
            executions = [replace(each, pnl=None) for each in executions]
        cash = [self._on_its_day(each, KindOfRow.CASH, within) for each in self._cash]
        positions = [self._on_its_day(each, KindOfRow.SNAPSHOT, within) for each in self._positions]
        return Stated(
            source=f"{reader.path.name.encode('utf-8', 'replace').decode()} ({reader.format})",
            digest=_digest(reader.path),
            executions=tuple(executions),
            cash=tuple(cash),
            positions=tuple(positions),
            has_executions=bool(self._kinds),
            has_fees=self._has_fees,
            cash_kinds=self._cash_kinds,
            closed_only=bool(self._kinds) and self._kinds <= _CLOSED,
            within_ns=within,
            left_out=len(plan.left_out),
            repeated=plan.repeated + reader.ignored.get(REPEATED, 0),
            not_compared=tuple(f"{name}: only eventstore reconcile compares them" for name in sorted(self._reports)),
        )

    def _on_its_day(self, row: R, kind: KindOfRow, within: int) -> R:
        """Return a row as one of a day, if its time is a date alone: by its text, or by its midnight as all others."""
        if self._zone is None:
            return row
        moment = local(row.at, self._zone)
        is_day = kind in self._days_alone or (within == DAY and moment.time() == time(0))
        return replace(row, trading_day=moment.date()) if is_day else row


def _on_its_date(execution: StatedExecution, zone: tzinfo | None) -> StatedExecution:
    """Return an execution whose trading day is its date, unless the row says another one."""
    day: date = execution.trading_day or date_of(execution.at, zone or UTC)
    return replace(execution, trading_day=day)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
