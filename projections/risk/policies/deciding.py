"""What a policy is: asked by a trigger, it answers with decisions; how these are told apart, and what can go wrong."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import msgspec

from eventstore import (
    Batch,
    Closed,
    CorruptJournal,
    Event,
    EventStore,
    OutcomeUnknown,
    Overloaded,
    ReadOnly,
    Record,
    StorageFull,
    StoreError,
    Unavailable,
)
from eventstore.clock import NANOSECONDS
from projections.book import Book
from projections.view import SHARED, PartitionParked

ACTOR = "policy:"
DEPTH_MAX = 8
ANCESTORS_MAX = 64
# Every account that anything was said of, of which a policy may have to say something in its turn.
_ACCOUNT_VIEWS = ("accounts", "positions", "limits", "lockouts", "sessions", "orders")
# What is wrong with the store, and not with one decision: all that is decided waits until it is over.
_OF_THE_STORE = (Closed, CorruptJournal, OutcomeUnknown, Overloaded, ReadOnly, StorageFull, Unavailable)


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
    """A policy failed on an account, of which it is asked no more until the process starts anew.

    It goes on from this record then. Where a view's partition was parked, or the store had failed, it is asked again
    as soon as that is mended.
    """

    def __init__(self, policy: str, account: str, position: int, error: BaseException) -> None:
        self.policy, self.account, self.position, self.error = policy, account, position, error
        super().__init__(
            f"policy {policy} stopped for {account} at position {position} ({type(error).__name__}: {error}): mend it "
            "and start anew, it goes on from there"
        )


class CausationTooDeep(StoreError):
    """Policies answer one another without end."""

    def __init__(self, policy: str, depth: int) -> None:
        self.policy, self.depth = policy, depth
        super().__init__(
            f"policy {policy} would cause an event {depth} deep, and {DEPTH_MAX} is the most: policies that answer one "
            "another have to stop somewhere"
        )


class Due(NamedTuple):
    """A decision of a policy on a trigger that waits to be appended, each of its facts with a key."""

    policy: Policy
    trigger: Trigger
    decision: Decision
    keys: tuple[str, ...]

    @property
    def place(self) -> tuple[str, ...]:
        """Return what is the same where the same is decided again, of the same record if there is one."""
        record = "" if self.trigger.kind is not TriggerKind.RECORD else self.trigger.key
        return record, *self.keys, *(stream for stream, _ in self.decision.facts)


def dues_of(policy: Policy, trigger: Trigger, decisions: Sequence[Decision]) -> list[Due]:
    """Give each fact its key: policy, trigger and how many before it go to the same stream.

    So a key does not depend on what else, in other streams, is decided on with it.
    """
    before: Counter[tuple[str, str]] = Counter()
    due = []
    for decision in decisions:
        key = f"policy/{policy.name}/{decision.key or trigger.key}"
        keys = []
        for stream, _ in decision.facts:
            keys.append(f"{key}/{before[key, stream]}")
            before[key, stream] += 1
        due.append(Due(policy, trigger, decision, tuple(keys)))
    return due


def batches_of(due: Due, versions: Mapping[str, int]) -> list[Batch]:
    """Return what is appended for a decision, on streams at these versions."""
    trigger = due.trigger
    # A quote is in no log: what it caused has no record to name.
    cause = trigger.record if trigger.kind is TriggerKind.RECORD else None
    causation = None if cause is None else cause.id
    correlation = None if cause is None else cause.correlation_id or cause.id
    expected, batches = dict(versions), []
    for (stream, event), key in zip(due.decision.facts, due.keys, strict=True):
        batches.append(
            Batch(
                stream,
                event,
                expected[stream],
                key,
                actor=ACTOR + due.policy.name,
                causation_id=causation,
                correlation_id=correlation,
            )
        )
        expected[stream] += 1
    return batches


def check_depth(store: EventStore, policy: str, record: Record) -> None:
    """Raise CausationTooDeep where so many records that policies made lead to this one that no other may follow."""
    depth = 1
    found: Record | None = record
    for _ in range(ANCESTORS_MAX):
        if found is None:
            break
        depth += found.actor.startswith(ACTOR)
        found = None if found.causation_id is None else store.find(found.causation_id)
    if depth > DEPTH_MAX:
        raise CausationTooDeep(policy, depth)


def is_passing(error: BaseException) -> bool:
    """Tell whether an error is the store's, so that what was decided waits, instead of the decision's own."""
    return isinstance(error, _OF_THE_STORE)


def is_over(book: Book, error: BaseException) -> bool:
    """Tell whether what stopped a policy for an account may be mended: the store's failure, or a parked partition."""
    if isinstance(error, PartitionParked):
        return (error.view, error.partition) not in book.parked
    return is_passing(error)


def accounts_of(book: Book) -> list[str]:
    """Return the accounts that anything is known of, sorted."""
    known = {account for view in _ACCOUNT_VIEWS for account in book.partitions(view)}
    return sorted(known - {SHARED})


def day_key(book: Book, account: str, at: int) -> str:
    """Return what names an account and its trading day, or the day in UTC where none is known."""
    try:
        session = book.sessions.current(account, at)
    except PartitionParked:
        # A policy that needs the trading day is told of that when it asks for it.
        session = None
    day = datetime.fromtimestamp(at // NANOSECONDS, UTC).date() if session is None else session.trading_day
    return f"{account}/{day.isoformat()}"


def holders_of(book: Book, symbol: str) -> tuple[str, ...]:
    """Return the accounts that hold a symbol, under any of its names, and those of which nobody can tell."""
    try:
        contract = book.contracts.find(symbol)
    except PartitionParked:
        contract = None
    names = {symbol} if contract is None else {symbol, contract.symbol}
    return tuple(account for account in book.partitions("positions") if _may_hold(book, account, names))


def _may_hold(book: Book, account: str, names: set[str]) -> bool:
    try:
        return any(held.quantity and held.symbol in names for held in book.positions.of(account))
    except PartitionParked:
        return True
