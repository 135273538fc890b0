"""Excel workbooks: each sheet a table, or a report of titled tables. No formula is calculated."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import struct
import warnings
import zipfile
import zlib
from functools import partial
from typing import IO, TYPE_CHECKING, Protocol, cast
from xml.etree.ElementTree import ParseError

from eventstore.errors import InvalidEvent
from eventstore.extras import missing
from gateways.importers.containers.report import VALUE, GridRow, no_tables, report_tables
from gateways.importers.containers.xlsx_scan import SheetScan, UnfitWorkbookError, check_parts, scan_sheet

try:
    import openpyxl
except ImportError as e:
    raise ImportError(missing("the import of Excel workbooks", e.name, "xlsx")) from e

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from openpyxl.workbook import Workbook

    from gateways.importers.containers.content import FileContent
    from gateways.importers.containers.report import ReportTable
    from gateways.importers.containers.table import Read, Table

SHEETS_SHOWN = 40
_BATCH = 1_000
# What openpyxl, and what it reads with, raise for files that are damaged or that no spreadsheet program wrote.
_RAISED = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, NotImplementedError, RuntimeError),
    *(TypeError, ValueError, ParseError, struct.error, zipfile.BadZipFile, zlib.error, OSError),
)


class _StreamedSheet(Protocol):
    """A sheet as openpyxl gives it where a workbook is only read; its published types have another one."""

    def reset_dimensions(self) -> None: ...

    def iter_rows(self, *, values_only: bool) -> Iterator[tuple[object, ...]]: ...

    def _get_source(self) -> IO[bytes]: ...


def open_xlsx(content: FileContent, read: Read) -> Sequence[Table]:
    """Return the tables of the sheet that a mapping names, or of all; raise InvalidEvent if there are none."""
    tables: list[ReportTable] = []
    with _opened(content) as book:
        names = [sheet.title for sheet in book.worksheets]
        if read.sheet is not None and read.sheet not in names:
            shown = ", ".join(names[:SHEETS_SHOWN]) or "none"
            msg = f"{content.file} has no sheet {read.sheet!r}, as read.sheet says; it has {shown}"
            raise InvalidEvent(msg)
        scans = {name: _scanned(content, book, name) for name in names if read.sheet in {None, name}}
    for name, scan in scans.items():
        open_rows = partial(_open_rows, content, name, scan)
        tables += report_tables(open_rows, read, content.file, name if len(scans) > 1 else "")
    if not tables:
        raise no_tables(content.file, read, ())
    return tables


@contextlib.contextmanager
def _open_rows(content: FileContent, sheet: str, scan: SheetScan) -> Iterator[Iterable[GridRow]]:
    with _opened(content) as book:
        yield _grid_rows(content.file, book, sheet, scan)


def _grid_rows(file: str, book: Workbook, sheet: str, scan: SheetScan) -> Iterator[GridRow]:
    """Yield a sheet's rows, all over the columns that it uses; raise InvalidEvent if one that was seen is missing."""
    worksheet = _sheet(book, sheet)
    # What the sheet says of its own size is often wrong, and rows beyond it would be passed over.
    worksheet.reset_dimensions()
    rows = worksheet.iter_rows(values_only=True)
    width = scan.last_column - scan.first_column + 1
    number = 0
    while batch := _taken(file, rows):
        for values in batch:
            number += 1
            cells = [_cell(value) for value in values[scan.first_column - 1 :]]
            cells += [""] * (width - len(cells))
            is_title = bool(cells[0].strip()) and not any(cells[1:]) and VALUE.match(cells[0]) is None
            yield GridRow(0, number, cells, width, is_title, is_bold=False, why=scan.refused.get(number, ""))
    if number != scan.last_row:
        msg = f"{file}: sheet {sheet} has {scan.last_row:,} rows, of which only {number:,} can be read: save it as CSV"
        raise InvalidEvent(msg)


def _taken(file: str, rows: Iterator[tuple[object, ...]]) -> list[tuple[object, ...]]:
    with _translated(file), warnings.catch_warnings():
        # A serial number outside the range of dates is read as the error #VALUE!, which no column takes.
        warnings.simplefilter("ignore")
        return list(itertools.islice(rows, _BATCH))


@contextlib.contextmanager
def _opened(content: FileContent) -> Iterator[Workbook]:
    with content.as_file() as path, path.open("rb") as file:
        with _translated(content.file), warnings.catch_warnings():
            # What is missing in styles or is not read at all, such as data validation, does not matter here.
            warnings.simplefilter("ignore")
            with zipfile.ZipFile(file) as archive:
                check_parts(archive, content.bytes_max)
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        with contextlib.closing(book):
            yield book


def _scanned(content: FileContent, book: Workbook, sheet: str) -> SheetScan:
    with _translated(f"{content.file}, sheet {sheet},"), _sheet(book, sheet)._get_source() as source:  # noqa: SLF001 - its XML
        return scan_sheet(source)


def _sheet(book: Workbook, name: str) -> _StreamedSheet:
    return cast("_StreamedSheet", book[name])


@contextlib.contextmanager
def _translated(file: str) -> Iterator[None]:
    try:
        yield
    except UnfitWorkbookError as e:
        msg = f"{file} {e}"
        raise InvalidEvent(msg) from e
    except _RAISED as e:
        msg = f"{file} cannot be read as a workbook ({str(e) or type(e).__name__}): save it again as .xlsx, or as CSV"
        raise InvalidEvent(msg) from e


def _cell(value: object) -> str:
    """Return a value as text: numbers as short as they can be written, times in ISO 8601 without a zone."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case float():
            return repr(value).removesuffix(".0")
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case _:
            return str(value)
