"""Bars and prices of the user's own, read from any frame: what they say, and the quotes that they become."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from eventstore import InvalidEvent
from eventstore.clock import format_time
from eventstore.streams import stream_of
from eventstore.trading import QuoteReceived
from projections.analysis.tables import instants_in, names_in, numbers_in, table_of
from projections.views.quotes.bounds import STALE_AFTER_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

AT, SYMBOL, PRICE = "at", "symbol", "price"
OHLC = ("open", "high", "low", "close")
SOURCE = "replay:data"
"""The feed that the quotes of given bars name."""


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
        """The quote that it becomes once it has ended: by any valuation a position is worth its close."""
        close = self.close
        return QuoteReceived(symbol=self.symbol, last=close, bid=close, ask=close, mark=close, source=SOURCE)

    @property
    def stream(self) -> str:
        """The stream that its quote belongs to."""
        return stream_of("quote", "-", self.symbol)


def bars_of(data: Any, what: str = "data") -> list[Bar]:  # noqa: ANN401 - any library's frame
    """Return the bars of a pandas, polars or Arrow frame, or a `Frame`, by time; those of one time in their order.

    A row without a price is left out: no price is known there. Raises InvalidEvent for other columns, a time without a
    zone, text in the place of a number, and a bar whose high is below its low.
    """
    if data is None:
        return []
    given = table_of(data, what, (AT, SYMBOL))
    is_price = PRICE in given.column_names
    names = (PRICE,) if is_price else OHLC
    table = table_of(given, what, (AT, SYMBOL, *names))
    columns = [numbers_in(table, name, what) for name in names] * (4 if is_price else 1)
    instants, symbols = instants_in(table, AT, what).to_pylist(), names_in(table, SYMBOL, what).to_pylist()
    bars = []
    for row, (at, symbol, *values) in enumerate(zip(instants, symbols, *columns, strict=True)):
        if None in values:
            continue
        if at is None or not symbol:
            msg = f"row {row} of {what} has no {AT if at is None else SYMBOL}: each price needs both"
            raise InvalidEvent(msg)
        bars.append(_checked(Bar(at, symbol, *values), row, what))
    # A stable sort: what is given for one instant stays in its order.
    bars.sort(key=lambda bar: bar.at)
    return _begun(bars, is_price=is_price)


def _checked(bar: Bar, row: int, what: str) -> Bar:
    if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        msg = (
            f"row {row} of {what} ({bar.symbol} at {format_time(bar.at)}) has open {bar.open}, high {bar.high}, low "
            f"{bar.low}, close {bar.close}: high is the highest and low the lowest of them"
        )
        raise InvalidEvent(msg)
    return bar


def _begun(bars: Sequence[Bar], *, is_price: bool) -> list[Bar]:
    last: dict[str, int] = {}
    begun = []
    for bar in bars:
        begun.append(replace(bar, began_at=bar.at if is_price else last.get(bar.symbol)))
        last[bar.symbol] = bar.at
    return begun


def usual_age(bars: Sequence[Bar]) -> int:
    """Return how old a price of these may be, in ns: twice the usual time between a symbol's, and at least 10 s."""
    instants: dict[str, list[int]] = {}
    for bar in bars:
        instants.setdefault(bar.symbol, []).append(bar.at)
    gaps = [sorted(after - before for before, after in pairwise(each)) for each in instants.values()]
    return max([STALE_AFTER_NS, *(2 * each[len(each) // 2] for each in gaps if each)])
