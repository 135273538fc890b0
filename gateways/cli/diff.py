"""`diff`: what changed between two instants, and the records that changed it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from eventstore import EventReader, InvalidEvent
from eventstore.clock import format_time
from gateways.cli import instants, known, options, outcome
from gateways.cli.holdings import Holdings
from gateways.cli.states import Rows
from gateways.presenting.documents import plain
from gateways.presenting.output import ROWS_SHOWN, put, put_json, put_table
from gateways.presenting.presenter import NONE, Presenter
from projections import Change
from projections import diff as changes_between
from projections.views.executions.positions import Position
from projections.views.lockouts.view import Lockout
from projections.views.orders.view import Order

First = Annotated[str, typer.Argument(metavar="A", help=f"One instant: {instants.HELP}.")]
Second = Annotated[str, typer.Argument(metavar="B", help="The other one.")]


Occurred = Annotated[bool, typer.Option("--occurred-at", help="Compare by what had happened by A and by B.")]
KnownBy = Annotated[
    tuple[str, str] | None,
    typer.Option(metavar="A B", help="With --occurred-at: as known by these two instants of the log, by default now."),
]


class Compared(msgspec.Struct, frozen=True, order=True):
    """One side of a comparison: when things had happened, if that is asked, and what was known (UNIX ns)."""

    occurred_at: int | None
    position: int
    recorded_at: int


def diff(  # noqa: PLR0917 - typer names them all
    first: First,
    second: Second,
    account: options.Account = None,
    occurred_at: Occurred = False,
    known_by: KnownBy = None,
    rows: Rows = ROWS_SHOWN,
    data: options.Data = options.DATA,
    log: options.Log = options.LOG,
    read_only: options.ReadOnlyFlag = False,
    as_json: options.Json = False,
    zone: options.Zone = None,
    exact: options.Exact = False,
) -> None:
    """Show the orders, positions and lockouts that differ between two instants, with the records that did it.

    By what was known at each; with --occurred-at by what had happened, as known now or by two other instants. The
    same INSTANT twice with two for --known-by shows what was learned of it in between.
    """
    options.zone_of(zone)
    if known_by is not None and not occurred_at:
        msg = "--known-by goes with --occurred-at: without it, A and B themselves are what was known by then"
        raise InvalidEvent(msg)
    with options.reading(data, log, read_only=read_only) as store:
        is_known = known.note_account(store, account)
        shown = options.presenter(store, zone, account, exact=exact)
        if occurred_at:
            sides = [
                _happened(store, text, by, shown)
                for text, by in zip((first, second), known_by or ("", ""), strict=True)
            ]
        else:
            sides = [_recorded(store, text, shown) for text in (first, second)]
        earlier, later = sorted(sides)
        changes = _between(store, earlier, later, account)
        missing = options.missing_tail(store)
    if as_json:
        put_json(_document(log, (earlier, later), changes, shown) | missing)
    else:
        put(f"log {log}, {_span(earlier, later, shown)}")
        put()
        put_table("Changes", COLUMNS, [change_row(change, shown) for change in changes], shown=rows)
    if not is_known:
        outcome.wrong()


def _recorded(store: EventReader, text: str, shown: Presenter) -> Compared:
    instant = instants.instant_of(store, text, shown.zone)
    if instant.is_time:
        instants.note_outside(store, instant.at, shown)
    return Compared(None, instant.position, instant.at)


def _happened(store: EventReader, text: str, known_by: str, shown: Presenter) -> Compared:
    at = instants.time_of(store, text, shown.zone)
    instants.note_future(store, at, shown)
    if not known_by:
        return Compared(at, store.head(), options.clock_of(store).now_ns())
    return msgspec.structs.replace(_recorded(store, known_by, shown), occurred_at=at)


def _between(store: EventReader, earlier: Compared, later: Compared, account: str | None) -> tuple[Change, ...]:
    if earlier.occurred_at is None or later.occurred_at is None:
        return changes_between(store, earlier.recorded_at, later.recorded_at, account=account)
    return changes_between(
        store,
        earlier.occurred_at,
        later.occurred_at,
        account=account,
        occurred_at=True,
        known_by=(earlier.recorded_at, later.recorded_at),
    )


def _span(earlier: Compared, later: Compared, shown: Presenter) -> str:
    if earlier.occurred_at is None or later.occurred_at is None:
        return f"after position {earlier.position:,} and up to {later.position:,}"
    sides = ((earlier.occurred_at, earlier.position), (later.occurred_at, later.position))
    return " and ".join(f"at {shown.time(at)} as known by position {position:,}" for at, position in sides)


def _document(
    log: str, sides: tuple[Compared, Compared], changes: tuple[Change, ...], shown: Presenter
) -> dict[str, Any]:
    document: dict[str, Any] = {"log": log, "first": sides[0].position, "second": sides[1].position}
    instants_asked = [side.occurred_at for side in sides if side.occurred_at is not None]
    if instants_asked:
        document["occurred_at"] = [format_time(at, shown.document_zone) for at in instants_asked]
    return document | {"changes": [plain(change, shown.document_zone) for change in changes]}


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
