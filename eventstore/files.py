"""Writing files: replaced in one step, synced with the directory that names them, readable by their owner alone."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
import weakref
from typing import TYPE_CHECKING, Self

from eventstore.errors import TargetExists

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRIVATE_FILE, PRIVATE_DIRECTORY = 0o600, 0o700
SHARED_FILE, SHARED_DIRECTORY = 0o660, 0o770


class Folder:
    """A directory by its handle: what is written goes into this very directory, wherever its name leads by now.

    Raises OSError on opening, as for a path that is no directory.
    """

    def __init__(self, path: Path, *, within: Folder | None = None) -> None:
        place = path if within is None else path.name
        parent = None if within is None else within.handle
        self.handle: int = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
        self.close = weakref.finalize(self, os.close, self.handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def make(self, name: str) -> None:
        """Make a directory in this one unless it is there."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, _modes(os.fstat(self.handle))[1], dir_fd=self.handle)

    def sync(self) -> None:
        """Make the names in this directory survive a power cut."""
        os.fsync(self.handle)

    def replace(self, name: str, content: bytes, *, synced: bool = True) -> None:
        """Replace a file in one step. A kill never tears it; an unsynced one may be lost with the power."""
        passing = temporary_name(name)
        handle = self._create(passing, self._mode_of(name))
        try:
            try:
                _write(handle, content)
                if synced:
                    os.fsync(handle)
            finally:
                os.close(handle)
            os.replace(passing, name, src_dir_fd=self.handle, dst_dir_fd=self.handle)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(passing, dir_fd=self.handle)
            raise
        if synced:
            self.sync()

    def _create(self, name: str, mode: int | None) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(name, flags, _modes(os.fstat(self.handle))[0], dir_fd=self.handle)
        if mode is not None:
            os.fchmod(handle, mode)
        return handle

    def _mode_of(self, name: str) -> int | None:
        """Return the mode of the file that is replaced, which somebody may have chosen; None where none is."""
        try:
            found = os.stat(name, dir_fd=self.handle, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return stat.S_IMODE(found.st_mode) if stat.S_ISREG(found.st_mode) else None


def replace(path: Path, content: bytes, *, synced: bool = True) -> None:
    """Replace a file in one step, as `Folder.replace` does."""
    with Folder(path.parent) as folder:
        folder.replace(path.name, content, synced=synced)


def publish(passing: Path, target: Path, *, replacing: bool = False) -> None:
    """Sync a whole file and give it its name; raise TargetExists where something has it, unless it is replaced."""
    handle = os.open(passing, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    if replacing:
        passing.replace(target)
    else:
        try:
            # A link, unlike a rename, never takes the place of what came there meanwhile.
            target.hardlink_to(passing)
        except FileExistsError as e:
            msg = f"{target} exists already: name a new place for the copy"
            raise TargetExists(msg) from e
        passing.unlink()
    sync_directory(target.parent)


def create(path: Path) -> None:
    """Create an empty file for SQLite to fill, unless one is there: it would choose a mode that everybody may read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    # Not opened where it is there: closing a file drops all of this process's locks on it.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, flags, file_mode(path.parent)))


def file_mode(directory: Path) -> int:
    """Return the mode of a new file: its owner's alone, or its group's too where the directory passes that on."""
    return _modes(directory.stat())[0]


def make_directory(directory: Path) -> None:
    """Make a directory and those above it unless they are there; their names survive a power cut."""
    missing = []
    for place in (directory.absolute(), *directory.absolute().parents):
        if place.exists():
            break
        missing.append(place)
    for place in reversed(missing):
        with contextlib.suppress(FileExistsError):
            place.mkdir(_modes(place.parent.stat())[1])
        sync_directory(place.parent)


def sync_directory(directory: Path) -> None:
    """Make a new name in a directory survive a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_ancestors(directory: Path) -> None:
    """Make a directory's name and those above it survive a power cut, also those made by a process that was killed."""
    for place in directory.absolute().parents:
        try:
            sync_directory(place)
        except OSError as e:
            # Where this user may not read, or nothing can be synced, nobody has made a directory for a log.
            if e.errno not in {errno.EACCES, errno.EPERM, errno.EROFS, errno.EINVAL}:
                raise


def temporary_name(name: str) -> str:
    """Return the name of a file being written: no other process and no other thread has the same."""
    return f".{name}.{os.getpid()}.{threading.get_ident()}"


@contextlib.contextmanager
def temporary(target: Path) -> Iterator[Path]:
    """Yield an empty file beside a target, to be filled and given its name; removed at the end if it is still there."""
    passing = target.with_name(temporary_name(target.name))
    passing.unlink(missing_ok=True)
    create(passing)
    try:
        yield passing
    finally:
        passing.unlink(missing_ok=True)


def _modes(directory: os.stat_result) -> tuple[int, int]:
    """Return the modes of a new file and of a new directory in a directory. The umask takes from both."""
    if directory.st_mode & stat.S_ISGID:
        return SHARED_FILE, SHARED_DIRECTORY
    return PRIVATE_FILE, PRIVATE_DIRECTORY


def _write(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]
