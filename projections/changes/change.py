"""One difference between two pasts, by members, with the records behind it; and applying differences to a past."""

from __future__ import annotations

import enum
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import InvalidEvent
from eventstore.html import table_html
from eventstore.readable import member_rows, value_text
from projections.views.executions.positions import Position

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Key = tuple[str, str, str]
"""A view, an account and the name of one fact in it."""
ALL = "*"
"""The key of what stands for all facts of an account where a book cannot state them."""
_RECORDS_SHOWN = 10


class KindOfChange(enum.StrEnum):
    """How a fact differs between two pasts."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    CHANGED = "CHANGED"
    UNKNOWN = "UNKNOWN"
    """One of the pasts cannot be asked: see `Unanswered`."""


class Unanswered(msgspec.Struct, frozen=True):
    """Stands for what a past cannot say, and why: its view failed on a record, or a contract is not known."""

    why: str


class FieldChange(msgspec.Struct, frozen=True):
    """One member that differs; None where the fact has no such member, or is not there."""

    name: str
    before: Any
    after: Any


class Change(msgspec.Struct, frozen=True):
    """One fact, such as an order, that differs between two instants, and the records in between that concern it."""

    view: str
    account: str
    key: str
    before: Any
    after: Any
    records: tuple[Any, ...]

    @property
    def kind(self) -> KindOfChange:
        """Whether the fact was added, removed or changed; UNKNOWN where one of the pasts cannot say."""
        if isinstance(self.before, Unanswered) or isinstance(self.after, Unanswered):
            return KindOfChange.UNKNOWN
        if is_absent(self.before):
            return KindOfChange.ADDED
        return KindOfChange.REMOVED if is_absent(self.after) else KindOfChange.CHANGED

    @property
    def fields(self) -> tuple[FieldChange, ...]:
        """The members that differ; of several settings or lockouts of one rule, each by its number."""
        before, after = _members(self.before), _members(self.after)
        names = dict.fromkeys([*before, *after])
        return tuple([
            FieldChange(name, before.get(name), after.get(name))
            for name in names
            if name not in before or name not in after or before[name] != after[name]
        ])  # fmt: skip

    def _repr_html_(self) -> str:
        title = f"{self.view} of {self.account}: {self.key}"
        return table_html(("", "before", "after"), [*_differences(self), _records_row(self)], caption=title)


class Changes(tuple[Change, ...]):
    """What differs between two instants: a tuple that a notebook shows as a table."""

    __slots__ = ()

    def applied_to(self, facts: Mapping[Key, Any]) -> dict[Key, Any]:
        """Return the facts of the later past, given those of the earlier one, as `facts` gives them for a book.

        Raises InvalidEvent for facts of another past than these changes begin with.
        """
        result = dict(facts)
        for change in self:
            key = _own_key(change, change.before)
            known = result.pop(key, None)
            if not (is_absent(known) or is_absent(change.before) or known == change.before):
                msg = (
                    f"{change.view} of {change.account}: {change.key} is not as these changes begin with: apply them "
                    "to the facts of the earlier of the two pasts that they compare"
                )
                raise InvalidEvent(msg)
        # Where the later past cannot be asked of an account, it states that alone.
        unanswered = {(change.view, change.account) for change in self if _is_all(change)}
        # What a fact is called may change with it, as a position's contract does: removed first, then added.
        for change in self:
            is_left = _is_all(change) or (change.view, change.account) not in unanswered
            if is_left and not is_absent(change.after):
                result[_own_key(change, change.after)] = change.after
        return result

    def _repr_html_(self) -> str:
        headers = ("account", "in", "what", "", "before", "after", "by log positions")
        return table_html(headers, chain.from_iterable(map(_table_rows, self)), caption=f"{len(self):,} changes")


def is_absent(value: object) -> bool:
    """Return whether a value stands for nothing: None, no lockout, or a position that was never traded."""
    return value is None or value == () or (isinstance(value, Position) and value.first_position is None)


def _is_all(change: Change) -> bool:
    """Return whether a change says that the later past cannot state any fact of an account."""
    return change.key == ALL and isinstance(change.after, Unanswered)


def _own_key(change: Change, value: object) -> Key:
    """Return the key of a value, which may be found under another name of its contract too."""
    if isinstance(value, Position):
        return change.view, change.account, f"{value.symbol}/{value.side}"
    return change.view, change.account, change.key


def _members(value: object) -> dict[str, Any]:
    if is_absent(value):
        return {}
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if isinstance(value, tuple):
        return dict(getattr(value, "_asdict", lambda: {str(number): each for number, each in enumerate(value, 1)})())
    return {"": value}


def _table_rows(change: Change) -> Iterator[tuple[str, ...]]:
    where, by = (change.account, change.view, change.key), _records_row(change)[1]
    for name, before, after in _differences(change):
        yield *where, name, before, after, by
        where, by = ("", "", ""), ""


def _differences(change: Change) -> Iterator[tuple[str, str, str]]:
    """Yield the members that differ, with their texts before and after."""
    before, after = _texts(change.before), _texts(change.after)
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield name, before.get(name, ""), after.get(name, "")


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, msgspec.Struct):
        # An account may have had several lockouts of one rule.
        return {name: value_text(each) for name, each in _members(value).items()}
    texts: dict[str, str] = {}
    last = ""
    for name, text in member_rows(value):
        last = name or last
        texts[last] = text if name else f"{texts[last]}; {text}"
    return texts


def _records_row(change: Change) -> tuple[str, str, str]:
    shown = ", ".join(str(record.position) for record in change.records[:_RECORDS_SHOWN])
    more = len(change.records) - _RECORDS_SHOWN
    return "by log positions", f"{shown} and {more:,} more" if more > 0 else shown, ""
