"""The shipper: sends the records of one journal to InfluxDB, in order, and retries until InfluxDB confirms them."""

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
from eventstore.influx.ship.batches import BatchEncoder
from eventstore.influx.ship.conditions import Preconditions
from eventstore.influx.ship.history import History
from eventstore.influx.ship.lock import ShippingLock
from eventstore.influx.ship.pace import Pace
from eventstore.influx.ship.sending import CircuitBreaker, first_missing, send
from eventstore.journal import Replicable
from eventstore.proofs.verify import tree_at
from eventstore.watermarks import Watermark

if TYPE_CHECKING:
    from eventstore.config import InfluxSettings
    from eventstore.influx.ship.batches import EncodedBatch
    from eventstore.journal import Maintenance
    from eventstore.side import LogSide

LOCK_SECONDS = 0.1
RECHECK_SECONDS = 30.0
CHECK_SECONDS = 10
LOSS_REPORTED_SECONDS = 3_600
WRITE_CHECK_SECONDS = 30
IDLE_SECONDS = 0.05
ENCODING_NS_MAX = 1_000_000
SECOND = NANOSECONDS


class Shipper:
    """Ships one journal until it is stopped, whatever happens to InfluxDB.

    At most three batches are in memory: one being sent, one ready, one being encoded. The cursor moves only after a
    batch was confirmed and read back, so a kill at any moment costs at most sending it again, with the same bytes.
    """

    def __init__(
        self, journal: Maintenance, side: LogSide, settings: InfluxSettings, *, clock: Clock | None = None
    ) -> None:
        self._journal, self._side, self._settings = journal, side, settings
        self._clock = clock or SystemClock()
        self._lock = ShippingLock(side)
        self._stop = threading.Event()
        self._drain_until: int | None = None
        self._breaker = CircuitBreaker()
        self._client: Client | None = None
        self._status: status.ShipperStatus | None = None
        self._position = 0
        self._synced_at = self._heartbeat_at = self._checked_at = 0
        self._pace, self._next_at = Pace(journal, self._clock, settings.catch_up_per_second), 0
        self._symbols, self._root = settings.symbols, ""
        # The head in the last heartbeat if the mirror had caught up with it, else -1: no heartbeat repeats that.
        self._heartbeat_head = -1
        # Held open: if another log takes the place of this directory, it must not get this log's cursor.
        self._marks = self._lock.marks()
        self._preconditions = Preconditions(journal, side, self._clock)
        self._history = History(journal, self._marks)
        # Whether the next check counts all confirmed points, not only the newest.
        self._count_all = True
        self._written_at = 0
        self._loss: str | None = None
        self._loss_at = 0
        self._encoder: BatchEncoder | None = None
        self._batch: EncodedBatch | None = None

    @property
    def position(self) -> int:
        """The last position that InfluxDB has confirmed."""
        return self._position

    def stop(self, *, drain_seconds: float = 0.0) -> None:
        """Stop; with `drain_seconds`, first ship what is left, for at most so long and while InfluxDB accepts it."""
        if drain_seconds:
            self._drain_until = self._clock.monotonic_ns() + int(drain_seconds * SECOND)
        else:
            self._stop.set()

    def wake(self) -> None:
        """Look for new records now: somebody has appended them and waits. Any thread may call this."""
        encoder = self._encoder
        if encoder is not None:
            encoder.wake()

    def run(self, *, once: bool = False, patience_seconds: float | None = None) -> int:
        """Ship until stopped, or with `once` until caught up; return the position that InfluxDB has confirmed.

        With `patience_seconds` it raises the last error once nothing has been shipped for so long. Without, it retries
        indefinitely, and its status names the error.
        """
        try:
            if not self._take_lock(once=once, patience_seconds=patience_seconds):
                return self._position
            self._report("shipping")
            self._ship(once=once, patience_seconds=patience_seconds)
        except CorruptJournal as e:
            self._report("halted", str(e))
            raise
        finally:
            if self._client is not None:
                self._client.close()
            self._lock.release()
        return self._position

    # The loop

    def _ship(self, *, once: bool, patience_seconds: float | None) -> None:
        give_up_at = self._deadline(patience_seconds)
        try:
            while not self._stop.is_set():
                try:
                    self._keep_lock()
                    if self._step():
                        give_up_at = self._deadline(patience_seconds)
                except (Unavailable, CorruptJournal) as e:
                    if (once or patience_seconds is not None) and _is_permanent(e):
                        raise
                    if self._drain_until is not None or self._past(give_up_at):
                        if patience_seconds is not None:
                            raise
                        return
                    self._pause(e, give_up_at)
                    continue
                if self._is_done(once=once):
                    self._write_last_heartbeat()
                    return
        finally:
            self._discard_batches()

    def _keep_lock(self) -> None:
        """Take the lock again where it was lost, as after a pause; raise Unavailable while another process ships.

        Two that ship at once do no harm, since both send the same bytes. Only the one with the lock writes the mark.
        """
        if self._lock.is_held:
            return
        # What the other process has shipped meanwhile, or found to be lost, is unknown.
        self._discard_batches()
        self._checked_at, self._count_all, self._status = 0, True, None
        if not self._lock.take():
            msg = f"another process ships {self._side} since this one lost its lock"
            raise Unavailable(self._lock.unreachable or msg)

    def _step(self) -> bool:
        """Send the next batch, if there is one within IDLE_SECONDS; return whether one was sent."""
        client = self._checked_client()
        self._wait_for_turn()
        batch = self._batch = self._batch or self._next()
        if batch is not None:
            self._plan_next_turn(batch)
            send(client, batch, self._breaker)
            self._read_back(client, batch)
            self._written_at = self._clock.monotonic_ns()
        else:
            self._check_writing(client)
        # Not before the write: a server that answers queries may still refuse to store.
        self._report("shipping", self._loss)
        if batch is not None:
            self._confirm(batch)
            self._batch = None
        self._write_heartbeat(client)
        return batch is not None

    def _read_back(self, client: Client, batch: EncodedBatch) -> None:
        """Raise Unavailable unless InfluxDB has the last event of a batch, and the one before its first.

        The response to a write proves neither: a bucket that was recreated, or restored from an older copy, accepts
        the next batch just the same, without those before it.
        """
        missing = first_missing(client, batch.keys)
        if missing:
            msg = (
                f"InfluxDB lacks position {missing} of log {self._journal.log!r}, whose write it had confirmed: "
                "nothing more counts as mirrored until the missing points have been shipped again"
            )
            raise Unavailable(msg)

    def _check_writing(self, client: Client) -> None:
        """Raise Refused if the token may no longer write; checked while there is nothing to ship."""
        now = self._clock.monotonic_ns()
        if not self._written_at or now - self._written_at >= WRITE_CHECK_SECONDS * SECOND:
            client.check_writing()
            self._written_at = now

    def _next(self) -> EncodedBatch | None:
        if self._encoder is None:
            self._encoder = BatchEncoder(self._journal, tree_at(self._journal, self._position), symbols=self._symbols)
        try:
            return self._encoder.next(IDLE_SECONDS)
        except BaseException:
            # Its thread has ended: the next attempt needs a new one.
            self._discard_batches()
            raise

    def _discard_batches(self) -> None:
        """Discard the encoded batches: they do not follow the position to resume from."""
        encoder, self._encoder, self._batch = self._encoder, None, None
        if encoder is not None:
            encoder.close()

    def _wait_for_turn(self) -> None:
        while not self._past(self._next_at) and not self._stop.is_set() and self._drain_until is None:
            self._stop.wait(min((self._next_at - self._clock.monotonic_ns()) / SECOND, LOCK_SECONDS))

    def _plan_next_turn(self, batch: EncodedBatch) -> None:
        # From when it was due, unless it came late: encoding it must not delay each turn after it.
        began = max(self._next_at, self._clock.monotonic_ns() - ENCODING_NS_MAX)
        self._next_at = began + int(self._pace.seconds(len(batch.lines)) * SECOND)
        assert self._encoder is not None  # it encoded this batch
        self._encoder.records_max = self._pace.records_max

    def _is_done(self, *, once: bool) -> bool:
        if self._drain_until is not None and self._past(self._drain_until):
            return True
        return (once or self._drain_until is not None) and self._position >= self._journal.head()

    def _pause(self, error: Unavailable | CorruptJournal, give_up_at: int | None) -> None:
        seconds = self._breaker.record_failure(getattr(error, "retry_after", 0.0))
        if isinstance(error, Refused | CorruptJournal):
            # Only a change outside can fix this; shipping then resumes without a restart. What happened to older points
            # in the meantime is unknown, so all are counted. A new client reads the token's file again.
            self._count_all = True
            self._report("halted", str(error))
            seconds = RECHECK_SECONDS
            assert self._client is not None  # it raised the error
            self._client.close()
            self._client = None
        else:
            self._report("waiting", str(error))
        # The preconditions are checked again after each failure.
        self._checked_at = self._written_at = 0
        deadline = self._clock.monotonic_ns() + int(seconds * SECOND)
        if give_up_at is not None:
            deadline = min(deadline, give_up_at)
        while not self._stop.is_set() and self._drain_until is None and not self._past(deadline):
            self._stop.wait(min(LOCK_SECONDS, seconds))

    def _deadline(self, seconds: float | None) -> int | None:
        return None if seconds is None else self._clock.monotonic_ns() + int(seconds * SECOND)

    def _past(self, deadline: int | None) -> bool:
        return deadline is not None and self._clock.monotonic_ns() >= deadline

    def _take_lock(self, *, once: bool, patience_seconds: float | None) -> bool:
        """Wait until no other process ships this journal; return False if that is no longer necessary.

        With `once`, that is when the other process has caught up; otherwise when this one is stopped.
        """
        deadline = self._deadline(patience_seconds)
        while not self._lock.take():
            position = self._lock.shipped()
            if position > self._position:
                self._position, deadline = position, self._deadline(patience_seconds)
            if self._stop.is_set() or self._drain_until is not None:
                return False
            other = self._lock.holder()
            if once and other is not None and other.state == "halted":
                raise Refused(other.last_error or "the shipping process is halted")
            if once and position >= self._journal.head() and (other is None or other.state == "shipping"):
                return False
            if self._past(deadline):
                msg = f"another process ships {self._side}, but has not advanced from position {position}"
                raise Unavailable(self._lock.unreachable or msg)
            self._stop.wait(self._side.lock_seconds)
        return True

    # Checks before the first write, and while it ships

    def _checked_client(self) -> Client:
        """Return a client whose bucket belongs to this log: checked at the start, after each failure, and each 10 s."""
        now = self._clock.monotonic_ns()
        if self._client is not None and self._checked_at and now - self._checked_at < CHECK_SECONDS * SECOND:
            return self._client
        if self._client is None:
            self._client = Client(self._settings)
        client = self._client
        found = self._preconditions.check(client)
        self._count_all |= found.is_replaced
        claim = found.claim
        claimed_symbols = claim is not None and bool(claim.symbols)
        # The claim comes after the history was compared: a bucket with other records under this name is never claimed.
        position = self._resume(client, is_new=claim is None, symbols=claimed_symbols)
        symbols = bool((claim or self._preconditions.claim(client, self._stop)).symbols)
        if (position, symbols) != (self._position, self._symbols):
            self._discard_batches()
            self._position, self._symbols, self._root = position, symbols, ""
        self._checked_at = now
        return client

    def _resume(self, client: Client, *, is_new: bool, symbols: bool) -> int:
        routine = bool(self._checked_at) and not self._count_all
        if routine and not is_new and not self._history.scrub(client, self._position):
            self._count_all = True
            msg = f"InfluxDB lacks points of log {self._journal.log} that it had confirmed: counting all points"
            raise Unavailable(msg)
        found = self._history.resume(
            client,
            is_new=is_new,
            routine=routine,
            symbols=symbols,
            count_all=self._count_all,
            progress=self._report_repair,
        )
        self._count_all = False
        now = self._clock.monotonic_ns()
        if found.loss is not None:
            self._loss, self._loss_at = found.loss, now
        elif now - self._loss_at > LOSS_REPORTED_SECONDS * SECOND:
            self._loss = None
        return found.position

    def _report_repair(self, position: int, of: int) -> None:
        """Report how far a repair is; raise Unavailable if the shipper is stopped in the middle of it.

        The next process completes it: the cursor is still before the first lost point.
        """
        if self._stop.is_set() or self._past(self._drain_until):
            msg = f"stopped at position {position} of {of} while shipping lost points again"
            raise Unavailable(msg)
        self._report("shipping", f"shipping points again that InfluxDB had lost: at position {position:,} of {of:,}")

    # After a batch

    def _confirm(self, batch: EncodedBatch) -> None:
        """Advance the cursor: InfluxDB has confirmed this batch."""
        self._breaker.record_success()
        self._position, self._root = batch.position, batch.root
        now = self._clock.monotonic_ns()
        # Synced once a second only: if a power cut takes the cursor back, the points after it are counted, not resent.
        synced = now - self._synced_at >= SECOND
        mark = Watermark(self._journal.log_id.hex(), batch.position, batch.digest, batch.root)
        self._marks.write(status.CURSOR, mark, synced=synced)
        if synced:
            self._synced_at = now

    def _write_heartbeat(self, client: Client) -> None:
        """Write how far the mirror is, once a second while something changes: for charts, and for a restore."""
        now = self._clock.monotonic_ns()
        head = self._journal.head()
        if now - self._heartbeat_at < SECOND or (self._heartbeat_head == head == self._position):
            return
        if isinstance(self._journal, Replicable):
            # A restore takes this head for acknowledged.
            self._journal.barrier()
        lag = status.lag_seconds(self._journal, self._position, self._clock.now_ns())
        fields = f"position={self._position}i,head={head}i,lag_events={head - self._position}i,lag_seconds={lag!r}"
        if self._root:
            # A restored journal is verified against these roots.
            fields += f',tree="{self._position}:{self._root}"'
        client.write(f"{MIRROR},log={self._journal.log} {fields} {self._clock.now_ns()}".encode())
        self._heartbeat_at, self._heartbeat_head = now, head if head == self._position else -1

    def _write_last_heartbeat(self) -> None:
        """Write the final position at once, for charts and a restore; not retried if InfluxDB is unavailable."""
        self._heartbeat_at = -SECOND
        assert self._client is not None  # it has just confirmed the last batch
        with contextlib.suppress(Unavailable):
            self._write_heartbeat(self._client)

    def _report(self, state: status.State, error: str | None = None) -> None:
        found = status.ShipperStatus(os.getpid(), state, error)
        # Of a log that another process ships now, the status is that process's.
        if found != self._status and self._lock.is_held:
            self._status = None
            # What keeps it may be away with the log. It is written with the next report that gets through.
            with contextlib.suppress(Unavailable):
                status.write_status(self._side, found)
                self._status = found

    @override
    def __repr__(self) -> str:
        return f"<Shipper of {self._journal.log} at {self._position}, {self._status.state if self._status else 'idle'}>"


def _is_permanent(error: Unavailable | CorruptJournal) -> bool:
    """Return whether a retry is pointless. A rejected write is not: it may be accepted later."""
    return isinstance(error, CorruptJournal) or (isinstance(error, Refused) and error.status not in REJECTED)
