"""Processes that the library starts beside the program, from this very package."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from eventstore.config import PREFIX
from eventstore.errors import StorageWarning

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTH_BYTES = 8
PARENT_POLL_SECONDS = 0.2


def cores() -> int:
    """Return how many cores this process may use."""
    # Not cpu_count, if possible: a container or taskset may allow it fewer.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start(module: str, *arguments: str, stdout: int | None = None) -> subprocess.Popen[bytes]:
    """Start a module of the library as a process that is asked on stdin; raise OSError if that fails.

    The program's own main module is not run again.
    """
    # Settings go through the pipe: arguments and environment, and so a token, are visible to other processes.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    # The child must import this very package, wherever this process imported it from.
    root = str(Path(__file__).parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=stdout,
        env=environment,
        # Ctrl-C must reach the program only, which then ends this process.
        start_new_session=True,
    )


class AskedProcess:
    """A process that is asked one thing and answers it: a module of the library that calls `answer_once`.

    Not one of `multiprocessing`, which would run the program's main module again, with all that it does.
    """

    def __init__(self, module: str, request: bytes, name: str) -> None:
        """Take the module, what it is asked, and a name for the thread that waits for it."""
        self.error = ""
        """Why there is no answer; '' where none has failed."""
        self._module, self._request, self._name = module, request, name
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._answer = b""

    def start(self) -> None:
        """Start it; where that fails there will be no answer."""
        try:
            self._process = start(self._module, str(os.getpid()), stdout=subprocess.PIPE)
            # A pipe holds little: without a thread each process would wait for the other, and one that never answers
            # would be waited for without end.
            thread = threading.Thread(target=self._converse, args=(self._process,), name=self._name, daemon=True)
            thread.start()
            self._thread = thread
        except (OSError, RuntimeError) as e:
            self.error = f"it cannot be started ({e})"

    def _converse(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(OSError):
            # With its length: a fork of this process may hold the pipe open, so that it does not end.
            asked = len(self._request).to_bytes(LENGTH_BYTES, "big") + self._request
            self._answer, _ = process.communicate(asked)

    def answer(self, wait_seconds: float) -> bytes | None:
        """Return what it has answered once it has ended well, None where it has not within a time."""
        if self._thread is None or self._process is None:
            return None
        self._thread.join(wait_seconds)
        code = self._process.poll()
        if code is None:
            self.error = f"no answer within {wait_seconds:.0f} s"
        elif code:
            self.error = f"it ended with {code}"
        return self._answer if code == 0 else None

    def end(self) -> None:
        """End the process, if it still runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._thread is not None:
            self._thread.join()


def answer_once(parent: int, answer: Callable[[bytes], bytes | None]) -> int:
    """Answer what this process is asked, and return how to end: with 1 where there is no answer.

    The process ends when the one that started it has ended, however that came.
    """
    # First of all: a fork of the parent may hold the pipe open, and what is asked would never come.
    threading.Thread(target=_end_with_parent, args=(parent,), name="watcher", daemon=True).start()
    # Whatever else is printed must not get into the answer.
    answers = os.dup(1)
    os.dup2(2, 1)
    length = int.from_bytes(sys.stdin.buffer.read(LENGTH_BYTES), "big")
    # The process that asks has opened the same log, and has given its warnings.
    warnings.simplefilter("ignore", StorageWarning)
    found = answer(sys.stdin.buffer.read(length))
    with os.fdopen(answers, "wb") as out:
        out.write(found or b"")
    return 1 if found is None else 0


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SECONDS)
    os._exit(1)
