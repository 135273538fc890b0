"""Positions without a usable price, as far as the log says so: for a process that gets no quotes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from eventstore import StoreError
from eventstore.clock import wall_ns
from eventstore.trading import QuotesWanted
from gateways.alerting.sent import position_before
from projections.risk.limits.unpriced import WANTED_EVERY_NS

if TYPE_CHECKING:
    from eventstore import EventStore, Record

GAP_NS = 2 * WANTED_EVERY_NS
ACCOUNTS_MAX = 10_000


class _Asked(msgspec.Struct):
    """That quotes of these symbols were asked for, from when to when without a gap, by the log's time."""

    symbols: tuple[str, ...]
    first: int
    last: int
    seen_at: int


class WantedQuotes:
    """Follows the requests for quotes in a log: one a minute as long as a position has no usable price."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._position: int | None = None
        self._asked: dict[str, _Asked] = {}

    def update(self) -> None:
        """Read what was recorded since the last call."""
        with self._lock:
            if self._position is None:
                self._position = position_before(self._store, 2 * GAP_NS)
            head = self._store.head()
            for record in self._store.read(after=self._position, until=head, types=QuotesWanted):
                self._note(record)
            self._position = head

    def lasting(self, account: str, least: int) -> tuple[str, ...]:
        """Return the symbols that quotes have been asked for over at least so long (ns), and still are."""
        found = self._asked.get(account)
        if found is None:
            return ()
        # How long ago goes by the monotonic clock: one that is set must not keep it up, nor end it.
        is_over = self._store.clock.monotonic_ns() - found.seen_at > GAP_NS
        return () if is_over or found.last - found.first < least else found.symbols

    def _note(self, record: Record) -> None:
        try:
            event = record.event
        except StoreError:
            return
        assert isinstance(event, QuotesWanted), "only these were read"
        known, at = self._asked.get(record.account), record.recorded_at
        is_same = known is not None and at - known.last <= GAP_NS
        first = known.first if known is not None and is_same else at
        age = min(max(wall_ns(self._store.clock) - at, 0), GAP_NS)
        seen_at = self._store.clock.monotonic_ns() - age
        if record.account in self._asked or len(self._asked) < ACCOUNTS_MAX:
            self._asked[record.account] = _Asked(event.symbols, first, at, seen_at)
