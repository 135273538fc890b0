"""`shadow`: what limits would have done to an account, beside the figures and the locks of its firm."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from eventstore import InvalidEvent
from eventstore.streams import check_name
from gateways.cli import names, options
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.lockouts import AccountName
from gateways.cli.options import CommonOptions
from gateways.cli.queries import LogQuery, open_query
from gateways.presenting.documents import plain
from gateways.presenting.output import put, put_json, put_table
from gateways.presenting.presenter import NONE, Presenter
from gateways.presenting.protection import mode_line
from projections.views.limits.protection import Mode

if TYPE_CHECKING:
    from projections.analysis.shadow import BesideFirm, FirmFigure, FirmLock

From = Annotated[str | None, typer.Option("--from", metavar="DAY", help="First trading day, for example 2025-11-19.")]
To = Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last trading day, included.")]

_FIGURES = ("day", "rule", "what", ">ours", ">the firm's", ">difference", "in", "status", "~why")
_LOCKS = ("day", "made by", "rule", "here", "until", "the firm", "~reason")


@options.command(url=True, read_only=True, zone=True, exact=True)
def shadow(
    common: CommonOptions,
    account: AccountName,
    *,
    first: From = None,
    last: To = None,
    rows: options.Rows = options.ROWS,
) -> None:
    """Show what an account's limits would have done, beside what its firm reports, day by day.

    Each figure of a limit that the firm reports (LimitReported) beside ours at that instant, and each lock that the
    firm did not make, or made without us. Exit code 1 if a figure or a lock differs.
    """
    # What frames are made with takes as long to import as all else: other commands, and `stop` above all, do without.
    from projections.analysis.shadow import beside_the_firm

    check_name("account", account)
    span = _day("--from", first), _day("--to", last)
    with open_query(common, account) as query:
        names.check_account(query.store, account)
        with query.open_book(with_groups=True) as book:
            held, waiting = book.shadow.setting(account), book.shadow.pending(account)
            found = beside_the_firm(book, account, first=span[0], last=span[1])
        if common.as_json:
            _put_json(found, held, waiting, query)
        else:
            put(mode_line(held, waiting, account, query.shown))
            put()
            _put(found, query.shown, rows)
    if any(each.differs for each in found.figures) or any(each.differs for each in found.locks):
        end_with_problem()


def _day(option: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        msg = f"{option} {text}: expected a trading day, for example 2025-11-19"
        raise InvalidEvent(msg) from None


def _put_json(found: BesideFirm, held: Mode | None, waiting: Mode | None, query: LogQuery) -> None:
    zone = query.shown.document_zone
    modes = {"mode": None if held is None else plain(held, zone), "pending": waiting and plain(waiting, zone)}
    put_json(plain(found, zone) | modes | query.missing_tail)


def _put(found: BesideFirm, shown: Presenter, rows: int) -> None:
    notes = [f"the firm has never reported {rule_id}" for rule_id in found.never_reported]
    figures = [_figure_row(each, shown) for each in found.figures]
    put_table("Figures beside the firm's", _FIGURES, figures, shown=rows, notes=notes)
    if not figures:
        for line in notes:
            put(line)
    put_table("Lockouts beside the firm's", _LOCKS, [_lock_row(each, shown) for each in found.locks], shown=rows)


def _figure_row(each: FirmFigure, shown: Presenter) -> tuple[str, ...]:
    amounts = [shown.money(amount, each.currency) for amount in (each.ours, each.theirs, each.difference)]
    status = NONE if each.status is None else str(each.status)
    return (each.day.isoformat(), each.rule_id, each.what, *amounts, each.currency or NONE, status, each.why or NONE)


def _lock_row(each: FirmLock, shown: Presenter) -> tuple[str, ...]:
    rule = each.rule_id or NONE
    here = shown.time(each.ours_at) + (", in shadow" if each.would else "")
    return (
        *(each.day.isoformat(), each.made_by, rule, here),
        *(shown.time(each.ours_until), shown.time(each.firm_at), each.reason or NONE),
    )
