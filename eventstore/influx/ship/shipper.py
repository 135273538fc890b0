"""The shipper: carries one journal's records to InfluxDB, in order, until InfluxDB has them."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from typing_extensions import override

from eventstore.clock import NANOSECONDS, Clock, SystemClock
from eventstore.errors import CorruptJournal, Refused, Unavailable
from eventstore.influx import status
from eventstore.influx.client import REJECTED, Client
from eventstore.influx.points import MIRROR
from eventstore.influx.ship.batches import Batches
from eventstore.influx.ship.conditions import Conditions
from eventstore.influx.ship.history import History
from eventstore.influx.ship.pace import Pace
from eventstore.influx.ship.sending import Breaker, send
from eventstore.proofs.verify import tree_at
from eventstore.watermarks import Watermark, Watermarks

if TYPE_CHECKING:
    from pathlib import Path

    from eventstore.config import InfluxSettings
    from eventstore.influx.ship.batches import Batch
    from eventstore.journal import Maintenance

LOCK_SECONDS = 0.1
RECHECK_SECONDS = 30.0
CHECK_SECONDS = 10
LOST_TOLD_SECONDS = 3_600
PROBE_SECONDS = 30
IDLE_SECONDS = 0.05
SECOND = NANOSECONDS


class Shipper:
    """Ships for as long as it is let, whatever InfluxDB does meanwhile; at most two batches are in memory."""

    def __init__(
        self, journal: Maintenance, directory: Path, settings: InfluxSettings, *, clock: Clock | None = None
    ) -> None:
        self._journal, self._directory, self._settings = journal, directory, settings
        self._clock = clock or SystemClock()
        self._lock = status.MirrorLock(directory)
        self._stop = threading.Event()
        self._drain_until: int | None = None
        self._breaker = Breaker()
        self._client: Client | None = None
        self._told: status.Told | None = None
        self._position = 0
        self._synced_at = self._beat_at = self._checked_at = 0
        self._pace, self._next_at = Pace(journal, self._clock, settings.catch_up_per_second), 0
        self._symbols, self._root = settings.symbols, ""
        self._beaten = -1
        # Held, so that a log that has taken this one's place gets no cursor of it.
        self._marks = Watermarks(directory / "watermarks").hold()
        self._conditions = Conditions(journal, directory, self._clock)
        self._history = History(journal, directory)
        # Whether all that was confirmed is counted at the next check, and not only what came last.
        self._is_doubtful = True
        self._written_at = 0
        self._lost: str | None = None
        self._lost_at = 0
        self._batches: Batches | None = None
        self._batch: Batch | None = None

    @property
    def position(self) -> int:
        """The last position that InfluxDB has confirmed."""
        return self._position

    def stop(self, *, drain_seconds: float = 0.0) -> None:
        """End; with `drain_seconds`, ship first what is there, while InfluxDB takes it, for so long at the most."""
        if drain_seconds:
            self._drain_until = self._clock.monotonic_ns() + int(drain_seconds * SECOND)
        else:
            self._stop.set()

    def run(self, *, once: bool = False, patience_seconds: float | None = None) -> int:
        """Ship until stopped, or with `once` until caught up; return the position that InfluxDB has.

        With `patience_seconds` it gives up, and raises what keeps it, when nothing was shipped for so long; without
        it goes on trying, and its status says why.
        """
        try:
            if not self._take_lock(once=once, patience_seconds=patience_seconds):
                return self._position
            self._tell("shipping")
            self._ship(once=once, patience_seconds=patience_seconds)
        except CorruptJournal as e:
            self._tell("halted", str(e))
            raise
        finally:
            if self._client is not None:
                self._client.close()
            self._lock.release()
        return self._position

    # The loop

    def _ship(self, *, once: bool, patience_seconds: float | None) -> None:
        gave_up_at = self._deadline(patience_seconds)
        try:
            while not self._stop.is_set():
                try:
                    if self._step():
                        gave_up_at = self._deadline(patience_seconds)
                except (Unavailable, CorruptJournal) as e:
                    if (once or patience_seconds is not None) and _is_definite(e):
                        raise
                    if self._drain_until is not None or self._past(gave_up_at):
                        if patience_seconds is not None:
                            raise
                        return
                    self._pause(e, gave_up_at)
                    continue
                if self._is_done(once=once):
                    self._beat_last()
                    return
        finally:
            self._drop()

    def _step(self) -> bool:
        """Send the next batch, if there is one by and by; tell whether InfluxDB took it."""
        client = self._ready()
        batch = self._batch = self._batch or self._next()
        if batch is not None:
            self._keep_pace(batch)
            send(client, batch, self._breaker)
            self._look(client, batch)
            self._written_at = self._clock.monotonic_ns()
        else:
            self._probe(client)
        # Only now: a server that answers questions may still refuse what is sent.
        self._tell("shipping", self._lost)
        if batch is not None:
            self._confirm(batch)
            self._batch = None
        self._beat(client)
        return batch is not None

    def _look(self, client: Client, batch: Batch) -> None:
        """Raise Unavailable unless a batch is there, and what was shipped before it.

        The answer to a write proves neither: a bucket that was made anew, or an older copy, takes what comes next too.
        """
        positions = [position for position in (batch.first - 1, batch.position) if position]
        missing = self._history.lacking(client, positions, symbols=self._symbols)
        if missing:
            msg = (
                f"InfluxDB does not have position {missing} of log {self._journal.log!r}, whose write it had "
                "confirmed: nothing more counts as mirrored until what is missing was shipped again"
            )
            raise Unavailable(msg)

    def _probe(self, client: Client) -> None:
        """See that the token may still write, where nothing has been written for a while."""
        now = self._clock.monotonic_ns()
        if not self._written_at or now - self._written_at >= PROBE_SECONDS * SECOND:
            client.check_writing()
            self._written_at = now

    def _next(self) -> Batch | None:
        if self._batches is None:
            self._batches = Batches(self._journal, tree_at(self._journal, self._position), symbols=self._symbols)
        try:
            return self._batches.next(IDLE_SECONDS)
        except BaseException:
            # Its thread has ended: who goes on needs another.
            self._drop()
            raise

    def _drop(self) -> None:
        """Forget what is made ready but not sent: it is not what comes next any more."""
        batches, self._batches, self._batch = self._batches, None, None
        if batches is not None:
            batches.close()

    def _keep_pace(self, batch: Batch) -> None:
        while not self._past(self._next_at) and not self._stop.is_set() and self._drain_until is None:
            self._stop.wait(min((self._next_at - self._clock.monotonic_ns()) / SECOND, LOCK_SECONDS))
        self._next_at = self._clock.monotonic_ns() + int(self._pace.seconds(len(batch.lines)) * SECOND)
        assert self._batches is not None  # they made this one
        self._batches.records_max = self._pace.records_max

    def _is_done(self, *, once: bool) -> bool:
        if self._drain_until is not None and self._past(self._drain_until):
            return True
        return (once or self._drain_until is not None) and self._position >= self._journal.head()

    def _pause(self, error: Unavailable | CorruptJournal, gave_up_at: int | None) -> None:
        seconds = self._breaker.pause(getattr(error, "retry_after", 0.0))
        if isinstance(error, Refused | CorruptJournal):
            # Somebody has to put it right; when that is done, shipping resumes without a restart. What happened to
            # older points in the meantime nobody knows.
            self._is_doubtful = True
            self._tell("halted", str(error))
            seconds = RECHECK_SECONDS
            assert self._client is not None  # who refuses was asked by it
            self._client.close()
            self._client = None
        else:
            self._tell("waiting", str(error))
        self._checked_at = self._written_at = 0
        deadline = self._clock.monotonic_ns() + int(seconds * SECOND)
        if gave_up_at is not None:
            deadline = min(deadline, gave_up_at)
        while not self._stop.is_set() and self._drain_until is None and not self._past(deadline):
            self._stop.wait(min(LOCK_SECONDS, seconds))

    def _deadline(self, seconds: float | None) -> int | None:
        return None if seconds is None else self._clock.monotonic_ns() + int(seconds * SECOND)

    def _past(self, deadline: int | None) -> bool:
        return deadline is not None and self._clock.monotonic_ns() >= deadline

    def _take_lock(self, *, once: bool, patience_seconds: float | None) -> bool:
        """Wait until nobody else ships this journal; False where that is not needed any more."""
        deadline = self._deadline(patience_seconds)
        while not self._lock.take():
            position = self._seen()
            if position > self._position:
                self._position, deadline = position, self._deadline(patience_seconds)
            if self._stop.is_set() or self._drain_until is not None:
                return False
            told = status.told(self._directory)
            if once and told is not None and told.state == "halted":
                raise Refused(told.last_error or "the process that ships is halted")
            if once and position >= self._journal.head() and (told is None or told.state == "shipping"):
                return False
            if self._past(deadline):
                msg = f"another process ships {self._directory}, and has not moved on from position {position}"
                raise Unavailable(msg)
            self._stop.wait(LOCK_SECONDS)
        return True

    def _seen(self) -> int:
        """Return how far another process has come, as far as its cursor can be read."""
        try:
            found = status.read_cursor(self._directory)
        except CorruptJournal:  # for the process that ships to tell
            return 0
        return 0 if found is None else found.position

    # What must hold before the first write, and for as long as it ships

    def _ready(self) -> Client:
        """Return a client of a bucket that is this log's, checked at the start, after every failure and each 10 s."""
        now = self._clock.monotonic_ns()
        if self._client is not None and self._checked_at and now - self._checked_at < CHECK_SECONDS * SECOND:
            return self._client
        if self._client is None:
            self._client = Client(self._settings)
        client = self._client
        found = self._conditions.check(client)
        self._is_doubtful |= found.is_replaced
        claim = found.claim
        known = claim is not None and bool(claim.symbols)
        position = self._resume(client, is_new=claim is None, symbols=known)
        symbols = bool((claim or self._conditions.claim(client, self._stop)).symbols)
        if (position, symbols) != (self._position, self._symbols):
            self._drop()
            self._position, self._symbols, self._root = position, symbols, ""
        self._checked_at = now
        return client

    def _resume(self, client: Client, *, is_new: bool, symbols: bool) -> int:
        often = bool(self._checked_at) and not self._is_doubtful
        if often and not is_new and not self._history.scrub(client, self._position):
            self._is_doubtful = True
            msg = f"InfluxDB lacks points of log {self._journal.log} that it had confirmed: all of them are counted"
            raise Unavailable(msg)
        held = self._history.resume(
            client, is_new=is_new, often=often, symbols=symbols, whole=self._is_doubtful, step=self._go_on
        )
        self._is_doubtful = False
        now = self._clock.monotonic_ns()
        if held.told is not None:
            self._lost, self._lost_at = held.told, now
        elif now - self._lost_at > LOST_TOLD_SECONDS * SECOND:
            self._lost = None
        return held.position

    def _go_on(self, position: int, of: int) -> None:
        """Raise Unavailable where shipping is to end amid a repair: the next process completes it."""
        if self._stop.is_set() or self._past(self._drain_until):
            msg = f"ended at position {position} of {of}, up to which missing points are shipped again"
            raise Unavailable(msg)
        self._tell("shipping", f"points that InfluxDB had lost are shipped again: at position {position:,} of {of:,}")

    # What was done

    def _confirm(self, batch: Batch) -> None:
        """Move the cursor on: InfluxDB has answered that it has these."""
        self._breaker.closed()
        self._position, self._root = batch.position, batch.root
        now = self._clock.monotonic_ns()
        synced = now - self._synced_at >= SECOND
        mark = Watermark(self._journal.log_id.hex(), batch.position, batch.digest, batch.root)
        self._marks.write(status.CURSOR, mark, synced=synced)
        if synced:
            self._synced_at = now

    def _beat(self, client: Client) -> None:
        """Leave a point each second of activity that says how far the mirror is: for charts, and for a restore."""
        now = self._clock.monotonic_ns()
        head = self._journal.head()
        if now - self._beat_at < SECOND or (self._beaten == head == self._position):
            return
        lag = status.lag_seconds(self._journal, self._position, self._clock.now_ns())
        fields = f"position={self._position}i,head={head}i,lag_events={head - self._position}i,lag_seconds={lag!r}"
        if self._root:
            # A restored journal is proved against these.
            fields += f',tree="{self._position}:{self._root}"'
        client.write(f"{MIRROR},log={self._journal.log} {fields} {self._clock.now_ns()}".encode())
        self._beat_at, self._beaten = now, head if head == self._position else -1

    def _beat_last(self) -> None:
        """Leave the last word, which a chart and a restore go by, as far as InfluxDB takes it."""
        self._beat_at = -SECOND
        assert self._client is not None  # whose answer was the last
        with contextlib.suppress(Unavailable):
            self._beat(self._client)

    def _tell(self, state: status.State, error: str | None = None) -> None:
        told = status.Told(os.getpid(), state, error)
        if told != self._told:
            status.tell(self._directory, told)
            self._told = told

    @override
    def __repr__(self) -> str:
        return f"<Shipper of {self._journal.log} at {self._position}, {self._told.state if self._told else 'idle'}>"


def _is_definite(error: Unavailable | CorruptJournal) -> bool:
    """Tell whether waiting changes nothing. Bytes that are rejected may be taken in smaller parts, or later."""
    return isinstance(error, CorruptJournal) or (isinstance(error, Refused) and error.status not in REJECTED)
