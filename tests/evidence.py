"""Logs as an auditor receives them: left by a killed process, on a medium without write access."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eventstore import StorageWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
MOVED, HEAD = 6, 10
"""Records in the file itself, and with those that only the write-ahead log has."""

# PR_CAPBSET_DROP of CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, which the next program then begins without.
_OBEY = """
import ctypes, os, sys
for capability in (1, 2) if os.geteuid() == 0 else ():
    if ctypes.CDLL(None, use_errno=True).prctl(24, capability, 0, 0, 0):
        sys.exit(f"capability {capability} cannot be dropped: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[1], sys.argv[1:])
"""

_WRITER = """
import sys
import eventstore
from eventstore.trading import OrderRejected
store = eventstore.open(sys.argv[1])
print("open", flush=True)
for line in sys.stdin:
    for number in range(int(line)):
        store.append("order/ACC1/O-1", OrderRejected(reason=str(store.head() + 1)))
    print(store.head(), flush=True)
"""


def warned_of_tail(*, lacking: bool = True) -> contextlib.AbstractContextManager[object]:
    """Expect a warning, on opening a log, of the tail that it lacks; or none."""
    if lacking:
        return pytest.warns(StorageWarning, match=f"saw position {HEAD}, the journal ends at")
    return contextlib.nullcontext()


class Writer:
    """A process that appends to a log on request, and is killed in the end."""

    def __init__(self, directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert self._answer() == "open"

    def append(self, count: int) -> int:
        """Append records, one by one, and return the head."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return int(self._answer())

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=30)

    def close(self) -> None:
        """Let it end without closing its store."""
        self._process.communicate(timeout=30)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def everything(directory: Path) -> dict[str, tuple[object, ...]]:
    """Return all that a reader may not change: names, modes, owners, sizes, times of change, inodes and content."""
    return {str(path): _looks(path) for path in sorted([directory, *directory.rglob("*")])}


def _looks(path: Path) -> tuple[object, ...]:
    found = path.lstat()
    content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    return found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns, found.st_ino, content


def protect(directory: Path) -> None:
    """Take everybody's right to write to a directory and all that is in it."""
    for path in (*directory.rglob("*"), directory):
        path.chmod(path.stat().st_mode & ~0o222)


def give_back(directory: Path) -> None:
    """Let a directory be removed again."""
    for path in (directory, *_folders(directory)):
        path.chmod(0o755)


def _folders(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if path.is_dir())


def obeying_modes(*command: str) -> list[str]:
    """Return a command that does only what file modes allow, even when the superuser runs it."""
    return [sys.executable, "-I", "-c", _OBEY, *command]
