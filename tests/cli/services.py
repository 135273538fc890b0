"""A command that runs as a service: started as a process, watched by its notifications, ended by SIGTERM."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.cli.command import Ended, plain_environment

WAIT_SECONDS = 60.0
"""Enough for a process to start while other tests take both cores."""


class RunningService:
    """A process that was started, and what it has told its service manager."""

    def __init__(self, process: subprocess.Popen[str], manager: socket.socket) -> None:
        self.process = process
        self.told: list[str] = []
        self._manager = manager

    def wait_until(self, state: str) -> None:
        """Return once the service has told a state; fail if it ends first, or takes too long."""
        deadline = time.monotonic() + WAIT_SECONDS
        while state not in self.told:
            assert self.process.poll() is None, f"it ended before it told {state}: {self.process.communicate()}"
            assert time.monotonic() < deadline, f"it did not tell {state}"
            with contextlib.suppress(TimeoutError):
                self.told.append(self._manager.recv(4_096).decode())

    def end(self, number: int = signal.SIGTERM, *, seconds: float = WAIT_SECONDS) -> Ended:
        """Send the process a signal, and return how it ended."""
        self.process.send_signal(number)
        return self.ended(seconds=seconds)

    def ended(self, *, seconds: float = WAIT_SECONDS) -> Ended:
        """Wait for the process to end by itself."""
        out, err = self.process.communicate(timeout=seconds)
        return Ended(self.process.returncode, out, err)


@contextlib.contextmanager
def started(arguments: Sequence[str], directory: Path, **settings: str) -> Iterator[RunningService]:
    """Run a command in a directory until the block ends; whatever it left behind is killed then."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    # In the abstract namespace: a name in a test's directory is longer than a socket's may be.
    address = f"eventstore-test-{id(manager)}-{directory.name}"
    manager.bind(f"\0{address}")
    manager.settimeout(0.5)
    environment = plain_environment() | {"NOTIFY_SOCKET": f"@{address}"} | settings
    command = [sys.executable, "-m", "eventstore", *arguments]
    with (
        contextlib.closing(manager),
        subprocess.Popen(
            command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            yield RunningService(process, manager)
        finally:
            if process.poll() is None:
                process.kill()
