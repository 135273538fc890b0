"""The texts of a row by field: one column, several joined, or the first that is not empty."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NoReturn, TypeVar

from eventstore.errors import InvalidEvent, UnknownContract
from gateways.importers.base import BadRow
from gateways.importers.fields import JOINED_WITH, columns_of, names_of, used_columns
from gateways.importers.texts import CellError, to_decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from gateways.importers.base import TableRow
    from gateways.importers.mapping import Mapping as FileMapping

T = TypeVar("T")
REFERENCE = "@"
"""What a member begins with that names a column in place of a value."""
UNIT_REFERENCE = "@unit:"
"""What a member begins with that names a column for the unit beside its number."""
NUMBERS_KEPT = 50_000
"""How many texts of numbers are read once: quantities, costs and prices repeat."""


class FieldTexts:
    """Reads the text of a field; `columns` are those of the file, `used` all that the mapping names."""

    def __init__(self, mapping: FileMapping, columns: Mapping[str, int]) -> None:
        self.mapping, self.columns = mapping, columns
        self.used = used_columns(mapping)
        self.of = {
            field: tuple(name for name in names_of(names) if name in columns)
            for field, names in columns_of(mapping).items()
        }  # fmt: skip
        self.number, self.measured = number_parsers(mapping)
        self._width = len(columns)
        # Of one column, which most are: this runs for every cell of a file.
        self._index = {field: columns[names[0]] for field, names in self.of.items() if len(names) == 1}

    def has(self, field: str) -> bool:
        """Return whether the file has a column of the field."""
        return bool(self.of.get(field))

    def label(self, field: str) -> str:
        """Return the name of the field's columns, for messages."""
        return " + ".join(self.of.get(field) or (field,))

    def optional(self, row: TableRow, field: str) -> str | None:
        """Return the text of a field; None if it is empty or has no column."""
        index = self._index.get(field)
        if index is not None:
            cells = row.cells
            if len(cells) != self._width:
                return row.optional(self.of[field][0])
            return cells[index].strip() or None
        names = self.of.get(field)
        if not names:
            return None
        found = [text for name in names if (text := row.optional(name)) is not None]
        if not found:
            return None
        joint = None if field in self.mapping.first else JOINED_WITH.get(field)
        if joint is None:
            return found[0]
        if len(found) < len(names):
            empty = next(name for name in names if row.optional(name) is None)
            row.refuse(empty, f"is empty, but {found[0]!r} beside it is not, and only both together say the {field}")
        return joint.join(found)

    def reading(self, field: str, parse: Callable[[str], T]) -> Callable[[TableRow], T]:
        """Return what reads the field of a row, as `parsed` does: made once for a file, it knows the cell's place."""
        index = self._index.get(field)
        if index is None:
            return lambda row: self.parsed(row, field, parse)
        width, place, name = self._width, index, self.of[field][0]

        def read(row: TableRow) -> T:
            cells = row.cells
            text = cells[place].strip() if len(cells) == width else row.optional(name)
            if not text:
                self.refuse(row, field, "is empty")
            try:
                return parse(text)
            except (CellError, InvalidEvent, UnknownContract) as e:
                raise BadRow(row.file, row.line, name, text, str(e)) from e

        return read

    def text(self, row: TableRow, field: str) -> str:
        """Return the text of a field; raise BadRow if it is empty."""
        text = self.optional(row, field)
        if text is None:
            self.refuse(row, field, "is empty")
        return text

    def refuse(self, row: TableRow, field: str, why: str) -> NoReturn:
        """Raise BadRow with the row's line, the field's columns and its text."""
        raise BadRow(row.file, row.line, self.label(field), self.optional(row, field) or "", why)

    def parsed(self, row: TableRow, field: str, parse: Callable[[str], T]) -> T:
        """Return the text of a field as parsed by `parse`, whose errors become a BadRow."""
        text = self.text(row, field)
        try:
            return parse(text)
        except (CellError, InvalidEvent, UnknownContract) as e:
            raise BadRow(row.file, row.line, self.label(field), text, str(e)) from e

    def referred(self, row: TableRow, given: str | None) -> str | None:
        """Return a value of the mapping, or the row's cell for one that names a column."""
        if given is None or not given.startswith(REFERENCE):
            return given
        if given.startswith(UNIT_REFERENCE):
            column = given.removeprefix(UNIT_REFERENCE)
            unit = row.parsed(column, self.measured)[1]
            if not unit:
                row.refuse(column, "has no unit beside its number")
            return unit
        column, _, otherwise = given[1:].partition("|")
        return row.optional(column) or otherwise or None


def plain_word(text: str) -> str:
    """Return a word as words are compared: in lower case, with single spaces."""
    return " ".join(text.casefold().split())


def letters_of(name: str) -> str:
    """Return a column's name as such names are compared: its letters, in lower case."""
    return "".join(filter(str.isalpha, name.casefold()))


def number_parsers(mapping: FileMapping) -> tuple[Callable[[str], Decimal], Callable[[str], tuple[Decimal, str]]]:
    """Return what reads numbers, and numbers with their units: plain ones where the mapping says nothing of them."""
    if mapping.numbers is None:
        plain = functools.lru_cache(NUMBERS_KEPT)(to_decimal)
        return plain, lambda text: (plain(text), "")
    kept = functools.lru_cache(NUMBERS_KEPT)(mapping.numbers.measured())
    return (lambda text: kept(text)[0]), kept
