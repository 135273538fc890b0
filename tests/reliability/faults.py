"""A disk that fails on request: an apsw VFS that counts, delays and fails writes and syncs."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from pathlib import Path
from typing import Literal

import apsw
from typing_extensions import override

from eventstore import EventStore
from eventstore.journals.sqlite import SqliteJournal

Operation = Literal["sync", "write"]
GATE_SECONDS = 30.0
_numbers = itertools.count(1)


class Interruption(BaseException):
    """Stands for Ctrl-C: an exception from outside, at any line, that is not an error."""


class Disk(apsw.VFS):
    """The disk under one store; whatever is not failed goes to the real one."""

    def __init__(self) -> None:
        self.name = f"disk {next(_numbers)}"
        self.done: Counter[str] = Counter()
        """How many operations of each kind have been asked for, failed ones too; `sync of FILE` too."""
        self.failed = 0
        self.dirty: set[str] = set()
        """Files that were written to and not synced since."""
        self.gate = threading.Event()
        """While cleared, a sync waits."""
        self.gate.set()
        self.at_the_gate = threading.Event()
        self._fail: tuple[Operation, int, bool] | None = None
        super().__init__(self.name, "")

    def fail(self, operation: Operation, number: int = 1, *, forever: bool = False) -> None:
        """Fail the operation of this number, counted from now on: it alone, or with all after it, writes and syncs."""
        self.done.clear()
        self._fail = (operation, number, forever)

    def heal(self) -> None:
        self._fail = None

    def store(self, path: Path) -> EventStore:
        """Open the store that `eventstore.open(path)` opens, on this disk."""
        return EventStore(SqliteJournal(path / "main" / "journal.db", vfs=self.name))

    @override
    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self, name, flags)

    def before(self, operation: Operation, file: str) -> None:
        """Count an operation, and raise if it is to fail."""
        self.done[operation] += 1
        self.done[f"{operation} of {file}"] += 1
        if operation == "sync" and not self.gate.is_set():
            self.at_the_gate.set()
            assert self.gate.wait(GATE_SECONDS)
        if self._fail is not None and self._is_to_fail(operation, *self._fail):
            self.failed += 1
            msg = f"the disk failed at {operation} {self.done[operation]}"
            raise apsw.IOError(msg)

    def _is_to_fail(self, operation: Operation, failing: Operation, number: int, forever: bool) -> bool:
        if forever and self.done[failing] >= number:
            return True
        return operation == failing and self.done[operation] == number


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        full = name.filename() if isinstance(name, apsw.URIFilename) else name or "passing"
        self._name = Path(full).name
        super().__init__("", name, flags)

    @override
    def xSync(self, flags: int) -> None:
        self._disk.before("sync", self._name)
        super().xSync(flags)
        self._disk.dirty.discard(self._name)

    @override
    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.before("write", self._name)
        self._disk.dirty.add(self._name)
        super().xWrite(data, offset)
