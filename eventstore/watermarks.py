"""Watermarks: small files beside a journal that say how far it had come, so that a lost tail is noticed."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import warnings
from typing import TYPE_CHECKING

import msgspec

from eventstore.errors import CorruptJournal, InvalidEvent, StorageWarning
from eventstore.files import Folder
from eventstore.streams import check_name

if TYPE_CHECKING:
    from pathlib import Path

BYTES_MAX = 4_096
CHECKSUM_DIGITS = 16
_LOG_ID = re.compile("[0-9a-f]{32}")
_DIGEST = re.compile("(?:[0-9a-f]{64})?")
_POSITION_MAX = (1 << 63) - 1


class Watermark(msgspec.Struct, frozen=True, omit_defaults=True):
    """At `position` the log with this id had a record with this digest, and a tree with this root (all in hex)."""

    log_id: str
    position: int
    digest: str
    root: str = ""


class _Stored(Watermark, frozen=True, omit_defaults=True):
    """A watermark's file. Those of before the checksum have none."""

    checksum: str = ""


class InvalidWatermark(Exception):
    """A file among the watermarks is torn, or was not written by this project."""


class BlankWatermark(InvalidWatermark):
    """It is zero-filled, as a power cut leaves a file that was not synced."""


class Watermarks:
    """The folder `watermarks` beside a journal: a file for each name.

    The folder above it is held open from the first use on: a log that is moved while it is open keeps its watermarks,
    and none is written into another that has taken its place.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._parent: Folder | None = None
        self._is_directory_synced = False

    def hold(self) -> Watermarks:
        """Open the folder above now, and not only at the first use; return these watermarks."""
        self._opened()
        return self

    def write(self, name: str, mark: Watermark, *, synced: bool = True) -> None:
        """Replace a watermark's file in one step. An unsynced one may be lost with the power, never torn by a kill."""
        check_name("watermark", name)
        parent = self._opened()
        try:
            folder = Folder(self.directory, within=parent)
        except FileNotFoundError:
            parent.make(self.directory.name)
            folder = Folder(self.directory, within=parent)
        with folder:
            folder.replace(name, encoded(mark), synced=synced)
        if synced and not self._is_directory_synced:
            # The folder may be new, or made by a process that was killed before it was synced.
            parent.sync()
            self._is_directory_synced = True

    def read(self, name: str) -> Watermark | None:
        """Return a watermark, None if it is missing or zero-filled; raise CorruptJournal for an invalid one."""
        try:
            with Folder(self.directory, within=self._opened()) as folder:
                return _read(folder, name)
        except (FileNotFoundError, BlankWatermark):
            return None
        except InvalidWatermark as e:
            raise CorruptJournal(0, f"the watermark {self.directory / name} is damaged ({e})") from e

    def stamp(self, name: str) -> object:
        """Return what differs once a watermark has been written again: it is replaced each time."""
        try:
            found = (self.directory / name).stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino

    def all(self) -> dict[str, Watermark]:
        """Return the valid watermarks by name; every other file in the folder is ignored, with a warning."""
        found, invalid = self.examine()
        for name, why in invalid.items():
            msg = f"{name!r} in {self.directory} is not a valid watermark ({why}): ignored"
            warnings.warn(msg, StorageWarning, stacklevel=2)
        return found

    def examine(self) -> tuple[dict[str, Watermark], dict[str, str]]:
        """Return the valid watermarks by name, and why each other file is not one. Nothing is raised."""
        found: dict[str, Watermark] = {}
        invalid: dict[str, str] = {}
        try:
            with Folder(self.directory, within=self._opened()) as folder:
                # A name with a leading dot is one that is being written.
                names = os.listdir(folder.handle)  # noqa: PTH208 - a path may lead elsewhere by now
                for name in sorted(name for name in names if not name.startswith(".")):
                    try:
                        mark = _read(folder, check_name("watermark", name))
                    except FileNotFoundError:
                        continue
                    except (InvalidWatermark, InvalidEvent) as e:
                        invalid[name] = str(e)
                    else:
                        if mark is not None:
                            found[name] = mark
        except FileNotFoundError:
            pass
        except OSError as e:
            invalid[self.directory.name] = _reason(e)
        return found, invalid

    def close(self) -> None:
        if self._parent is not None:
            self._parent.close()
            self._parent = None

    def _opened(self) -> Folder:
        if self._parent is None:
            self._parent = Folder(self.directory.parent)
        return self._parent


def encoded(mark: Watermark) -> bytes:
    """Return a watermark's file."""
    stored = _Stored(mark.log_id, mark.position, mark.digest, mark.root, checksum_of(mark))
    return msgspec.json.encode(stored) + b"\n"


def checksum_of(mark: Watermark) -> str:
    """Return the checksum by which a torn file is found: 16 hex digits of SHA-256 over the members, a space between."""
    text = f"{mark.log_id} {mark.position} {mark.digest} {mark.root}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:CHECKSUM_DIGITS]


def _read(folder: Folder, name: str) -> Watermark | None:
    content = _content(folder, name)
    if not content:
        # What a power cut leaves of a new file: it never held anything.
        return None
    if not content.strip(b"\0"):
        msg = "it is zero-filled"
        raise BlankWatermark(msg)
    try:
        stored = msgspec.json.decode(content, type=_Stored)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise InvalidWatermark(str(e)) from e
    mark = Watermark(stored.log_id, stored.position, stored.digest, stored.root)
    if stored.checksum and stored.checksum != checksum_of(mark):
        msg = "its checksum is not that of its content"
        raise InvalidWatermark(msg)
    return checked(mark)


def checked(mark: Watermark) -> Watermark:
    """Return a mark that was read, wherever it is kept; raise InvalidWatermark for one that no log can have."""
    digests = (mark.digest, mark.root)
    if not (_LOG_ID.fullmatch(mark.log_id) and all(_DIGEST.fullmatch(digest) for digest in digests)):
        msg = "its ids and digests are not hexadecimal of their size"
        raise InvalidWatermark(msg)
    if not 0 <= mark.position <= _POSITION_MAX:
        msg = f"{mark.position} is not a position"
        raise InvalidWatermark(msg)
    return mark


def _content(folder: Folder, name: str) -> bytes:
    """Return a regular, small file's content; nothing else is opened in a way that waits or follows a link."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder.handle)
    except FileNotFoundError:
        raise
    except OSError as e:
        raise InvalidWatermark(_reason(e)) from e
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            msg = "it is not a regular file"
            raise InvalidWatermark(msg)
        if found.st_size > BYTES_MAX:
            msg = f"it has {found.st_size:,} bytes"
            raise InvalidWatermark(msg)
        return os.read(handle, BYTES_MAX)
    except OSError as e:
        raise InvalidWatermark(_reason(e)) from e
    finally:
        os.close(handle)


def _reason(error: OSError) -> str:
    return "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror or str(error)
