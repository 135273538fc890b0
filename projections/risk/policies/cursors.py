"""Cursors: the last record that each policy has seen, kept beside the log."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, NamedTuple

from eventstore import StorageWarning
from eventstore.clock import NANOSECONDS
from eventstore.watermarks import Watermark
from projections.risk.policies import account_sets
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import EventStore, Record

PREFIX = "policy."
WRITE_INTERVAL_NS = 10 * NANOSECONDS


class _Seen(NamedTuple):
    """How far a policy has seen the log when it begins, by the cursors of every set of accounts."""

    lowest: int
    """Of all accounts: the records of no account, which concern each of them, are seen again from there."""
    by_account: dict[str, int]
    others: int
    """How far it has seen accounts that are not in `by_account`."""


class Cursors:
    """The log position that each policy has reached. Cursors are watermarks: opening the store detects one ahead of it.

    They are written at most every ten seconds. One that is behind is safe: what is decided again finds its events
    recorded under the same keys. Each write is synced, so that a crash leaves no empty file. A book of some accounts
    has cursors of its own, because it does not see the records of others; it begins where the cursors of other sets
    leave each of its accounts. A log in memory has none.
    """

    def __init__(self, store: EventStore, accounts: Iterable[str] | None = None) -> None:
        self._store = store
        self._marks = None if store.side is None else store.side.marks()
        self._accounts = None if accounts is None else frozenset(accounts)
        self._set = account_sets.name_of(self._accounts)
        self._lock = threading.Lock()
        self.last_seen = (0, b"")
        """The last record that every policy was evaluated for: position and digest."""
        self._written_at = 0
        self._written: dict[str, int] = {}
        self._held: dict[str, int] = {}
        """The position past which a failed policy's cursor does not move, though the others continue."""
        self._seen: dict[str, _Seen] = {}

    def begin(self, policies: Iterable[str], head: int) -> dict[str, int]:
        """Return the positions up to which policies have seen the log for all their accounts, and store them durably.

        A policy that has never run for any of them begins at the head.
        """
        self.last_seen = max(self.last_seen, (head, self._digest_at(head)))
        # Read once, for all policies: there may be hundreds of files.
        marks, unsound = ({}, {}) if self._marks is None else self._marks.examine()
        sets = self._sets()
        if self._store.side is not None and self._accounts is not None:
            # First, so that no cursor is of an unknown set.
            account_sets.remember(self._store.side, self._accounts)
        return {policy: self._begin(policy, head, marks, unsound, sets) for policy in policies}

    def _begin(
        self,
        policy: str,
        head: int,
        marks: dict[str, Watermark],
        unsound: dict[str, str],
        sets: dict[str, frozenset[str]],
    ) -> int:
        positions = self._positions(policy, head, marks, unsound)
        seen = self._seen[policy] = self._seen_by(positions, head, sets)
        if self._set not in positions:
            # Written before the first evaluation: after a crash the policy resumes here, not at a later head.
            self._put(policy, self._mark(seen.lowest, self._digest_at(seen.lowest)))
        self._written[policy] = positions.get(self._set, seen.lowest)
        return seen.lowest

    def seen(self, policy: str, account: str) -> int:
        """Return the position up to which a policy that has begun had seen an account's records."""
        seen = self._seen[policy]
        return seen.lowest if account == SHARED else seen.by_account.get(account, seen.others)

    def _seen_by(self, positions: dict[str, int], head: int, sets: dict[str, frozenset[str]]) -> _Seen:
        """Return how far a policy has seen each account: as far as the most advanced set that the account is in."""
        by_account: dict[str, int] = {}
        for name, position in positions.items():
            for account in sets.get(name, ()):
                by_account[account] = max(position, by_account.get(account, 0))
        every = positions.get(account_sets.EVERY)
        if every is not None:
            by_account = {account: max(position, every) for account, position in by_account.items()}
        # A set of an earlier version, whose accounts nobody wrote down, may be of any: too early skips nothing.
        unknown = [position for name, position in positions.items() if name not in sets and name != account_sets.EVERY]
        others = min([head, *unknown]) if every is None else every
        if self._accounts is not None:
            by_account = {account: by_account.get(account, others) for account in self._accounts}
            return _Seen(min(by_account.values(), default=head), by_account, others)
        return _Seen(min([others, *by_account.values()]), by_account, others)

    def _sets(self) -> dict[str, frozenset[str]]:
        if self._store.side is None:
            return {}
        sets = account_sets.remembered(self._store.side, {})
        if self._accounts is not None:
            # Those that an earlier version wrote cursors of, as far as they can be known by their digest.
            for accounts in (self._accounts, *(frozenset((account,)) for account in self._accounts)):
                sets[account_sets.name_of(accounts)] = accounts
        return sets

    def _positions(
        self, policy: str, head: int, marks: dict[str, Watermark], unsound: dict[str, str]
    ) -> dict[str, int]:
        """Return a policy's position by the name of each set of accounts that it has run for.

        For a damaged cursor it is the lowest of the set's others. All are written together, so the lowest is where the
        damaged one was, or before it. Starting too early is harmless, starting too late would skip a decision.
        """
        own = {name: mark.position for name, mark in marks.items() if mark.log_id == self._store.log_id.hex()}
        found = {}
        for name in {*marks, *unsound}:
            of_set = _set_of(name, policy)
            if of_set is None:
                continue
            position = own.get(name)
            if position is None:
                position = min([head, *(other for each, other in own.items() if _is_written_with(each, of_set))])
                if of_set == self._set:
                    why = unsound.get(name, "it belongs to another log")
                    msg = (
                        f"the cursor of policy {policy} is damaged ({why}): the policy resumes from position {position}"
                    )
                    warnings.warn(msg, StorageWarning, stacklevel=4)
                    self._put(policy, self._mark(position, self._digest_at(position)))
            found[of_set] = min(position, head)
        return found

    def advance(self, record: Record) -> None:
        """Note that all policies have been evaluated for a record."""
        self.last_seen = (record.position, record.digest)

    def hold(self, policy: str, position: int) -> None:
        """Do not move a policy's cursor past a position, so that the next process resumes there."""
        self._held[policy] = min(position, self._held.get(policy, position))

    def hold_all(self, position: int) -> None:
        """Do not move any cursor past a position."""
        for policy in self._written:
            self.hold(policy, position)

    def write(self, at: tuple[int, bytes], *, throttled: bool = False) -> None:
        """Write the cursors; `throttled`: not more often than once in ten seconds."""
        now = self._store.clock.monotonic_ns()
        if throttled and now - self._written_at < WRITE_INTERVAL_NS:
            return
        with self._lock:
            self._written_at = now
            moved: dict[str, Watermark] = {}
            for policy, written in self._written.items():
                held = self._held.get(policy)
                position = at[0] if held is None else min(held, at[0])
                if position != written:
                    moved[policy] = self._mark(position, at[1] if position == at[0] else self._digest_at(position))
            self._put_all(moved)
            self._written |= {policy: mark.position for policy, mark in moved.items()}

    def _put_all(self, moved: dict[str, Watermark]) -> None:
        for policy, mark in moved.items():
            self._put(policy, mark)

    def _put(self, policy: str, mark: Watermark) -> None:
        if self._marks is not None:
            self._marks.write(PREFIX + policy + self._set, mark)

    def _mark(self, position: int, digest: bytes) -> Watermark:
        return Watermark(self._store.log_id.hex(), position, digest.hex())

    def _digest_at(self, position: int) -> bytes:
        if not position:
            return b""
        return next(self._store.read(after=position - 1, limit=1)).digest


def have_begun(store: EventStore) -> bool:
    """Return whether policies have ever run on a log, by what they keep beside it: a damaged cursor shows it too."""
    if store.side is None:
        return False
    kept = store.side.marks()
    try:
        marks, unsound = kept.examine()
    finally:
        kept.close()
    own = [name for name, mark in marks.items() if mark.log_id == store.log_id.hex()]
    return any(name.startswith(PREFIX) for name in (*own, *unsound))


def _set_of(name: str, policy: str) -> str | None:
    """Return the set of accounts that a file is a policy's cursor for, None for any other file."""
    of_set = name.removeprefix(PREFIX + policy)
    is_own = of_set != name and (of_set == account_sets.EVERY or account_sets.is_name(of_set))
    return of_set if is_own else None


def _is_written_with(name: str, of_set: str) -> bool:
    """Return whether a file is a cursor of a set: only those of one set are written together."""
    return name.startswith(PREFIX) and ("@" in name) == bool(of_set) and name.endswith(of_set)
