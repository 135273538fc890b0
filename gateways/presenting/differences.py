"""The members in which two values differ, as text: what they were before and after a change."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.readable import annotations_of, is_instant, value_text
from gateways.presenting.presenter import NONE
from projections.changes import Unanswered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateways.presenting.presenter import Presenter
    from projections import Change

_MEMBERS_SHOWN = 6


def differing_members(change: Change, shown: Presenter) -> tuple[str, str]:
    """Return the members that differ before and after a change, each by its name; `-` where there is nothing."""
    fields = change.fields
    before = {field.name: field.before for field in fields}
    after = {field.name: field.after for field in fields}
    return _text(change.before, before, shown), _text(change.after, after, shown)


def _text(value: Any, members: Mapping[str, Any], shown: Presenter) -> str:  # noqa: ANN401 - any fact
    if value is None or value == ():
        return NONE
    if isinstance(value, Unanswered):
        return f"not known: {value.why}"
    cls: type = type(value)
    hints = annotations_of(cls)
    found = [
        f"{name} {_member(member, hints.get(name), shown)}".lstrip() for name, member in members.items() if member != ()
    ]
    more = len(found) - _MEMBERS_SHOWN
    return "; ".join([*found[:_MEMBERS_SHOWN], *([f"and {more} more"] if more > 0 else [])]) or NONE


def _member(value: object, hint: object, shown: Presenter) -> str:
    if value is None:
        return NONE
    if isinstance(value, int) and is_instant(hint):
        return shown.time(value)
    if isinstance(value, Decimal):
        return shown.quantity(value)
    if isinstance(value, msgspec.Struct):
        hints = annotations_of(type(value))
        members = ((name, getattr(value, name)) for name in value.__struct_fields__)
        parts = (
            f"{name} {_member(each, hints.get(name), shown)}" for name, each in members if each not in (None, (), "")
        )
        return ", ".join(parts)
    return value_text(value, hint)
