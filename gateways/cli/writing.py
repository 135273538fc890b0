"""`append` and `mark`: facts into the log, checked by name before anything is written."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from eventstore import Record
from eventstore.trading import Marked
from gateways.cli import options
from gateways.cli.events import event_of
from gateways.cli.output import note as say
from gateways.cli.output import put, put_json
from gateways.cli.plain import record_json

Stream = Annotated[str, typer.Argument(metavar="STREAM", help="category/account/entity, as order/ACC1/O-17.")]
Type = Annotated[str, typer.Argument(metavar="TYPE", help="The event's name, as OrderSubmitted.")]
Members = Annotated[str, typer.Argument(metavar="JSON", help="Its members as a JSON object; - reads stdin.")]
Expected = Annotated[int | None, typer.Option(min=0, help="The version the stream must have, 0 for a new one.")]
Key = Annotated[str | None, typer.Option(help="A text that names the fact: repeated, it adds nothing.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="What to call this instant, as end-of-day.")]


def append(  # noqa: PLR0917 - typer names them all
    stream: Stream,
    type: Type,
    members: Members,
    expected: Expected = None,
    key: Key = None,
    occurred_at: options.OccurredAt = None,
    note: options.Note = "",
    actor: options.Actor = None,
    data: options.Data = options.DATA,
    log: options.Log = options.LOG,
    as_json: options.Json = False,
    zone: options.Zone = options.UTC_NAME,
) -> None:
    """Append one event and print its record once it is on disk.

    Times among its members may be ISO 8601 with a zone. A store that is not there yet is created.
    """
    event = event_of(type, sys.stdin.read() if members == "-" else members)
    with options.writing(data, log) as store:
        head = store.head()
        records = store.append(
            stream,
            event,
            expected=expected,
            key=key,
            occurred_at=None if occurred_at is None else options.time_of(store, occurred_at),
            actor=actor,
            note=note,
        )
        _tell(records[0], head, as_json=as_json, zone=zone)


def mark(  # noqa: PLR0917 - typer names them all
    name: Name,
    occurred_at: options.OccurredAt = None,
    note: options.Note = "",
    actor: options.Actor = None,
    data: options.Data = options.DATA,
    log: options.Log = options.LOG,
    as_json: options.Json = False,
    zone: options.Zone = options.UTC_NAME,
) -> None:
    """Give this instant of the log a name, which as-of and diff then understand."""
    with options.opened(data, log) as store:
        head = store.head()
        at = None if occurred_at is None else options.time_of(store, occurred_at)
        stream = f"mark/-/{name.replace('/', '%2F')}"
        records = store.append(stream, Marked(name=name), occurred_at=at, actor=actor, note=note)
        _tell(records[0], head, as_json=as_json, zone=zone)


def _tell(record: Record, head: int, *, as_json: bool, zone: str) -> None:
    if record.position <= head:
        say(
            f"this key was recorded before, with the same content: nothing was added, position {record.position} stands"
        )
    if as_json:
        put_json(record_json(record, options.zone_of(zone)))
    else:
        put(f"position {record.position}  {record.stream} version {record.version}  id {record.uuid}")
