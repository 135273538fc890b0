"""Values of a program's state as JSON and back: what is read equals what was given, with its type.

Plain JSON stays as it is. Everything else, and a dict that has the member `$type` itself, becomes an object whose
member `$type` says what it is. Text is never interpreted: one that looks like a date comes back as text.
"""

from __future__ import annotations

import base64
import datetime
import enum
import json
import math
import re
import uuid
import zoneinfo
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from eventstore import InvalidEvent
from eventstore.errors import shown
from gateways.legacy import pandas_values

TYPE = "$type"
DEPTH_MAX = 200
"""How deeply a state may be nested."""
# Lone surrogates cannot be written as UTF-8, and no event may hold a NUL.
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**64 - 1

Serializer = Callable[[Any], Any]
Plain = Any
"""What JSON can say: None, bool, int, float, text, lists and dicts with text as keys."""


class Codec:
    """Encodes values, and those of classes that the program has registered functions for, by the class's name."""

    def __init__(self) -> None:
        self._serializers: dict[str, Serializer] = {}
        self._deserializers: dict[str, Serializer] = {}

    def register(
        self, name: str, *, serialize: Serializer | None = None, deserialize: Serializer | None = None
    ) -> None:
        """Use these functions for the objects of a class: one makes plain values of an object, one the reverse."""
        if serialize is not None:
            self._serializers[name] = serialize
        if deserialize is not None:
            self._deserializers[name] = deserialize

    def encode(self, value: object, *where: object) -> Plain:
        """Return a value as plain JSON; raise InvalidEvent, saying where in the state, for what cannot be kept."""
        try:
            return self._encode(value, where)
        except RecursionError as e:
            raise _too_deep(()) from e

    def decode(self, plain: Plain) -> Any:  # noqa: ANN401 - whatever was saved
        """Return the value that `encode` was given, made of new objects."""
        if isinstance(plain, list):
            return [self.decode(item) for item in plain]
        if not isinstance(plain, dict):
            return plain
        if TYPE not in plain:
            return {key: self.decode(item) for key, item in plain.items()}
        kind = plain[TYPE]
        if kind in _CONTAINERS:
            return _CONTAINERS[kind](self.decode(item) for item in plain["items"])
        if kind == "object":
            return self._rebuilt(plain)
        if kind in pandas_values.KINDS:
            return pandas_values.decode(plain, self.decode)
        reader = _READERS.get(kind)
        if reader is None:
            msg = f"this state holds a value of type {shown(kind)}, which this version cannot read: use a newer one"
            raise InvalidEvent(msg)
        return reader(plain)

    def _encode(self, value: Any, where: tuple[object, ...]) -> Plain:  # noqa: ANN401 - whatever a program has
        if len(where) > DEPTH_MAX:
            raise _too_deep(where)
        kind = type(value)
        if kind is str:
            return _text(value)
        if kind in {bool, type(None)}:
            return value
        if kind is int:
            return value if _INTEGER_MIN <= value <= _INTEGER_MAX else {TYPE: "int", "value": hex(value)}
        if kind is float:
            return value if math.isfinite(value) else {TYPE: "float", "value": repr(value)}
        if kind is list:
            return [self._encode(item, (*where, index)) for index, item in enumerate(value)]
        return self._encode_other(value, where)

    def _encode_other(self, value: Any, where: tuple[object, ...]) -> Plain:  # noqa: ANN401 - the same
        if type(value).__name__ in self._serializers:
            return self._with_function(value, where)
        if isinstance(value, Mapping):
            return self._mapping(value, where)
        if isinstance(value, tuple | set | frozenset):
            return self._container(value, where)
        if isinstance(value, enum.Enum) and isinstance(value, str | int | float):
            return self._encode(value.value, where)
        return self._scalar(value, where)

    def _scalar(self, value: Any, where: tuple[object, ...]) -> Plain:  # noqa: ANN401 - the same
        writer = next((write for base, write in _WRITERS.items() if isinstance(value, base)), None)
        if writer is not None and not pandas_values.is_foreign(value):
            return writer(value)
        if isinstance(value, pandas_values.FileSeries):
            return {TYPE: "file_series", "value": self._encode(value.value, where)}
        found = pandas_values.encode(value, lambda item, place: self._encode(item, (*where, place)), self.decode)
        if found is None:
            raise _unknown(value, where)
        return found

    def _container(self, value: Any, where: tuple[object, ...]) -> Plain:  # noqa: ANN401 - a tuple or a set
        items = [self._encode(item, (*where, index)) for index, item in enumerate(value)]
        if not isinstance(value, tuple):
            # In one order in every process, so that the same set has the same bytes.
            items.sort(key=_bytes)
        base = next(base for base in (tuple, set, frozenset) if isinstance(value, base))
        return {TYPE: base.__name__, "items": items}

    def _mapping(self, value: Mapping[Any, Any], where: tuple[object, ...]) -> Plain:
        members = {key: self._encode(item, (*where, key)) for key, item in value.items()}
        if all(type(key) is str and not _UNWRITABLE.search(key) for key in members) and TYPE not in members:
            return members
        pairs = [[self._encode(key, (*where, "its keys")), item] for key, item in members.items()]
        return {TYPE: "dict", "items": [{TYPE: "tuple", "items": pair} for pair in pairs]}

    def _with_function(self, value: object, where: tuple[object, ...]) -> Plain:
        name = type(value).__name__
        return {TYPE: "object", "name": name, "value": self._encode(self._serializers[name](value), where)}

    def _rebuilt(self, plain: dict[str, Any]) -> Any:  # noqa: ANN401 - what the program's function makes
        make = self._deserializers.get(plain["name"])
        if make is None:
            msg = f"this state holds a {plain['name']}: register_deserializer({plain['name']!r}, …) before it is loaded"
            raise InvalidEvent(msg)
        return make(self.decode(plain["value"]))


def _text(value: str) -> Plain:
    return {TYPE: "text", "json": json.dumps(value)} if _UNWRITABLE.search(value) else value


def _bytes(plain: Plain) -> bytes:
    return msgspec.json.encode(plain)


def _datetime(value: datetime.datetime) -> Plain:
    plain: dict[str, Any] = {TYPE: "datetime", "value": value.isoformat()}
    if value.fold:
        plain["fold"] = 1
    key = getattr(value.tzinfo, "key", None)
    if isinstance(value.tzinfo, zoneinfo.ZoneInfo) and key is not None:
        # The zone, not its offset alone: what is added to the time later depends on it.
        plain |= {"value": value.replace(tzinfo=None).isoformat(), "zone": key}
    return plain


def _read_datetime(plain: dict[str, Any]) -> datetime.datetime:
    value = datetime.datetime.fromisoformat(plain["value"]).replace(fold=plain.get("fold", 0))
    zone = plain.get("zone")
    return value if zone is None else value.replace(tzinfo=zoneinfo.ZoneInfo(zone))


def _time(value: datetime.time) -> Plain:
    if isinstance(value.tzinfo, zoneinfo.ZoneInfo):
        msg = f"a time of day in {value.tzinfo} cannot be kept: its offset depends on the day"
        raise InvalidEvent(msg)
    return {TYPE: "time", "value": value.isoformat(), "fold": value.fold}


def _duration(value: datetime.timedelta) -> Plain:
    return {TYPE: "timedelta", "days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}


_CONTAINERS: dict[object, Callable[..., Any]] = {"dict": dict, "tuple": tuple, "set": set, "frozenset": frozenset}
# A datetime is a date, so it stands before it.
_WRITERS: dict[type, Callable[[Any], Plain]] = {
    datetime.datetime: _datetime,
    datetime.date: lambda value: {TYPE: "date", "value": value.isoformat()},
    datetime.time: _time,
    datetime.timedelta: _duration,
    Decimal: lambda value: {TYPE: "decimal", "value": str(value)},
    uuid.UUID: lambda value: {TYPE: "uuid", "value": str(value)},
    bytes: lambda value: {TYPE: "bytes", "base64": base64.b64encode(value).decode()},
    bytearray: lambda value: {TYPE: "bytes", "base64": base64.b64encode(value).decode()},
}
_READERS: dict[object, Callable[[dict[str, Any]], Any]] = {
    "text": lambda plain: json.loads(plain["json"]),
    "int": lambda plain: int(plain["value"], 16),
    "float": lambda plain: float(plain["value"]),
    "datetime": _read_datetime,
    "date": lambda plain: datetime.date.fromisoformat(plain["value"]),
    "time": lambda plain: datetime.time.fromisoformat(plain["value"]).replace(fold=plain["fold"]),
    "timedelta": lambda plain: datetime.timedelta(plain["days"], plain["seconds"], plain["microseconds"]),
    "decimal": lambda plain: Decimal(plain["value"]),
    "uuid": lambda plain: uuid.UUID(plain["value"]),
    "bytes": lambda plain: base64.b64decode(plain["base64"]),
}


def _too_deep(where: tuple[object, ...]) -> InvalidEvent:
    place = f"{place_of(where[:4])} is" if where else "the state is"
    return InvalidEvent(f"{place} nested more than {DEPTH_MAX} levels deep, or contains itself")


def _unknown(value: object, where: tuple[object, ...]) -> InvalidEvent:
    name = type(value).__name__
    return InvalidEvent(
        f"{place_of(where)} is a {name}, which cannot be kept: give plain values, or register_serializer({name!r}, …)"
    )


def place_of(where: tuple[object, ...]) -> str:
    """Return where in a state something is, as in active_positions, AAA-BBB, entry."""
    return ", ".join(f"{part}"[:40] for part in where) or "the state"
