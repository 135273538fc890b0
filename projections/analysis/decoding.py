"""Pages of stored events as Arrow batches: the data of each type is parsed as a whole, in C, where its class allows."""

from __future__ import annotations

import io
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.events import UnknownEvent, codec
from eventstore.events.registry import by_name
from eventstore.streams import ESCAPED_SLASH
from projections.analysis.arrays import array_of, nulls_of, parsed
from projections.analysis.columns import (
    OF_RECORDS,
    TEXT_DECIMALS,
    Column,
    Kind,
    Member,
    arrow_schema,
    arrow_type,
    members_of,
)
from projections.analysis.libraries import arrow, compute, library

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projections.analysis.columns import Exact

_OF_STREAMS = ("stream", "category", "account", "entity")
_IN_TEXT = frozenset({Kind.TEXT, Kind.ENUM, Kind.DECIMAL, Kind.DATE})
_BLOCK_MAX = 1 << 30


class Stored(msgspec.Struct, frozen=True):
    """An event as it is stored: what decoding one needs."""

    type: str
    schema: int
    data: bytes


class PageDecoder:
    """Decodes pages of rows into batches of some columns.

    A row is a record's position and `members`, in this order. Columns are those of records, and the members of events.
    """

    def __init__(self, columns: Sequence[Column], exact: Exact) -> None:
        self._columns, self._exact = tuple(columns), exact
        self._wanted = {column.name: column for column in columns}
        self._schema = arrow_schema(columns, exact)
        self.members = tuple(_members_read(self._wanted))
        self._members: dict[str, tuple[tuple[Member, Column], ...]] = {}

    def batch(self, page: list[tuple[Any, ...]]) -> Any:  # noqa: ANN401 - a batch of Arrow's
        """Return a page as a record batch."""
        positions, *rest = zip(*page, strict=True)
        values = dict(zip(self.members, rest, strict=True))
        arrays = self._of_records(positions, values)
        if any(name not in arrays for name in self._wanted):
            arrays |= self._of_events(values)
        return arrow().RecordBatch.from_arrays([arrays[name] for name in self._wanted], schema=self._schema)

    def _of_records(self, positions: Sequence[int], values: dict[str, Any]) -> dict[str, Any]:
        arrays: dict[str, Any] = {}
        streams = _parts_of(values["stream"]) if "stream" in values else {}
        for name, column in self._wanted.items():
            if name not in OF_RECORDS:
                continue
            if name == "position":
                arrays[name] = array_of(positions, column, self._exact)
            elif name in _OF_STREAMS:
                arrays[name] = streams[name]
            elif name == "data":
                arrays[name] = arrow().array(values["data"], arrow().binary()).cast(arrow().string())
            elif name in {"id", "correlation_id", "causation_id"}:
                texts = [None if given is None else str(uuid.UUID(bytes=given)) for given in values[name]]
                arrays[name] = array_of(texts, column, self._exact)
            else:
                arrays[name] = array_of(values[name], column, self._exact)
        return arrays

    def _of_events(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the columns of members: each type's events are decoded together, then put in the page's order."""
        pa = arrow()
        indices: dict[tuple[str, int], list[int]] = {}
        for index, key in enumerate(zip(values["type"], values["schema"], strict=True)):
            indices.setdefault(key, []).append(index)
        data = values["data"]
        parts, order = [], []
        for (name, schema), places in indices.items():
            parts.append(self._decoded(name, schema, [data[place] for place in places]))
            order += places
        columns = [column for name, column in self._wanted.items() if name not in OF_RECORDS]
        table = pa.Table.from_batches(parts, schema=arrow_schema(columns, self._exact))
        if len(parts) > 1:
            inverse = [0] * len(order)
            for index, place in enumerate(order):
                inverse[place] = index
            table = table.take(pa.array(inverse))
        batch = table.combine_chunks().to_batches()[0]
        return dict(zip(table.column_names, batch.columns, strict=True))

    def _decoded(self, name: str, schema: int, data: list[bytes]) -> Any:  # noqa: ANN401 - a batch of Arrow's
        pa = arrow()
        members = self._members_of(name)
        columns = [column for known, column in self._wanted.items() if known not in OF_RECORDS]
        found = self._arrays_of(name, schema, data, members) if members else {}
        arrays = [
            found[column.name] if column.name in found else nulls_of(column, len(data), self._exact)
            for column in columns
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(columns, self._exact))

    def _arrays_of(
        self, name: str, schema: int, data: list[bytes], members: Sequence[tuple[Member, Column]]
    ) -> dict[str, Any]:
        kind = by_name(name)
        if kind is not None and schema == kind.schema and all(_is_parsed(member, column) for member, column in members):
            try:
                return _parsed_json(data, members, self._exact)
            except ValueError:
                # Written in another form than today's, as numbers are that stand without quotes; or not readable.
                pass
        return self._one_by_one(name, schema, data, members)

    def _one_by_one(
        self, name: str, schema: int, data: list[bytes], members: Sequence[tuple[Member, Column]]
    ) -> dict[str, Any]:
        """Return the columns of one type's events, each decoded as a record's event is, with the same errors."""
        events = [codec.decode(Stored(name, schema, each)) for each in data]
        return {
            column.name: array_of(
                [None if isinstance(event, UnknownEvent) else getattr(event, member.name) for event in events],
                column,
                self._exact,
            )
            for member, column in members
        }

    def _members_of(self, name: str) -> tuple[tuple[Member, Column], ...]:
        """Return the members of a type that are wanted, each with the column that it fills here."""
        known = self._members.get(name)
        if known is None:
            known = self._members[name] = tuple(
                (member, self._wanted[member.column.name])
                for member in members_of(name)
                if member.column.name in self._wanted
            )
        return known


def _members_read(wanted: dict[str, Column]) -> list[str]:
    """Return the members of records that some columns are made of."""
    needed = ["stream"] if any(name in _OF_STREAMS for name in wanted) else []
    needed += [name for name in wanted if name in OF_RECORDS and name not in _OF_STREAMS and name != "position"]
    if any(name not in OF_RECORDS for name in wanted):
        needed += [name for name in ("type", "schema", "data") if name not in needed]
    return needed


def _is_parsed(member: Member, column: Column) -> bool:
    """Return whether a column can be made from the JSON of its member without an object for each event."""
    return member.column.kind is column.kind is not Kind.JSON and not member.is_ambiguous


def _parsed_json(data: list[bytes], members: Sequence[tuple[Member, Column]], exact: Exact) -> dict[str, Any]:
    """Return columns parsed from JSON; raise ValueError where a value is not as `codec.encode` writes it."""
    pa, json = arrow(), library("pyarrow.json")
    types = [(member.name, arrow_type(_as_read(column), exact)) for member, column in members]
    lines = b"\n".join(data)
    table = json.read_json(
        io.BytesIO(lines),
        read_options=json.ReadOptions(use_threads=False, block_size=min(max(len(lines) + 1, 1 << 10), _BLOCK_MAX)),
        parse_options=json.ParseOptions(explicit_schema=pa.schema(types), unexpected_field_behavior="ignore"),
    )
    if table.num_rows != len(data):
        msg = f"{len(data)} events have {table.num_rows} lines"
        raise ValueError(msg)
    arrays = {}
    for member, column in members:
        values = table.column(member.name).combine_chunks()
        if member.default is not None and values.null_count:
            # What is left out is the default: no class here has one that is not None beside a None that is meant.
            values = values.fill_null(array_of([member.default], _as_read(column), exact=TEXT_DECIMALS)[0])
        arrays[column.name] = parsed(values, column, exact)
    return arrays


def _as_read(column: Column) -> Column:
    """Return a column as its values stand in JSON: instants and durations as numbers, most others as text."""
    if column.kind in {Kind.INSTANT, Kind.DURATION}:
        return Column(column.name, Kind.INTEGER)
    return Column(column.name, Kind.TEXT) if column.kind in _IN_TEXT else column


def _parts_of(streams: Sequence[str]) -> dict[str, Any]:
    """Return stream names and their parts as arrays; an entity is as it was given."""
    pa, pc = arrow(), compute()
    texts = pa.array(streams, pa.string())
    parts = pc.split_pattern(texts, "/", max_splits=2)
    entity = pc.replace_substring(pc.list_element(parts, 2), ESCAPED_SLASH, "/")
    return {
        "stream": texts,
        "category": pc.list_element(parts, 0),
        "account": pc.list_element(parts, 1),
        "entity": entity,
    }
