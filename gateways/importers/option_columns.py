"""Options of which the symbol is that of what they are on: their other columns say which option each row is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateways.importers.field_texts import letters_of, plain_word
from gateways.importers.symbol_forms import is_option
from gateways.importers.texts import CellError

if TYPE_CHECKING:
    from gateways.importers.base import TableRow
    from gateways.importers.field_texts import FieldTexts

_RIGHTS = frozenset({"putcall", "callput", "putorcall", "callorput", "cp", "pc", "right", "optiontype", "optionright"})
_STRIKES = frozenset({"strike", "strikeprice"})
"""Names of columns, as letters in lower case."""
_WORDS = frozenset({"c", "call", "p", "put"})


class OptionColumns:
    """A file's columns of call or put and of the strike, of those that the mapping does not name."""

    def __init__(self, texts: FieldTexts) -> None:
        letters = {letters_of(name): name for name in texts.columns}
        free = {known: name for known, name in letters.items() if name not in texts.used}
        self._right = next((name for known, name in free.items() if known in _RIGHTS), None)
        self._strike = next((name for known, name in free.items() if known in _STRIKES), None)
        self._symbol = texts.label("symbol")

    def right(self, row: TableRow) -> str | None:
        """Return the word for call or put of a row; None if it has none."""
        word = None if self._right is None else row.optional(self._right)
        return word if word is not None and plain_word(word) in _WORDS else None

    def check(self, symbol: str, row: TableRow) -> None:
        """Raise CellError for an option whose symbol does not say which one it is: it would be what it is on."""
        right = self.right(row)
        if right is None or is_option(symbol):
            return
        strike = None if self._strike is None else row.optional(self._strike)
        if strike is not None and strike.split(".")[0] in symbol:
            return
        both = ",".join((self._symbol, *(name for name in (self._strike, self._right) if name is not None)))
        msg = (
            f"is what an option is on, of which column {self._right} says {right!r}: all its options would be one "
            f"contract. Name all columns that say which option it is, with that of its expiry, as in "
            f'columns.symbol="{both}", and the terms of each with --contracts; if the column says something else, name '
            "it in rows.ignore"
        )
        raise CellError(msg)
