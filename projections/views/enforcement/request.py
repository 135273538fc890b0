"""One request for enforcement, its claim and its answer; and what was anomalous about an event of one."""

import enum
import uuid
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from eventstore import Instant
from eventstore.readable import Readable
from eventstore.streams import SEPARATOR
from eventstore.trading import EnforcementAction


class EnforcementAnomalyKind(enum.StrEnum):
    """What is anomalous about an enforcement event."""

    UNKNOWN_REQUEST = "UNKNOWN_REQUEST"
    """It names no request that is pending or among the last 1,000 answered; it has no effect."""
    TAKEN_TWICE = "TAKEN_TWICE"
    """The request had been answered before; the first answer counts."""
    SAME_ID = "SAME_ID"
    """The request's id is already in use: the request is known by its record's id instead."""
    CLAIMED_TWICE = "CLAIMED_TWICE"
    """Another process's lease of the request was running: that process keeps it."""
    CLAIMED_LATE = "CLAIMED_LATE"
    """The request had been answered, or asked again, before it was claimed: nobody may carry it out."""
    LEASE_OVER = "LEASE_OVER"
    """The claim's lease had ended when the claim was recorded; it has no effect."""
    LEASE_TOO_LONG = "LEASE_TOO_LONG"
    """A claim holds for a minute at most, whatever lease it names."""


class EnforcementAnomaly(msgspec.Struct, frozen=True):
    """An anomalous event: `position` is its log position, `request_id` the id that it named."""

    kind: EnforcementAnomalyKind
    request_id: str
    position: int


class Enforcement(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """One request and, once `taken`, its answer. Times are UNIX ns; `id` is that of the request's record.

    `trading_day` is the request's, or the date in UTC if it names none. `success` is None until it is answered.

    What is asked for again is a request of its own, the next `attempt` of the same goal: `first_id` is the id of the
    first one's record, `asked_since` is when it was first asked for, or asked for again after an answer with success.
    It is `superseded` by the next attempt if it was not answered until then. `claimant` carries it out, alone until
    `lease_until`, by the claim whose record has the id `claim_id`. From `escalated_at` on a person has to act, and
    `escalation` says why.
    """

    request_id: str
    account: str
    rule_id: str
    action: EnforcementAction
    reason: str
    details: dict[str, Any] | str
    symbol: str | None
    quantity: Decimal | None
    trading_day: date
    requested_at: Instant
    position: int
    id: bytes
    taken: bool = False
    success: bool | None = None
    taken_at: Instant | None = None
    taken_by: str = ""
    taken_details: dict[str, Any] | str = msgspec.field(default_factory=dict)
    taken_position: int | None = None
    attempt: int = 1
    first_id: bytes = b""
    asked_since: Instant = 0
    superseded: bool = False
    claimant: str = ""
    claimed_at: Instant | None = None
    lease_until: Instant | None = None
    claim_id: bytes = b""
    escalated_at: Instant | None = None
    escalation: str = ""

    @property
    def uuid(self) -> uuid.UUID:
        """The id of the request's record; an answer may name it instead of `request_id`."""
        return uuid.UUID(bytes=self.id)

    @property
    def goal(self) -> str:
        """What it asks for, and for which rule: the same for each attempt."""
        return goal_of(self.rule_id, self.action, self.symbol)

    def is_claimed(self, at_ns: int) -> bool:
        """Return whether its claimant's lease is running at an instant in UNIX ns."""
        return self.lease_until is not None and not self.taken and at_ns < self.lease_until


def goal_of(rule_id: str, action: EnforcementAction, symbol: str | None) -> str:
    """Return the key of what a rule asks for."""
    return SEPARATOR.join((rule_id, action, symbol or ""))


def oldest_first(requests: Iterable[Enforcement]) -> tuple[Enforcement, ...]:
    """Return requests, of any accounts, in the order in which they were made."""
    return tuple(sorted(requests, key=lambda each: (each.requested_at, each.position)))
