"""Cursors: the last record that each policy has seen, in small files beside the journal."""

from __future__ import annotations

import hashlib
import threading
import warnings
from typing import TYPE_CHECKING

from eventstore import StorageWarning
from eventstore.clock import NANOSECONDS
from eventstore.streams import SEPARATOR
from eventstore.watermarks import Watermark, Watermarks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import EventStore, Record

PREFIX = "policy."
WRITE_INTERVAL_NS = 10 * NANOSECONDS


class Cursors:
    """The log position that each policy has reached. Cursors are watermarks: opening the store detects one ahead of it.

    They are written at most every ten seconds. One that is behind is safe: what is decided again finds its events
    recorded under the same keys. Each write is synced, so that a crash leaves no empty file. A book of some accounts
    has cursors of its own, because it does not see the records of others. A log in memory has none.
    """

    def __init__(self, store: EventStore, accounts: Iterable[str] | None = None) -> None:
        self._store = store
        self._files = None if store.directory is None else Watermarks(store.directory / "watermarks").hold()
        # A digest of the set: account names would not fit into a file's name.
        self._suffix = "" if accounts is None else "@" + _digest_of(accounts)
        self._lock = threading.Lock()
        self.last_seen = (0, b"")
        """The last record that every policy was evaluated for: position and digest."""
        self._written_at = 0
        self._written: dict[str, int] = {}
        self._held: dict[str, int] = {}
        """The position past which a failed policy's cursor does not move, though the others continue."""

    def begin(self, policy: str, head: int) -> int:
        """Return the position up to which a policy has seen the log; a new policy begins at the head, durably."""
        self.last_seen = max(self.last_seen, (head, self._digest_at(head)))
        mark = self._find(policy, head)
        if mark is None:
            # Written before the first evaluation: after a crash the policy resumes here, not at a later head.
            mark = self._mark(head, self._digest_at(head))
            self._put(policy, mark)
        self._written[policy] = mark.position
        return mark.position

    def _find(self, policy: str, head: int) -> Watermark | None:
        """Return a policy's cursor, None where it has none; for a damaged one, the lowest of the others.

        All are written together, so the lowest is where the damaged one was, or before it. Starting too early is
        harmless, starting too late would skip a decision.
        """
        if self._files is None:
            return None
        marks, unsound = self._files.examine()
        own = {name: mark for name, mark in marks.items() if mark.log_id == self._store.log_id.hex()}
        name = self._name(policy)
        if name in own:
            return own[name]
        if name not in unsound and name not in marks:
            return None
        # Only cursors of a book with the same accounts were written together with this one.
        others = [
            mark.position
            for other, mark in own.items()
            if other.startswith(PREFIX) and ("@" in other) == bool(self._suffix) and other.endswith(self._suffix)
        ]
        position = min([head, *others])
        why = unsound.get(name, "it belongs to another log")
        msg = f"the cursor of policy {policy} is damaged ({why}): the policy resumes from position {position}"
        warnings.warn(msg, StorageWarning, stacklevel=4)
        mark = self._mark(position, self._digest_at(position))
        self._put(policy, mark)
        return mark

    def advance(self, record: Record) -> None:
        """Note that all policies have been evaluated for a record."""
        self.last_seen = (record.position, record.digest)

    def hold(self, policy: str, position: int) -> None:
        """Do not move a policy's cursor past a position, so that the next process resumes there."""
        self._held[policy] = min(position, self._held.get(policy, position))

    def write(self, at: tuple[int, bytes], *, throttled: bool = False) -> None:
        """Write the cursors; `throttled`: not more often than once in ten seconds."""
        now = self._store.clock.monotonic_ns()
        if throttled and now - self._written_at < WRITE_INTERVAL_NS:
            return
        with self._lock:
            self._written_at = now
            for policy, written in self._written.items():
                held = self._held.get(policy)
                position = at[0] if held is None else min(held, at[0])
                if position != written:
                    self._put(policy, self._mark(position, at[1] if position == at[0] else self._digest_at(position)))
                    self._written[policy] = position

    def _put(self, policy: str, mark: Watermark) -> None:
        if self._files is not None:
            self._files.write(self._name(policy), mark)

    def _name(self, policy: str) -> str:
        return PREFIX + policy + self._suffix

    def _mark(self, position: int, digest: bytes) -> Watermark:
        return Watermark(self._store.log_id.hex(), position, digest.hex())

    def _digest_at(self, position: int) -> bytes:
        if not position:
            return b""
        return next(self._store.read(after=position - 1, limit=1)).digest


def _digest_of(accounts: Iterable[str]) -> str:
    return hashlib.sha256(SEPARATOR.join(sorted(accounts)).encode()).hexdigest()[:12]
