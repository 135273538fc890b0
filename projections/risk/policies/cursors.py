"""Cursors: up to where each policy has seen the log, in small files beside the journal."""

from __future__ import annotations

import hashlib
import threading
import warnings
from typing import TYPE_CHECKING

from eventstore import StorageWarning
from eventstore.clock import NANOSECONDS
from eventstore.watermarks import Watermark, Watermarks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import EventStore, Record

PREFIX = "policy."
SPARE_NS = 10 * NANOSECONDS


class Cursors:
    """The policies' positions. They are watermarks: one ahead of the log is noticed when the store is opened.

    They are written seldom, and always synced, so that none is ever found empty: who starts from an older one decides
    the same again, which changes nothing. A book of some accounts has cursors of its own, for it sees no others'
    records. A log in memory keeps none.
    """

    def __init__(self, store: EventStore, accounts: Iterable[str] | None = None) -> None:
        self._store = store
        self._files = None if store.directory is None else Watermarks(store.directory / "watermarks").hold()
        self._suffix = "" if accounts is None else "@" + _digest_of(accounts)
        self._lock = threading.Lock()
        self.at = (0, b"")
        """The last record that every policy was asked about: position and digest."""
        self._written_at = 0
        self._written: dict[str, int] = {}
        self._held: dict[str, int] = {}
        """Where a policy that failed stays, though the others go on."""

    def begin(self, policy: str, head: int) -> int:
        """Return the position up to which a policy has seen the log; a new one begins at the head, durably."""
        self.at = max(self.at, (head, self._digest_at(head)))
        mark = self._found(policy, head)
        if mark is None:
            mark = self._mark(head, self._digest_at(head))
            self._put(policy, mark)
        self._written[policy] = mark.position
        return mark.position

    def _found(self, policy: str, head: int) -> Watermark | None:
        """Return a policy's cursor, None where it has none; for a damaged one, the lowest of the others'.

        They are written together, so that is where it was, or before: what is decided again changes nothing.
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
        others = [
            mark.position
            for other, mark in own.items()
            if other.startswith(PREFIX) and ("@" in other) == bool(self._suffix) and other.endswith(self._suffix)
        ]
        position = min([head, *others])
        why = unsound.get(name, "it is of another log")
        msg = f"the cursor of policy {policy} is damaged ({why}): it resumes from position {position}"
        warnings.warn(msg, StorageWarning, stacklevel=4)
        mark = self._mark(position, self._digest_at(position))
        self._put(policy, mark)
        return mark

    def seen(self, record: Record) -> None:
        """Take note that all policies have been asked about a record."""
        self.at = (record.position, record.digest)

    def hold(self, policy: str, position: int) -> None:
        """Let a policy's cursor go no further than a position from here on."""
        self._held[policy] = min(position, self._held.get(policy, position))

    def write(self, at: tuple[int, bytes], *, spare: bool = False) -> None:
        """Write the cursors, `spare` not more than once in ten seconds."""
        now = self._store.clock.monotonic_ns()
        if spare and now - self._written_at < SPARE_NS:
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
    return hashlib.sha256("\0".join(sorted(accounts)).encode()).hexdigest()[:12]
