"""What alerts are about: the conditions by name, and one alert as it is sent."""

from __future__ import annotations

import enum
import uuid
from typing import Any

import msgspec

from eventstore import Instant
from eventstore.ids import keyed_id

SUBJECT_MAX, SENTENCE_MAX = 128, 2_000


class Condition(enum.StrEnum):
    """What somebody is alerted about. See docs/ALERTS.md for what to do about each."""

    LOCKOUT = "LOCKOUT"
    ENFORCEMENT_ESCALATED = "ENFORCEMENT_ESCALATED"
    LIMIT_UNJUDGED = "LIMIT_UNJUDGED"
    HEADROOM = "HEADROOM"
    FEED_STALE = "FEED_STALE"
    BROKER_CONTRADICTS = "BROKER_CONTRADICTS"
    MIRROR = "MIRROR"
    POLICY_STOPPED = "POLICY_STOPPED"
    WORKER_STOPPED = "WORKER_STOPPED"
    PARTITION_PARKED = "PARTITION_PARKED"
    VERIFICATION_FAILED = "VERIFICATION_FAILED"
    DISK = "DISK"


NEVER_DROPPED = frozenset({Condition.LOCKOUT, Condition.ENFORCEMENT_ESCALATED})
"""Each of these is sent by itself, and tried for as long as it takes."""
TEST = "TEST"
"""What an alert is about that only tries a receiver."""


class Subject(msgspec.Struct, frozen=True):
    """What an alert is about: the condition, the account (`-`: the log), and of it a rule, a view, a symbol."""

    what: str
    account: str
    name: str = ""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert; sent twice, it has the same id.

    `position` is the log position of the record that it reports, None for a state. `ended` says that what was reported
    is over, `merged` how many alerts about the same were left out since the one before.
    """

    id: str
    subject: Subject
    sentence: str
    at: Instant
    log: str
    details: dict[str, Any] = {}
    position: int | None = None
    ended: bool = False
    merged: int = 0

    @property
    def is_never_dropped(self) -> bool:
        return self.position is not None and self.subject.what in NEVER_DROPPED


def id_of_state(receiver: str, subject: Subject, before: str, *, ended: bool) -> str:
    """Return the id of an alert about a state: each process that sees the same alerts sent before gives the same."""
    key = f"{receiver}/{subject.name}/{before}/{'ended' if ended else 'began'}"
    return str(uuid.UUID(bytes=keyed_id(f"{subject.what}/{subject.account}", key)))


def cut(text: str, length: int = SENTENCE_MAX) -> str:
    """Return text on one line, shortened to a length."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"
