"""How a column writes its numbers, found in the whole of it or asked."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from gateways.importers.values.numbers import Numbers
from gateways.importers.values.questions import Question, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateways.importers.values.survey import ColumnSummary

_WAYS = (
    *((".", ""), (".", ","), (".", " "), (".", "'")),
    *((",", ""), (",", "."), (",", " "), (",", "'")),
)
_FRACTIONS: tuple[Literal["32nds", "8ths"], ...] = ("32nds", "8ths")
_FORM = re.compile(r"(?P<first>[0sl]?)(?P<rest>(?:[.,' -][1234efg]?)*)(?P<half>\+?)")
_PIECE = re.compile(r"([.,' -])([1234efg]?)")
_NONZERO, _MINUS = re.compile(r"[1-9]", re.ASCII), re.compile(r"^[^0-9]*[-(\u2212]", re.ASCII)
_MULTIPLES = frozenset("kKmMbBtT%")
"""Words that change a number's size, so that none of them can be left out."""


def infer_numbers(column: ColumnSummary, given: Numbers | None = None) -> tuple[Numbers, tuple[Question, ...]]:
    """Return how a column writes its numbers, and a question for each thing that it leaves open.

    `given` is what the mapping says; what it leaves out is found if the whole column allows one reading of its
    numbers only.
    """
    given = given or Numbers()
    fitting = [way for way in _ways(given) if all(_reading(form, way) is not None for form in column.number_forms)]
    questions = [*_about_words(column, given)]
    found = given
    if not fitting or "number_forms" in column.more:
        questions.append(_unreadable(column))
    elif doubtful := _doubtful(column, fitting, is_open=given.fractions is None):
        questions.append(doubtful)
    else:
        found = fitting[0]
    signs = [word for word in column.affixes if is_currency_sign(word) and word not in given.words]
    if len(signs) == 1:
        found = replace(found, strip=(*found.words, *signs))
    if given.brackets is None:
        found = replace(found, brackets="negative" if column.bracketed else "")
    return found, tuple(questions)


def _ways(given: Numbers) -> Iterator[Numbers]:
    for decimal, thousands in _WAYS:
        if given.decimal in {None, decimal} and given.thousands in {None, thousands}:
            if given.fractions in {None, "none"}:
                yield replace(given, decimal=decimal, thousands=thousands, fractions="none")
            for fractions in _FRACTIONS:
                if given.fractions in {None, fractions} and (decimal, thousands) == (".", ""):
                    yield replace(given, decimal=decimal, thousands=thousands, fractions=fractions)


def _reading(form: str, way: Numbers) -> tuple[str, int] | None:
    """Return how a form is read in a way of writing numbers: what its separators mean. None if it does not fit."""
    found = _FORM.fullmatch(form)
    if found is None:
        return None
    pieces = _PIECE.findall(found["rest"])
    if way.fractions in _FRACTIONS:
        fraction = _fraction(pieces, found["half"], way.fractions)
        if fraction is not None:
            return fraction
    if found["half"]:
        return None
    is_fraction = bool(pieces) and pieces[-1][0] == way.decimal
    groups = pieces[:-1] if is_fraction else pieces
    if is_fraction and not found["first"] and not pieces[-1][1]:
        return None
    if not groups:
        return ("decimal", len(pieces))
    is_grouped = found["first"] == "s" and all(
        separator == way.thousands and run in {"3", "g"} for separator, run in groups
    )
    return ("grouped", len(pieces) - len(groups)) if is_grouped else None


def _fraction(pieces: list[tuple[str, str]], half: str, fractions: str | None) -> tuple[str, int] | None:
    match pieces:
        case [("'" | "-", "e")] if fractions == "8ths" and not half:
            return ("8ths", 0)
        case [("'" | "-", "f" | "g")] if fractions == "32nds" and (not half or pieces[0][1] == "f"):
            return ("32nds", 0)
        case [("'" | "-", "f"), (".", run)] if fractions == "32nds" and run and not half:
            return ("32nds", 1)
    return None


def _doubtful(column: ColumnSummary, fitting: list[Numbers], *, is_open: bool) -> Question | None:
    """Return the question if two ways read any number of the column differently."""
    for form in column.number_forms:
        readings = {_reading(form, way) for way in fitting}
        if len(readings) == 1:
            continue
        shown = tuple(column.examples)
        if any(reading is not None and reading[0] == "32nds" for reading in readings):
            text = f"column {column.name}: the apostrophe may separate thousands, or 32nds of a point"
            return Question("numbers.fractions", text, shown, ("32nds", "none"))
        text = f"column {column.name}: the separator may be of decimals or of thousands, and no number decides it"
        return Question("numbers.decimal", text, shown, (".", ","))
    fractions = fitting[0].fractions
    if is_open and fractions in _FRACTIONS and not any("'" in form for form in column.number_forms):
        text = f"column {column.name}: the hyphen may separate {fractions} of a point, and nothing but it says so"
        return Question("numbers.fractions", text, tuple(column.examples), (fractions, "none"))
    return None


def _unreadable(column: ColumnSummary) -> Question:
    text = f"column {column.name}: no one way of writing numbers fits all of it: state numbers.decimal and .thousands"
    return Question("numbers.decimal", text, tuple(column.examples), (".", ","))


def _about_words(column: ColumnSummary, given: Numbers) -> Iterator[Question]:
    others = {text: count for text, count in column.not_numbers.items() if not given.is_empty(text)}
    if others:
        text = f"column {column.name} has texts that are not numbers: which of them mean that there is none?"
        yield Question("numbers.empty", text, counted(others), tuple(others))
    words = {word: count for word, count in column.affixes.items() if word not in given.words}
    currencies = {word: count for word, count in words.items() if is_currency_sign(word)}
    if len(currencies) > 1:
        text = f"column {column.name} has amounts with several currency signs: which of them mean nothing?"
        yield Question("numbers.strip", text, counted(currencies), tuple(currencies))
    plain = {word: count for word, count in words.items() if word not in currencies}
    if plain and not given.units:
        text = f"column {column.name} has words beside its numbers: which of them mean nothing?"
        yield Question("numbers.strip", text, counted(plain), tuple(w for w in plain if w not in _MULTIPLES))


def is_currency_sign(word: str) -> bool:
    """Return whether a word is a currency's sign, such as $, € or US$."""
    return unicodedata.category(word[-1]) == "Sc" and (word[:-1].isalpha() or len(word) == 1)


def sign_of(text: str) -> int:
    """Return the sign of a number however it is written: a minus, or a bracket, stands before its first digit."""
    if not _NONZERO.search(text):
        return 0
    return -1 if _MINUS.search(text) else 1
