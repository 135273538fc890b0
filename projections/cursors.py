"""Cursors: up to where each policy has seen the log, in small files beside the journal."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from eventstore.clock import NANOSECONDS
from eventstore.watermarks import Watermark, Watermarks

if TYPE_CHECKING:
    from eventstore import EventStore, Record

PREFIX = "policy."


class Cursors:
    """The policies' positions. They are watermarks: one ahead of the log is noticed when the store is opened.

    They are written at most once a second and never synced: who starts from an older one decides the same again,
    which changes nothing. A log in memory keeps none.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._files = None if store.directory is None else Watermarks(store.directory / "watermarks")
        self._lock = threading.Lock()
        self.at = (0, b"")
        """The last record that every policy was asked about: position and digest."""
        self._written_at = 0
        self._written = (0, b"")
        self._positions: dict[str, Watermark | None] = {}
        """What is written of each policy: None is where all have come to, a mark is where it stopped."""

    def begin(self, policy: str, head: int) -> int:
        """Return the position up to which a policy has seen the log; a new one begins at the head, durably."""
        self.at = max(self.at, (head, self._digest_at(head)))
        self._positions[policy] = None
        mark = None if self._files is None else self._files.read(PREFIX + policy)
        if mark is not None:
            return mark.position
        self._put(policy, self._mark(*self.at), synced=True)
        return head

    def seen(self, record: Record) -> None:
        """Take note that all policies have been asked about a record."""
        self.at = (record.position, record.digest)

    def hold(self, policy: str, position: int) -> None:
        """Let a policy's cursor stay at a position from here on."""
        held = None if self._files is None else self._files.read(PREFIX + policy)
        if held is None or held.position < position:
            held = self._mark(position, self._digest_at(position))
        self._positions[policy] = held

    def write(self, at: tuple[int, bytes], *, spare: bool = False) -> None:
        """Write the cursors, `spare` not more than once a second."""
        now = self._store.clock.monotonic_ns()
        if at == self._written or (spare and now - self._written_at < NANOSECONDS):
            return
        with self._lock:
            self._written, self._written_at = at, now
            for policy, held in self._positions.items():
                self._put(policy, held or self._mark(*at), synced=False)

    def _put(self, policy: str, mark: Watermark, *, synced: bool) -> None:
        if self._files is not None:
            self._files.write(PREFIX + policy, mark, synced=synced)

    def _mark(self, position: int, digest: bytes) -> Watermark:
        return Watermark(self._store.log_id.hex(), position, digest.hex())

    def _digest_at(self, position: int) -> bytes:
        if not position:
            return b""
        return next(self._store.read(after=position - 1, limit=1)).digest
