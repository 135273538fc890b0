"""Records as commands print them: a line or a JSON object each, and why there are none."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from eventstore import Record
from eventstore.clock import NANOSECONDS
from gateways.cli import names
from gateways.cli.event_json import unknown_types
from gateways.cli.queries import LogQuery
from gateways.presenting.documents import record_json
from gateways.presenting.escaping import escaped
from gateways.presenting.output import note, put, put_fields, put_json, screen
from gateways.presenting.presenter import Presenter
from gateways.presenting.rows import record_fields
from gateways.presenting.tables import cut, wrapped
from projections import SHARED

Stream = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Only this stream, or all with a prefix that ends in a slash: order/ACC1/."),
]
Types = Annotated[list[str] | None, typer.Option("--type", metavar="TYPE", help="Only this event type; repeatable.")]


def account_of_pattern(stream: str | None) -> str | None:
    """Return the account in the name or prefix of a stream; None if it has none."""
    parts = (stream or "").split("/")
    return parts[1] or None if len(parts) > 2 else None  # noqa: PLR2004 - category/account/entity


def put_records(records: Iterable[Record], query: LogQuery, *, as_json: bool) -> int:
    """Print records and return how many; on a terminal a line that is too long is cut, unless exact."""
    count = 0
    missing = query.missing_tail
    columns = screen().width if sys.stdout.isatty() else 0
    for record in records:
        count += 1
        if as_json:
            put_json(record_json(record, query.shown.document_zone) | missing)
        elif columns:
            _put_on_screen(record, query.shown, columns)
        else:
            put_fields(record_fields(record, query.shown))
    return count


def _put_on_screen(record: Record, shown: Presenter, columns: int) -> None:
    position, recorded_at, occurred_at, stream, version, type_, data = map(escaped, record_fields(record, shown))
    lines = [f"{type_}  {stream} v{version}", f"recorded {recorded_at}"]
    # What a live log records happened just before: the second time is shown only if it adds something.
    if abs(record.recorded_at - record.occurred_at) > NANOSECONDS:
        lines.append(f"occurred {occurred_at}")
    lines.append(data)
    for number, line in enumerate(lines):
        margin = f"{'' if number else position:>8}  "
        room = max(columns - len(margin), 1)
        for part in wrapped(line, room) if shown.exact else [cut(line, room)]:
            put(margin + part)
            margin = " " * len(margin)


def note_no_records(query: LogQuery, account: str | None, types: list[str] | None) -> None:
    """Print a note that no records match, and which name is unknown."""
    note("no matching records")
    if account != SHARED:
        names.note_account(query.store, account)
    for sentence in unknown_types(types or []):
        note(sentence)


def put_appended(record: Record, head: int, shown: Presenter, *, as_json: bool) -> None:
    """Print the record of an append; note if it was there before, at or before an earlier head."""
    if record.position <= head:
        note(f"already recorded under this key at position {record.position}, with the same content: nothing was added")
    if as_json:
        put_json(record_json(record, shown.document_zone))
    else:
        put(f"position {record.position}  {record.stream} version {record.version}  id {record.uuid}")
