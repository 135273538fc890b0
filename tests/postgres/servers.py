"""Real PostgreSQL servers for tests: they may be stopped, killed, paused and restarted on their port."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

import psycopg
from typing_extensions import override

from tests.influx.servers import free_port
from tests.postgres.programs import SUPERUSER, PostgresFailed, Programs

START_SECONDS_MAX: Final = 30.0
STOP_SECONDS_MAX: Final = 20.0
CONNECT_SECONDS: Final = 5
PORTS_TRIED_MAX: Final = 20
POLL_SECONDS: Final = 0.01
# What else is durable is the server's own default; memory is kept small, for as many servers as there are workers.
_SETTINGS: Final = MappingProxyType(
    {
        "listen_addresses": "127.0.0.1",
        "fsync": "on",
        "shared_buffers": "32MB",
        "max_connections": "60",
        # For pg_rewind, and for a standby that returns.
        "wal_log_hints": "on",
        "wal_keep_size": "256MB",
        "wal_retrieve_retry_interval": "100ms",
        # What a standby confirms while it catches up frees no commit that waits: its next word does, after 10 s.
        "wal_receiver_status_interval": "1s",
        # Not in /dev/shm, where a killed server leaves it.
        "dynamic_shared_memory_type": "mmap",
    }
)
_MODES: Final = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class PostgresServer:
    """A server on 127.0.0.1 with its data in `directory`, which ends with the process that started it."""

    def __init__(
        self, programs: Programs, directory: Path, *, name: str = "a", settings: Mapping[str, str] = _SETTINGS
    ) -> None:
        self.programs, self.name, self.port = programs, name, 0
        self.data, self.log = directory / name, directory / f"{name}.log"
        self.settings = {**_SETTINGS, "unix_socket_directories": str(directory), "cluster_name": name, **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @override
    def __repr__(self) -> str:
        state = "running" if self.is_running else "not running"
        return f"<PostgresServer {self.name} {self.programs.version} on {self.port}, {state}>"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        assert self._process is not None, "not running"
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it accepts connections: on a free port, and later on that one again."""
        assert not self.is_running, "it runs"
        if not self.data.exists():
            self.programs.make_data(self.data)
        if self.port:
            assert self._launch(), f"port {self.port} is taken"
            return
        for _ in range(PORTS_TRIED_MAX):
            self.port = free_port()
            if self._launch():
                return
        msg = f"no free port in {PORTS_TRIED_MAX} attempts"
        raise PostgresFailed(msg)

    def stop(self, mode: str = "fast") -> None:
        """Stop it: "fast", "smart" as soon as nobody is connected, or "immediate" as if it had crashed."""
        if self._process is None:
            return
        self._process.send_signal(_MODES[mode])
        self.resume()
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._process = None

    def kill(self) -> None:
        """Kill the postmaster and all its processes at one moment, and return when all are gone."""
        assert self._process is not None, "not running"
        os.kill(self.pid, signal.SIGSTOP)
        handles = [os.pidfd_open(pid) for pid in self.processes()]
        try:
            for handle in handles:
                # What it started is there without a doubt, unless it has ended by itself.
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            self._process.wait(STOP_SECONDS_MAX)
            _await_ends(handles)
        finally:
            for handle in handles:
                os.close(handle)
        self._process = None
        self.resume()

    def pause(self) -> None:
        """Suspend it with all its processes: connections stay open, and nothing answers."""
        assert self._guard is None, "paused before"
        os.kill(self.pid, signal.SIGSTOP)
        self._guard = _suspend(self.processes())

    def resume(self) -> None:
        """Let it continue, if it is paused."""
        if self._guard is not None:
            _continue(self._guard)
            self._guard = None

    @contextlib.contextmanager
    def suspended(self, pid: int) -> Iterator[None]:
        """Suspend one of its processes for a while."""
        assert pid in self.processes()
        guard = _suspend([pid])
        try:
            yield
        finally:
            _continue(guard)

    def processes(self) -> list[int]:
        """Return the ids of the postmaster and of the processes that it has started."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return [self.pid, *map(int, children.split())]

    def url(self, database: str = "postgres", **parameters: str) -> str:
        return url_of([self.port], database, parameters)

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """Connect as the superuser, without a transaction."""
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=CONNECT_SECONDS)

    def execute(self, sql: str | bytes, *arguments: object) -> list[tuple[Any, ...]]:
        """Execute one statement as the superuser, in a connection of its own, and return its rows."""
        with self.connect() as connection:
            cursor = connection.execute(sql, arguments or None)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """End it, whatever its state, and leave nothing of it in the system."""
        if self._process is not None:
            self.kill()
        _remove_shared_memory(self.data / "postmaster.pid")

    def _launch(self) -> bool:
        """Return whether it runs: False if another process has the port."""
        # In the file and not as arguments: pg_rewind starts a server too.
        text = "".join(f"{key} = '{value}'\n" for key, value in self.settings.items())
        (self.data / "postgresql.conf").write_text(text, encoding="utf-8")
        started_at = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            arguments = ("-D", str(self.data), "-p", str(self.port))
            self._process = self.programs.start("postgres", *arguments, output=log.fileno())
        end = time.monotonic() + START_SECONDS_MAX
        while not self._is_ready():
            if self.is_running and time.monotonic() < end:
                time.sleep(POLL_SECONDS)
                continue
            if self.is_running:
                self.kill()
            self._process = None
            text = self.log.read_bytes()[started_at:].decode(errors="replace")
            if "Address already in use" in text:
                return False
            msg = f"{self!r} did not start: {text}"
            raise PostgresFailed(msg)
        return True

    def _is_ready(self) -> bool:
        """Return whether it accepts connections, as pg_ctl finds out: by the last line of the postmaster's file."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() in {"ready", "standby"}


@contextlib.contextmanager
def running(
    version: int, *, settings: Mapping[str, str] = MappingProxyType({}), in_memory: bool = True
) -> Iterator[PostgresServer]:
    """Run a new server, and leave nothing of it."""
    programs = Programs(version)
    directory = programs.directory(in_memory=in_memory)
    server = PostgresServer(programs, directory, settings=settings)
    try:
        server.start()
        yield server
    finally:
        server.close()
        shutil.rmtree(directory)


def url_of(ports: list[int], database: str, parameters: Mapping[str, str]) -> str:
    """Return the URL of servers, one after the other in the order in which a client tries them."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    query = f"?{urlencode(parameters, quote_via=quote)}" if parameters else ""
    return f"postgresql://{SUPERUSER}@{hosts}/{database}{query}"


def _suspend(pids: list[int]) -> subprocess.Popen[bytes]:
    """Suspend processes until its guard reads an end: it does so too when this process has been killed."""
    command = f"read _; kill -CONT {' '.join(map(str, pids))} 2>&-; :"
    guard = subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, start_new_session=True)
    for pid in pids:
        # A process of a server may end by itself.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    return guard


def _continue(guard: subprocess.Popen[bytes]) -> None:
    guard.communicate(timeout=STOP_SECONDS_MAX)


def _await_ends(handles: list[int]) -> None:
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    remaining = set(handles)
    end = time.monotonic() + STOP_SECONDS_MAX
    while remaining:
        assert time.monotonic() < end, f"{len(remaining)} processes do not end"
        for handle, _ in poll.poll(STOP_SECONDS_MAX * 1_000):
            poll.unregister(handle)
            remaining.discard(handle)


def _remove_shared_memory(postmaster: Path) -> None:
    """Remove the System V segment that a killed server leaves: its data directory's lock, a few bytes."""
    if postmaster.exists():
        numbers = postmaster.read_text(encoding="utf-8").split("\n")[6].split()
        if len(numbers) == 2:
            ctypes.CDLL(None).shmctl(int(numbers[1]), 0, None)  # IPC_RMID
