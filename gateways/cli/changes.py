"""`diff`: what changed between two instants, and the records that changed it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateways.cli import instants, options
from gateways.cli.holdings import Holdings
from gateways.cli.output import ROWS_SHOWN, put, put_json, put_table
from gateways.cli.states import Rows
from gateways.presenting.documents import plain
from gateways.presenting.presenter import NONE, Presenter
from projections import Change
from projections import diff as changes_between
from projections.views.lockouts import Lockout
from projections.views.orders import Order
from projections.views.positions import Position

First = Annotated[str, typer.Argument(metavar="A", help=f"One instant: {instants.HELP}.")]
Second = Annotated[str, typer.Argument(metavar="B", help="The other one.")]


def diff(  # noqa: PLR0917 - typer names them all
    first: First,
    second: Second,
    account: options.Account = None,
    rows: Rows = ROWS_SHOWN,
    data: options.Data = options.DATA,
    log: options.Log = options.LOG,
    read_only: options.ReadOnlyFlag = False,
    as_json: options.Json = False,
    zone: options.Zone = None,
    exact: options.Exact = False,
) -> None:
    """Show the orders, positions and lockouts that differ between two instants, with the records that did it."""
    options.zone_of(zone)
    with options.reading(data, log, read_only=read_only) as store:
        shown = options.presenter(store, zone, account, exact=exact)
        asked = (instants.instant_of(store, text, shown.zone) for text in (first, second))
        earlier, later = sorted(asked, key=lambda instant: instant.at)
        changes = changes_between(store, earlier.at, later.at, account=account)
        missing = options.missing_tail(store)
    if as_json:
        put_json(
            {
                "log": log,
                "first": earlier.position,
                "second": later.position,
                "changes": [plain(change, shown.document_zone) for change in changes],
                **missing,
            }
        )
        return
    put(f"log {log}, after position {earlier.position:,} and up to {later.position:,}")
    put()
    put_table("Changes", COLUMNS, [change_row(change, shown) for change in changes], shown=rows)


COLUMNS = ("account", "in", "what", "~before", "~after", "by log positions")


def change_row(change: Change, shown: Presenter) -> tuple[str, ...]:
    """Return a change as the cells of a table."""
    places = [str(record.position) for record in change.records]
    by = ", ".join(places) if len(places) <= 4 else f"{', '.join(places[:2])} … {places[-1]} ({len(places)})"  # noqa: PLR2004 - fits a cell
    before, after = _described(change.before, shown), _described(change.after, shown)
    return (change.account, change.view, change.key.removesuffix("/NET"), before, after, by)


def _described(value: Any, shown: Presenter) -> str:  # noqa: ANN401 - whatever a view answers
    match value:
        case Order():
            price = "" if value.average_price is None else f" at {shown.mean(value.average_price)}"
            return f"{value.status} {shown.quantity(value.cumulative)}/{shown.quantity(value.quantity)}{price}"
        case Position():
            price = "" if value.average_price is None else f" at {shown.mean(value.average_price)}"
            realized = Holdings.realized(value)
            made = "no contract" if realized is None else shown.money(realized, value.currency)
            return f"{shown.quantity(value.quantity)}{price}, realized {made}"
        case tuple():
            return "; ".join(_lockout(lock, shown) for lock in value if isinstance(lock, Lockout)) or NONE
        case _:
            return NONE


def _lockout(lock: Lockout, shown: Presenter) -> str:
    if lock.ended_by is not None:
        return f"{lock.scope}: {lock.ended_by}"
    until = "" if lock.until is None else f" until {shown.time(lock.until)}"
    return f"{lock.scope}: {lock.allows}{until}"
