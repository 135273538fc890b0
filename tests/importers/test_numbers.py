"""Numbers as a file writes them: signs, currency signs, brackets, blanks, 32nds, units, and what is asked about."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore import InvalidEvent
from gateways.importers.texts import CellError
from gateways.importers.values import ColumnSummary, Numbers, Question, infer_numbers


def summary(*texts: str) -> ColumnSummary:
    column = ColumnSummary(name="Price", about="numbers")
    for text in texts:
        column.take(text)
    return column


def inferred(*texts: str, given: Numbers | None = None) -> tuple[Numbers, tuple[Question, ...]]:
    return infer_numbers(summary(*texts), given)


NOT_NUMBERS = (
    *(
        "",
        " ",
        "abc",
        "1,2,3",
        "12,34",
        "1,2345",
        "0,123",
        "01,234",
        "1.2.3",
        "1 2",
        "--5",
        "+-5",
        "-(5)",
        "(-5)",
        "(5",
        "5)",
    ),
    *(
        "5-",
        "5+",
        "$",
        "EUR 5",
        "5 EUR",
        "5%",
        "1.2K",
        "nan",
        "inf",
        "Infinity",
        "1_000",
        "0x10",
        "1e500",
        "1e",
        "e5",
    ),
    *("٣", "\uff15", "5\n6", "1,234,56", "1234,567.00", "½", "=1+1", "110'165", "5-6"),
)


class TestParsing:
    @pytest.mark.parametrize("text", NOT_NUMBERS)
    def test_what_is_not_a_number_is_refused(self, text: str) -> None:
        parse = Numbers(decimal=".", thousands=",", strip="$", brackets="negative").parser()
        with pytest.raises(CellError):
            parse(text)

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            *(
                ("5", "5"),
                ("-5", "-5"),
                ("+5", "5"),
                (" 5 ", "5"),
                ("5.", "5"),
                (".5", "0.5"),
                ("-.5", "-0.5"),
                ("007", "7"),
            ),
            *(
                ("- 70.25", "-70.25"),
                ("\u221270.25", "-70.25"),
                ("1e-7", "1e-7"),
                ("2.5E+3", "2500"),
                ("1,234.50", "1234.50"),
            ),
            *(("-$5.00", "-5.00"), ("$-5.00", "-5.00"), ("$ 5", "5"), ("5 $", "5"), ("5$", "5"), ("- $ 5", "-5")),
            *(
                ("$(41.00)", "-41.00"),
                ("($307.80)", "-307.80"),
                ("(41)", "-41"),
                ("( 41 )", "-41"),
                ("$1,234,567.89", "1234567.89"),
            ),
        ],
    )
    def test_signs_currency_signs_and_brackets(self, text: str, value: str) -> None:
        parse = Numbers(decimal=".", thousands=",", strip="$", brackets="negative").parser()
        assert parse(text) == Decimal(value)

    def test_digits_are_kept_as_written(self) -> None:
        assert str(Numbers(thousands=",").parser()("1,234.500")) == "1234.500"

    @pytest.mark.parametrize("blank", [" ", "\u00a0", "\u202f", "\u2009"])
    def test_blanks_between_thousands(self, blank: str) -> None:
        parse = Numbers(decimal=",", thousands=" ", strip=("€",)).parser()
        assert parse(f"-1{blank}434{blank}200,86{blank}€") == Decimal("-1434200.86")
        assert infer_numbers(summary(f"1{blank}434,86"))[0].parser()(f"1{blank}434,86") == Decimal("1434.86")

    @pytest.mark.parametrize("apostrophe", ["'", "\u2019"])
    def test_apostrophes_between_thousands(self, apostrophe: str) -> None:
        assert Numbers(thousands="'").parser()(f"1{apostrophe}434.5") == Decimal("1434.5")

    def test_a_word_is_a_unit_where_the_mapping_says_so(self) -> None:
        measured = Numbers(thousands=",", units=True).measured()
        assert measured("0.1800000000SOL") == (Decimal("0.18"), "SOL")
        assert measured("1,019.8054 BUSD") == (Decimal("1019.8054"), "BUSD")
        assert measured("5") == (Decimal(5), "")
        with pytest.raises(CellError):
            Numbers().measured()("0.18SOL")

    def test_texts_that_mean_no_number(self) -> None:
        numbers = Numbers(empty=("-", "N/A"))
        assert [numbers.is_empty(text) for text in ("", " ", "-", " - ", "N/A", "n/a", "0")] == [True] * 5 + [False] * 2

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            *(("110'16", "110.5"), ("110'165", "110.515625"), ("110'162", "110.5078125"), ("110'167", "110.5234375")),
            *(
                ("110'160", "110.5"),
                ("110'19", "110.59375"),
                ("118-16", "118.5"),
                ("110-16+", "110.515625"),
                ("110'00", "110"),
            ),
            *(
                ("103'161", "103.50390625"),
                ("103'163", "103.51171875"),
                ("103'166", "103.51953125"),
                ("103'168", "103.52734375"),
            ),
            *(
                ("110'1625", "110.5078125"),
                ("110'16125", "110.50390625"),
                ("110'16.5", "110.515625"),
                ("-0'16", "-0.5"),
            ),
            *(("111", "111"), ("110.515625", "110.515625"), ("110\u201916", "110.5")),
        ],
    )
    def test_prices_in_32nds(self, text: str, value: str) -> None:
        assert Numbers(fractions="32nds").parser()(text) == Decimal(value)

    @pytest.mark.parametrize(
        "text",
        [
            "110'32",
            "110'164",
            "110'169",
            "110'1",
            "110'16.3",
            "110'1613",
            "110'",
            "'16",
            "110'16'5",
            "1-2-3",
            "110'325",
        ],
    )
    def test_what_is_not_a_price_in_32nds_is_refused(self, text: str) -> None:
        with pytest.raises(CellError):
            Numbers(fractions="32nds").parser()(text)

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            *(("450'4", "450.5"), ("450-4", "450.5"), ("450'0", "450"), ("1012'7", "1012.875"), ("-0'2", "-0.25")),
            *(("450", "450"), ("450.25", "450.25"), ("450\u20194", "450.5"), ("$450'6", "450.75")),
        ],
    )
    def test_prices_in_8ths(self, text: str, value: str) -> None:
        assert Numbers(fractions="8ths", strip="$").parser()(text) == Decimal(value)

    @pytest.mark.parametrize(
        "text", ["450'8", "450'9", "450'", "'4", "450'40", "450'4.5", "450'4+", "4-5-6", "450'4'1"]
    )
    def test_what_is_not_a_price_in_8ths_is_refused(self, text: str) -> None:
        with pytest.raises(CellError):
            Numbers(fractions="8ths").parser()(text)

    @given(
        st.text(max_size=20),
        st.sampled_from(
            [
                Numbers(),
                Numbers(decimal=",", thousands=".", strip="€", brackets="negative"),
                Numbers(fractions="32nds", units=True),
                Numbers(fractions="8ths", units=True),
            ]
        ),
    )
    def test_any_text_is_a_number_or_refused(self, text: str, numbers: Numbers) -> None:
        with contextlib.suppress(CellError):
            assert numbers.parser()(text).is_finite()


@pytest.mark.parametrize(
    "wrong",
    [
        *({"decimal": ",", "thousands": ","}, {"thousands": "."}, {"fractions": "32nds", "thousands": "'"}),
        {"fractions": "8ths", "thousands": "'"},
        *({"strip": "."}, {"strip": ("$", "")}, {"strip": "1"}, {"strip": "-"}),
    ],
)
def test_settings_that_give_a_text_two_meanings_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidEvent, match="numbers: "):
        Numbers(**wrong)  # type: ignore[arg-type] # as a mapping gives them


class TestInference:
    @pytest.mark.parametrize(
        ("texts", "values"),
        [
            (["$(41.00)", "$1,234.50"], ["-41.00", "1234.50"]),
            (["90,00 $", "1.090,00 $"], ["90", "1090"]),
            (["1 434.86", "- 70.25"], ["1434.86", "-70.25"]),
            (["0,5", "1234"], ["0.5", "1234"]),
            (["1.234", "0.5"], ["1.234", "0.5"]),
            (["1.234", "12345.678"], ["1.234", "12345.678"]),
            (["110'165", "110'19", "118-16"], ["110.515625", "110.59375", "118.5"]),
            (["21000.25", "110'16", "7"], ["21000.25", "110.5", "7"]),
            (["110'999", "110'165"], ["110999", "110165"]),
            (["110'169"], ["110169"]),
            (["1", "2"], ["1", "2"]),
            (["", "5.00"], [None, "5.00"]),
            (["450'4", "1012'0", "451", "450.5"], ["450.5", "1012", "451", "450.5"]),
        ],
    )
    def test_the_whole_column_decides(self, texts: list[str], values: list[str | None]) -> None:
        numbers, questions = inferred(*texts)
        assert questions == ()
        assert [None if numbers.is_empty(text) else numbers.parser()(text) for text in texts] == [
            None if value is None else Decimal(value) for value in values
        ]

    @pytest.mark.parametrize(
        ("texts", "key", "options"),
        [
            (["1,234", "5"], "numbers.decimal", (".", ",")),
            (["1.234", "999"], "numbers.decimal", (".", ",")),
            (["1,234", "1.5", "1,2"], "numbers.decimal", (".", ",")),
            (["2026-03-02"], "numbers.decimal", (".", ",")),
            (["110'165"], "numbers.fractions", ("32nds", "none")),
            (["118-16", "5-10"], "numbers.fractions", ("32nds", "none")),
            (["450-4", "451"], "numbers.fractions", ("8ths", "none")),
            (["450'4", "450'8"], "numbers.decimal", (".", ",")),
            (["450'4", "118'16"], "numbers.decimal", (".", ",")),
            (["5.0", "-", "N/A", "-"], "numbers.empty", ("-", "N/A")),
            (["0.18SOL", "5"], "numbers.strip", ("SOL",)),
            (["1.2K", "5%"], "numbers.strip", ()),
            (["$5.00", "€5.00"], "numbers.strip", ("$", "€")),
        ],
    )
    def test_what_it_does_not_decide_is_asked(self, texts: list[str], key: str, options: tuple[str, ...]) -> None:
        _, questions = inferred(*texts)
        assert [(question.key, question.options) for question in questions] == [(key, options)]
        assert "column Price" in questions[0].text
        assert questions[0].found

    def test_all_that_is_missing_is_asked_at_once(self) -> None:
        _, questions = inferred("1,234 EUR", "-")
        assert [question.key for question in questions] == ["numbers.empty", "numbers.strip", "numbers.decimal"]
        assert questions[0].found == ("- (1)",)

    def test_what_the_mapping_says_is_not_asked(self) -> None:
        given = Numbers(decimal=",", strip=("EUR",), empty=("-",))
        numbers, questions = inferred("1,234 EUR", "-", given=given)
        assert questions == ()
        assert numbers.parser()("1,234 EUR") == Decimal("1.234")
        assert inferred("0.18SOL", given=Numbers(units=True))[1] == ()
        assert inferred("110'165", given=Numbers(fractions="none"))[0].parser()("110'165") == 110_165

    def test_a_mapping_that_fits_no_number_is_asked_about(self) -> None:
        _, questions = inferred("1.234,5", given=Numbers(decimal="."))
        assert [question.key for question in questions] == ["numbers.decimal"]

    def test_signs_are_counted_whatever_the_separators(self) -> None:
        column = summary("-0.62", "($1,000)", "$-5.00", "- 1", "0", "0,00", "-0.0", "3", "$4")
        assert (column.negative, column.positive, column.zero, column.bracketed) == (4, 2, 3, 1)

    def test_memory_is_bounded(self) -> None:
        column = ColumnSummary()
        for number in range(1_000):
            column.take(f"{'x' * (number % 300)}{number}{'y' * (number % 200)}")
            column.take(f"{'7-' * (number % 150)}7")
        assert len(column.words) + len(column.affixes) + len(column.number_forms) + len(column.time_forms) < 500
        assert {"words", "affixes", "number_forms", "time_forms"} <= column.more
        assert infer_numbers(column)[1]
