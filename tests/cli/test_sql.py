"""`sql`: a query's rows as a table, JSON and CSV, exact, and its errors in one line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.cli.command import Run

FILLS = "select account, symbol, side, quantity, price, liquidity from order_filled order by position"


def test_a_query_is_a_table(run: Run, data: Path) -> None:
    ended = run("sql", FILLS, "--data", data)
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == "Rows (3)"
    assert lines[1].split() == ["account", "symbol", "side", "quantity", "price", "liquidity"]
    assert lines[3].split() == ["ACC1", "ESZ5", "BUY", "2", "6650.25", "-"]


def test_a_query_without_rows_says_so(run: Run, data: Path) -> None:
    assert run("sql", "select * from order_rejected", "--data", data).out == "Rows: none\n\n"


def test_rows_limits_what_a_table_shows(run: Run, data: Path) -> None:
    assert "and 2 more: --rows 0 shows all" in run("sql", FILLS, "--data", data, "--rows", 1).out


def test_json_is_a_line_for_each_row_with_exact_figures_and_times(run: Run, data: Path) -> None:
    query = "select price, quantity * price as amount, occurred_at, [1, 2] as l, null as n, account = 'ACC1' as b "
    query += "from order_filled order by position limit 1"
    assert run("sql", query, "--data", data, "--json").lines == [
        {
            "price": "6650.25",
            "amount": "13300.5",
            "occurred_at": "2025-11-19T15:00:03.000000000Z",
            "l": [1, 2],
            "n": None,
            "b": True,
        }
    ]
    zoned = run("sql", query, "--data", data, "--json", "--zone", "America/Chicago").lines
    assert zoned[0]["occurred_at"] == "2025-11-19T09:00:03.000000000-06:00"


def test_csv_can_be_read_back(run: Run, data: Path) -> None:
    query = "select account, 'a,\"b\"' as text, price from order_filled order by position"
    rows = list(csv.reader(io.StringIO(run("sql", query, "--data", data, "--csv").out)))
    assert rows == [
        ["account", "text", "price"],
        ["ACC1", 'a,"b"', "6650.25"],
        ["ACC2", 'a,"b"', "60.1"],
        ["ACC1", 'a,"b"', "6652.25"],
    ]


def test_account_and_bounds_hold_for_all_tables(run: Run, data: Path) -> None:
    count = "select count(*) as n from events"
    assert run("sql", count, "--data", data, "--json", "--account", "ACC2").lines == [{"n": 2}]
    assert run("sql", count, "--data", data, "--json", "--start", 3, "--stop", 6).lines == [{"n": 3}]
    assert run("sql", count, "--data", data, "--json", "--stop", 0).lines == [{"n": 0}]


def test_figures_can_be_text(run: Run, data: Path) -> None:
    query = "select price from order_filled order by position limit 1"
    assert run("sql", query, "--data", data, "--json", "--text").lines == [{"price": "6650.25"}]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("selct", "syntax error"),
        ("select * from fil", "there is no table fil: did you mean fills?"),
        ("drop table events", "never changed by SQL"),
        ("load httpfs", "neither installed nor loaded"),
        (" ", "query is SQL"),
    ],
)
def test_a_query_that_does_not_run_ends_with_its_reason(run: Run, data: Path, query: str, words: str) -> None:
    ended = run("sql", query, "--data", data)
    assert ended.code == 2
    assert ended.out == ""
    assert words in ended.err
    assert ended.err.count("\n") == 1


def test_csv_and_json_are_one_or_the_other(run: Run, data: Path) -> None:
    assert run("sql", "select 1", "--data", data, "--csv", "--json").code == 2
