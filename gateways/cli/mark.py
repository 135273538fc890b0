"""`mark`: a name for an instant of the log, which other commands take in its place."""

from __future__ import annotations

from typing import Annotated

import typer

from eventstore.clock import derived_times
from eventstore.streams import stream_of
from eventstore.trading import Marked
from gateways.cli import instants, options, records, stores, zones
from gateways.cli.options import CommonOptions

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name for this instant, for example end-of-day.")]


@options.command(service=True, zone=True)
def mark(
    common: CommonOptions,
    name: Name,
    *,
    occurred_at: options.OccurredAt = None,
    note: options.Note = "",
    actor: options.Actor = None,
) -> None:
    """Name the current instant of the log; commands that take an INSTANT then accept the name."""
    instants.check_mark_name(name)
    with stores.open_existing(common) as store:
        shown = zones.presenter(common, store)
        head = store.head()
        at = None if occurred_at is None else instants.time_of(store, occurred_at, shown.zone)
        stream = stream_of("mark", "-", name)
        with derived_times():  # read from text, or taken from the log
            appended = store.append(stream, Marked(name=name), occurred_at=at, actor=actor, note=note)
        records.put_appended(appended[0], head, shown, as_json=common.as_json)
