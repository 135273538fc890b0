"""What must be asked about columns by their words, most of which the mapping does not mention."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gateways.importers.mapping import KindOfRow
from gateways.importers.statuses import (
    cost_question,
    exit_of_side_question,
    question_of,
    side_question,
    unnamed_side_question,
)
from gateways.importers.unmentioned import account_question, clock_question, exit_question, hedge_question

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateways.importers.field_texts import FieldTexts
    from gateways.importers.mapping import Mapping as FileMapping
    from gateways.importers.values import Question

    Words = Mapping[str, Mapping[str, int]]


class SeenWords(NamedTuple):
    """The words of a table, each with how often it came.

    `few` are those of columns that the mapping does not mention, `many` the same of columns with too many to be
    statuses, and `sides` those of the column `side`. `only_days`: no time has a time of day. `is_signed`: a quantity is
    below zero.
    """

    few: Words
    many: Words
    sides: Mapping[str, int]
    only_days: bool
    is_signed: bool


def questions_of_words(mapping: FileMapping, texts: FieldTexts, seen: SeenWords) -> Iterator[Question]:
    """Yield what must be asked about the words of a table's columns."""
    rows, has_side = mapping.rows, texts.has("side")
    columns = {**seen.few, **seen.many}
    found: list[Question | None] = []
    for name, words in seen.few.items():
        found.append(question_of(name, words, rows.kind, rows.aside.get(name)))
        if rows.kind is KindOfRow.EXECUTION and not has_side:
            found.append(unnamed_side_question(name, words, is_signed=seen.is_signed))
        elif rows.kind is KindOfRow.EXECUTION:
            found.append(exit_of_side_question(name, words, texts.label("side"), seen.sides))
    found += [cost_question(name, words) for name, words in columns.items()]
    if rows.kind is KindOfRow.EXECUTION:
        named = [name for name, words in seen.few.items() if set(words) - {""}]
        found.append(exit_question((*named, *seen.many)))
        # A file that has nothing but these words says by them what was bought and sold.
        found += [hedge_question(seen.few)] if has_side else []
    if seen.only_days:
        found.append(clock_question(texts.label("time"), columns))
    if has_side:
        found.append(side_question(texts.label("side"), seen.sides, seen.sides, mapping))
    if not texts.has("account"):
        found.append(account_question(columns))
    yield from (question for question in found if question is not None)
