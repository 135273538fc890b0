"""What a column holds, gathered in one pass in bounded memory: words, forms of numbers, forms of times."""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from gateways.importers.values.forms import LETTERS, number_form, time_form, unified, unit_of

WORDS_MAX = 40
FORMS_MAX = 128

_PLAIN = re.compile(r"[+-]?\d{1,30}(?:\.\d{0,30})?", re.ASCII)


class ColumnSummary(msgspec.Struct):
    """A column of a file, gathered by `take`. All dicts are bounded; `more` names those that are incomplete.

    `words` are the distinct texts with their counts, the first WORDS_MAX; `examples` the first texts. `number_forms`
    are the forms of its numbers as `number_form` has them, `affixes` the words before and after them, `not_numbers`
    the texts that are none. `negative`, `positive` and `zero` count numbers by sign. `time_forms` are the forms of
    texts with digits as `time_form` has them, each with the least and the greatest value of each run of digits;
    `letters` the runs of letters in them. `units` counts plain numbers by the unit in which they are a UNIX time
    between 1990 and 2100, "serial" for a spreadsheet's day, "none" for neither. `ascending` and `descending` count
    neighbours of plain numbers.
    """

    name: str = ""
    words_only: bool = False
    count: int = 0
    empty: int = 0
    words: dict[str, int] = {}
    examples: list[str] = []
    number_forms: dict[str, int] = {}
    affixes: dict[str, int] = {}
    not_numbers: dict[str, int] = {}
    bracketed: int = 0
    negative: int = 0
    positive: int = 0
    zero: int = 0
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    time_forms: dict[str, list[list[int]]] = {}
    letters: dict[str, int] = {}
    units: dict[str, int] = {}
    ascending: int = 0
    descending: int = 0
    more: set[str] = set()
    last: Decimal | None = None

    def take(self, text: str) -> None:
        """Add a cell's text."""
        text = text.strip()
        self.count += 1
        if not text:
            self.empty += 1
            return
        if not _counted(self.words, text, WORDS_MAX):
            self.more.add("words")
        if len(self.examples) < WORDS_MAX and "words" not in self.more:
            self.examples.append(text)
        if not self.words_only:
            text = unified(text)
            self._take_number(text)
            self._take_time(text)

    @property
    def filled(self) -> int:
        """The number of cells that are not empty."""
        return self.count - self.empty

    def _take_number(self, text: str) -> None:
        form = number_form(text)
        if form is None:
            if not _counted(self.not_numbers, text, WORDS_MAX):
                self.more.add("not_numbers")
            return
        shape, affixes, sign = form
        if not _counted(self.number_forms, shape, FORMS_MAX):
            self.more.add("number_forms")
        for affix in affixes:
            if not _counted(self.affixes, affix, WORDS_MAX):
                self.more.add("affixes")
        self.bracketed += "(" in text
        self.negative += sign < 0
        self.positive += sign > 0
        self.zero += sign == 0

    def _take_time(self, text: str) -> None:
        if _PLAIN.fullmatch(text):
            self._take_plain(Decimal(text))
        form, runs = time_form(text)
        bounds = self.time_forms.get(form)
        if bounds is not None:
            _widen(bounds, runs)
        elif len(self.time_forms) < FORMS_MAX:
            self.time_forms[form] = [[run, run] for run in runs]
        else:
            self.more.add("time_forms")
        if "A" in form or "U" in form:
            for word in LETTERS.findall(text):
                if not _counted(self.letters, word.lower(), FORMS_MAX):
                    self.more.add("letters")

    def _take_plain(self, number: Decimal) -> None:
        _counted(self.units, unit_of(number), FORMS_MAX)
        if self.last is not None:
            self.ascending += number > self.last
            self.descending += number < self.last
        self.last = number
        if self.minimum is None or number < self.minimum:
            self.minimum = number
        if self.maximum is None or number > self.maximum:
            self.maximum = number


def _counted(counts: dict[str, int], word: str, bound: int) -> bool:
    """Count a word; return False if it is a new one beyond the bound."""
    if word in counts:
        counts[word] += 1
    elif len(counts) < bound:
        counts[word] = 1
    else:
        return False
    return True


def _widen(bounds: list[list[int]], runs: list[int]) -> None:
    for bound, run in zip(bounds, runs, strict=True):
        if run < bound[0]:
            bound[0] = run
        elif run > bound[1]:
            bound[1] = run
