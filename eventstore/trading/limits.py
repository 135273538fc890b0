"""What an account may not exceed, whether it is judged, what the firm says: `limits/ACCOUNT/RULE_ID`; `breach/…`."""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from eventstore.events import QUEUED, Currency, DerivedInstant, Event, Instant, event
from eventstore.trading.enums import Severity


@event(categories=("limits",), requires_actor=True)
class LimitsSet(Event, frozen=True, kw_only=True):
    """A rule's parameters were set as a whole; the actor is required.

    They hold from `effective_from` on (default: at once), a loosening not before the account's next session.
    Figures among the parameters are Decimals or their text, never floats.
    """

    rule_id: str
    revision: int = 1
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    effective_from: Instant | None = None


@event(categories=("breach",), measures=("figure", "limit"))
class LimitBreached(Event, frozen=True, kw_only=True):
    """An account reached a limit, without a lockout: a warning, or a breach of a day that was already over."""

    rule_id: str
    figure: Decimal
    limit: Decimal
    severity: Severity = Severity.WARNING
    basis: str = ""
    currency: Currency | None = None
    trading_day: date | None = None
    reason: str = ""
    details: dict[str, Any] | str = msgspec.field(default_factory=dict)


@event(categories=("limits",), durability=QUEUED)
class LimitUnjudged(Event, frozen=True, kw_only=True):
    """A limit in force has not been judged since then, and why: new exposure is rejected until it is.

    `limit_position` is the log position of the limit's setting.
    """

    rule_id: str
    why: str
    since: DerivedInstant
    limit_position: int | None = None


@event(categories=("limits",), durability=QUEUED)
class LimitJudged(Event, frozen=True, kw_only=True):
    """A limit that was not judged is judged again since then, or is no longer in force; `why` says which."""

    rule_id: str
    why: str
    since: DerivedInstant
    limit_position: int | None = None


@event(categories=("limits",), durability=QUEUED, measures=("figure", "limit"))
class LimitReported(Event, frozen=True, kw_only=True):
    """What the firm itself says of a limit: its own figure, such as the day's loss, and its limit, such as the floor.

    `kind` is the kind of limit, as the rule id begins. Without `reported_at` it is as of `occurred_at`.
    """

    kind: str
    figure: Decimal | None = None
    limit: Decimal | None = None
    reported_at: Instant | None = None
    currency: Currency | None = None
    trading_day: date | None = None
