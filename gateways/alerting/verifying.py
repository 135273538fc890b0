"""Reads back what was appended since the last look, and compares it with its digests."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from eventstore import CorruptJournal
from eventstore.clock import NANOSECONDS
from eventstore.record import Digester

if TYPE_CHECKING:
    from eventstore import EventStore

EVERY_NS = 60 * NANOSECONDS
RECORDS_MAX = 2_000
"""How many records are read at a time: some 20 ms of one core, which trading in the same process waits for."""


class TailCheck:
    """Checks the newest records once a minute, at most 2,000 of them; `verify` checks all."""

    def __init__(self, store: EventStore) -> None:
        self.fault: CorruptJournal | None = None
        # Each log has numbers and digests of its own, and `verify` reads those of the logs before.
        self._store = store.alone()
        self._offset = 0 if store.chain is None else store.chain.offset
        self._lock = threading.Lock()
        self._checked_at: int | None = None
        self._position = 0
        self._digester = Digester(store.log_id)

    def update(self) -> None:
        """Check what is due; the first fault stays, because nothing here can show that it is gone."""
        with self._lock:
            now = self._store.clock.monotonic_ns()
            if self.fault is not None or (self._checked_at is not None and now - self._checked_at < EVERY_NS):
                return
            self._checked_at = now
            try:
                self._check()
            except CorruptJournal as e:
                self.fault = e

    def note(self, fault: CorruptJournal) -> None:
        """Keep what was found elsewhere."""
        self.fault = self.fault or fault

    def _check(self) -> None:
        head = self._store.head()
        position = max(self._position, head - RECORDS_MAX)
        for record in self._store.read(after=position, until=head):
            position += 1
            if record.position != position:
                raise CorruptJournal(self._offset + position, "the record is missing")
            if not self._digester.is_sound(record):
                reason = "the record does not have its digest: it was changed after it was written"
                raise CorruptJournal(self._offset + position, reason)
        if position < head:
            raise CorruptJournal(self._offset + position + 1, "the record is missing")
        self._position = head
