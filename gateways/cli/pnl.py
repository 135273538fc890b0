"""`pnl`: the profit and loss of each symbol from one trading day to another."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
import typer

from eventstore import InvalidEvent, UnknownContract
from eventstore.trading import Cost
from gateways.cli import options
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.cli.queries import open_account_query
from gateways.presenting.documents import plain
from gateways.presenting.output import note, put_json, put_table
from gateways.presenting.presenter import Presenter
from gateways.presenting.rows import PNL_COLUMNS, pnl_row, uncertain_pnl_lines
from projections import Book, PartitionParked
from projections.views.executions.pnl import PnlTotals

From = Annotated[str | None, typer.Option("--from", metavar="DAY", help="First trading day, for example 2025-11-19.")]
To = Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last trading day, included.")]
Days = Annotated[bool, typer.Option("--days", help="Show each day separately.")]

Span = tuple[date | None, date | None]


class PnlLine(msgspec.Struct, frozen=True):
    """An account's profit and loss in one symbol, side and currency; `day` is None for the whole span."""

    account: str
    day: str | None
    totals: PnlTotals


@options.command(url=True, read_only=True, zone=True, exact=True)
def pnl(
    common: CommonOptions,
    *,
    account: options.Account = None,
    first: From = None,
    last: To = None,
    days: Days = False,
    rows: options.Rows = options.ROWS,
) -> None:
    """Show realized profit and loss, fees and fills by symbol, from one trading day to another.

    What belongs to no known trading day counts for its date in UTC, marked with `~`. The newest 400 days are kept.
    """
    span = _day("--from", first), _day("--to", last)
    with open_account_query(common, account) as query:
        with query.open_book() as book:
            lines, failed = _gather(book, account, span, days=days)
        if common.as_json:
            put_json([_document(line, query.shown) for line in lines])
        else:
            rows_of_lines = [pnl_row(line.account, line.day, line.totals, query.shown) for line in lines]
            notes = [
                text
                for line in lines
                for text in uncertain_pnl_lines(
                    line.account,
                    _what(line),
                    unpriced=line.totals.unpriced,
                    uncertain_fees=line.totals.uncertain_fees,
                )
            ]
            put_table(_title({line.totals.cost for line in lines}), PNL_COLUMNS, rows_of_lines, shown=rows, notes=notes)
        if failed:
            end_with_problem()


def _title(costs: set[Cost]) -> str:
    if costs == {Cost.AVERAGE}:
        return "Realized, by average cost"
    return "Realized, by each account's method" if len(costs) > 1 else "Realized, first in, first out"


def _day(option: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as e:
        msg = f"{option} {text!r:.80} is not the date of a trading day: write it like 2025-11-19"
        raise InvalidEvent(msg) from e


def _gather(book: Book, account: str | None, span: Span, *, days: bool) -> tuple[list[PnlLine], bool]:
    """Return the lines of one account or all, and whether those of an account are missing."""
    lines: list[PnlLine] = []
    failed = False
    for name in book.accounts.known() if account is None else (account,):
        try:
            # Also called when each day is shown separately, because it rejects an invalid span.
            totals = book.pnl.span(name, *span, by_symbol=True)
            lines += _of_days(book, name, span) if days else [PnlLine(name, None, each) for each in totals]
        except (PartitionParked, UnknownContract) as e:
            note(f"{name}: {e}")
            failed = True
    return lines, failed


def _of_days(book: Book, account: str, span: Span) -> list[PnlLine]:
    first, last = (None if day is None else day.isoformat() for day in span)
    return [
        PnlLine(account, name, each)
        for name, totals in book.pnl.days(account, by_symbol=True)
        if (first or "") <= name.removeprefix("~") <= (last or "~")
        for each in totals
    ]


def _what(line: PnlLine) -> str:
    return " ".join(each for each in (line.day, line.totals.symbol) if each is not None)


def _document(line: PnlLine, shown: Presenter) -> dict[str, Any]:
    totals: dict[str, Any] = plain(line.totals, shown.document_zone)
    return {"account": line.account, "day": line.day, **totals}
