"""`changes`: every limit, unlock, correction and reopening, by whom, when, and with what effect."""

from __future__ import annotations

from typing import Annotated

import typer

from gateways.cli import entries, options, records
from gateways.cli.options import CommonOptions
from gateways.cli.queries import open_query
from projections.auditing import selection_of_changes, walk

By = Annotated[
    str | None,
    typer.Option(
        "--by", metavar="NAME", help="Only what this actor recorded: user@host/program, or user, in any case."
    ),
]


@options.command(url=True, read_only=True, zone=True, exact=True)
def changes(
    common: CommonOptions,
    *,
    by: By = None,
    account: options.Account = None,
    start: entries.Start = None,
    stop: entries.Stop = None,
    after: entries.After = 0,
    limit: entries.Limit = None,
) -> None:
    """Show who changed what of the limits, lockouts and settings, and what was corrected or reopened.

    That is what people do: limits, groups, blackouts, settings and protection modes; lockouts that were cleared, or set
    by hand; corrections of trades, positions and equity; reopened accounts; approvals and signed days. Fields are those
    of `timeline`.
    """
    with open_query(common, account) as query:
        first, last = (entries.time_of(query, text) for text in (start, stop))
        selection = selection_of_changes(by=by, account=account, start=first, stop=last)
        found = walk(query.store, selection, after=after, zone=query.shown.zone)
        if not entries.put_entries(found, query, limit, as_json=common.as_json):
            records.note_no_records(query, account, None)
