"""A service in a process of its own, as `eventstore serve` starts it: killed, and started again on the same port."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import eventstore

START_SECONDS = 60


class ServedProcess:
    """The process of a service; `port` stays the same from the first start on. What it logs is in DIRECTORY.log."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.port = directory, 0
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the service, and return once it answers."""
        command = [sys.executable, "-m", "eventstore", "serve", "--data", str(self.directory), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"NO_COLOR": "1"})
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], START_SECONDS)[0], "the service does not start"
        line = self.process.stdout.readline()
        found = re.search(r":(\d+)\s*$", line)
        assert found is not None, line
        self.port = int(found[1])

    def kill(self) -> None:
        """Kill the service as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask the service to end, and return its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.send_signal(number)
        code = self.process.wait(START_SECONDS)
        self.process.stdout.close()
        self.process = None
        return code


@contextlib.contextmanager
def served_process(directory: Path) -> Iterator[ServedProcess]:
    """Serve a directory, in which a log is created if there is none."""
    eventstore.open(directory).close()
    served = ServedProcess(directory)
    served.start()
    try:
        yield served
    finally:
        if served.process is not None:
            served.kill()
