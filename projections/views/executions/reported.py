"""A broker's latest report of a position, how it differs from the fills, and whether fills came after it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from eventstore import Instant
from eventstore.trading import PositionReported, PositionSide
from projections.decimals import EXACTLY, ZERO
from projections.views.confirming import GRACE_NS, is_second

if TYPE_CHECKING:
    from collections.abc import Iterable

    from projections.views.executions.items import Item


class PositionReport(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A broker's report of a position as of an instant, all None without one; `superseded`: it has changed since.

    `here` is the position by the fills up to that instant, as far as they are recorded by now. `differs_since` is when
    the first report that differed in the same way was recorded, or the last fill since; `differs_twice`: a second one
    did, made later, with no fill in between.
    """

    quantity: Decimal | None = None
    average_price: Decimal | None = None
    frozen: Decimal | None = None
    at: Instant | None = None
    superseded: bool = False
    here: Decimal = ZERO
    differs_since: Instant = 0
    differs_twice: bool = False

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
) -> PositionReport:
    """Return the report of an event that was made and recorded at two times; superseded at once if a fill came later.

    `position` is the quantity held and its trades, the newest first; `known` the report before.
    """
    (at, recorded_at), (held, trades), quantity = times, position, _signed(event)
    here, superseded = held, False
    for trade in trades:
        if trade.at <= at:
            break
        # A report may be recorded after a fill that it does not know of yet: what counts is when each happened.
        superseded, here = True, EXACTLY.subtract(here, trade.moved)
    fresh = PositionReport(quantity, event.average_price, event.frozen, at, superseded, here, recorded_at)
    fresh = explained(fresh, held)
    difference = fresh.difference(held)
    if not difference or known.quantity is None or known.difference(held) != difference:
        return fresh
    twice = known.differs_twice or (not known.superseded and is_second(at, recorded_at, known.at))
    return replace(fresh, differs_since=known.differs_since, differs_twice=twice)


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
    """Return a report that differs after a trade: one that happened before it is a part of what it reports.

    One at the very instant of the report, and recorded after it, is not. A report that agreed when it was recorded
    differs from nothing that is recorded later: brokers' positions lag behind their fills.
    """
    if report.at is None or not report.differs or not item.is_trade:
        return report
    here = EXACTLY.add(report.here, item.moved) if item.at < report.at else report.here
    return replace(report, here=here, differs_since=recorded_at, differs_twice=False)
