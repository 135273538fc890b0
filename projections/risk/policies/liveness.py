"""Whether some process runs the policies of a log, and why an account's limits are not judged."""

from __future__ import annotations

import contextlib
import enum
import weakref
from collections import defaultdict
from typing import TYPE_CHECKING

from eventstore import EventStore, Unavailable
from eventstore.side import GroupSide
from projections.ending import log_ended
from projections.risk.policies import abilities as known_abilities
from projections.risk.policies import account_sets
from projections.risk.policies.cursors import have_begun
from projections.risk.policies.lease import FILE, RETRY_NS, Lease
from projections.shares import AccountFilter, AccountShares
from projections.view import GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventstore.side import LogSide
    from projections.book import Book

_Accounts = AccountFilter

_Running = tuple[_Accounts, frozenset[str]]
"""Accounts that policies run for, and what these can judge, as far as that is known."""
_NONE: frozenset[str] = frozenset()

_in_memory: weakref.WeakKeyDictionary[EventStore, list[_Running]] = weakref.WeakKeyDictionary()
"""For logs with nothing beside them, which have one process: what runs at present."""


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
    if _own_abilities(book, account) is not None:
        return PolicyRun.RUNNING
    lookout = _lookout_of(book)
    return PolicyRun.UNKNOWN if lookout is None else lookout.run_of(account)


def lacking(book: Book, account: str, needed: frozenset[str]) -> frozenset[str]:
    """Return which of the abilities that a limit needs none of the policies have that run for an account.

    Nothing where none run at all, which `why_unjudged` says, and where nobody can tell.
    """
    own = _own_abilities(book, account)
    if own is not None and needed <= own:
        return _NONE
    lookout = _lookout_of(book)
    others = None if lookout is None else lookout.abilities_for(account)
    if own is None and others is None:
        return _NONE
    return needed.difference(own or _NONE, others or _NONE)


def _own_abilities(book: Book, account: str) -> frozenset[str] | None:
    """Return what the policies of the book itself can judge; None where none run for an account."""
    listener = book.listener
    return listener.abilities if listener is not None and book.covers(account) and listener.judges(account) else None


def _lookout_of(book: Book) -> _Lookout | None:
    """Return what sees the policies that run on a book's log; None where nobody can tell."""
    store = book.reader
    if not book._live or not isinstance(store, EventStore):  # noqa: SLF001 - whether it follows its log is asked here alone
        return None
    return _lookouts.get(book) or _lookouts.setdefault(book, _Lookout(store))


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

    def __init__(self, store: EventStore, shares: AccountShares, abilities: frozenset[str]) -> None:
        assert isinstance(store.side, GroupSide), "groups are of a log in PostgreSQL"
        self._side, self._clock, self._abilities = store.side, store.clock, abilities
        names = {number: account_sets.share_name(number) for number in sorted(shares.numbers)}
        self._by_share = {number: self._side.lock(account_sets.lock_of(name)) for number, name in names.items()}
        # Of two groups on one log, one is seen to run the policies of a share, and both say what theirs can judge.
        shown = known_abilities.name_of(abilities)
        self._locks = [
            *self._by_share.values(),
            *(self._side.lock(account_sets.lock_of(name, shown)) for name in names.values()),
        ]
        self._tried_at: int | None = None

    def begin(self) -> None:
        """Show it from now on."""
        # Before any lock names them.
        known_abilities.remember(self._side, self._abilities)
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
        self._side.release_all(self._locks)


class Presence:
    """Shows other processes that policies run for some accounts of a log, or for all; and takes the log's lease."""

    def __init__(self, store: EventStore, accounts: frozenset[str] | None, abilities: frozenset[str]) -> None:
        self.lease = Lease(store)
        self._store, self._running = store, (accounts, abilities)
        name = account_sets.name_of(accounts)
        # That for what they can judge is first, and last to end: who sees the other one sees this one too.
        self._locks = [
            Lease(store, account_sets.lock_of(name, known_abilities.name_of(abilities))),
            Lease(store, account_sets.lock_of(name)),
            self.lease,
        ]
        self._is_shown = False

    def begin(self) -> None:
        """Show it from now on."""
        if self._store.side is not None:
            # Where it cannot be written, other processes see policies that judge nothing.
            with contextlib.suppress(OSError, Unavailable):
                known_abilities.remember(self._store.side, self._running[1])
        self.keep()
        if self._store.side is None and not self._is_shown:
            _in_memory.setdefault(self._store, []).append(self._running)
        self._is_shown = True

    def keep(self) -> None:
        """Take over what another process held that has ended."""
        for lock in self._locks:
            lock.begin()

    def end(self) -> None:
        """Show that policies run here no more."""
        for lock in reversed(self._locks):
            lock.release()
        if self._store.side is None and self._is_shown:
            _in_memory[self._store].remove(self._running)
        self._is_shown = False


def _has(accounts: _Accounts, account: str) -> bool:
    return accounts is None or account in accounts


class _Lookout:
    """What the locks beside a log say, looked at most once a second."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._looked_at: int | None = None
        self._have_run = False
        self._is_for_all = False
        self._running: list[_Running] = []
        self._sets: dict[str, frozenset[str]] = {}
        self._abilities: dict[str, frozenset[str]] = {}
        self._by_account: dict[str, frozenset[str] | None] = {}
        """What was asked for since the last look."""

    def run_of(self, account: str) -> PolicyRun:
        """Return whether policies run for an account."""
        if self.abilities_for(account) is not None:
            return PolicyRun.RUNNING
        return PolicyRun.ENDED if self._have_run else PolicyRun.NEVER

    def abilities_for(self, account: str) -> frozenset[str] | None:
        """Return what the policies that run for an account can judge, as far as is known; None where none run."""
        now, is_free = self._store.clock.monotonic_ns(), self._store.side is None
        if is_free or self._looked_at is None or now - self._looked_at >= RETRY_NS:
            self._looked_at = now
            self._by_account.clear()
            self._look()
        if account not in self._by_account:
            if len(self._by_account) >= _REMEMBERED_MAX:
                self._by_account.clear()
            found = [abilities for accounts, abilities in self._running if _has(accounts, account)]
            # What a process of an earlier version can judge is not known.
            is_running = bool(found) or self._is_for_all
            self._by_account[account] = _NONE.union(*found) if is_running else None
        return self._by_account[account]

    def _look(self) -> None:
        side = self._store.side
        if side is None:
            running = _in_memory.get(self._store)
            self._have_run, self._running = running is not None, running or []
        else:
            self._look_at(side)

    def _look_at(self, side: LogSide) -> None:
        is_held = _is_locked(side, FILE)
        self._sets = _remembered(side, self._sets)
        held, is_sure = _held_locks(side)
        found = list(map(account_sets.running_in, held))
        self._abilities = _known(side, self._abilities, {name for _, name in found if name})
        self._running = list(self._running_in(found))
        is_any_locked = bool(held) or not is_sure
        # A process of an earlier version holds the lease, locks no set, and runs the policies for all. One of this
        # version locks its set before it takes the lease, and unlocks it after that: so what held the lease before and
        # after no set was locked is of the former kind. A set whose accounts are not known is not all of them.
        is_still_held = _is_locked(side, FILE)
        self._is_for_all = is_held and is_still_held and not is_any_locked
        has_begun = is_held or is_still_held or is_any_locked
        self._have_run = self._have_run or has_begun or have_begun(self._store)

    def _running_in(self, found: Iterable[tuple[str, str]]) -> Iterator[_Running]:
        """Yield what runs by the locks of sets that are held, and the names of the abilities that these show."""
        shares: defaultdict[str, set[int]] = defaultdict(set)
        for of_set, name in found:
            share = account_sets.share_number(of_set)
            if share is not None:
                shares[name].add(share)
            elif of_set == account_sets.EVERY:
                yield None, self._abilities.get(name, _NONE)
            elif of_set in self._sets:
                yield self._sets[of_set], self._abilities.get(name, _NONE)
        for name, numbers in shares.items():
            yield AccountShares(frozenset(numbers)), self._abilities.get(name, _NONE)


def _is_locked(side: LogSide, name: str) -> bool:
    try:
        return side.is_locked(name)
    except Unavailable:
        # A lock that cannot be looked at proves nothing, and new exposure needs proof.
        return False


def _held_locks(side: LogSide) -> tuple[list[str], bool]:
    """Return the locks of sets that are held, and whether no other one is: one that cannot be looked at may be."""
    try:
        return side.held_locks(account_sets.LOCKS), True
    except Unavailable:
        pass
    try:
        return [name for name in side.locks(account_sets.LOCKS) if _is_locked(side, name)], False
    except Unavailable:
        return [], False


def _known(side: LogSide, known: dict[str, frozenset[str]], names: set[str]) -> dict[str, frozenset[str]]:
    """Return what is meant by the names of abilities; what is known already is not read again."""
    try:
        return known | known_abilities.remembered(side, names - known.keys())
    except Unavailable:
        return known


def _remembered(side: LogSide, known: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    try:
        return account_sets.remembered(side, known)
    except Unavailable:
        return known


_REMEMBERED_MAX = 10_000
_lookouts: weakref.WeakKeyDictionary[Book, _Lookout] = weakref.WeakKeyDictionary()
