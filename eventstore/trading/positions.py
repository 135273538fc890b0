"""What happens to a position beside its fills: stream `position/ACCOUNT/SYMBOL`."""

from decimal import Decimal

from eventstore.events import QUEUED, Event, event
from eventstore.trading.enums import AdjustmentReason, PositionSide


@event(categories=("position",), measures=("quantity", "price"))
class PositionAdjusted(Event, frozen=True, kw_only=True):
    """A position changed without a fill, by `quantity` (below zero: towards short).

    `price` is what the change is booked at; none: at the position's own average, so that nothing is realized.
    A SPLIT's quantity is the additional one, and the position's cost stays as it is.
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
