"""The policy protocol: triggers go in, decisions come out; the keys that make a decision unique, and the errors."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, runtime_checkable

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
from eventstore.clock import utc_date
from eventstore.trading import EnforcementRequested, LockoutSet, Protection, ProtectionMode
from projections.book import Book
from projections.view import SHARED, PartitionParked

if TYPE_CHECKING:
    from projections.views.limits.view import LimitsState

ACTOR = "policy:"
DEPTH_MAX = 8
JUDGED_BY_ALL: tuple[type[Event], ...] = (ProtectionMode,)
"""Each policy is evaluated for these: a change of the protection mode has it judge everything again."""
# How many causes are followed, those that no policy made included: each is a look-up in the store.
ANCESTORS_MAX = 64
WHY_MAX = 500
# The store failed, not one decision: every pending decision waits and is retried.
_STORE_ERRORS = (Closed, CorruptJournal, OutcomeUnknown, Overloaded, ReadOnly, StorageFull, Unavailable)


class TriggerKind(enum.StrEnum):
    """What caused a policy to be evaluated."""

    RECORD = "RECORD"
    QUOTE = "QUOTE"
    TIME = "TIME"
    START = "START"


class Trigger(msgspec.Struct, frozen=True):
    """Why a policy is evaluated for an account, and as of which instant (UNIX ns): a record's `occurred_at`, or now.

    For a record with a time ahead of the log's it is when the log took it.

    `record` and `event` are what was recorded or, without a log position of its own, observed. `key` identifies the
    trigger in the ids of the resulting events: the record's id, or the account and its trading day. `taken_at` is when
    the log took a record, if its `recorded_at` is still ahead of a clock that was put right. `as_of` is when a record
    of an account in shadow mode happened: what would have been done is decided as of that instant, however late.
    """

    kind: TriggerKind
    account: str
    at: int
    key: str
    record: Record | None = None
    event: Event | None = None
    symbol: str | None = None
    taken_at: int | None = None
    as_of: int | None = None


class Decision(msgspec.Struct, frozen=True):
    """Events that a policy wants appended, all or nothing, each with its stream.

    `obsolete_if` is called with the book at the log's head, right before the append: True drops the decision.
    `key` replaces the trigger's key where the decision must be unique per something other than its trigger. `cause` is
    the id of the record to name as the cause in place of the trigger's: for what is decided again and again, which
    would otherwise be a chain of causes without end.
    """

    events: tuple[tuple[str, Event], ...]
    obsolete_if: Callable[[Book], bool] | None = None
    key: str | None = None
    cause: bytes | None = None


@runtime_checkable
class Policy(Protocol):
    """Reacts to records with new events. The same record and the same book must give the same decisions.

    `decide` runs under the book's lock: it only reads the book and appends nothing itself. `name` is part of the ids
    of the events it causes and of its cursor's file name: keep it when the policy is revised.
    """

    name: str
    types: ClassVar[tuple[type[Event], ...]]
    """The types of records it is evaluated for."""
    quotes: ClassVar[bool] = False
    """Whether it is evaluated at each quote of a symbol that an account holds."""
    timed: ClassVar[bool] = False
    """Whether it is evaluated for each account as time passes (four times a second)."""

    def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
        """Return what to append, usually nothing."""


class LeasedPolicy(Policy):
    """One that only the process that holds the log's lease evaluates at quotes and as time passes."""


class PolicyFailure(StoreError):
    """A policy failed for an account and is not evaluated for it until the process restarts.

    It then resumes from this record. Where a view's partition was parked, or the store had failed, it is evaluated
    again as soon as that is fixed.
    """

    def __init__(self, policy: str, account: str, position: int, error: BaseException) -> None:
        self.policy, self.account, self.position, self.error = policy, account, position, error
        super().__init__(
            f"policy {policy} stopped for {account} at position {position} ({described(error)}): fix it and restart; "
            "it resumes from there"
        )

    @property
    def why(self) -> str:
        """Why it stopped, as the log can take it: bounded, and only characters that a text may have."""
        text = f"at position {self.position}: {described(self.error)}"
        return text.replace("\0", " ").encode(errors="replace").decode()[:WHY_MAX]


class CausationTooDeep(StoreError):
    """Policies trigger one another in an endless chain."""

    def __init__(self, policy: str, depth: int) -> None:
        self.policy, self.depth = policy, depth
        super().__init__(
            f"policy {policy} would append event {depth} of a chain caused by policies, and {DEPTH_MAX} is the limit: "
            "policies that react to one another must stop somewhere"
        )


class PendingDecision(NamedTuple):
    """A policy's decision that waits to be appended, with an idempotency key for each of its events.

    `times`: when each would have happened, in shadow mode; None, or none at all: when it is appended.
    """

    policy: Policy
    trigger: Trigger
    decision: Decision
    keys: tuple[str, ...]
    times: tuple[int | None, ...] = ()

    @property
    def identity(self) -> tuple[str, ...]:
        """Return what two decisions have in common when the later one replaces the earlier.

        Decisions on different records never replace each other, those on quotes or ticks do: while the store cannot
        be written, a thousand quotes past a limit leave one pending lockout, with the newest figures.
        """
        record = "" if self.trigger.kind is not TriggerKind.RECORD else self.trigger.key
        return record, *self.keys, *(stream for stream, _ in self.decision.events)


def keyed(policy: Policy, trigger: Trigger, decisions: Sequence[Decision]) -> list[PendingDecision]:
    """Give each event its key: policy, trigger, and how many earlier ones of this trigger go to the same stream.

    A decision that locks another scope, or more than an earlier one of the same day did, is another decision: what it
    locks is part of its key. The event's id is derived from stream and key, so a restart or a second process that
    decides the same finds the event recorded. Counting per stream keeps a key independent of what else is decided at
    the same time.
    """
    before: Counter[tuple[str, str]] = Counter()
    pending = []
    for decision in decisions:
        key = "/".join(["policy", policy.name, decision.key or trigger.key, *_locks(decision)])
        keys = []
        for stream, _ in decision.events:
            keys.append(f"{key}/{before[key, stream]}")
            before[key, stream] += 1
        pending.append(PendingDecision(policy, trigger, decision, tuple(keys)))
    return pending


def _locks(decision: Decision) -> list[str]:
    """Return what a decision locks and asks for, where two of one day must not be taken for the same."""
    found = set()
    for _, event in decision.events:
        if isinstance(event, LockoutSet):
            found.add(f"{event.scope}-{event.allows}{'' if event.revocable else '-irrevocable'}")
        elif isinstance(event, EnforcementRequested):
            found.add(str(event.action))
    return sorted(found)


def batches_of(store: EventStore, pending: PendingDecision, versions: Mapping[str, int]) -> list[Batch]:
    """Return the batches that append a decision to streams at these versions."""
    cause = cause_of(store, pending.trigger, pending.decision)
    causation = None if cause is None else cause.id
    # The first cause names the whole chain, so that all its events are found by one correlation id.
    correlation = None if cause is None else cause.correlation_id or cause.id
    expected, batches = dict(versions), []
    times = pending.times or (None,) * len(pending.keys)
    for (stream, event), key, at in zip(pending.decision.events, pending.keys, times, strict=True):
        batches.append(
            Batch(
                stream,
                event,
                expected[stream],
                key,
                occurred_at=at,
                actor=ACTOR + pending.policy.name,
                causation_id=causation,
                correlation_id=correlation,
            )
        )
        # Two events on one stream are two batches of one transaction: the second expects the first's version.
        expected[stream] += 1
    return batches


def cause_of(store: EventStore, trigger: Trigger, decision: Decision) -> Record | None:
    """Return the record that a decision names as its cause; a quote is not in the log, so there is none."""
    if decision.cause is not None:
        return store.find(decision.cause)
    return None if trigger.kind is TriggerKind.QUOTE else trigger.record


def check_depth(store: EventStore, policy: str, trigger: Trigger, decisions: Iterable[Decision]) -> None:
    """Raise CausationTooDeep if the chain of policies' records that led to a trigger is as long as allowed.

    What names another cause adds nothing to the trigger's chain.
    """
    if trigger.kind is not TriggerKind.RECORD or None not in [each.cause for each in decisions]:
        return
    # By the recorded causes: policies that trigger one another across restarts and processes share nothing else.
    depth, found = 1, trigger.record
    for _ in range(ANCESTORS_MAX):
        if found is None:
            break
        depth += found.actor.startswith(ACTOR)
        found = None if found.causation_id is None else store.find(found.causation_id)
    if depth > DEPTH_MAX:
        raise CausationTooDeep(policy, depth)


def described(error: BaseException) -> str:
    """Return an error's class and text; user code may raise one that cannot even be shown."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - it must not keep the policy's failure from being reported
        return type(error).__name__


def is_transient(error: BaseException) -> bool:
    """Return whether the store failed, so that the decision is retried, rather than the decision itself."""
    return isinstance(error, _STORE_ERRORS)


def has_recovered(book: Book, error: BaseException) -> bool:
    """Return whether a policy may continue: its parked partition was retried, or only the store had failed."""
    if isinstance(error, PartitionParked):
        return (error.view, error.partition) not in book.parked
    return is_transient(error)


def stopped_policies(book: Book, account: str) -> dict[str, str]:
    """Return why policies of this process are not evaluated for an account, by the policies' names."""
    listener = book.listener
    if listener is None or not listener.stopped:
        return {}
    found = list(listener.stopped.items())
    return {policy: str(error) for (policy, name), error in found if name in {account, SHARED}}


def day_key(book: Book, account: str, at: int) -> str:
    """Return a key of an account and its trading day, or the date in UTC if no session is known.

    Decisions on quotes and ticks have it: one lockout a day, however many quotes are past the limit. Once a clock that
    ran ahead was put right they are decided again, for the day may have been named before it came.
    """
    try:
        session, put_right = book.sessions.current(account, at), book.sessions.put_right(account)
    except PartitionParked:
        # A policy that needs the trading day gets this error itself when it reads it.
        session, put_right = None, 0
    day = utc_date(at) if session is None else session.trading_day
    return f"{account}/{day.isoformat()}" + (f"/{put_right}" if put_right else "")


def taken_at(book: Book, account: str, record: Record | None) -> int | None:
    """Return when the log took a record, if by an account's clock its own time is wrong; else None."""
    if record is None:
        return None
    try:
        state: LimitsState | None = book.state("limits", account)
    except PartitionParked:
        return None
    if state is None or not state.clock.explains(record.recorded_at, record.position):
        return None
    return state.clock.reached


def trigger_of(book: Book, record: Record, event: Event) -> Trigger:
    """Return what causes policies to be evaluated for a record."""
    # Once the protection mode changes, everything is judged again: what was only recorded locks, if it still is so.
    kind = TriggerKind.START if isinstance(event, ProtectionMode) else TriggerKind.RECORD
    account = record.account
    return Trigger(
        kind,
        account,
        _happened_at(book, account, record),
        record.id.hex(),
        record,
        event,
        getattr(event, "symbol", None),
        taken_at(book, account, record),
        as_of(book, account, record),
    )


def as_of(book: Book, account: str, record: Record | None) -> int | None:
    """Return the instant that a record is judged as of if its account is in shadow mode; else None."""
    if record is None or account == SHARED:
        return None
    try:
        if book.shadow.mode(account) is Protection.ARMED:
            return None
    except PartitionParked:
        # A policy that asks for the mode gets this error itself.
        return None
    return _happened_at(book, account, record)


def _happened_at(book: Book, account: str, record: Record) -> int:
    """Return when a record happened: at the latest when the log took it, as its results are counted."""
    taken = taken_at(book, account, record)
    return min(record.occurred_at, record.recorded_at if taken is None else taken)
