"""SQL: an aggregation over all events of an archive, beside plain polars, DuckDB and pandas over the same Parquet."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import eventstore
from benchmarks.rows import Row, compared, row
from benchmarks.timing import in_turns, seconds, spread
from benchmarks.workload import MIX, append_all, lives
from projections import analysis
from projections.analysis.libraries import library

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.setting import Setting
    from eventstore import EventStore

RATE_MIN = 10_000_000
FILLS_MAX = 3
ACCOUNTS = 100
QUERY = """
    SELECT account, count(*) AS events, sum(quantity) AS quantity, sum(quantity * price) AS amount
    FROM {table} GROUP BY account
"""

OURS = "analysis.sql"
POLARS, DUCKDB, PANDAS = "plain polars, scan_parquet", "plain DuckDB, read_parquet", "plain pandas, read_parquet"
JOURNAL = "analysis.sql over the journal"


def measure(setting: Setting) -> list[Row]:
    rounds, events = setting.scaled(5, 2), setting.scaled(1_000_000, 2_000, 10_000_000)
    setting.say(f"sql: writing and archiving {events:,} events")
    with setting.directory() as directory, eventstore.open(directory / "data") as store:
        lived = lives(random.Random(1), accounts=ACCOUNTS, alive=setting.scaled(2_000, 20), fills_max=FILLS_MAX)
        append_all(store, itertools.islice(lived, events))
        folder = directory / "archive"
        analysis.archive(store, folder, until=store.head(), progress=False)
        assert _ours(folder).to_arrow().num_rows == _polars(folder).height
        figures = _figures(setting, store, folder, rounds, events)
    ours = figures.pop(OURS)
    return [
        row(
            "sql-archive",
            "SQL over an archive: sums over all events by account",
            unit="events/s",
            figures=ours,
            beside=compared(ours, figures),
            target=f"≥ {RATE_MIN:,} events/s",
            met=spread(ours).median >= RATE_MIN,
            note=f"{events:,} events, {MIX.format(fills=FILLS_MAX)}; opening the archive is counted",
        )
    ]


def _figures(setting: Setting, store: EventStore, folder: Path, rounds: int, events: int) -> dict[str, list[float]]:
    measures: dict[str, Callable[[], float]] = {
        OURS: lambda: events / seconds(lambda: _ours(folder)),
        POLARS: lambda: events / seconds(lambda: _polars(folder)),
        DUCKDB: lambda: events / seconds(lambda: _duckdb(folder)),
        PANDAS: lambda: events / seconds(lambda: _pandas(folder)),
    }
    in_turns(1, measures)
    figures = in_turns(rounds, measures, setting.rounds("sql", rounds))
    # Once is enough for what takes a hundred times as long.
    figures[JOURNAL] = [events / seconds(lambda: _ours(store))] * rounds
    return figures


def _ours(log: EventStore | Path) -> analysis.QueryResult:
    return analysis.sql(log, QUERY.format(table="events"), progress=False)


def _polars(folder: Path) -> Any:  # noqa: ANN401 - a frame of polars
    pl = library("polars")
    columns = "account", "quantity", "price"
    parts = [
        pl.scan_parquet(path, missing_columns="insert").select(
            [
                pl.col(name) if name in pl.scan_parquet(path).collect_schema() else pl.lit(None).alias(name)
                for name in columns
            ]
        )
        for path in sorted(folder.glob("*/*.parquet"))
    ]
    quantity, price = (pl.col(name).cast(pl.Float64) for name in ("quantity", "price"))
    sums = pl.concat(parts, how="vertical_relaxed").group_by("account")
    return sums.agg(pl.len(), quantity.sum(), (quantity * price).sum().alias("amount")).collect()


def _duckdb(folder: Path) -> Any:  # noqa: ANN401 - a table of Arrow's
    files = f"read_parquet('{folder}/*/*.parquet', union_by_name = true)"
    with library("duckdb").connect() as connection:
        query = QUERY.format(table=files).replace("quantity)", "quantity::DOUBLE)")
        return connection.sql(query.replace("quantity * price", "quantity::DOUBLE * price::DOUBLE")).to_arrow_table()


def _pandas(folder: Path) -> Any:  # noqa: ANN401 - a frame of pandas
    pd, parquet = library("pandas"), library("pyarrow.parquet")
    columns = ["account", "quantity", "price"]
    parts = []
    for path in sorted(folder.glob("*/*.parquet")):
        there = set(parquet.read_schema(path).names)
        part = pd.read_parquet(path, columns=[name for name in columns if name in there])
        parts.append(part.reindex(columns=columns))
    frame = pd.concat(parts)
    frame["quantity"] = pd.to_numeric(frame["quantity"])
    frame["amount"] = frame["quantity"] * pd.to_numeric(frame["price"])
    sums = frame.groupby("account")
    return sums.agg(events=("account", "size"), quantity=("quantity", "sum"), amount=("amount", "sum"))
