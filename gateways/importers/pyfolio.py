"""pyfolio's transactions: one row each, a signed number of shares at a price (pyfolio, `create_txn_sheet`)."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from eventstore.clock import parse_time
from eventstore.streams import stream_of
from eventstore.trading import ContractDefined, Side, TradeExecuted
from gateways.importers.base import Options, PlannedEvent, TableReader, TableRow
from projections.decimals import FIXED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# How far the two prices may differ, relative to the price: no more than rounding to eleven digits explains.
_ROUNDING = Decimal("1e-9")


class PyfolioReader(TableReader):
    """`index,amount,price,…,symbol[,commission]`; the first column is the time, with its zone, often without a name.

    Each row becomes a TradeExecuted in `trade/ACCOUNT/TRADE_ID`, a buy if `amount` is positive. A row is identified by
    time, symbol and its number among the file's rows with that time and symbol. If the file has the amount of money
    (`txn_dollars`), the price is that divided by the shares, because the price column is rounded.
    """

    format = "pyfolio"
    required = ("index", "amount", "price", "symbol")

    def __init__(self, path: Path, options: Options) -> None:
        super().__init__(path, options)
        self._account = self.required_option("account", options.account)
        self._seen: Counter[tuple[int, str]] = Counter()

    def plan(self, row: TableRow) -> Sequence[PlannedEvent]:
        at = row.parsed("index", parse_time)
        symbol = row.text("symbol")
        amount = row.decimal("amount")
        if amount == 0:
            row.refuse("amount", "is zero, which is not a transaction")
        price, fee = _price(row, amount), row.optional_decimal("commission") or Decimal(0)
        self.add_contract(ContractDefined(symbol=symbol, multiplier=Decimal(1), currency="USD", product="Share"))
        self._seen[at, symbol] += 1
        trade_id = f"{row.text('index')}-{symbol}-{self._seen[at, symbol]}"
        trade = TradeExecuted(
            trade_id=trade_id,
            symbol=symbol,
            side=Side.BUY if amount > 0 else Side.SELL,
            quantity=abs(amount),
            price=price,
            fee=fee,
        )
        stream = stream_of("trade", self._account, trade_id)
        return (PlannedEvent(stream=stream, event=trade, key=trade_id, occurred_at=at, line=row.line),)


def _price(row: TableRow, amount: Decimal) -> Decimal:
    rounded, money = row.decimal("price"), row.optional_decimal("txn_dollars")
    if money is None:
        return rounded
    price = FIXED.divide(-money, amount)
    if abs(price - rounded) > abs(rounded) * _ROUNDING:
        row.refuse("txn_dollars", f"is not {-amount} × {rounded}")
    return price
