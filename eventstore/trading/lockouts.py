"""What an account may no longer do, and until when: stream `lockout/ACCOUNT/RULE_ID`.

A scope is `account`, `symbol:X` or `root:X`. Where the later events leave `rule_id` or `scope` out, they mean the
stream's rule and every scope of it.
"""

from typing import Any

import msgspec

from eventstore.events import DerivedInstant, Event, Instant, event
from eventstore.trading.enums import Allows


@event(categories=("lockout",))
class LockoutSet(Event, frozen=True, kw_only=True):
    """A lockout came into force; without `until` it has no end. An irrevocable one cannot be weakened.

    `details` are what it was decided on: figures, the limit, quotes with their times.
    """

    rule_id: str
    scope: str = "account"
    allows: Allows = Allows.NOTHING
    reason: str = ""
    until: Instant | None = None
    revocable: bool = True
    details: dict[str, Any] | str = msgspec.field(default_factory=dict)


@event(categories=("lockout",))
class LockoutExtended(Event, frozen=True, kw_only=True):
    """A lockout holds longer; without `until` it has no end any more."""

    until: Instant | None = None
    rule_id: str | None = None
    scope: str | None = None
    reason: str = ""


@event(categories=("lockout",))
class LockoutCleared(Event, frozen=True, kw_only=True):
    """A lockout was ended."""

    by: str = ""
    reason: str = ""
    rule_id: str | None = None
    scope: str | None = None


@event(categories=("lockout",))
class LockoutExpired(Event, frozen=True, kw_only=True):
    """A lockout's `until` came."""

    rule_id: str | None = None
    scope: str | None = None


@event(categories=("lockout",))
class ClockJumped(Event, frozen=True, kw_only=True):
    """The wall clock was moved from `before` to `after`, and no time passed: stream `lockout/ACCOUNT/clock`.

    What was in force lasts as much longer by that clock, and no longer again when it is moved back.
    """

    before: DerivedInstant
    after: DerivedInstant
