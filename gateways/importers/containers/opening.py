"""A file's container, recognised by its content, and its tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from eventstore.errors import InvalidEvent
from gateways.importers.archives import BYTES_MAX, ZIP, is_workbook
from gateways.importers.containers.content import FileContent
from gateways.importers.containers.csv_tables import open_csv
from gateways.importers.containers.html_tables import open_html
from gateways.importers.containers.json_tables import open_json, open_jsonl
from gateways.importers.texts import encoding_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from gateways.importers.containers.table import Read, Table

HEAD_BYTES = 1 << 16
_SQLITE = b"SQLite format 3\0"
# Old Excel workbooks, and new ones with a password, are OLE files.
_FOREIGN = {
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook, or one with a password: save it as .xlsx without one, or as CSV",
    b"%PDF": "is a PDF: export the trades as CSV",
    b"PAR1": "is a Parquet file: convert it to CSV",
    b"\x1f\x8b": "is packed twice: unpack it",
    b"\x28\xb5\x2f\xfd": "is packed twice: unpack it",
}


def _open_sqlite(content: FileContent, read: Read) -> Sequence[Table]:
    # Takes long to load, which no command needs before such a file is read.
    from gateways.importers.containers.sqlite_tables import open_sqlite

    return open_sqlite(content, read)


def _open_xlsx(content: FileContent, read: Read) -> Sequence[Table]:
    # Needs an extra, which is not asked for before a workbook is read.
    from gateways.importers.containers.xlsx_tables import open_xlsx

    return open_xlsx(content, read)


_OPEN: dict[str, Callable[[FileContent, Read], Sequence[Table]]] = {
    "csv": open_csv,
    "json": open_json,
    "jsonl": open_jsonl,
    "sqlite": _open_sqlite,
    "html-table": open_html,
    "xlsx": _open_xlsx,
}


def open_tables(path: Path, read: Read, *, bytes_max: int) -> Sequence[Table]:
    """Return the tables of a file that `read` names, at least one.

    Raises InvalidEvent, which names the file, where it cannot be read so; OSError where it cannot be opened.
    """
    content = FileContent(path, member=read.member, encoding=read.encoding, bytes_max=bytes_max)
    container = read.container or _container_in(content)
    return _OPEN[container](content, read)


def container_of(path: Path, *, member: str | None = None, bytes_max: int = BYTES_MAX) -> str:
    """Return which of the CONTAINERS a file is; raise InvalidEvent if it is none of them."""
    return _container_in(FileContent(path, member=member, encoding=None, bytes_max=bytes_max))


def _container_in(content: FileContent) -> str:
    head = content.head(HEAD_BYTES)
    if head.startswith(_SQLITE):
        return "sqlite"
    if head.startswith(ZIP):
        return _zip_in(content)
    for first, why in _FOREIGN.items():
        if head.startswith(first):
            msg = f"{content.file} {why}"
            raise InvalidEvent(msg)
    # Cut in the middle of a character, or in a wrong encoding: its first characters say enough.
    return _text_container(content.file, head.decode(encoding_of(head[:4], content.encoding, content.file), "replace"))


def _zip_in(content: FileContent) -> str:
    with content.as_file() as path:
        if content.is_itself or is_workbook(path):
            return "xlsx"
    msg = f"{content.file} is a zip in a zip: unpack it"
    raise InvalidEvent(msg)


def _text_container(file: str, text: str) -> str:
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith("["):
        return "json"
    if start.startswith("{"):
        return "jsonl" if _is_one_of_many(start) else "json"
    if start.startswith("<"):
        lower = start.lower()
        if "<html" in lower or "<table" in lower or "<!doctype html" in lower:
            return "html-table"
        msg = f"{file} is XML, which cannot be imported: export it as CSV or XLSX"
        raise InvalidEvent(msg)
    return "csv"


def _is_one_of_many(text: str) -> bool:
    """Return whether a first line is an object by itself, with more after it."""
    first, _, rest = text.partition("\n")
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return False
    return bool(rest.strip())
