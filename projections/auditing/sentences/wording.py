"""What sentences are made of: a record with what it changed, and its figures, instants and lists as text."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore import Record, UnknownContract
from eventstore.clock import NANOSECONDS, utc_date
from eventstore.streams import unescaped
from eventstore.trading import Cost, PositionSide, Side
from projections import numbers
from projections.decimals import FIXED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from decimal import Decimal

    from eventstore import Event
    from projections.changes import Change
    from projections.views.executions.positions import Position

    Sentences = dict[type[Event], Callable[[Any, "Said"], str]]
    """What says a sentence about each class of events, of the event and what else is known of its record."""

LISTED_MAX = 5
_MILLISECOND = NANOSECONDS // 1_000


class Said(NamedTuple):
    """What a sentence about a record is made of, besides its event.

    `zone` is that of the instants in it, `changes` what the record changed, `cost` the method by which the account's
    realized results count. `is_folded`: whether these changes are known, be there none, apart from those of `missing`.
    """

    record: Record
    changes: tuple[Change, ...] = ()
    is_folded: bool = False
    zone: tzinfo = UTC
    cost: Cost = Cost.FIFO
    missing: frozenset[str] = frozenset()

    @property
    def entity(self) -> str:
        """The name of what the record's stream is about."""
        return unescaped(self.record.entity)

    def knows(self, view: str) -> bool:
        """Return whether the record's changes of a view are known."""
        return self.is_folded and view not in self.missing

    def instant(self, at: int | None) -> str:
        """Return an instant in the zone: to the minute where it lies on one, else to the second or the millisecond."""
        return "an unknown time" if at is None else moment(at, self.zone)

    def of(self, view: str, kind: type[Any]) -> Iterable[tuple[Any, Any]]:
        """Yield before and after of what changed in a view, of one class; None where it was not, or is no more."""
        for change in self.changes:
            if change.view == view and isinstance(change.after if change.before is None else change.before, kind):
                yield change.before, change.after


def moment(at: int, zone: tzinfo) -> str:
    """Return an instant in a zone, as in 2026-11-20 17:00 CST: seconds and milliseconds where they are not zero."""
    # Whatever a record can have as an instant lies within the years that zones know.
    local = datetime.fromtimestamp(at // NANOSECONDS, UTC).astimezone(zone)
    milliseconds = at % NANOSECONDS // _MILLISECOND
    seconds = f":{local:%S}" if local.second or milliseconds else ""
    return f"{local:%Y-%m-%d %H:%M}{seconds}{f'.{milliseconds:03}' if milliseconds else ''} {local:%Z}"


def money(amount: Decimal | None, currency: str | None = None, *, named: bool = True) -> str:
    """Return an amount with its currency; without one, as a bare figure."""
    if amount is None:
        return "unknown"
    return f"{numbers.money(amount, currency)}{f' {currency}' if currency and named else ''}"


def signed(amount: Decimal, currency: str | None = None) -> str:
    """Return a result: with a plus sign where it is a gain."""
    return f"{'+' if amount > 0 else ''}{numbers.money(amount, currency)}"


def quantity(value: Decimal | None) -> str:
    return "an unknown quantity" if value is None else numbers.quantity(value)


def price(value: Decimal | None) -> str:
    return "an unknown price" if value is None else numbers.price(value)


def because(reason: str) -> str:
    """Return the end of a sentence that gives a reason, as it was written; nothing without one."""
    return f": {reason.strip().rstrip('.')}" if reason.strip() else ""


def listed(names: Iterable[object], most: int = LISTED_MAX) -> str:
    """Return names as a list in words; of many the first, and how many more."""
    texts = [str(each) for each in names]
    if len(texts) > most:
        return f"{', '.join(texts[:most])} and {len(texts) - most:,} more"
    return " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))


def stated(**members: object) -> str:
    """Return the members that were stated, as `name value`: those that are None are left out."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in members.items() if value is not None)


def bought_or_sold(side: Side | None) -> str:
    return {Side.BUY: "bought", Side.SELL: "sold"}.get(side, "executed") if side is not None else "executed"


def of_side(side: PositionSide) -> str:
    """Return which of a venue's two positions is meant; nothing where it keeps one."""
    return "" if side is PositionSide.NET else f" ({side})"


def day_of(at: int) -> str:
    return utc_date(at).isoformat()


def standing(before: Position | None, after: Position) -> str:
    """Return what is held after a change, as traders say it: `3 left`, `flat`, `long 2`, `short 2`."""
    held, left = (FIXED.plus(after.quantity) if each is None else each.quantity for each in (before, after))
    if not left:
        return "flat"
    same_way = before is not None and held and (held > 0) is (left > 0)
    if same_way and abs(left) < abs(held):
        return f"{numbers.quantity(abs(left))} left"
    return f"{'long' if left > 0 else 'short'} {numbers.quantity(abs(left))}"


def realized_by(before: Position | None, after: Position, cost: Cost) -> str:
    """Return what a change of a position realized, before fees: `realized +150.00`; nothing where it realized nothing.

    In points, and so said, where nobody has defined what a point is worth.
    """
    try:
        amount = _realized(after, cost)
        if before is not None:
            amount = FIXED.subtract(amount, _realized(before, cost))
    except UnknownContract:
        points = _points(after, cost)
        if before is not None:
            points = FIXED.subtract(points, _points(before, cost))
        return f"realized {signed(points)} points, whose value is unknown" if points else ""
    return f"realized {signed(amount, after.currency)}" if amount else ""


def _realized(position: Position, cost: Cost) -> Decimal:
    return position.realized if cost is Cost.FIFO else position.realized_average_cost


def _points(position: Position, cost: Cost) -> Decimal:
    return position.realized_points if cost is Cost.FIFO else position.realized_points_average_cost
