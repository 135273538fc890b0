"""The mirror as a store sees it: starts the shipping process, reports how far it is, and waits for it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Protocol

import msgspec
from typing_extensions import override

from eventstore import children
from eventstore.config import InfluxSettings
from eventstore.errors import CorruptJournal, Unavailable
from eventstore.extras import missing
from eventstore.influx import status
from eventstore.influx.backoff import Backoff
from eventstore.influx.status import MirrorStatus
from eventstore.record_errors import NotMirrored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.clock import Clock
    from eventstore.journal import Maintenance
    from eventstore.record import Record
    from eventstore.side import LogSide, Marks

STATE_SECONDS = 0.1
WAIT_SECONDS = 30.0
RESTART_SECONDS, RESTART_SECONDS_MAX = 1.0, 30.0
END_SECONDS = 6.0
_NOTHING = object()


SHIPPING_MODULE = "eventstore.influx.ship.child"


class ShippingRequest(msgspec.Struct, frozen=True):
    """What the shipping process reads from its input: what to open, and where to ship it."""

    address: str
    log: str
    settings: InfluxSettings


def ask_to_ship(process: subprocess.Popen[bytes], request: ShippingRequest) -> None:
    """Send a process of SHIPPING_MODULE what to ship; raise BrokenPipeError if it has ended."""
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(request) + b"\n")
    process.stdin.flush()


class Located(Protocol):
    """Says which of the logs that continue one another has a position."""

    def __call__(self, position: int, /) -> tuple[Maintenance, int, LogSide | None]:
        """Return the log, what the position is there, and what lies beside that log; None for the newest one."""


class _WatchedMark:
    """What a wait has seen so far."""

    def __init__(self, marks: Marks, target: int, now: float) -> None:
        self.marks, self.target, self.looked_at = marks, target, now
        self.seen: object = _NOTHING


class Mirror:
    """The mirror of a log, from the side of a process that appends.

    Whichever process ships, on this host or another, all see the same: the state is kept beside the log.
    """

    def __init__(
        self,
        journal: Maintenance,
        side: LogSide,
        clock: Clock,
        *,
        settings: InfluxSettings | None = None,
        located: Located | None = None,
    ) -> None:
        self._journal, self._side, self._clock, self._settings = journal, side, clock, settings
        self._located = located
        self._closing = threading.Event()
        self._process_lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._supervisor: threading.Thread | None = None
        self._process_error: str | None = None
        if settings is not None:
            if importlib.util.find_spec("influxdb_client") is None:
                raise ImportError(missing("InfluxDB", "influxdb_client", "influx"))
            if not sys.executable:
                msg = (
                    "sys.executable is empty, so no process can be started: omit `influx`, and run `eventstore mirror`"
                )
                raise Unavailable(msg)
            # The lock's name tells every process that has this log open that it is mirrored.
            side.register(status.LOCK_FILE)
            self._spawn(settings)
            self._supervisor = threading.Thread(
                target=self._supervise, args=(settings,), name="mirror supervisor", daemon=True
            )
            self._supervisor.start()

    @property
    def exists(self) -> bool:
        """Whether this log is mirrored, by this store or by any other process."""
        return self._settings is not None or status.was_mirrored(self._side)

    @property
    def status(self) -> MirrorStatus:
        """How far the log is mirrored, and the state of the shipping process; after a rotation of this log alone."""
        shipper = status.read_status(self._side)
        try:
            position = self._position()
        except CorruptJournal as e:
            position, shipper = 0, status.ShipperStatus(0, "halted", str(e))
        head = self._journal.head()
        return MirrorStatus(
            position=position,
            lag_events=max(head - position, 0),
            lag_seconds=status.lag_seconds(self._journal, position, self._clock.now_ns()),
            state="stopped" if shipper is None else shipper.state,
            last_error=self._process_error if shipper is None else shipper.last_error,
        )

    def wait(self, position: int | None = None, timeout: float = WAIT_SECONDS) -> bool:
        """Wait until InfluxDB has confirmed a position, by default the current head; return whether it has.

        Returns False after `timeout` seconds, and at once if the mirror is halted, even for a position confirmed
        before: it is uncertain then what InfluxDB still has. `status.last_error` says why. After a rotation a position
        is one of all logs, as records have it, and InfluxDB has to have that log up to there.
        """
        if position is None:
            return self._wait(self._journal.head(), timeout) is None
        return all(mirror._wait(own, timeout) is None for mirror, own in self._targets([position]))  # noqa: SLF001 - its own kind

    def confirm(self, records: Sequence[Record]) -> None:
        """Return once InfluxDB has these records; raise NotMirrored, which carries them, after the timeout."""
        timeout = WAIT_SECONDS if self._settings is None else self._settings.wait_seconds
        for mirror, own in self._targets([record.position for record in records]):
            why = mirror._wait(own, timeout)  # noqa: SLF001 - its own kind
            if why is not None:
                raise NotMirrored(records, why)

    def _targets(self, positions: Sequence[int]) -> list[tuple[Mirror, int]]:
        """Return what is to be waited for: the last of some positions, in each log that has some."""
        if self._located is None:
            # Records that an earlier append with the same keys wrote are in the order of the call, not of the log.
            return [(self, max(positions))]
        last = {}
        for position in sorted(positions):
            journal, own, side = self._located(position)
            last[journal.log_id] = journal, own, side
        return [
            (self if side is None else Mirror(journal, side, self._clock), own) for journal, own, side in last.values()
        ]

    def _wait(self, target: int, timeout: float) -> str | None:
        """Wait for a position; return None when it is reached, else the reason why not."""
        marks = self._side.marks()
        try:
            return self._watch(marks, target, timeout)
        finally:
            marks.close()

    def _watch(self, marks: Marks, target: int, timeout: float) -> str | None:
        self._wake()
        began = time.monotonic()
        watched = _WatchedMark(marks, target, began)
        while True:
            is_over = time.monotonic() - began >= timeout
            try:
                is_known, why = self._look(watched, is_over=is_over)
            except CorruptJournal as e:
                is_known, why = True, f"the mirror is halted: {e}"
            except Unavailable as e:
                # What keeps it may be away with the log, whose records are stored all the same.
                is_known, why = False, str(e)
            if is_known:
                return why
            if is_over:
                return f"not confirmed within {timeout:g} s; {why}"
            time.sleep(self._side.mark_seconds)

    def _look(self, watched: _WatchedMark, *, is_over: bool) -> tuple[bool, str | None]:
        """Return whether it is known how the wait ends, and why not well; None where the position is reached."""
        # Polled often, so it must be cheap: only a cursor that was written again is worth reading.
        found, is_reached = watched.marks.stamp(status.CURSOR), False
        if found != watched.seen or is_over:
            is_reached, watched.seen = self._position() >= watched.target, found
        now = time.monotonic()
        if not (is_reached or is_over or now - watched.looked_at >= STATE_SECONDS):
            return False, None
        watched.looked_at = now
        shipper = status.read_status(self._side)
        if shipper is not None and shipper.state == "halted":
            return True, f"the mirror is halted: {shipper.last_error}"
        return is_reached, None if is_reached else _describe(shipper, self._process_error)

    def _wake(self) -> None:
        """Make the shipping process look for new records now, if this store started it: any other one polls."""
        with self._process_lock:
            if self._process is not None and not self._closing.is_set():
                _write(self._process, b"\n")

    def close(self) -> None:
        """Let the shipping process send what is left, for a few seconds at most, and end it."""
        with self._process_lock:
            is_closed = self._closing.is_set()
            self._closing.set()
            process = self._process
        if process is not None and not is_closed:
            assert process.stdin is not None
            # A line, because a fork of this process may hold the pipe open. If this process is killed, the end of the
            # pipe has the same effect.
            _write(process, b"end\n")
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()  # safe at any moment: the next one sends again what was not confirmed
                process.wait()
        if self._supervisor is not None:
            self._supervisor.join()

    def _position(self) -> int:
        mark = status.read_cursor(self._side)
        if mark is None:
            return 0
        if mark.log_id != self._journal.log_id.hex():
            raise CorruptJournal(mark.position, f"the mirror's cursor belongs to another log ({mark.log_id})")
        if mark.position > (head := self._journal.head()):
            raise CorruptJournal(mark.position, f"the mirror's cursor is past the journal's end, {head}")
        return mark.position

    def _spawn(self, settings: InfluxSettings) -> None:
        with self._process_lock:
            if self._closing.is_set():
                return
            before = self._process
            # What is shown to other users has no password.
            self._process = children.start(SHIPPING_MODULE, str(self._side))
            if before is not None and before.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    before.stdin.close()
            with contextlib.suppress(BrokenPipeError):  # it has ended already: the supervisor restarts it
                ask_to_ship(self._process, ShippingRequest(self._side.address, self._journal.log, settings))
            assert self._process.stdin is not None
            os.set_blocking(self._process.stdin.fileno(), False)

    def _supervise(self, settings: InfluxSettings) -> None:
        """Restart the shipping process whenever it ends by itself, after growing pauses while it ends at once."""
        pauses = Backoff(RESTART_SECONDS, RESTART_SECONDS_MAX)
        pause = pauses.next()
        while not self._closing.is_set():
            assert self._process is not None
            began = time.monotonic()
            code = self._process.wait()
            if time.monotonic() - began > pause * 2:
                pauses.reset()
            pause = pauses.next()
            self._process_error = f"the shipping process ended ({code}); restarting it in {pause:g} s"
            while not self._closing.wait(pause):
                try:
                    self._spawn(settings)
                    break
                except OSError as e:
                    pause = pauses.next()
                    self._process_error = f"the shipping process cannot be started ({e.strerror}); retrying"

    @override
    def __repr__(self) -> str:
        if self._closing.is_set():
            return f"<Mirror of {self._side}, closed>"
        found = self.status
        return f"<Mirror {found.state} at {found.position}, {found.lag_events} behind>"


def _write(process: subprocess.Popen[bytes], line: bytes) -> None:
    """Write a line to a process, unless it has ended or the pipe is full: one that does not read blocks nobody."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, BlockingIOError):
        os.write(process.stdin.fileno(), line)


def _describe(shipper: status.ShipperStatus | None, process_error: str | None) -> str:
    if shipper is None:
        return process_error or "no process ships this log: run `eventstore mirror`"
    return f"the mirror is {shipper.state}{': ' + shipper.last_error if shipper.last_error else ''}"
