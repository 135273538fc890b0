"""Whether some process runs the policies of a log, and why an account's limits are not judged."""

from __future__ import annotations

import contextlib
import enum
import weakref
from typing import TYPE_CHECKING

from eventstore import EventStore, Unavailable
from eventstore.side import GroupSide
from projections.ending import log_ended
from projections.risk.policies import account_sets
from projections.risk.policies.cursors import have_begun
from projections.risk.policies.lease import FILE, RETRY_NS, Lease
from projections.shares import AccountFilter, AccountShares
from projections.view import GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore.side import LogSide
    from projections.book import Book

_Accounts = AccountFilter

_in_memory: weakref.WeakKeyDictionary[EventStore, list[_Accounts]] = weakref.WeakKeyDictionary()
"""For logs with nothing beside them, which have one process: the sets of accounts that policies run for at present."""


class PolicyRun(enum.StrEnum):
    """Whether policies run for an account of a log."""

    RUNNING = "RUNNING"
    ENDED = "ENDED"
    """They ran on this log, and no process runs them for this account now."""
    NEVER = "NEVER"
    UNKNOWN = "UNKNOWN"
    """Nobody can tell from here: in a book of the past, or of a source without a directory, such as InfluxDB."""


_LEAST_FIRST = (PolicyRun.ENDED, PolicyRun.NEVER, PolicyRun.UNKNOWN, PolicyRun.RUNNING)


def run_of(book: Book, account: str) -> PolicyRun:
    """Return whether some process runs the policies of a book's log for an account, at most a second ago.

    Policies of the book itself count at once. Of a group, asked for as the account `@NAME`, it is that of the member
    that is judged least.
    """
    runs = {_run_of(book, each) for each in _judged_for(book, account)}
    return next((each for each in _LEAST_FIRST if each in runs), PolicyRun.UNKNOWN)


def _judged_for(book: Book, account: str) -> tuple[str, ...]:
    """Return the accounts that policies must run for to judge an account's limits: of a group, its members."""
    return book.groups.members(account.removeprefix(GROUP)) if account.startswith(GROUP) else (account,)


def _run_of(book: Book, account: str) -> PolicyRun:
    if book.listener is not None and book.covers(account) and book.listener.judges(account):
        return PolicyRun.RUNNING
    store = book.reader
    if not book._live or not isinstance(store, EventStore):  # noqa: SLF001 - whether it follows its log is asked here alone
        return PolicyRun.UNKNOWN
    if store.side is None:
        return _run_in_memory(store, account)
    lookout = _lookouts.get(book) or _lookouts.setdefault(book, _Lookout(store, store.side))
    return lookout.run_of(account)


def why_unjudged(book: Book, account: str) -> str | None:
    """Return why an account's limits are not judged, with what to do.

    None if they are, if no policy ever ran on the log, and if nobody can tell: then the check before an order judges
    alone. What a newer version recorded, and this one does not know, may be a limit too; so may what is in the log
    that continues this one.
    """
    if (ended := log_ended(book)) is not None:
        return (
            f"log {ended.log} has ended, and what log {ended.next} has recorded since then is not known here: open the "
            "store again, which leads there"
        )
    for each in _judged_for(book, account):
        if (unread := book.unread.why(each, book.reader)) is not None:
            return unread
        for stopped in book.policies.stopped(each):
            return stopped.sentence
        if _run_of(book, each) is PolicyRun.ENDED:
            return (
                f"no process runs the policies of log {book.reader.log} for {each}, so its limits are unjudged: the "
                "one that did was stopped or killed; start it again, or run the policies in this process"
            )
    return None


def enforcement_notes(book: Book, accounts: Iterable[str]) -> list[str]:
    """Return a line for each account whose limits are unjudged, and one for those on which no policies ever ran."""
    accounts = list(accounts)
    notes = [f"{account}: {why}" for account in accounts if (why := why_unjudged(book, account)) is not None]
    never = [account for account in accounts if run_of(book, account) is PolicyRun.NEVER]
    if never:
        notes.append(
            f"{', '.join(never)}: not enforced, only checked before each order: no policies ran on this log yet"
        )
    return notes


class SharePresence:
    """Shows other processes that policies run for the shares that this one of a group works on."""

    def __init__(self, store: EventStore, shares: AccountShares) -> None:
        assert isinstance(store.side, GroupSide), "groups are of a log in PostgreSQL"
        self._side, self._clock = store.side, store.clock
        self._by_share = {
            n: store.side.lock(account_sets.lock_of(account_sets.share_name(n))) for n in sorted(shares.numbers)
        }
        self._locks = list(self._by_share.values())
        self._tried_at: int | None = None

    def begin(self) -> None:
        """Show it from now on."""
        self.keep()

    def keep(self) -> None:
        """Take over what another process held that has ended."""
        now = self._clock.monotonic_ns()
        if all(lock.is_held for lock in self._locks) or (
            self._tried_at is not None and now - self._tried_at < RETRY_NS
        ):
            return
        self._tried_at = now
        with contextlib.suppress(Unavailable):
            self._side.take_all(self._locks)

    def shows(self, share: int) -> bool:
        """Return whether it is this process that is seen to run policies for a share."""
        return self._by_share[share].is_held

    def end(self) -> None:
        """Show that policies run here no more."""
        for lock in self._locks:
            lock.release()


class Presence:
    """Shows other processes that policies run for some accounts of a log, or for all; and takes the log's lease."""

    def __init__(self, store: EventStore, accounts: frozenset[str] | None) -> None:
        self.lease = Lease(store)
        self._store, self._accounts = store, accounts
        self._lock = Lease(store, account_sets.lock_of(account_sets.name_of(accounts)))
        self._is_shown = False

    def begin(self) -> None:
        """Show it from now on."""
        self.keep()
        if self._store.side is None and not self._is_shown:
            _in_memory.setdefault(self._store, []).append(self._accounts)
        self._is_shown = True

    def keep(self) -> None:
        """Take over what another process held that has ended."""
        self._lock.begin()
        self.lease.begin()

    def end(self) -> None:
        """Show that policies run here no more."""
        self.lease.release()
        self._lock.release()
        if self._store.side is None and self._is_shown:
            _in_memory[self._store].remove(self._accounts)
        self._is_shown = False


def _run_in_memory(store: EventStore, account: str) -> PolicyRun:
    running = _in_memory.get(store)
    if running is None:
        return PolicyRun.NEVER
    return PolicyRun.RUNNING if any(_has(accounts, account) for accounts in running) else PolicyRun.ENDED


def _has(accounts: _Accounts, account: str) -> bool:
    return accounts is None or account in accounts


class _Lookout:
    """What the locks beside a log say, looked at most once a second."""

    def __init__(self, store: EventStore, side: LogSide) -> None:
        self._store, self._side = store, side
        self._looked_at: int | None = None
        self._have_run = False
        self._is_for_all = False
        self._running: tuple[_Accounts, ...] = ()
        self._sets: dict[str, frozenset[str]] = {}

    def run_of(self, account: str) -> PolicyRun:
        now = self._store.clock.monotonic_ns()
        if self._looked_at is None or now - self._looked_at >= RETRY_NS:
            self._looked_at = now
            self._look()
        if self._is_for_all or any(_has(accounts, account) for accounts in self._running):
            return PolicyRun.RUNNING
        return PolicyRun.ENDED if self._have_run else PolicyRun.NEVER

    def _look(self) -> None:
        is_held = _is_locked(self._side, FILE)
        self._sets = _remembered(self._side, self._sets)
        every: tuple[tuple[str, _Accounts], ...] = ((account_sets.EVERY, None), *self._sets.items())
        self._running = (
            *(accounts for name, accounts in every if _is_locked(self._side, account_sets.lock_of(name))),
            *_locked_shares(self._side),
        )
        is_any_locked = _is_any_locked(self._side)
        # A process of an earlier version holds the lease, locks no set, and runs the policies for all. One of this
        # version locks its set before it takes the lease, and unlocks it after that: so what held the lease before and
        # after no set was locked is of the former kind. A set whose accounts are not known is not all of them.
        is_still_held = _is_locked(self._side, FILE)
        self._is_for_all = is_held and is_still_held and not is_any_locked
        has_begun = is_held or is_still_held or is_any_locked
        self._have_run = self._have_run or has_begun or have_begun(self._store)


def _is_locked(side: LogSide, name: str) -> bool:
    try:
        return side.is_locked(name)
    except Unavailable:
        # A lock that cannot be looked at proves nothing, and new exposure needs proof.
        return False


def _locked_shares(side: LogSide) -> tuple[AccountShares, ...]:
    try:
        found = account_sets.locked_shares(side)
    except Unavailable:
        return ()
    return () if found is None else (found,)


def _is_any_locked(side: LogSide) -> bool:
    """Return whether policies may run for some set of accounts, also for one whose accounts are unknown."""
    try:
        return any(side.is_locked(name) for name in account_sets.locks(side))
    except Unavailable:
        return True


def _remembered(side: LogSide, known: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    try:
        return account_sets.remembered(side, known)
    except Unavailable:
        return known


_lookouts: weakref.WeakKeyDictionary[Book, _Lookout] = weakref.WeakKeyDictionary()
