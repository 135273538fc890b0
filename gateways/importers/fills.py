"""Any CSV file of fills, with columns mapped by the caller."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from eventstore.clock import NANOSECONDS, derived_ns, parse_time
from eventstore.errors import InvalidEvent
from eventstore.streams import SEPARATOR, stream_of
from eventstore.trading import OrderFilled, Side, TradeExecuted
from gateways.importers.base import Options, PlannedEvent, TableReader, TableRow
from gateways.importers.texts import CellError, to_decimal

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
_MADE_ID = re.compile(r"row-[0-9a-f]{24}-\d+", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
# Times since 1973 in a unit are above its bound, and times until 2200 in the next larger unit are below it.
_UNITS = ((Decimal(10) ** 11, NANOSECONDS), (Decimal(10) ** 14, 1_000_000), (Decimal(10) ** 17, 1_000))


class FillsReader(TableReader):
    """One row per fill; a field without a mapped column is read from the column of its own name.

    Required are symbol (or the option), quantity, price, time, and side or a signed quantity. A row with an order_id
    becomes OrderFilled in `order/ACCOUNT/ORDER_ID`, any other TradeExecuted in `trade/ACCOUNT/TRADE_ID`. Without a
    trade_id, a row is identified by its figures, and by its number among the rows with the same figures. Times are
    ISO 8601 with a zone, or UNIX time in seconds, ms, µs or ns, distinguished by their size.
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
                msg = f"--map {column}={field}: unknown field {field!r}; the fields are {', '.join(FIELDS)}"
                raise InvalidEvent(msg)
            if mapped[field] > 1:
                msg = f"--map {column}={field}: {field} is mapped more than once"
                raise InvalidEvent(msg)
            self._column[field] = column
        required = ["quantity", "price", "time"] if options.symbol else ["symbol", "quantity", "price", "time"]
        self.required = (*(self._column[field] for field in required), *options.mapping)
        self._seen: Counter[str] = Counter()
        self._only = options.contracts.find(options.symbol) if options.symbol is not None else None

    def plan(self, row: TableRow) -> Sequence[PlannedEvent]:
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
        stream = stream_of("trade", account, trade_id) if order is None else stream_of("order", account, order)
        return (PlannedEvent(stream=stream, event=event, key=f"fill:{trade_id}", occurred_at=at, line=row.line),)

    def _contract(self, row: TableRow) -> ContractDefined:
        column = self._column["symbol"]
        if self._only is not None and row.optional(column) is None:
            return self.add_contract(self._only)
        return self.contract(row, column)

    def _side(self, row: TableRow) -> tuple[Side, Decimal]:
        column = self._column["quantity"]
        quantity = row.decimal(column)
        if quantity == 0:
            row.refuse(column, "is zero")
        signed = Side.BUY if quantity > 0 else Side.SELL
        if self._column["side"] not in self.columns:
            return signed, abs(quantity)
        side = row.choice(self._column["side"], _SIDES)
        if quantity < 0 and side is Side.BUY:
            row.refuse(column, "is below zero, but the side is buy")
        return side, abs(quantity)

    def _identity(self, *figures: object) -> str:
        digest = hashlib.sha256(SEPARATOR.join(map(str, figures)).encode("utf-8", "surrogatepass")).hexdigest()[:24]
        self._seen[digest] += 1
        return f"row-{digest}-{self._seen[digest]}"


def is_made(trade_id: str) -> bool:
    """Return whether a trade id was made from a row's figures, because the file has none."""
    return _MADE_ID.fullmatch(trade_id) is not None


def to_time(text: str) -> int:
    """Return ISO 8601 text with a zone, or UNIX time in s, ms, µs or ns, as UNIX ns.

    Raises InvalidEvent for another format, or one without a zone; CellError for fractions of a nanosecond.
    """
    if not _NUMBER.fullmatch(text):
        return parse_time(text)
    number = to_decimal(text)
    unit = next((unit for bound, unit in _UNITS if number < bound), 1)
    instant = number * unit
    if instant != int(instant):
        msg = "has more than nine decimals of a second"
        raise CellError(msg)
    return derived_ns(int(instant))
