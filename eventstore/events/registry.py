"""Which event classes there are: their names, schema numbers, weakest durability, measures and upcasters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, overload

import msgspec

from eventstore.errors import InvalidEvent, shown
from eventstore.events.base import SYNCED, Durability, Event
from eventstore.events.validation import Validator
from eventstore.streams import NAME, check_name

E = TypeVar("E", bound=type[Event])
Raw = dict[str, Any]


# Members that stand beside the measures in the shared record, so no measure may take their names.
RESERVED = frozenset({
    "account", "category", "data", "digest", "id", "log", "meta", "occurred_at", "position", "recorded_at",
    "stream", "symbol", "time", "type", "version",
})  # fmt: skip
VOCABULARY = "eventstore.trading"
SCHEMA_MAX = 10_000


class EventType(msgspec.Struct, frozen=True):
    """One registered class of events. `upcasters[n]` turns a raw dict of schema n into one of schema n + 1.

    `durability_of` is asked for one event, where the weakest it may be given depends on its members, `problem_of` where
    its members must fit one another.
    """

    name: str
    cls: type[Event]
    schema: int
    durability: Durability
    measures: tuple[str, ...]
    upcasters: dict[int, Callable[[Raw], Raw]]
    validator: Validator
    decoder: msgspec.json.Decoder[Any]
    categories: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    """The categories as streams begin with them: asked of each event that is appended."""
    requires_actor: bool = False
    durability_of: Callable[[Any], Durability] | None = None
    problem_of: Callable[[Any], str | None] | None = None

    def check_category(self, stream: str) -> None:
        """Raise InvalidEvent, naming the right stream, for a well-formed one in which nothing reads this event."""
        if self.prefixes and not stream.startswith(self.prefixes):
            right = f"{self.prefixes[0]}{stream.partition('/')[2]}"
            msg = f"{self.name} belongs in the stream {right}: nothing reads it from {stream}"
            raise InvalidEvent(msg)


class _Registered(dict[type, EventType]):
    """What is registered for each class of events; raises InvalidEvent for any other."""

    def __missing__(self, cls: type) -> EventType:
        msg = f"{getattr(cls, '__qualname__', cls)} is not registered: decorate the class with @eventstore.event"
        raise InvalidEvent(msg)


_by_name: dict[str, EventType] = {}
_by_class = _Registered()
by_class = _by_class.__getitem__
"""Returns what is registered for a class of events; raises InvalidEvent where nothing is."""


@overload
def event(cls: E, /) -> E: ...
@overload
def event(
    *,
    schema: int = 1,
    durability: Durability = SYNCED,
    measures: tuple[str, ...] = (),
    upcasters: Mapping[int, Callable[[Raw], Raw]] | None = None,
    name: str | None = None,
    categories: tuple[str, ...] = (),
    requires_actor: bool = False,
    durability_of: Callable[[Any], Durability] | None = None,
    problem_of: Callable[[Any], str | None] | None = None,
) -> Callable[[E], E]: ...
def event(
    cls: E | None = None,
    /,
    *,
    schema: int = 1,
    durability: Durability = SYNCED,
    measures: tuple[str, ...] = (),
    upcasters: Mapping[int, Callable[[Raw], Raw]] | None = None,
    name: str | None = None,
    categories: tuple[str, ...] = (),
    requires_actor: bool = False,
    durability_of: Callable[[Any], Durability] | None = None,
    problem_of: Callable[[Any], str | None] | None = None,
) -> E | Callable[[E], E]:
    """Register a subclass of Event under its name, bare or with settings.

    `schema`: at most 10,000, raised by one with each incompatible change, also of durability or measures; `upcasters`
    maps each older number to a function from the raw dict of that schema to one of the next. `durability`: the weakest
    it may be given. `measures`: numeric members that charts want as plain numbers. `categories`: those of the streams
    that it may be appended to, the usual one first; none: any. `requires_actor`: an append must name its author, by
    `actor`. `durability_of`: returns the weakest durability for one event, where that is stronger than the class's.
    `problem_of`: returns what is wrong with the members of one event together, None if nothing is; asked when an event
    is written, never when one is read.
    Raises InvalidEvent for a class that cannot be stored, a name that is taken, and settings that mean nothing.
    """

    def register(cls: E) -> E:
        title = _title(cls, name)
        _check_asked(title, "durability_of", durability_of)
        _check_asked(title, "problem_of", problem_of)
        kind = EventType(
            name=title,
            cls=_free(cls, title, _schema(title, schema)),
            schema=schema,
            durability=_durability(title, durability),
            measures=_measures(title, measures, cls),
            upcasters=_upcasters(title, upcasters, schema),
            validator=Validator(cls),
            decoder=msgspec.json.Decoder(cls),
            categories=_categories(title, categories),
            prefixes=tuple(f"{category}/" for category in categories),
            requires_actor=_flag(title, requires_actor),
            durability_of=durability_of,
            problem_of=problem_of,
        )
        # Only now, when every setting has been checked: a refused class leaves nothing registered.
        _by_name[kind.name] = _by_class[kind.cls] = kind
        return cls

    return register if cls is None else register(cls)


def _title(cls: object, name: object) -> str:
    """Return the name that a class is registered under."""
    if not (isinstance(cls, type) and issubclass(cls, Event)):
        msg = f"{shown(cls)} is not a subclass of eventstore.Event"
        raise InvalidEvent(msg)
    title = cls.__name__ if name is None else name
    if not isinstance(title, str) or not NAME.fullmatch(title):
        msg = f"an event's name is 1 to 64 of A-Z a-z 0-9 _ . : @ -, not {shown(title)}"
        raise InvalidEvent(msg)
    return title


def _free(cls: E, name: str, schema: int) -> E:
    """Return a class whose name no other fact has."""
    known = _by_name.get(name)
    if known is not None and known.cls is not cls and not _may_replace(known, cls, schema):
        msg = f"the name {name} is taken by {known.cls.__module__}.{known.cls.__qualname__}: choose another"
        raise InvalidEvent(msg)
    return cls


def _schema(name: str, given: object) -> int:
    if type(given) is not int or not 1 <= given <= SCHEMA_MAX:
        msg = f"{name}: schema is an int of 1 or more, at most {SCHEMA_MAX:,}, not {shown(given)}"
        raise InvalidEvent(msg)
    return given


def _durability(name: str, given: object) -> Durability:
    if not isinstance(given, Durability):
        msg = f"{name}: durability is one of {', '.join(each.name for each in Durability)}, not {shown(given)}"
        raise InvalidEvent(msg)
    return given


def _measures(name: str, given: object, cls: type[Event]) -> tuple[str, ...]:
    if not isinstance(given, tuple | list) or not all(isinstance(member, str) for member in given):
        msg = f"{name}: measures are a tuple of members' names, not {shown(given)}"
        raise InvalidEvent(msg)
    members = {field.name for field in msgspec.structs.fields(cls)}
    if wrong := [member for member in given if member not in members or member in RESERVED]:
        msg = f"{name}: measures {shown(wrong)} are not members, or their names are reserved"
        raise InvalidEvent(msg)
    return tuple(given)


def _upcasters(name: str, given: object, schema: int) -> dict[int, Callable[[Raw], Raw]]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(callable(function) for function in given.values()):
        msg = f"{name}: upcasters map schema numbers to functions, not {shown(given)}"
        raise InvalidEvent(msg)
    if any(type(older) is not int or not 1 <= older < schema for older in given):
        msg = f"{name}: upcasters start from schemas 1 to {schema - 1}, not from {shown(list(given))}"
        raise InvalidEvent(msg)
    return dict(given)


def _flag(name: str, given: object) -> bool:
    if not isinstance(given, bool):
        msg = f"{name}: requires_actor is True or False, not {shown(given)}"
        raise InvalidEvent(msg)
    return given


def _check_asked(name: str, setting: str, given: object) -> None:
    if given is not None and not callable(given):
        msg = f"{name}: {setting} is a function of an event, not {shown(given)}"
        raise InvalidEvent(msg)


def _categories(name: str, given: object) -> tuple[str, ...]:
    categories = given if isinstance(given, tuple | list) else (given,)
    if isinstance(given, str) or any(not isinstance(each, str) or not NAME.fullmatch(each) for each in categories):
        msg = f"{name}: categories are a tuple of names, each 1 to 64 of A-Z a-z 0-9 _ . : @ -, not {shown(given)}"
        raise InvalidEvent(msg)
    return tuple(categories)


def _may_replace(known: EventType, cls: type[Event], schema: int) -> bool:
    """A class may be defined again, as notebooks and reloads do; two different facts may not share a name."""
    old = known.cls
    if old.__module__ == VOCABULARY or old.__module__.startswith(VOCABULARY + "."):
        return False
    same_place = (old.__module__, old.__qualname__) == (cls.__module__, cls.__qualname__)
    redefinable = "__main__" in {old.__module__, cls.__module__} or "<locals>" in old.__qualname__ + cls.__qualname__
    return same_place or redefinable or (known.schema == schema and _shape(old) == _shape(cls))


def _shape(cls: type[Event]) -> list[tuple[str, str]]:
    return [(field.name, repr(field.type)) for field in msgspec.structs.fields(cls)]


def by_name(name: str) -> EventType | None:
    """Return what is registered under a name, or None."""
    return _by_name.get(name)


def registered_names() -> tuple[str, ...]:
    """Return the names under which classes are registered, sorted."""
    return tuple(sorted(_by_name))


def type_names(types: object) -> tuple[str, ...] | None:
    """Return event classes or names as names; None stays None, which means every type."""
    if types is None:
        return None
    if isinstance(types, str) or (isinstance(types, type) and issubclass(types, Event)):
        types = (types,)
    if not isinstance(types, Iterable):
        msg = f"types are event classes or their names, not {shown(types)}"
        raise InvalidEvent(msg)
    return tuple([_type_name(kind) for kind in types])


def _type_name(kind: object) -> str:
    if isinstance(kind, str):
        return check_name("type", kind)
    if isinstance(kind, type):
        return by_class(kind).name
    msg = f"types are event classes or their names, and {shown(kind)} is neither"
    raise InvalidEvent(msg)
