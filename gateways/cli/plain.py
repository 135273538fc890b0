"""Values as JSON has them and as tables show them: decimals as text, times with nine digits and zone, ids as UUIDs."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, date, tzinfo
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from eventstore import Record
from eventstore.clock import format_time
from projections.views.orders import Order
from projections.views.positions import Position

TIMES = frozenset({
    "at", "began_at", "effective_from", "ended_at", "expires_at", "flat_by", "in_force_at", "occurred_at", "opens_at",
    "recorded_at", "requested_at", "resets_at", "set_at", "superseded_at", "taken_at", "until", "updated_at",
})  # fmt: skip
IDS = frozenset({"causation_id", "cause", "correlation_id", "id", "log_id"})
# Figures that the classes compute, beside the members that they store.
_COMPUTED: dict[type, tuple[str, ...]] = {
    Order: ("average_price", "shortfall"),
    Position: ("difference",),
}
_FULL_MAX = 40
# Leaves room for the decimals in the 28 digits that a Decimal computes with.
_DIGITS_MAX = 19
_CENTS = Decimal("0.01")
# Ticks go down to seven decimals, for yen; a mean of prices above a hundred is no better known than to four.
_SHOWN, _MEAN = Decimal("0.00000001"), Decimal("0.0001")


def plain(value: Any, zone: tzinfo = UTC, name: str = "") -> Any:  # noqa: ANN401 - any member of any struct
    """Return a value, and all within it, as plain JSON values; `name` is the member's, which tells times and ids."""
    if isinstance(value, Record):
        return record_json(value, zone)
    if isinstance(value, msgspec.Struct):
        members = (*value.__struct_fields__, *_COMPUTED.get(type(value), ()))
        return {member: plain(getattr(value, member), zone, member) for member in members}
    if isinstance(value, Mapping):
        return {str(key): plain(item, zone, str(key)) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {member: plain(item, zone, member) for member, item in zip(value._fields, value, strict=True)}
    if isinstance(value, list | tuple):
        return [plain(item, zone, name) for item in value]
    return _scalar(value, zone, name)


def _scalar(value: Any, zone: tzinfo, name: str) -> Any:  # noqa: ANN401 - any leaf
    match value:
        case Enum():
            return value.value
        case Decimal():
            return written(value)
        case bytes():
            return str(uuid.UUID(bytes=value)) if name in IDS and len(value) == 16 else value.hex()  # noqa: PLR2004 - a UUID's size
        case date():
            return value.isoformat()
        case int() if name in TIMES and not isinstance(value, bool):
            return format_time(value, zone)
        case _:
            return value


def written(value: Decimal) -> str:
    """Return a number exactly, in full where that is of a size to read."""
    return f"{value:f}" if abs(value.adjusted()) < _FULL_MAX else str(value)


def record_json(record: Record, zone: tzinfo = UTC) -> dict[str, Any]:
    """Return a record by its members' names; `data` is the event's JSON as it is stored."""
    members: dict[str, Any] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        members[name] = msgspec.Raw(value) if name == "data" else plain(value, zone, name)
    return members


def figure(value: Decimal | None) -> str:
    """Return a quantity or price for a table: grouped, at most eight decimals, `-` for none."""
    return "-" if value is None else _grouped(value, _SHOWN)


def mean(value: Decimal | None) -> str:
    """Return an average price for a table, rounded as far as it means something."""
    if value is None:
        return "-"
    return _grouped(value, _MEAN if abs(value) >= 100 else _SHOWN)  # noqa: PLR2004 - see _MEAN


def _grouped(value: Decimal, step: Decimal) -> str:
    if value.adjusted() >= _DIGITS_MAX:
        return written(value)
    text = f"{value.quantize(step):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(value: Decimal | None) -> str:
    """Return an amount for a table, rounded to cents; `no contract` where nobody said what a point is worth."""
    if value is None:
        return "no contract"
    return f"{value.quantize(_CENTS):,f}" if value.adjusted() < _DIGITS_MAX else written(value)
