"""A worker: keeps a book current in the background, writes cuts by a policy, and knows how far behind it is."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

from eventstore import EventReader, SystemClock
from eventstore.clock import NANOSECONDS
from projections.cuts.troubles import SnapshotWarning

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from eventstore import Clock
    from projections.book import Book
    from projections.fold import Fold

WAIT_SECONDS = 0.25
CUT_RETRY_SECONDS = 10


class CutPolicy(msgspec.Struct, frozen=True):
    """When to write a cut: after so many events, or after so many seconds if there were any events.

    Fewer events are enough where few accounts have any: `account_events` for each account that has changed. A busy
    account is cut by itself in between.
    """

    events: int = 75_000
    seconds: float = 300.0
    account_events: int = 2_500


class Lag(msgspec.Struct, frozen=True):
    """How far a book is behind its log: in events, and in seconds since the oldest of them was recorded."""

    events: int
    seconds: float


class Worker:
    """Follows a log in a thread of its own and folds it into a book; a view that fails only parks a partition.

    A cut that cannot be written is a SnapshotWarning, and is retried after CUT_RETRY_SECONDS. `published` is called
    with the book after each refresh, in the worker's thread.
    """

    def __init__(
        self,
        reader: EventReader,
        book: Book,
        *,
        policy: CutPolicy | None = None,
        published: Callable[[Book], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.book = book
        self.error: BaseException | None = None
        """What ended the worker; None while it runs."""
        self._reader, self._policy, self._published = reader, policy or CutPolicy(), published
        self._clock = clock or getattr(reader, "clock", None) or SystemClock()
        self._stop = threading.Event()
        self._moved = threading.Condition()
        self._cut_at, self._cut_time = book.position, self._clock.monotonic_ns()
        self._next_cut_time = self._cut_time
        self._thread = threading.Thread(target=self._run, name=f"worker of {reader.log}", daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the thread and write a last cut; raise the error that ended the worker, if any."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self.error is not None:
            raise self.error
        self.book.snapshot()

    def wait(self, position: int, timeout: float) -> bool:
        """Wait at most `timeout` seconds until the book has reached a position, and return whether it has."""
        # Real time: a clock that is set by hand, as in a test, would wait forever.
        deadline = time.monotonic() + timeout
        while self.book.position < position and self.error is None:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            with self._moved:
                self._moved.wait(min(left, WAIT_SECONDS))
        return self.book.position >= position

    @property
    def lag(self) -> Lag:
        """How far the book is behind the log now."""
        log_position = self.book.position
        behind = self._reader.head() - log_position
        if behind <= 0:
            return Lag(0, 0.0)
        oldest = next(self._reader.read(after=log_position, limit=1))
        return Lag(behind, max(self._clock.now_ns() - oldest.recorded_at, 0) / 1e9)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                # Not past the next cut: what is folded at once has none in between, however long it is.
                due = self._events_due()
                left = due - (self.book.position - self._cut_at)
                at_most = left if left > 0 else due
                if self._clock.monotonic_ns() >= self._next_cut_time:
                    at_most = min(at_most, self._fold.own_events.left)
                if self.book.refresh(at_most=at_most):
                    self._publish()
                self._snapshot_if_due()
                self._reader.wait(self.book.position, WAIT_SECONDS)
        except Exception as error:  # noqa: BLE001 - not swallowed: wait() returns, and stop() raises it
            self.error = error
            # Those who wait would not learn otherwise that the position will never come.
            with self._moved:
                self._moved.notify_all()

    def _publish(self) -> None:
        with self._moved:
            self._moved.notify_all()
        if self._published is not None:
            self._published(self.book)

    def _events_due(self) -> int:
        """Return after how many events a cut is written, by the accounts that have changed until now."""
        changed = max(self._fold.changed_partitions, 1)
        return max(min(self._policy.events, self._policy.account_events * changed), 1)

    @property
    def _fold(self) -> Fold:
        _, fold, *_ = self.book.parts
        return fold

    def _snapshot_if_due(self) -> None:
        events = self.book.position - self._cut_at
        now = self._clock.monotonic_ns()
        waited = (now - self._cut_time) / 1e9
        is_due = events >= self._events_due() or (events and waited >= self._policy.seconds)
        if now < self._next_cut_time:
            return
        # Of many accounts each has few events between two cuts of all; a busy one is cut in between.
        accounts = None if is_due else self._fold.own_events.due()
        if accounts == []:
            return
        if not self._snapshot(accounts):
            # Not at once: while its file is locked each attempt takes seconds, and this thread does not fold then.
            self._next_cut_time = self._clock.monotonic_ns() + CUT_RETRY_SECONDS * NANOSECONDS
        elif accounts is None:
            self._cut_at, self._cut_time = self.book.position, self._clock.monotonic_ns()

    def _snapshot(self, accounts: list[str] | None = None) -> bool:
        try:
            return self.book.snapshot(accounts=accounts)
        except SnapshotWarning:
            # Where warnings are errors: a problem with a cache must not end the worker; `repr` still shows it.
            return False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @override
    def __repr__(self) -> str:
        if self.error is not None:
            return f"<Worker of {self._reader.log} ended at {self.book.position}: {self.error}>"
        head, trouble = self._reader.head(), self.book.snapshot_trouble
        behind = f"at {self.book.position} of {head}, {head - self.book.position} behind"
        return f"<Worker of {self._reader.log} {behind}{f', {trouble}' if trouble else ''}>"
