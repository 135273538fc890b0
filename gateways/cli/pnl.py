"""`pnl`: what each symbol made from one trading day to another."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
import typer

from eventstore import InvalidEvent, UnknownContract
from gateways.cli import known, options, outcome
from gateways.presenting.documents import plain
from gateways.presenting.output import ROWS_SHOWN, note, progress, put_json, put_table
from gateways.presenting.presenter import NONE, Presenter
from projections import Book, PartitionParked
from projections import open as open_book
from projections.views.executions.pnl import PnlTotals

From = Annotated[str | None, typer.Option("--from", metavar="DAY", help="First trading day, as 2025-11-19.")]
To = Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last trading day, included.")]
Days = Annotated[bool, typer.Option("--days", help="Each day by itself.")]
Rows = Annotated[int, typer.Option(min=0, help="At most so many rows of a table; 0 for all.")]

_COLUMNS = ("account", "day", "symbol", "side", "in", ">realized", ">fees", ">net", ">fills", ">volume")


class Line(msgspec.Struct, frozen=True):
    """What one account made in one symbol, side and currency; `day` is None where it is of the whole span."""

    account: str
    day: str | None
    made: PnlTotals


def pnl(  # noqa: PLR0917 - typer names them all
    account: options.Account = None,
    first: From = None,
    last: To = None,
    days: Days = False,
    rows: Rows = ROWS_SHOWN,
    data: options.Data = options.DATA,
    log: options.Log = options.LOG,
    read_only: options.ReadOnlyFlag = False,
    as_json: options.Json = False,
    zone: options.Zone = None,
    exact: options.Exact = False,
) -> None:
    """Show realized profit and loss, fees and fills by symbol, from one trading day to another.

    What lies in no known trading day counts for its date in UTC, with `~` before it. The newest 400 days are kept.
    """
    options.zone_of(zone)
    span = _day("--from", first), _day("--to", last)
    with options.reading(data, log, read_only=read_only) as store:
        is_known = known.note_account(store, account)
        shown = options.presenter(store, zone, account, exact=exact)
        accounts = None if account is None else [account]
        with progress("folding") as step, open_book(store, accounts=accounts, progress=step) as book:
            lines, failed = _gather(book, account, span, days=days)
    if as_json:
        put_json([_document(line, shown) for line in lines])
    else:
        put_table("Realized, first in, first out", _COLUMNS, [_row(line, shown) for line in lines], shown=rows)
    if failed or not is_known:
        outcome.wrong()


def _day(option: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as e:
        msg = f"{option} {text!r:.80} is not the date of a trading day: write it like 2025-11-19"
        raise InvalidEvent(msg) from e


def _gather(
    book: Book, account: str | None, span: tuple[date | None, date | None], *, days: bool
) -> tuple[list[Line], bool]:
    """Return what each account made, and whether that could not be said of one."""
    lines: list[Line] = []
    failed = False
    for name in book.accounts.known() if account is None else (account,):
        try:
            # Also where each day is shown by itself, this is what refuses a span that is none.
            made = book.pnl.span(name, *span, by_symbol=True)
            lines += _of_days(book, name, span) if days else [Line(name, None, each) for each in made]
        except (PartitionParked, UnknownContract) as e:
            note(f"{name}: {e}")
            failed = True
    return lines, failed


def _of_days(book: Book, account: str, span: tuple[date | None, date | None]) -> list[Line]:
    first, last = (None if day is None else day.isoformat() for day in span)
    return [
        Line(account, name, each)
        for name, made in book.pnl.days(account, by_symbol=True)
        if (first or "") <= name.removeprefix("~") <= (last or "~")
        for each in made
    ]


def _row(line: Line, shown: Presenter) -> tuple[str, ...]:
    made = line.made
    amounts = (shown.money(amount, made.currency) for amount in (made.realized, made.fees, made.net))
    place = (line.account, line.day or NONE, made.symbol or NONE, made.side or NONE, made.currency or NONE)
    return (*place, *amounts, f"{made.trades:,}", shown.quantity(made.volume))


def _document(line: Line, shown: Presenter) -> dict[str, Any]:
    made: dict[str, Any] = plain(line.made, shown.document_zone)
    return {"account": line.account, "day": line.day, **made}
