"""A workbook's XML looked over before it is read: what would expand, mislead or get lost in it."""

from __future__ import annotations

import re
import xml.parsers.expat
from typing import IO, TYPE_CHECKING, NamedTuple, NoReturn

from gateways.importers.texts import ROW_CHARACTERS_MAX

if TYPE_CHECKING:
    import zipfile

ROWS_MAX = 1_048_576
"""How many rows a sheet of Excel has."""
HELD_BYTES_MAX = 100_000_000
"""How large the parts may be that are held in memory: all but the sheets, which are streamed."""
REFUSED_ROWS_MAX = 10_000
_CHUNK = 1 << 16
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})", re.ASCII)
_SHEETS = "xl/worksheets/"
_XML = (".xml", ".rels", ".vml")


class UnfitWorkbookError(ValueError):
    """A workbook that is not read, with the reason."""


class SheetScan(NamedTuple):
    """The columns and rows that a sheet uses, from 1, and the rows that cannot be relied on, with the reason."""

    first_column: int
    last_column: int
    last_row: int
    refused: dict[int, str]


def check_parts(archive: zipfile.ZipFile, bytes_max: int) -> None:
    """Raise UnfitWorkbookError if a workbook's parts are too large together, or one of them has a document type.

    A zip's member never expands to more than its directory says. A document type could name other files, or entities
    that expand without end.
    """
    parts = archive.infolist()
    total = sum(part.file_size for part in parts)
    if total > bytes_max:
        msg = f"expands to more than {bytes_max:,} bytes: split it, or allow more with --bytes-max"
        raise UnfitWorkbookError(msg)
    held = sum(part.file_size for part in parts if not part.filename.startswith(_SHEETS))
    if held > HELD_BYTES_MAX:
        msg = f"has more than {HELD_BYTES_MAX:,} bytes of texts and styles: save the sheet as CSV"
        raise UnfitWorkbookError(msg)
    for part in parts:
        if part.filename.lower().endswith(_XML):
            with archive.open(part) as source:
                _check_document_type(source, part.filename)


def scan_sheet(source: IO[bytes]) -> SheetScan:
    """Look over a sheet; raise UnfitWorkbookError for rows or cells that are not in order, of which some would be lost.

    Refused are rows with a formula whose result is not in the file, and rows of which a cell is merged with one above.
    """
    scan = _SheetScanner()
    parser = xml.parsers.expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = scan.start, scan.end
    parser.CharacterDataHandler = scan.text
    _parse(parser, source)
    return SheetScan(max(scan.first_column, 1), max(scan.last_column, 1), scan.last_row, scan.refused)


def _check_document_type(source: IO[bytes], name: str) -> None:
    class Started(Exception):
        """The root has begun, and no document type can follow."""

    def refuse(*_: object) -> NoReturn:
        msg = f"has a document type in {name}, which no spreadsheet program writes"
        raise UnfitWorkbookError(msg)

    def end(*_: object) -> NoReturn:
        raise Started

    parser = xml.parsers.expat.ParserCreate()
    parser.StartDoctypeDeclHandler, parser.StartElementHandler = refuse, end
    try:
        _parse(parser, source)
    except Started:
        return


def _parse(parser: xml.parsers.expat.XMLParserType, source: IO[bytes]) -> None:
    try:
        while data := source.read(_CHUNK):
            parser.Parse(data)
        parser.Parse(b"", True)  # noqa: FBT003 - whether it is the last; expat takes no names
    except xml.parsers.expat.ExpatError as e:
        msg = f"is damaged: {e}"
        raise UnfitWorkbookError(msg) from e


class _SheetScanner:
    def __init__(self) -> None:
        self.first_column, self.last_column = 0, 0
        self.refused: dict[int, str] = {}
        self.last_row = self._column = self._characters = 0
        self._is_formula = self._has_result = self._is_value = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        match name.rpartition(" ")[2]:
            case "row":
                self._start_row(attributes.get("r"))
            case "c":
                self._start_cell(attributes)
            case "f":
                self._is_formula = True
            case "v" | "is":
                self._is_value = True
            case "mergeCell":
                self._merge(attributes.get("ref", ""))

    def end(self, name: str) -> None:
        local = name.rpartition(" ")[2]
        if local in {"v", "is"}:
            self._is_value = False
        elif local == "c" and self._is_formula and not self._has_result:
            self._refuse(self.last_row, "has a formula whose result is not in the file: open the workbook and save it")

    def text(self, data: str) -> None:
        self._has_result = self._has_result or self._is_value
        self._characters += len(data)
        if self._characters > ROW_CHARACTERS_MAX:
            msg = f"has more than {ROW_CHARACTERS_MAX:,} characters in row {self.last_row}"
            raise UnfitWorkbookError(msg)

    def _start_row(self, given: str | None) -> None:
        number = _number(given) if given is not None else self.last_row + 1
        if not self.last_row < number <= ROWS_MAX:
            msg = f"has row {number} below row {self.last_row}: it is damaged"
            raise UnfitWorkbookError(msg)
        self.last_row, self._column, self._characters = number, 0, 0

    def _start_cell(self, attributes: dict[str, str]) -> None:
        given = attributes.get("r")
        column, row = _place(given) if given is not None else (self._column + 1, self.last_row)
        if column <= self._column or row != self.last_row:
            msg = f"has cell {given} in row {self.last_row}, after column {self._column}: it is damaged"
            raise UnfitWorkbookError(msg)
        self._column = column
        self.first_column = min(self.first_column or column, column)
        self.last_column = max(self.last_column, column)
        self._is_formula = self._is_value = False
        # The result of a formula that gives a text may be empty.
        self._has_result = attributes.get("t") == "str"

    def _merge(self, reference: str) -> None:
        first, _, last = reference.partition(":")
        (_, top), (_, bottom) = _place(first), _place(last or first)
        for row in range(top + 1, min(bottom, ROWS_MAX) + 1):
            self._refuse(row, f"has a cell that is merged with the one above ({reference}): separate them")

    def _refuse(self, row: int, why: str) -> None:
        self.refused.setdefault(row, why)
        if len(self.refused) > REFUSED_ROWS_MAX:
            first = min(self.refused)
            msg = f"has more than {REFUSED_ROWS_MAX:,} rows that cannot be read; row {first} {self.refused[first]}"
            raise UnfitWorkbookError(msg)


def _place(reference: str) -> tuple[int, int]:
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        msg = f"has a cell at {reference!r}: it is damaged"
        raise UnfitWorkbookError(msg)
    column = 0
    for letter in found[1]:
        column = column * 26 + ord(letter) - ord("A") + 1
    return column, int(found[2])


def _number(text: str) -> int:
    if not (text.isdecimal() and text.isascii() and len(text) <= 7):  # noqa: PLR2004 - as many digits as ROWS_MAX
        msg = f"has a row {text!r}: it is damaged"
        raise UnfitWorkbookError(msg)
    return int(text)
