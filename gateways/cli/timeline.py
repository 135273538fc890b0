"""`timeline`: what was recorded, each record as a sentence with what it changed and what marks it."""

from __future__ import annotations

from typing import Annotated

import typer

from gateways.cli import entries, options, records
from gateways.cli.options import CommonOptions
from gateways.cli.queries import open_query
from projections.auditing import TimelineSelection, walk
from projections.auditing.timeline import page

PAGE_MAX = 10_000
"""In the order of occurrence, each page looks at all records: a large one is rarely followed by another."""

By = Annotated[
    str | None,
    typer.Option(
        "--by", metavar="NAME", help="Only what this actor recorded: user@host/program, or user, in any case."
    ),
]
OccurredAt = Annotated[
    bool, typer.Option("--occurred-at", help="In the order of when it happened, bounds included, not of recording.")
]


@options.command(url=True, read_only=True, zone=True, exact=True)
def timeline(
    common: CommonOptions,
    *,
    account: options.Account = None,
    types: records.Types = None,
    by: By = None,
    start: entries.Start = None,
    stop: entries.Stop = None,
    occurred_at: OccurredAt = False,
    after: entries.After = 0,
    limit: entries.Limit = None,
) -> None:
    """Show each record as a sentence, with what it changed and what marks it: late, repeated, corrected, busted.

    When piped, fields are tab-separated: position, recorded_at, occurred_at, account, actor, sentence, changes, marks,
    tags; with --json, one JSON object each.
    """
    with open_query(common, account) as query:
        first, last = (entries.time_of(query, text, occurred=occurred_at) for text in (start, stop))
        selection = TimelineSelection.of(
            account=account,
            types=types,
            actor=by,
            start=first,
            stop=last,
            by="occurred" if occurred_at else "recorded",
        )
        zone = query.shown.zone
        if occurred_at:
            most = PAGE_MAX if limit is None else min(PAGE_MAX, limit + 1)
            found = entries.pages(
                lambda following: page(query.store, selection, after=following, limit=most, zone=zone), after
            )  # fmt: skip
        else:
            found = walk(query.store, selection, after=after, zone=zone)
        if not entries.put_entries(found, query, limit, as_json=common.as_json):
            records.note_no_records(query, account, types)
