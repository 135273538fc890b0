"""The text of plain, gzipped and zipped files, its CSV rows, and exact numbers from cells."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import re
import zipfile
import zlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, cast

from typing_extensions import override

from eventstore.errors import InvalidEvent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BYTES_MAX = 4_000_000_000
"""Default for how far an archive may expand: five million rows of 800 bytes."""
ROW_CHARACTERS_MAX = 1_000_000
BUFFER_BYTES = 1 << 16

# Decimal also accepts underscores, digits of other scripts, NaN and Infinity, which no broker writes.
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?", re.ASCII)


class CellError(ValueError):
    """A cell's text does not fit its column; the message says why, and follows the value."""


def to_decimal(text: str) -> Decimal:
    """Return a number exactly as written; raise CellError for separators, currency signs and anything else."""
    if not _NUMBER.fullmatch(text):
        msg = "is not a plain number: write it like -1234.50, without thousands separators, currency signs or brackets"
        raise CellError(msg)
    return Decimal(text)


@contextlib.contextmanager
def open_text(path: Path, member: str | None = None, *, bytes_max: int = BYTES_MAX) -> Iterator[TextIO]:
    """Open a plain or gzipped file, or a member of a zip, as text; raise InvalidEvent for what cannot be read.

    That includes errors while the text is read: bytes that are not UTF-8, a damaged archive, an unclosed quote, and
    an archive that expands to more than `bytes_max`.
    """
    try:
        with contextlib.ExitStack() as stack:
            raw: io.RawIOBase
            if member is not None:
                raw = stack.enter_context(_Bounded(_opened_member(stack, path, member), path.name, bytes_max))
            elif path.suffix == ".gz":
                raw = stack.enter_context(_Bounded(stack.enter_context(gzip.open(path)), path.name, bytes_max))
            else:
                raw = stack.enter_context(path.open("rb", buffering=0))
            buffered = io.BufferedReader(raw, BUFFER_BYTES)
            yield stack.enter_context(io.TextIOWrapper(buffered, encoding="utf-8-sig", newline=""))
    except (UnicodeDecodeError, EOFError, csv.Error, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as e:
        msg = f"{path.name} cannot be read as a CSV file: {e}. Export it again as CSV in UTF-8"
        raise InvalidEvent(msg) from e


def rows_of(text: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Yield a CSV's rows, each with the number of its last line; a row has at most ROW_CHARACTERS_MAX characters."""
    taken = 0

    def lines() -> Iterator[str]:
        nonlocal taken
        while line := text.readline(ROW_CHARACTERS_MAX + 1):
            taken += len(line)
            if taken > ROW_CHARACTERS_MAX:
                msg = f"a row has more than {ROW_CHARACTERS_MAX:,} characters"
                raise csv.Error(msg)
            yield line

    table = csv.reader(lines(), strict=True)
    for cells in table:
        taken = 0
        yield table.line_num, cells


def _opened_member(stack: contextlib.ExitStack, path: Path, member: str) -> BinaryIO:
    archive = stack.enter_context(zipfile.ZipFile(path))
    try:
        return cast("BinaryIO", stack.enter_context(archive.open(member)))
    except (RuntimeError, KeyError) as e:
        # A password is required, the compression method is unknown, or the name is not in the directory.
        msg = f"{path.name}/{member} cannot be read ({e}): unpack it and import the file itself"
        raise InvalidEvent(msg) from e


class _Bounded(io.RawIOBase):
    """The expanded content of an archive; raises InvalidEvent beyond a number of bytes."""

    def __init__(self, source: BinaryIO | gzip.GzipFile, name: str, bytes_max: int) -> None:
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
