"""The rows of a log's type table: what mirrors, and processes without a type's class, go by."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.errors import CorruptJournal
from eventstore.events import Durability
from eventstore.journal import Fault, TypeRow, class_here, declared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_measures_of = msgspec.json.Decoder(tuple[str, ...]).decode


def type_of(row: Sequence[Any]) -> TypeRow:
    """Return a row of the type table as what it says; raise CorruptJournal where it cannot be read."""
    members = dict(zip(("name", "schema", "durability", "measures"), row, strict=True))
    try:
        return msgspec.convert(members | {"measures": _measures_of(members["measures"])}, TypeRow)
    except (TypeError, msgspec.MsgspecError) as e:
        raise CorruptJournal(0, f"the type table is damaged: {e}") from e


def row_of_type(kind: TypeRow) -> tuple[object, ...]:
    """Return what is stored of a type."""
    return kind.name, kind.schema, kind.durability, json.dumps(kind.measures)


def type_faults(occurring: set[tuple[Any, ...]], rows: Sequence[tuple[Any, ...]]) -> Iterator[Fault]:
    """Yield what is wrong with a type table, given the types and schemas that the records have."""
    stored = {row[:2]: row for row in rows}
    for name, schema in sorted(occurring - stored.keys(), key=repr):
        yield Fault(0, f"type {name} of schema {schema} is not in the type table")
    for (name, schema), row in sorted(stored.items(), key=repr):
        if (name, schema) not in occurring:
            yield Fault(0, f"the type table has type {name!r} of schema {schema}, which no record has: it was added")
        elif class_here(name, schema) is None:
            if not _is_type_row(row):
                yield Fault(0, f"the type table's row of type {name!r}, schema {schema}, is malformed: it was changed")
        elif row != (expected := row_of_type(declared(name, schema))):
            yield Fault(
                0,
                f"the type table has type {name} of schema {schema} with durability {row[2]!s:.40} and measures "
                f"{row[3]!s:.200}, its class has {expected[2]} and {expected[3]}: the table was changed, or the class "
                "without a new schema number",
            )


def _is_type_row(row: tuple[Any, ...]) -> bool:
    try:
        kind = type_of(row)
    except CorruptJournal:
        return False
    return row_of_type(kind) == row and kind.durability in Durability.__members__
