"""`diff`: what changed between two instants, and the records that changed it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from eventstore.clock import format_time
from gateways.cli import options
from gateways.cli.holdings import Holdings
from gateways.cli.output import ROWS_SHOWN, put, put_json, put_table
from gateways.cli.plain import figure, mean, money, plain
from gateways.cli.states import Rows
from projections import Change
from projections import diff as changes_between
from projections.views.lockouts import Lockout
from projections.views.orders import Order
from projections.views.positions import Position

First = Annotated[str, typer.Argument(metavar="A", help=f"One instant: {options.INSTANT_HELP}.")]
Second = Annotated[str, typer.Argument(metavar="B", help="The other one.")]


def diff(  # noqa: PLR0917 - typer names them all
    first: First,
    second: Second,
    account: options.Account = None,
    rows: Rows = ROWS_SHOWN,
    data: options.Data = options.DATA,
    log: options.Log = options.LOG,
    as_json: options.Json = False,
    zone: options.Zone = options.UTC_NAME,
) -> None:
    """Show the orders, positions and lockouts that differ between two instants, with the records that did it."""
    chosen = options.zone_of(zone)
    with options.reading(data, log) as store:
        instants = (options.instant_of(store, first), options.instant_of(store, second))
        earlier, later = sorted(instants, key=lambda instant: instant.at)
        changes = changes_between(store, earlier.at, later.at, account=account)
    if as_json:
        put_json(
            {
                "log": log,
                "first": earlier.position,
                "second": later.position,
                "changes": [plain(change, chosen) for change in changes],
            }
        )
        return
    lines = [change_row(change, lambda at: format_time(at, chosen)) for change in changes]
    put(f"log {log}, after position {earlier.position:,} and up to {later.position:,}\n")
    put_table("Changes", COLUMNS, lines, shown=rows)


COLUMNS = ("account", "in", "what", "before", "after", "by positions")


def change_row(change: Change, clock: Callable[[int], str]) -> tuple[str, ...]:
    """Return a change as the cells of a table; `clock` writes times."""
    places = [str(record.position) for record in change.records]
    shown = ", ".join(places) if len(places) <= 4 else f"{', '.join(places[:2])} … {places[-1]} ({len(places)})"  # noqa: PLR2004 - fits a cell
    before, after = _told(change.before, clock), _told(change.after, clock)
    return (change.account, change.view, change.key.removesuffix("/NET"), before, after, shown)


def _told(value: Any, clock: Callable[[int], str]) -> str:  # noqa: ANN401 - whatever a view answers
    match value:
        case Order():
            price = "" if value.average_price is None else f" at {mean(value.average_price)}"
            return f"{value.status} {figure(value.cumulative)}/{figure(value.quantity)}{price}"
        case Position():
            price = "" if value.average_price is None else f" at {mean(value.average_price)}"
            return f"{figure(value.quantity)}{price}, realized {money(Holdings.realized(value))}"
        case tuple():
            return "; ".join(_lockout(lock, clock) for lock in value if isinstance(lock, Lockout)) or "-"
        case _:
            return "-"


def _lockout(lock: Lockout, clock: Callable[[int], str]) -> str:
    if lock.ended_by is not None:
        return f"{lock.scope}: {lock.ended_by}"
    until = "" if lock.until is None else f" until {clock(lock.until)}"
    return f"{lock.scope}: {lock.allows}{until}"
