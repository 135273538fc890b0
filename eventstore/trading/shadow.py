"""What policies would have done in shadow mode: stream `shadow/ACCOUNT/RULE_ID`."""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from eventstore.events import QUEUED, Event, Instant, event
from eventstore.trading.enums import Allows, EnforcementAction
from eventstore.trading.lockouts import ACCOUNT, Scope, problem_of_scope


@event(categories=("shadow",), durability=QUEUED, problem_of=problem_of_scope)
class WouldLock(Event, frozen=True, kw_only=True):
    """A lockout that would have come into force, were the account armed; its members are those of `LockoutSet`."""

    rule_id: str
    scope: Scope = ACCOUNT
    allows: Allows = Allows.NOTHING
    reason: str = ""
    until: Instant | None = None
    revocable: bool = True
    details: dict[str, Any] | str = msgspec.field(default_factory=dict)


@event(categories=("shadow",), durability=QUEUED, problem_of=problem_of_scope)
class WouldClear(Event, frozen=True, kw_only=True):
    """A lockout that would have been cleared, were the account armed; its members are those of `LockoutCleared`."""

    by: str = ""
    reason: str = ""
    rule_id: str | None = None
    scope: Scope | None = None


@event(categories=("shadow",), durability=QUEUED, measures=("quantity",))
class WouldAsk(Event, frozen=True, kw_only=True):
    """A request that would have been made, were the account armed; its members are those of `EnforcementRequested`."""

    rule_id: str
    action: EnforcementAction
    reason: str = ""
    details: dict[str, Any] | str = msgspec.field(default_factory=dict)
    request_id: str | None = None
    symbol: str | None = None
    quantity: Decimal | None = None
    trading_day: date | None = None
    attempt: int = 1
