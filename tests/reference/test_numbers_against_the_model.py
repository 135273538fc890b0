"""Numbers of a whole column compared with the reference: right, or a question exactly if two readings exist."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from msgspec import convert
from msgspec.structs import replace

from gateways.importers.values import ColumnSummary, Numbers, infer_numbers
from tests.proving import rounds
from tests.reference.written_numbers import WAYS, readings, written, written_32nds

pytestmark = pytest.mark.untraced


def numbers_of(chance: random.Random) -> list[Decimal]:
    digits, decimals = chance.choice((2, 3, 4, 7)), chance.choice((0, 0, 1, 2, 3, 5))
    return [Decimal(chance.randrange(10**digits)).scaleb(-decimals) for _ in range(chance.randint(1, 6))]


def summary_of(texts: list[str]) -> ColumnSummary:
    column = ColumnSummary(name="Price", about="numbers")
    for text in texts:
        column.take(text)
    return column


def test_a_column_has_its_numbers_or_a_question_and_asks_only_if_it_must() -> None:
    for seed in rounds("columns of numbers", test=400, prove=40_000):
        chance = random.Random(seed)
        numbers, way = numbers_of(chance), chance.choice(WAYS)
        # A number without a decimal point may be written like any other: now and then two ways stand in one column.
        texts = [written(number, chance.choice(WAYS) if chance.randrange(20) == 0 else way) for number in numbers]
        found, questions = infer_numbers(summary_of(texts))
        possible = readings(texts)
        if len(possible) == 1:
            parse = found.parser()
            assert not questions, texts
            assert tuple(map(parse, texts)) == possible.pop(), (texts, found)
        else:
            assert questions, (texts, found)


def test_an_answer_settles_each_question() -> None:
    for seed in rounds("answers about numbers", test=200, prove=20_000):
        chance = random.Random(seed)
        decimal, thousands = chance.choice(WAYS)
        numbers = numbers_of(chance)
        texts = [written(number, (decimal, thousands)) for number in numbers]
        stated = convert({"decimal": decimal, "thousands": thousands}, Numbers)
        found, questions = infer_numbers(summary_of(texts), replace(stated, fractions="none"))
        assert not questions
        assert [found.parser()(text) for text in texts] == numbers
        assert [stated.parser()(text) for text in texts] == numbers


def test_prices_in_32nds() -> None:
    for seed in rounds("prices in 32nds", test=200, prove=20_000):
        chance = random.Random(seed)
        step = chance.choice((1, 2, 4, 8))
        prices = [Decimal(chance.randrange(100 * 256, 200 * 256, step)) / 256 for _ in range(chance.randint(1, 6))]
        texts = [written_32nds(price) for price in prices]
        found, questions = infer_numbers(summary_of(texts))
        if len(readings(texts)) == 1:
            assert not questions, texts
            assert [found.parser()(text) for text in texts] == prices
        else:
            assert [question.key for question in questions] == ["numbers.fractions"], texts
        assert [Numbers(fractions="32nds").parser()(text) for text in texts] == prices
