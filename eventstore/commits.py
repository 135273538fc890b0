"""Group commit: everything that waits is written with one sync, first come first served, by whoever came first."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from typing_extensions import override

from eventstore.clock import timeout_of
from eventstore.errors import Closed, OutcomeUnknown, Overloaded, StoreError
from eventstore.journal import drafts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.journal import Group, Journal, Outcome
    from eventstore.record import Record

WAITING_EVENTS_MAX = 100_000
COMMIT_EVENTS_MAX = 10_000
WAIT_SECONDS = 5.0
COMMIT_SECONDS_MAX = 60.0
FLUSH_SECONDS = 0.005
GATHER_SECONDS = 0.0003
PAUSE_SECONDS_MAX = 1.0


class Pending:
    """An enqueued append: its records once they are on disk, or the error that kept them out."""

    __slots__ = ("_committer", "_outcome", "_told", "asked", "batches", "events", "latch", "lead", "queued", "thread")

    def __init__(self, committer: Committer, batches: Group, events: int, *, queued: bool) -> None:
        self.batches, self.events, self.queued = batches, events, queued
        self.lead = self.asked = False
        self.thread = threading.get_ident()
        self._told = False
        self._committer = committer
        self._outcome: Outcome | None = None
        # Taken now and released by whoever has news: a latch of its own for each waiter wakes nobody else.
        self.latch = threading.Lock()
        self.latch.acquire()

    def result(self, timeout: float | None = None) -> list[Record]:
        """Wait for the records; raise what kept them out, or Overloaded when `timeout` seconds ran out first."""
        seconds = COMMIT_SECONDS_MAX if timeout is None else timeout_of(timeout)
        if self._outcome is None:
            self._committer.check_process()
            self._committer.flush_soon()
            if not self.wait(seconds):
                msg = f"the events are still waiting after {seconds:g} s: ask again, they are not lost"
                raise Overloaded(msg)
        self.asked = True
        outcome = self._outcome
        if isinstance(outcome, StoreError):
            self._committer.told(self)
            raise outcome
        assert outcome is not None
        return list(outcome)

    @property
    def done(self) -> bool:
        return self._outcome is not None

    @property
    def error(self) -> StoreError | None:
        """What kept the events out, None while waiting and after success."""
        return self._outcome if isinstance(self._outcome, StoreError) else None

    def settle(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def wake(self) -> None:
        """Tell those who wait of the outcome, once."""
        if not self._told:
            self._told = True
            self.latch.release()

    def wait(self, seconds: float) -> bool:
        if not self.latch.acquire(timeout=seconds):
            return False
        if self._outcome is not None:
            # Left open, so that any number of threads may ask.
            self.latch.release()
        return True

    @override
    def __repr__(self) -> str:
        state = "waiting" if self._outcome is None else (self.error and "failed") or "done"
        return f"<Pending {self.events} event(s), {state}>"


class Committer:
    """The one queue of a store. The first to come leads: it writes all that waits, then hands the lead on."""

    def __init__(self, journal: Journal, *, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._journal = journal
        self._process = os.getpid()
        self._flush_seconds = flush_seconds
        self._mutex = threading.Lock()
        self._room = threading.Condition(self._mutex)
        self._queue: deque[Pending] = deque()
        self._waiting = self._flying = 0
        self._leader: int | None = None
        self._taken: list[Pending] = []
        self._crowd = 0
        self._failed: list[Pending] = []
        self._flusher: threading.Thread | None = None
        self._queued = threading.Event()
        self._flush = threading.Event()
        self._closing = False
        self.trouble = ""
        """What the flusher met last, '' when all went well."""

    @property
    def waiting(self) -> int:
        """How many events have been given and are not on disk yet."""
        return self._waiting + self._flying

    def append(self, batches: Group, events: int) -> list[Record]:
        """Write batches with all that waits before them; return their records or raise what kept them out."""
        request = Pending(self, batches, events, queued=False)
        self._run(request)
        return request.result()

    def enqueue(self, batches: Group, events: int) -> Pending:
        """Put batches into the queue and return at once."""
        request = Pending(self, batches, events, queued=True)
        with self._mutex:
            if self._flusher is None and not self._closing:
                self._flusher = self._started()
            self._admit(request)
        self._queued.set()
        return request

    def _started(self) -> threading.Thread:
        flusher = threading.Thread(target=self._flush_forever, name="flusher", daemon=True)
        try:
            flusher.start()
        except RuntimeError as e:
            msg = f"the system gives no thread to write what is enqueued ({e}): nothing was written, append it"
            raise Overloaded(msg) from e
        return flusher

    def flush(self) -> None:
        """Write all that waits; raise the first error of an enqueued append that nobody has asked for."""
        self._run(Pending(self, [], 0, queued=False))
        self._raise_unasked()

    def told(self, request: Pending) -> None:
        """Forget a failed request: whoever gave it knows."""
        with self._mutex:
            if request in self._failed:
                self._failed.remove(request)

    def check_process(self) -> None:
        """Raise Closed in a fork's child, where the threads that would write do not exist."""
        if os.getpid() != self._process:
            msg = "these events were enqueued by the parent process: ask for their result there"
            raise Closed(msg)

    def flush_soon(self) -> None:
        """Have the flusher write now rather than when its pause is over."""
        self._flush.set()

    def close(self) -> None:
        """Write all that waits and take nothing more; raise as `flush` does."""
        with self._mutex:
            if self._closing:
                return
            self._closing = True
        try:
            self._run(Pending(self, [], 0, queued=False), last=True)
            self._raise_unasked()
        finally:
            self._flush.set()
            self._queued.set()
            if self._flusher is not None:
                self._flusher.join()

    def _run(self, request: Pending, *, last: bool = False) -> None:
        """Have a request settled, by this thread or another; whatever interrupts it stops nobody else."""
        try:
            self._enter(request, last=last)
            if not request.lead:
                self._follow(request)
            if request.lead:
                self._lead(request)
        finally:
            # Inline, and not in a function of its own: entering one is a moment for the next interruption.
            interruption: BaseException | None = None
            while True:
                try:
                    self._leave(request)
                    break
                except BaseException as error:  # noqa: BLE001 - raised below
                    interruption = error
            if interruption is not None:
                raise interruption

    def _enter(self, request: Pending, *, last: bool) -> None:
        with self._mutex:
            self._admit(request, last=last)
            # A thread that comes again while it leads was interrupted before it could hand the lead on.
            if self._leader is None or self._leader == request.thread:
                self._leader, request.lead = request.thread, True

    def _admit(self, request: Pending, *, last: bool = False) -> None:
        if self.waiting and self.waiting + request.events > WAITING_EVENTS_MAX:
            fits = self._room.wait_for(lambda: self.waiting + request.events <= WAITING_EVENTS_MAX, WAIT_SECONDS)
            if not fits:
                msg = f"{self.waiting:,} events have waited for the disk for {WAIT_SECONDS} s: nothing was written"
                raise Overloaded(msg)
        # After the wait for room: the store may have been closed in the meantime.
        if self._closing and not last:
            msg = "the store is closed: open it again"
            raise Closed(msg)
        self._queue.append(request)
        self._waiting += request.events

    def _follow(self, request: Pending) -> None:
        if request.wait(COMMIT_SECONDS_MAX) or request.done:
            return
        with self._mutex:
            waits = request in self._queue
        if waits:
            msg = f"the disk took no commit for {COMMIT_SECONDS_MAX} s: nothing was written"
            raise Overloaded(msg)
        ids = [draft.id for draft in drafts_of(request.batches)]
        raise OutcomeUnknown(ids, f"the disk has not answered for {COMMIT_SECONDS_MAX} s")

    def _lead(self, own: Pending) -> None:
        """Write all that waits, until the own request is settled."""
        self._gather()
        while not own.done:
            self._release()
            self._take()
            self._write(self._taken)

    def _leave(self, own: Pending) -> None:
        """Leave nothing behind: not the own request, nobody asleep, and the lead to the first that waits."""
        with self._mutex:
            if not own.done and own in self._queue:
                self._queue.remove(own)
                self._waiting -= own.events
                self._room.notify_all()
        if own.lead:
            self._hand_over(own)

    def _release(self) -> None:
        """Wake those whose requests were taken; one that an interruption left open has an unknown outcome."""
        for request in self._taken:
            if not request.done:
                self._settle([request], [_share(KeyboardInterrupt("the leader was interrupted"), request)])
            if not request.queued:
                request.wake()
        self._flying = 0
        self._taken.clear()

    def _hand_over(self, own: Pending) -> None:
        crowd = len(self._taken)
        # Those who are served go first and the heir last: what they append next then joins the heir's commit.
        self._release()
        with self._mutex:
            # One that an interruption left both taken and queued has been told that its outcome is unknown.
            while self._queue and self._queue[0].done:
                self._queue.popleft()
            self._crowd = crowd + len(self._queue)
            heir = self._heir()
            if heir is None:
                self._leader, own.lead = None, False
            else:
                # No call between these: an interruption finds the lead with this thread, or handed on and told.
                self._leader, own.lead, heir.lead = heir.thread, False, True
                heir.latch.release()

    def _heir(self) -> Pending | None:
        """Return the first that waits in a thread of its own."""
        # No generator: one that is interrupted while it is closed swallows the interruption.
        for request in self._queue:
            if not request.queued:
                return request
        return None

    def _gather(self) -> None:
        """Give as many as met at the last commit a moment to come again, so that they share this one too."""
        if len(self._queue) >= self._crowd:
            return
        deadline = time.monotonic() + GATHER_SECONDS
        while len(self._queue) < self._crowd and time.monotonic() < deadline:
            time.sleep(0.00002)

    def _take(self) -> None:
        taken, events = self._taken, 0
        with self._mutex:
            while self._queue and (not taken or events + self._queue[0].events <= COMMIT_EVENTS_MAX):
                events += self._queue[0].events
                taken.append(self._queue[0])
                self._queue.popleft()
            self._waiting, self._flying = sum([request.events for request in self._queue]), events

    def _write(self, taken: list[Pending]) -> None:
        try:
            outcomes = self._journal.commit([request.batches for request in taken if request.batches])
        except BaseException as error:
            # All of one commit share its fate; what interrupts the leader goes on as it is.
            self._settle(taken, [_share(error, request) for request in taken])
            if not isinstance(error, Exception):
                raise
            return
        answers = iter(outcomes)
        self._settle(taken, [next(answers) if request.batches else [] for request in taken])

    def _settle(self, taken: list[Pending], outcomes: Sequence[Outcome]) -> None:
        for request, outcome in zip(taken, outcomes, strict=True):
            if request.done:
                continue
            request.settle(outcome)
            if request.queued:
                request.wake()
                if isinstance(outcome, StoreError):
                    self._failed.append(request)
        with self._mutex:
            self._flying = 0
            self._room.notify_all()

    def _raise_unasked(self) -> None:
        with self._mutex:
            unasked = [request for request in self._failed if not request.asked]
            self._failed.clear()
        for request in unasked:
            request.asked = True
        if unasked:
            error = unasked[0].error
            assert error is not None
            if len(unasked) > 1:
                error.add_note(f"and {len(unasked) - 1} more enqueued append(s) failed")
            raise error

    def _flush_forever(self) -> None:
        pause = self._flush_seconds
        while not self._closing:
            try:
                self._queued.wait()
                self._queued.clear()
                self._flush.wait(pause)
                self._flush.clear()
                self._run(Pending(self, [], 0, queued=False))
            except BaseException as error:  # noqa: BLE001 - whatever it is, what is enqueued next needs a flusher
                # Every enqueued append that failed holds its own error, which flush() raises. What still waits is
                # tried again, ever more seldom.
                self.trouble = _why(error)
                pause = min(2 * pause + FLUSH_SECONDS, PAUSE_SECONDS_MAX)
                if self._queue:
                    self._queued.set()
            else:
                self.trouble, pause = "", self._flush_seconds


def _share(error: BaseException, request: Pending) -> StoreError:
    """Return what one of those who shared a failed commit is told: of an unknown outcome, its own ids."""
    if isinstance(error, StoreError) and not isinstance(error, OutcomeUnknown):
        return error
    ids = [draft.id for draft in drafts_of(request.batches)]
    outcome = OutcomeUnknown(ids, _why(error.__cause__ or error))
    outcome.__cause__ = error.__cause__ or error
    return outcome


def _why(error: BaseException) -> str:
    """Return what an error says; of a foreign one, which may say nothing, its name too."""
    return str(error) if isinstance(error, StoreError) else f"{type(error).__name__}: {error}"
