"""A comparison of two pasts as it is asked for and as JSON: its sides, its views, and the facts that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

import projections
from eventstore import InvalidEvent
from eventstore.clock import format_time
from eventstore.errors import shown
from gateways.presenting.documents import plain
from projections import changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from eventstore import EventReader
    from projections import Change

ALL = "all"


class ComparedSide(msgspec.Struct, frozen=True, order=True):
    """One side of a comparison: by when things had happened, if asked for, and what was known (UNIX ns)."""

    occurred_at: int | None
    log_position: int
    recorded_at: int


def views_named(named: Sequence[str] | None) -> tuple[str, ...]:
    """Return the views to compare, the usual ones where none is named; raise InvalidEvent for an unknown one."""
    unknown = [name for name in named or () if name not in {ALL, *changes.VIEWS}]
    if unknown:
        msg = f"unknown view {shown(unknown[0])}: it is {ALL}, or one of {', '.join(changes.VIEWS)}"
        raise InvalidEvent(msg)
    return changes.USUAL if not named else changes.VIEWS if ALL in named else tuple(named)


def differences_between(
    store: EventReader,
    sides: tuple[ComparedSide, ComparedSide],
    views: tuple[str, ...],
    account: str | None,
) -> tuple[Change, ...]:
    """Return what differs between two sides, the earlier one first: both by occurrence, or both by recording."""
    earlier, later = sides
    if earlier.occurred_at is None or later.occurred_at is None:
        return projections.diff(store, earlier.recorded_at, later.recorded_at, account=account, views=views)
    return projections.diff(
        store,
        earlier.occurred_at,
        later.occurred_at,
        views=views,
        account=account,
        occurred_at=True,
        known_by=(earlier.recorded_at, later.recorded_at),
    )


def comparison_document(
    log: str, sides: tuple[ComparedSide, ComparedSide], found: Iterable[Change], zone: tzinfo
) -> dict[str, Any]:
    """Return a comparison as JSON: the log positions of both sides, and the facts that differ."""
    document: dict[str, Any] = {"log": log, "first": sides[0].log_position, "second": sides[1].log_position}
    occurred_at = [side.occurred_at for side in sides if side.occurred_at is not None]
    if occurred_at:
        document["occurred_at"] = [format_time(at, zone) for at in occurred_at]
    return document | {"changes": [plain(change, zone) for change in found]}
