"""From a file's text to values: exact numbers, and the text itself out of plain, gzipped and zipped files."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import re
import zipfile
import zlib
from decimal import Decimal
from typing import TYPE_CHECKING, TextIO

from eventstore.errors import InvalidEvent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What Decimal takes beyond it (underscores, digits of other scripts, NaN, Infinity) is no figure of a broker's.
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?", re.ASCII)


class CellError(ValueError):
    """A cell's text is not what its column wants; the message says why, and goes behind the value."""


def to_decimal(text: str) -> Decimal:
    """Return a number exactly as it is written; raise CellError for separators, currency signs and anything else."""
    if not _NUMBER.fullmatch(text):
        msg = "is no plain number: write it like -1234.50, without thousands separators, currency signs or brackets"
        raise CellError(msg)
    return Decimal(text)


@contextlib.contextmanager
def open_text(path: Path, member: str | None = None) -> Iterator[TextIO]:
    """Open a plain or gzipped file, or a zip's member, as text; raise InvalidEvent for what cannot be read so.

    What goes wrong while the text is read counts too: bytes that are no UTF-8, a damaged archive, an open quote.
    """
    try:
        with contextlib.ExitStack() as stack:
            if member is not None:
                archive = stack.enter_context(zipfile.ZipFile(path))
                raw = stack.enter_context(archive.open(member))
                yield stack.enter_context(io.TextIOWrapper(raw, encoding="utf-8-sig", newline=""))
            elif path.suffix == ".gz":
                yield stack.enter_context(gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
            else:
                yield stack.enter_context(path.open(encoding="utf-8-sig", newline=""))
    except (UnicodeDecodeError, EOFError, csv.Error, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as e:
        msg = f"{path.name} cannot be read as text of a table: {e}. Export it again as CSV in UTF-8"
        raise InvalidEvent(msg) from e


def entity(text: str) -> str:
    """Return text as the last part of a stream's name."""
    return text.replace("/", "%2F")
