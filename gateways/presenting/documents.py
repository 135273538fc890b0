"""Values as JSON: decimals as text, instants with nine digits and zone, ids as UUIDs; and events' data for people.

An instant is known by its type, `Instant`, never by a member's name.
"""

from __future__ import annotations

import contextlib
import functools
import re
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, date, tzinfo
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import Any

import msgspec

from eventstore import Record, UnknownContract
from eventstore.clock import format_time
from eventstore.events.registry import by_name
from eventstore.ids import id_text
from eventstore.readable import annotations_of, is_instant, is_union
from eventstore.trading import Cost
from gateways.presenting.escaping import escaped_json
from projections.changes import Change
from projections.numbers import in_full, without_powers
from projections.views.equity import Equity
from projections.views.executions.pnl import Unrealized
from projections.views.executions.pnl_totals import PnlTotals
from projections.views.executions.positions import Position
from projections.views.orders.view import Order


def reported_difference(position: Position) -> Decimal | None:
    """Return what the broker reports beyond the fills; None without a report, or if a fill came after it."""
    return None if position.superseded else position.difference


def realized_or_none(position: Position, cost: Cost = Cost.FIFO) -> Decimal | None:
    """Return a position's realized money; None if its contract is unknown."""
    try:
        return position.realized if cost is Cost.FIFO else position.realized_average_cost
    except UnknownContract:
        return None


def changed_members(change: Change) -> list[str]:
    """Return the names of the members that differ."""
    return [field.name for field in change.fields]


# Figures that the classes compute, in addition to the members that they store.
_COMPUTED: dict[type, dict[str, Callable[[Any], Any]]] = {
    Change: {"kind": attrgetter("kind"), "fields": changed_members},
    Equity: {"status": attrgetter("status"), "why": attrgetter("why")},
    Order: {"average_price": attrgetter("average_price"), "shortfall": attrgetter("shortfall")},
    PnlTotals: {"result": attrgetter("result"), "net_result": attrgetter("net_result")},
    Position: {"difference": reported_difference, "uncertain": attrgetter("is_uncertain")},
    Unrealized: {"status": attrgetter("status"), "why": attrgetter("why"), "result": attrgetter("result")},
}
_UUID_BYTES = 16
_RECORD_BYTES = ("id", "correlation_id", "causation_id", "digest")
_POWER_OF_TEN = re.compile(rb"\dE[+-]?\d")

Hint = Any
"""A type as an annotation gives it: a class, a union, an Annotated one, or None if unknown."""


def plain(value: Any, zone: tzinfo = UTC, hint: Hint = None) -> Any:  # noqa: ANN401 - any member of any struct
    """Return a value, and all within it, as plain JSON values; `hint` is its annotation."""
    # Nearly all that a document consists of; an account's is asked for before each order.
    cls = value.__class__
    if value is None or cls is str or cls is bool:
        return value
    if cls is Decimal:
        return in_full(value)
    if isinstance(value, Record):
        return record_json(value, zone)
    if isinstance(value, msgspec.Struct):
        members = {shown: plain(getattr(value, name), zone, of) for name, shown, of in _members_of(cls)}
        computed = _COMPUTED.get(cls)
        return members | {name: plain(of(value), zone) for name, of in computed.items()} if computed else members
    if isinstance(value, Mapping):
        within = _within(hint)
        return {str(key): plain(item, zone, within) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        hints = annotations_of(cls)
        return {name: plain(item, zone, hints.get(name)) for name, item in zip(value._fields, value, strict=True)}
    if isinstance(value, list | tuple):
        within = _within(hint) if value else None
        return [plain(item, zone, within) for item in value]
    return _scalar(value, zone, hint)


@functools.cache
def _members_of(cls: type[msgspec.Struct]) -> tuple[tuple[str, str, Hint], ...]:
    """Return the members of a struct: their names, those in JSON, and their annotations."""
    hints = annotations_of(cls)
    names = zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True)
    return tuple((name, shown, hints.get(name)) for name, shown in names)


def _scalar(value: Any, zone: tzinfo, hint: Hint) -> Any:  # noqa: ANN401 - any leaf
    match value:
        case Enum():
            return value.value
        case Decimal():
            return in_full(value)
        case bytes():
            return _hexadecimal(value)
        case date():
            return value.isoformat()
        case int() if is_instant(hint) and not isinstance(value, bool):
            return format_time(value, zone)
        case _:
            return value


def _hexadecimal(value: bytes) -> str:
    return id_text(value) if len(value) == _UUID_BYTES else value.hex()


def _within(hint: Hint) -> Hint:
    """Return the annotation of what a mapping or a sequence holds; None without one."""
    if hasattr(hint, "__metadata__"):
        return _within(hint.__origin__)
    arguments = [argument for argument in typing.get_args(hint) if argument is not ...]
    if is_union(hint):
        return next((found for part in arguments if (found := _within(part)) is not None), None)
    return arguments[-1] if arguments else None


def record_json(record: Record, zone: tzinfo = UTC) -> dict[str, Any]:
    """Return a record by its members' names; `data` is the event's JSON as it is stored."""
    members = msgspec.structs.asdict(record)
    for name in _instants_of(Record):
        members[name] = format_time(members[name], zone)
    members["data"] = msgspec.Raw(record.data)
    for name in _RECORD_BYTES:
        value = members[name]
        if value is not None:
            members[name] = _hexadecimal(value)
    return members


@functools.cache
def _instants_of(cls: type) -> tuple[str, ...]:
    return tuple(name for name, hint in annotations_of(cls).items() if is_instant(hint))


def readable_data(record: Record, clock: Callable[[int], str]) -> str:
    """Return an event's JSON for people: each instant as `clock` writes it, and no figure in scientific notation."""
    kind = by_name(record.type)
    data = record.data
    rewritten = {} if kind is None else _rewritten_members(kind.cls, decimals=_POWER_OF_TEN.search(data) is not None)
    if rewritten:
        # Data altered in the file may not be JSON any more: it is shown as it is, and `verify` reports the rest.
        with contextlib.suppress(msgspec.DecodeError):
            data = msgspec.json.encode(_readable_members(data, rewritten, clock))
    return data.decode("utf-8", "backslashreplace")


def json_text(document: object) -> str:
    """Return a JSON document on one line; characters that are not shown are written as escapes."""
    try:
        text = msgspec.json.encode(document).decode()
    except UnicodeEncodeError:
        # Half of a surrogate pair: a file name that is not UTF-8, whose bytes JSON has no way to write.
        text = msgspec.json.encode(_encodable(document)).decode()
    return escaped_json(text)


def _encodable(value: Any) -> Any:  # noqa: ANN401 - any plain JSON value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list | tuple) else value


@functools.cache
def _rewritten_members(cls: type, *, decimals: bool) -> dict[str, Hint]:
    """Return the members of a struct that are or hold instants (with `decimals` also decimals), by JSON name."""
    hints = annotations_of(cls)
    return {
        field.encode_name: hints[field.name]
        for field in msgspec.structs.fields(cls)
        if _is_rewritten(hints[field.name], decimals=decimals)
    }


def _is_rewritten(hint: Hint, *, decimals: bool) -> bool:
    if is_instant(hint) or (decimals and hint is Decimal):
        return True
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return bool(_rewritten_members(hint, decimals=decimals))
    return any(_is_rewritten(part, decimals=decimals) for part in typing.get_args(hint))


def _readable_members(data: bytes | msgspec.Raw, hints: Mapping[str, Hint], clock: Callable[[int], str]) -> Any:  # noqa: ANN401 - any JSON
    members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    return {name: _readable(raw, hints.get(name), clock) for name, raw in members.items()}


def _readable(raw: msgspec.Raw, hint: Hint, clock: Callable[[int], str]) -> Any:  # noqa: ANN401 - any JSON
    if hint is None or not _is_rewritten(hint, decimals=True):
        return raw
    match bytes(raw)[:1]:
        case b"{":
            struct = _struct_in(hint)
            if struct is not None:
                return _readable_members(raw, _rewritten_members(struct, decimals=True), clock)
            items = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
            return {key: _readable(item, _within(hint), clock) for key, item in items.items()}
        case b"[":
            within = _within(hint)
            return [_readable(item, within, clock) for item in msgspec.json.decode(raw, type=list[msgspec.Raw])]
        case _:
            value = msgspec.json.decode(raw)
            if is_instant(hint):
                return clock(value) if type(value) is int else raw
            return without_powers(value) if isinstance(value, str) else raw


def _struct_in(hint: Hint) -> type[msgspec.Struct] | None:
    """Return the struct that a value itself can be, not one that it holds."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    if hasattr(hint, "__metadata__"):
        return _struct_in(hint.__origin__)
    parts = typing.get_args(hint) if is_union(hint) else ()
    return next((found for part in parts if (found := _struct_in(part)) is not None), None)
