"""A store's side of its mirror: starts the process that ships, says how far it is, and waits for it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

from eventstore import files
from eventstore.config import PREFIX
from eventstore.errors import CorruptJournal, Unavailable
from eventstore.extras import missing
from eventstore.influx import status
from eventstore.influx.status import MirrorStatus
from eventstore.record_errors import NotMirrored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.clock import Clock
    from eventstore.config import InfluxSettings
    from eventstore.journal import Maintenance
    from eventstore.record import Record

POLL_SECONDS = 0.001
STATE_SECONDS = 0.1
WAIT_SECONDS = 30.0
RESPAWN_SECONDS, RESPAWN_SECONDS_MAX = 1.0, 30.0
END_SECONDS = 6.0


class Mirror:
    """How a log gets to InfluxDB, seen from a process that appends. Whoever ships, every process sees the same."""

    def __init__(
        self, journal: Maintenance, directory: Path, clock: Clock, *, settings: InfluxSettings | None = None
    ) -> None:
        self._journal, self._directory, self._clock, self._settings = journal, directory, clock, settings
        self._closing = threading.Event()
        self._spawning = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: threading.Thread | None = None
        self._trouble: str | None = None
        if settings is not None:
            if importlib.util.find_spec("influxdb_client") is None:
                raise ImportError(missing("InfluxDB", "influxdb_client", "influx"))
            if not sys.executable:
                msg = "this Python cannot start another: run `eventstore mirror` beside it, and leave `influx` out"
                raise Unavailable(msg)
            # From now on, every process that has this log open knows that it is mirrored.
            files.create(directory / status.LOCK_FILE)
            self._spawn(settings)
            self._keeper = threading.Thread(target=self._keep, args=(settings,), name="mirror's keeper", daemon=True)
            self._keeper.start()

    @property
    def exists(self) -> bool:
        """Whether this log is mirrored at all: by this store, or by anybody."""
        return self._settings is not None or status.was_mirrored(self._directory)

    @property
    def status(self) -> MirrorStatus:
        """How far InfluxDB has the log, and what the shipping process says of itself."""
        told = status.told(self._directory)
        try:
            position = self._position()
        except CorruptJournal as e:
            position, told = 0, status.Told(0, "halted", str(e))
        head = self._journal.head()
        return MirrorStatus(
            position=position,
            lag_events=max(head - position, 0),
            lag_seconds=status.lag_seconds(self._journal, position, self._clock.now_ns()),
            state="stopped" if told is None else told.state,
            last_error=self._trouble if told is None else told.last_error,
        )

    def wait(self, position: int | None = None, timeout: float = WAIT_SECONDS) -> bool:
        """Wait until InfluxDB has confirmed a position, by default the head as it is now; tell whether it has.

        Returns False when `timeout` seconds have run out, and at once when the mirror is halted, also for a position
        that was confirmed before: what InfluxDB still has is in doubt then. `status.last_error` says why.
        """
        wanted = self._journal.head() if position is None else position
        return self._wait(wanted, timeout) is None

    def confirm(self, records: Sequence[Record]) -> None:
        """Return once InfluxDB has these records; raise NotMirrored, which has them, when it takes too long."""
        timeout = WAIT_SECONDS if self._settings is None else self._settings.wait_seconds
        # Repeated under their keys, records come in the order that was asked for, not in the log's.
        why = self._wait(max(record.position for record in records), timeout)
        if why is not None:
            raise NotMirrored(records, why)

    def _wait(self, wanted: int, timeout: float) -> str | None:
        """Wait for a position; return why it was not reached, None when it was."""
        path = self._directory / "watermarks" / status.CURSOR
        began = looked_at = time.monotonic()
        seen = -1
        while True:
            now = time.monotonic()
            is_over = now - began >= timeout
            # The cursor's file is replaced for each batch: a new one has another time or another inode.
            found, is_reached = _stamp(path), False
            if found != seen or is_over:
                seen = found
                try:
                    is_reached = self._position() >= wanted
                except CorruptJournal as e:
                    return f"the mirror is halted: {e}"
            if is_reached or is_over or now - looked_at >= STATE_SECONDS:
                looked_at = now
                told = status.told(self._directory)
                if told is not None and told.state == "halted":
                    return f"the mirror is halted: {told.last_error}"
                if is_reached:
                    return None
                if is_over:
                    return f"{timeout:g} s were not enough; {_saying(told, self._trouble)}"
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """Let the process ship what is there, while InfluxDB takes it and for a few seconds at most, and end it."""
        with self._spawning:
            is_closed = self._closing.is_set()
            self._closing.set()
            process = self._process
        if process is not None and not is_closed:
            assert process.stdin is not None
            # A word, because a fork of this process may hold the pipe open; its end says the same when this one is
            # killed.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(b"end\n")
                process.stdin.flush()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()  # at any moment: what is on its way is sent again by the next
                process.wait()
        if self._keeper is not None:
            self._keeper.join()

    def _position(self) -> int:
        mark = status.read_cursor(self._directory)
        if mark is None:
            return 0
        if mark.log_id != self._journal.log_id.hex():
            raise CorruptJournal(mark.position, f"the mirror's cursor is of another log ({mark.log_id})")
        if mark.position > (head := self._journal.head()):
            raise CorruptJournal(mark.position, f"the mirror's cursor is past the journal's end, {head}")
        return mark.position

    def _spawn(self, settings: InfluxSettings) -> None:
        # The settings go by a pipe, so that the token stands in no list of processes.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        # The child finds the very package that this process runs, wherever it was imported from.
        root = str(Path(__file__).parent.parent.parent)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH", "")]))
        with self._spawning:
            if self._closing.is_set():
                return
            before = self._process
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "eventstore.influx.ship.child", str(self._directory.absolute())],
                stdin=subprocess.PIPE,
                env=environment,
                # Ctrl-C is for the trading process, which then closes its store.
                start_new_session=True,
            )
            if before is not None and before.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    before.stdin.close()
            assert self._process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it has ended already, and is started again
                self._process.stdin.write(msgspec.json.encode(settings) + b"\n")
                self._process.stdin.flush()

    def _keep(self, settings: InfluxSettings) -> None:
        """Start the process again when it ends before its time, after pauses that grow while it does not stay."""
        pause = RESPAWN_SECONDS
        while not self._closing.is_set():
            assert self._process is not None
            began = time.monotonic()
            code = self._process.wait()
            pause = RESPAWN_SECONDS if time.monotonic() - began > pause * 2 else min(pause * 2, RESPAWN_SECONDS_MAX)
            self._trouble = f"the process that ships ended ({code}), and is started again in {pause:g} s"
            while not self._closing.wait(pause):
                try:
                    self._spawn(settings)
                    break
                except OSError as e:
                    pause = min(pause * 2, RESPAWN_SECONDS_MAX)
                    self._trouble = f"no process can be started that ships ({e.strerror}): it is tried again"

    @override
    def __repr__(self) -> str:
        if self._closing.is_set():
            return f"<Mirror of {self._directory}, closed>"
        found = self.status
        return f"<Mirror {found.state} at {found.position}, {found.lag_events} behind>"


def _stamp(path: Path) -> int:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0
    return hash((found.st_mtime_ns, found.st_ino))


def _saying(told: status.Told | None, trouble: str | None) -> str:
    if told is None:
        return trouble or "no process ships this log now: run `eventstore mirror`"
    return f"the mirror says: {told.state}{': ' + told.last_error if told.last_error else ''}"
