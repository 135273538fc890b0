"""Frames made by hand, in the form that the package gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from projections.analysis.arrays import array_of
from projections.analysis.columns import Column, Exact, Kind, arrow_schema
from projections.analysis.frame import Frame
from projections.analysis.libraries import arrow

OPENS_AT = 1_763_562_600_000_000_000
"""2025-11-19 08:30 in Chicago."""
MINUTE_NS = 60_000_000_000

_KINDS = {
    **dict.fromkeys(("at", "occurred_at", "set_at", "ended_at", "until", "entry_at", "exit_at"), Kind.INSTANT),
    **dict.fromkeys(("trading_day",), Kind.DATE),
    **dict.fromkeys(("trades", "wins", "losses", "position", "set_position", "end_position"), Kind.INTEGER),
    **dict.fromkeys(
        ("equity", "balance", "unrealized", "high_water", "drawdown", "floor", "share", "left", "limit", "figure"),
        Kind.DECIMAL,
    ),
    **dict.fromkeys(("price", "quantity", "net", "realized", "fees", "funding", "gross", "win_rate"), Kind.DECIMAL),
    **dict.fromkeys(("entry_price", "exit_price", "mae", "mfe", "average_price", "average_cost"), Kind.DECIMAL),
    "duration": Kind.DURATION,
    "revocable": Kind.BOOLEAN,
}

_EQUITY = "at account currency balance unrealized equity high_water drawdown floor status why"
_FILLS = "occurred_at account symbol side quantity price currency anomalies"
_DAYS = "account trading_day session currency realized fees funding net trades wins losses win_rate"
_HEADROOM = "at account rule_id kind figure limit left share status why"
_LOCKOUTS = "account rule_id scope allows set_at ended_at until reason set_position"
_ROUND_TRIPS = "account symbol direction entry_at exit_at duration quantity entry_price exit_price gross fees net"
_POSITIONS = "at account symbol side quantity average_price currency status"

EQUITY, FILLS, DAYS = tuple(_EQUITY.split()), tuple(_FILLS.split()), tuple(_DAYS.split())
HEADROOM, LOCKOUTS, POSITIONS = tuple(_HEADROOM.split()), tuple(_LOCKOUTS.split()), tuple(_POSITIONS.split())
ROUND_TRIPS = (*_ROUND_TRIPS.split(), "currency", "trading_day", "strategy")


def made(names: Sequence[str], rows: Sequence[Mapping[str, Any]], *, exact: Exact = False) -> Frame:
    """Return a frame of rows; what a row lacks is null."""
    columns = [Column(name, _KINDS.get(name, Kind.TEXT)) for name in names]

    def batches() -> Iterator[Any]:
        arrays = [array_of([row.get(column.name) for row in rows], column, exact) for column in columns]
        yield arrow().RecordBatch.from_arrays(arrays, schema=arrow_schema(columns, exact))

    return Frame(columns, batches, exact=exact)


def at(minute: float) -> int:
    """Return an instant, minutes after the open."""
    return OPENS_AT + int(minute * MINUTE_NS)


def equity_row(minute: float, equity: str | None, high: str | None = None, **members: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a row of a frame of equity; its drawdown is what separates it from its high."""
    value, top = (None if text is None else Decimal(text) for text in (equity, high or equity))
    below = None if value is None or top is None else top - value
    row = {"at": at(minute), "account": "ACC1", "currency": "USD", "equity": value, "high_water": top}
    return {**row, "drawdown": below, "status": "UNKNOWN" if value is None else "KNOWN", **members}


def fill_row(minute: float, price: str | None, side: str | None = "BUY", **members: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a row of a frame of fills."""
    row = {"occurred_at": at(minute), "account": "ACC1", "symbol": "ESZ5", "side": side, "quantity": Decimal(1)}
    return {**row, "price": None if price is None else Decimal(price), "currency": "USD", **members}


def headroom_row(minute: float, share: str | None, rule: str = "daily-loss", **members: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a row of a frame of headroom."""
    row = {"at": at(minute), "account": "ACC1", "rule_id": rule, "kind": rule, "status": "KNOWN", "why": ""}
    return {**row, "share": None if share is None else Decimal(share), **members}


def lockout_row(start: float, end: float | None, **members: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a row of a frame of lockouts."""
    row = {"account": "ACC1", "rule_id": "daily-loss", "scope": "account", "allows": "REDUCE_ONLY"}
    return {**row, "set_at": at(start), "ended_at": None if end is None else at(end), **members}
