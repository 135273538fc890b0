"""An account's trading days, with their instants resolved when they were written: stream `session/ACCOUNT/DAY`.

A trading day lasts from one reset (`began_at`, `scheduled_for`) to the next (`resets_at`), and is named by the date
of the latter; `week` is the date of the first day of its week. Cash that moves exactly at one of its resets belongs to
the day that ends there, unless `cash_at_reset` says otherwise.
"""

from datetime import date
from decimal import Decimal

from eventstore.events import Currency, Event, Instant, event
from eventstore.trading.enums import CashAtReset


@event(categories=("session",))
class SessionOpened(Event, frozen=True, kw_only=True):
    """A trading day's session opened, or began to be kept: a day that had begun before has an earlier `began_at`."""

    trading_day: date
    began_at: Instant | None = None
    opens_at: Instant | None = None
    flat_by: Instant | None = None
    resets_at: Instant | None = None
    week: date | None = None
    zone: str | None = None
    cash_at_reset: CashAtReset | None = None


@event(categories=("session",))
class SessionReset(Event, frozen=True, kw_only=True):
    """A new trading day began at `scheduled_for`; `late` says that no process was running to record it in time."""

    trading_day: date
    scheduled_for: Instant
    late: bool = False
    opens_at: Instant | None = None
    flat_by: Instant | None = None
    resets_at: Instant | None = None
    week: date | None = None
    zone: str | None = None
    cash_at_reset: CashAtReset | None = None


@event(categories=("session",), measures=("balance", "realized", "fees", "high_water"))
class SessionClosed(Event, frozen=True, kw_only=True):
    """A trading day was over: what it came to, as known then. `realized` is before `fees`, `trades` are fills.

    `cash` is what it received less what it paid without a trade: funding, interest, dividends, fees.

    Without a `trading_day` it is the one that the account was in.
    """

    trading_day: date | None = None
    balance: Decimal | None = None
    realized: Decimal | None = None
    fees: Decimal | None = None
    cash: Decimal | None = None
    high_water: Decimal | None = None
    trades: int | None = None
    currency: Currency | None = None
