"""Facts of an export, as its rows are read a second time, plainly: to compare with what an import makes of them."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

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


def ns(text: str, format: str = "%Y-%m-%d %H:%M:%S", zone: ZoneInfo | None = None) -> int:
    """Return a time of whole seconds as UNIX ns."""
    return int(datetime.strptime(text, format).replace(tzinfo=zone or UTC).timestamp()) * 10**9


def rows(name: str, skip: int = 0) -> list[dict[str, str]]:
    with (SAMPLES / name).open(encoding="utf-8", newline="") as file:
        for _ in range(skip):
            file.readline()
        return list(csv.DictReader(file))


def signed(side: str, quantity: str) -> Decimal:
    return abs(D(quantity)) if side.lower().startswith("b") else -abs(D(quantity))


def fact_of(item: PlannedEvent) -> Fact:
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
