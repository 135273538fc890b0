"""One row per thing that a broker or a bot says it holds: a report beside our records, never an execution."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from eventstore.trading import (
    AccountUpdated,
    OrderReported,
    OrderStatus,
    PairStateSaved,
    PortfolioSaved,
    PositionReported,
    Side,
)
from gateways.importers.kinds.protocol import EachRow, planned
from gateways.importers.kinds.words import OrderWords
from gateways.importers.mapping import SnapshotOf
from gateways.importers.texts import CellError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateways.importers.base import PlannedEvent, TableRow
    from gateways.importers.cells import Cells
    from gateways.importers.kinds.protocol import RowKind


class PositionRows(EachRow):
    """A row becomes PositionReported in `position/ACCOUNT/SYMBOL`."""

    key: ClassVar[str] = "position:"

    def plan(self, row: TableRow) -> Sequence[PlannedEvent]:
        cells = self.cells
        account, at = cells.account(row), cells.time(row, "time")
        contract, quantity = cells.contract(row, at), cells.decimal(row, "quantity")
        if quantity and cells.has("side") and cells.side(row) is Side.SELL:
            quantity = -abs(quantity)
        event = PositionReported(
            symbol=contract.symbol, quantity=quantity, average_price=cells.optional_decimal(row, "average_price")
        )
        return (planned(row, ("position", account, contract.symbol), event, f"{self.prefix}{at}", at),)


class BalanceRows(EachRow):
    """A row becomes AccountUpdated in `account/ACCOUNT/-`."""

    key: ClassVar[str] = "balance:"

    def plan(self, row: TableRow) -> Sequence[PlannedEvent]:
        cells = self.cells
        account, at = cells.account(row), cells.time(row, "time")
        currency = cells.optional(row, "currency")
        event = AccountUpdated(
            balance=cells.decimal(row, "balance"),
            available=cells.optional_decimal(row, "available"),
            frozen=cells.optional_decimal(row, "frozen"),
            margin=cells.optional_decimal(row, "margin"),
            currency=currency,
        )
        return (planned(row, ("account", account, "-"), event, f"{self.prefix}{currency or ''}:{at}", at),)


class ReportedOrderRows(EachRow):
    """A row becomes OrderReported in `order/ACCOUNT/ID`; a status of no known word is UNKNOWN, with the word kept."""

    key: ClassVar[str] = "reported:"

    def __init__(self, cells: Cells) -> None:
        super().__init__(cells)
        self._words = OrderWords(cells)

    def plan(self, row: TableRow) -> Sequence[PlannedEvent]:
        cells = self.cells
        account, at = cells.account(row), cells.time(row, "time")
        order_id = cells.identity(row, "order_id") or cells.text(row, "order_id")
        raw = cells.text(row, "status")
        event = OrderReported(
            status=self._words.statuses.get(raw.casefold(), OrderStatus.UNKNOWN),
            raw_status=raw,
            broker_order_id=cells.optional(row, "broker_order_id"),
            symbol=cells.contract(row, at).symbol if cells.optional(row, "symbol") is not None else None,
            side=cells.side(row) if cells.optional(row, "side") is not None else None,
            order_type=self._words.order_type(row),
            quantity=cells.optional_decimal(row, "quantity"),
            filled_quantity=cells.optional_decimal(row, "filled_quantity"),
            average_fill_price=cells.price(row, "average_price"),
            limit_price=cells.price(row, "limit_price"),
            stop_price=cells.price(row, "stop_price"),
            updated_at=at,
        )
        return (planned(row, ("order", account, order_id), event, f"{self.prefix}{at}", at),)


class _StateRows(EachRow):
    """The state that a strategy keeps, as JSON in one column, or as the columns that no field has."""

    key: ClassVar[str] = "state:"

    def state(self, row: TableRow) -> object:
        """Return the state of a row."""
        if self.cells.has("state"):
            return self.cells.parsed(row, "state", _from_json)
        used = self.cells.used
        return {name: row.optional(name) for name in self.cells.columns if name not in used}

    def version(self, row: TableRow) -> int:
        """Return the strategy's number for the state's form; 1 where there is none."""
        number = self.cells.optional_decimal(row, "version")
        if number is not None and number != int(number):
            self.cells.refuse(row, "version", "is not a whole number")
        return 1 if number is None else int(number)


class PairRows(_StateRows):
    """A row becomes PairStateSaved in `pair/ACCOUNT/NAME`."""

    def plan(self, row: TableRow) -> Sequence[PlannedEvent]:
        cells = self.cells
        account, at, name = cells.account(row), cells.time(row, "time"), cells.text(row, "name")
        event = PairStateSaved(state=self.state(row), version=self.version(row), pair=name)
        return (planned(row, ("pair", account, name), event, f"{self.prefix}{at}", at),)


class PortfolioRows(_StateRows):
    """A row becomes PortfolioSaved in `portfolio/ACCOUNT/NAME`."""

    def plan(self, row: TableRow) -> Sequence[PlannedEvent]:
        cells = self.cells
        account, at, name = cells.account(row), cells.time(row, "time"), cells.text(row, "name")
        event = PortfolioSaved(state=self.state(row), version=self.version(row), portfolio=name)
        return (planned(row, ("portfolio", account, name), event, f"{self.prefix}{at}", at),)


_KINDS: Mapping[SnapshotOf, type[RowKind]] = {
    SnapshotOf.POSITIONS: PositionRows,
    SnapshotOf.BALANCES: BalanceRows,
    SnapshotOf.ORDERS: ReportedOrderRows,
    SnapshotOf.PAIRS: PairRows,
    SnapshotOf.PORTFOLIOS: PortfolioRows,
}


def snapshot_of(of: SnapshotOf) -> type[RowKind]:
    """Return the class that turns the rows of a snapshot into reports."""
    return _KINDS[of]


def _from_json(text: str) -> Any:  # noqa: ANN401 - a strategy's own
    try:
        return json.loads(text)
    except ValueError as e:
        msg = f"is not JSON: {e}"
        raise CellError(msg) from e
