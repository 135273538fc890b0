"""Bars and prices of the user's own, read from any frame: what they say, and the quotes that they become."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from eventstore import InvalidEvent
from eventstore.clock import format_time, to_ns
from eventstore.errors import shown
from eventstore.streams import stream_of
from eventstore.trading import QuoteReceived
from projections.analysis.libraries import arrow

if TYPE_CHECKING:
    from collections.abc import Sequence

AT, SYMBOL, PRICE = "at", "symbol", "price"
OHLC = ("open", "high", "low", "close")
_EXPECTED = "columns at, symbol and price, or at, symbol, open, high, low and close"


class Bar(msgspec.Struct, frozen=True):
    """What the price of a symbol was over some time that ended at `at`; of a single price all four are the same.

    `began_at` is when the symbol's bar before it ended, None for the first one; that of a single price is its instant.
    """

    at: int
    symbol: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    began_at: int | None = None

    @property
    def quote(self) -> QuoteReceived:
        """The quote that it becomes once it has ended."""
        return QuoteReceived(symbol=self.symbol, last=self.close, source=SOURCE)

    @property
    def stream(self) -> str:
        """The stream that its quote belongs to."""
        return stream_of("quote", "-", self.symbol)


SOURCE = "replay:data"
"""The feed that the quotes of given bars name."""


def bars_of(data: Any, what: str = "data") -> list[Bar]:  # noqa: ANN401 - any library's frame
    """Return the bars of a pandas, polars or Arrow frame, or a `Frame`, by time; those of one time in their order.

    A row without a price is left out: no price is known there. Raises InvalidEvent for other columns, a time without a
    zone, text in the place of a number, and a bar whose high is below its low.
    """
    if data is None:
        return []
    table = _table(data, what)
    names = table.column_names
    prices = (PRICE,) * 4 if PRICE in names else OHLC
    missing = [name for name in (AT, SYMBOL, *dict.fromkeys(prices)) if name not in names]
    if missing:
        msg = f"{what} has {', '.join(names) or 'no columns'}, and no {', '.join(missing)}: give {_EXPECTED}"
        raise InvalidEvent(msg)
    instants = _instants(table.column(AT), what)
    symbols = table.column(SYMBOL).to_pylist()
    columns = [_numbers(table.column(name), name, what) for name in prices]
    bars = []
    for row, (at, symbol, *values) in enumerate(zip(instants, symbols, *columns, strict=True)):
        if not isinstance(symbol, str) or not symbol:
            msg = f"row {row} of {what} has {shown(symbol)} for a symbol: give the contract's name"
            raise InvalidEvent(msg)
        if None not in values:
            bars.append(_bar(Bar(at, symbol, *values), row, what))
    # A stable sort: what is given for one instant stays in its order.
    bars.sort(key=lambda bar: bar.at)
    return _begun(bars, is_price=PRICE in names)


def _begun(bars: list[Bar], *, is_price: bool) -> list[Bar]:
    last: dict[str, int] = {}
    begun = []
    for bar in bars:
        begun.append(replace(bar, began_at=bar.at if is_price else last.get(bar.symbol)))
        last[bar.symbol] = bar.at
    return begun


def _table(data: Any, what: str) -> Any:  # noqa: ANN401 - any library's frame
    if hasattr(data, "__arrow_c_stream__"):
        return arrow().table(data)
    msg = f"{what} is a frame of pandas, polars or Arrow with {_EXPECTED}, not {shown(data)}"
    raise InvalidEvent(msg)


def _bar(bar: Bar, row: int, what: str) -> Bar:
    if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        msg = (
            f"row {row} of {what} ({bar.symbol} at {format_time(bar.at)}) has open {bar.open}, high {bar.high}, low "
            f"{bar.low}, close {bar.close}: high is the highest and low the lowest of them"
        )
        raise InvalidEvent(msg)
    return bar


def _instants(column: Any, what: str) -> Sequence[int]:  # noqa: ANN401 - an array of Arrow's
    """Return a column of instants in UNIX ns: timestamps with a zone, UNIX ns, or text with a zone."""
    pa = arrow()
    kind = column.type
    if column.null_count:
        msg = f"{column.null_count} rows of {what} have no {AT}: leave them out"
        raise InvalidEvent(msg)
    if pa.types.is_timestamp(kind):
        if kind.tz is None:
            msg = f"the instants in {what} have no zone: localize them, as in frame['{AT}'].dt.tz_localize('UTC')"
            raise InvalidEvent(msg)
        try:
            values = column.cast(pa.timestamp("ns", kind.tz)).cast(pa.int64()).to_pylist()
        except pa.ArrowInvalid as e:
            msg = f"{what} has instants outside of the years 1970 to 2199: {e}"
            raise InvalidEvent(msg) from e
        return [to_ns(value) for value in values]
    if pa.types.is_date(kind):
        msg = f"{what} has dates in place of instants: say when each bar ended, with a zone"
        raise InvalidEvent(msg)
    return [to_ns(value) for value in column.to_pylist()]


def _numbers(column: Any, name: str, what: str) -> list[Decimal | None]:  # noqa: ANN401 - an array of Arrow's
    return [_number(value, name, row, what) for row, value in enumerate(column.to_pylist())]


def _number(value: object, name: str, row: int, what: str) -> Decimal | None:
    """Return a price as it is written; None for one that is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    found = None
    if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool | datetime.date):
        try:
            # A float is what its shortest text says: 0.1 is meant where 0.1 was read.
            found = Decimal(str(value))
        except ArithmeticError:
            found = None
    if found is None or not found.is_finite():
        msg = f"row {row} of {what} has {shown(value)} for {name}: give numbers, and none where a price is missing"
        raise InvalidEvent(msg)
    return found
