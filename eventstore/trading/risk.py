"""What was checked before an order, and when trading is suspended: `risk/ACCOUNT/ORDER_ID`, `blackout/ACCOUNT/NAME`.

A blackout of every account has the account `-`.
"""

from decimal import Decimal
from typing import Any

import msgspec

from eventstore.events import Event, Instant, event
from eventstore.trading.enums import Side, Verdict
from eventstore.trading.lockouts import problem_of_names


@event(categories=("risk",), measures=("quantity",))
class RiskChecked(Event, frozen=True, kw_only=True):
    """An order was checked before it was sent. `rule_id` and `reason` are of what decided, `figures` of every rule."""

    verdict: Verdict
    order_id: str | None = None
    rule_id: str | None = None
    reason: str = ""
    symbol: str | None = None
    side: Side | None = None
    quantity: Decimal | None = None
    figures: dict[str, Any] = msgspec.field(default_factory=dict)


def _problem_of_blackout(event: "BlackoutScheduled") -> str | None:
    """Return why a blackout would never hold."""
    if event.stop <= event.start:
        return f"start = {event.start} and stop = {event.stop}: it would end before it begins"
    return problem_of_names("symbols", event.symbols)


@event(categories=("blackout",), problem_of=_problem_of_blackout)
class BlackoutScheduled(Event, frozen=True, kw_only=True):
    """No new exposure from `start` until `stop`, in these symbols or roots, or in all; `source` says who knows."""

    start: Instant
    stop: Instant
    symbols: tuple[str, ...] = ()
    source: str = ""
    reason: str = ""


@event(categories=("blackout",))
class BlackoutCanceled(Event, frozen=True, kw_only=True):
    """The stream's blackout does not take place, or is over."""

    reason: str = ""
