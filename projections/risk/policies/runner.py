"""Runs policies: evaluates them for records, quotes and time, appends their decisions and keeps their cursors."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from typing_extensions import override

from eventstore import Closed, Event, EventStore, Fenced, LogHasEnded, ReadOnly, Record, StoreError
from eventstore.clock import derived_from, wall_ns
from projections.ending import check_not_ended
from projections.replay import steps
from projections.risk.policies.abilities import abilities_of
from projections.risk.policies.appending import append_decision
from projections.risk.policies.area import area_of
from projections.risk.policies.armed import ArmedAccounts
from projections.risk.policies.concerned import ConcernedAccounts
from projections.risk.policies.protocol import (
    PendingDecision,
    Policy,
    PolicyFailure,
    Trigger,
    TriggerKind,
    check_depth,
    day_key,
    has_recovered,
    is_transient,
    keyed,
    trigger_of,
)
from projections.risk.policies.registry import PolicyRegistry
from projections.risk.policies.reports import Reports
from projections.risk.policies.unfolded_marks import MARK, UnfoldedMarks
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from projections.book import Book
    from projections.risk.policies.ownership import ShareOwner

WAIT_SECONDS = 0.25


class Policies:
    """Evaluates policies for what a book folds and observes, and appends their decisions.

    Use it as a context manager, or call `start` and `stop`. A policy begins at the log's head when it is first
    registered. From then on its durable cursor makes it see every record at least once, also those appended while no
    process ran it. The ids of its events are derived from policy, trigger and index, so that a restart, or two
    processes with the same policies, decide once. When `book.append` or `book.observe` returns, the decisions that
    it caused are appended. Reading the past (`as_of`, `steps`, a rebuild or retry of a view) evaluates nothing: its
    records were decided on when they were new. A policy that raises is not evaluated for that account again
    (`stopped`) and continues for all others; what could not be appended is retried (`error`).
    """

    def __init__(self, book: Book, policies: Sequence[Policy], *, owner: ShareOwner | None = None) -> None:
        if not isinstance(book.reader, EventStore) or book.reader.read_only:
            msg = "policies append: they need a book on an open store that is not read-only"
            raise ReadOnly(msg)
        self.book = book
        self.error: Exception | None = None
        """Why pending decisions could not be appended, or what a tick raised; None without a problem."""
        self.timer_error: Exception | None = None
        """The last error of a timer's callback: `stop` raises it."""
        self.stopped: dict[tuple[str, str], PolicyFailure] = {}
        """Failures by policy and account."""
        self.ready = False
        """Whether the records past the cursors have all been evaluated."""
        self._store = book.reader
        self._policies = PolicyRegistry(policies)
        self._concerned, self._armed = ConcernedAccounts(book), ArmedAccounts(book)
        self.abilities = abilities_of(self._policies.by_name)
        """What they can judge, which other processes see."""
        self._area = area_of(book, self._store, owner, self.abilities)
        self._reports, self._cursors = Reports(book, self._store, self._area), self._area.cursors
        self._pending: dict[tuple[str, ...], PendingDecision] = {}
        """Decisions that wait to be appended, in order, by identity: the newest of each."""
        self._unfolded, self._append_lock = UnfoldedMarks(), threading.RLock()
        self._is_appending = self._is_replaying = False
        self._begun_at, self._stop = 0, threading.Event()
        self._thread: threading.Thread | None = None

    # Starting and stopping

    def start(self, *, ticking: bool = True) -> Self:
        """Catch up from the cursors, evaluate every policy for every account, then follow the book.

        `ticking` False starts no thread: the caller calls `tick`.
        """
        self._begun_at = at = self.book.watch(self)
        try:
            self._area.presence.begin()
            # Other threads' appends wait in `flush`: their decisions must follow those on the records missed before.
            with self._append_lock:
                self._replay_missed(at)
            self.flush()
            self._record_resumed(wall_ns(self._store.clock))
            if ticking:
                self._stop.clear()
                thread = threading.Thread(target=self._run, name=f"policies of {self._store.log}", daemon=True)
                thread.start()
                self._thread = thread
        except BaseException:
            self.book.unwatch(self)
            self._area.presence.end()
            self.ready = False
            self._pending.clear()
            raise
        return self

    def _replay_missed(self, at: int) -> None:
        try:
            self._is_appending = self._is_replaying = True
            positions = self._cursors.begin(self._policies.by_name, at)
            self._catch_up(positions, at)
            self._is_replaying = False
            self.book.refresh()
            self._settle()
            self._evaluate_all(self._policies.all, TriggerKind.START, wall_ns(self._store.clock))
            self.ready = True
        finally:
            self._is_appending = self._is_replaying = False

    def stop(self) -> None:
        """End the thread and write the cursors; raise the first failure of a policy, of an append or of a timer."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        with self._append_lock:
            self._reports.flush()
        self.book.unwatch(self)
        try:
            self._write_cursors()
        finally:
            self._area.presence.end()
        for failure in (*self.stopped.values(), self.error, self.timer_error):
            if failure is not None:
                raise failure

    def tick(self, now: int | None = None) -> None:
        """Evaluate the timed policies for every account, fire due timers and retry pending decisions."""
        at = wall_ns(self._store.clock) if now is None else now
        self._area.presence.keep()
        self.book.refresh()
        self._resume(at)
        for account in self._armed.found():
            self._evaluate_account(account, self._policies.all, TriggerKind.START, at)
        self._evaluate_all(self._policies.timed, TriggerKind.TIME, at)
        self.flush()
        self._record_resumed(at)
        try:
            self.book.timers.due(at)
        except Exception as error:
            self.timer_error = error
            raise
        if not self._pending:
            self.error = None
        self._write_cursors(throttled=True)

    def _resume(self, at: int) -> None:
        """Evaluate stopped policies again where the cause of their failure is gone.

        They see the account as it is now. The records that they missed are decided on after a restart: until then
        the cursor stays before the first of them.
        """
        for (name, account), stopped in list(self.stopped.items()):
            # A member of a group begins again instead: it decides on what was missed.
            if has_recovered(self.book, stopped.error) and not (self._area.owned and is_transient(stopped.error)):
                del self.stopped[name, account]
                self._reports.forget(name, account)
                self._evaluate_account(account, [self._policies.by_name[name]], TriggerKind.START, at)

    def _record_resumed(self, at: int) -> None:
        """Evaluate what the log says has stopped, and runs here; record that it runs again where it succeeds."""
        for recorded in self._reports.due(self._policies.by_name):
            name, account = key = recorded.policy, recorded.account
            if (
                key in self.stopped
                or (name, SHARED) in self.stopped
                or (name in self._policies.leased and not self._area.led(account))
            ):
                continue
            self._evaluate_account(account, [self._policies.by_name[name]], TriggerKind.START, at)
            self.flush()
            if key not in self.stopped and self._is_running():
                with self._append_lock:
                    self._reports.record_resumed(recorded)

    @property
    def is_caught_up(self) -> bool:
        """Whether every policy has decided on every record, and every decision is appended."""
        return self._is_running() and not self.stopped

    def is_caught_up_for(self, account: str) -> bool:
        """Return whether that is true for an account: a policy that stopped for another does not count."""
        return self._is_running() and not any(name in {account, SHARED} for _, name in list(self.stopped))

    def judges(self, account: str) -> bool:
        return self._area.has(account) and (self._area.owned is None or self._area.owned.leads(account))

    def _is_running(self) -> bool:
        is_ended = self._thread is not None and not self._thread.is_alive() and not self._stop.is_set()
        return self.ready and not self._pending and self.error is None and not is_ended

    def folded(self, record: Record) -> None:
        """Evaluate the policies of this type of record; the book is at exactly this record, and its lock is held."""
        self._concerned.note(record)
        # A mark that catching up leads to says nothing about the newest figures, which are judged when it is done.
        if record.type != MARK or not self._is_replaying:
            self._evaluate_record(record, self._policies.for_type(record.type), self.book)
        self._area.evaluated(record, self.book)
        self._cursors.advance(record)

    def observed(self, record: Record, event: Event) -> None:
        """Evaluate the policies on quotes for each account that the symbol concerns; the book's lock is held."""
        symbol: str | None = getattr(event, "symbol", None)
        if symbol is None or not self._policies.on_quote:
            return
        at = record.occurred_at
        with derived_from(at):
            for account in self._concerned.by(symbol):
                key = day_key(self.book, account, at)
                trigger = Trigger(TriggerKind.QUOTE, account, at, key, record, event, symbol)
                self._evaluate_each(self._policies.on_quote, self.book, trigger)

    def flush(self) -> None:
        """Append pending decisions; returns when those that the calling thread caused are appended, by any thread."""
        if not self._pending and self._reports.is_empty and self._unfolded.is_empty:
            return
        with self._append_lock:
            # The lock is reentrant: an append below folds records, which calls this again in the same thread. The
            # outer call's loop picks up what they led to.
            if self._is_appending or not self.ready:
                return
            try:
                self._is_appending = True
                self._reports.flush()
                self._append_all()
                self._reports.flush()
                self._settle()
                self.error = None
            except StoreError as error:
                # Retried at the next tick; until then `is_caught_up` is False and checks reject new exposure.
                self.error = error
            finally:
                self._is_appending = False

    def _evaluate_all(self, policies: Sequence[Policy], kind: TriggerKind, at: int) -> None:
        for account in self.book.accounts.active():
            self._evaluate_account(account, policies, kind, at)

    def _evaluate_account(self, account: str, policies: Sequence[Policy], kind: TriggerKind, at: int) -> None:
        with self.book.paused(), derived_from(at):
            self._evaluate_each(policies, self.book, Trigger(kind, account, at, day_key(self.book, account, at)))

    def _catch_up(self, positions: dict[str, int], until: int) -> None:
        """Evaluate the records between the cursors and the book, each with a book of the past at that record.

        The live book would show fills that came later, and decide on something else than an uninterrupted process.
        """
        if (after := min(positions.values(), default=until)) >= until:
            return
        for record, past in steps(
            self._store, after=after, until=until, views=self.book.views, accounts=self._area.shares
        ):
            if not self._area.has(record.account):
                continue
            past.sessions.calendars = self.book.sessions.calendars
            behind = [
                policy
                for policy in self._policies.for_type(record.type)
                if record.position > self._cursors.seen(policy.name, record.account)
            ]
            self._evaluate_record(record, behind, past)
            self._area.evaluated(record, past)
            self._append_all()

    def _evaluate_record(self, record: Record, policies: Sequence[Policy], book: Book) -> None:
        """Evaluate policies for a record; one that cannot be decoded stops them, as their own failure would."""
        if book is not self.book or not self._is_replaying:
            self._unfolded.take(record)
        if not policies:
            return
        trigger = Trigger(TriggerKind.RECORD, record.account, record.occurred_at, record.id.hex(), record)
        try:
            event = record.event
        except Exception as error:  # noqa: BLE001 - an upcaster is user code
            for policy in policies:
                self._stop_policy(policy, trigger, error)
            return
        with derived_from(record.occurred_at), self._unfolded.supposed(book, record.account):
            self._evaluate_each(policies, book, trigger_of(book, record, event))
        self._unfolded.note(book, record, reversed(self._pending.values()), self._store)

    def _evaluate_each(self, policies: Sequence[Policy], book: Book, trigger: Trigger) -> None:
        book.evaluating = trigger
        try:
            for policy in policies:
                self._evaluate(policy, book, trigger)
        finally:
            book.evaluating = None

    def _evaluate(self, policy: Policy, book: Book, trigger: Trigger) -> None:
        account = trigger.account
        if (policy.name, account) in self.stopped or not self._area.has(account):
            return
        try:
            is_led = trigger.kind is TriggerKind.RECORD or policy.name not in self._policies.leased
            if not is_led and not self._area.leads(account):
                return
            decisions = tuple(policy.decide(book, trigger))
            check_depth(self._store, policy.name, trigger, decisions)
            pending = [] if not decisions else keyed(policy, trigger, decisions)
        except Exception as error:  # noqa: BLE001 - user code: its failure is kept in `stopped` and stops no other policy
            self._stop_policy(policy, trigger, error)
            return
        for one in pending:
            self._pending[one.identity] = one

    def _stop_policy(self, policy: Policy, trigger: Trigger, error: Exception) -> None:
        record = trigger.record if trigger.kind is TriggerKind.RECORD else None
        position = self.book.position if record is None else record.position
        stopped = PolicyFailure(policy.name, trigger.account, position, error)
        self._reports.stopped(self.stopped.setdefault((policy.name, trigger.account), stopped))
        # The next process evaluates this record again, so the cursor stays before it.
        self._cursors.hold(policy.name, position if record is None else position - 1)

    def _append_all(self) -> None:
        while self._pending:
            for identity, pending in list(self._pending.items()):
                try:
                    with derived_from(pending.trigger.at):
                        append_decision(self.book, self._store, pending, self._area.owned, begun_at=self._begun_at)
                except Exception as error:
                    if is_transient(error) or isinstance(error, Fenced):
                        raise
                    # An error of this one decision must not keep the others from being appended.
                    self._stop_policy(pending.policy, pending.trigger, error)
                with self.book.paused():
                    # A newer decision may have replaced this one during the append: then it stays pending.
                    if self._pending.get(identity) is pending:
                        del self._pending[identity]
            self._unfolded.appended(self.book.position)

    def _settle(self) -> None:
        self._append_all()
        with self.book.paused():  # it holds other states while the marks are found
            self._pending |= {each.identity: each for each in self._unfolded.settled(self.book)}
        self._append_all()

    def _write_cursors(self, *, throttled: bool = False) -> None:
        # Read before `_pending` is tested: if nothing is pending then, all decisions up to this record are appended,
        # and no cursor may pass a record whose decisions are not.
        last_seen = self._cursors.last_seen
        if self.ready and not self._pending and self.error is None:
            # A failed write leaves an older cursor, which is safe too.
            with contextlib.suppress(OSError, Fenced):
                self._cursors.write(last_seen, throttled=throttled)

    def _run(self) -> None:
        next_tick = time.monotonic()
        while not self._stop.is_set():
            try:
                if time.monotonic() >= next_tick:
                    next_tick = time.monotonic() + WAIT_SECONDS
                    self.tick()
                else:
                    self.book.refresh()
                check_not_ended(self.book)
                self._store.wait(self.book.position, max(next_tick - time.monotonic(), 0.0))
            except (Closed, LogHasEnded) as error:
                self.error = error
                self._area.presence.end()
                return
            except Exception as error:  # noqa: BLE001 - reported by `error`, `is_caught_up` and `stop`; the thread continues
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
        names = ", ".join(self._policies.by_name)
        return f"<Policies {names} at {self.book.position}, {len(self._pending)} to append{state}>"
