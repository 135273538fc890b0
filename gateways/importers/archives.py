"""The bytes of a file, plain or unpacked from gzip, Zstandard or a zip, within a bound."""

from __future__ import annotations

import contextlib
import gzip
import io
import struct
import sys
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any, Protocol

from typing_extensions import override

from eventstore.errors import InvalidEvent

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BYTES_MAX = 4_000_000_000
"""Default for how far an archive may expand: five million rows of 800 bytes."""
BUFFER_BYTES = 1 << 16
GZIP, ZIP, ZSTANDARD = b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd"
WORKBOOK = "xl/workbook.xml"
"""The member that makes a zip an Excel workbook."""
MEMBERS_SHOWN = 10
_OTHER_SHEETS = {"xl/workbook.bin": "a binary workbook (.xlsb)", "META-INF/manifest.xml": "an OpenDocument file"}

# What the operating system, a virus scanner or an editor leaves in a zip beside the data.
_ASIDE = ("__MACOSX/", ".", "Thumbs.db", "desktop.ini")
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, zstd.ZstdError)
"""What reading a damaged archive raises."""
_NO_ZIP = (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, struct.error)


class _ByteReader(Protocol):
    def read(self, size: int, /) -> bytes: ...


def first_bytes(path: Path, count: int = 4) -> bytes:
    """Return the first bytes of the file itself, packed or not."""
    with path.open("rb") as file:
        return file.read(count)


def is_packed(path: Path) -> bool:
    """Return whether a file is packed by gzip or Zstandard."""
    return first_bytes(path).startswith((GZIP, ZSTANDARD))


def damaged(file: str, error: Exception) -> InvalidEvent:
    """Return the error of a file that raised one of `DAMAGED`."""
    return InvalidEvent(f"{file} cannot be read: it is damaged or incomplete ({error}). Export or download it again")


def is_workbook(path: Path) -> bool:
    """Return whether a zip is an Excel workbook; False also for one that is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return WORKBOOK in archive.namelist()
    except _NO_ZIP:
        return False


def member_of(path: Path, member: str | None = None) -> str | None:
    """Return the member of a zip to read: the one named, or the only one with data; None if the file is not a zip.

    A workbook is a zip too, but is read as a whole. Raises InvalidEvent for a zip with several files of data, or
    without the member named.
    """
    if first_bytes(path) != ZIP:
        if member is not None:
            msg = f"{path.name} is not a zip, so it has no member {member!r}: leave member out"
            raise InvalidEvent(msg)
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except _NO_ZIP as e:
        msg = f"{path.name} cannot be read as a zip: {e}"
        raise InvalidEvent(msg) from e
    if member is None and WORKBOOK in names:
        return None
    for part, kind in _OTHER_SHEETS.items():
        if part in names:
            msg = f"{path.name} is {kind}: save it as .xlsx, or as CSV"
            raise InvalidEvent(msg)
    return _chosen(path.name, names, member)


@contextlib.contextmanager
def open_bytes(path: Path, member: str | None = None, *, bytes_max: int = BYTES_MAX) -> Iterator[io.BufferedReader]:
    """Open a file's bytes, unpacked; raise InvalidEvent where they expand to more than `bytes_max`.

    A damaged archive raises one of `DAMAGED` while it is read: what that means is for the caller to say.
    """
    with contextlib.ExitStack() as stack:
        yield io.BufferedReader(_opened(stack, path, member, bytes_max), BUFFER_BYTES)


def _opened(stack: contextlib.ExitStack, path: Path, member: str | None, bytes_max: int) -> io.RawIOBase:
    if member is not None:
        return Bounded(_opened_member(stack, path, member), path.name, bytes_max)
    first = first_bytes(path)
    if first.startswith(GZIP):
        return Bounded(stack.enter_context(gzip.open(path)), path.name, bytes_max)
    if first == ZSTANDARD:
        return Bounded(stack.enter_context(zstd.open(path)), path.name, bytes_max)
    return stack.enter_context(path.open("rb", buffering=0))


def _chosen(file: str, names: list[str], member: str | None) -> str:
    data = [name for name in names if not any(part.startswith(_ASIDE) for part in (name, name.rpartition("/")[2]))]
    shown = ", ".join(data[:MEMBERS_SHOWN]) + (", …" if len(data) > MEMBERS_SHOWN else "")
    if member is not None:
        if member not in names:
            msg = f"{file} has no member {member!r}: it has {shown or 'none'}"
            raise InvalidEvent(msg)
        return member
    if len(data) != 1:
        msg = f"{file} has {len(data)} files of data, not one ({shown or 'none'}): name it as member, or unpack it"
        raise InvalidEvent(msg)
    return data[0]


def _opened_member(stack: contextlib.ExitStack, path: Path, member: str) -> IO[bytes]:
    archive = stack.enter_context(zipfile.ZipFile(path))
    try:
        return stack.enter_context(archive.open(member))
    except (RuntimeError, KeyError, NotImplementedError) as e:
        # A password is required, the compression method is unknown, or the name is not in the directory.
        msg = f"{path.name}/{member} cannot be read ({e}): unpack it and import the file itself"
        raise InvalidEvent(msg) from e


class Bounded(io.RawIOBase):
    """The expanded content of an archive; raises InvalidEvent beyond a number of bytes."""

    def __init__(self, source: _ByteReader, name: str, bytes_max: int) -> None:
        super().__init__()
        self._source, self._name, self._max = source, name, bytes_max
        self._taken = 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        data = self._source.read(len(buffer))
        self._taken += len(data)
        if self._taken > self._max:
            msg = (
                f"{self._name} expands to more than {self._max:,} bytes: split it, or allow more with --bytes-max "
                "(in Python: bytes_max=...)"
            )
            raise InvalidEvent(msg)
        buffer[: len(data)] = data
        return len(data)
