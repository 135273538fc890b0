"""Verifying a log: its records in one process and in two, the check of its columns and indexes, and all together."""

from __future__ import annotations

import contextlib
import hashlib
import random
from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import override

import eventstore
from benchmarks.rows import Beside, Row, compared, row
from benchmarks.timing import in_turns, seconds, spread
from benchmarks.workload import append_all, lives
from eventstore.journals.sqlite import ReadOnlyJournal, rows, schema
from eventstore.proofs.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.setting import Setting
    from eventstore.journal import Fault

RECORDS = 600_000
ORDERS_ALIVE = 1_000
ONE_MIN, TWO_MIN = 380_000, 500_000

ONE = "in one process"
TWO = "in two processes"
INDEXES = "columns and indexes"
ALL = "all"
BARE = "every row read, and SHA-256 of its data"


class RecordsOnly(ReadOnlyJournal):
    """A log of which `verify` checks the records and the tree: the rest is measured apart."""

    @override
    def integrity(self, *, is_canceled: Callable[[], bool] | None = None) -> list[Fault]:
        return []


def measure(setting: Setting) -> list[Row]:
    rounds = setting.scaled(5, 2)
    with setting.directory() as directory:
        records = _write(setting, directory)
        path = directory / "main" / "journal.db"
        with (
            contextlib.closing(RecordsOnly(path)) as records_only,
            contextlib.closing(ReadOnlyJournal(path)) as journal,
        ):
            actions = {
                ONE: partial(_verify, records_only, 1),
                TWO: partial(_verify, records_only, 2),
                INDEXES: partial(_check, journal),
                ALL: partial(_verify, journal, None),
                BARE: partial(_bare, path),
            }
            measures = {name: _rate(action, records) for name, action in actions.items()}
            figures = in_turns(rounds, measures, setting.rounds("verify", rounds))
    note = f"{records:,} records; digests, positions, times and the tree"
    bare = {BARE: figures[BARE]}
    return [
        _row("verify-one", ONE, figures[ONE], beside=compared(figures[ONE], bare), least=ONE_MIN, note=note),
        _row("verify-two", TWO, figures[TWO], beside=compared(figures[TWO], {ONE: figures[ONE]}), least=TWO_MIN),
        _row("verify-indexes", INDEXES, figures[INDEXES], note="SQL alone, in one thread"),
        _row("verify", ALL, figures[ALL], note="store.verify, with both cores"),
    ]


def _row(
    name: str,
    what: str,
    figures: list[float],
    *,
    beside: tuple[Beside, ...] = (),
    least: int | None = None,
    note: str = "",
) -> Row:
    return row(
        name,
        f"verify: {what}",
        unit="records/s",
        figures=figures,
        beside=beside,
        target="" if least is None else f"≥ {least:,}",
        met=None if least is None else spread(figures).median >= least,
        note=note,
    )


def _write(setting: Setting, directory: Path) -> int:
    facts = lives(random.Random(5), accounts=100, alive=setting.scaled(ORDERS_ALIVE, 20), fills_max=3)
    events = setting.scaled(RECORDS, 4_000)
    setting.say(f"verify: writing {events:,} events")
    with eventstore.open(directory) as store:
        while store.head() < events:
            append_all(store, [next(facts) for _ in range(min(50_000, events - store.head()))])
        return store.head()


def _rate(action: Callable[[], object], records: int) -> Callable[[], float]:
    return lambda: records / seconds(action)


def _verify(journal: ReadOnlyJournal, processes: int | None) -> None:
    found = verify(journal, processes=processes)
    assert found.ok, found.reason


def _check(journal: ReadOnlyJournal) -> None:
    assert journal.integrity() == []


def _bare(path: Path) -> None:
    connection = schema.connect(path)
    for _, _, _, _, _, data, *_ in connection.execute(f"SELECT {rows.COLUMNS} FROM event ORDER BY position"):  # noqa: S608 - constant
        hashlib.sha256(data).digest()
    connection.close()
