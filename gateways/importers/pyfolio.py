"""pyfolio's transactions: one row for each, signed shares of a symbol at a price (pyfolio, `create_txn_sheet`)."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from eventstore.clock import parse_time
from eventstore.trading import ContractDefined, Side, TradeExecuted
from gateways.importers.base import Options, Planned, Row, TableReader
from gateways.importers.texts import entity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class PyfolioReader(TableReader):
    """`index,amount,price,…,symbol[,commission]`, the first column the time, with its zone and often without a name.

    Each row becomes a TradeExecuted in `trade/ACCOUNT/TRADE_ID`, bought where `amount` is above zero. A row is
    identified by time, symbol and its number among the file's rows of that time and symbol.
    """

    format = "pyfolio"
    required = ("index", "amount", "price", "symbol")

    def __init__(self, path: Path, options: Options) -> None:
        super().__init__(path, options)
        self._account = self.wanted("account", options.account)
        self._told: Counter[tuple[int, str]] = Counter()

    def plan(self, row: Row) -> Sequence[Planned]:
        at = row.parsed("index", parse_time)
        symbol = row.text("symbol")
        amount = row.decimal("amount")
        if amount == 0:
            row.refuse("amount", "is zero, and a transaction is not")
        price, fee = row.decimal("price"), row.optional_decimal("commission") or Decimal(0)
        self.met(ContractDefined(symbol=symbol, multiplier=Decimal(1), currency="USD", product="Share"))
        self._told[at, symbol] += 1
        trade_id = f"{row.text('index')}-{symbol}-{self._told[at, symbol]}"
        trade = TradeExecuted(
            trade_id=trade_id,
            symbol=symbol,
            side=Side.BUY if amount > 0 else Side.SELL,
            quantity=abs(amount),
            price=price,
            fee=fee,
        )
        stream = f"trade/{self._account}/{entity(trade_id)}"
        return (Planned(stream=stream, event=trade, key=trade_id, occurred_at=at, line=row.line),)
