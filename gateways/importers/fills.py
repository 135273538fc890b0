"""Any CSV of fills, its columns named by the caller."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from eventstore.clock import NANOSECONDS, parse_time, to_ns
from eventstore.errors import InvalidEvent
from eventstore.trading import OrderFilled, Side, TradeExecuted
from gateways.importers.base import Options, Planned, Row, TableReader
from gateways.importers.texts import CellError, entity, to_decimal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from eventstore.trading import ContractDefined

FIELDS = (
    *("trade_id", "symbol", "side", "quantity", "price", "fee", "fee_currency"),
    *("time", "order_id", "account", "pnl"),
)
_SIDES = dict.fromkeys(("buy", "b", "bot", "bought", "long", "bid"), Side.BUY) | dict.fromkeys(
    ("sell", "s", "sld", "sold", "short", "ask"), Side.SELL
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
# Each unit's times since 1973 are above the bound, and those of the next greater unit until 2200 below it.
_UNITS = ((Decimal(10) ** 11, NANOSECONDS), (Decimal(10) ** 14, 1_000_000), (Decimal(10) ** 17, 1_000))


class FillsReader(TableReader):
    """One row for each fill; a field that no column is mapped to is looked for under its own name.

    Needed are symbol (or the option), quantity, price, time, and side or a quantity with a sign. A row with an
    order_id becomes OrderFilled in `order/ACCOUNT/ORDER_ID`, another TradeExecuted in `trade/ACCOUNT/TRADE_ID`.
    Without trade_id, a row is identified by its figures, and by its number among the rows that have the same.
    Times are ISO 8601 with a zone, or UNIX time in seconds, ms, µs or ns, told apart by their size.
    """

    format = "fills"
    takes = frozenset({"contracts", "mapping", "symbol"})
    compares: ClassVar[str | None] = "symbol"

    def __init__(self, path: Path, options: Options) -> None:
        super().__init__(path, options)
        self._column = {field: field for field in FIELDS}
        mapped = Counter(options.mapping.values())
        for column, field in options.mapping.items():
            if field not in FIELDS:
                msg = f"--map {column}={field}: there is no field {field!r}, only {', '.join(FIELDS)}"
                raise InvalidEvent(msg)
            if mapped[field] > 1:
                msg = f"--map {column}={field}: {field} is mapped more than once"
                raise InvalidEvent(msg)
            self._column[field] = column
        wanted = ["quantity", "price", "time"] if options.symbol else ["symbol", "quantity", "price", "time"]
        self.required = (*(self._column[field] for field in wanted), *options.mapping)
        self._told: Counter[str] = Counter()
        self._only = options.contracts.find(options.symbol) if options.symbol is not None else None

    def plan(self, row: Row) -> Sequence[Planned]:
        account = self.account(row, self._column["account"])
        symbol = self._contract(row).symbol
        side, quantity = self._side(row)
        at = row.parsed(self._column["time"], to_time)
        price = row.decimal(self._column["price"])
        order = row.optional(self._column["order_id"])
        trade_id = row.optional(self._column["trade_id"]) or self._identity(
            account, symbol, side, quantity, price, at, order
        )
        kind = TradeExecuted if order is None else OrderFilled
        event = kind(
            trade_id=trade_id,
            symbol=symbol,
            side=side,
            quantity=quantity,
            price=price,
            fee=row.optional_decimal(self._column["fee"]) or Decimal(0),
            fee_currency=row.optional(self._column["fee_currency"]),
            reported_pnl=row.optional_decimal(self._column["pnl"]),
        )
        stream = f"trade/{account}/{entity(trade_id)}" if order is None else f"order/{account}/{entity(order)}"
        return (Planned(stream=stream, event=event, key=f"fill:{trade_id}", occurred_at=at, line=row.line),)

    def _contract(self, row: Row) -> ContractDefined:
        column = self._column["symbol"]
        if self._only is not None and row.optional(column) is None:
            return self.met(self._only)
        return self.contract(row, column)

    def _side(self, row: Row) -> tuple[Side, Decimal]:
        column = self._column["quantity"]
        quantity = row.decimal(column)
        if quantity == 0:
            row.refuse(column, "is zero")
        signed = Side.BUY if quantity > 0 else Side.SELL
        if self._column["side"] not in self.columns:
            return signed, abs(quantity)
        side = row.choice(self._column["side"], _SIDES)
        if quantity < 0 and side is Side.BUY:
            row.refuse(column, "is below zero, and the side says that it was bought")
        return side, abs(quantity)

    def _identity(self, *figures: object) -> str:
        digest = hashlib.sha256("\0".join(map(str, figures)).encode("utf-8", "surrogatepass")).hexdigest()[:24]
        self._told[digest] += 1
        return f"row-{digest}-{self._told[digest]}"


def to_time(text: str) -> int:
    """Return ISO 8601 text with a zone, or UNIX time in s, ms, µs or ns, as UNIX ns.

    Raises InvalidEvent for another form, or one without a zone; CellError for parts of a nanosecond.
    """
    if not _NUMBER.fullmatch(text):
        return parse_time(text)
    number = to_decimal(text)
    unit = next((unit for bound, unit in _UNITS if number < bound), 1)
    instant = number * unit
    if instant != int(instant):
        msg = "has more than nine decimals of a second"
        raise CellError(msg)
    return to_ns(int(instant))
