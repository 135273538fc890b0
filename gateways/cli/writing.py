"""`append` and `mark`: facts into the log, checked by name before anything is written."""

from __future__ import annotations

import sys
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated

import typer

from eventstore import InvalidEvent, Record
from eventstore.events.registry import by_class
from eventstore.store import journal_path
from eventstore.streams import account_of
from eventstore.trading import Marked
from gateways.cli import instants, options
from gateways.cli.events import event_of
from gateways.presenting.documents import record_json
from gateways.presenting.output import note as say
from gateways.presenting.output import put, put_json
from gateways.presenting.presenter import Presenter

Stream = Annotated[str, typer.Argument(metavar="STREAM", help="category/account/entity, as order/ACC1/O-17.")]
Type = Annotated[str, typer.Argument(metavar="TYPE", help="The event's name, as OrderSubmitted.")]
Members = Annotated[str, typer.Argument(metavar="JSON", help="Its members as a JSON object; - reads stdin.")]
Expected = Annotated[int | None, typer.Option(min=0, help="The version the stream must have, 0 for a new one.")]
Key = Annotated[str | None, typer.Option(help="Idempotency key: repeating it is a no-op.")]
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
    data: options.LocalData = options.DATA,
    log: options.Log = options.LOG,
    as_json: options.Json = False,
    zone: options.Zone = None,
) -> None:
    """Append one event and print its record once it is on disk.

    Instants among its members may be text, as for --occurred-at. A store that does not exist yet is created.
    """
    local = _zone_before(data, log, zone, stream)
    event = event_of(type, sys.stdin.read() if members == "-" else members, local)
    # What can be refused before a store is created leaves none behind.
    account_of(stream)
    kind = by_class(event.__class__)
    kind.check_category(stream)
    if kind.requires_actor and not (actor and actor.strip()):
        msg = f"{kind.name} needs to know who: give --actor"
        raise InvalidEvent(msg)
    if isinstance(event, Marked):
        instants.check_mark_name(event.name)
    with options.writing(data, log) as store:
        shown = options.presenter(store, zone)
        head = store.head()
        records = store.append(
            stream,
            event,
            expected=expected,
            key=key,
            occurred_at=None if occurred_at is None else instants.time_of(store, occurred_at, local),
            actor=actor,
            note=note,
        )
        _report(records[0], head, shown, as_json=as_json)


def mark(  # noqa: PLR0917 - typer names them all
    name: Name,
    occurred_at: options.OccurredAt = None,
    note: options.Note = "",
    actor: options.Actor = None,
    data: options.LocalData = options.DATA,
    log: options.Log = options.LOG,
    as_json: options.Json = False,
    zone: options.Zone = None,
) -> None:
    """Give this instant of the log a name, which as-of and diff then understand."""
    options.zone_of(zone)
    instants.check_mark_name(name)
    with options.opened(data, log) as store:
        shown = options.presenter(store, zone)
        head = store.head()
        at = None if occurred_at is None else instants.time_of(store, occurred_at, shown.zone)
        stream = f"mark/-/{name.replace('/', '%2F')}"
        records = store.append(stream, Marked(name=name), occurred_at=at, actor=actor, note=note)
        _report(records[0], head, shown, as_json=as_json)


def _zone_before(data: Path, log: str, zone: str | None, stream: str) -> tzinfo:
    """Return the zone of what is typed, before anything is written or created."""
    stated = options.zone_of(zone)
    if stated is not None or not journal_path(data, log).is_file():
        return stated or UTC
    with options.asking(data, log) as store:
        return options.presenter(store, zone, account_of(stream)).zone


def _report(record: Record, head: int, shown: Presenter, *, as_json: bool) -> None:
    if record.position <= head:
        say(
            f"this key was recorded before, with the same content: nothing was added, position {record.position} stands"
        )
    if as_json:
        put_json(record_json(record, shown.document_zone))
    else:
        put(f"position {record.position}  {record.stream} version {record.version}  id {record.uuid}")
