"""Pages of stored events as Arrow batches: the data of each type is parsed as a whole, in C, where its class allows."""

from __future__ import annotations

import itertools
import re
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.events import UnknownEvent, codec
from eventstore.events.registry import by_name
from projections.analysis.arrays import array_of, parsed
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
from projections.analysis.gathering import Gathering
from projections.analysis.libraries import arrow, compute, library
from projections.analysis.stream_parts import parts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projections.analysis.columns import Exact

_OF_STREAMS = ("stream", "category", "account", "entity")
_IN_TEXT = frozenset({Kind.TEXT, Kind.ENUM, Kind.DECIMAL, Kind.DATE})
_BLOCK_MAX = 1 << 30
_SHORT = 1 << 15
_NULL = re.compile(rb":[ \t\n\r]*null")


class Stored(msgspec.Struct, frozen=True):
    """An event as it is stored: what decoding one needs."""

    type: str
    schema: int
    data: bytes


class _Type(msgspec.Struct, frozen=True):
    """How the events of one type and schema are decoded: `is_parsed`, as a whole, or else one by one.

    `members` are those that the frame has, each with the column that it fills; `schema` is that of their JSON.
    """

    name: str
    number: int
    members: tuple[tuple[Member, Column], ...]
    is_parsed: bool
    schema: Any


class PageDecoder:
    """Decodes pages of rows into batches of some columns.

    A page is the columns of records' positions and of their `members`, in this order, as `EventReader.columns` gives
    them, or as arrays. Columns of a batch are those of records, and the members of events.
    """

    def __init__(self, columns: Sequence[Column], exact: Exact) -> None:
        self.columns, self._exact = tuple(columns), exact
        self._wanted = {column.name: column for column in columns}
        self.schema = arrow_schema(columns, exact)
        self.members = tuple(_members_read(self._wanted))
        self._types: dict[tuple[str, int], _Type] = {}

    def batch(self, page: Sequence[Sequence[Any]]) -> Any:  # noqa: ANN401 - a batch of Arrow's
        """Return a page as a record batch."""
        positions, *rest = page
        values = dict(zip(self.members, rest, strict=True))
        arrays = self._of_records(positions, values)
        if any(name not in OF_RECORDS for name in self._wanted):
            arrays |= self._of_events(values)
        return arrow().RecordBatch.from_arrays([arrays[name] for name in self._wanted], schema=self.schema)

    def _of_records(self, positions: Sequence[int], values: dict[str, Any]) -> dict[str, Any]:
        arrays: dict[str, Any] = {}
        streams = parts_of(values["stream"]) if "stream" in values else {}
        for name, column in self._wanted.items():
            if name not in OF_RECORDS:
                continue
            if name == "position":
                arrays[name] = _array(positions, arrow_type(column, self._exact))
            elif name in _OF_STREAMS:
                arrays[name] = streams[name]
            elif name == "data":
                arrays[name] = _array(values["data"], arrow().binary()).cast(arrow().string())
            elif name in {"id", "correlation_id", "causation_id"}:
                texts = [None if given is None else str(uuid.UUID(bytes=given)) for given in values[name]]
                arrays[name] = array_of(texts, column, self._exact)
            elif name == "digest":
                arrays[name] = array_of([given.hex() for given in values[name]], column, self._exact)
            else:
                # The values are of the column's own type: no need to look at each.
                arrays[name] = _array(values[name], arrow_type(column, self._exact))
        return arrays

    def _of_events(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the columns of members: each type's events are decoded together, then put in the page's order."""
        order, groups = _grouped(values["type"], values["schema"])
        data = _array(values["data"], arrow().binary())
        data = data if order is None else data.take(arrow().array(order))
        gathering = Gathering(order, len(data))
        for number, (name, schema, start, stop) in enumerate(groups):
            for column, array in self._arrays_of(name, schema, data.slice(start, stop - start)).items():
                gathering.add(column, number, start, array)
        return {
            name: gathering.column(name, column, self._exact)
            for name, column in self._wanted.items()
            if name not in OF_RECORDS
        }

    def _arrays_of(self, name: str, schema: int, data: Any) -> dict[str, Any]:  # noqa: ANN401 - an array of Arrow's
        kind = self._type_of(name, schema)
        if kind.is_parsed:
            try:
                return _parsed_json(data, kind, self._exact)
            except ValueError:
                # Written in another form than today's, as numbers are that stand without quotes; or not readable.
                pass
        return self._one_by_one(kind, data.to_pylist())

    def _one_by_one(self, kind: _Type, data: Sequence[bytes]) -> dict[str, Any]:
        """Return the columns of one type's events, each decoded as a record's event is, with the same errors."""
        if not kind.members:
            return {}
        events = [codec.decode(Stored(kind.name, kind.number, each)) for each in data]
        return {
            column.name: array_of(
                [None if isinstance(event, UnknownEvent) else getattr(event, member.name) for event in events],
                column,
                self._exact,
            )
            for member, column in kind.members
        }

    def _type_of(self, name: str, schema: int) -> _Type:
        """Return how events of a type are decoded here."""
        known = self._types.get((name, schema))
        if known is None:
            members = tuple(
                (member, self._wanted[member.column.name])
                for member in members_of(name)
                if member.column.name in self._wanted
            )
            registered = by_name(name)
            is_todays = registered is not None and schema == registered.schema
            is_parsed = bool(members) and is_todays and all(_is_parsed(member, column) for member, column in members)
            read = [(member.name, arrow_type(_as_read(column), self._exact)) for member, column in members]
            known = _Type(name, schema, members, is_parsed, arrow().schema(read) if is_parsed else None)
            self._types[name, schema] = known
        return known


def _grouped(types: Sequence[str], schemas: Sequence[int]) -> tuple[Any, list[tuple[str, int, int, int]]]:
    """Return the order that puts events of one type and schema together, and each such group: where it is in it.

    The order is None where the events are all of one type.
    """
    pa, np = arrow(), library("numpy")
    names, numbers = (
        _array(values, kind).dictionary_encode() for values, kind in ((types, pa.string()), (schemas, pa.int64()))
    )
    codes = names.indices.to_numpy() * len(numbers.dictionary) + numbers.indices.to_numpy()
    if len(names.dictionary) == len(numbers.dictionary) == 1:
        return None, [(names[0].as_py(), numbers[0].as_py(), 0, len(names))]
    # Numbers of 16 bits are sorted by radix.
    order = np.argsort(codes.astype(np.int16) if codes.max() < _SHORT else codes, kind="stable")
    in_order = codes[order]
    starts = [0, *(np.flatnonzero(in_order[1:] != in_order[:-1]) + 1).tolist(), len(codes)]
    return order, [
        (names[int(order[start])].as_py(), numbers[int(order[start])].as_py(), start, stop)
        for start, stop in itertools.pairwise(starts)
    ]


def _array(values: Any, kind: Any) -> Any:  # noqa: ANN401 - lists, and arrays of Arrow's
    """Return values of a column's own type, of which each need not be looked at, as an array."""
    pa = arrow()
    if isinstance(values, pa.Array):
        return values if values.type == kind else values.cast(kind)
    return pa.array(values, kind)


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


def _parsed_json(data: Any, kind: _Type, exact: Exact) -> dict[str, Any]:  # noqa: ANN401 - an array of Arrow's
    """Return columns parsed from JSON; raise ValueError where a value is not as `codec.encode` writes it."""
    pa, json = arrow(), library("pyarrow.json")
    together = pa.ListArray.from_arrays(pa.array([0, len(data)], pa.int32()), data)
    lines = compute().binary_join(together, b"\n")[0].as_py()
    if lines.count(b"\n") != len(data) - 1 or (b"null" in lines and _NULL.search(lines)):
        # Either stands in no data that is written today. What a null means depends on the member.
        msg = "there are line breaks or nulls in the data"
        raise ValueError(msg)
    table = json.read_json(
        pa.BufferReader(lines),
        read_options=json.ReadOptions(use_threads=False, block_size=min(max(len(lines) + 1, 1 << 10), _BLOCK_MAX)),
        parse_options=json.ParseOptions(explicit_schema=kind.schema, unexpected_field_behavior="ignore"),
    )
    if table.num_rows != len(data):
        msg = f"{len(data)} events have {table.num_rows} lines"
        raise ValueError(msg)
    arrays = {}
    for member, column in kind.members:
        values = table.column(member.name).combine_chunks()
        if values.null_count and member.is_required:
            msg = f"{member.name} is missing"
            raise ValueError(msg)
        if values.null_count and member.default is not None:
            # What is left out is the default: no class here has one that is not None beside a None that is meant.
            values = values.fill_null(array_of([member.default], _as_read(column), exact=TEXT_DECIMALS)[0])
        if values.null_count < len(values):
            arrays[column.name] = parsed(values, column, exact)
    return arrays


def _as_read(column: Column) -> Column:
    """Return a column as its values stand in JSON: instants and durations as numbers, most others as text."""
    if column.kind in {Kind.INSTANT, Kind.DURATION}:
        return Column(column.name, Kind.INTEGER)
    return Column(column.name, Kind.TEXT) if column.kind in _IN_TEXT else column
