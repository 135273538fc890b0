"""LOBSTER's message files: one NASDAQ symbol's day, order by order (lobsterdata.com, "Output structure")."""

from __future__ import annotations

import functools
import re
import zipfile
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeVar

from eventstore.clock import NANOSECONDS, format_time, to_ns
from eventstore.errors import InvalidEvent
from eventstore.streams import stream_of
from eventstore.trading import (
    ContractDefined,
    Marked,
    OrderCanceled,
    OrderFilled,
    OrderReduced,
    OrderSubmitted,
    OrderType,
    Side,
    TradeExecuted,
)
from gateways.importers.base import BadRow, FileReader, Options, PlannedEvent
from gateways.importers.texts import CellError, open_text, rows_of
from projections.sessions import zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from eventstore import Event

# GOOG_2012-06-21_34200000_57600000_message_10.csv
_NAME = re.compile(r"(?:.*/)?(?P<symbol>[^_/]+)_(?P<date>\d{4}-\d{2}-\d{2})_.*message.*\.csv(?:\.gz)?")
_EASTERN = zone_of("America/New_York")
_COLUMNS = ("time", "type", "order id", "size", "price", "direction")
_DAY_SECONDS = 86_400
_NANOSECOND = Decimal("1e-9")
_DECIMALS_MAX = 15
"""What a float of seconds since midnight has at most, to be read back as the same float."""
_SIDES = {"1": Side.BUY, "-1": Side.SELL}
_HALTS = {"-1": "halted", "0": "quoting resumed", "1": "trading resumed"}
CROSS, HALT = "6", "7"

T = TypeVar("T")


class LobsterMessage(NamedTuple):
    """One line of a message file."""

    line: int
    cells: list[str]


class LobsterReader(FileReader):
    """A message CSV, plain, gzipped, or in a zip together with the order book.

    1 (submission) becomes OrderSubmitted, 2 OrderReduced, 3 OrderCanceled with the size deleted, 4 OrderFilled, all
    in `order/ACCOUNT/ORDER_ID`; 5 (execution of a hidden order) TradeExecuted in `trade/ACCOUNT/TRADE_ID`, on the
    side of the resting order; 7 (a halt and its end) Marked. 6, the sum of a cross, repeats executions that have
    lines of their own, and is only counted. Order ids are unique within a day: to keep the orders of several days
    apart, give each day its own account.

    A message is identified by its content, and by its number among those in the file with the same content; so the
    same day in another window or depth adds only what is new. Times are US/Eastern, prices 10,000 to the dollar. A
    time of more than nine decimals, such as 43002.632812672004, was written by a program that calculates in floats: it
    is rounded to the nanosecond.
    """

    format = "lobster"
    takes = frozenset({"symbol", "date"})
    is_of_market = True

    def __init__(self, path: Path, options: Options) -> None:
        super().__init__(path, options)
        account = self.required_option("account", options.account)
        self._member = _message_member(path) if zipfile.is_zipfile(path) else None
        if self._member is not None:
            self.file = f"{path.name}/{self._member}"
        named = _NAME.fullmatch(self._member or path.name)
        symbol = self.required_option("symbol", options.symbol or (named["symbol"] if named else None))
        day = self.required_option("date", options.date or (_day(named["date"]) if named else None))
        self._symbol = symbol
        self._day = f"{symbol}-{day.isoformat()}"
        self._midnight = to_ns(datetime(day.year, day.month, day.day, tzinfo=_EASTERN))
        self._account = account
        self._seen: dict[str, int] = {}
        self._events: dict[str, Callable[[str, Side, Decimal, str], Event]] = {
            "1": self._submitted,
            "2": self._reduced,
            "3": self._canceled,
            "4": self._filled,
            "5": self._executed,
        }
        self.contracts[symbol] = ContractDefined(
            symbol=symbol, multiplier=Decimal(1), currency="USD", exchange="NASDAQ", product="Share"
        )

    def rows(self) -> Generator[LobsterMessage, None, None]:
        with open_text(self.path, self._member, bytes_max=self.options.bytes_max) as text:
            for line, cells in rows_of(text):
                if cells:
                    yield LobsterMessage(line, cells)

    def plan(self, row: LobsterMessage) -> Sequence[PlannedEvent]:
        line, cells = row
        if len(cells) != len(_COLUMNS):
            why = f"the line has {len(cells)} cells, not {', '.join(_COLUMNS)}"
            raise BadRow(self.file, line, "", "", why)
        seconds, kind, order, size, price, direction = cells
        make = self._events.get(kind)
        if make is None:
            return self._other(row)
        at, seconds = self._cell(row, 0, self._at), _rounded(seconds)
        quantity = self._cell(row, 3, _whole)
        if direction not in _SIDES:
            self._refuse(row, 5, "is neither 1 nor -1")
        if not (order.isdigit() and order.isascii()):
            self._refuse(row, 2, "is not an order number")
        self._cell(row, 4, _dollars)
        identity = f"{self._day}-{seconds}-{order}-{kind}-{size}-{price}"
        seen = self._seen[identity] = self._seen.get(identity, 0) + 1
        if seen > 1:
            identity = f"{identity}-{seen}"
        event = make(identity, _SIDES[direction], quantity, price)
        category, name = ("trade", identity) if kind == "5" else ("order", order)
        stream = stream_of(category, self._account, name)
        return (PlannedEvent(stream=stream, event=event, key=identity, occurred_at=at, line=line),)

    def _submitted(self, identity: str, side: Side, size: Decimal, price: str) -> OrderSubmitted:
        return OrderSubmitted(
            symbol=self._symbol, side=side, quantity=size, order_type=OrderType.LIMIT, limit_price=_dollars(price)
        )

    def _reduced(self, identity: str, side: Side, size: Decimal, price: str) -> OrderReduced:
        return OrderReduced(by=size)

    def _canceled(self, identity: str, side: Side, size: Decimal, price: str) -> OrderCanceled:
        return OrderCanceled(quantity=size)

    def _filled(self, identity: str, side: Side, size: Decimal, price: str) -> OrderFilled:
        return OrderFilled(trade_id=identity, symbol=self._symbol, side=side, quantity=size, price=_dollars(price))

    def _executed(self, identity: str, side: Side, size: Decimal, price: str) -> TradeExecuted:
        return TradeExecuted(trade_id=identity, symbol=self._symbol, side=side, quantity=size, price=_dollars(price))

    def _other(self, row: LobsterMessage) -> Sequence[PlannedEvent]:
        kind, price = row.cells[1], row.cells[4]
        if kind == CROSS:
            self.ignored["6: sum of a cross"] += 1
            return ()
        if kind != HALT:
            self._refuse(row, 1, "is not a message type from 1 to 7")
        if price not in _HALTS:
            self._refuse(row, 4, "is not -1, 0 or 1, as the price of a halt is")
        at = self._cell(row, 0, self._at)
        name = f"{self._symbol} {_HALTS[price]} {format_time(at, _EASTERN)}"
        mark = Marked(name=name)
        return (PlannedEvent(stream=stream_of("mark", "-", name), event=mark, key=name, occurred_at=at, line=row.line),)

    def _at(self, seconds: str) -> int:
        whole, _, fraction = seconds.partition(".")
        digits = whole + fraction
        if not (whole and digits.isdigit() and digits.isascii()) or len(fraction) > _DECIMALS_MAX:
            msg = f"is not a number of seconds with at most {_DECIMALS_MAX} decimals"
            raise CellError(msg)
        if int(whole) >= _DAY_SECONDS:
            msg = "is past the end of the day: it counts seconds from midnight"
            raise CellError(msg)
        whole, _, fraction = _rounded(seconds).partition(".")
        return self._midnight + int(whole) * NANOSECONDS + int(fraction.ljust(9, "0"))

    def _cell(self, row: LobsterMessage, index: int, parse: Callable[[str], T]) -> T:
        try:
            return parse(row.cells[index])
        except CellError as e:
            self._refuse(row, index, str(e))

    def _refuse(self, row: LobsterMessage, index: int, why: str) -> NoReturn:
        raise BadRow(self.file, row.line, _COLUMNS[index], row.cells[index], why)


def _rounded(seconds: str) -> str:
    """Return a number of seconds as it is without a float's noise: rounded if it has more than nine decimals."""
    if len(seconds.partition(".")[2]) <= 9:  # noqa: PLR2004 - nanoseconds
        return seconds
    return f"{Decimal(seconds).quantize(_NANOSECOND):f}".rstrip("0").rstrip(".")


@functools.lru_cache(maxsize=100_000)
def _whole(text: str) -> Decimal:
    if not (text.isdigit() and text.isascii()) or int(text) == 0:
        msg = "is not a whole number above zero"
        raise CellError(msg)
    return Decimal(text)


@functools.lru_cache(maxsize=100_000)
def _dollars(text: str) -> Decimal:
    _whole(text)
    return Decimal(f"{text}E-4")


def _message_member(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            found = [name for name in archive.namelist() if _NAME.fullmatch(name)]
    except zipfile.BadZipFile as e:
        msg = f"{path.name} cannot be read as a zip: {e}"
        raise InvalidEvent(msg) from e
    if len(found) != 1:
        msg = f"{path.name} holds {len(found)} message files, not one: unpack it and import each by itself"
        raise InvalidEvent(msg)
    return found[0]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as e:
        msg = f"{text!r} is not a date: give one like 2012-06-21 with --date"
        raise InvalidEvent(msg) from e
