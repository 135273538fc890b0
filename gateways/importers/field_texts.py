"""The texts of a row by field: one column, several joined, or the first that is not empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeVar

from eventstore.errors import InvalidEvent, UnknownContract
from gateways.importers.base import BadRow
from gateways.importers.fields import JOINED_WITH, columns_of, names_of, used_columns
from gateways.importers.texts import CellError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateways.importers.base import TableRow
    from gateways.importers.mapping import Mapping as FileMapping

T = TypeVar("T")


class FieldTexts:
    """Reads the text of a field; `columns` are those of the file, `used` all that the mapping names."""

    def __init__(self, mapping: FileMapping, columns: Mapping[str, int]) -> None:
        self.mapping, self.columns = mapping, columns
        self.used = used_columns(mapping)
        self.of = {
            field: tuple(name for name in names_of(names) if name in columns)
            for field, names in columns_of(mapping).items()
        }  # fmt: skip

    def has(self, field: str) -> bool:
        """Return whether the file has a column of the field."""
        return bool(self.of.get(field))

    def label(self, field: str) -> str:
        """Return the name of the field's columns, for messages."""
        return " + ".join(self.of.get(field) or (field,))

    def optional(self, row: TableRow, field: str) -> str | None:
        """Return the text of a field; None if it is empty or has no column."""
        names = self.of.get(field)
        if not names:
            return None
        if len(names) == 1:
            return row.optional(names[0])
        found = [text for name in names if (text := row.optional(name)) is not None]
        if not found:
            return None
        joint = None if field in self.mapping.first else JOINED_WITH.get(field)
        return found[0] if joint is None else joint.join(found)

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
