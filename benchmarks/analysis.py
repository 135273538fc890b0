"""Analysis: a log read into Arrow, and equity and round trips of a million fills, beside plain polars and pandas."""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
from typing import TYPE_CHECKING, Any

import eventstore
from benchmarks.rows import Row, compared, row
from benchmarks.timing import in_turns, seconds, spread
from benchmarks.workload import MIX, append_all, lives
from projections import analysis
from projections.analysis import vectorised
from projections.analysis.libraries import library

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.setting import Setting

READ_MIN, EQUITY_MIN = 400_000, 3_000_000
TRIPS_SECONDS_MAX = 2.0
FILLS_MAX = 3
START = 1_764_500_000_000_000_000
_SQL = (
    "SELECT position, stream, version, type, recorded_at, occurred_at, data, actor, note FROM event ORDER BY position"
)

JOURNAL = "to_arrow, from the journal"
OURS_EQUITY, OURS_TRIPS = "equity", "round trips"
POLARS, PANDAS = "plain polars, in floats", "plain pandas, in floats"


def measure(setting: Setting) -> list[Row]:
    return [_read(setting), *_vectorised(setting)]


def _read(setting: Setting) -> Row:
    rounds, events = setting.scaled(5, 2), setting.scaled(400_000, 2_000)
    setting.say(f"analysis: writing {events:,} events")
    with setting.directory() as directory:
        lived = lives(random.Random(1), accounts=100, alive=setting.scaled(2_000, 20), fills_max=FILLS_MAX)
        with eventstore.open(directory) as store:
            append_all(store, itertools.islice(lived, events))
            path = next(directory.rglob("journal.db"))
            measures: dict[str, Callable[[], float]] = {
                JOURNAL: lambda: events / seconds(lambda: analysis.events(store, progress=False).to_arrow()),
                "sqlite3, and polars' json_decode by type": lambda: events / seconds(lambda: _by_polars(path)),
                "pandas.read_sql and json_normalize by type": lambda: events / seconds(lambda: _by_pandas(path)),
            }
            in_turns(1, measures)
            figures = in_turns(rounds, measures, setting.rounds("analysis", rounds))
    ours = figures.pop(JOURNAL)
    return row(
        "frame-journal",
        "events of all types as typed columns, from the journal: to_arrow",
        unit="events/s",
        figures=ours,
        beside=compared(ours, figures),
        target=f"≥ {READ_MIN:,} events/s",
        met=spread(ours).median >= READ_MIN,
        note=f"{events:,} events; {MIX.format(fills=FILLS_MAX)}",
    )


def _by_polars(path: Path) -> list[Any]:
    pl = library("polars")
    with sqlite3.connect(path) as connection:
        rows = connection.execute(_SQL).fetchall()
    names = ["position", "stream", "version", "type", "recorded_at", "occurred_at", "data", "actor", "note"]
    frame = pl.DataFrame(rows, schema=names, orient="row")
    found = []
    for part in frame.partition_by("type"):
        fields = {name for data in part["data"].head(100) for name in json.loads(data)}
        if fields:
            kind = pl.Struct(dict.fromkeys(sorted(fields), pl.String))
            part = part.with_columns(pl.col("data").str.json_decode(kind)).unnest("data", separator=".")  # noqa: PLW2901
        found.append(part)
    return found


def _by_pandas(path: Path) -> list[Any]:
    pd = library("pandas")
    with sqlite3.connect(path) as connection:
        frame = pd.read_sql_query(_SQL, connection)
    return [pd.json_normalize(part["data"].map(json.loads).tolist()) for _, part in frame.groupby("type")]


def _vectorised(setting: Setting) -> list[Row]:
    rounds, count = setting.scaled(5, 2), setting.scaled(1_000_000, 2_000)
    fills = _fills(count)
    frame, table = library("polars").from_arrow(fills), fills.to_pandas()
    measures: dict[str, Callable[[], float]] = {
        OURS_EQUITY: lambda: count / seconds(lambda: vectorised.equity(fills).to_arrow()),
        f"equity, {POLARS}": lambda: count / seconds(lambda: _polars_equity(frame)),
        f"equity, {PANDAS}": lambda: count / seconds(lambda: _pandas_equity(table)),
        OURS_TRIPS: lambda: seconds(lambda: vectorised.round_trips(fills).to_arrow()),
        "round trips, plain polars, in floats, without fills through zero": lambda: seconds(
            lambda: _polars_trips(frame)
        ),
        "round trips, a plain loop in floats": lambda: seconds(lambda: _looped_trips(fills)),
    }
    in_turns(1, measures)
    figures = in_turns(rounds, measures, setting.rounds("vectorised", rounds))
    names = list(measures)
    note = f"{count:,} fills of 20 accounts in 8 contracts; ours is exact"
    equity, trips = figures[OURS_EQUITY], figures[OURS_TRIPS]
    return [
        row(
            "vectorised-equity",
            "equity after each fill, as columns",
            unit="fills/s",
            figures=equity,
            beside=compared(equity, {name: figures[name] for name in names[1:3]}),
            target=f"≥ {EQUITY_MIN:,} fills/s",
            met=spread(equity).median >= EQUITY_MIN,
            note=note,
        ),
        row(
            "vectorised-round-trips",
            "round trips of a million fills, as columns",
            unit="s",
            figures=trips,
            beside=compared(trips, {name: figures[name] for name in names[4:]}),
            target=f"≤ {TRIPS_SECONDS_MAX:g} s",
            met=spread(trips).median <= TRIPS_SECONDS_MAX,
            note=note,
        ),
    ]


def _fills(count: int) -> Any:  # noqa: ANN401 - a table of Arrow's
    """Return fills in the order of time, of which those of each contract are mostly against what is held."""
    pa, np = library("pyarrow"), library("numpy")
    chance = np.random.default_rng(1)
    holding = np.arange(count) % 160
    # Buys and sells take turns within each holding, often enough that it is flat again and again.
    turn = np.arange(count) // 160 % 2 == chance.integers(0, 10, count) // 9
    at = START + np.cumsum(chance.integers(0, 10**9, count))
    accounts, symbols = (np.array([f"{name}{n:03}" for n in range(20)]) for name in ("ACC", "SYM"))
    return pa.table({
        "position": np.arange(1, count + 1),
        "occurred_at": pa.array(at).cast(pa.timestamp("ns", tz="UTC")),
        "account": pa.array(accounts[holding % 20]),
        "symbol": pa.array(symbols[holding // 20]),
        "side": pa.array(np.where(turn, "BUY", "SELL")),
        "quantity": chance.integers(1, 4, count).astype(np.float64),
        "price": 5_000 + chance.integers(0, 400, count) / 4,
        "multiplier": np.full(count, 50.0),
        "fee": np.full(count, 1.24),
        "currency": pa.array(["USD"] * count),
    })  # fmt: skip


def _polars_equity(frame: Any) -> Any:  # noqa: ANN401 - frames of polars'
    pl = library("polars")
    holding = ("account", "symbol")
    signed = pl.when(pl.col("side") == "BUY").then(pl.col("quantity")).otherwise(-pl.col("quantity"))
    held = (signed.cum_sum() - signed).over(holding)
    move = (pl.col("price") - pl.col("price").shift()).over(holding).fill_null(0)
    gained = held * move * pl.col("multiplier") - pl.col("fee")
    return frame.select("occurred_at", "account", gained.alias("gained")).with_columns(
        equity=pl.col("gained").cum_sum().over("account")
    )


def _pandas_equity(frame: Any) -> Any:  # noqa: ANN401 - frames of pandas'
    signed = frame["quantity"].where(frame["side"] == "BUY", -frame["quantity"])
    holding = [frame["account"], frame["symbol"]]
    held = signed.groupby(holding).cumsum() - signed
    move = frame.groupby(["account", "symbol"])["price"].diff().fillna(0)
    gained = held * move * frame["multiplier"] - frame["fee"]
    return gained.groupby(frame["account"]).cumsum()


def _polars_trips(frame: Any) -> Any:  # noqa: ANN401 - frames of polars'
    pl = library("polars")
    holding = ("account", "symbol")
    signed = pl.when(pl.col("side") == "BUY").then(pl.col("quantity")).otherwise(-pl.col("quantity"))
    steps = frame.with_columns(signed=signed).with_columns(held=pl.col("signed").cum_sum().over(holding))
    steps = steps.with_columns(
        trip=(pl.col("held") == 0).cast(pl.Int64).cum_sum().over(holding) - (pl.col("held") == 0)
    )
    return steps.group_by(*holding, "trip").agg(
        pl.col("occurred_at").first().alias("entry_at"),
        pl.col("occurred_at").last().alias("exit_at"),
        (-pl.col("signed") * pl.col("price") * pl.col("multiplier")).sum().alias("gross"),
        pl.col("fee").sum(),
        pl.col("held").last(),
    )


def _looped_trips(fills: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - a table of Arrow's
    names = ("occurred_at", "account", "symbol", "side", "quantity", "price", "multiplier", "fee")
    columns = [
        fills.column(name).cast("int64").to_pylist() if name == "occurred_at" else fills.column(name).to_pylist()
        for name in names
    ]
    running: dict[tuple[str, str], tuple[float, float, float, int]] = {}
    found: list[tuple[Any, ...]] = []
    for at, account, symbol, side, quantity, price, unit, fee in zip(*columns, strict=True):
        key = account, symbol
        held, made, fees, began = running.get(key, (0.0, 0.0, 0.0, at))
        signed = quantity if side == "BUY" else -quantity
        after = held + signed
        if not held:
            running[key] = signed, -signed * price * unit, fee, at
        elif after == 0 or (after > 0) is not (held > 0):
            found.append((*key, began, at, made + held * price * unit, fees + fee))
            running[key] = after, -after * price * unit, 0.0, at
        else:
            running[key] = after, made - signed * price * unit, fees + fee, began
    return found
