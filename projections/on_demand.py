"""Large members of a state that are decoded value by value, when each is first asked for."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, MutableMapping, ValuesView
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar, cast, get_args, get_origin

import msgspec
from typing_extensions import override

K = TypeVar("K")
V = TypeVar("V")
Failed = Callable[[msgspec.MsgspecError], Exception]
"""Takes a failure to decode and returns what to raise."""


class _OnDemand(NamedTuple):
    """Marks a dict of a state's class; where one stands in a Struct, its values are decoded one by one."""


ON_DEMAND = _OnDemand()


class Values(MutableMapping[K, V]):
    """A dict whose values are bytes of a state until they are asked for.

    Most of a state are closed orders and past trades, of which hardly any is asked for again. It is not a dict, and
    msgspec encodes it by `as_stored` only: of a dict that holds undecoded values it would make JSON that is none.
    """

    __slots__ = ("_decode", "_failed", "_lock", "_values")

    def __init__(self, values: dict[K, Any], decode: Callable[[msgspec.Raw], V], failed: Failed) -> None:
        self._values, self._decode, self._failed = values, decode, failed
        # Lookups take no lock of the book's: what one of them has decoded must not replace what was folded meanwhile.
        self._lock = threading.Lock()

    @override
    def __getitem__(self, key: K) -> V:
        found = self._values[key]
        return self._decoded(key) if found.__class__ is msgspec.Raw else cast("V", found)

    @override
    def get(self, key: K, default: Any = None) -> Any:
        found = self._values.get(key, default)
        if found.__class__ is not msgspec.Raw:
            return found
        try:
            return self._decoded(key)
        except KeyError:
            # It was removed meanwhile.
            return default

    def _decoded(self, key: K) -> V:
        with self._lock:
            found = self._values[key]
            if found.__class__ is msgspec.Raw:
                try:
                    found = self._values[key] = self._decode(found)
                except msgspec.MsgspecError as e:
                    raise self._failed(e) from e
        return cast("V", found)

    @override
    def __setitem__(self, key: K, value: V) -> None:
        with self._lock:
            self._values[key] = value

    @override
    def __delitem__(self, key: K) -> None:
        with self._lock:
            del self._values[key]

    @override
    def __contains__(self, key: object) -> bool:
        return key in self._values

    @override
    def __iter__(self) -> Iterator[K]:
        return iter(self._values)

    def __reversed__(self) -> Iterator[K]:
        return reversed(self._values)

    @override
    def __len__(self) -> int:
        return len(self._values)

    @override
    def values(self) -> ValuesView[V]:
        return _View(self)

    @override
    def __eq__(self, other: object) -> bool:
        return dict(self) == (dict(other) if isinstance(other, Values) else other)

    __hash__: ClassVar[None]  # type: ignore[assignment]

    def as_stored(self) -> dict[K, Any]:
        """Return what msgspec encodes as the dict that this stands for."""
        return self._values

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[K, V]:
        return copy.deepcopy(dict(self), memo)

    @override
    def __repr__(self) -> str:
        return repr(dict(self))


class _View(ValuesView[V]):
    """The values of a mapping, of which others may delete or add some meanwhile."""

    def __init__(self, mapping: Values[Any, V]) -> None:
        super().__init__(mapping)
        self._of = mapping

    @override
    def __iter__(self) -> Iterator[V]:
        return self._each(list(self._of))

    def __reversed__(self) -> Iterator[V]:
        return self._each(reversed(self._of))

    def _each(self, keys: Any) -> Iterator[V]:  # noqa: ANN401 - a list or an iterator of keys of any type
        for key in keys:
            try:
                yield self._of[key]
            except KeyError:
                continue


def decoder_of(kind: type[Any]) -> StateDecoder:
    """Return what decodes states of a class: making one takes longer than decoding a small state."""
    if kind not in _decoders:
        _decoders[kind] = StateDecoder(kind)
    return _decoders[kind]


_decoders: dict[type[Any], StateDecoder] = {}


class StateDecoder:
    """Decodes states of a class: as msgspec does, except for members that are marked ON_DEMAND."""

    def __init__(self, kind: type[Any]) -> None:
        self._kind = kind
        self._members = _members_of(kind) if issubclass(kind, msgspec.Struct) else {}
        self._decoder = msgspec.msgpack.Decoder(_stored_as(kind, self._members) if self._members else kind)

    def decode(self, raw: bytes, failed: Failed) -> Any:  # noqa: ANN401 - a state of the class
        """Return a state; raise MsgspecError. `failed` makes what a value raises that cannot be decoded later."""
        found = self._decoder.decode(raw)
        return _as_declared(self._kind, found, self._members, failed) if self._members else found


def as_stored(member: Any) -> Any:  # noqa: ANN401 - what msgspec does not encode by itself
    """Return what msgspec encodes in place of a member that is decoded on demand: its hook for states."""
    if isinstance(member, Values):
        return member.as_stored()
    msg = f"Encoding objects of type {type(member).__name__} is unsupported"
    raise TypeError(msg)


class _Marked(NamedTuple):
    """A member whose values are decoded on demand: the class of its keys, and what decodes a value."""

    keys: Any
    decode: Callable[[msgspec.Raw], Any]


class _Inner(NamedTuple):
    """A member that is a Struct with such members."""

    kind: type[msgspec.Struct]
    members: dict[str, _Marked | _Inner]


def _members_of(kind: type[msgspec.Struct]) -> dict[str, _Marked | _Inner]:
    found: dict[str, _Marked | _Inner] = {}
    for each in msgspec.structs.fields(kind):
        if get_origin(each.type) is Annotated and ON_DEMAND in each.type.__metadata__:
            keys, values = get_args(get_args(each.type)[0])
            found[each.name] = _Marked(keys, msgspec.msgpack.Decoder(values).decode)
        elif isinstance(each.type, type) and issubclass(each.type, msgspec.Struct):
            inner = _members_of(each.type)
            if inner:
                found[each.name] = _Inner(each.type, inner)
    return found


def _stored_as(kind: type[msgspec.Struct], members: dict[str, _Marked | _Inner]) -> type[msgspec.Struct]:
    """Return a class that decodes the same bytes, with values of marked members left as they are."""
    config = kind.__struct_config__
    assert not config.array_like, f"{kind.__name__} has no names by which its members are found"
    assert config.tag is None, f"{kind.__name__} is distinguished from others by a tag"
    fields: list[Any] = []
    for each in msgspec.structs.fields(kind):
        match members.get(each.name):
            case _Marked(keys, _):
                fields.append((each.name, dict[keys, msgspec.Raw], msgspec.field(default_factory=dict)))  # type: ignore[valid-type]
            case _Inner(inner, own):
                stored = _stored_as(inner, own)
                fields.append((each.name, stored, msgspec.field(default_factory=stored)))
            case _:
                options = {"default": each.default, "default_factory": each.default_factory}
                given = {name: value for name, value in options.items() if value is not msgspec.NODEFAULT}
                fields.append((each.name, each.type, msgspec.field(**given)) if given else (each.name, each.type))
    return msgspec.defstruct(kind.__name__, fields, kw_only=True)


def _as_declared(
    kind: type[msgspec.Struct], found: msgspec.Struct, members: dict[str, _Marked | _Inner], failed: Failed
) -> msgspec.Struct:
    values = {name: getattr(found, name) for name in kind.__struct_fields__}
    for name, member in members.items():
        value = values[name]
        if isinstance(member, _Inner):
            values[name] = _as_declared(member.kind, value, member.members, failed)
        elif value:
            values[name] = Values(value, member.decode, failed)
    return kind(**values)
