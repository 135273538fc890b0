"""The tables of an export: a name and columns for each type of event, and its records as batches."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.events.registry import by_name
from projections.analysis.columns import OF_RECORDS, RECORD, TEXT_DECIMALS, Column, members_of
from projections.analysis.decoding import PageDecoder
from projections.analysis.libraries import arrow, compute

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NAME_MAX = 60
"""PostgreSQL cuts longer names off after 63 bytes, so that two of them could become one."""
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^a-z0-9_]+")


class ExportedTable(msgspec.Struct, frozen=True):
    """A table: the events of one type. The last column, `data`, has the JSON of those that no class here reads."""

    type: str
    name: str
    columns: tuple[Column, ...]


def tables_of(types: Iterable[str]) -> dict[str, ExportedTable]:
    """Return the tables of some types, by type: each has a name of its own."""
    used: set[str] = set()
    tables = {}
    for type_name in sorted(types):
        name = table_name(type_name)
        while name in used:
            name += "_"
        used.add(name)
        members = tuple(member.column for member in members_of(type_name))
        own = tuple(column for column in RECORD if column.name != "type")
        tables[type_name] = ExportedTable(type_name, name, (*own, *members, OF_RECORDS["data"]))
    return tables


def table_name(type_name: str) -> str:
    """Return the name of a type's table: `order_filled` for OrderFilled."""
    name = _OTHER.sub("_", _WORD.sub("_", type_name).lower())
    if len(name) <= NAME_MAX:
        return name
    return f"{name[: NAME_MAX - 9]}_{hashlib.sha256(type_name.encode()).hexdigest()[:8]}"


class TableDecoder:
    """Makes batches of one table. Decimals are exact: decimal128(38, 9), or text as they are written."""

    def __init__(self, table: ExportedTable, *, as_text: bool) -> None:
        self._decoder = PageDecoder(table.columns, TEXT_DECIMALS if as_text else True)

    def batch(self, rows: Sequence[dict[str, Any]]) -> Any:  # noqa: ANN401 - a batch of Arrow's
        """Return rows, each a record's members by name, as a batch; raise InvalidEvent for what does not fit."""
        names = ("position", *self._decoder.members)
        batch = self._decoder.batch([[row[name] for row in rows] for name in names])
        unread = arrow().array([not _is_read(row["type"], row["schema"]) for row in rows])
        data = compute().if_else(unread, batch.column("data"), None)
        return batch.set_column(batch.num_columns - 1, "data", data)


def _is_read(type_name: str, schema: int) -> bool:
    """Return whether a class here reads a schema of its type, directly or by its upcasters."""
    known = by_name(type_name)
    return known is not None and (
        schema == known.schema
        or (schema < known.schema and all(n in known.upcasters for n in range(schema, known.schema)))
    )
