"""Points: encodes a record as a line of InfluxDB's line protocol, and decodes a point to the record again.

docs/INFLUXDB.md describes the model. The same record always gives the same bytes, whichever process ships it, so a
point that is written twice does not change. Escaping follows the line protocol reference of InfluxDB 2.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from eventstore.record import ID_BYTES, Digester, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from eventstore.journal import Maintenance, TypeRow

EVENTS, LOGS, TYPES, MIRROR = "events", "logs", "types", "mirror"
"""The measurements. A point is a record, a claim of a log, a type and schema, or a heartbeat of the mirror."""

FIELDS = ("position", "stream", "occurred_at", "data", "meta")
"""The fields that every point of a record has. A point that lacks one is not completely written yet."""

CHECK_HINT = "eventstore mirror --check lists the points that do not belong there"
SYMBOL_BYTES_MAX = 128
CACHED_MAX = 20_000
_TAG_ESCAPES = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})
_json = msgspec.json.Encoder().encode

K = TypeVar("K")
V = TypeVar("V")


class PointMeta(msgspec.Struct, frozen=True, gc=False):
    """The content of the field `meta`, as JSON: the members of a record that no chart needs. Ids are in hex."""

    id: str
    version: int
    schema: int
    log_id: str
    actor: str = ""
    note: str = ""
    correlation_id: str | None = None
    causation_id: str | None = None


class PointKey(msgspec.Struct, frozen=True, gc=False):
    """Where InfluxDB stores the point of a position: its time and all its tags by name."""

    position: int
    recorded_at: int
    tags: dict[str, str]


class PointRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A point of `events` with the columns EVENT_COLUMNS. A field that is missing, or not written yet, is None."""

    recorded_at: int
    position: int | None
    stream: str | None
    occurred_at: int | None
    data: str | None
    meta: str | None
    type: str | None


EVENT_COLUMNS = 'position, stream, occurred_at, data, meta, "type"'

_meta_of = msgspec.json.Decoder(PointMeta).decode


class JournalTypes:
    """The types and schemas of a journal, cached, and read again when a new one occurs."""

    def __init__(self, journal: Maintenance) -> None:
        self._journal = journal
        self._known: dict[tuple[str, int], TypeRow] = {}

    def of(self, name: str, schema: int) -> TypeRow:
        if (name, schema) not in self._known:
            self._known = {(kind.name, kind.schema): kind for kind in self._journal.types()}
        return self._known[name, schema]

    def measures(self, name: str, schema: int) -> tuple[str, ...]:
        """Return the members of a type that become number fields."""
        return self.of(name, schema).measures


class Encoder:
    """Encodes records of one log as lines. `measures(type, schema)` names the members that become number fields."""

    def __init__(
        self, log: str, log_id: bytes, measures: Callable[[str, int], tuple[str, ...]], *, symbols: bool = True
    ) -> None:
        self._log, self._log_id, self._measures, self._symbols = log, log_id.hex(), measures, symbols
        self._extracts: dict[tuple[str, int], Callable[[bytes], tuple[str | None, str]]] = {}
        self._tags: dict[tuple[str, str, str, str | None], str] = {}
        self._tails: dict[tuple[int, str, str], str] = {}

    def lines(self, records: Iterable[Record]) -> list[str]:
        """Return a line for each record, without a newline."""
        return [self._line(record) for record in records]

    def _line(self, record: Record) -> str:
        extract = self._extracts.get((record.type, record.schema)) or self._extract(record.type, record.schema)
        symbol, measures = extract(record.data)
        category, account, _ = record.stream.split("/", 2)
        key = (category, account, record.type, symbol)
        tags = self._tags.get(key) or self._tag(key)
        return (
            f'{tags} position={record.position}i,stream="{escape_string(record.stream)}",'
            f'occurred_at={record.occurred_at}i,data="{escape_string(record.data.decode())}",'
            f'meta="{self._meta(record)}"{measures} {record.recorded_at}'
        )

    def key(self, record: Record) -> PointKey:
        """Return where InfluxDB stores a record's point."""
        extract = self._extracts.get((record.type, record.schema)) or self._extract(record.type, record.schema)
        category, account, _ = record.stream.split("/", 2)
        tags = self._named((category, account, record.type, extract(record.data)[0]))
        return PointKey(record.position, record.recorded_at, tags)

    def _named(self, key: tuple[str, str, str, str | None]) -> dict[str, str]:
        category, account, type_, symbol = key
        # Sorted by name, as the server stores them: it need not sort them again.
        named = {"account": account, "category": category, "log": self._log, "symbol": symbol, "type": type_}
        return {name: value for name, value in named.items() if value is not None}

    def _tag(self, key: tuple[str, str, str, str | None]) -> str:
        tags = EVENTS + "".join([f",{name}={escape_tag(value)}" for name, value in self._named(key).items()])
        _remember(self._tags, key, tags)
        return tags

    def _meta(self, record: Record) -> str:
        # Assembled in escaped form from cached parts, which is faster than encoding and then escaping each one.
        key = (record.schema, record.actor, record.note)
        tail = self._tails.get(key)
        if tail is None:
            tail = f'\\"schema\\":{record.schema},\\"log_id\\":\\"{self._log_id}\\"'
            for name in ("actor", "note"):
                if text := getattr(record, name):
                    tail += f',\\"{name}\\":{escape_string(_json(text).decode())}'
            _remember(self._tails, key, tail)
        if record.correlation_id is not None:
            tail += f',\\"correlation_id\\":\\"{record.correlation_id.hex()}\\"'
        if record.causation_id is not None:
            tail += f',\\"causation_id\\":\\"{record.causation_id.hex()}\\"'
        return f'{{\\"id\\":\\"{record.id.hex()}\\",\\"version\\":{record.version},{tail}}}'

    def _extract(self, type_: str, schema: int) -> Callable[[bytes], tuple[str | None, str]]:
        extract = extractor(self._measures(type_, schema), symbols=self._symbols)
        self._extracts[type_, schema] = extract
        return extract


def extractor(measures: Sequence[str], *, symbols: bool) -> Callable[[bytes], tuple[str | None, str]]:
    """Return a function from an event's JSON to its symbol, if it can be a tag, and its measures as fields."""
    members = msgspec.defstruct(
        "Members", [("symbol", str | None, None), *((name, float | None, None) for name in measures)], gc=False
    )
    # Not strict: a Decimal is a JSON string, which msgspec converts to the nearest float.
    decode = msgspec.json.Decoder(members, strict=False).decode

    def extract(data: bytes) -> tuple[str | None, str]:
        try:
            found: Any = decode(data)
        except msgspec.ValidationError:
            found = members(**_decode_leniently(data, measures))
        fields = ""
        for name in measures:
            value = getattr(found, name)
            if value is not None and math.isfinite(value):
                fields += f",{name}={value!r}"
        symbol = found.symbol
        return (symbol if symbols and symbol is not None and is_tag(symbol) else None), fields

    return extract


def _decode_leniently(data: bytes, measures: Sequence[str]) -> dict[str, Any]:
    """Return the members of an event that have the expected type, and leave out the others."""
    raw = msgspec.json.decode(data)
    found: dict[str, Any] = {}
    if isinstance(raw, dict):
        if isinstance(raw.get("symbol"), str):
            found["symbol"] = raw["symbol"]
        for name in measures:
            try:
                found[name] = msgspec.convert(raw.get(name), float | None, strict=False)
            except msgspec.ValidationError:
                continue
    return found


def is_tag(symbol: str) -> bool:
    """Return whether a symbol can be a tag value: printable text without a backslash, of 1 to 128 bytes.

    Others are in `data` only: the line protocol cannot write them unambiguously.
    """
    return bool(symbol) and symbol.isprintable() and "\\" not in symbol and len(symbol.encode()) <= SYMBOL_BYTES_MAX


def escape_tag(text: str) -> str:
    """Return text escaped as a tag value."""
    return text.translate(_TAG_ESCAPES)


def escape_string(text: str) -> str:
    """Return text escaped as the content of a string field, without the quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def type_line(log: str, name: str, schema: int, *, durability: str, measures: Sequence[str], at: int) -> str:
    """Return the point of a type and schema, from which a restored journal takes its durability and measures."""
    fields = f'durability="{durability}",measures="{escape_string(_json(list(measures)).decode())}"'
    return f"{TYPES},log={log},schema={schema},type={name} {fields} {at}"


class Decoder:
    """Decodes points of one log to records, with recomputed digests."""

    def __init__(self, log: str, log_id: bytes) -> None:
        self._log, self._log_id_hex = log, log_id.hex()
        self._digester = Digester(log_id)

    def record(self, row: PointRow) -> Record | None:
        """Return the record of a point, None if it lacks a field; raise ForeignPoint if it is not from this log."""
        if row.position is None or row.stream is None or row.occurred_at is None or row.type is None:
            return None
        if row.data is None or row.meta is None:
            return None
        try:
            meta = _meta_of(row.meta)
            id_ = bytes.fromhex(meta.id)
            correlation = None if meta.correlation_id is None else bytes.fromhex(meta.correlation_id)
            causation = None if meta.causation_id is None else bytes.fromhex(meta.causation_id)
        except ValueError as e:
            raise ForeignPoint(row, f"its meta is invalid: {e}") from e
        if meta.log_id != self._log_id_hex:
            raise ForeignPoint(row, f"it belongs to another log, with id {meta.log_id}")
        if len(id_) != ID_BYTES:
            raise ForeignPoint(row, "its id does not have 16 bytes")
        # In two steps, because the digest covers the other members.
        record = Record(
            id_, row.stream, row.type, meta.schema, row.occurred_at, row.data.encode(), meta.actor, meta.note,
            correlation, causation, row.position, meta.version, row.recorded_at, b"", self._log,
        )  # fmt: skip
        try:
            leaf = self._digester.digest(record)
        except (struct.error, OverflowError) as e:
            raise ForeignPoint(row, "one of its numbers is out of range") from e
        msgspec.structs.force_setattr(record, "digest", leaf)
        return record


class ForeignPoint(Exception):
    """A point under a log's name that does not belong to the log."""

    def __init__(self, row: PointRow, why: str) -> None:
        super().__init__(f"the point at {row.recorded_at} (position {row.position}): {why}")


def _remember(cache: dict[K, V], key: K, value: V) -> None:
    # Emptied, not evicted one by one: a log has few distinct keys, unless actors or notes are all different.
    if len(cache) >= CACHED_MAX:
        cache.clear()
    cache[key] = value
