"""`read` and `tail`: records as lines, narrowed by stream, account, type, place and time."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable
from datetime import tzinfo
from typing import Annotated, Any

import typer

from eventstore import EventReader, Record
from eventstore.clock import NANOSECONDS, format_time
from gateways.cli import options
from gateways.cli.events import unknown_types
from gateways.cli.output import note, printable, put, put_json, screen
from gateways.cli.plain import record_json

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
    as_json: options.Json = False,
    zone: options.Zone = options.UTC_NAME,
) -> None:
    """Print records, oldest first: a line each; with --json, a JSON object each.

    The fields of a line on a pipe, parted by tabs: position, recorded_at, occurred_at, stream, version, type, data.
    """
    chosen = options.zone_of(zone)
    with options.reading(data, log) as store:
        first = after if start is None else max(after, _before(store, start))
        last = None if stop is None else _before(store, stop)
        found = store.read(after=first, until=last, limit=limit, stream=stream, account=account, types=types)
        if not _put_all(found, chosen, as_json=as_json):
            _say_why_nothing(types)


def tail(  # noqa: PLR0917 - typer names them all
    last: Last = 10,
    follow: Follow = False,
    stream: Stream = None,
    account: options.Account = None,
    types: Types = None,
    data: options.Data = options.DATA,
    log: options.Log = options.LOG,
    as_json: options.Json = False,
    zone: options.Zone = options.UTC_NAME,
) -> None:
    """Print the last records, and with --follow each new one as it is committed."""
    chosen = options.zone_of(zone)
    with options.reading(data, log) as store:
        head = store.head()
        narrowed: dict[str, Any] = {"stream": stream, "account": account, "types": types}
        if not _put_all(_newest(store, head, min(last, head), narrowed), chosen, as_json=as_json) and not follow:
            _say_why_nothing(types)
        if follow:
            sys.stdout.flush()
            for record in store.follow(after=head, **narrowed):
                _put_all([record], chosen, as_json=as_json)
                sys.stdout.flush()


def _before(store: EventReader, text: str) -> int:
    """Return the last position before an instant: before a position itself, or recorded before a time."""
    instant = options.instant_of(store, text)
    return max(store.position_at(max(instant.at - 1, 0)) if instant.at else 0, 0)


def _newest(store: EventReader, head: int, count: int, narrowed: dict[str, Any]) -> deque[Record]:
    """Return the last records that fit, looking further back only while there are too few."""
    span = max(4 * count, 1_000)
    while True:
        records = deque(store.read(after=max(head - span, 0), until=head, **narrowed), maxlen=count)
        if len(records) == count or span >= head:
            return records
        span *= 8


def _put_all(records: Iterable[Record], zone: tzinfo, *, as_json: bool) -> int:
    count = 0
    columns = screen().width if sys.stdout.isatty() else 0
    for record in records:
        count += 1
        if as_json:
            put_json(record_json(record, zone))
        elif columns:
            _put_on_screen(record, zone, columns)
        else:
            put("\t".join(_fields(record, zone)))
    return count


def _fields(record: Record, zone: tzinfo) -> tuple[str, ...]:
    times = (format_time(record.recorded_at, zone), format_time(record.occurred_at, zone))
    text = printable(record.data.decode("utf-8", "backslashreplace"))
    return (str(record.position), *times, record.stream, str(record.version), record.type, text)


def _put_on_screen(record: Record, zone: tzinfo, columns: int) -> None:
    """Print a few lines of a record, none longer than the screen is wide."""
    position, recorded_at, occurred_at, stream, version, type_, data = _fields(record, zone)
    # What a live log takes happened just before; only where the two times tell a story are both shown.
    apart = abs(record.recorded_at - record.occurred_at) > NANOSECONDS
    lines = [f"{position:>8}  {type_}  {stream} v{version}", f"{'':8}  recorded {recorded_at}"]
    if apart:
        lines.append(f"{'':8}  occurred {occurred_at}")
    for line in (*lines, f"{'':8}  {data}"):
        put(line if len(line) <= columns else line[: columns - 1] + "…")


def _say_why_nothing(types: list[str] | None) -> None:
    note("no record fits")
    for sentence in unknown_types(types or []):
        note(sentence)
