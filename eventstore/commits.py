"""Group commit: the first thread to come writes everything that waits with one sync; the others sleep until then.

A sync is the slow part of a commit, and one makes any number of events durable. So the thread that finds
no leader leads: it takes all that waits, commits it, and hands the lead to the first follower still in the queue. No
thread only writes: an append alone is written by its own caller, without a switch of threads.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from typing_extensions import override

from eventstore.clock import timeout_of
from eventstore.errors import Closed, OutcomeUnknown, Overloaded, StoreError
from eventstore.gathering import CommitGathering
from eventstore.journal import drafts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventstore.journal import Commits, Group, Outcome
    from eventstore.record import Record

    Notify = Callable[["Pending"], None] | None

WAITING_EVENTS_MAX = 100_000
COMMIT_EVENTS_MAX = 10_000
WAIT_SECONDS = 5.0
COMMIT_SECONDS_MAX = 60.0
FLUSH_SECONDS = 0.005
PAUSE_SECONDS_MAX = 1.0


class Pending:
    """An enqueued append: its records once they are on disk, or the error that kept them out."""

    __slots__ = (
        "_committer", "_outcome", "_woken", "asked", "batches", "events", "latch", "lead", "notify", "queued", "thread"
    )  # fmt: skip

    def __init__(self, of: Committer, batches: Group, events: int, *, queued: bool, notify: Notify = None) -> None:
        self.batches, self.events, self.queued, self.notify = batches, events, queued, notify
        self.lead = self.asked = self._woken = False
        self._committer, self.thread = of, threading.get_ident()
        self._outcome: Outcome | None = None
        # Acquired here, released by the leader when there is an outcome or the lead to hand over. One latch for each
        # request wakes exactly one thread; a shared condition would wake all of them to look for their own.
        self.latch = threading.Lock()
        self.latch.acquire()

    def result(self, timeout: float | None = None) -> list[Record]:
        """Wait for the records; raise what kept them out, or Overloaded once `timeout` seconds have passed."""
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
            self._committer.forget(self)
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

    def resolve(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def wake(self) -> None:
        """Wake the threads that wait for the outcome, once."""
        if not self._woken:
            self._woken = True
            self.latch.release()
            if self.notify is not None:
                self.notify(self)

    def wait(self, seconds: float) -> bool:
        if not self.latch.acquire(timeout=seconds):
            return False
        if self._outcome is not None:
            # Released again, so that any number of threads may ask for the result.
            self.latch.release()
        return True

    @override
    def __repr__(self) -> str:
        state = "waiting" if self._outcome is None else (self.error and "failed") or "done"
        return f"<Pending {self.events} event(s), {state}>"


class Committer:
    """A store's queue of appends, and which thread leads.

    `_mutex` guards the queue, the counts and the lead, and is never held during a commit. An interruption
    (KeyboardInterrupt) may come between any two bytecodes, so each step leaves a state that `_leave` can finish: no
    request is lost, no thread sleeps forever, and what may be on disk is reported as OutcomeUnknown.
    """

    def __init__(self, journal: Commits, *, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._journal = journal
        self._process, self._flush_seconds = os.getpid(), flush_seconds
        self._mutex = threading.Lock()
        self._room = threading.Condition(self._mutex)
        self._queue: deque[Pending] = deque()
        self._waiting = self._in_flight = 0
        self._gathering = CommitGathering()
        self._leader: int | None = None
        self._current: list[Pending] = []
        self._failed: list[Pending] = []
        self._flusher: threading.Thread | None = None
        self._queued, self._flush, self._closing = threading.Event(), threading.Event(), False
        self.trouble = ""
        """Why the flusher failed last, '' when it did not."""

    @property
    def waiting(self) -> int:
        """How many events have been accepted and are not on disk yet."""
        return self._waiting + self._in_flight

    def write_through(self, wrap: Callable[[Commits], Commits]) -> None:
        """Commit through what is made of the journal: a service times its commits."""
        self._journal = wrap(self._journal)

    def append(self, batches: Group, events: int) -> list[Record]:
        """Write batches with all that waits before them; return their records or raise what kept them out."""
        request = Pending(self, batches, events, queued=False)
        self._run(request)
        return request.result()

    def enqueue(self, batches: Group, events: int, notify: Notify = None) -> Pending:
        """Put batches into the queue and return at once; with `notify`, never wait for room, and call it when done."""
        request = Pending(self, batches, events, queued=True, notify=notify)
        with self._mutex:
            if self._flusher is None and not self._closing:
                self._flusher = self._start_flusher()
            self._admit(request)
        self._queued.set()
        return request

    def _start_flusher(self) -> threading.Thread:
        flusher = threading.Thread(target=self._flush_forever, name="flusher", daemon=True)
        try:
            flusher.start()
        except RuntimeError as e:
            msg = f"no thread can be started to write enqueued events ({e}): nothing was written, use append"
            raise Overloaded(msg) from e
        return flusher

    def flush(self) -> None:
        """Write all that waits; raise the first error of an enqueued append whose result was not asked for."""
        self._run(Pending(self, [], 0, queued=False))
        self._raise_unasked()

    def forget(self, request: Pending) -> None:
        """Forget a failed request whose caller has its error."""
        with self._mutex:
            if request in self._failed:
                self._failed.remove(request)

    def check_process(self) -> None:
        """Raise Closed in a fork's child, where the threads that would write do not exist."""
        if os.getpid() != self._process:
            msg = "these events were enqueued by the parent process: ask for their result there"
            raise Closed(msg)

    def withdraw(self, request: Pending) -> bool:
        """Take a request out of the queue and return True, or False where it is being written or has its outcome."""
        with self._mutex:
            if waits := request in self._queue:
                self._queue.remove(request)
                self._waiting -= request.events
                self._room.notify_all()
            return waits

    def flush_soon(self) -> None:
        """Make the flusher write now, not when its pause is over."""
        self._flush.set()

    def close(self) -> None:
        """Write all that waits and accept nothing more; raise as `flush` does."""
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
        """Wait until a request has its outcome, leading if no thread does. An interruption stops no other thread."""
        try:
            if not self._enter(request, last=last):
                self._follow(request)
            if request.lead:
                self._lead(request)
        finally:
            # Inline on purpose: the call of a helper is a moment at which the next interruption could skip all of this.
            interruption: BaseException | None = None
            while True:
                try:
                    self._leave(request)
                    break
                except BaseException as error:  # noqa: BLE001 - raised below
                    interruption = error
            if interruption is not None:
                raise interruption

    def _enter(self, request: Pending, *, last: bool) -> bool:
        """Put a request into the queue; return whether its thread leads from here on."""
        with self._mutex:
            self._admit(request, last=last)
            # A thread that finds itself the leader was interrupted before it could hand the lead over: it resumes.
            if self._leader is None or self._leader == request.thread:
                self._leader, request.lead = request.thread, True
            # As of now: once the mutex is released a leader may hand the lead over, whose latch is to be acquired.
            return request.lead

    def _admit(self, request: Pending, *, last: bool = False) -> None:
        if self.waiting and self.waiting + request.events > WAITING_EVENTS_MAX:
            seconds = 0.0 if request.notify else WAIT_SECONDS
            if not self._room.wait_for(lambda: self.waiting + request.events <= WAITING_EVENTS_MAX, seconds):
                msg = f"{self.waiting:,} events have waited for the disk for {WAIT_SECONDS} s: nothing was written"
                raise Overloaded(msg)
        # Checked after the wait for room, during which the store may have been closed.
        if self._closing and not last:
            msg = "the store is closed: open it again"
            raise Closed(msg)
        self._queue.append(request)
        self._waiting += request.events
        self._gathering.came(self._queue)

    def _follow(self, request: Pending) -> None:
        if request.wait(COMMIT_SECONDS_MAX) or request.done:
            return
        if self.withdraw(request):
            msg = f"no commit has finished for {COMMIT_SECONDS_MAX} s: nothing was written"
            raise Overloaded(msg)
        ids = [draft.id for draft in drafts_of(request.batches)]
        raise OutcomeUnknown(ids, f"the disk has not answered for {COMMIT_SECONDS_MAX} s")

    def _lead(self, own: Pending) -> None:
        """Write all that waits, until this thread's own request has its outcome."""
        self._gather()
        while not own.done:
            self._release()
            self._take()
            self._write(self._current)

    def _leave(self, own: Pending) -> None:
        """Clean up, also after an interruption: dequeue the own request if it still waits, hand the lead over."""
        if not own.done:
            self.withdraw(own)
        if own.lead:
            self._hand_over(own)

    def _release(self) -> None:
        """Wake the callers of the current group; a request that an interruption left open has an unknown outcome."""
        for request in self._current:
            if not request.done:
                self._resolve([request], [_error_for(KeyboardInterrupt("the leader was interrupted"), request)])
            if not request.queued:
                request.wake()
        self._in_flight = 0
        self._current.clear()

    def _hand_over(self, own: Pending) -> None:
        group_size = len(self._current)
        # Wake the served callers before the next leader: what they append next then joins the next leader's group.
        self._release()
        with self._mutex:
            # An interruption may leave a request both in the current group and queued: it has been resolved above.
            while self._queue and self._queue[0].done:
                self._queue.popleft()
            self._gathering.last_size = group_size + len(self._queue)
            next_leader = self._next_leader()
            if next_leader is None:
                self._leader, own.lead = None, False
            else:
                # Nothing is called between these two lines, so an interruption finds the lead either still here, or
                # handed over and its new leader awake. One assignment changes all three.
                self._leader, own.lead, next_leader.lead = next_leader.thread, False, True
                next_leader.latch.release()

    def _next_leader(self) -> Pending | None:
        """Return the first request whose caller is waiting, so that it can lead: an enqueued one has no thread."""
        # A loop and not next(generator): a generator that is interrupted while being closed swallows the interruption.
        for request in self._queue:
            if not request.queued:
                return request
        return None

    def _gather(self) -> None:
        """Wait a moment for those who shared the last commit, so that they share this one too."""
        self._gathering.wait(self._queue)

    def _take(self) -> None:
        current, events = self._current, 0
        with self._mutex:
            while self._queue and (not current or events + self._queue[0].events <= COMMIT_EVENTS_MAX):
                events += self._queue[0].events
                current.append(self._queue[0])
                self._queue.popleft()
            self._waiting, self._in_flight = sum([request.events for request in self._queue]), events

    def _write(self, current: list[Pending]) -> None:
        began = time.monotonic()
        try:
            outcomes = self._journal.commit([request.batches for request in current if request.batches])
        except BaseException as error:
            # The whole group shares the failure. An interruption of this thread is raised again, after that.
            self._resolve(current, [_error_for(error, request) for request in current])
            if not isinstance(error, Exception):
                raise
            return
        self._gathering.committed(time.monotonic() - began)
        answers = iter(outcomes)
        self._resolve(current, [next(answers) if request.batches else [] for request in current])

    def _resolve(self, current: list[Pending], outcomes: Sequence[Outcome]) -> None:
        for request, outcome in zip(current, outcomes, strict=True):
            if request.done:
                continue
            request.resolve(outcome)
            if request.queued:
                request.wake()
                if isinstance(outcome, StoreError) and not request.asked:
                    self._failed.append(request)
        with self._mutex:
            self._in_flight = 0
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
                # Each enqueued append that failed holds its own error, which flush() raises. What still waits is
                # retried, with growing pauses.
                self.trouble = _reason(error)
                pause = min(2 * pause + FLUSH_SECONDS, PAUSE_SECONDS_MAX)
                if self._queue:
                    self._queued.set()
            else:
                self.trouble, pause = "", self._flush_seconds


def _error_for(error: BaseException, request: Pending) -> StoreError:
    """Return the error of one request of a failed group: for an unknown outcome, one with its own ids."""
    if isinstance(error, StoreError) and not isinstance(error, OutcomeUnknown):
        return error
    kind, why = (type(error), error.why) if isinstance(error, OutcomeUnknown) else (OutcomeUnknown, _reason(error))
    outcome = kind([draft.id for draft in drafts_of(request.batches)], why)
    outcome.__cause__ = error.__cause__ or error
    return outcome


def _reason(error: BaseException) -> str:
    """Return an error's message; for a foreign one, whose message may be empty, its class too."""
    return str(error) if isinstance(error, StoreError) else f"{type(error).__name__}: {error}"
