"""What people changed of how accounts are limited and judged: by whom, when, and with what effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import (
    AccountConfigured,
    AccountReopened,
    Approved,
    BlackoutCanceled,
    BlackoutScheduled,
    DaySigned,
    EquityCorrected,
    GroupDefined,
    LimitsSet,
    LockoutCleared,
    LockoutExtended,
    LockoutSet,
    PolicyResumed,
    PositionAdjusted,
    ProtectionMode,
    TradeBusted,
    TradeCorrected,
)
from projections.auditing.selection import RECORDED, TimelineSelection
from projections.auditing.timeline import PAGE, page

if TYPE_CHECKING:
    from datetime import tzinfo

    from eventstore import Event, EventReader
    from eventstore.clock import Times
    from projections.auditing.timeline import TimelinePage

BY_PEOPLE: tuple[type[Event], ...] = (
    AccountConfigured,
    AccountReopened,
    Approved,
    BlackoutCanceled,
    BlackoutScheduled,
    DaySigned,
    EquityCorrected,
    GroupDefined,
    LimitsSet,
    LockoutCleared,
    PolicyResumed,
    PositionAdjusted,
    ProtectionMode,
    TradeBusted,
    TradeCorrected,
)
"""Events by which somebody sets, loosens or corrects something, whatever program recorded them."""
_UNLESS_AUTOMATIC: tuple[type[Event], ...] = (LockoutExtended, LockoutSet)
"""Events that count unless a policy appended them as the answer to a record."""


def changes(
    store: EventReader,
    *,
    by: str | None = None,
    account: str | None = None,
    start: Times | None = None,
    stop: Times | None = None,
    after: int = 0,
    limit: int = PAGE,
    zone: tzinfo | None = None,
) -> TimelinePage:
    """Return a page of what was set, cleared, corrected or reopened, in the order in which it was recorded.

    That is each limit, group, blackout, setting and protection mode; each lockout that was cleared, and each that was
    set or extended by hand; corrections of trades, positions and equity; reopened accounts and resumed policies. Each
    entry has its actor, and what it changed. `by` is an actor, or what its name begins with up to the `@`.
    """
    selection = selection_of_changes(by=by, account=account, start=start, stop=stop)
    return page(store, selection, after=after, limit=limit, zone=zone)


def selection_of_changes(
    *,
    by: str | None = None,
    account: str | None = None,
    start: Times | None = None,
    stop: Times | None = None,
) -> TimelineSelection:
    """Return the selection that `changes` shows, for `walk`."""
    return TimelineSelection.of(
        account=account,
        types=(*BY_PEOPLE, *_UNLESS_AUTOMATIC),
        actor=by,
        start=start,
        stop=stop,
        by=RECORDED,
        unless_automatic=frozenset(cls.__name__ for cls in _UNLESS_AUTOMATIC),
    )
