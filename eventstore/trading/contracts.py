"""Instruments and named instants: streams `contract/-/SYMBOL` and `mark/-/NAME`."""

from datetime import date
from decimal import Decimal

from eventstore.events import QUEUED, Event, Positive, event


@event(categories=("contract",), durability=QUEUED)
class ContractDefined(Event, frozen=True, kw_only=True):
    """What one instrument is. `symbol` is its only name in a log; `broker_ids` are the names brokers have for it.

    `multiplier` is money per point and unit; where it is left out, it is tick_value ÷ tick_size.
    """

    symbol: str
    multiplier: Positive | None = None
    tick_size: Positive | None = None
    tick_value: Positive | None = None
    currency: str | None = None
    root: str | None = None
    name: str | None = None
    broker_ids: tuple[str, ...] = ()
    exchange: str | None = None
    product: str | None = None
    expiry: date | None = None

    @property
    def point_value(self) -> Decimal | None:
        """Money per point and unit, from whichever members say it."""
        if self.multiplier is not None:
            return self.multiplier
        if self.tick_size is not None and self.tick_value is not None:
            return self.tick_value / self.tick_size
        return None


@event(categories=("mark",))
class Marked(Event, frozen=True, kw_only=True):
    """A named instant, for example an end of day: the log as it was just here can be asked for by this name."""

    name: str
