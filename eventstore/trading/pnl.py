"""Profit and loss as others report it, and equity as marked: streams `pnl/ACCOUNT/SYMBOL`, `equity/ACCOUNT/-`."""

from datetime import date
from decimal import Decimal

import msgspec

from eventstore.events import QUEUED, Currency, DerivedInstant, Event, Instant, event


class QuoteUsed(msgspec.Struct, frozen=True):
    """The price of a quote that a figure was made with, and when it was quoted."""

    price: Decimal
    at: DerivedInstant


@event(categories=("pnl", "position", "account"), durability=QUEUED, measures=("realized", "unrealized", "fees"))
class PnlReported(Event, frozen=True, kw_only=True):
    """What a broker says an account, or its position in one symbol, has made in a trading day; None: not stated."""

    realized: Decimal | None = None
    unrealized: Decimal | None = None
    fees: Decimal | None = None
    currency: Currency | None = None
    symbol: str | None = None
    trading_day: date | None = None


@event(categories=("equity",), measures=("balance", "realized", "unrealized", "fees", "equity", "high_water", "floor"))
class EquityMarked(Event, frozen=True, kw_only=True):
    """Equity at an instant: a new high of it, or a session's end. The quotes it was made with are in the event.

    `realized` (before fees), `unrealized` and `fees` are the trading day's; `floor` is where the trailing drawdown
    stands after it, None where no such limit is set. `reset_at`: the reset of the trading day that this equity is the
    baseline of, None for any other mark.
    """

    balance: Decimal
    equity: Decimal
    high_water: Decimal
    realized: Decimal = Decimal(0)
    unrealized: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    floor: Decimal | None = None
    quotes: dict[str, QuoteUsed] = msgspec.field(default_factory=dict)
    currency: Currency | None = None
    trading_day: date | None = None
    reset_at: Instant | None = None
