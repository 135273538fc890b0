"""`tail`: the last records, and with --follow each new one."""

from __future__ import annotations

import sys
from collections import deque
from typing import Annotated, Any

import typer

from eventstore import EventReader, Record
from gateways.cli import options, records
from gateways.cli.options import CommonOptions
from gateways.cli.queries import open_query

Last = Annotated[int, typer.Option("-n", "--last", min=0, help="Number of records.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Continue with each new record until Ctrl-C.")]

_LOOKED_AT_MIN = 1_000


@options.command(url=True, read_only=True, zone=True, exact=True)
def tail(
    common: CommonOptions,
    *,
    last: Last = 10,
    follow: Follow = False,
    stream: records.Stream = None,
    account: options.Account = None,
    types: records.Types = None,
) -> None:
    """Print the last records, and with --follow each new one as it is committed."""
    with open_query(common, account or records.account_of_pattern(stream)) as query:
        head = query.store.head()
        selection: dict[str, Any] = {"stream": stream, "account": account, "types": types}
        newest = _newest(query.store, head, min(last, head), selection)
        if not records.put_records(newest, query, as_json=common.as_json) and not follow:
            records.note_no_records(query, account, types)
        if follow:
            sys.stdout.flush()
            for record in query.store.follow(after=head, **selection):
                records.put_records([record], query, as_json=common.as_json)
                sys.stdout.flush()


def _newest(store: EventReader, head: int, count: int, selection: dict[str, Any]) -> deque[Record]:
    """Return the last matching records, looking further back only while there are too few."""
    span = max(4 * count, _LOOKED_AT_MIN)
    while True:
        found = deque(store.read(after=max(head - span, 0), until=head, **selection), maxlen=count)
        if len(found) == count or span >= head:
            return found
        span *= 8
