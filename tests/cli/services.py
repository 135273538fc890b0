"""A command that runs as a service: started as a process, watched by its notifications, ended by SIGTERM."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from tests.cli.command import Ended, plain_environment

WAIT_SECONDS = 60.0
"""Enough for a process to start while other tests take both cores."""


class RunningService:
    """A process that was started, and its notifications of the service manager."""

    def __init__(self, process: subprocess.Popen[bytes], manager: socket.socket, said: IO[bytes]) -> None:
        self.process = process
        self.notified: list[str] = []
        self._manager, self._said = manager, said

    def wait_until(self, state: str) -> None:
        """Return once the service has sent a notification; fail if it ends first, or takes too long."""
        for _ in self._attempts(state):
            if state in self.notified:
                return
            with contextlib.suppress(TimeoutError):
                self.notified.append(self._manager.recv(4_096).decode())

    def wait_for(self, text: str) -> None:
        """Return once the service has said something on stderr; fail if it ends first, or takes too long."""
        for _ in self._attempts(text):
            if text in self.stderr():
                return
            time.sleep(0.05)

    def _attempts(self, what: str) -> Iterator[None]:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"it ended before {what}: {self.stderr()}"
            yield
        raise AssertionError(f"there was no {what}: {self.stderr()}")  # noqa: EM102, TRY003 - a test's message

    def stderr(self) -> str:
        """Return what it has said on stderr so far."""
        return os.pread(self._said.fileno(), 1_000_000, 0).decode()

    def end(self, number: int = signal.SIGTERM, *, seconds: float = WAIT_SECONDS) -> Ended:
        """Send the process a signal, and return how it ended."""
        self.process.send_signal(number)
        return self.ended(seconds=seconds)

    def ended(self, *, seconds: float = WAIT_SECONDS) -> Ended:
        """Wait for the process to end by itself."""
        out, _ = self.process.communicate(timeout=seconds)
        return Ended(self.process.returncode, out.decode(), self.stderr())


@contextlib.contextmanager
def started(arguments: Sequence[str], directory: Path, **settings: str) -> Iterator[RunningService]:
    """Run a command in a directory until the block ends; whatever it left behind is killed then."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    # In the abstract namespace: a name in a test's directory is longer than a socket's may be.
    address = f"eventstore-test-{os.getpid()}-{id(manager)}"
    manager.bind(f"\0{address}")
    manager.settimeout(0.5)
    environment = plain_environment() | {"NOTIFY_SOCKET": f"@{address}"} | settings
    command = [sys.executable, "-m", "eventstore", *arguments]
    with (
        contextlib.closing(manager),
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=said) as process,
    ):
        try:
            yield RunningService(process, manager, said)
        finally:
            if process.poll() is None:
                process.kill()
