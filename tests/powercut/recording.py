"""File operations of all processes below a directory, recorded in order in one log.

SQLite's files are seen by a VFS over the real one, all others by wrappers of the functions in `os` and `io`. An entry
is written after its operation and before the process continues, so whatever follows from an operation stands after it.
"""

from __future__ import annotations

import builtins
import contextlib
import fcntl
import io
import os
import signal
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec
from typing_extensions import override

from eventstore import Record

VFS_NAME = "recorded"
_LENGTH = struct.Struct("<I")
_JOURNALS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL
# The originals, which the recorder itself keeps using.
_open, _write, _fsync, _io_open = os.open, os.write, os.fsync, io.open


class Create(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A new file, and its name in a directory."""

    name: str
    file: int


class Write(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Bytes written to a file."""

    file: int
    offset: int
    data: bytes


class Truncate(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A file's new size."""

    file: int
    size: int


class Sync(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A file's sync: it covers what stands in the log before the place where it began."""

    file: int
    begun: int


class MakeDirectory(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A new directory."""

    name: str


class Rename(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A name that replaced another."""

    source: str
    target: str


class Link(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A second name of a file."""

    source: str
    target: str


class Unlink(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A name taken away."""

    name: str


class SyncDirectory(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A directory's sync: it covers its entries of before the place where it began."""

    name: str
    begun: int


class Acknowledged(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Records that an append has returned, as (position, id, digest)."""

    records: list[tuple[int, bytes, bytes]]


class Finished(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Something else that was promised to last: what, where, and up to which log position."""

    what: str
    name: str
    position: int


Operation = (
    Create | Write | Truncate | Sync | MakeDirectory | Rename | Link | Unlink | SyncDirectory | Acknowledged | Finished
)


def read(log: Path) -> list[tuple[int, Operation]]:
    """Return the operations of a log, each with the place in the log where it ends."""
    content, decoder = log.read_bytes(), msgspec.msgpack.Decoder(Operation)
    found: list[tuple[int, Operation]] = []
    at = 0
    while at < len(content):
        [length] = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size + length
        found.append((at, decoder.decode(content[at - length : at])))
    return found


class Recorder:
    """Writes the log. `die_at_sync`: the process is killed before its sync of this number, of whatever file it is."""

    def __init__(self, root: Path, log: Path, *, die_at_sync: int = 0) -> None:
        self.root = root.resolve()
        self._log = _open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
        self._names = _open(log.with_suffix(".lock"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
        self._mutex = threading.Lock()
        self._syncs_left = die_at_sync
        self._contents: dict[int, bytes] = {}
        self.vfs: apsw.VFS | None = None
        self.sqlites: set[int] = set()
        """Files that SQLite writes: the VFS sees each of their writes."""

    def record(self, operation: Operation) -> None:
        entry = msgspec.msgpack.encode(operation)
        frame = _LENGTH.pack(len(entry)) + entry
        assert _write(self._log, frame) == len(frame), "no room for the recording"

    def acknowledge(self, records: Iterable[Record]) -> None:
        self.record(Acknowledged([(record.position, record.id, record.digest) for record in records]))

    def begin(self) -> int:
        """Return the place in the log where a sync begins."""
        return os.fstat(self._log).st_size

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold an operation and its entry together: another thread of this process ends it before or after both."""
        with self._mutex:
            yield

    @contextlib.contextmanager
    def naming(self) -> Iterator[None]:
        """Hold a change of names and its entry together, for all processes: who creates a file is known."""
        with self._mutex:
            fcntl.flock(self._names, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._names, fcntl.LOCK_UN)

    def name(self, path: Any, directory: int | None = None) -> str | None:  # noqa: ANN401 - whatever `os` takes
        """Return a path's name below the root, None for one that is not there."""
        if isinstance(path, int):
            path = Path(f"/proc/self/fd/{path}").readlink()
        elif directory is not None:
            path = Path(f"/proc/self/fd/{directory}").readlink() / os.fsdecode(path)
        whole = Path(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100 - links stay links
        whole = whole.parent.resolve() / whole.name
        return str(whole.relative_to(self.root)) if whole.is_relative_to(self.root) else None

    def created(self, name: str) -> None:
        """Record a file that this process has created, not by SQLite."""
        file = (self.root / name).stat().st_ino
        # The number may have been another file's, which is gone.
        self.sqlites.discard(file)
        self._contents.pop(file, None)
        self.record(Create(name, file))

    def look(self, file: int, path: str) -> None:
        """Record what was written, by any call, to a file that SQLite does not manage."""
        if file in self.sqlites:
            return
        with _io_open(path, "rb") as handle:
            content = handle.read()
        if content != self._contents.get(file, b""):
            self._contents[file] = content
            self.record(Truncate(file, 0))
            self.record(Write(file, 0, content))

    def look_by_name(self, name: str) -> None:
        path = self.root / name
        if path.is_file():
            self.look(path.stat().st_ino, str(path))

    def before_sync(self) -> None:
        with self.naming():
            self._syncs_left -= 1
            if not self._syncs_left:
                os.kill(os.getpid(), signal.SIGKILL)


class RecordedVfs(apsw.VFS):
    """SQLite's way to the disk."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.base = apsw.vfs_names()[0]
        super().__init__(VFS_NAME, self.base)

    @override
    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        full = name.filename() if isinstance(name, apsw.URIFilename) else name
        below = None if full is None else self.recorder.name(full)
        if full is None or below is None:
            return apsw.VFSFile(self.base, name, flags)
        with self.recorder.naming():
            is_new = not Path(full).exists()
            file = _RecordedFile(self, name, flags, below)
            if is_new:
                self.recorder.record(Create(below, file.number))
        return file

    @override
    def xDelete(self, filename: str, syncdir: bool) -> None:
        below = self.recorder.name(filename)
        with self.recorder.naming():
            super().xDelete(filename, syncdir)
            if below is not None:
                self.recorder.record(Unlink(below))
                if syncdir:
                    self.recorder.record(SyncDirectory(str(Path(below).parent), self.recorder.begin()))


class _RecordedFile(apsw.VFSFile):
    def __init__(self, vfs: RecordedVfs, name: str | apsw.URIFilename | None, flags: list[int], below: str) -> None:
        self._recorder = vfs.recorder
        self._directory = str(Path(below).parent)
        # SQLite's unix VFS syncs the directory with the first sync of a journal that it may have created.
        self._syncs_directory = bool(flags[0] & _JOURNALS and flags[0] & apsw.SQLITE_OPEN_CREATE)
        super().__init__(vfs.base, name, flags)
        self.number = (vfs.recorder.root / below).stat().st_ino
        vfs.recorder.sqlites.add(self.number)

    @override
    def xWrite(self, data: bytes, offset: int) -> None:
        with self._recorder.writing():
            super().xWrite(data, offset)
            self._recorder.record(Write(self.number, offset, bytes(data)))

    @override
    def xTruncate(self, newsize: int) -> None:
        with self._recorder.writing():
            super().xTruncate(newsize)
            self._recorder.record(Truncate(self.number, newsize))

    @override
    def xSync(self, flags: int) -> None:
        self._recorder.before_sync()
        begun = self._recorder.begin()
        super().xSync(flags)
        self._recorder.record(Sync(self.number, begun))
        if self._syncs_directory:
            self._syncs_directory = False
            self._recorder.record(SyncDirectory(self._directory, begun))


def install(recorder: Recorder) -> None:
    """Record from here on whatever this process does to files, for the rest of its life."""
    recorder.vfs = RecordedVfs(recorder)  # known by its name for as long as it is referenced
    apsw.set_default_vfs(VFS_NAME)
    os.open = _opening(recorder, os.open, lambda flags: bool(flags & os.O_CREAT))
    builtins.open = io.open = _opening(recorder, io.open, lambda mode: any(letter in mode for letter in "wax"))
    for name in ("write", "pwrite", "writev", "ftruncate", "truncate"):
        setattr(os, name, _writing(recorder, getattr(os, name)))
    os.write = _appending(recorder, os.write)
    for name in ("fsync", "fdatasync"):
        setattr(os, name, _syncing(recorder, getattr(os, name)))
    for name, kind in (("rename", Rename), ("replace", Rename), ("link", Link)):
        setattr(os, name, _naming(recorder, getattr(os, name), kind))
    for name in ("unlink", "remove", "rmdir"):
        setattr(os, name, _unlinking(recorder, getattr(os, name)))
    os.mkdir = _making(recorder, os.mkdir)


def _opening(recorder: Recorder, real: Callable[..., Any], creates: Callable[[Any], bool]) -> Callable[..., Any]:
    def opened(path: Any, how: Any = "r", *more: Any, **options: Any) -> Any:  # noqa: ANN401 - as the original
        how = options.pop("mode", how) if isinstance(how, str) else how
        name = recorder.name(path, options.get("dir_fd")) if creates(how) and not isinstance(path, int) else None
        if name is None:
            return real(path, how, *more, **options)
        with recorder.naming():
            is_new = not (recorder.root / name).exists()
            handle = real(path, how, *more, **options)
            if is_new:
                recorder.created(name)
        return handle

    return opened


def _writing(recorder: Recorder, real: Callable[..., Any]) -> Callable[..., Any]:
    def written(file: Any, *more: Any) -> Any:  # noqa: ANN401 - as the original
        name = recorder.name(file)
        if name is None:
            return real(file, *more)
        with recorder.writing():
            answer = real(file, *more)
            recorder.look_by_name(name)
        return answer

    return written


def _appending(recorder: Recorder, real: Callable[[int, Any], int]) -> Callable[[int, Any], int]:
    """Record what is written behind the end of a file that SQLite writes too."""

    def appended(handle: int, data: Any) -> int:  # noqa: ANN401 - as the original
        file = os.fstat(handle).st_ino
        if file not in recorder.sqlites or recorder.name(handle) is None:
            return real(handle, data)
        assert fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_APPEND, "written over what SQLite has written"
        with recorder.writing():
            written = _write(handle, data)
            offset = os.lseek(handle, 0, os.SEEK_CUR) - written
            recorder.record(Write(file, offset, bytes(data[:written])))
        return written

    return appended


def _syncing(recorder: Recorder, real: Callable[..., Any]) -> Callable[..., Any]:
    def synced(file: Any) -> None:  # noqa: ANN401 - a descriptor, or what has one
        number = file if isinstance(file, int) else file.fileno()
        name = recorder.name(number)
        is_file = name is not None and Path(f"/proc/self/fd/{number}").is_file()
        inode = os.fstat(number).st_ino
        if is_file:
            with recorder.writing():
                recorder.look(inode, f"/proc/self/fd/{number}")
        if name is not None:
            recorder.before_sync()
        begun = recorder.begin()
        real(file)
        if is_file:
            recorder.record(Sync(inode, begun))
        elif name is not None:
            recorder.record(SyncDirectory(name, begun))

    return synced


def _naming(recorder: Recorder, real: Callable[..., Any], kind: type[Rename | Link]) -> Callable[..., Any]:
    def named(source: Any, target: Any, **options: Any) -> None:  # noqa: ANN401 - as the original
        old = recorder.name(source, options.get("src_dir_fd"))
        new = recorder.name(target, options.get("dst_dir_fd"))
        with recorder.naming():
            if old is not None:
                recorder.look_by_name(old)
            real(source, target, **options)
            assert (old is None) == (new is None), "moved into or out of what is recorded"
            if old is not None and new is not None:
                recorder.record(kind(old, new))

    return named


def _unlinking(recorder: Recorder, real: Callable[..., Any]) -> Callable[..., Any]:
    def unlinked(path: Any, **options: Any) -> None:  # noqa: ANN401 - as the original
        name = recorder.name(path, options.get("dir_fd"))
        with recorder.naming():
            real(path, **options)
            if name is not None:
                recorder.record(Unlink(name))

    return unlinked


def _making(recorder: Recorder, real: Callable[..., Any]) -> Callable[..., Any]:
    def made(path: Any, *more: Any, **options: Any) -> None:  # noqa: ANN401 - as the original
        name = recorder.name(path, options.get("dir_fd"))
        with recorder.naming():
            real(path, *more, **options)
            if name is not None:
                recorder.record(MakeDirectory(name))

    return made
