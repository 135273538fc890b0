"""What happens to a position beside its fills: stream `position/ACCOUNT/SYMBOL`."""

from decimal import Decimal

from eventstore.events import QUEUED, Event, event
from eventstore.trading.enums import AdjustmentReason, PositionSide


def _problem_of(event: "PositionAdjusted") -> str | None:
    """Return which of an adjustment's members does not apply to its reason."""
    if event.reason is AdjustmentReason.SPLIT and event.price is not None:
        return "a SPLIT has no price, for it leaves the position's cost as it is: leave price out"
    if event.quantity:
        return None
    if event.price is None:
        return "a quantity of 0 without a price changes nothing: give the quantity, or the price that was missing"
    if event.reason not in _PRICED_LATER:
        return f"only {' and '.join(_PRICED_LATER)} are given their price later, by a quantity of 0, not {event.reason}"
    return None


_PRICED_LATER = (AdjustmentReason.RECONCILED, AdjustmentReason.EXPIRY)


@event(categories=("position",), measures=("quantity", "price"), problem_of=_problem_of)
class PositionAdjusted(Event, frozen=True, kw_only=True):
    """A position changed without a fill, by `quantity` (below zero: towards short).

    `price` is what the change is booked at; none: at the position's own average, so that nothing is realized. Without
    one an EXPIRY, a RECONCILED and whatever opens a flat position are marked UNPRICED, on the position and on the day,
    until the price is stated: by another adjustment of the same reason with `quantity` 0 and the price, which is then
    that of all of this reason that have none. An option that expires worthless has a price: 0. A RECONCILED, with or
    without a price, gives way to the fills that it stood for, once they are recorded. A SPLIT's quantity is the
    additional one, and the position's cost stays as it is: it has no price.
    """

    symbol: str
    quantity: Decimal
    reason: AdjustmentReason
    price: Decimal | None = None
    position_side: PositionSide = PositionSide.NET
    note: str = ""


@event(categories=("position", "account"), durability=QUEUED, measures=("quantity", "average_price"))
class PositionReported(Event, frozen=True, kw_only=True):
    """What a broker says a position is (below zero: short). It stands beside the fold and never changes it."""

    symbol: str
    quantity: Decimal
    average_price: Decimal | None = None
    frozen: Decimal | None = None
    position_side: PositionSide = PositionSide.NET
