"""Facts of an export, as its rows are read a second time, plainly: to compare with what an import makes of them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from eventstore.record import Record
from eventstore.trading import CashMoved, OrderFilled, Side, TradeExecuted
from gateways.importers.base import PlannedEvent

SAMPLES = Path(__file__).parent / "samples"
NEW_YORK = ZoneInfo("America/New_York")
CHICAGO = ZoneInfo("America/Chicago")
D = Decimal


class Fact(NamedTuple):
    """An execution, or cash that moved; `symbol` is then its kind, and price and fee are 0."""

    symbol: str
    quantity: Decimal
    """Below zero: sold, or paid."""
    price: Decimal
    fee: Decimal
    currency: str | None
    at: int
    order: str | None = None


Facts = list[Fact]
Row = dict[str, str]
Rows = Sequence[Row]
_BEFORE = {"bybit.csv": 1, "coinbase-transactions.csv": 2, "ib-flex.csv": 1, "ib-activity.csv": 2}
"""How many lines stand before the header of a sample."""
_WORDS = {
    **dict.fromkeys(("buy", "b", "bc"), 1),
    **dict.fromkeys(("sell", "s", "ss"), -1),
}


def stated(text: str) -> str:
    """Return a cell that must not be empty."""
    if not text:
        msg = "an empty cell"
        raise ValueError(msg)
    return text


def day(text: str) -> str:
    """Return a day that is written in one of three ways, month first where it has slashes, as an ISO date."""
    format = "%m/%d/%Y" if "/" in text else "%Y-%m-%d" if "-" in text else "%Y%m%d"
    return datetime.strptime(text, format).replace(tzinfo=UTC).date().isoformat()


def ns(text: str, format: str = "%Y-%m-%d %H:%M:%S", zone: ZoneInfo | None = None) -> int:
    """Return a time of whole seconds as UNIX ns."""
    return int(datetime.strptime(text, format).replace(tzinfo=zone or UTC).timestamp()) * 10**9


def rows_of(name: str) -> Rows:
    """Return the rows of a sample, a dictionary each, without the lines before its header."""
    if name.endswith(".json"):
        return [flat(trade) for trade in json.loads((SAMPLES / name).read_text("utf-8"), parse_float=D)]
    if "htm" in name:
        return html_rows((SAMPLES / name).read_text("utf-16" if name == "metatrader5.html" else "utf-8"))
    with (SAMPLES / name).open(encoding="utf-8", newline="") as file:
        for _ in range(_BEFORE.get(name, 0)):
            file.readline()
        return list(csv.DictReader(file))


def signed(side: str, quantity: str) -> Decimal:
    """Return the quantity below zero for a sale; one that was written so may not be bought, nor be zero."""
    way, number = _WORDS[side.lower()], D(quantity)
    if not number or (number < 0 and way > 0):
        raise ValueError(quantity)
    return way * abs(number)


def flat(member: dict[str, object], before: str = "") -> Row:
    """Return a JSON object's members as cells, those of an object in it by dotted names."""
    cells: Row = {}
    for name, value in member.items():
        if isinstance(value, dict):
            cells |= flat(value, f"{before}{name}.")
        else:
            cells[before + name] = "" if value is None else str(value)
    return cells


def html_rows(text: str) -> list[Row]:
    """Return the rows of a report's table below its header, which has the columns Type and Profit; no hidden cells."""
    header: list[str] = []
    found: list[Row] = []
    for line in re.findall(r"<tr[^>]*>(.*?)</tr>", text, re.DOTALL):
        cells: list[str] = []
        for kind, cell in re.findall(r"<t[dh]([^>]*)>(.*?)</t[dh]>", line):
            if "hidden" not in kind:
                span = re.search(r"colspan=\"?(\d+)", kind)
                cells += [re.sub(r"<[^>]+>", "", cell).strip(), *[""] * (int(span[1]) - 1 if span else 0)]
        if not header and {"Type", "Profit"} <= set(cells):
            header = [f"{name} (2)" if name in cells[:index] else name for index, name in enumerate(cells)]
        elif header and len(cells) == len(header):
            found.append(dict(zip(header, cells, strict=True)))
    return found


def fact_of(item: PlannedEvent | Record) -> Fact:
    event, order = item.event, None
    if isinstance(event, CashMoved):
        return Fact(str(event.kind), event.amount, D(0), D(0), event.currency, item.occurred_at)
    assert isinstance(event, OrderFilled | TradeExecuted)
    if isinstance(event, OrderFilled):
        order = item.stream.split("/", 2)[2].replace("%2F", "/")
    else:
        order = event.broker_order_id
    quantity = event.quantity if event.side is Side.BUY else -event.quantity
    return Fact(event.symbol, quantity, event.price, event.fee, event.fee_currency, item.occurred_at, order)
