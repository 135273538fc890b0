"""Which rows count, by the words that the mapping names: the others are set aside and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateways.importers.base import BadRow
from gateways.importers.field_texts import plain_word
from gateways.importers.fields import columns_of, names_of, required_of
from gateways.importers.missing import MissingChoices
from gateways.importers.values import Question

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gateways.importers.base import TableRow
    from gateways.importers.mapping import Mapping as FileMapping

REASON_CHARACTERS_MAX = 60


class RowsThatCount:
    """The tables `where` and `aside` of a mapping, for a file with these columns."""

    def __init__(self, mapping: FileMapping, columns: Mapping[str, int]) -> None:
        rows, of_fields = mapping.rows, columns_of(mapping)
        self._where = {column: _plain(words) for column, words in rows.where.items() if column in columns}
        self._aside = {column: _plain(words) for column, words in rows.aside.items() if column in columns}
        self._columns = tuple(dict.fromkeys((*self._where, *self._aside)))
        figures = [name for field in required_of(rows) for name in names_of(of_fields.get(field, ()))]
        self._figures = [name for name in figures if name in columns and name not in self._where]

    def those_of(self, rows: Iterable[TableRow]) -> Iterator[TableRow]:
        """Yield the rows that count, without those that cannot be read."""
        for row in rows:
            try:
                if self.reason(row) is None:
                    yield row
            except BadRow:
                continue

    def reason(self, row: TableRow) -> str | None:
        """Return why a row is set aside; None if it counts; raise BadRow for a word that no list has.

        A row without that word and without any figure is a sum or a remark.
        """
        for column in self._columns:
            text = row.optional(column) or ""
            word = plain_word(text)
            where, aside = self._where.get(column), self._aside.get(column)
            if aside is not None and word in aside:
                return _reason(column, text)
            if where is None or word in where:
                continue
            if aside is not None and (text or any(row.optional(name) for name in self._figures)):
                raise _unknown(row, column, text)
            return _reason(column, text)
        return None


def _unknown(row: TableRow, column: str, text: str) -> MissingChoices:
    why = f"is in neither list of the mapping, rows.where.{column} and rows.aside.{column}"
    about = f"column {column} says {text!r} of a row, which is in neither list of the mapping: is it set aside"
    question = Question(f"rows.aside.{column}", about, (), (text,))
    return MissingChoices(row.file, (question,), (row.line, column, text), f"{text!r} {why}")


def _plain(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(plain_word, words))


def _reason(column: str, text: str) -> str:
    shown = text if len(text) <= REASON_CHARACTERS_MAX else f"{text[:REASON_CHARACTERS_MAX]}…"
    return f"{column} is {shown or 'empty'}"
