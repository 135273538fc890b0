"""`read` and `tail`: records as lines, narrowed by stream, account, type, place and time."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from eventstore import EventReader, Record
from eventstore.clock import NANOSECONDS
from gateways.cli import instants, known, options
from gateways.cli.events import unknown_types
from gateways.presenting.documents import readable_data, record_json
from gateways.presenting.escaping import escaped, escaped_json
from gateways.presenting.output import note, put, put_fields, put_json, screen
from gateways.presenting.presenter import Presenter
from gateways.presenting.tables import cut, wrapped
from projections import SHARED

Stream = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only this stream, or a prefix that ends in a slash: order/ACC1/.")
]
Types = Annotated[list[str] | None, typer.Option("--type", metavar="TYPE", help="Only this type; may be repeated.")]
After = Annotated[int, typer.Option(min=0, metavar="POSITION", help="Only what comes past this position.")]
Limit = Annotated[int | None, typer.Option(min=0, help="At most so many records.")]
Start = Annotated[
    str | None, typer.Option(metavar="INSTANT", help="From this time of recording, position or mark on, included.")
]
Stop = Annotated[str | None, typer.Option(metavar="INSTANT", help="Up to this one, which is not included.")]
Last = Annotated[int, typer.Option("-n", "--last", min=0, help="How many of the last records.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with each new record until Ctrl-C.")]


def read(  # noqa: PLR0917 - typer names them all
    stream: Stream = None,
    account: options.Account = None,
    types: Types = None,
    after: After = 0,
    limit: Limit = None,
    start: Start = None,
    stop: Stop = None,
    data: options.Data = options.DATA,
    log: options.Log = options.LOG,
    read_only: options.ReadOnlyFlag = False,
    as_json: options.Json = False,
    zone: options.Zone = None,
    exact: options.Exact = False,
) -> None:
    """Print records, oldest first: a line each; with --json, a JSON object each.

    When piped, tab-separated fields: position, recorded_at, occurred_at, stream, version, type, data. On a terminal,
    a line that is too long ends in …; --exact shows it whole.
    """
    options.zone_of(zone)
    with options.reading(data, log, read_only=read_only) as store:
        shown = options.presenter(store, zone, account or _account_of(stream), exact=exact)
        first = after if start is None else max(after, _before(store, start, shown))
        last = None if stop is None else _before(store, stop, shown)
        found = store.read(after=first, until=last, limit=limit, stream=stream, account=account, types=types)
        if not _put_all(found, options.missing_tail(store), shown, as_json=as_json):
            _say_why_nothing(store, account, types)


def tail(  # noqa: PLR0917 - typer names them all
    last: Last = 10,
    follow: Follow = False,
    stream: Stream = None,
    account: options.Account = None,
    types: Types = None,
    data: options.Data = options.DATA,
    log: options.Log = options.LOG,
    read_only: options.ReadOnlyFlag = False,
    as_json: options.Json = False,
    zone: options.Zone = None,
    exact: options.Exact = False,
) -> None:
    """Print the last records, and with --follow each new one as it is committed."""
    options.zone_of(zone)
    with options.reading(data, log, read_only=read_only) as store:
        shown = options.presenter(store, zone, account or _account_of(stream), exact=exact)
        head = store.head()
        narrowed: dict[str, Any] = {"stream": stream, "account": account, "types": types}
        newest, missing = _newest(store, head, min(last, head), narrowed), options.missing_tail(store)
        if not _put_all(newest, missing, shown, as_json=as_json) and not follow:
            _say_why_nothing(store, account, types)
        if follow:
            sys.stdout.flush()
            for record in store.follow(after=head, **narrowed):
                _put_all([record], missing, shown, as_json=as_json)
                sys.stdout.flush()


def _account_of(stream: str | None) -> str | None:
    """Return the account that a stream's name or prefix gives, None where it leaves that open."""
    parts = (stream or "").split("/")
    return parts[1] or None if len(parts) > 2 else None  # noqa: PLR2004 - category/account/entity


def _before(store: EventReader, text: str, shown: Presenter) -> int:
    """Return the last position before an instant: before a position itself, or recorded before a time."""
    instant = instants.instant_of(store, text, shown.zone)
    return max(store.position_at(max(instant.at - 1, 0)) if instant.at else 0, 0)


def _newest(store: EventReader, head: int, count: int, narrowed: dict[str, Any]) -> deque[Record]:
    """Return the last matching records, looking further back only while there are too few."""
    span = max(4 * count, 1_000)
    while True:
        records = deque(store.read(after=max(head - span, 0), until=head, **narrowed), maxlen=count)
        if len(records) == count or span >= head:
            return records
        span *= 8


def _put_all(records: Iterable[Record], missing: dict[str, Any], shown: Presenter, *, as_json: bool) -> int:
    count = 0
    columns = screen().width if sys.stdout.isatty() else 0
    for record in records:
        count += 1
        if as_json:
            put_json(record_json(record, shown.document_zone) | missing)
        elif columns:
            _put_on_screen(record, shown, columns)
        else:
            put_fields(_fields(record, shown))
    return count


def _fields(record: Record, shown: Presenter) -> tuple[str, ...]:
    times = (shown.time(record.recorded_at), shown.time(record.occurred_at))
    data = escaped_json(readable_data(record, shown.time))
    return (str(record.position), *times, record.stream, str(record.version), record.type, data)


def _put_on_screen(record: Record, shown: Presenter, columns: int) -> None:
    """Print a few lines of a record, cut with an ellipsis where they are wider than the screen, unless exact."""
    position, recorded_at, occurred_at, stream, version, type_, data = map(escaped, _fields(record, shown))
    # What a live log takes happened just before; only where the two times tell a story are both shown.
    apart = abs(record.recorded_at - record.occurred_at) > NANOSECONDS
    lines = [f"{type_}  {stream} v{version}", f"recorded {recorded_at}"]
    if apart:
        lines.append(f"occurred {occurred_at}")
    lines.append(data)
    for number, line in enumerate(lines):
        margin = f"{'' if number else position:>8}  "
        room = max(columns - len(margin), 1)
        for part in wrapped(line, room) if shown.exact else [cut(line, room)]:
            put(margin + part)
            margin = " " * len(margin)


def _say_why_nothing(store: EventReader, account: str | None, types: list[str] | None) -> None:
    note("no matching records")
    if account != SHARED:
        known.note_account(store, account)
    for sentence in unknown_types(types or []):
        note(sentence)
