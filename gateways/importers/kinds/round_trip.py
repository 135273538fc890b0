"""One row per closed round trip: an entry and its exit."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from eventstore.trading import Side, TradeExecuted
from gateways.importers.kinds.execution import MadeIds, before_fees
from gateways.importers.kinds.protocol import EachRow, planned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateways.importers.base import PlannedEvent, TableRow
    from gateways.importers.cells import Cells

_EXITS = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}


class RoundTripRows(EachRow):
    """A row becomes two TradeExecuted, in `trade/ACCOUNT/ID-entry` and `trade/ACCOUNT/ID-exit`.

    The costs, which are those of the whole trip, and the file's own profit and loss are members of the exit. Entry and
    exit belong together by their row, in whatever order trips overlap.
    """

    compares: ClassVar[str | None] = "round trip"

    def __init__(self, cells: Cells) -> None:
        super().__init__(cells)
        self._made = MadeIds()

    def plan(self, row: TableRow) -> Sequence[PlannedEvent]:
        cells = self.cells
        account = cells.account(row)
        entered, exited = cells.time(row, "entry_time"), cells.time(row, "exit_time")
        contract = cells.contract(row, entered)
        side, size = cells.side(row), cells.positive(row, "quantity")
        if exited < entered:
            cells.refuse(row, "exit_time", f"is before {cells.label('entry_time')}")
        entry_price, exit_price = cells.decimal(row, "entry_price"), cells.decimal(row, "exit_price")
        figures = (account, contract.symbol, side, size, entry_price, exit_price, entered, exited)
        trip = cells.identity(row, "trade_id")
        if trip is None:
            # One empty cell among ids: the same trip may be in another export with its id.
            trip = cells.text(row, "trade_id") if cells.has("trade_id") else self._made.of(*figures)
        fee, currency = cells.fee(row)
        reported, day = cells.pnl(row), cells.trading_day(row)
        entry = TradeExecuted(
            trade_id=f"{trip}-entry",
            symbol=contract.symbol,
            side=side,
            quantity=size,
            price=entry_price,
            trading_day=day,
        )
        exit_ = TradeExecuted(
            trade_id=f"{trip}-exit",
            symbol=contract.symbol,
            side=_EXITS[side],
            quantity=size,
            price=exit_price,
            fee=fee,
            fee_currency=currency or contract.currency,
            reported_pnl=before_fees(cells, reported, fee),
            trading_day=day,
        )
        opened, closed = ((("trade", account, each.trade_id), each) for each in (entry, exit_))
        return (
            planned(row, *opened, f"{self.prefix}{entry.trade_id}", entered),
            planned(row, *closed, f"{self.prefix}{exit_.trade_id}", exited, reported=reported),
        )
