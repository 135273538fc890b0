"""For which accounts a process's policies run: all, named ones, or those of the shares of a group's member."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

from eventstore import InvalidEvent, Unavailable, Unchanged
from eventstore.events.registry import by_class
from eventstore.trading import GroupDefined
from projections.risk.policies.account_sets import EVERY, lock_of
from projections.risk.policies.cursors import Cursors
from projections.risk.policies.lease import RETRY_NS
from projections.risk.policies.liveness import Presence, SharePresence
from projections.risk.policies.ownership import Ownership, ShareOwner
from projections.risk.policies.share_cursors import ShareCursors
from projections.shares import AccountShares, share_of
from projections.view import PartitionParked, is_for_all

if TYPE_CHECKING:
    from eventstore import EventStore, Record
    from projections.book import Book


_DEFINED = by_class(GroupDefined).name


class Area(Protocol):
    """The accounts that policies decide for in one process, their cursors, and how others see that they run."""

    @property
    def cursors(self) -> Cursors:
        """Where each policy resumes."""

    @property
    def presence(self) -> Presence | SharePresence:
        """What shows other processes that the policies run."""

    @property
    def owned(self) -> Ownership | None:
        """What each append rests on, in a group."""

    @property
    def shares(self) -> AccountShares | None:
        """The shares of a group's member."""

    def has(self, account: str) -> bool:
        """Return whether policies decide on an account's triggers here; on those that concern all, everywhere."""

    def leads(self, account: str) -> bool:
        """Return whether this process records of an account what only one should; it tries to become that one."""

    def led(self, account: str) -> bool:
        """Return the same as of the last time that it was tried."""

    def condition(self, account: str) -> Unchanged | None:
        """Return what an append for an account rests on; raise Fenced where that is another process's now."""

    def evaluated(self, record: Record, book: Book) -> None:
        """Note that policies were evaluated for a record, with a book that is at it."""


class AccountArea:
    """All accounts or named ones. What only one process should record is led by the log's lease."""

    owned: Ownership | None = None
    shares: AccountShares | None = None

    def __init__(self, store: EventStore, accounts: frozenset[str] | None, abilities: frozenset[str]) -> None:
        self._accounts = accounts
        self.cursors, self.presence = Cursors(store, accounts), Presence(store, accounts, abilities)
        self._lease = self.presence.lease

    def has(self, account: str) -> bool:
        return self._accounts is None or is_for_all(account) or account in self._accounts

    def leads(self, account: str) -> bool:
        return self._lease.is_held()

    def led(self, account: str) -> bool:
        return self._lease.is_taken

    def condition(self, account: str) -> Unchanged | None:
        return None

    def evaluated(self, record: Record, book: Book) -> None:
        pass


class ShareArea:
    """The accounts of some shares. Each share is led by the member of the group that holds it."""

    def __init__(self, store: EventStore, shares: AccountShares, owner: ShareOwner, abilities: frozenset[str]) -> None:
        self.shares, self.owned = shares, Ownership(owner, shares)
        self.cursors, self.presence = ShareCursors(store, self.owned), SharePresence(store, shares, abilities)
        self._store = store
        self._looked_at: int | None = None
        self._are_led = False

    def has(self, account: str) -> bool:
        return self.owned.has(account)

    def leads(self, account: str) -> bool:
        return self.owned.leads(account) and self.presence.shows(share_of(account)) and not self._is_led_by_one()

    def led(self, account: str) -> bool:
        return self.leads(account)

    def _is_led_by_one(self) -> bool:
        """Return whether a process runs policies for all accounts beside the group: that one records what one should.

        It is looked at most once a second; where it cannot be, it is as it was.
        """
        now, side = self._store.clock.monotonic_ns(), self._store.side
        if side is not None and (self._looked_at is None or now - self._looked_at >= RETRY_NS):
            self._looked_at = now
            with contextlib.suppress(Unavailable):
                self._are_led = side.is_locked(lock_of(EVERY))
        return self._are_led

    def condition(self, account: str) -> Unchanged | None:
        return Unchanged(since=None, fence=self.owned.fence_of(account))

    def evaluated(self, record: Record, book: Book) -> None:
        if record.type == _DEFINED and not folds_groups(book, self.owned.shares):
            # No figure of the group is known in this book. Its policies begin again with one that has the accounts,
            # and decide on this record and those after it.
            self.cursors.hold_all(record.position - 1)


def folds_groups(book: Book, shares: AccountShares) -> bool:
    """Return whether a book has all members of the groups that the accounts of its shares are in.

    Accounts beside those of the shares, which it folds for the same reason, count for nothing.
    """
    own = AccountShares(shares.numbers)
    try:
        groups = [book.groups.members(name) for name in book.groups.names()]
    except PartitionParked:
        return True  # the limits of groups are unjudged, and say so; those of accounts are judged
    return all(all(map(book.covers, each)) for each in groups if any(account in own for account in each))


def area_of(book: Book, store: EventStore, owner: ShareOwner | None, abilities: frozenset[str]) -> Area:
    """Return the area of a book's policies, which have some abilities.

    Raises InvalidEvent where a book of shares has no owner of them.
    """
    accounts = book.accounts_folded
    if isinstance(accounts, AccountShares):
        if owner is None:
            msg = "the book has the accounts of shares: its policies need the group's member that holds them as owner"
            raise InvalidEvent(msg)
        return ShareArea(store, accounts, owner, abilities)
    return AccountArea(store, accounts, abilities)
