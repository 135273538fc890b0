"""`state`: what holds now: orders, positions, profit and loss, lockouts and anomalies."""

from __future__ import annotations

from typing import Annotated

import typer

from gateways.cli import instants, options
from gateways.cli.options import CommonOptions
from gateways.cli.queries import open_account_query
from gateways.cli.summaries import put_summary
from gateways.presenting.book_summary import summarize

At = Annotated[
    str | None, typer.Option(metavar="INSTANT", help="Show the lockouts in force at this time instead of now.")
]


@options.command(url=True, read_only=True, zone=True, exact=True)
def state(
    common: CommonOptions, *, account: options.Account = None, at: At = None, rows: options.Rows = options.ROWS
) -> None:
    """Show open orders, positions with their profit and loss, lockouts in force, and anomalies."""
    with open_account_query(common, account) as query:
        lockouts_at = query.now_ns() if at is None else instants.time_of(query.store, at, query.shown.zone)
        with query.open_book(with_groups=True) as book:
            summary = summarize(book, query.store.log, lockouts_at, account)
        put_summary(summary, query, rows, common)
