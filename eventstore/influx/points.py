"""Points: a record as a line of InfluxDB's line protocol, and a record again from what InfluxDB holds of it.

docs/INFLUXDB.md has the model. The same record gives the same bytes, whoever ships it and whenever: a point that is
written twice stays as it was. The escapes are those of the line protocol's reference for InfluxDB 2.
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
"""The measurements: one point for a record, for a log's claim, for a type and schema, and for a second of mirroring."""

FIELDS = ("position", "stream", "occurred_at", "data", "meta")
"""The fields that every point of a record has; without one of them it is not all there yet."""

CHECK = "eventstore mirror --check names what does not belong there"
SYMBOL_BYTES_MAX = 128
CACHED_MAX = 20_000
_TAG_ESCAPES = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})
_json = msgspec.json.Encoder().encode

K = TypeVar("K")
V = TypeVar("V")


class Meta(msgspec.Struct, frozen=True, gc=False):
    """What the field `meta` holds, as JSON: the envelope's members that nobody charts. Ids are in hex."""

    id: str
    version: int
    schema: int
    log_id: str
    actor: str = ""
    note: str = ""
    correlation_id: str | None = None
    causation_id: str | None = None


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A point of `events` as SELECTED asks for it. A field that is not there, or not there yet, is None."""

    recorded_at: int
    position: int | None
    stream: str | None
    occurred_at: int | None
    data: str | None
    meta: str | None
    type: str | None


SELECTED = 'position, stream, occurred_at, data, meta, "type"'

_meta_of = msgspec.json.Decoder(Meta).decode


class Types:
    """What a journal keeps of each type and schema, read again where one is new."""

    def __init__(self, journal: Maintenance) -> None:
        self._journal = journal
        self._known: dict[tuple[str, int], TypeRow] = {}

    def of(self, name: str, schema: int) -> TypeRow:
        if (name, schema) not in self._known:
            self._known = {(kind.name, kind.schema): kind for kind in self._journal.types()}
        return self._known[name, schema]

    def measures(self, name: str, schema: int) -> tuple[str, ...]:
        """Return the members that become number fields."""
        return self.of(name, schema).measures


class Encoder:
    """Turns records of one log into lines. `measures(type, schema)` names the members that become number fields."""

    def __init__(
        self, log: str, log_id: bytes, measures: Callable[[str, int], tuple[str, ...]], *, symbols: bool = True
    ) -> None:
        self._log, self._log_id, self._measures, self._symbols = log, log_id.hex(), measures, symbols
        self._extracts: dict[tuple[str, int], Callable[[bytes], tuple[str | None, str]]] = {}
        self._tags: dict[tuple[str, str, str, str | None], str] = {}
        self._tails: dict[tuple[int, str, str], str] = {}

    def lines(self, records: Iterable[Record]) -> list[str]:
        """Return a line for each record, without its newline."""
        return [self._line(record) for record in records]

    def _line(self, record: Record) -> str:
        extract = self._extracts.get((record.type, record.schema)) or self._extract(record.type, record.schema)
        symbol, measures = extract(record.data)
        category, account, _ = record.stream.split("/", 2)
        key = (category, account, record.type, symbol)
        tags = self._tags.get(key) or self._tag(key)
        return (
            f'{tags} position={record.position}i,stream="{escaped(record.stream)}",occurred_at={record.occurred_at}i,'
            f'data="{escaped(record.data.decode())}",meta="{self._meta(record)}"{measures} {record.recorded_at}'
        )

    def tags(self, record: Record) -> dict[str, str]:
        """Return the tags of a record's point by their names."""
        extract = self._extracts.get((record.type, record.schema)) or self._extract(record.type, record.schema)
        category, account, _ = record.stream.split("/", 2)
        return self._named((category, account, record.type, extract(record.data)[0]))

    def _named(self, key: tuple[str, str, str, str | None]) -> dict[str, str]:
        category, account, type_, symbol = key
        # Sorted by their names, as the server keeps them.
        named = {"account": account, "category": category, "log": self._log, "symbol": symbol, "type": type_}
        return {name: value for name, value in named.items() if value is not None}

    def _tag(self, key: tuple[str, str, str, str | None]) -> str:
        tags = EVENTS + "".join([f",{name}={escape_tag(value)}" for name, value in self._named(key).items()])
        _remembered(self._tags, key, tags)
        return tags

    def _meta(self, record: Record) -> str:
        key = (record.schema, record.actor, record.note)
        tail = self._tails.get(key)
        if tail is None:
            tail = f'\\"schema\\":{record.schema},\\"log_id\\":\\"{self._log_id}\\"'
            for name in ("actor", "note"):
                if text := getattr(record, name):
                    tail += f',\\"{name}\\":{escaped(_json(text).decode())}'
            _remembered(self._tails, key, tail)
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
    """Return a function from an event's JSON to its symbol, where it makes a tag, and its measures as fields."""
    wanted = msgspec.defstruct(
        "Wanted", [("symbol", str | None, None), *((name, float | None, None) for name in measures)], gc=False
    )
    # Not strict: a Decimal is JSON text, and becomes the nearest float in C.
    decode = msgspec.json.Decoder(wanted, strict=False).decode

    def extract(data: bytes) -> tuple[str | None, str]:
        try:
            found: Any = decode(data)
        except msgspec.ValidationError:
            found = wanted(**_loosely(data, measures))
        fields = ""
        for name in measures:
            value = getattr(found, name)
            if value is not None and math.isfinite(value):
                fields += f",{name}={value!r}"
        symbol = found.symbol
        return (symbol if symbols and symbol is not None and is_tag(symbol) else None), fields

    return extract


def _loosely(data: bytes, measures: Sequence[str]) -> dict[str, Any]:
    """Return what of an event is text or a number where it was to be, for one whose other members are neither."""
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
    """Tell whether a symbol can be a tag's value: printable text without a backslash, of 1 to 128 bytes.

    Others stay in `data` alone: the line protocol has no sure way to write them.
    """
    return bool(symbol) and symbol.isprintable() and "\\" not in symbol and len(symbol.encode()) <= SYMBOL_BYTES_MAX


def escape_tag(text: str) -> str:
    """Return text as it stands as a tag's value."""
    return text.translate(_TAG_ESCAPES)


def escaped(text: str) -> str:
    """Return text as it stands between the quotes of a string field."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def type_line(log: str, name: str, schema: int, *, durability: str, measures: Sequence[str], at: int) -> str:
    """Return the line that keeps what any reader or restored journal needs to know of a type."""
    fields = f'durability="{durability}",measures="{escaped(_json(list(measures)).decode())}"'
    return f"{TYPES},log={log},schema={schema},type={name} {fields} {at}"


class Decoder:
    """Turns points of one log back into records, digests recomputed."""

    def __init__(self, log: str, log_id: bytes) -> None:
        self._log, self._log_id_hex = log, log_id.hex()
        self._digester = Digester(log_id)

    def record(self, row: Row) -> Record | None:
        """Return the record that a point holds, None for one that lacks a field; raise Foreign for another log's."""
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
            raise Foreign(row, f"its meta is not what this project writes: {e}") from e
        if meta.log_id != self._log_id_hex:
            raise Foreign(row, f"it is of another log, whose id is {meta.log_id}")
        if len(id_) != ID_BYTES:
            raise Foreign(row, "its id is not of 16 bytes")
        # In two steps, because the digest is over the other members.
        record = Record(
            id_, row.stream, row.type, meta.schema, row.occurred_at, row.data.encode(), meta.actor, meta.note,
            correlation, causation, row.position, meta.version, row.recorded_at, b"", self._log,
        )  # fmt: skip
        try:
            leaf = self._digester.digest(record)
        except (struct.error, OverflowError) as e:
            raise Foreign(row, "it has a number that no record has") from e
        msgspec.structs.force_setattr(record, "digest", leaf)
        return record


class Foreign(Exception):
    """A point among a log's that is not the log's."""

    def __init__(self, row: Row, why: str) -> None:
        super().__init__(f"the point at {row.recorded_at} (position {row.position}): {why}")


def _remembered(cache: dict[K, V], key: K, value: V) -> None:
    if len(cache) >= CACHED_MAX:
        cache.clear()
    cache[key] = value
