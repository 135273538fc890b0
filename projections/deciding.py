"""What a policy is: asked by a trigger, it answers with decisions; and what can go wrong with it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import ClassVar, Protocol, runtime_checkable

import msgspec

from eventstore import Event, Record, StoreError
from projections.book import Book

DEPTH_MAX = 8


class TriggerKind(enum.StrEnum):
    """What made a policy be asked."""

    RECORD = "RECORD"
    QUOTE = "QUOTE"
    TIME = "TIME"
    START = "START"


class Trigger(msgspec.Struct, frozen=True):
    """Why a policy is asked about an account, and the instant (UNIX ns) that counts: a record's `occurred_at`, or now.

    `record` and `event` are what was recorded or, without a position of its own, observed. `key` names the trigger in
    the ids of what is decided on: the record's id, or the account and its trading day.
    """

    kind: TriggerKind
    account: str
    at: int
    key: str
    record: Record | None = None
    event: Event | None = None
    symbol: str | None = None


class Decision(msgspec.Struct, frozen=True):
    """Events that a policy wants appended, all or nothing, each with its stream.

    `unless` is asked of the book at the log's head, right before the append: True means that it is needed no more.
    `key` takes the place of the trigger's, where another thing than the trigger must be decided on only once.
    """

    facts: tuple[tuple[str, Event], ...]
    unless: Callable[[Book], bool] | None = None
    key: str | None = None


@runtime_checkable
class Policy(Protocol):
    """What answers records with new events. The same record and the same book give the same decisions.

    It is asked under the book's lock: it asks the book and appends nothing itself. `name` stands in the ids of what
    it decides and in its cursor's file, and stays the same when the policy is revised.
    """

    name: str
    types: ClassVar[tuple[type[Event], ...]]
    """The records that it wants to see."""
    quotes: ClassVar[bool] = False
    """Whether it is asked at each quote of what an account holds."""
    timed: ClassVar[bool] = False
    """Whether it is asked as time goes by, about each account."""

    def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
        """Return what is to be appended, nothing usually."""


class PolicyStopped(StoreError):
    """A policy failed, and is asked no more until the process starts anew: it goes on from this record then."""

    def __init__(self, policy: str, position: int, error: BaseException) -> None:
        self.policy, self.position, self.error = policy, position, error
        super().__init__(
            f"policy {policy} stopped at position {position} ({type(error).__name__}: {error}): mend it and start "
            "anew, it goes on from there"
        )


class CausationTooDeep(StoreError):
    """Policies answer one another without end."""

    def __init__(self, policy: str, depth: int) -> None:
        self.policy, self.depth = policy, depth
        super().__init__(
            f"policy {policy} would cause an event {depth} deep, and {DEPTH_MAX} is the most: policies that answer one "
            "another have to stop somewhere"
        )
