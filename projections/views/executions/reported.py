"""A broker's latest report of a position, how it differs from the fills, and whether fills came after it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from eventstore import Instant
from eventstore.arguments import POSITION_MAX
from eventstore.trading import PositionReported, PositionSide
from projections.decimals import EXACTLY, ZERO
from projections.views.confirming import GRACE_NS, is_second
from projections.views.executions.items import NOT_PART_OF_A_GAP, ItemKind, in_position

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from projections.views.executions.items import Item

_RECONCILED, _SPLIT, _TRADE = ItemKind.RECONCILED, ItemKind.SPLIT, ItemKind.TRADE


class PositionReport(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A broker's report of a position as of an instant, all None without one; `superseded`: it has changed since.

    `here` is the position by the fills up to that instant, as far as they are recorded by now. `differs_since` is when
    the first report that differed in the same way was recorded, or the last fill since; `differs_twice`: a second one
    did, made later, with no fill in between. `at_instant` is what happened at the very instant and was recorded since.
    """

    quantity: Decimal | None = None
    average_price: Decimal | None = None
    frozen: Decimal | None = None
    at: Instant | None = None
    superseded: bool = False
    here: Decimal = ZERO
    differs_since: Instant = 0
    differs_twice: bool = False
    at_instant: Decimal = ZERO

    def difference(self, held: Decimal) -> Decimal:
        """Return what the broker holds beyond the fills, which hold `held` now; zero if that explains it."""
        if self.quantity is None or held == self.quantity:
            return ZERO
        return EXACTLY.subtract(self.quantity, self.here)

    @property
    def differs(self) -> bool:
        """Whether it differs from the fills up to its time, and nothing has explained that since."""
        return self.quantity is not None and self.here != self.quantity

    def bounds(self, held: Decimal) -> tuple[Decimal, Decimal]:
        """Return the lowest and the highest position that there may be, where the fills hold `held`.

        What was filled since a report that differs may be a part of the difference, or come on top of it.
        """
        difference = self.difference(held)
        if not difference or self.quantity is None:
            return held, held
        possible = (held, self.quantity, EXACTLY.add(held, difference))
        return min(possible), max(possible)

    def contradicts_from(self, held: Decimal) -> int | None:
        """Return the instant from which it contradicts the fills, None if it agrees with them."""
        if not self.difference(held):
            return None
        # Two reports agree, whatever the time is.
        return 0 if self.differs_twice else self.differs_since + GRACE_NS


NO_REPORT = PositionReport()


def is_repeated(event: PositionReported, at: int, recorded_at: int, known: PositionReport) -> bool:
    """Return whether an event is the known report, delivered again: it knows nothing of what has happened since."""
    quantity = _signed(event)
    same = (known.quantity, known.average_price, known.frozen) == (quantity, event.average_price, event.frozen)
    return same and at == known.at and not is_second(at, recorded_at, known.at)


def _signed(event: PositionReported) -> Decimal:
    """Return the quantity: venues that keep both sides report a short one as positive or as negative."""
    return -abs(event.quantity) if event.position_side is PositionSide.SHORT else event.quantity


def report_of(
    event: PositionReported,
    times: tuple[int, int],
    position: tuple[Decimal, Iterable[Item]],
    known: PositionReport,
    *,
    amended_at: int,
) -> PositionReport:
    """Return the report of an event that was made and recorded at two times; superseded at once if a fill came later.

    `position` is the quantity held and the items of its window, the newest first; `known` the report before.
    `amended_at` is when the newest bust or correction was made.
    """
    (at, recorded_at), (held, items), quantity = times, position, _signed(event)
    # A report may be recorded after a fill or a bust that it does not know of yet: what counts is when each happened.
    then = _held_at(at, held, items, amended_at)
    superseded, here = then != held, quantity if then is None else then
    fresh = PositionReport(quantity, event.average_price, event.frozen, at, superseded, here, recorded_at)
    fresh = explained(fresh, held)
    difference = fresh.difference(held)
    if not difference or known.quantity is None or known.difference(held) != difference:
        return fresh
    twice = known.differs_twice or (not known.superseded and is_second(at, recorded_at, known.at))
    return replace(fresh, differs_since=known.differs_since, differs_twice=twice)


def _held_at(at: int, held: Decimal, items: Iterable[Item], amended_at: int) -> Decimal | None:
    """Return what was held at an instant, by what is recorded now; None before a split, which is not undone."""
    here = held
    for item in items:
        if item.at > at:
            if item.kind is _SPLIT:
                return None
            here = here if item.kind in NOT_PART_OF_A_GAP else EXACTLY.subtract(here, item.moved)
        elif item.kind is _TRADE and item.history and not item.gap:
            here = EXACTLY.add(here, EXACTLY.subtract(_known_at(item, at), _net(item)))
        elif amended_at <= at and item.place is None:
            break
    return here


def superseded(report: PositionReport, quantity: Decimal, *, by_fill: bool) -> PositionReport:
    """Return a report after a fill, or another change, that left the position at this quantity.

    A change to exactly the reported quantity, such as booking the difference, does not supersede the report.
    """
    if report.quantity is None or report.superseded or (quantity == report.quantity and not by_fill):
        return report
    return replace(report, superseded=True)


def is_past(report: PositionReport) -> bool:
    """Return whether nothing that is folded last changes a report: there is none, or it is superseded and explained."""
    return report.quantity is None or (report.superseded and not report.differs)


def after_item(report: PositionReport, item: Item, quantity: Decimal, recorded_at: int) -> PositionReport:
    """Return a report after a trade or another item that is folded last, and leaves the position at this quantity."""
    if is_past(report):
        return report
    if quantity == report.quantity:
        return explained(replace(report, superseded=report.superseded or item.is_trade), quantity)
    return after_trade(replace(report, superseded=True), item, recorded_at)


def explained(report: PositionReport, quantity: Decimal) -> PositionReport:
    """Return a report that the fills account for as soon as they leave its quantity, and whatever happens next."""
    if quantity != report.quantity or not report.differs:
        return report
    return replace(report, here=quantity, differs_twice=False)


def after_trade(report: PositionReport, item: Item, recorded_at: int) -> PositionReport:
    """Return a report that differs after an item: one that happened before it is a part of what it reports.

    What happened at the very instant of the report, and is recorded after it, is a part only where that leaves no
    difference; what a reconciliation books always is, because it answers the report. A report that agreed when it was
    recorded differs from nothing that is recorded later: brokers' positions lag behind their fills.
    """
    if report.at is None or not report.differs:
        return report
    here, at_instant = report.here, report.at_instant
    moves = item.kind not in NOT_PART_OF_A_GAP
    if item.kind is _RECONCILED or (moves and item.at < report.at):
        here = EXACTLY.add(here, item.moved)
    elif moves and item.at == report.at:
        at_instant = EXACTLY.add(at_instant, item.moved)
    elif not item.is_trade:
        return report
    both = EXACTLY.add(here, at_instant)
    if both == report.quantity:
        here, at_instant = both, ZERO
    return replace(report, here=here, differs_since=recorded_at, differs_twice=False, at_instant=at_instant)


def after_restating(report: PositionReport, before: Sequence[Item], items: Sequence[Item]) -> PositionReport:
    """Return a report that differs after busts and corrections of what happened before it.

    Items that are new are counted by `after_trade`; what a reconciliation has stood for changes nothing.
    """
    if report.at is None or not report.differs:
        return report
    left = {each.number: _known_at(each, report.at) for each in items}
    here = report.here
    for each in before:
        if each.at < report.at and each.kind is _TRADE and not each.gap:
            change = EXACTLY.subtract(left.get(each.number, ZERO), _known_at(each, report.at))
            here = EXACTLY.add(here, change)
    return report if here == report.here else replace(report, here=here)


def _known_at(trade: Item, at: int) -> Decimal:
    """Return what a trade moved as of an instant: a bust or a correction after a report is not a part of it."""
    return trade.known_at((at, POSITION_MAX)) if trade.history else _net(trade)


def _net(trade: Item) -> Decimal:
    return in_position(trade).quantity
