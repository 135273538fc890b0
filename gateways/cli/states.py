"""`state` and `as-of`: what holds now, and what held then: orders, positions, lockouts and anomalies."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import typer

from eventstore import EventReader, InvalidEvent
from gateways.cli import instants, known, options, outcome
from gateways.cli.holdings import Holdings, gather
from gateways.presenting.output import ROWS_SHOWN, progress, put, put_json, put_table
from gateways.presenting.presenter import NONE, Presenter
from projections import Book, as_of
from projections import open as open_book
from projections.views.executions.positions import Position
from projections.views.orders.view import Order

At = Annotated[
    str | None,
    typer.Option(metavar="INSTANT", help="Ask for the lockouts in force at this time instead."),
]
Rows = Annotated[int, typer.Option(min=0, help="At most so many rows of a table; 0 for all.")]
Then = Annotated[str, typer.Argument(metavar="INSTANT", help=f"{instants.HELP}.")]
Occurred = Annotated[
    bool, typer.Option("--occurred-at", help="What was true at INSTANT by the times of happening, as known now.")
]
KnownBy = Annotated[
    str | None, typer.Option(metavar="INSTANT", help="With --occurred-at: as known by this instant of the log.")
]


_ORDER_COLUMNS = ("account", "order", "symbol", "side", ">leaves", ">of", ">price", "status")
_POSITION_COLUMNS = ("account", "symbol", ">position", ">average", ">realized", ">fees", "in")
_REPORT_COLUMNS = ("account", "symbol", ">quantity", "as of", "~difference")
_DAY_COLUMNS = ("account", "day", "in", ">realized", ">fees", ">net", ">fills")
_PENDING_COLUMNS = ("account", "request", "action", "symbol", "since", "~why")
_LOCKOUT_COLUMNS = ("account", "rule", "scope", "allows", "until", "~why")


def state(  # noqa: PLR0917 - typer names them all
    account: options.Account = None,
    at: At = None,
    rows: Rows = ROWS_SHOWN,
    data: options.Data = options.DATA,
    log: options.Log = options.LOG,
    read_only: options.ReadOnlyFlag = False,
    as_json: options.Json = False,
    zone: options.Zone = None,
    exact: options.Exact = False,
) -> None:
    """Show open orders, positions with their profit and loss, lockouts in force, and anomalies."""
    options.zone_of(zone)
    with options.reading(data, log, read_only=read_only) as store:
        shown = options.presenter(store, zone, account, exact=exact)
        is_known = known.note_account(store, account)
        asked = options.clock_of(store).now_ns() if at is None else instants.time_of(store, at, shown.zone)
        accounts = None if account is None else [account]
        with progress("folding") as step, open_book(store, accounts=accounts, progress=step) as book:
            holdings = gather(book, store.log, asked, account)
        _show(holdings, options.missing_tail(store), shown, rows, as_json=as_json)
        if not is_known:
            outcome.wrong()


def past(  # noqa: PLR0917 - typer names them all
    instant: Then,
    account: options.Account = None,
    occurred_at: Occurred = False,
    known_by: KnownBy = None,
    at: At = None,
    rows: Rows = ROWS_SHOWN,
    data: options.Data = options.DATA,
    log: options.Log = options.LOG,
    read_only: options.ReadOnlyFlag = False,
    as_json: options.Json = False,
    zone: options.Zone = None,
    exact: options.Exact = False,
) -> None:
    """Show the same as `state` for a past instant, which is included.

    What was known then, by the times of recording; with --occurred-at what was true then, as far as is known now.
    Lockouts are asked for at that time; at a position or a mark, at the earlier of its record's two times.
    """
    options.zone_of(zone)
    if known_by is not None and not occurred_at:
        msg = "--known-by goes with --occurred-at: without it, INSTANT itself is what was known by then"
        raise InvalidEvent(msg)
    with options.reading(data, log, read_only=read_only) as store:
        shown = options.presenter(store, zone, account, exact=exact)
        is_known = known.note_account(store, account)
        book, asked = _book_then(store, instant, account, known_by, shown, occurred=occurred_at)
        known.note_unheard_of(store, account, book.position)
        if at is not None:
            asked = instants.time_of(store, at, shown.zone)
        holdings = gather(book, store.log, asked, account)
        _show(holdings, options.missing_tail(store), shown, rows, as_json=as_json)
        if not is_known:
            outcome.wrong()


def _book_then(
    store: EventReader, text: str, account: str | None, known_by: str | None, shown: Presenter, *, occurred: bool
) -> tuple[Book, int]:
    if not occurred:
        instant = instants.instant_of(store, text, shown.zone)
        if instant.is_time:
            instants.note_outside(store, instant.at, shown)
        return as_of(store, position=instant.position, account=account), instant.asked
    at = instants.time_of(store, text, shown.zone)
    instants.note_future(store, at, shown)
    if known_by is None:
        return as_of(store, occurred_at=at, account=account), at
    by = instants.instant_of(store, known_by, shown.zone)
    if by.is_time:
        instants.note_outside(store, by.at, shown)
    return as_of(store, occurred_at=at, position=by.position, account=account), at


def _show(holdings: Holdings, missing: dict[str, Any], shown: Presenter, rows: int, *, as_json: bool) -> None:
    if as_json:
        put_json(holdings.as_json(shown.document_zone) | missing)
    else:
        _put_tables(holdings, shown, rows)
    if holdings.parked:
        outcome.wrong()


def _put_tables(holdings: Holdings, shown: Presenter, rows: int) -> None:
    put(f"log {holdings.log} at position {holdings.position:,}")
    put()
    orders = [_order_row(order, shown) for order in holdings.orders]
    put_table("Open orders", _ORDER_COLUMNS, orders, shown=rows)
    _put_money(holdings, shown, rows)
    lockouts = [
        (each.account, each.rule_id, each.scope, each.allows, _until(each.until, shown), each.reason or NONE)
        for each in holdings.lockouts
    ]
    put_table(f"Lockouts in force at {shown.time(holdings.at)}", _LOCKOUT_COLUMNS, lockouts, shown=rows)
    pending = [
        (
            each.account,
            each.request_id,
            each.action,
            each.symbol or NONE,
            shown.time(each.requested_at),
            each.reason or NONE,
        )
        for each in holdings.pending
    ]
    if pending:
        put_table("Asked of the trading process, and not answered", _PENDING_COLUMNS, pending, shown=rows)
    anomalies = [(a.account, a.view, a.kind, f"{a.count:,}", _places(a.positions)) for a in holdings.anomalies]
    put_table("Anomalies", ("account", "in", "kind", ">count", "last log positions"), anomalies, shown=rows)
    for sentence in holdings.parked:
        put(f"stopped: {sentence}")


def _put_money(holdings: Holdings, shown: Presenter, rows: int) -> None:
    """Print positions, what the broker reported of them, and the profit and loss that they made."""
    positions = [_position_row(position, holdings.realized(position), shown) for position in holdings.positions]
    put_table("Positions; realized first in, first out, before fees", _POSITION_COLUMNS, positions, shown=rows)
    reports = [_report_row(position, shown) for position in holdings.positions if position.reported is not None]
    if reports:
        put_table("What the broker says of positions", _REPORT_COLUMNS, reports, shown=rows)
    totals = [
        (t.account, t.currency or NONE, *(shown.money(amount, t.currency) for amount in (t.realized, t.fees, t.net)))
        for t in holdings.totals
    ]
    put_table("Profit and loss by currency", ("account", "in", ">realized", ">fees", ">net"), totals, shown=rows)
    days = [
        (
            *(day.account, day.trading_day, day.currency or NONE),
            *(shown.money(amount, day.currency) for amount in (day.realized, day.fees, day.net)),
            f"{day.trades:,}",
        )
        for day in holdings.days
    ]
    if days:
        put_table("Made in the trading day", _DAY_COLUMNS, days, shown=rows)


def _order_row(order: Order, shown: Presenter) -> tuple[str, ...]:
    price = order.limit_price if order.limit_price is not None else order.stop_price
    return (
        *(order.account, order.order_id, order.symbol or NONE, order.side or NONE),
        *(shown.quantity(order.leaves), shown.quantity(order.quantity), shown.price(price), order.status),
    )


def _position_row(position: Position, realized: Decimal | None, shown: Presenter) -> tuple[str, ...]:
    currency = position.currency
    money = "no contract" if realized is None else shown.money(realized, currency)
    return (
        *(position.account, position.symbol, shown.quantity(position.quantity), shown.mean(position.average_price)),
        *(money, shown.money(position.fees, currency), currency or NONE),
    )


def _report_row(position: Position, shown: Presenter) -> tuple[str, ...]:
    difference = "reported before the last fill" if position.superseded else shown.quantity(position.difference)
    return (
        *(position.account, position.symbol, shown.quantity(position.reported)),
        *(shown.time(position.reported_at), difference),
    )


def _until(until: int | None, shown: Presenter) -> str:
    return "no end date" if until is None else shown.time(until)


def _places(positions: tuple[int, ...]) -> str:
    last = ", ".join(str(position) for position in positions[-3:])
    return f"… {last}" if len(positions) > 3 else last or NONE  # noqa: PLR2004 - as many as are shown
