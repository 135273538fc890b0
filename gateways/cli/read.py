"""`read`: records by stream, account, type, position and time."""

from __future__ import annotations

from typing import Annotated

import typer

from gateways.cli import instants, options, records
from gateways.cli.options import CommonOptions
from gateways.cli.queries import LogQuery, open_query

After = Annotated[int, typer.Option(min=0, metavar="POSITION", help="Only records after this position.")]
Limit = Annotated[int | None, typer.Option(min=0, help="Maximum number of records.")]
Start = Annotated[
    str | None, typer.Option(metavar="INSTANT", help="From this time of recording, position or mark, included.")
]
Stop = Annotated[str | None, typer.Option(metavar="INSTANT", help="Up to this instant, not included.")]


@options.command(url=True, read_only=True, zone=True, exact=True)
def read(
    common: CommonOptions,
    *,
    stream: records.Stream = None,
    account: options.Account = None,
    types: records.Types = None,
    after: After = 0,
    limit: Limit = None,
    start: Start = None,
    stop: Stop = None,
) -> None:
    """Print records, oldest first: one line each; with --json, one JSON object each.

    When piped, fields are tab-separated: position, recorded_at, occurred_at, stream, version, type, data. On a
    terminal, a line that is too long ends in …; --exact shows it in full.
    """
    with open_query(common, account or records.account_of_pattern(stream)) as query:
        first = after if start is None else max(after, last_before(query, start))
        last = None if stop is None else last_before(query, stop)
        found = query.store.read(after=first, until=last, limit=limit, stream=stream, account=account, types=types)
        if not records.put_records(found, query, as_json=common.as_json):
            records.note_no_records(query, account, types)


def last_before(query: LogQuery, text: str) -> int:
    """Return the last position before an instant: before a position itself, or recorded before a time."""
    return query.store.position_before(instants.instant_of(query.store, text, query.shown.zone).recorded_at)
