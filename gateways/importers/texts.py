"""The text of plain and packed files in their encoding, its CSV rows, and exact numbers from cells."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from decimal import Decimal
from typing import TYPE_CHECKING, TextIO

from eventstore.errors import InvalidEvent
from gateways.importers.archives import BUFFER_BYTES, BYTES_MAX, DAMAGED, damaged, open_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROW_CHARACTERS_MAX = 1_000_000

# Decimal also accepts underscores, digits of other scripts, NaN and Infinity, which no broker writes.
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?", re.ASCII)
# The longer marks first: UTF-16's is the beginning of UTF-32's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BREAK = re.compile(r"\r\n?|\n")


class CellError(ValueError):
    """A cell's text does not fit its column; the message says why, and follows the value."""


def to_decimal(text: str) -> Decimal:
    """Return a number exactly as written; raise CellError for separators, currency signs and anything else."""
    if not _NUMBER.fullmatch(text):
        msg = "is not a plain number: write it like -1234.50, without thousands separators, currency signs or brackets"
        raise CellError(msg)
    return Decimal(text)


@contextlib.contextmanager
def open_text(
    path: Path, member: str | None = None, *, bytes_max: int = BYTES_MAX, encoding: str | None = None
) -> Iterator[TextIO]:
    """Open a plain or packed file, or a member of a zip, as text; raise InvalidEvent for what cannot be read.

    That includes errors while the text is read: bytes that are not of the encoding, a damaged archive, an unclosed
    quote, and an archive that expands to more than `bytes_max`. A byte order mark decides the encoding; without one
    it is `encoding`, or UTF-8.
    """
    file = path.name if member is None else f"{path.name}/{member}"
    try:
        with open_bytes(path, member, bytes_max=bytes_max) as raw:
            yield io.TextIOWrapper(raw, encoding=encoding_of(raw.peek(4), encoding, file), newline="")
    except UnicodeError as e:
        line = _undecodable_line(path, member, bytes_max, encoding)
        where = f", line {line}," if line else ""
        msg = (
            f"{file}{where} is not text in {_spoken(encoding)} ({e}): export it again in UTF-8, or name the encoding "
            "that it was written in as read.encoding, for example cp1252 or latin-1"
        )
        raise InvalidEvent(msg) from e
    except csv.Error as e:
        msg = f"{file} cannot be read as a CSV file: {e}. Export it again as CSV in UTF-8"
        raise InvalidEvent(msg) from e
    except DAMAGED as e:
        raise damaged(file, e) from e


def encoding_of(first: bytes, declared: str | None, file: str) -> str:
    """Return the encoding by the mark in a file's first bytes, else the declared one, else UTF-8."""
    for mark, encoding in _MARKS:
        if first.startswith(mark):
            return encoding
    if declared is None:
        return "utf-8"
    try:
        # Some codecs, such as base64, are from bytes to bytes: they are refused here, where they decode something.
        b"a".decode(declared, "ignore")
    except (LookupError, ValueError) as e:
        msg = f"{file} cannot be read in the unknown encoding {declared!r}: name one like utf-8, cp1252 or latin-1"
        raise InvalidEvent(msg) from e
    return declared


def rows_of(text: TextIO, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield a CSV's rows, each with the number of its last line; a row has at most ROW_CHARACTERS_MAX characters."""
    taken = number = 0

    def lines() -> Iterator[str]:
        nonlocal taken, number
        while line := text.readline(ROW_CHARACTERS_MAX + 1):
            taken += len(line)
            number += 1
            if taken > ROW_CHARACTERS_MAX:
                msg = f"a row has more than {ROW_CHARACTERS_MAX:,} characters"
                raise csv.Error(msg)
            if "\0" in line:
                msg = "it has a NUL character, as binary files and UTF-16 without a byte order mark have"
                raise csv.Error(msg)
            yield line

    table = csv.reader(lines(), delimiter=delimiter, strict=True)
    try:
        for cells in table:
            taken = 0
            yield table.line_num, cells
    except csv.Error as e:
        msg = f"line {number}: {e}"
        raise csv.Error(msg) from e


def _spoken(declared: str | None) -> str:
    return "UTF-8" if declared is None else declared


def _undecodable_line(path: Path, member: str | None, bytes_max: int, declared: str | None) -> int:
    """Return the number of the line that cannot be decoded: the text layer decodes ahead of the line that it is at."""
    before, last = 1, ""
    with open_bytes(path, member, bytes_max=bytes_max) as raw:
        decoder = codecs.getincrementaldecoder(encoding_of(raw.peek(4), declared, path.name))()
        try:
            while data := raw.read(BUFFER_BYTES):
                text = last + decoder.decode(data)
                # A carriage return at the end may be the first half of a line break.
                last = "\r" if text.endswith("\r") else ""
                before += len(_BREAK.findall(text.removesuffix("\r")))
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as e:
            valid = e.object[: e.start].decode(e.encoding, "replace")
            return before + len(_BREAK.findall(last + valid))
        except UnicodeError:
            return 0
    return before
