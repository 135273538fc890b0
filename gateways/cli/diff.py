"""`diff`: what changed between two instants, and the records that changed it."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from eventstore import InvalidEvent
from gateways.cli import instants, options
from gateways.cli.options import CommonOptions
from gateways.cli.queries import LogQuery, open_account_query
from gateways.presenting.comparisons import ComparedSide, comparison_document, differences_between, views_named
from gateways.presenting.output import put, put_json, put_table
from gateways.presenting.presenter import Presenter
from gateways.presenting.rows import CHANGE_COLUMNS, change_row

First = Annotated[str, typer.Argument(metavar="A", help=f"First instant: {instants.HELP}.")]
Second = Annotated[str, typer.Argument(metavar="B", help="Second instant.")]
OccurredAt = Annotated[bool, typer.Option("--occurred-at", help="Compare what had happened by A and by B.")]
KnownBy = Annotated[
    tuple[str, str] | None,
    typer.Option(metavar="A B", help="With --occurred-at: as known at these two instants of the log; by default now."),
]

Views = Annotated[
    list[str] | None,
    typer.Option("--view", metavar="VIEW", help="Compare this view instead; may be repeated, and `all` means each."),
]


@options.command(url=True, read_only=True, zone=True, exact=True)
def diff(
    common: CommonOptions,
    first: First,
    second: Second,
    *,
    account: options.Account = None,
    occurred_at: OccurredAt = False,
    known_by: KnownBy = None,
    view: Views = None,
    rows: options.Rows = options.ROWS,
) -> None:
    """Show the orders, positions and lockouts that differ between two instants, and the records that changed them.

    With --view it compares others, such as limits, trades, days or notes, or `all` of them.

    By default it compares what was known at each; with --occurred-at what had happened, as known now or at two other
    instants. The same INSTANT twice, with two for --known-by, shows what was learned about it in between.
    """
    if known_by is not None and not occurred_at:
        msg = "--known-by requires --occurred-at: without it, A and B themselves are what was known by then"
        raise InvalidEvent(msg)
    views = views_named(view)
    with open_account_query(common, account) as query:
        if occurred_at:
            pairs = zip((first, second), known_by or ("", ""), strict=True)
            sides = [_happened(query, text, by) for text, by in pairs]
        else:
            sides = [_recorded(query, text) for text in (first, second)]
        earlier, later = sorted(sides)
        found = differences_between(query.store, (earlier, later), views, query.account)
        if common.as_json:
            document = comparison_document(common.log, (earlier, later), found, query.shown.document_zone)
            put_json(document | query.missing_tail)
        else:
            put(f"log {common.log}, {_span(earlier, later, query.shown)}")
            put()
            put_table("Changes", CHANGE_COLUMNS, [change_row(change, query.shown) for change in found], shown=rows)


def _recorded(query: LogQuery, text: str) -> ComparedSide:
    instant = instants.noted_instant_of(query.store, text, query.shown)
    return ComparedSide(None, instant.position, instant.recorded_at)


def _happened(query: LogQuery, text: str, known_by: str) -> ComparedSide:
    at = instants.noted_time_of(query.store, text, query.shown)
    if not known_by:
        return ComparedSide(at, query.store.head(), query.now_ns())
    return msgspec.structs.replace(_recorded(query, known_by), occurred_at=at)


def _span(earlier: ComparedSide, later: ComparedSide, presenter: Presenter) -> str:
    if earlier.occurred_at is None or later.occurred_at is None:
        return f"after position {earlier.log_position:,} and up to {later.log_position:,}"
    sides = ((earlier.occurred_at, earlier.log_position), (later.occurred_at, later.log_position))
    return " and ".join(f"at {presenter.time(at)} as known by position {position:,}" for at, position in sides)
