"""A broker's latest report of a position, and whether fills came after it."""

from decimal import Decimal

import msgspec
from msgspec.structs import replace

from eventstore import Instant
from eventstore.trading import PositionReported, PositionSide


class PositionReport(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A broker's report of a position as of an instant, all None without one; `superseded`: it has changed since."""

    quantity: Decimal | None = None
    average_price: Decimal | None = None
    frozen: Decimal | None = None
    at: Instant | None = None
    superseded: bool = False


NO_REPORT = PositionReport()


def report_of(event: PositionReported, at: int, last_fill_at: int | None) -> PositionReport:
    """Return the report of an event as of an instant; superseded at once if a fill happened later."""
    # Venues that keep both sides report a short quantity as positive or as negative.
    quantity = -abs(event.quantity) if event.position_side is PositionSide.SHORT else event.quantity
    superseded = last_fill_at is not None and last_fill_at > at
    return PositionReport(quantity, event.average_price, event.frozen, at, superseded)


def superseded(report: PositionReport, quantity: Decimal, *, by_fill: bool) -> PositionReport:
    """Return a report after a fill, or another change, that left the position at this quantity.

    A change to exactly the reported quantity, such as booking the difference, does not supersede the report.
    """
    if report.quantity is None or report.superseded or (quantity == report.quantity and not by_fill):
        return report
    return replace(report, superseded=True)
