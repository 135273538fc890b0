"""TopstepX's export of trades: each row is a closed round trip, that is, two fills."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from eventstore.streams import stream_of
from eventstore.trading import Side, TradeExecuted
from gateways.importers.base import Options, PlannedEvent, TableReader, TableRow
from gateways.importers.topstepx import to_time, to_trading_day

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_ENTRIES = {"long": Side.BUY, "short": Side.SELL}
_EXITS = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}


class TopstepxTradesReader(TableReader):
    """`Id,ContractName,EnteredAt,ExitedAt,EntryPrice,ExitPrice,Fees,PnL,Size,Type[,TradeDay,TradeDuration,Commissions]`.

    A row becomes two TradeExecuted, in `trade/ACCOUNT/ID-entry` and `trade/ACCOUNT/ID-exit`. Fees and Commissions,
    which the export has for the whole trip, and its PnL, which is before both, are members of the exit.
    """

    format = "topstepx-trades"
    takes = frozenset({"contracts"})
    compares: ClassVar[str | None] = "round trip"
    required = (
        *("Id", "ContractName", "EnteredAt", "ExitedAt", "EntryPrice"),
        *("ExitPrice", "Fees", "PnL", "Size", "Type"),
    )

    def __init__(self, path: Path, options: Options) -> None:
        super().__init__(path, options)
        self._account = self.required_option("account", options.account)

    def plan(self, row: TableRow) -> Sequence[PlannedEvent]:
        contract = self.contract(row, "ContractName")
        side = row.choice("Type", _ENTRIES)
        trip, size = row.text("Id"), row.positive("Size")
        entered, exited = row.parsed("EnteredAt", to_time), row.parsed("ExitedAt", to_time)
        if exited < entered:
            row.refuse("ExitedAt", "is before EnteredAt")
        day = row.parsed("TradeDay", to_trading_day) if row.optional("TradeDay") else None
        costs = [row.optional_decimal(column) or Decimal(0) for column in ("Fees", "Commissions")]
        entry = TradeExecuted(
            trade_id=f"{trip}-entry",
            symbol=contract.symbol,
            side=side,
            quantity=size,
            price=row.decimal("EntryPrice"),
            trading_day=day,
        )
        exit_ = TradeExecuted(
            trade_id=f"{trip}-exit",
            symbol=contract.symbol,
            side=_EXITS[side],
            quantity=size,
            price=row.decimal("ExitPrice"),
            fee=sum(costs, Decimal(0)),
            fee_currency=contract.currency,
            reported_pnl=row.optional_decimal("PnL"),
            trading_day=day,
        )
        return (self._planned(row, entry, entered), self._planned(row, exit_, exited))

    def _planned(self, row: TableRow, trade: TradeExecuted, at: int) -> PlannedEvent:
        stream = stream_of("trade", self._account, trade.trade_id)
        return PlannedEvent(stream=stream, event=trade, key=trade.trade_id, occurred_at=at, line=row.line)
