"""What an event's members must be before it is stored: of the declared types, and numbers that mean something."""

from __future__ import annotations

import datetime
import functools
import math
import re
import typing
import uuid
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import inspect

from eventstore.clock import derived_ns, duration_ns, to_ns
from eventstore.errors import InvalidEvent, shown
from eventstore.ids import as_id

S = TypeVar("S", bound=msgspec.Struct)

# No figure of trading comes near; without a bound, one event could make the folds of an account overflow for good.
_GREATEST = Decimal("1e100")
_SMALLEST = Decimal("1e-100")
# One that is nested deeper may be written with an empty stack and fails to be read on a deeper one.
DEPTH_MAX = 64
PARTS_MAX = 60_000
_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**64 - 1
_EXACT: dict[type[inspect.Type], frozenset[type]] = {
    inspect.BoolType: frozenset({bool}),
    inspect.DateType: frozenset({datetime.date}),
    inspect.NoneType: frozenset({type(None)}),
}

_NONE = type(None)
_values_of = msgspec.structs.astuple
_Asked = tuple[tuple[tuple[int, str, Callable[[str, Any], None]], ...], tuple[tuple[int, Decimal], ...]]
"""What is asked of members by their places: checks, and the bounds of numbers."""

# Our own bound: msgspec's `gt` is for int and float only.
Positive = Annotated[Decimal, msgspec.Meta(extra={"positive": True})]
"""A finite Decimal above zero: a quantity, a multiplier, a tick."""
Instant = Annotated[int, msgspec.Meta(extra={"instant": True})]
"""UNIX ns, UTC; an aware datetime or text given for it is stored as such, and an int before 1990 is refused."""
DerivedInstant = Annotated[int, msgspec.Meta(extra={"instant": True, "derived": True})]
"""An Instant that is from a clock or a record, right or wrong: not from a caller, who may mistake the unit."""
Duration = Annotated[int, msgspec.Meta(extra={"duration": True})]
"""Nanoseconds, not below 0; a timedelta given for it is stored as such."""
RecordId = Annotated[uuid.UUID, msgspec.Meta(extra={"record_id": True})]
"""A record's id; its 16 bytes, or its text, given for it are stored as such."""
Currency = Annotated[str, msgspec.Meta(extra={"currency": True})]
"""A currency's code: three to ten upper-case letters or digits, such as USD, JPY or USDT (ISO 4217, and coins)."""
_CURRENCY = re.compile(r"[A-Z0-9]{3,10}", re.ASCII)


class Validator:
    """Checks the events of one class.

    Constructing a struct checks nothing, and a decoder takes a float for a Decimal; so each member is checked
    here. The tuple of the members' classes is remembered once it has proved right, with what is still to be asked of
    values of these classes: nothing of None. That makes the usual check one tuple of all members, one look-up and two
    comparisons a number.
    """

    def __init__(self, cls: type[msgspec.Struct]) -> None:
        self._name = cls.__name__
        hints = typing.get_type_hints(cls, include_extras=True)
        infos = {field.name: field.type for field in inspect.type_info(cls).fields}  # type: ignore[attr-defined]
        self._fields = cls.__struct_fields__
        self._hints = tuple(hints[name] for name in self._fields)
        self._exact = tuple(_exact_classes(infos[name]) for name in self._fields)
        self._numbers = tuple(
            (index, _lower_bound(infos[name])) for index, name in enumerate(self._fields) if _is_decimal(infos[name])
        )
        self._times = tuple(
            (index, name, convert)
            for index, name in enumerate(self._fields)
            for convert in (_converter(infos[name]),)
            if convert is not None
        )
        timed = {name for _, name, _ in self._times}
        integers = (name for name in self._fields if _is_integer(infos[name]) and name not in timed)
        currencies = (name for name in self._fields if _is_marked(infos[name], "currency"))
        self._checks = tuple(
            (self._fields.index(name), f"{self._name}.{name}", check)
            for names, check in ((integers, _check_integer), (currencies, _check_currency))
            for name in names
        )
        self._proved: dict[tuple[type, ...], _Asked] = {}

    def check(self, event: S) -> S:
        """Return the event with its times in ns; raise InvalidEvent, naming the member that cannot be stored."""
        values = _values_of(event)
        for index, _, _ in self._times:
            if values[index] is not None:
                event = self._with_times(event, values)
                values = _values_of(event)
                break
        classes = tuple(map(type, values))
        asked = self._proved.get(classes)
        checks, numbers = self._check_types(values, classes) if asked is None else asked
        for index, where, check in checks:
            check(where, values[index])
        for index, above in numbers:
            try:
                if above < values[index] < _GREATEST:
                    continue
            except (InvalidOperation, TypeError):  # a NaN, or text
                pass
            self._refuse(index, above, values[index])
        return event

    def _asked_of(self, classes: tuple[type, ...]) -> _Asked:
        """Return what is asked of values of these classes: nothing of None."""
        checks = tuple(each for each in self._checks if classes[each[0]] is not _NONE)
        return checks, tuple(each for each in self._numbers if classes[each[0]] is not _NONE)

    def _refuse(self, index: int, above: Decimal, value: Decimal | int) -> None:
        text = str(value)[:80] if isinstance(value, Decimal) else shown(value)
        where = f"{self._name}.{self._fields[index]} = {text}"
        if isinstance(value, Decimal) and value.is_finite() and (value > 0 or above < 0):
            msg = f"{where}: too large or too small to compute with, {_GREATEST:.0e} and {_SMALLEST:.0e} are the limits"
        else:
            msg = f"{where}: expected a finite number{' above 0' if above > 0 else ''}"
        raise InvalidEvent(msg)

    def _with_times(self, event: S, values: tuple[Any, ...]) -> S:
        times, name = {}, ""
        try:
            for index, name, convert in self._times:
                value = values[index]
                if value is not None:
                    times[name] = convert(value)
        except InvalidEvent as e:
            msg = f"{self._name}.{name}: {e}"
            raise InvalidEvent(msg) from e
        return msgspec.structs.replace(event, **times)

    def _check_types(self, values: tuple[Any, ...], classes: tuple[type, ...]) -> _Asked:
        """Check members by their declared types, and return what else is asked of them."""
        asked, proved = self._asked_of(classes), True
        for name, value, cls, hint, exact in zip(self._fields, values, classes, self._hints, self._exact, strict=True):
            if cls in exact:
                continue
            proved = False
            self._check_one(name, value, hint)
        if proved:
            self._proved[classes] = asked
        return asked

    def _check_one(self, name: str, value: Any, hint: Any) -> None:  # noqa: ANN401 - any member of any event
        where = f"{self._name}.{name} = {shown(value, 200)}"
        _check_nesting(where, value)
        try:
            converted = msgspec.convert(value, hint, strict=True)
        except (msgspec.ValidationError, OverflowError, ValueError, RecursionError) as e:
            msg = f"{where}: {e}"
            raise InvalidEvent(msg) from e
        _check_numbers(where, value, converted)


def _check_integer(where: str, value: object) -> None:
    _check_number(where, value, None)


def is_currency(text: str) -> bool:
    """Return whether a text is a currency's code: `Currency` says what that is."""
    return _CURRENCY.fullmatch(text) is not None


def _check_currency(where: str, value: str | None) -> None:
    """Refuse what is not a code: misspelt, it would be another currency, in which no limit is judged."""
    if value is not None and not is_currency(value):
        msg = f"{where} = {shown(value)}: expected a currency's code, 3 to 10 upper-case letters or digits, such as USD"
        raise InvalidEvent(msg)


def _check_nesting(where: str, value: object) -> None:
    """Refuse what is nested too deeply to be written, or read where the stack is deep already, or has no end."""
    level, count = [value], 0
    for _ in range(DEPTH_MAX):
        level = [part for each in level for part in _parts_of(each)]
        count += len(level)
        if not level:
            return
        if count > PARTS_MAX:
            msg = f"{where}: more than {PARTS_MAX:,} values are too many for one event"
            raise InvalidEvent(msg)
    msg = f"{where}: nested more than {DEPTH_MAX} levels deep"
    raise InvalidEvent(msg)


def _parts_of(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.astuple(value)
    return value if isinstance(value, list | tuple | set | frozenset) else ()


def _check_numbers(where: str, value: Any, converted: Any) -> None:  # noqa: ANN401 - any member of any event
    """Refuse what JSON or a decoder would bend: numbers that are none, and floats where a Decimal is declared."""
    if isinstance(value, Decimal | float | int):
        _check_number(where, value, converted)
        return
    if isinstance(value, msgspec.Struct):
        # What is one already is taken as it is, whatever its members are: they are checked as an event's own.
        if _validator_of(type(value)).check(value) != value:
            msg = f"{where}: give its times in UNIX ns"
            raise InvalidEvent(msg)
        return
    if isinstance(value, Mapping):
        _check_numbers(where, list(value), list(converted))
        value, converted = list(value.values()), list(converted.values())
    elif isinstance(value, set | frozenset):
        converted = value
    if isinstance(value, list | tuple | set | frozenset):
        for one, other in zip(value, converted, strict=True):
            _check_numbers(where, one, other)


def _check_number(where: str, value: Any, converted: Any) -> None:  # noqa: ANN401 - any member of any event
    if isinstance(value, int):
        # No snapshot could hold a greater one: MessagePack's integers have 64 bits.
        if not _INTEGER_MIN <= value <= _INTEGER_MAX:
            msg = f"{where}: expected an integer of at most 64 bits, or a Decimal"
            raise InvalidEvent(msg)
    elif isinstance(value, Decimal):
        # Compared by its exponent: a comparison raises on a signaling NaN.
        if not value.is_finite() or value.adjusted() >= _GREATEST.adjusted():
            msg = f"{where}: expected a finite number below {_GREATEST:.0e}"
            raise InvalidEvent(msg)
    elif value is not None and not math.isfinite(value):
        msg = f"{where}: expected a finite number"
        raise InvalidEvent(msg)
    elif isinstance(value, float) and not isinstance(converted, float):
        msg = f"{where} is a float: give a Decimal made of text, for example Decimal('{value}')"
        raise InvalidEvent(msg)


@functools.cache
def _validator_of(cls: type[msgspec.Struct]) -> Validator:
    return Validator(cls)


def _parts(info: inspect.Type) -> tuple[inspect.Type, ...]:
    """Return the members of a union, or the type itself, without the metadata around it."""
    if isinstance(info, inspect.Metadata):
        return _parts(info.type)
    if isinstance(info, inspect.UnionType):
        return tuple(part for member in info.types for part in _parts(member))
    return (info,)


def _is_decimal(info: inspect.Type) -> bool:
    return any(isinstance(part, inspect.DecimalType) for part in _parts(info))


def _is_integer(info: inspect.Type) -> bool:
    return any(isinstance(part, inspect.IntType) for part in _parts(info))


def _converter(info: inspect.Type) -> Callable[[Any], Any] | None:
    """Return what makes an int of a time or a duration, and a UUID of an id; None for any other member."""
    if _is_marked(info, "record_id"):
        return _as_uuid
    if _is_marked(info, "instant"):
        return derived_ns if _is_marked(info, "derived") else to_ns
    return duration_ns if _is_marked(info, "duration") else None


def _as_uuid(value: object) -> uuid.UUID:
    if isinstance(value, str):
        try:
            return uuid.UUID(value)
        except ValueError as e:
            msg = f"{shown(value)} is not an id: give the record's uuid, or its 16 bytes"
            raise InvalidEvent(msg) from e
    id_ = as_id(value)
    if id_ is None:
        msg = "expected an id"
        raise InvalidEvent(msg)
    return uuid.UUID(bytes=id_)


def _is_marked(info: inspect.Type, mark: str) -> bool:
    if isinstance(info, inspect.Metadata):
        return bool((info.extra or {}).get(mark)) or _is_marked(info.type, mark)
    return isinstance(info, inspect.UnionType) and any(_is_marked(part, mark) for part in info.types)


def _lower_bound(info: inspect.Type) -> Decimal:
    if isinstance(info, inspect.Metadata):
        extra = info.extra or {}
        return _SMALLEST if extra.get("positive") else _lower_bound(info.type)
    if isinstance(info, inspect.UnionType):
        return max(_lower_bound(member) for member in info.types)
    return -_GREATEST


def _exact_classes(info: inspect.Type) -> frozenset[type]:
    """Return the classes that prove a member right by themselves; other values are converted on trial."""
    return frozenset().union(*(_exact_of(part) for part in _parts(info)))


def _exact_of(part: inspect.Type) -> frozenset[type]:
    match part:
        case inspect.DecimalType():
            return frozenset({Decimal, int})
        case inspect.StrType(min_length=None, max_length=None, pattern=None):
            return frozenset({str})
        case inspect.IntType(gt=None, ge=None, lt=None, le=None, multiple_of=None):
            return frozenset({int})
        case inspect.EnumType():
            return frozenset({part.cls})
        case _:
            return _EXACT.get(type(part), frozenset())
