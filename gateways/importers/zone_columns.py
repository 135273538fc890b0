"""A column that has the time zone of each row, and that the mapping does not mention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from gateways.importers.field_texts import REFERENCE, letters_of
from gateways.importers.texts import CellError
from gateways.importers.values import Question
from gateways.importers.values.questions import FOUND_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateways.importers.base import TableRow
    from gateways.importers.field_texts import FieldTexts
    from gateways.importers.values import Time

_NAMES = frozenset({"timezone", "tz", "zone", "timezoneid", "timezonename", "tzname", "zeitzone"})
"""Names of columns, as letters in lower case."""


class ZoneColumn:
    """Looks at such a column, if there is one; `columns` are those that the mapping does not mention."""

    def __init__(self, texts: FieldTexts, columns: Iterable[str], times: Sequence[str]) -> None:
        self._texts = texts
        self._column = next((name for name in columns if letters_of(name) in _NAMES), None)
        self._time = next((field for field in times if texts.has(field)), None)
        self._found: list[str] = []
        self._first: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a column to be looked at."""
        return self._column is not None and self._time is not None

    def take(self, row: TableRow) -> None:
        """Look at the zone of a row, and at the first time."""
        if self._column is None or self._time is None:
            return
        word = row.optional(self._column)
        if word is not None and word not in self._found and len(self._found) < FOUND_MAX:
            self._found.append(word)
        if self._first is None:
            self._first = self._texts.optional(row, self._time)

    def question(self, time: Time) -> Question | None:
        """Return a question about the column, if the times have no offset and are read in another zone than it says."""
        if self._first is None or not self._found or self._found == [time.zone] or _has_offset(self._first, time):
            return None
        text = (
            f"column {self._column} has the zone of each row, and the mapping does not mention it: name it, and leave "
            "out --zone. If it says something else, name it in rows.ignore"
        )
        return Question("time.zone", text, tuple(self._found), (f"{REFERENCE}{self._column}",))


def _has_offset(text: str, time: Time) -> bool:
    try:
        replace(time, zone=None).parser()(text)
    except CellError:
        return False
    return True
