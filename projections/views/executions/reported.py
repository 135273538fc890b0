"""What a broker last reported of a position, and whether fills came after it."""

from decimal import Decimal

import msgspec
from msgspec.structs import replace

from eventstore import Instant
from eventstore.trading import PositionReported, PositionSide


class PositionReport(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A broker's word on a position as of an instant, all None without one; `superseded`: it has changed since."""

    quantity: Decimal | None = None
    average_price: Decimal | None = None
    frozen: Decimal | None = None
    at: Instant | None = None
    superseded: bool = False


NO_REPORT = PositionReport()


def report_of(event: PositionReported, at: int, last_fill_at: int | None) -> PositionReport:
    """Return what an event reports as of an instant; a fill that happened later supersedes it at once."""
    # Venues that keep both sides report a short one above zero or below.
    quantity = -abs(event.quantity) if event.position_side is PositionSide.SHORT else event.quantity
    superseded = last_fill_at is not None and last_fill_at > at
    return PositionReport(quantity, event.average_price, event.frozen, at, superseded)


def superseded(report: PositionReport, quantity: Decimal, *, by_fill: bool) -> PositionReport:
    """Return a report after which a fill, or another change, has made the position this quantity.

    A change that makes it what was reported, as booking the difference does, leaves the report as it is.
    """
    if report.quantity is None or report.superseded or (quantity == report.quantity and not by_fill):
        return report
    return replace(report, superseded=True)
