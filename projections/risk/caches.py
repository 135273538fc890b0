"""The newest cache of each account of a book, taken over from check to check."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from eventstore import InvalidEvent
from eventstore.streams import check_name
from projections.risk.cache import RiskCache
from projections.risk.dependencies import VIEWS
from projections.view import SHARED

if TYPE_CHECKING:
    from projections.book import Book

ACCOUNTS_MAX = 10_000


class _BookCaches:
    """The newest cache of each account of a book, and the partitions whose change counts it compares."""

    def __init__(self) -> None:
        self.caches: dict[str, RiskCache] = {}
        self.partitions: dict[str, tuple[tuple[str, str], ...]] = {}
        self._last: tuple[object, str, int, RiskCache] | None = None

    def of(self, book: Book, account: str, at: int) -> RiskCache:
        """Return an account's cache for an instant; all rules that one trigger evaluates ask for the same one."""
        trigger, last = book.evaluating, self._last
        # Nothing is folded while policies are evaluated.
        if trigger is not None and last is not None and last[0] is trigger and last[1:3] == (account, at):
            return last[3]
        found = self._of(book, account, at)
        self._last = None if trigger is None else (trigger, account, at, found)
        return found

    def _of(self, book: Book, account: str, at: int) -> RiskCache:
        partitions = self.partitions.get(account)
        if partitions is None:
            partitions = self._admit(book, account)
        # The fold raises a count after it has changed the state, and here counts are read before any state. They may be
        # older than the values, never newer: at worst the next check computes something again.
        change_counts = book.change_counts(partitions)
        before = self.caches.get(account)
        calendar = book.sessions.calendar(account)
        if before is not None and not before.is_valid(at, calendar):
            before = None
        if before is not None and before.change_counts == change_counts:
            return before
        fresh = RiskCache(book, account, at, change_counts, before)
        if not fresh.is_valid(at, calendar):
            # A day or limit recorded since begins between the instant of the older cache and this one: what was taken
            # over, though none of its views changed, is of the time before.
            fresh = RiskCache(book, account, at, change_counts, None)
        self.caches[account] = fresh
        return fresh

    def _admit(self, book: Book, account: str) -> tuple[tuple[str, str], ...]:
        check_name("account", account)
        if account == SHARED or not book.covers(account):
            msg = f"{book!r} does not fold account {account}: use a book that does"
            raise InvalidEvent(msg)
        if len(self.partitions) >= ACCOUNTS_MAX:
            self.partitions.clear()
            self.caches.clear()
        partitions = tuple((view.rstrip("*"), SHARED if view.endswith("*") else account) for view in VIEWS)
        self.partitions[account] = partitions
        return partitions


_caches: weakref.WeakKeyDictionary[Book, _BookCaches] = weakref.WeakKeyDictionary()


def risk_cache(book: Book, account: str, at: int) -> RiskCache:
    """Return an account's cache for an instant, with the values of earlier checks that are still valid."""
    caches = _caches.get(book) or _caches.setdefault(book, _BookCaches())
    return caches.of(book, account, at)
