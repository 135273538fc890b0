"""Quotes, never stored: stream `quote/-/SYMBOL`."""

from decimal import Decimal

from eventstore.events import VOLATILE, Event, event


@event(categories=("quote",), durability=VOLATILE)
class QuoteReceived(Event, frozen=True, kw_only=True):
    """A symbol's last trade, its bid, its ask, or all of them; what is left out stands as it was."""

    symbol: str
    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    last_size: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
