"""Entries of a timeline as text, as fields and as JSON: the sentence, what changed, and what marks the record."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import StoreError
from eventstore.readable import annotations_of, is_instant, value_text
from gateways.presenting.documents import plain, record_json
from gateways.presenting.presenter import NONE
from projections.views.lockouts.lockout import Lockout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from gateways.presenting.presenter import Presenter
    from projections import Change
    from projections.auditing import Entry, Mark

_MEMBERS = {
    "orders": ("status", "quantity", "cumulative", "average_price", "limit_price", "stop_price"),
    "trades": ("side", "quantity", "price", "fee", "busted"),
    "positions": ("quantity", "average_price", "realized", "fees", "reported"),
    "balances": ("reported", "folded"),
    "marked equity": ("equity", "high_water", "floor"),
    "limits in force": ("parameters",),
    "limits waiting": ("parameters",),
    "groups": ("accounts",),
}
"""The members that say what changed of a fact; of other facts all but those that only say where it is recorded."""
_MONEY = frozenset({
    "balance", "cash", "equity", "fee", "fees", "folded", "floor", "high_water", "realized", "starting_balance",
})  # fmt: skip
_PLACES = frozenset({"account", "first_position", "id", "last_position", "position", "positions"})
_SHOWN_MAX = 6


def entry_fields(entry: Entry, shown: Presenter) -> tuple[str, ...]:
    """Return position, both times, account, actor, sentence, what changed, marks and tags of an entry."""
    return (
        *(str(entry.position), shown.time(entry.recorded_at), shown.time(entry.occurred_at)),
        *(entry.account, entry.actor, entry.sentence, "; ".join(change_lines(entry, shown))),
        *(", ".join(map(mark_text, entry.marks)), ", ".join(entry.tags)),
    )


def change_lines(entry: Entry, shown: Presenter) -> list[str]:
    """Return what the record changed, a line for each fact, and what of that is not known."""
    lines = [text for change in entry.changes if (text := change_text(change, shown))]
    lines += [f"not known: {why}" for why in entry.unknown]
    return lines if entry.error is None else [*lines, f"not folded: {entry.error}"]


def mark_text(mark: Mark) -> str:
    """Return what marks a record: `BUSTED by 12`, `CORRECTS 9`, `LATE: recorded 2 h after it happened`."""
    if mark.position is None:
        return f"{mark.kind}: {mark.text}" if mark.text else str(mark.kind)
    return f"{mark.kind} {'by ' if mark.kind in _BY_OTHERS else ''}{mark.position}"


_BY_OTHERS = ("BUSTED", "CORRECTED")


def change_text(change: Change, shown: Presenter) -> str:
    """Return a change as `positions ESZ5: quantity 5 → 3, realized 0.00 → 150.00`; empty if only its place differs."""
    name = change.key.removesuffix("/NET")
    head = f"{change.view} {name}".rstrip()
    if _is_several(change.before) or _is_several(change.after):
        before, after = (_all_of(each, shown) for each in (change.before, change.after))
        return f"{head}: {before} → {after}"
    if change.before is None:
        return f"{head}: new" if change.view != "trades" else ""
    if change.after is None:
        return f"{head}: ended"
    parts = list(_differences(change, shown))
    more = f" and {len(parts) - _SHOWN_MAX} more" if len(parts) > _SHOWN_MAX else ""
    return f"{head}: {', '.join(parts[:_SHOWN_MAX])}{more}" if parts else ""


def _is_several(value: object) -> bool:
    return isinstance(value, tuple) and not hasattr(value, "_fields")


def _all_of(values: Any, shown: Presenter) -> str:  # noqa: ANN401 - lockouts, or the members of a group
    texts = [_lockout(each, shown) if isinstance(each, Lockout) else str(each) for each in values or ()]
    return "; ".join(texts) or NONE


def _lockout(lockout: Lockout, shown: Presenter) -> str:
    scope = "" if lockout.scope == "account" else f"{lockout.scope}: "
    if lockout.ended_by is not None:
        return f"{scope}{lockout.ended_by}"
    until = "without end date" if lockout.until is None else f"until {shown.time(lockout.until)}"
    return f"{scope}{lockout.allows} {until}"


def _differences(change: Change, shown: Presenter) -> Iterator[str]:
    before, after = change.before, change.after
    if not isinstance(before, msgspec.Struct) and not hasattr(before, "_fields"):
        yield f"{value_text(before)} → {value_text(after)}"
        return
    names = _MEMBERS.get(change.view) or getattr(before, "__struct_fields__", None) or before._fields
    kind: type = type(before)
    hints = annotations_of(kind)
    for name in names:
        was, is_now = _member(before, name), _member(after, name)
        if name not in _PLACES and was != is_now:
            is_money = name in _MONEY or change.view == "balances"
            texts = [_text(name, each, hints.get(name), shown, is_money=is_money) for each in (was, is_now)]
            yield f"{name.replace('_', ' ')} {texts[0]} → {texts[1]}"


def _member(value: Any, name: str) -> Any:  # noqa: ANN401 - any fact
    try:
        return getattr(value, name)
    except StoreError:
        # Money, where nobody has defined the contract.
        return None


def _text(name: str, value: Any, hint: Any, shown: Presenter, *, is_money: bool) -> str:  # noqa: ANN401 - any member
    if value is None:
        return NONE
    if isinstance(value, Decimal):
        if is_money:
            return shown.money(value)
        return shown.mean(value) if name.endswith("price") else shown.quantity(value)
    if is_instant(hint) and type(value) is int:
        return shown.time(value)
    return value_text(value, hint) or NONE


def entry_document(entry: Entry, zone: tzinfo) -> dict[str, Any]:
    """Return an entry as JSON: the record's members, and what the timeline adds to it."""
    document = record_json(entry.record, zone) | {"sentence": entry.sentence}
    document["changes"] = [_change_document(change, zone) for change in entry.changes]
    document["marks"] = [plain(mark) for mark in entry.marks]
    document["notes"] = [plain(note, zone) for note in entry.notes]
    document["tags"] = list(entry.tags)
    return document | {"unknown": list(entry.unknown), "error": entry.error}


def _change_document(change: Change, zone: tzinfo) -> dict[str, Any]:
    members = {"view": change.view, "account": change.account, "key": change.key}
    return members | {"before": plain(change.before, zone), "after": plain(change.after, zone)}
