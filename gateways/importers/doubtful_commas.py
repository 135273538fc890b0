"""Commas that may separate decimals, in a file whose preset has a decimal point."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateways.importers.values import Numbers, Question

if TYPE_CHECKING:
    from collections.abc import Iterable

_THOUSANDS = re.compile(r"(?<![\d.,])[1-9]\d{0,2},\d{3}(?!\d)", re.ASCII)
_DECIMALS = re.compile(r"\.\d", re.ASCII)


class DoubtfulCommas:
    """Looks for a number that has a comma before three digits, until one with a decimal point says what it is."""

    def __init__(self, numbers: Numbers, *, is_doubted: bool) -> None:
        self.is_open = is_doubted and numbers.decimal == "." and numbers.thousands in {",", None}
        self._first: tuple[int, str, str] | None = None

    def take(self, line: int, cells: Iterable[tuple[str, str]]) -> None:
        """Take the numbers of a row: their columns and texts."""
        for column, text in cells:
            if _DECIMALS.search(text):
                self.is_open = False
                return
            if self._first is None and _THOUSANDS.search(text):
                self._first = (line, column, text)

    def question(self) -> tuple[Question, int, str, str, str] | None:
        """Return the question with the first cell that it is about; None if nothing need be asked."""
        if not self.is_open or self._first is None:
            return None
        line, column, text = self._first
        why = f"column {column}: a comma may separate decimals or thousands, and no number of the file decides it"
        return Question("numbers.decimal", why, (text,), (".",)), line, column, text, why
