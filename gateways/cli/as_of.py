"""`as-of`: what held at a past instant, as known then or by what had happened."""

from __future__ import annotations

from typing import Annotated

import typer

import projections
from eventstore import InvalidEvent
from gateways.cli import instants, names, options
from gateways.cli.options import CommonOptions
from gateways.cli.queries import LogQuery, open_account_query
from gateways.cli.summaries import put_summary
from gateways.presenting.book_summary import summarize
from projections import Book

Then = Annotated[str, typer.Argument(metavar="INSTANT", help=f"{instants.HELP}.")]
OccurredAt = Annotated[
    bool, typer.Option("--occurred-at", help="What was true at INSTANT by when events happened, as known now.")
]
KnownBy = Annotated[
    str | None, typer.Option(metavar="INSTANT", help="With --occurred-at: as known at this instant of the log.")
]
At = Annotated[
    str | None, typer.Option(metavar="INSTANT", help="Show the lockouts in force at this time instead of INSTANT.")
]


@options.command(url=True, read_only=True, zone=True, exact=True)
def as_of(
    common: CommonOptions,
    instant: Then,
    *,
    account: options.Account = None,
    occurred_at: OccurredAt = False,
    known_by: KnownBy = None,
    at: At = None,
    rows: options.Rows = options.ROWS,
) -> None:
    """Show the same as `state` at a past instant, which is included.

    By default what was known then, by when events were recorded; with --occurred-at what was true then, as far as is
    known now. Lockouts are those in force at that time; for a position or a mark, at the earlier of its record's two
    times.
    """
    if known_by is not None and not occurred_at:
        msg = "--known-by requires --occurred-at: without it, INSTANT itself is what was known by then"
        raise InvalidEvent(msg)
    with open_account_query(common, account) as query:
        book, lockouts_at = _happened(query, instant, known_by) if occurred_at else _recorded(query, instant)
        names.note_later_account(query.store, account, book.position)
        if at is not None:
            lockouts_at = instants.time_of(query.store, at, query.shown.zone)
        put_summary(summarize(book, query.store.log, lockouts_at, account), query, rows, common)


def _recorded(query: LogQuery, text: str) -> tuple[Book, int]:
    """Return the book as known at an instant, and the time to ask it for lockouts."""
    instant = instants.noted_instant_of(query.store, text, query.shown)
    return projections.as_of(query.store, position=instant.position, account=query.account), instant.lockouts_at


def _happened(query: LogQuery, text: str, known_by: str | None) -> tuple[Book, int]:
    """Return the book of what had happened by a time, as known now or at another instant, and that time."""
    at = instants.noted_time_of(query.store, text, query.shown)
    position = None
    if known_by is not None:
        position = instants.noted_instant_of(query.store, known_by, query.shown).position
    return projections.as_of(query.store, occurred_at=at, position=position, account=query.account), at
