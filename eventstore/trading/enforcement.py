"""What a rule wants done about an account, and what was done: stream `enforcement/ACCOUNT/REQUEST_ID`."""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from eventstore.events import QUEUED, Event, event
from eventstore.trading.enums import EnforcementAction


@event(categories=("enforcement",), durability=QUEUED, measures=("quantity",))
class EnforcementRequested(Event, frozen=True, kw_only=True):
    """A rule asks the trading process to act; it stays pending until `EnforcementTaken` answers it.

    `symbol` goes with FLATTEN_SYMBOL, and `quantity` with REDUCE_TO: what may be left, above zero on either side.
    Without a `request_id` the stream's entity is it.
    """

    rule_id: str
    action: EnforcementAction
    reason: str = ""
    details: dict[str, Any] | str = msgspec.field(default_factory=dict)
    request_id: str | None = None
    symbol: str | None = None
    quantity: Decimal | None = None
    trading_day: date | None = None


@event(categories=("enforcement",), durability=QUEUED)
class QuotesWanted(Event, frozen=True, kw_only=True):
    """Positions in these symbols have no usable price: the trading process should get quotes of them."""

    symbols: tuple[str, ...]
    reason: str = ""


@event(categories=("enforcement",), durability=QUEUED)
class EnforcementTaken(Event, frozen=True, kw_only=True):
    """The trading process answered a request; without `success` it tried, and the request stays pending no longer."""

    request_id: str
    success: bool
    details: dict[str, Any] | str = msgspec.field(default_factory=dict)
