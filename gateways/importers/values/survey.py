"""What a column holds, gathered in one pass in bounded memory: words, forms of numbers, forms of times."""

from __future__ import annotations

import math
import re
from typing import Literal

import msgspec

from gateways.importers.values.forms import (
    DATE_SIZE,
    LETTERS,
    begins_with_date,
    number_form,
    time_form,
    unified,
    unit_of,
)

WORDS_MAX = 40
EXAMPLES_MAX = 5
FORMS_MAX = 128
SEEN_MAX = 10_000

_PLAIN = re.compile(r"\d{1,25}(?:\.\d{1,25})?", re.ASCII)
_PATTERN = str.maketrans("012345678", "9" * 9)


class ColumnSummary(msgspec.Struct):
    """A column of a file, gathered by `take`: its words and, unless `about` excludes them, its numbers and its times.

    All members are bounded; `more` names those that are incomplete. `words` are the distinct texts with their counts,
    the first WORDS_MAX; `examples` the first texts. `number_forms` are the forms of its numbers as `number_form` has
    them, `affixes` the words before and after them, `not_numbers` the texts that are not numbers; `negative`,
    `positive` and `zero` count numbers by sign, `bracketed` those in brackets. `time_forms` are the forms of texts as
    `time_form` has them, each with the least and the greatest value of the runs of digits that name the date;
    `letters` are the words in them. `units` counts plain numbers by `unit_of`; `minimum` and `maximum` are the ends.
    """

    name: str = ""
    about: Literal["all", "words", "numbers", "times"] = "all"
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
    time_forms: dict[str, list[list[int]]] = {}
    letters: dict[str, int] = {}
    units: dict[str, int] = {}
    minimum: str | None = None
    maximum: str | None = None
    more: set[str] = set()
    _seen: set[tuple[str, str]] = set()
    _least: float = math.inf
    _greatest: float = -math.inf

    def take(self, text: str) -> None:
        """Add a cell's text."""
        text = unified(text)
        self.count += 1
        if not text:
            self.empty += 1
            return
        self._count("words", self.words, text, WORDS_MAX)
        if len(self.examples) < EXAMPLES_MAX and text not in self.examples:
            self.examples.append(text)
        if self.about in {"all", "numbers"}:
            self._take_number(text)
        if self.about in {"all", "times"}:
            self._take_time(text)

    @property
    def filled(self) -> int:
        """The number of cells that are not empty."""
        return self.count - self.empty

    def _take_number(self, text: str) -> None:
        form = number_form(text)
        if form is None:
            self._count("not_numbers", self.not_numbers, text, WORDS_MAX)
            return
        shape, affixes, sign = form
        self._count("number_forms", self.number_forms, shape, FORMS_MAX)
        for affix in affixes:
            self._count("affixes", self.affixes, affix, WORDS_MAX)
        if sign < 0:
            self.negative += 1
            self.bracketed += "(" in text
        elif sign > 0:
            self.positive += 1
        else:
            self.zero += 1

    def _take_time(self, text: str) -> None:
        if _PLAIN.fullmatch(text):
            self._take_plain(text)
            return
        # Days repeat, and what follows them decides nothing but the form: most texts need no second look.
        pattern = text.translate(_PATTERN)
        known = (pattern, text[:DATE_SIZE])
        if known in self._seen:
            return
        form, runs = time_form(text)
        if len(self._seen) < SEEN_MAX and begins_with_date(form):
            self._seen.add(known)
        bounds = self.time_forms.get(form)
        if bounds is not None:
            _widen(bounds, runs)
        elif len(self.time_forms) < FORMS_MAX:
            self.time_forms[form] = [[run, run] for run in runs]
        else:
            self.more.add("time_forms")
        if "A" in form:
            for word in LETTERS.findall(text):
                self._count("letters", self.letters, word, WORDS_MAX)

    def _take_plain(self, text: str) -> None:
        number = float(text)
        unit = unit_of(number)
        self.units[unit] = self.units.get(unit, 0) + 1
        if number < self._least:
            self._least, self.minimum = number, text
        if number > self._greatest:
            self._greatest, self.maximum = number, text

    def _count(self, member: str, counts: dict[str, int], word: str, bound: int) -> None:
        if word in counts:
            counts[word] += 1
        elif len(counts) < bound:
            counts[word] = 1
        else:
            self.more.add(member)


def _widen(bounds: list[list[int]], runs: list[int]) -> None:
    for bound, run in zip(bounds, runs, strict=True):
        if run < bound[0]:
            bound[0] = run
        elif run > bound[1]:
            bound[1] = run
