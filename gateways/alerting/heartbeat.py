"""The heartbeat: a URL that is called each minute while all is in order, so that silence is the alarm."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from eventstore import StoreError
from eventstore.clock import NANOSECONDS
from gateways.alerting.conditions import cut
from gateways.alerting.sending import NotDelivered, request
from gateways.alerting.wellness import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore import EventStore

EVERY_NS = 60 * NANOSECONDS
LOCK_FILE = "alerts-heartbeat.lock"
PRICES_LOCK_FILE = "alerts-prices.lock"


class PricesLock:
    """Shows other processes that this one has the prices: then they leave to it what rests on prices."""

    def __init__(self, store: EventStore) -> None:
        self._side = store.side
        self._lock = None if self._side is None else self._side.lock(PRICES_LOCK_FILE)
        self._used = threading.Lock()

    def judges(self, *, has_prices: bool) -> bool:
        """Return whether this process judges what rests on prices: it has them, or no other one does."""
        if self._lock is None or self._side is None:
            return True
        if has_prices:
            # Of several that have them for other accounts, one holds the lock, and each judges its own.
            with self._used:
                self._lock.take()
            return True
        self.release()
        return not self._side.is_locked(PRICES_LOCK_FILE)

    def release(self) -> None:
        if self._lock is not None:
            with self._used:
                self._lock.release()


class Heartbeat:
    """Calls a URL each minute while nothing is wrong; of several processes one, with the prices if any has them.

    A call that fails is not repeated before its time: the receiver misses it then, as it should.
    """

    def __init__(
        self,
        store: EventStore,
        url: str,
        find: Callable[[], list[Problem]],
        *,
        ping: Callable[[str], None] | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.problems: list[Problem] = []
        self._clock, self._url, self._find = store.clock, url, find
        self._ping, self._report = ping or call, report
        self._lock = None if store.side is None else store.side.lock(LOCK_FILE)
        self._called_at: int | None = None
        self._reported: tuple[str, ...] | None = None

    def step(self, *, judges: bool) -> bool:
        """Call the URL if that is due and all is in order; return whether it answered."""
        try:
            if not judges or not (self._lock is None or self._lock.take()):
                self.release()
                return False
        except OSError as e:
            self._note(f"{LOCK_FILE} cannot be locked: {e.strerror}")
            return False
        return self._beat()

    def _beat(self) -> bool:
        now = self._clock.monotonic_ns()
        if self._called_at is not None and now - self._called_at < EVERY_NS:
            return False
        self._called_at = now
        try:
            self.problems = self._find()
        except (StoreError, OSError) as e:
            self.problems = [Problem("journal", str(e))]
        why = cut("; ".join(each.sentence for each in self.problems))
        if not self.problems:
            try:
                self._ping(self._url)
            except NotDelivered as e:
                why = str(e)
        self._note(why)
        return not why

    def release(self) -> None:
        """Leave it to another process."""
        if self._lock is not None:
            self._lock.release()

    def _note(self, why: str) -> None:
        """Report why there is no heartbeat, once for each change of what is wrong."""
        parts = tuple(sorted({each.part for each in self.problems})) or ((why,) if why else ())
        if self._report is not None and parts != self._reported and (parts or self._reported):
            self._report(f"no heartbeat: {why}" if why else "the heartbeat is back")
        self._reported = parts


def call(url: str) -> None:
    """Call the URL of a heartbeat; raise NotDelivered unless it answers 2xx."""
    request(url, None, {})
