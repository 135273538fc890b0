"""`state` and `as-of`: what holds now, and what held then: orders, positions, lockouts and what surprised."""

from __future__ import annotations

from datetime import tzinfo
from typing import Annotated, Any

import typer

from eventstore import EventReader, InvalidEvent
from eventstore.clock import format_time
from gateways.cli import options, outcome
from gateways.cli.holdings import Holdings, gather
from gateways.cli.output import ROWS_SHOWN, progress, put, put_json, put_table
from gateways.cli.plain import figure, mean, money
from projections import Book, as_of
from projections import open as open_book

At = Annotated[
    str | None,
    typer.Option(metavar="INSTANT", help="Ask for the lockouts in force at this time instead."),
]
Rows = Annotated[int, typer.Option(min=0, help="At most so many rows of a table; 0 for all.")]
Then = Annotated[str, typer.Argument(metavar="INSTANT", help=f"{options.INSTANT_HELP}.")]
Occurred = Annotated[
    bool, typer.Option("--occurred-at", help="What was true at INSTANT by the times of happening, as known now.")
]
KnownBy = Annotated[
    str | None, typer.Option(metavar="INSTANT", help="With --occurred-at: as known by this instant of the log.")
]


_ORDER_COLUMNS = ("account", "order", "symbol", "side", ">leaves", ">of", ">price", "status")
_POSITION_COLUMNS = ("account", "symbol", ">position", ">average", ">realized", ">fees", "in", ">broker says")
_DAY_COLUMNS = ("account", "day", "in", ">realized", ">fees", ">net", ">fills")
_PENDING_COLUMNS = ("account", "request", "action", "symbol", "why", "since")
_LOCKOUT_COLUMNS = ("account", "rule", "scope", "allows", "until", "why")


def state(  # noqa: PLR0917 - typer names them all
    account: options.Account = None,
    at: At = None,
    rows: Rows = ROWS_SHOWN,
    data: options.Data = options.DATA,
    log: options.Log = options.LOG,
    as_json: options.Json = False,
    zone: options.Zone = options.UTC_NAME,
) -> None:
    """Show open orders, positions with their profit and loss, lockouts in force, and what surprised."""
    chosen = options.zone_of(zone)
    with options.reading(data, log) as store:
        asked = options.clock_of(store).now_ns() if at is None else options.time_of(store, at)
        accounts = None if account is None else [account]
        with progress("folding") as step, open_book(store, accounts=accounts, progress=step) as book:
            holdings = gather(book, store.log, asked, account)
        _show(holdings, chosen, rows, as_json=as_json)


def past(  # noqa: PLR0917 - typer names them all
    instant: Then,
    account: options.Account = None,
    occurred_at: Occurred = False,
    known_by: KnownBy = None,
    at: At = None,
    rows: Rows = ROWS_SHOWN,
    data: options.Data = options.DATA,
    log: options.Log = options.LOG,
    as_json: options.Json = False,
    zone: options.Zone = options.UTC_NAME,
) -> None:
    """Show the same as `state` for a past instant, which is included.

    What was known then, by the times of recording; with --occurred-at what was true then, as far as is known now.
    Lockouts are asked for at that time; at a position or a mark, at the earlier of its record's two times.
    """
    chosen = options.zone_of(zone)
    if known_by is not None and not occurred_at:
        msg = "--known-by goes with --occurred-at: without it, INSTANT itself is what was known by then"
        raise InvalidEvent(msg)
    with options.reading(data, log) as store:
        book, asked = _book_then(store, instant, account, known_by, occurred=occurred_at)
        if at is not None:
            asked = options.time_of(store, at)
        _show(gather(book, store.log, asked, account), chosen, rows, as_json=as_json)


def _book_then(
    store: EventReader, text: str, account: str | None, known_by: str | None, *, occurred: bool
) -> tuple[Book, int]:
    if occurred:
        at = options.time_of(store, text)
        known = None if known_by is None else options.instant_of(store, known_by).position
        return as_of(store, occurred_at=at, position=known, account=account), at
    instant = options.instant_of(store, text)
    return as_of(store, position=instant.position, account=account), instant.asked


def _show(holdings: Holdings, zone: tzinfo, rows: int, *, as_json: bool) -> None:
    if as_json:
        put_json(holdings.as_json(zone))
    else:
        _put_tables(holdings, zone, rows)
    if holdings.parked:
        outcome.wrong()


def _put_tables(holdings: Holdings, zone: tzinfo, rows: int) -> None:
    put(f"log {holdings.log} at position {holdings.position:,}\n")
    orders = [
        (
            o.account,
            o.order_id,
            o.symbol or "-",
            o.side or "-",
            figure(o.leaves),
            figure(o.quantity),
            _price(o),
            o.status,
        )
        for o in holdings.orders
    ]
    put_table("Open orders", _ORDER_COLUMNS, orders, shown=rows)
    positions = [
        (
            *(p.account, p.symbol, figure(p.quantity), mean(p.average_price)),
            *(money(holdings.realized(p)), money(p.fees), p.currency or "-", figure(p.reported)),
        )
        for p in holdings.positions
    ]
    put_table("Positions; realized first in, first out, before fees", _POSITION_COLUMNS, positions, shown=rows)
    totals = [(t.account, t.currency or "-", money(t.realized), money(t.fees), money(t.net)) for t in holdings.totals]
    put_table("Profit and loss by currency", ("account", "in", ">realized", ">fees", ">net"), totals, shown=rows)
    days = [
        (d.account, d.trading_day, d.currency or "-", money(d.realized), money(d.fees), money(d.net), f"{d.trades:,}")
        for d in holdings.days
    ]
    if days:
        put_table("Made in the trading day", _DAY_COLUMNS, days, shown=rows)
    lockouts = [
        (lock.account, lock.rule_id, lock.scope, lock.allows, _until(lock.until, zone), lock.reason or "-")
        for lock in holdings.lockouts
    ]
    put_table(f"Lockouts in force at {format_time(holdings.at, zone)}", _LOCKOUT_COLUMNS, lockouts, shown=rows)
    pending = [
        (p.account, p.request_id, p.action, p.symbol or "-", p.reason or "-", format_time(p.requested_at, zone))
        for p in holdings.pending
    ]
    if pending:
        put_table("Asked of the trading process, and not answered", _PENDING_COLUMNS, pending, shown=rows)
    surprises = [(a.account, a.view, a.kind, f"{a.count:,}", _places(a.positions)) for a in holdings.anomalies]
    put_table("What surprised", ("account", "in", "kind", ">times", "last positions"), surprises, shown=rows)
    for sentence in holdings.parked:
        put(f"stopped: {sentence}")


def _price(order: Any) -> str:  # noqa: ANN401 - an Order
    return figure(order.limit_price if order.limit_price is not None else order.stop_price)


def _until(until: int | None, zone: tzinfo) -> str:
    return "no end of its own" if until is None else format_time(until, zone)


def _places(positions: tuple[int, ...]) -> str:
    shown = ", ".join(str(position) for position in positions[-3:])
    return f"… {shown}" if len(positions) > 3 else shown or "-"  # noqa: PLR2004 - as many as are shown
