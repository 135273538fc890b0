"""pyfolio's transactions: one row for each, signed shares of a symbol at a price (pyfolio, `create_txn_sheet`)."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from eventstore.clock import parse_time
from eventstore.trading import ContractDefined, Side, TradeExecuted
from gateways.importers.base import Options, Planned, Row, TableReader
from gateways.importers.texts import entity
from projections.decimals import FIXED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# How far the two may lie apart, of the price: what rounding to eleven digits does, and no more.
_ROUNDING = Decimal("1e-9")


class PyfolioReader(TableReader):
    """`index,amount,price,…,symbol[,commission]`, the first column the time, with its zone and often without a name.

    Each row becomes a TradeExecuted in `trade/ACCOUNT/TRADE_ID`, bought where `amount` is above zero. A row is
    identified by time, symbol and its number among the file's rows of that time and symbol. Where the file tells the
    money (`txn_dollars`), the price is that by the shares: the price column rounds.
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
        price, fee = _price(row, amount), row.optional_decimal("commission") or Decimal(0)
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


def _price(row: Row, amount: Decimal) -> Decimal:
    told, money = row.decimal("price"), row.optional_decimal("txn_dollars")
    if money is None:
        return told
    price = FIXED.divide(-money, amount)
    if abs(price - told) > abs(told) * _ROUNDING:
        row.refuse("txn_dollars", f"is not {-amount} × {told}")
    return price
