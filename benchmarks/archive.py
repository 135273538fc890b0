"""The archive: its size, and its events as Arrow, against the journal and against plain polars and pandas code."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import eventstore
from benchmarks.rows import Row, compared, row
from benchmarks.timing import in_turns, seconds, spread
from benchmarks.workload import MIX, append_all, lives
from projections import analysis

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.setting import Setting

RATE_MIN = 5_000_000
SHARE_MAX = 25.0
FILLS_MAX = 3
ACCOUNTS = 10
STORED = ["data", "digest_start", "id", "correlation_id", "causation_id", "schema", "stream"]
"""What a frame of events leaves out."""

ALL = "to_arrow, all types and columns"
PLAIN = "polars reading the same files itself"
PANDAS = "pandas reading the same files itself"
JOURNAL = "to_arrow from the journal"


def measure(setting: Setting) -> list[Row]:
    rounds, events = setting.scaled(3, 2), 10_000_000 if setting.full else setting.scaled(500_000, 4_000)
    setting.say(f"archive: writing {events:,} events")
    with setting.directory() as directory:
        folder = directory / "archive"
        with eventstore.open(directory / "data") as store:
            lived = lives(random.Random(1), accounts=ACCOUNTS, alive=setting.scaled(2_000, 20), fills_max=FILLS_MAX)
            append_all(store, itertools.islice(lived, events))
            done = analysis.archive(store, folder, until=store.head(), progress=False)
        assert done.head == events
        # Closed, so that nothing is left in a write-ahead log beside it.
        journal_bytes = (directory / "data" / "main" / "journal.db").stat().st_size

        def rate(action: Callable[[], Any]) -> Callable[[], float]:
            return lambda: events / seconds(action)

        measures = {
            ALL: rate(lambda: analysis.events(folder, progress=False).to_arrow()),
            PLAIN: rate(lambda: _by_polars(folder)),
            PANDAS: rate(lambda: _by_pandas(folder)),
            JOURNAL: rate(lambda: analysis.events(directory / "data", progress=False).to_arrow()),
        }
        in_turns(1, measures)
        figures = in_turns(rounds, measures, setting.rounds("archive", rounds))
    ours = figures.pop(ALL)
    share = 100 * done.size / journal_bytes
    note = f"{events:,} events; {MIX.format(fills=FILLS_MAX)}"
    return [
        row(
            "archive",
            "events from the archive as Arrow, all columns, in the order of the log",
            unit="events/s",
            figures=ours,
            beside=compared(ours, figures),
            target=f"≥ {RATE_MIN:,} events/s",
            met=spread(ours).median >= RATE_MIN,
            note=note,
        ),
        row(
            "archive-size",
            "the archive, of the journal's bytes",
            unit="%",
            figures=[share],
            target=f"≤ {SHARE_MAX:g} %",
            met=share <= SHARE_MAX,
            note=f"{done.size / events:.1f} of {journal_bytes / events:.0f} bytes an event",
        ),
    ]


def _by_polars(folder: Path) -> int:
    """Read the files as somebody would who knows nothing of this project, and put the rows in the log's order."""
    import polars as pl

    frames = [pl.read_parquet(path).drop(STORED) for path in folder.glob("*/*.parquet")]
    return len(pl.concat(frames, how="diagonal_relaxed").sort("position").to_arrow())


def _by_pandas(folder: Path) -> int:
    import pandas as pd

    # As Arrow's types, because a million rows of Python's objects take gigabytes.
    frames = [pd.read_parquet(path, dtype_backend="pyarrow") for path in folder.glob("*/*.parquet")]
    return len(pd.concat([frame.drop(columns=STORED) for frame in frames]).sort_values("position"))
