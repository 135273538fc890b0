"""What a query names is all that it reads: the counter of records, and the columns that are decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventstore
from eventstore import Event, EventReader, EventStore
from eventstore import event as registered
from projections import analysis
from projections.analysis import scans
from projections.analysis.columns import Column, Exact
from projections.analysis.events import read_batches
from projections.analysis.predicates import fitting, values_of
from projections.analysis.sources import Selection
from tests.analysis.queried import ACCOUNTS, FILLS, QUOTED, SYMBOLS, recorded
from tests.analysis.recorded import draft, log_of
from tests.memory import directory_in_memory

ALL = ACCOUNTS * FILLS + 1
FILLED = ACCOUNTS * FILLS


@pytest.fixture(scope="module")
def store() -> Iterator[EventStore]:
    with recorded() as store:
        yield store


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The columns that each reading decodes."""
    seen: list[set[str]] = []

    original = read_batches

    def watched(
        reader: EventReader, selection: Selection, columns: Sequence[Column], exact: Exact
    ) -> Iterator[tuple[int, int, Any]]:
        seen.append({column.name for column in columns})
        return original(reader, selection, columns, exact)

    monkeypatch.setattr(scans, "read_batches", watched)
    return seen


@pytest.mark.parametrize(
    ("where", "read"),
    [
        ("account = 'A7'", FILLS),
        ("account in ('A7', 'A8', 'A9')", 3 * FILLS),
        ("account = 'A7' or account = 'A8'", 2 * FILLS),
        ("account = 'A7' and price > 1", FILLS),
        ("account = 'A1' and type = 'OrderFilled'", FILLS),
        ("account in ('A1', 'A2') and type = 'LockoutSet'", 1),
        ("type = 'LockoutSet'", 1),
        ("type in ('LockoutSet', 'Nothing')", 1),
        ("type <> 'OrderFilled'", 1),
        ("type = 'Nothing'", 0),
        ("account = 'nobody'", 0),
        ("account = 'it''s nobody /'", 0),
        ("account = ''", 0),
        ("account = 'A1' and account = 'A2'", 0),
        ("account <> 'A1'", ALL),
        ("account > 'A48'", ALL),
        ("account like 'A4%'", ALL),
        ("account = 'A1' or type = 'LockoutSet'", ALL),
        ("lower(account) = 'a1'", ALL),
        ("account is not null", ALL),
    ],
)
def test_only_records_that_a_query_asks_for_are_read(store: EventStore, where: str, read: int) -> None:
    result = analysis.sql(store, f"select count(*) as n from events where {where}")  # noqa: S608 - the test's own
    plain = analysis.sql(store, f"select count(*) as n from (select * from events offset 0) where {where}")  # noqa: S608
    assert result.records_read == read
    assert result.to_arrow().equals(plain.to_arrow())


def test_a_type_has_a_table_that_reads_only_its_records(store: EventStore) -> None:
    assert analysis.sql(store, "select * from lockout_set").records_read == 1
    assert analysis.sql(store, "select count(*) from order_filled").records_read == FILLED
    assert analysis.sql(store, "select count(*) from order_accepted").records_read == 0


def test_one_account_of_fifty_is_read_by_a_parameter_too(store: EventStore) -> None:
    query = "select count(*) from order_filled where account = $a and symbol = $s"
    result = analysis.sql(store, query, parameters={"a": "A7", "s": QUOTED})
    assert result.records_read == FILLS
    assert result.to_arrow().column(0).to_pylist() == [FILLS // 2]


def test_each_side_of_a_union_and_of_a_join_reads_its_own(store: EventStore) -> None:
    one, other = (f"select price from order_filled where account = '{name}'" for name in ("A7", "A8"))  # noqa: S608
    union = f"{one} union all {other}"
    assert analysis.sql(store, union).records_read in {2 * FILLS, 4 * FILLS}
    join = f"select * from ({one}) a join ({other}) b using (price)"  # noqa: S608 - the same
    assert analysis.sql(store, join).records_read == 2 * FILLS


def test_only_the_columns_that_a_query_names_are_decoded(store: EventStore, decoded: list[set[str]]) -> None:
    analysis.sql(store, "select account, sum(price) from order_filled group by account")
    assert decoded == [{"account", "price"}]
    decoded.clear()
    analysis.sql(store, "select sum(price) from order_filled where symbol = 'ESZ5' and account = 'A1'")
    assert decoded == [{"account", "price", "symbol"}]
    decoded.clear()
    analysis.sql(store, "select count(*) from events")
    assert [len(names) for names in decoded] == [1]


def test_nothing_is_read_to_describe_or_explain(store: EventStore) -> None:
    for query in ("describe order_filled", "show tables", "explain select * from events"):
        assert analysis.sql(store, query).records_read == 0


@pytest.mark.parametrize(
    "query", ["select * from events limit 3", "FROM order_filled LIMIT 3;", 'select "price" from events limit 3']
)
def test_a_glance_at_a_table_reads_its_beginning(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventstore.reader.COLUMNS_PAGE", 10)
    with recorded(accounts=2, fills=500) as store:
        result = analysis.sql(store, query)
    assert len(result) == 3
    assert result.records_read < 500


def test_a_limit_of_a_filtered_or_sorted_table_reads_what_it_must(store: EventStore) -> None:
    query = "select position from order_filled where account = 'A7' order by position desc limit 1"
    assert analysis.sql(store, query).to_arrow().column(0).to_pylist() == [8 * FILLS]


# The predicate that a scan is handed.

texts = st.sampled_from(["", "A", "A\0", "AB", "B", "it's", 'q"', "é"])
column = pl.col("account")
comparisons = st.one_of(
    st.builds(
        lambda name, text: getattr(column, name)(text), st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]), texts
    ),
    st.builds(
        lambda some: pl.when(column.is_null()).then(None).otherwise(column.is_in(some)), st.lists(texts, min_size=1)
    ),
    st.just(column.is_null()),
    st.just(column.is_not_null()),
    st.builds(lambda number: pl.col("n") > number, st.integers(0, 3)),
)
predicates = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | b, inner, inner),
        st.builds(lambda a: ~a, inner),
    ),
    max_leaves=5,
)


@given(predicates)
def test_no_row_that_fits_is_outside_of_the_texts_that_a_predicate_names(predicate: pl.Expr) -> None:
    values = ["", "\0", "@", "A", "A\0", "A\0\0", "AA", "AB", "AB\0", "B", "C", "it's", 'q"', "é", "é\0", "zz", None]
    rows = pl.DataFrame({"account": values * 4, "n": [n for n in range(4) for _ in values]})
    found = set(rows.filter(predicate)["account"].to_list())
    named = values_of(predicate, "account")
    assert named is None or found <= set(named)
    known = [value for value in values if value is not None]
    assert found - {None} <= set(fitting(predicate, "account", known))


def test_a_predicate_on_another_column_names_nothing() -> None:
    assert values_of(pl.col("n") == 3, "account") is None
    assert values_of((column == "A") | (pl.col("n") == 3), "account") is None
    assert values_of((column == "A") & (pl.col("n") == 3), "account") == ("A",)
    assert values_of(column == pl.col("other"), "account") is None


# The symbol.


@registered(name="SqlQuoted")
class Quoted(Event, frozen=True, kw_only=True):
    symbol: str = "ESZ5"
    note: str = ""


@registered(name="SqlOlder", schema=2, upcasters={1: lambda raw: {"symbol": raw["instrument"] + "Z5"}})
class Older(Event, frozen=True, kw_only=True):
    symbol: str


@pytest.mark.parametrize(
    ("where", "read"),
    [
        ("symbol = 'ESZ5'", FILLED // 2),
        ("symbol = 'ESZ5' and account = 'A7'", FILLS // 2),
        ("symbol = 'NQZ5'", 0),
        ("symbol = 'esz5'", 0),
        ("symbol is null", FILLED),
        ("symbol <> 'ESZ5'", FILLED),
        ("symbol in ('ESZ5', 'NQZ5')", FILLED),
    ],
)
def test_only_records_of_a_symbol_are_read(store: EventStore, where: str, read: int) -> None:
    result = analysis.sql(store, f"select count(*) as n from order_filled where {where}")  # noqa: S608 - the test's own
    plain = analysis.sql(store, f"select count(*) as n from (from order_filled offset 0) where {where}")  # noqa: S608
    assert result.records_read == read
    assert result.to_arrow().equals(plain.to_arrow())


@pytest.mark.parametrize("symbol", [*SYMBOLS, "é", "back\\slash", "tab\t", "a/b", "%", "_", "ESZ5 ", ""])
def test_a_symbol_is_found_whatever_it_is_called(symbol: str) -> None:
    with directory_in_memory() as directory, eventstore.open(directory) as log:
        others = [symbol + "x", "x" + symbol, symbol.upper() + "!", "other"]
        log.append("news/-/x", [Quoted(symbol=each, note="ESZ5") for each in (symbol, *others)])
        found = analysis.sql(log, "select position from sql_quoted where symbol = ?", parameters=[symbol])
        assert found.to_arrow().column(0).to_pylist() == [1]
        assert not symbol or len(analysis.events(log, types="SqlQuoted", symbol=symbol)) == 1
        assert len(analysis.sql(log, "select * from fills where symbol = ?", parameters=[symbol])) == 0


def test_a_symbol_that_is_left_out_as_the_default_is_found() -> None:
    with directory_in_memory() as directory, eventstore.open(directory) as log:
        log.append("news/-/x", [Quoted(), Quoted(symbol="NQZ5")])
        assert len(analysis.sql(log, "select * from sql_quoted where symbol = 'ESZ5'")) == 1


def test_a_symbol_that_older_data_has_in_another_form_is_found(tmp_path: Path) -> None:
    drafts = [
        draft("SqlOlder", '{"instrument":"ES"}', number=1, schema=1),
        draft("SqlOlder", '{"symbol":"ESZ5"}', number=2, schema=2),
        draft("SqlOlder", '{"symbol":"NQZ5"}', number=3, schema=2),
    ]
    log = log_of(*drafts, path=tmp_path / "journal.db")
    found = analysis.sql(log, "select position from events where symbol = 'ESZ5' order by 1")
    log.close()
    assert found.to_arrow().column(0).to_pylist() == [1, 2]


def test_a_search_for_a_rare_symbol_goes_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans, "SEARCHED_MAX", 3)
    with directory_in_memory() as directory, eventstore.open(directory) as log:
        log.append("news/-/x", [Quoted(symbol="rare" if number % 7 == 5 else "usual") for number in range(30)])
        found = analysis.sql(log, "select position from sql_quoted where symbol = 'rare' order by 1")
        assert found.to_arrow().column(0).to_pylist() == [6, 13, 20, 27]
        assert found.records_read == 4
