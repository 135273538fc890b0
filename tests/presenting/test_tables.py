"""Tables: columns if they fit, else one line per field; within the width, without cutting a cell."""

from __future__ import annotations

import random
import re

import pytest

from gateways.presenting.tables import cut, table, width, wrapped

COLUMNS = ("account", ">figure", "~why")
ROWS = [("ACC1", "1,000.50", "too much lost"), ("ACC22", "7", "-")]


def test_a_table_that_fits_has_a_line_for_each_row() -> None:
    assert table(COLUMNS, ROWS, 80) == [
        "account    figure  why",
        "───────  ────────  ─────────────",
        "ACC1     1,000.50  too much lost",
        "ACC22           7  -",
    ]


def test_prose_is_broken_between_words_before_the_table_gives_up_its_columns() -> None:
    rows = [("ACC1", "1", "too much was lost on this day to go on"), ("ACC2", "2", "-")]
    assert table(COLUMNS, rows, 42)[2:] == [
        "ACC1          1  too much was lost on this",
        "                 day to go on",
        "ACC2          2  -",
    ]


def test_a_table_that_does_not_fit_is_a_line_for_each_member() -> None:
    rows = [("ACC1", "1", "x" * 40 + " end"), ("ACC2", "2", "-")]
    assert table(COLUMNS, rows, 40) == [
        "account: ACC1",
        "figure:  1",
        f"why:     {'x' * 31}",
        f"         {'x' * 9} end",
        "",
        "account: ACC2",
        "figure:  2",
        "why:     -",
    ]


def test_wide_characters_take_two_columns_and_combining_ones_none() -> None:
    assert (width("abc"), width("日本語"), width("e\u0301"), width("🙂")) == (3, 6, 1, 2)
    assert {width(line) for line in table((">a", "b"), [("日本", "x"), ("1", "é")], 80)[2:]} == {7}


@pytest.mark.parametrize("seed", range(20))
def test_no_line_is_wider_than_allowed_and_no_sign_of_a_cell_is_lost(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(20):
        names = [chance.choice(("", ">", "~")) + f"column{n}" for n in range(chance.randrange(1, 12))]
        rows = [[_cell(chance) for _ in names] for _ in range(chance.randrange(1, 6))]
        available = chance.randrange(40, 120)
        lines = table(names, rows, available)
        assert max(map(width, lines)) <= available
        shown = re.sub(r"\s", "", "".join(lines))
        assert all(shown.count(sign) >= "".join(map("".join, rows)).count(sign) for sign in "xyz日本🙂")


def _cell(chance: random.Random) -> str:
    words = [
        "".join(chance.choice("xyz日本🙂") for _ in range(chance.randrange(1, 90) ** 2 // 90 + 1)) for _ in range(3)
    ]
    return " ".join(words[: chance.randrange(1, 4)])


def test_a_cell_cannot_break_out_of_its_line() -> None:
    lines = table(("a", "b"), [("one\ntwo\x1b[2J", "[red]x[/red]\u202e")], 80)
    assert lines[2:] == [r"one\ntwo\x1b[2J  [red]x[/red]\u202e"]


def test_what_is_cut_ends_in_an_ellipsis() -> None:
    assert (cut("abcdef", 6), cut("abcdef", 5), cut("日本語", 5)) == ("abcdef", "abcd…", "日本…")


def test_wrapping_keeps_every_word() -> None:
    assert wrapped("", 5) == [""]
    assert wrapped("a bb ccc", 4) == ["a bb", "ccc"]
    assert wrapped("abcdefgh ij", 4) == ["abcd", "efgh", "ij"]
