"""Running policies: telling them of records and quotes, appending what they decide, remembering what they saw."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from typing_extensions import override

from eventstore import (
    Closed,
    DuplicateEvent,
    Event,
    EventStore,
    Overloaded,
    ReadOnly,
    Record,
    StoreError,
    VersionConflict,
)
from eventstore.clock import wall_ns
from eventstore.events.registry import by_class
from eventstore.streams import check_name
from projections.replay import steps
from projections.risk.policies.cursors import PREFIX, Cursors
from projections.risk.policies.deciding import (
    Due,
    Policy,
    PolicyStopped,
    Trigger,
    TriggerKind,
    accounts_of,
    batches_of,
    check_depth,
    day_key,
    dues_of,
    holders_of,
    is_over,
    is_passing,
)
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from projections.book import Book

ATTEMPTS_MAX = 100
WAIT_SECONDS = 0.25
# Whatever may change who holds what: which accounts a quote concerns is then found anew.
_HOLDING = frozenset(
    {"OrderFilled", "TradeExecuted", "PositionAdjusted", "TradeBusted", "TradeCorrected", "ContractDefined"}
)


class Policies:
    """Asks policies about what a book folds and observes, and appends what they decide.

    Use it as a context manager, or `start` and `stop` it. Each policy's cursor is durable: it begins at the head when
    it is first registered, and from then on sees every record at least once, also those of the time when no
    process asked it. What it decided has an id made of policy, trigger and index, so that a restart, or two processes
    with the same policies, decide once. When `book.append` or `book.observe` returns, what it led to is appended.
    A policy that raises is asked no more about that account (`stopped`), and goes on for all others; what could not
    be appended is tried again (`error`).
    """

    def __init__(self, book: Book, policies: Sequence[Policy]) -> None:
        if not isinstance(book.reader, EventStore) or book.reader.read_only:
            msg = "policies append: they need a book on an open store that is not read-only"
            raise ReadOnly(msg)
        self.book = book
        self.error: Exception | None = None
        """Why what was decided could not be appended yet, or what a tick raised; None while all is well."""
        self.rung: Exception | None = None
        """What the callbacks of timers raised last: `stop` raises it."""
        self.stopped: dict[tuple[str, str], PolicyStopped] = {}
        """By policy and account."""
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
        self._accounts: frozenset[str] | None = book._accounts  # noqa: SLF001 - what the book folds, nobody else asks
        self._cursors = Cursors(self._store, self._accounts)
        self._due: dict[tuple[str, ...], Due] = {}
        """What waits to be appended, in order; of the same without a record, decided again, the newest."""
        self._acting = threading.RLock()
        self._is_acting = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def _register(self, policy: Policy) -> None:
        if policy.name in self._policies:
            msg = f"two policies are called {policy.name}: the name is in the ids of what they decide"
            raise ValueError(msg)
        check_name("policy", PREFIX + policy.name)
        self._policies[policy.name] = policy

    # Life

    def start(self, *, ticking: bool = True) -> Self:
        """Catch up from the cursors, ask every policy about every account, then go on with the book.

        `ticking` False starts no thread: the caller calls `tick`.
        """
        at = self.book.watch(self)
        try:
            # Who appends meanwhile waits until all is caught up: what it led to comes after that.
            with self._acting:
                self._begin(at)
            self.act()
            if ticking:
                self._stop.clear()
                thread = threading.Thread(target=self._run, name=f"policies of {self._store.log}", daemon=True)
                thread.start()
                self._thread = thread
        except BaseException:
            self.book.unwatch(self)
            self.ready = False
            self._due.clear()
            raise
        return self

    def _begin(self, at: int) -> None:
        try:
            self._is_acting = True
            positions = {name: self._cursors.begin(name, at) for name in self._policies}
            self._catch_up(positions, at)
            self.book.refresh()
            self._ask_about_all(list(self._policies.values()), TriggerKind.START, wall_ns(self._store.clock))
            self.ready = True
        finally:
            self._is_acting = False

    def stop(self) -> None:
        """End the thread and write the cursors; raise the first policy's failure, or what could not be appended."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self.book.unwatch(self)
        self._write_cursors()
        for failure in (*self.stopped.values(), self.error, self.rung):
            if failure is not None:
                raise failure

    def tick(self, now: int | None = None) -> None:
        """Ask the timed policies about every account, let timers ring and try again what could not be appended."""
        at = wall_ns(self._store.clock) if now is None else now
        self.book.refresh()
        self._resume(at)
        timed = [policy for policy in self._policies.values() if policy.timed]
        if timed:
            self._ask_about_all(timed, TriggerKind.TIME, at)
        self.act()
        try:
            self.book.timers.due(at)
        except Exception as error:
            self.rung = error
            raise
        if not self._due:
            self.error = None
        self._write_cursors(spare=True)

    def _resume(self, at: int) -> None:
        """Ask again about accounts whose partition is mended, or where the store alone had failed.

        What was recorded meanwhile is decided on when the process starts anew: the cursor stays where it was.
        """
        for (name, account), stopped in list(self.stopped.items()):
            if is_over(self.book, stopped.error):
                del self.stopped[name, account]
                self._ask_about(account, [self._policies[name]], TriggerKind.START, at)

    @property
    def settled(self) -> bool:
        """Whether all that was seen has been decided, and all that was decided is appended."""
        return self._goes_on() and not self.stopped

    def settled_for(self, account: str) -> bool:
        """Tell whether that is so of an account: what stopped a policy for another does not count."""
        return self._goes_on() and not any(name in {account, SHARED} for _, name in list(self.stopped))

    def _goes_on(self) -> bool:
        is_ended = self._thread is not None and not self._thread.is_alive() and not self._stop.is_set()
        return self.ready and not self._due and self.error is None and not is_ended

    def accounts(self) -> list[str]:
        """Return the accounts that anything is known of, sorted."""
        return accounts_of(self.book)

    # What the book tells

    def folded(self, record: Record) -> None:
        """Ask who wants such records: the book is at this very record, and its lock is held."""
        if record.type in _HOLDING:
            self._holders.clear()
        self._ask_of(record, self._by_type.get(record.type, ()), self.book)
        self._cursors.seen(record)

    def observed(self, record: Record, event: Event) -> None:
        """Ask who wants quotes, about each account that holds what was quoted; the book's lock is held."""
        symbol: str | None = getattr(event, "symbol", None)
        if symbol is None or not self._on_quote:
            return
        holders = self._holders.get(symbol)
        if holders is None:
            holders = self._holders[symbol] = holders_of(self.book, symbol)
        at = record.occurred_at
        for account in holders:
            key = day_key(self.book, account, at)
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
            try:
                self._is_acting = True
                self._append_all()
                self.error = None
            except StoreError as error:
                # What waits is tried again at the next tick; until then `settled` is False.
                self.error = error
            finally:
                self._is_acting = False

    # Deciding

    def _ask_about_all(self, policies: Sequence[Policy], kind: TriggerKind, at: int) -> None:
        for account in self.accounts():
            self._ask_about(account, policies, kind, at)

    def _ask_about(self, account: str, policies: Sequence[Policy], kind: TriggerKind, at: int) -> None:
        with self.book.still():
            trigger = Trigger(kind, account, at, day_key(self.book, account, at))
            for policy in policies:
                self._ask(policy, self.book, trigger)

    def _catch_up(self, positions: dict[str, int], until: int) -> None:
        """Ask about the records between the cursors and the book, each with a book at that very record."""
        after = min(positions.values(), default=until)
        if after >= until:
            return
        for record, past in steps(self._store, after=after, until=until, views=self.book.views):
            if self._accounts is not None and record.account not in {*self._accounts, SHARED}:
                continue
            past.sessions.calendars = self.book.sessions.calendars
            behind = [
                policy for policy in self._by_type.get(record.type, ()) if record.position > positions[policy.name]
            ]
            self._ask_of(record, behind, past)
            self._append_all()

    def _ask_of(self, record: Record, policies: Sequence[Policy], book: Book) -> None:
        """Ask policies about a record; one that cannot be read stops them, as a failure of theirs would."""
        if not policies:
            return
        trigger = Trigger(TriggerKind.RECORD, record.account, record.occurred_at, record.id.hex(), record)
        try:
            event = record.event
        except Exception as error:  # noqa: BLE001 - an upcaster is its user's code
            for policy in policies:
                self._stopped(policy, trigger, error)
            return
        symbol = getattr(event, "symbol", None)
        trigger = Trigger(TriggerKind.RECORD, trigger.account, trigger.at, trigger.key, record, event, symbol)
        for policy in policies:
            self._ask(policy, book, trigger)

    def _ask(self, policy: Policy, book: Book, trigger: Trigger) -> None:
        if (policy.name, trigger.account) in self.stopped:
            return
        try:
            decisions = tuple(policy.decide(book, trigger))
            if decisions and trigger.kind is TriggerKind.RECORD and trigger.record is not None:
                check_depth(self._store, policy.name, trigger.record)
            due = [] if not decisions else dues_of(policy, trigger, decisions)
        except Exception as error:  # noqa: BLE001 - a policy is its user's code: it stops no other, and is told of
            self._stopped(policy, trigger, error)
            return
        for one in due:
            self._due[one.place] = one

    def _stopped(self, policy: Policy, trigger: Trigger, error: Exception) -> None:
        is_record = trigger.kind is TriggerKind.RECORD and trigger.record is not None
        position = trigger.record.position if is_record and trigger.record is not None else self.book.position
        stopped = PolicyStopped(policy.name, trigger.account, position, error)
        self.stopped.setdefault((policy.name, trigger.account), stopped)
        self._cursors.hold(policy.name, position - is_record)

    # Appending

    def _append_all(self) -> None:
        while self._due:
            for place, due in list(self._due.items()):
                try:
                    self._append(due)
                except Exception as error:
                    if is_passing(error):
                        raise
                    # What is wrong with one decision keeps no other from being appended.
                    self._stopped(due.policy, due.trigger, error)
                with self.book.still():
                    # Decided again while this was thought over, it is thought over again.
                    if self._due.get(place) is due:
                        del self._due[place]

    def _append(self, due: Due) -> None:
        decision, name = due.decision, due.policy.name
        for _ in range(ATTEMPTS_MAX):
            # The versions come first: whatever is appended after them makes the append fail, and be thought over.
            versions = {stream: self._store.version(stream) for stream, _ in decision.facts}
            self.book.refresh()
            if decision.unless is not None and decision.unless(self.book):
                return
            try:
                self.book.append_many(batches_of(due, versions))
            except DuplicateEvent:
                return
            except VersionConflict:
                continue
            return
        streams = ", ".join(stream for stream, _ in decision.facts)
        msg = f"{name} could not append: {ATTEMPTS_MAX} times others were quicker on {streams}"
        raise Overloaded(msg)

    # Time

    def _write_cursors(self, *, spare: bool = False) -> None:
        # What has been seen is read first: only if nothing is due after that, all that it led to is appended.
        at = self._cursors.at
        if self.ready and not self._due and self.error is None:
            # An older cursor is true as well.
            with contextlib.suppress(OSError):
                self._cursors.write(at, spare=spare)

    def _run(self) -> None:
        next_tick = time.monotonic()
        while not self._stop.is_set():
            try:
                if time.monotonic() >= next_tick:
                    next_tick = time.monotonic() + WAIT_SECONDS
                    self.tick()
                else:
                    self.book.refresh()
                self._store.wait(self.book.position, max(next_tick - time.monotonic(), 0.0))
            except Closed as error:
                self.error = error
                return
            except Exception as error:  # noqa: BLE001 - told by `error`, `settled` and `stop`; time goes on for the others
                self.error = error
                self._stop.wait(WAIT_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.stop()
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"and {self!r}: {failure}")

    @override
    def __repr__(self) -> str:
        state = f", {len(self.stopped)} stopped" if self.stopped else "" if self.error is None else f", {self.error}"
        return f"<Policies {', '.join(self._policies)} at {self.book.position}, {len(self._due)} to append{state}>"
