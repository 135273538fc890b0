"""`note`: a text, tags or both on a record, an order, a lockout or a day of an account."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Annotated

import typer

from eventstore import EventStore
from eventstore.clock import derived_times
from eventstore.ids import new_ids
from eventstore.streams import check_name, stream_of
from eventstore.trading import NoteAdded
from gateways.cli import lockouts, names, options, records, stores, zones
from gateways.cli.options import CommonOptions
from gateways.presenting.note_targets import target_of, trading_days
from projections import open as open_book

Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET", help="A log position, a record's id, a stream such as order/ACC1/O-17, or a day: 2025-11-19."
    ),
]
Text = Annotated[str, typer.Argument(metavar="[TEXT]", help="What to say about it.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="Tag to group by; repeatable.")]


@options.command(zone=True)
def note(
    common: CommonOptions,
    account: lockouts.AccountName,
    target: Target,
    text: Text = "",
    *,
    tags: Tags = None,
    actor: options.Actor = None,
) -> None:
    """Add a note to a trade, an order, a lockout or a day of an account: a text, tags or both.

    A lockout is named by its stream, for example lockout/ACC1/daily-loss; a trade by the position or id of its record.
    """
    check_name("account", account)
    with stores.open_existing(common) as store:
        names.check_account(store, account)
        shown = zones.presenter(common, store, account)
        head = store.head()
        about = target_of(store, account, target, lambda: _days(store, account))
        event = NoteAdded(target=about, text=text, tags=tuple(tags or ()))
        id_ = uuid.UUID(bytes=new_ids(1, store.clock.now_ns())[0])
        with derived_times():
            [record] = store.append(stream_of("note", account, str(id_)), event, actor=actor)
        records.put_appended(record, head, shown, as_json=common.as_json)


def _days(store: EventStore, account: str) -> set[date]:
    with open_book(store, accounts=[account]) as book:
        return trading_days(book, account)
