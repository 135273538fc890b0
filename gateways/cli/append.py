"""`append`: one event into the log, checked before anything is written."""

from __future__ import annotations

import sys
from datetime import UTC, tzinfo
from typing import Annotated

import typer

from eventstore import InvalidEvent
from eventstore.clock import derived_times
from eventstore.events.registry import by_class
from eventstore.streams import account_of
from eventstore.trading import LimitsSet, Marked
from gateways.cli import instants, options, records, stores, zones
from gateways.cli.approve import note_waiting
from gateways.cli.event_json import event_of
from gateways.cli.options import CommonOptions
from projections.views.limits.parameters import refuse_unreadable

Stream = Annotated[
    str, typer.Argument(metavar="STREAM", help="Stream: category/account/entity, for example order/ACC1/O-17.")
]
Type = Annotated[str, typer.Argument(metavar="TYPE", help="Event type, for example OrderSubmitted.")]
Members = Annotated[str, typer.Argument(metavar="JSON", help="Members of the event as a JSON object; - reads stdin.")]
Expected = Annotated[int | None, typer.Option(min=0, help="Version the stream must have; 0 for a new stream.")]
Key = Annotated[str | None, typer.Option(help="Idempotency key: repeating it is a no-op.")]


@options.command(service=True, zone=True)
def append(
    common: CommonOptions,
    stream: Stream,
    type: Type,
    members: Members,
    *,
    expected: Expected = None,
    key: Key = None,
    occurred_at: options.OccurredAt = None,
    note: options.Note = "",
    actor: options.Actor = None,
) -> None:
    """Append one event and print its record once it is on disk.

    Instants in JSON may be text, as for --occurred-at. A store that does not exist yet is created.
    """
    zone = _zone_of_input(common, stream)
    event = event_of(type, sys.stdin.read() if members == "-" else members, zone)
    # Whatever can be rejected is rejected before a store is created.
    account_of(stream)
    kind = by_class(event.__class__)
    kind.check_category(stream)
    if kind.requires_actor and not (actor and actor.strip()):
        msg = f"{kind.name} requires an actor: give --actor"
        raise InvalidEvent(msg)
    if isinstance(event, Marked):
        instants.check_mark_name(event.name)
    if isinstance(event, LimitsSet):
        refuse_unreadable(event, stream)
    # What is given as a number is checked by now; the other times are read from text, or taken from the log.
    with derived_times(), stores.open_or_create(common) as store:
        head = store.head()
        appended = store.append(
            stream,
            event,
            expected=expected,
            key=key,
            occurred_at=None if occurred_at is None else instants.time_of(store, occurred_at, zone),
            actor=actor,
            note=note,
        )
        records.put_appended(appended[0], head, zones.presenter(common), as_json=common.as_json)
        note_waiting(store, appended[0], zones.presenter(common))


def _zone_of_input(common: CommonOptions, stream: str) -> tzinfo:
    """Return the zone in which times without an offset are read; nothing is created to find it."""
    if common.zone is not None or not (stores.exists(common) or stores.is_service(common)):
        return common.zone or UTC
    with stores.open_reader(common) as store:
        return zones.presenter(common, store, account_of(stream)).zone
