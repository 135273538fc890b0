"""SQL over a log: its tables, its columns, its parameters, and every query that does not run as one clear error."""

from __future__ import annotations

import copy
import datetime
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import eventstore
from eventstore import Event, EventStore, InvalidEvent, StoreError
from eventstore import event as registered
from eventstore.events.registry import registered_names
from eventstore.trading import Side
from projections import analysis
from projections.analysis.columns import RECORD, members_of
from projections.analysis.parameters import Parameters
from tests.analysis.queried import ACCOUNTS, FILLS, QUOTED, START, recorded
from tests.memory import directory_in_memory


@registered(name="sql.Heard-Of")
class HeardOf(Event, frozen=True, kw_only=True):
    words: str


@registered(name="SqlHTTPSeen2")
class Seen(Event, frozen=True, kw_only=True):
    words: str


@registered(name="sql_heard_of")
class HeardOfAgain(Event, frozen=True, kw_only=True):
    words: str


@pytest.fixture(scope="module")
def store() -> Iterator[EventStore]:
    with recorded() as store:
        yield store


def rows(store: EventStore, query: str, **options: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - those of sql
    found = analysis.sql(store, query, **options).to_arrow().to_pylist()
    return [tuple(row.values()) for row in found]


# Queries that cannot be run.


@pytest.mark.parametrize("query", [None, "", "  ", 3, b"select 1", "select '\ud800'"])
def test_what_is_not_text_is_refused(store: EventStore, query: str) -> None:
    with pytest.raises(InvalidEvent, match="query is SQL"):
        analysis.sql(store, query)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("selct 1", 'Parser Error: syntax error at or near "selct"'),
        ("select nosuch from events", 'Referenced column "nosuch" not found'),
        ("select cast('a' as int)", "Could not convert string 'a'"),
        ("select error('no more')", "no more"),
        ("select 'a' + 1 from nosuch_function()", "nosuch_function"),
        ("-- nothing", "no statement"),
        ("insert into events select * from events; select 1", "events is not"),
        ("delete from order_filled; select 1", "base table"),
        ("select * from read_csv('/nonexistent/file.csv')", "No files found"),
        (
            "set memory_limit = '1MB'; select count(*) from range(1000000) a join range(1000000) b using (range)",
            "emory",
        ),
    ],
)
def test_a_query_that_does_not_run_fails_in_the_words_of_duckdb(store: EventStore, query: str, words: str) -> None:
    with pytest.raises(analysis.QueryFailed) as caught:
        analysis.sql(store, query)
    assert words in str(caught.value)
    assert isinstance(copy.copy(caught.value), StoreError)


def test_an_unknown_table_is_answered_with_the_nearest_and_all_others(store: EventStore) -> None:
    with pytest.raises(analysis.QueryFailed) as caught:
        analysis.sql(store, "select * from order_fild")
    text = str(caught.value)
    assert text.startswith("there is no table order_fild: did you mean order_filled? There are ")
    assert "events, records, lockout_set, order_filled, and " in text
    assert "order_accepted" not in text
    assert text.endswith("SHOW TABLES lists all")


@pytest.mark.parametrize(
    "query",
    ["create table t as select 1", "insert into events select * from events", "drop view events", "set threads = 1"],
)
def test_a_query_that_would_only_write_is_refused_before_it_runs(store: EventStore, query: str) -> None:
    with pytest.raises(analysis.QueryFailed, match=r"gives no rows.*never changed by SQL"):
        analysis.sql(store, query)


@pytest.mark.parametrize(
    "query",
    [
        "load httpfs",
        "install httpfs; select 1",
        "force install httpfs",
        "update extensions",
        "attach 'x' (type sqlite); select 1",
        "from 'https://example.org/a.parquet'",
        "create secret s (type s3); select 1",
        "from sqlite_scan('a', 'b')",
    ],
)
def test_extensions_and_the_network_are_out_of_reach(store: EventStore, query: str) -> None:
    with pytest.raises(analysis.QueryFailed, match="extensions of DuckDB can be neither installed nor loaded"):
        analysis.sql(store, query)


@pytest.mark.parametrize(
    "setting",
    [
        "autoinstall_known_extensions = true",
        "autoload_known_extensions = true",
        "extension_directory = '/'",
        "lock_configuration = false",
        "allowed_configs = []",
        "allow_community_extensions = true",
    ],
)
def test_a_query_cannot_open_what_is_closed(store: EventStore, setting: str) -> None:
    with pytest.raises(analysis.QueryFailed, match="locked"):
        analysis.sql(store, f"set {setting}; select 1")


def test_variables_of_python_are_not_tables(store: EventStore) -> None:
    frame = pd.DataFrame({"a": [1]})
    for query in ("select * from frame", "select 1; select * from relation"):
        with pytest.raises(analysis.QueryFailed, match=r"there is no table (frame|relation)"):
            analysis.sql(store, query)
    assert len(frame) == 1


def test_arguments_that_mean_nothing_are_refused(store: EventStore) -> None:
    for options in ({"time": "x"}, {"account": "a b"}, {"exact": 1}, {"start": "yesterday"}, {"stop": 3}):
        with pytest.raises(InvalidEvent):
            analysis.sql(store, "select 1", **options)


# Several statements, settings and files.


def test_statements_run_in_order_and_the_last_one_gives_the_rows(store: EventStore) -> None:
    query = "create table t as select account from order_filled; insert into t values ('X'); select count(*) from t"
    assert rows(store, query) == [(ACCOUNTS * FILLS + 1,)]
    with pytest.raises(analysis.QueryFailed, match="there is no table t"):
        analysis.sql(store, "select * from t")


def test_memory_and_threads_are_settings_of_duckdb(store: EventStore) -> None:
    shown = "select current_setting('threads'), current_setting('memory_limit')"
    query = f"set threads = 1; set memory_limit = '500MiB'; {shown}"
    assert rows(store, query) == [(1, "500.0 MiB")]


def test_the_zone_of_a_query_is_utc(store: EventStore) -> None:
    assert rows(store, "select current_setting('TimeZone'), cast(timestamptz '2026-01-01 00:30+02' as date)") == [
        ("UTC", datetime.date(2025, 12, 31))
    ]


def test_local_files_can_be_read_and_written(store: EventStore, tmp_path: Path) -> None:
    target = tmp_path / "fills.csv"
    written = rows(store, f"copy (select position, price from order_filled where account = 'A0') to '{target}'")  # noqa: S608
    assert written == [(FILLS,)]
    assert rows(store, f"select count(*) from '{target}' join order_filled using (position)") == [(FILLS,)]  # noqa: S608


def test_a_query_leaves_no_files_behind(store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    query = "set memory_limit = '30MiB'; select range as a from range(3000000) order by a % 7, a desc"
    assert len(analysis.sql(store, query)) == 3_000_000
    ((spill,),) = rows(store, "select current_setting('temp_directory')")
    assert Path(spill).parent == Path(tempfile.gettempdir())
    assert not Path(spill).exists()
    assert not list(tmp_path.iterdir())


# Parameters.


def test_a_parameter_is_never_sql(store: EventStore) -> None:
    query = "select count(*), min(symbol) from order_filled where symbol = ?"
    assert rows(store, query, parameters=[QUOTED]) == [(ACCOUNTS * FILLS // 2, QUOTED)]
    assert rows(store, "select count(*) from order_filled where account = $who", parameters={"who": "' or 1=1 --"}) == [
        (0,)
    ]


@pytest.mark.parametrize(
    ("query", "parameters", "words"),
    [
        ("select ?", None, "has 1 parameters, and 0 values"),
        ("select 1", [1], "has 0 parameters, and 1 values"),
        ("select ?, ?", [1], "has 2 parameters"),
        ("select $a", [1], "name them"),
        ("select $a", {"b": 1}, r"\$a, and values are given for \$b"),
        ("select 1", {"b": 1}, r"none, and values are given for \$b"),
        ("select ?", "x", "parameters is a sequence"),
        ("select ?", 3, "parameters is a sequence"),
        ("select ?; select ?", [1], "in several statements"),
        ("select ?", [Decimal("1e40")], "1E.40"),
        ("select ?", [Decimal("NaN")], "NaN"),
        ("select ?", [Decimal("1e-38")], "1E-38"),
    ],
)
def test_parameters_that_do_not_fit_are_named(
    store: EventStore, query: str, parameters: Parameters, words: str
) -> None:
    with pytest.raises(InvalidEvent, match=words):
        analysis.sql(store, query, parameters=parameters)


@pytest.mark.parametrize("value", [object(), 1 << 200, "\ud800", {1, 2}.__iter__])
def test_a_parameter_of_an_unknown_kind_is_an_error_of_the_project(store: EventStore, value: object) -> None:
    with pytest.raises(StoreError):
        analysis.sql(store, "select ?", parameters=[value])


def test_parameters_keep_their_value(store: EventStore) -> None:
    at = pd.Timestamp(START + 3, tz="Europe/Berlin")
    assert rows(store, "select position from order_filled where occurred_at = ?", parameters=[at]) == [(4,)]
    text = "2025-11-30T10:53:20.000000003Z"
    assert rows(store, "select position from order_filled where occurred_at = ?", parameters=[text]) == [(4,)]
    assert rows(store, "select ?", parameters=[pd.Timestamp(START + 3)]) == [(pd.Timestamp(START + 3),)]
    assert rows(store, "select ?", parameters=[Decimal("0.123456789123456789")]) == [(Decimal("0.123456789123456789"),)]
    assert rows(store, "select ?", parameters=[Decimal("1e-37")]) == [(Decimal("1e-37"),)]
    assert rows(store, "select ?, ?, ?", parameters=[Side.BUY, np.int64(3), None]) == [("BUY", 3, None)]


def test_a_mapping_serves_all_statements(store: EventStore) -> None:
    query = "create table t as select $a as a; select a, $b from t"
    assert rows(store, query, parameters={"a": 1, "b": 2}) == [(1, 2)]


# Tables.


def test_an_empty_log_has_all_tables_with_the_right_columns() -> None:
    with directory_in_memory() as directory, eventstore.open(directory) as empty:
        found = analysis.sql(empty, "select * from order_filled", exact=True)
        assert len(found) == 0
        assert found.columns == [each.name for each in RECORD] + [
            each.column.name for each in members_of("OrderFilled")
        ]
        assert str(found.schema.field("price").type) == "decimal128(38, 9)"
        assert str(found.schema.field("occurred_at").type) == "timestamp[ns, tz=UTC]"
        assert analysis.sql(empty, "select * from events").columns == [each.name for each in RECORD]
        assert rows(empty, "select count(*), sum(price) from order_filled") == [(0, None)]
        assert len(found.to_pandas()) == len(found.to_polars()) == 0


def test_there_is_a_table_for_each_type_and_show_lists_them(store: EventStore) -> None:
    names = {name for (name,) in rows(store, "show tables")}
    assert {"events", "records", "order_filled", "lockout_set", "pnl_reported", "sql_http_seen2"} <= names
    assert len(names) >= len(registered_names()) + 2
    assert {"days", "equity", "fills", "headroom", "lockouts", "orders", "positions", "round_trips"} <= names


def test_types_that_come_to_one_name_are_all_there() -> None:
    with directory_in_memory() as directory, eventstore.open(directory) as log:
        log.append("news/-/x", [HeardOf(words="a"), HeardOfAgain(words="b"), Seen(words="c")])
        assert rows(log, "select words from sql_heard_of") == [("a",)]
        assert rows(log, "select words from event_sql_heard_of") == [("b",)]
        assert rows(log, 'select words from "SQL_HTTP_SEEN2"') == [("c",)]


@pytest.mark.parametrize(
    "name", ["days", "equity", "fills", "headroom", "lockouts", "orders", "positions", "round_trips"]
)
def test_each_frame_is_a_table(name: str) -> None:
    with recorded(accounts=3, fills=5) as log:
        frame = getattr(analysis, name)(log, exact=True)
        result = analysis.sql(log, f"select * from {name}", exact=True)  # noqa: S608 - the test's own
        assert result.columns == frame.columns
        assert len(result) == len(frame)
        alone = analysis.sql(log, f"select * from {name} where account = 'A1'", exact=True)  # noqa: S608
        assert len(alone) == len(getattr(analysis, name)(log, account="A1", exact=True))
        plain = f"select count(*) as n from (select * from {name} offset 0)"  # noqa: S608
        for where in ("account in ('A0', 'A2', 'nobody')", "account = 'no/body'", "account > 'A1'", "account = ''"):
            count = analysis.sql(log, f"select count(*) as n from {name} where {where}")  # noqa: S608
            assert count.to_arrow().equals(analysis.sql(log, f"{plain} where {where}").to_arrow())


def test_a_frame_that_cannot_be_made_says_why_only_where_it_is_asked_for(store: EventStore) -> None:
    with pytest.raises(InvalidEvent, match="account"):
        analysis.sql(store, "select * from returns")
    assert rows(store, "select 1 as returns") == [(1,)]


def test_a_keyword_that_is_a_column_is_explained(store: EventStore) -> None:
    with pytest.raises(analysis.QueryFailed, match='write the column of that name as "at"'):
        analysis.sql(store, "select at from equity")
    assert analysis.sql(store, 'select "at" from equity').columns == ["at"]


def test_what_is_stored_of_each_event_is_a_table(store: EventStore) -> None:
    ((digest, data, price),) = rows(
        store,
        "select digest, data, data ->> 'price' from records join order_filled using (position) where position = 1",
    )
    record = next(iter(store.read(limit=1)))
    assert (digest, data, price) == (record.digest.hex(), record.data.decode(), "5000.25")


def test_a_column_named_like_a_table_is_a_column(store: EventStore) -> None:
    assert rows(store, 'select 1 as fills, 2 as equity, 3 as "order_accepted"') == [(1, 2, 3)]


def test_bounds_and_account_hold_for_all_tables(store: EventStore) -> None:
    both = "select count(*) from events union all select count(*) from order_filled"
    assert rows(store, both, start=START + 5, stop=START + 8) == [(3,), (3,)]
    assert rows(store, both, account="A1") == [(FILLS + 1,), (FILLS,)]
    assert rows(store, "select count(*) from events where account = 'A2'", account="A1") == [(0,)]
    last = store.read(limit=10)
    recorded_at = [record.recorded_at for record in last]
    assert rows(store, both, start=recorded_at[2], stop=recorded_at[5], time="recorded") == [(3,), (3,)]


def test_all_tables_of_a_query_are_of_one_moment() -> None:
    with recorded(accounts=2, fills=2) as store:
        query = (
            "select (select count(*) from events), (select count(*) from order_filled), (select count(*) from records)"
        )
        assert rows(store, query) == [(5, 4, 5)]


def test_a_path_is_a_store_too(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as log:
        log.append("news/-/x", HeardOf(words="a"))
    assert len(analysis.sql(tmp_path / "data", "select * from events")) == 1


# Results.


def test_a_result_is_a_frame_of_any_kind(store: EventStore) -> None:
    result = analysis.sql(store, "select account, count(*) n from order_filled group by account order by account")
    assert result.columns == ["account", "n"]
    assert len(result) == len(result.to_pandas()) == len(result.to_polars()) == result.to_arrow().num_rows == ACCOUNTS
    assert list(result.to_pandas().n) == [FILLS] * ACCOUNTS
    assert repr(result) == "<QueryResult rows: 50 rows, 2 columns>"
    assert "A0" in result._repr_html_()


def test_columns_of_one_name_get_different_names(store: EventStore) -> None:
    result = analysis.sql(store, "select 1 as a, 2 as a, 3 as a_2, 4 as a")
    assert result.columns == ["a", "a_3", "a_2", "a_4"]
    assert result.to_pandas().iloc[0].to_list() == list(result.to_polars().row(0)) == [1, 2, 3, 4]


def test_types_that_no_frame_has_are_shown_and_converted_all_the_same(store: EventStore) -> None:
    query = (
        "select interval '1 day' i, interval '2 month' m, [1, 2] l, {'a': 'x'} s, map {'k': 1} p, 'ab'::blob b, "
        "null n, uuid() u, time '10:00' t, 3::hugeint h, '\\xFF'::blob f, date '2026-01-02' d, true t2, 1e300 e"
    )
    result = analysis.sql(store, query)
    row = result.to_arrow().to_pylist()[0]
    assert row["i"] == pd.Timedelta(days=1)
    assert row["m"] == "2 months 0 days 0 ns"
    assert row["h"] == 3
    assert str(result.schema.field("h").type) == "int64"
    assert len(result.to_pandas()) == len(result.to_polars()) == 1
    assert "[1, 2]" in result._repr_html_()


def test_values_that_do_not_fit_the_usual_type_stay_as_they_are(store: EventStore) -> None:
    result = analysis.sql(store, "select 170141183460469231731687303715884105727 h, timestamptz '9999-12-31 00:00Z' t")
    row = result.to_arrow().to_pylist()[0]
    assert int(row["h"]) == (1 << 127) - 1
    assert row["t"].year == 9999
    assert len(result) == 1
