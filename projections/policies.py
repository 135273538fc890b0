"""Policies: events that cause events, decided once however often they are asked."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from typing_extensions import override

from eventstore import Batch, DuplicateEvent, Event, EventStore, ReadOnly, Record, StoreError, VersionConflict
from eventstore.events.registry import by_class
from projections.cursors import Cursors
from projections.deciding import (
    DEPTH_MAX,
    CausationTooDeep,
    Decision,
    Policy,
    PolicyStopped,
    Trigger,
    TriggerKind,
)
from projections.replay import steps
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from projections.book import Book

__all__ = [
    "ACTOR",
    "DEPTH_MAX",
    "CausationTooDeep",
    "Decision",
    "Policies",
    "Policy",
    "PolicyStopped",
    "Trigger",
    "TriggerKind",
]

ATTEMPTS_MAX = 100
ANCESTORS_MAX = 64
WAIT_SECONDS = 0.25
ACTOR = "policy:"
# Whatever may change who holds what: which accounts a quote concerns is then found anew.
_HOLDING = frozenset(
    {"OrderFilled", "TradeExecuted", "PositionAdjusted", "TradeBusted", "TradeCorrected", "ContractDefined"}
)
# Every account that anything was said of, of which a policy may have to say something in its turn.
_ACCOUNT_VIEWS = ("accounts", "positions", "limits", "lockouts", "sessions", "orders")


class _Due(NamedTuple):
    """Decisions of one policy on one trigger that wait to be appended."""

    policy: Policy
    trigger: Trigger
    decisions: tuple[Decision, ...]


class Policies:
    """Asks policies about what a book folds and observes, and appends what they decide.

    Use it as a context manager, or `start` and `stop` it. Each policy's cursor is durable: it begins at the head when
    it is first registered, and from then on sees every record once more or less, also those of the time when no
    process asked it. What it decided has an id made of policy, trigger and index, so that a restart, or two processes
    with the same policies, decide once. When `book.append` or `book.observe` returns, what it led to is appended.
    A policy that raises is asked no more (`stopped`); what could not be appended is tried again (`error`).
    """

    def __init__(self, book: Book, policies: Sequence[Policy]) -> None:
        if not isinstance(book.reader, EventStore):
            msg = "policies append: they need a book on an open store"
            raise ReadOnly(msg)
        self.book = book
        self.error: Exception | None = None
        """Why what was decided could not be appended yet, or what a timer raised; None while all is well."""
        self.stopped: dict[str, PolicyStopped] = {}
        self.ready = False
        """Whether everything from the cursors on has been seen."""
        self._store = book.reader
        self._policies: dict[str, Policy] = {}
        for policy in policies:
            self._register(policy)
        self._by_type: dict[str, list[Policy]] = {}
        for policy in self._policies.values():
            for cls in policy.types:
                self._by_type.setdefault(by_class(cls).name, []).append(policy)
        self._on_quote = [policy for policy in self._policies.values() if policy.quotes]
        self._holders: dict[str, tuple[str, ...]] = {}
        self._cursors = Cursors(self._store)
        self._due: deque[_Due] = deque()
        self._acting = threading.RLock()
        self._is_acting = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"policies of {book.reader.log}", daemon=True)

    def _register(self, policy: Policy) -> None:
        if policy.name in self._policies:
            msg = f"two policies are called {policy.name}: the name is in the ids of what they decide"
            raise ValueError(msg)
        self._policies[policy.name] = policy

    # Life

    def start(self, *, ticking: bool = True) -> Self:
        """Catch up from the cursors, ask every policy about every account, then go on with the book.

        `ticking` False starts no thread: the caller calls `tick`.
        """
        at = self.book.watch(self)
        try:
            positions = {name: self._cursors.begin(name, at) for name in self._policies}
            self._catch_up(positions, at)
            self._ask_about_all(list(self._policies.values()), TriggerKind.START, self._store.clock.now_ns())
        except BaseException:
            self.book.unwatch(self)
            raise
        self.ready = True
        self.act()
        if ticking:
            self._thread.start()
        return self

    def stop(self) -> None:
        """End the thread and write the cursors; raise the first policy's failure, or what could not be appended."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.book.unwatch(self)
        self._write_cursors()
        if self.stopped:
            raise next(iter(self.stopped.values()))
        if self.error is not None:
            raise self.error

    def tick(self, now: int | None = None) -> None:
        """Ask the timed policies about every account, let timers ring and try again what could not be appended."""
        at = self._store.clock.now_ns() if now is None else now
        self.book.refresh()
        timed = [policy for policy in self._policies.values() if policy.timed]
        if timed:
            self._ask_about_all(timed, TriggerKind.TIME, at)
        self.act()
        self.book.timers.due(at)
        if not self._due:
            self.error = None
        self._write_cursors(spare=True)

    @property
    def settled(self) -> bool:
        """Whether all that was seen has been decided, and all that was decided is appended."""
        return self.ready and not self._due and not self.stopped and self.error is None

    def accounts(self) -> list[str]:
        """Return the accounts that anything is known of, sorted."""
        known = {account for view in _ACCOUNT_VIEWS for account in self.book.partitions(view)}
        return sorted(known - {SHARED})

    # What the book tells

    def folded(self, record: Record) -> None:
        """Ask who wants such records: the book is at this very record, and its lock is held."""
        if record.type in _HOLDING:
            self._holders.clear()
        for policy in self._by_type.get(record.type, ()):
            self._ask(policy, self.book, self._of_record(record))
        self._cursors.seen(record)

    def observed(self, record: Record, event: Event) -> None:
        """Ask who wants quotes, about each account that holds what was quoted; the book's lock is held."""
        symbol: str | None = getattr(event, "symbol", None)
        if symbol is None or not self._on_quote:
            return
        holders = self._holders.get(symbol)
        if holders is None:
            holders = self._holders[symbol] = self._find_holders(symbol)
        for account in holders:
            at = record.occurred_at
            key = self._day_key(account, at)
            trigger = Trigger(TriggerKind.QUOTE, account, at, key, record, event, symbol)
            for policy in self._on_quote:
                self._ask(policy, self.book, trigger)

    def act(self) -> None:
        """Append what was decided. Whoever comes while another thread appends waits until its own is appended too."""
        if not self._due:
            return
        with self._acting:
            if self._is_acting or not self.ready:
                return
            self._is_acting = True
            try:
                while self._due:
                    self._settle(self._due[0])
                    self._due.popleft()
                self.error = None
            except StoreError as error:
                # What waits is tried again at the next tick; until then `settled` is False.
                self.error = error
            finally:
                self._is_acting = False

    # Deciding

    def _ask_about_all(self, policies: Sequence[Policy], kind: TriggerKind, at: int) -> None:
        for account in self.accounts():
            with self.book.still():
                trigger = Trigger(kind, account, at, self._day_key(account, at))
                for policy in policies:
                    self._ask(policy, self.book, trigger)

    def _catch_up(self, positions: dict[str, int], until: int) -> None:
        """Ask about the records between the cursors and the book, each with a book at that very record."""
        behind = [self._policies[name] for name, position in positions.items() if position < until]
        if not behind:
            return
        after = min(positions.values())
        for record, past in steps(self._store, after=after, until=until, views=self.book.views):
            past.sessions.calendars = self.book.sessions.calendars
            for policy in self._by_type.get(record.type, ()):
                if record.position > positions[policy.name]:
                    self._ask(policy, past, self._of_record(record))
            while self._due:
                self._settle(self._due.popleft())

    def _ask(self, policy: Policy, book: Book, trigger: Trigger) -> None:
        if policy.name in self.stopped:
            return
        try:
            decisions = tuple(policy.decide(book, trigger))
            if decisions and trigger.record is not None and trigger.record.version:
                depth = self._depth(trigger.record) + 1
                if depth > DEPTH_MAX:
                    raise CausationTooDeep(policy.name, depth)  # noqa: TRY301 - stops the policy, as any failure of it
        except Exception as error:  # noqa: BLE001 - a policy is its user's code: it stops no other, and is told of
            position = book.position if trigger.record is None else trigger.record.position
            self.stopped[policy.name] = PolicyStopped(policy.name, position, error)
            self._cursors.hold(policy.name, position - 1 if trigger.kind is TriggerKind.RECORD else position)
            return
        if decisions:
            self._due.append(_Due(policy, trigger, decisions))

    def _settle(self, due: _Due) -> None:
        for number, decision in enumerate(due.decisions):
            self._append(due.policy, due.trigger, decision, number)

    def _append(self, policy: Policy, trigger: Trigger, decision: Decision, number: int) -> None:
        key = f"policy/{policy.name}/{decision.key or trigger.key}/{number}"
        # A quote is in no log: what it caused has no record to name.
        cause = trigger.record if trigger.kind is TriggerKind.RECORD else None
        causation = None if cause is None else cause.id
        correlation = None if cause is None else cause.correlation_id or cause.id
        for _ in range(ATTEMPTS_MAX):
            # The versions come first: whatever is appended after them makes the append fail, and be thought over.
            versions = {stream: self._store.version(stream) for stream, _ in decision.facts}
            self.book.refresh()
            if decision.unless is not None and decision.unless(self.book):
                return
            batches = []
            for index, (stream, event) in enumerate(decision.facts):
                expected = versions[stream]
                versions[stream] += 1
                batches.append(
                    Batch(
                        stream,
                        event,
                        expected,
                        f"{key}/{index}",
                        actor=ACTOR + policy.name,
                        causation_id=causation,
                        correlation_id=correlation,
                    )
                )
            try:
                self.book.append_many(batches)
            except DuplicateEvent:
                return
            except VersionConflict:
                continue
            return
        streams = ", ".join(stream for stream, _ in decision.facts)
        msg = f"{policy.name} could not append: {ATTEMPTS_MAX} times others were quicker on {streams}"
        raise StoreError(msg)

    def _of_record(self, record: Record) -> Trigger:
        event = record.event
        symbol = getattr(event, "symbol", None)
        return Trigger(TriggerKind.RECORD, record.account, record.occurred_at, record.id.hex(), record, event, symbol)

    def _day_key(self, account: str, at: int) -> str:
        session = self.book.sessions.current(account, at)
        return f"{account}/{'' if session is None else session.trading_day.isoformat()}"

    def _find_holders(self, symbol: str) -> tuple[str, ...]:
        contract = self.book.contracts.find(symbol)
        names = {symbol} if contract is None else {symbol, contract.symbol}
        return tuple(
            account
            for account in self.book.partitions("positions")
            if any(held.quantity and held.symbol in names for held in self.book.positions.of(account))
        )

    def _depth(self, record: Record) -> int:
        """Return how many records that policies made lead to this one, itself included."""
        depth = 0
        found: Record | None = record
        for _ in range(ANCESTORS_MAX):
            if found is None:
                break
            depth += found.actor.startswith(ACTOR)
            found = None if found.causation_id is None else self._store.find(found.causation_id)
        return depth

    # Time

    def _write_cursors(self, *, spare: bool = False) -> None:
        # What has been seen is read first: only if nothing is due after that, all that it led to is appended.
        at = self._cursors.at
        if self.ready and not self._due and self.error is None:
            self._cursors.write(at, spare=spare)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.tick()
            except Exception as error:  # noqa: BLE001 - told by `error`, `settled` and `stop`; time goes on for the others
                self.error = error
            self._store.wait(self.book.position, WAIT_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @override
    def __repr__(self) -> str:
        state = f", {len(self.stopped)} stopped" if self.stopped else "" if self.error is None else f", {self.error}"
        return f"<Policies {', '.join(self._policies)} at {self.book.position}, {len(self._due)} to append{state}>"
