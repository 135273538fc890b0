"""The columns of an archive's files: those of every record, and the typed members of its category's events."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import InvalidEvent
from eventstore.events.registry import by_name, registered_names
from projections.analysis.archive.layout import FileColumn, TypeInFile
from projections.analysis.columns import PRECISION, SCALE, TEXT_DECIMALS, Column, Kind, members_of
from projections.analysis.decoding import PageDecoder
from projections.analysis.libraries import arrow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from eventstore import Event, Record

DIGEST_START = 4
"""Bytes kept of each digest: they name the record that was changed, and the roots prove the rest."""
ID = 16
CATEGORY, ACCOUNT = 0, 1
_ENCODER = msgspec.json.Encoder(decimal_format="string", enc_hook=repr, order="deterministic")


# What its class cannot read raises InvalidEvent, an upcaster anything; its data stands beside it.
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class DoesNotFit(Exception):
    """Decimals of some columns have more digits than decimal128(38, 9): these columns become text."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        super().__init__(", ".join(sorted(names)))


def record_fields() -> list[tuple[str, Any]]:
    """Return the columns that each file has, with their Arrow types."""
    pa = arrow()
    instant = pa.timestamp("ns", tz="UTC")
    return [
        ("position", pa.int64()),
        ("recorded_at", instant),
        ("occurred_at", instant),
        ("type", pa.string()),
        ("category", pa.string()),
        ("account", pa.string()),
        ("stream", pa.string()),
        ("version", pa.int64()),
        ("actor", pa.string()),
        ("note", pa.string()),
        ("schema", pa.int64()),
        ("id", pa.binary(ID)),
        ("correlation_id", pa.binary(ID)),
        ("causation_id", pa.binary(ID)),
        ("digest_start", pa.binary(DIGEST_START)),
        ("data", pa.string()),
    ]


def layout_of(category: str, types: Iterable[str], as_text: frozenset[str] = frozenset()) -> tuple[FileColumn, ...]:
    """Return the typed columns of a category's files: of the types that have classes here, and of some others.

    A member that differs in kind between types has a column for each kind, the later ones named `member_kind`. Decimals
    that are named in `as_text` are text.
    """
    used = {name for name, _ in record_fields()}
    found: dict[tuple[str, Kind], FileColumn] = {}
    belonging = [name for name in registered_names() if f"{category}/" in _prefixes(name)]
    for type_name in sorted({*belonging, *types}):
        for member in members_of(type_name):
            key = (member.column.name, member.column.kind)
            if key in found:
                continue
            name = key[0]
            while name in used:
                name = f"{name}_{key[1].value}"
            used.add(name)
            found[key] = FileColumn(name, *key, key[1] is Kind.DECIMAL and name in as_text)
    return tuple(found.values())


def _prefixes(type_name: str) -> tuple[str, ...]:
    known = by_name(type_name)
    return () if known is None else known.prefixes


def fingerprint(type_name: str) -> str:
    """Return what tells a type's class from others: its schema, members, kinds and defaults; '' without one."""
    known = by_name(type_name)
    return "" if known is None else _fingerprint(known.cls, known.schema, type_name)


@functools.lru_cache(maxsize=1_000)
def _fingerprint(_cls: type[Event], schema: int, type_name: str) -> str:
    return hashlib.sha256(_ENCODER.encode((schema, members_of(type_name)))).hexdigest()[:16]


def arrow_type_of(column: FileColumn) -> Any:  # noqa: ANN401 - a type of Arrow's
    """Return the type that a typed column has in a file; durations are integers of nanoseconds."""
    pa = arrow()
    if column.kind is Kind.DECIMAL:
        return pa.string() if column.as_text else pa.decimal128(PRECISION, SCALE)
    types = {
        Kind.INTEGER: pa.int64(),
        Kind.FLOAT: pa.float64(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.INSTANT: pa.timestamp("ns", tz="UTC"),
        Kind.DURATION: pa.int64(),
        Kind.DATE: pa.date32(),
    }
    return types.get(column.kind, pa.string())


def schema_of(layout: Sequence[FileColumn]) -> Any:  # noqa: ANN401 - a schema of Arrow's
    """Return the Arrow schema of a file."""
    return arrow().schema([*record_fields(), *((column.name, arrow_type_of(column)) for column in layout)])


class RecordDecoder:
    """Makes tables in a file's layout from records of one category, and counts their types."""

    def __init__(self, layout: Sequence[FileColumn]) -> None:
        self._layout = tuple(layout)
        self._schema = schema_of(layout)
        self._columns = {(column.member, column.kind): column for column in layout}
        self._decoders: dict[str, tuple[_Decoder, _Decoder]] = {}
        self.counts: dict[str, int] = {}
        self._unlike: set[str] = set()

    def types(self) -> dict[str, TypeInFile]:
        """Return what is to be said of the types that tables were made of."""
        return {
            name: TypeInFile(count, fingerprint(name), name not in self._unlike)
            for name, count in sorted(self.counts.items())
        }

    def table(self, records: Sequence[Record]) -> Any:  # noqa: ANN401 - a table of Arrow's
        """Return records as a table; raise DoesNotFit where a decimal column has to become text."""
        pa = arrow()
        places: dict[str, list[int]] = {}
        for index, record in enumerate(records):
            places.setdefault(record.type, []).append(index)
        parts, order = [], []
        for name, indices in places.items():
            chosen = [records[index] for index in indices]
            self.counts[name] = self.counts.get(name, 0) + len(chosen)
            parts.append(self._typed(name, chosen))
            order += indices
        typed = pa.concat_tables(parts)
        if len(parts) > 1:
            inverse = [0] * len(order)
            for index, place in enumerate(order):
                inverse[place] = index
            typed = typed.take(pa.array(inverse))
        arrays = [*_record_arrays(records), *typed.columns]
        return pa.table(arrays, schema=self._schema)

    def _typed(self, name: str, records: Sequence[Record]) -> Any:  # noqa: ANN401 - a table of Arrow's
        """Return the typed columns of one type's records, null where its class cannot read them."""
        pa = arrow()
        known = by_name(name)
        if known is None or any(record.schema != known.schema for record in records):
            self._unlike.add(name)
        if known is None:
            return self._columns_of({}, len(records))
        try:
            return self._columns_of(self._arrays(name, records), len(records))
        except _UNREADABLE:
            self._unlike.add(name)
        return pa.concat_tables([self._one(name, record) for record in records])

    def _one(self, name: str, record: Record) -> Any:  # noqa: ANN401 - a table of Arrow's
        try:
            return self._columns_of(self._arrays(name, [record]), 1)
        except _UNREADABLE:
            return self._columns_of({}, 1)

    def _columns_of(self, arrays: dict[str, Any], count: int) -> Any:  # noqa: ANN401 - the same
        pa = arrow()
        fields = [(column.name, arrow_type_of(column)) for column in self._layout]
        columns = [arrays[label] if label in arrays else pa.nulls(count, kind) for label, kind in fields]
        return pa.table(columns, schema=pa.schema(fields))

    def _arrays(self, name: str, records: Sequence[Record]) -> dict[str, Any]:
        page = [[getattr(record, member) for record in records] for member in ("position", "type", "schema", "data")]
        known = self._decoders.get(name)
        if known is None:
            columns = [
                (member.column, self._columns[member.column.name, member.column.kind]) for member in members_of(name)
            ]
            exact = [(column, target) for column, target in columns if not target.as_text]
            as_text = [(column, target) for column, target in columns if target.as_text]
            known = self._decoders[name] = (_Decoder(exact, exact=True), _Decoder(as_text, exact=TEXT_DECIMALS))
        try:
            return known[0].arrays(page) | known[1].arrays(page)
        except InvalidEvent:
            known[0].raise_unfit(page)
            raise


class _Decoder:
    """Makes columns of one type's events in the form that a file has."""

    def __init__(self, columns: Sequence[tuple[Column, FileColumn]], *, exact: bool | str) -> None:
        self._columns = columns
        self._decoder = PageDecoder([column for column, _ in columns], exact)

    def arrays(self, page: list[list[Any]]) -> dict[str, Any]:
        """Return the columns of a page of positions, types, schemas and data, by their names in the file."""
        if not self._columns:
            return {}
        batch = self._decoder.batch(page)
        return {target.name: batch.column(column.name).cast(arrow_type_of(target)) for column, target in self._columns}

    def raise_unfit(self, page: list[list[Any]]) -> None:
        """Raise DoesNotFit for the columns that are refused as decimals and not as text."""
        unfit = set()
        for column, target in self._columns:
            if column.kind is not Kind.DECIMAL:
                continue
            try:
                PageDecoder([column], exact=True).batch(page)
            except InvalidEvent:
                PageDecoder([column], exact=TEXT_DECIMALS).batch(page)
                unfit.add(target.name)
        if unfit:
            raise DoesNotFit(frozenset(unfit))


def _record_arrays(records: Sequence[Record]) -> list[Any]:
    pa = arrow()
    parts = [record.stream.split("/", 2) for record in records]
    data = pa.array([record.data for record in records], pa.binary()).cast(pa.string())
    given: Mapping[str, list[Any]] = {
        "category": [part[CATEGORY] for part in parts],
        "account": [part[ACCOUNT] for part in parts],
        "digest_start": [record.digest[:DIGEST_START] for record in records],
    }
    arrays = []
    for name, kind in record_fields():
        if name == "data":
            arrays.append(data)
            continue
        values = given[name] if name in given else [getattr(record, name) for record in records]
        array = pa.array(values, pa.int64()).cast(kind) if pa.types.is_timestamp(kind) else pa.array(values, kind)
        arrays.append(array)
    return arrays
