"""A lockout of an account, and what was anomalous about an event of one."""

import enum
from typing import Any

import msgspec

from eventstore import Instant
from eventstore.clock import Times, question_ns
from eventstore.readable import Readable
from eventstore.trading import Allows


class LockoutAnomalyKind(enum.StrEnum):
    """Why an event about a lockout had no effect, or only a part of the one it asked for."""

    NOT_SET = "NOT_SET"
    """No lockout of this rule and scope was in force."""
    IRREVOCABLE = "IRREVOCABLE"
    """It would have cleared an irrevocable lockout, or set it again on weaker terms: the stricter terms hold."""
    SHORTER = "SHORTER"
    """An extension to an earlier instant: the later instant holds."""
    TOO_EARLY = "TOO_EARLY"
    """An expiry before `until`: the lockout holds."""
    WRONG_TIME = "WRONG_TIME"
    """It ended under a time that later proved wrong: the lockout is in force again."""
    UNAPPROVED = "UNAPPROVED"
    """It would have set a lockout again on weaker terms, which needs a second person: the stricter terms hold."""


class LockoutAnomaly(msgspec.Struct, frozen=True):
    """An anomalous event: `position` is its log position, `scope` is None if it named none."""

    kind: LockoutAnomalyKind
    rule_id: str
    scope: str | None
    position: int


class Lockout(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """One lockout of an account, by rule and scope (`account`, `symbol:X`, `root:X`). Times are UNIX ns.

    `cause` is the id of the record that set it; `positions` are the log positions of the records that changed it (the
    first and the last 99 of them). `until` is None for a lockout without end date. `ended_by` is `cleared by …`,
    `released by …`, `expired` or `replaced`, and None while it is in force. `details` are the figures it was decided
    on.
    """

    account: str
    rule_id: str
    scope: str
    allows: Allows
    reason: str
    set_at: Instant
    until: Instant | None
    revocable: bool
    cause: bytes
    positions: tuple[int, ...]
    ended_at: Instant | None = None
    ended_by: str | None = None
    details: dict[str, Any] | str = {}
    set_by: str = ""
    """The actor of the record that set it."""
    ahead: int = 0
    """How far the wall clock was set ahead while it was in force, in ns; negative if it was set back."""

    @property
    def ends_at(self) -> int | None:
        """When it is over by the wall clock: `until`, or later by as much as that clock was set ahead."""
        return None if self.until is None else self.until + max(self.ahead, 0)

    def is_active(self, at_ns: int) -> bool:
        """Return whether it holds at an instant in UNIX ns.

        One that has not ended holds before `set_at` too: setting a clock back must not unlock an account.
        """
        if self.until is not None and at_ns >= self.until + max(self.ahead, 0):
            return False
        return self.ended_at is None or self.set_at <= at_ns < self.ended_at

    def remaining(self, at: Times) -> int | None:
        """Return how many ns it has left at an instant, 0 if it is over, None if it has no end date."""
        at_ns = question_ns(at)
        if self.ended_at is not None and at_ns >= self.ended_at:
            return 0
        ends_at = self.ends_at
        return None if ends_at is None else max(ends_at - at_ns, 0)
