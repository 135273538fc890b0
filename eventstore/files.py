"""Writing files: replaced in one step, synced with the directory that names them, readable by their owner alone."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import threading
import time
import weakref
from typing import TYPE_CHECKING, Self

from eventstore.errors import TargetExists

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRIVATE_FILE, PRIVATE_DIRECTORY = 0o600, 0o700
SHARED_FILE, SHARED_DIRECTORY = 0o660, 0o770
TAKE_ATTEMPTS, TAKE_PAUSE_SECONDS = 4, 0.000_1


class FileLock:
    """A lock that one process at a time holds, by a file. The system releases it when that process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None
        _locks.add(self)

    def take(self) -> bool:
        """Take the lock unless another process holds it; return whether this one holds it."""
        if self._handle is not None:
            return True
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, file_mode(self._path.parent))
        for attempt in range(TAKE_ATTEMPTS):
            # A process that asks `is_locked` holds it for some microseconds, and is not its holder.
            if attempt:
                time.sleep(TAKE_PAUSE_SECONDS * attempt)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._handle = handle
                return True
        os.close(handle)
        return False

    @property
    def is_held(self) -> bool:
        """Whether this process holds it."""
        return self._handle is not None

    @property
    def fence(self) -> None:
        """None: while the process lives it cannot be lost."""

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


_locks: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    # A child that lives on must not hold what its parent held when that was killed.
    for lock in list(_locks):
        lock.release()


os.register_at_fork(after_in_child=_after_fork_in_child)


def is_locked(path: Path) -> bool:
    """Return whether somebody, this process included, holds the lock of a file; raise OSError if it cannot be read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that of several that ask at once none takes another for the holder.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(handle)


class Folder:
    """A directory by its handle: files are written into this very directory, even if it was renamed meanwhile.

    Raises OSError on opening, as for a path that is not a directory.
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
        """Make a directory in this one unless it exists."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, _modes(os.fstat(self.handle))[1], dir_fd=self.handle)

    def sync(self) -> None:
        """Make the names in this directory survive a power cut."""
        os.fsync(self.handle)

    def replace(self, name: str, content: bytes, *, synced: bool = True) -> None:
        """Replace a file in one step. A kill never tears it; an unsynced one may be lost with the power."""
        temporary_path = temporary_name(name)
        handle = self._create(temporary_path, self._mode_of(name))
        try:
            try:
                _write(handle, content)
                if synced:
                    os.fsync(handle)
            finally:
                os.close(handle)
            os.replace(temporary_path, name, src_dir_fd=self.handle, dst_dir_fd=self.handle)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary_path, dir_fd=self.handle)
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
        """Return the mode of the file that is replaced, which its owner may have changed; None for a new file."""
        try:
            found = os.stat(name, dir_fd=self.handle, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return stat.S_IMODE(found.st_mode) if stat.S_ISREG(found.st_mode) else None


def replace(path: Path, content: bytes, *, synced: bool = True) -> None:
    """Replace a file in one step, as `Folder.replace` does."""
    with Folder(path.parent) as folder:
        folder.replace(path.name, content, synced=synced)


def open_regular(path: Path) -> int:
    """Return the handle of a regular file, to read it; raise OSError. A link is not followed, a pipe not waited for."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def read_end(path: Path, length: int) -> tuple[bytes, bool]:
    """Return the end of a regular file, at most so many bytes, and whether that is all of it; raise OSError."""
    with os.fdopen(open_regular(path), "rb") as file:
        start = max(os.fstat(file.fileno()).st_size - length, 0)
        file.seek(start)
        return file.read(length), not start


def append(path: Path, content: bytes) -> None:
    """Append to a file and sync it, with its name where it is new: a kill may tear what is written, nothing else."""
    is_new = not os.path.lexists(path)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(path, flags, file_mode(path.parent))
    try:
        _write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    if is_new:
        sync_directory(path.parent)


def publish(temporary_path: Path, target: Path, *, replacing: bool = False) -> None:
    """Sync a whole file and give it its name; raise TargetExists where something has it, unless it is replaced."""
    handle = os.open(temporary_path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    if replacing:
        temporary_path.replace(target)
    else:
        try:
            # A link, unlike a rename, never takes the place of what came there meanwhile.
            target.hardlink_to(temporary_path)
        except FileExistsError as e:
            msg = f"{target} exists already: name a new place for the copy"
            raise TargetExists(msg) from e
        temporary_path.unlink()
    sync_directory(target.parent)


def publish_directory(temporary_path: Path, target: Path) -> None:
    """Give a directory whose content is synced its name, durably."""
    temporary_path.rename(target)
    sync_directory(target.parent)


def create(path: Path) -> None:
    """Create an empty file for SQLite to fill, unless it exists: SQLite would make it readable by everybody."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    # An existing file is not opened: closing it would drop all locks that this process has on it.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, flags, file_mode(path.parent)))


def file_mode(directory: Path) -> int:
    """Return the mode of a new file: its owner's alone, or its group's too where the directory passes that on."""
    return _modes(directory.stat())[0]


def make_directory(directory: Path) -> None:
    """Make a directory and its missing parents; their names survive a power cut."""
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
            # A directory that this user may not read, or that cannot be synced, was not made for a log.
            if e.errno not in {errno.EACCES, errno.EPERM, errno.EROFS, errno.EINVAL}:
                raise


def temporary_name(name: str) -> str:
    """Return the name of a file being written: no other process and no other thread has the same."""
    return f".{name}.{os.getpid()}.{threading.get_ident()}"


@contextlib.contextmanager
def temporary(target: Path) -> Iterator[Path]:
    """Yield an empty file beside a target, to be filled and given its name; removed at the end if it is still there."""
    temporary_path = target.with_name(temporary_name(target.name))
    temporary_path.unlink(missing_ok=True)
    create(temporary_path)
    try:
        yield temporary_path
    finally:
        temporary_path.unlink(missing_ok=True)


def _modes(directory: os.stat_result) -> tuple[int, int]:
    """Return the modes of a new file and of a new directory in a directory. The umask takes from both."""
    if directory.st_mode & stat.S_ISGID:
        return SHARED_FILE, SHARED_DIRECTORY
    return PRIVATE_FILE, PRIVATE_DIRECTORY


def _write(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]
