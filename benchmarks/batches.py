"""One `append_many` of 1,000 events in three shapes, against plain SQLite with the same rows and `eventsourcing`."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

import msgspec

import eventstore
from benchmarks.rival import Rival, domain_event, originator_of
from benchmarks.rows import Row, compared, row
from benchmarks.timing import in_turns, ratio, seconds, spread
from benchmarks.workload import submitted
from eventstore import Batch, files
from eventstore.journals.memory import MemoryJournal
from eventstore.journals.sqlite import schema
from eventstore.store import EventStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import apsw

    from benchmarks.setting import Setting
    from eventstore import Record

    Batches = Iterator[Callable[[], object]]

TIMES_MIN = 2.1
SHARE_MIN = 0.5

OURS = "store.append_many"
BARE = "bare executemany, same rows and schema (apsw)"
RIVAL = "eventsourcing, encoded and inserted"
WAYS = (OURS, BARE, RIVAL)


class Shape(msgspec.Struct, frozen=True):
    """Of one append: how many streams, all new and appended to with `expected=0`, and how many events in each."""

    name: str
    what: str
    streams: int
    each: int
    rate_min: int

    @property
    def events(self) -> int:
        return self.streams * self.each

    def names(self, number: int) -> list[str]:
        """Return the streams of the append of this number."""
        return [f"order/ACC1/O-{number:06}-{index:04}" for index in range(self.streams)]


SHAPES = (
    Shape("batches", "one append_many: 200 streams × 5 events", 200, 5, 120_000),
    Shape("batches-streams", "the same: 1,000 streams × 1 event", 1_000, 1, 70_000),
    Shape("batches-stream", "the same: 1 stream × 1,000 events", 1, 1_000, 125_000),
)


def measure(setting: Setting) -> list[Row]:
    rounds, batches = setting.scaled(7, 2), setting.scaled(20, 1)
    with setting.directory() as directory:
        measures: dict[str, Callable[[], float]] = {}
        stores = []
        for shape in SHAPES:
            place = directory / shape.name
            store = eventstore.open(place / "ours")
            stores.append(store)
            ways = (_ours(store, shape), _bare(place / "bare", shape), _rival(place / "rival.db", shape))
            for way, made in zip(WAYS, ways, strict=True):
                measures[f"{shape.name}, {way}"] = _rate(made, shape, batches)
        # Until the write-ahead logs have grown to their size, the file system makes room for them.
        in_turns(1, measures)
        figures = in_turns(rounds, measures, setting.rounds("batches", rounds))
        for store in stores:
            store.close()
    rows = [_row(shape, {way: figures[f"{shape.name}, {way}"] for way in WAYS}) for shape in SHAPES]
    note = f"{batches} batches a round, a sync each; new streams, expected=0, events made beforehand"
    return [msgspec.structs.replace(rows[0], note=note), *rows[1:]]


def _row(shape: Shape, figures: dict[str, list[float]]) -> Row:
    ours = figures.pop(OURS)
    is_met = (
        spread(ours).median >= shape.rate_min
        and ratio(ours, figures[BARE]) >= SHARE_MIN
        and ratio(ours, figures[RIVAL]) >= TIMES_MIN
    )
    return row(
        shape.name,
        shape.what,
        unit="events/s",
        figures=ours,
        beside=compared(ours, figures),
        target=f"≥ {shape.rate_min:,}, {SHARE_MIN} × bare and {TIMES_MIN} × eventsourcing",
        met=is_met,
    )


def _rate(made: Batches, shape: Shape, batches: int) -> Callable[[], float]:
    def run() -> float:
        prepared = list(itertools.islice(made, batches))
        return shape.events * batches / sum([seconds(batch) for batch in prepared])

    return run


def _made(shape: Shape, number: int) -> list[Batch]:
    return [
        Batch(stream, [submitted(index) for index in range(shape.each)], expected=0) for stream in shape.names(number)
    ]


def _ours(store: EventStore, shape: Shape) -> Batches:
    for number in itertools.count():
        yield partial(store.append_many, _made(shape, number))


def _bare(directory: Path, shape: Shape) -> Batches:
    """Yield what inserts rows that are made beforehand into the journal's own tables and indexes."""
    connection = _prepared(directory / "bare.db")
    columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(event)")]
    insert = f"INSERT INTO event VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - constant text

    def write(rows: list[tuple[object, ...]]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, rows)
        connection.execute("COMMIT")

    for number in itertools.count():
        # A log in memory makes the rows of the same append; the next one's positions follow.
        records = EventStore(MemoryJournal()).append_many(_made(shape, number))
        first = number * shape.events
        moved = [msgspec.structs.replace(record, position=first + record.position) for record in records]
        yield partial(write, [_values(record, columns) for record in moved])


def _prepared(path: Path) -> apsw.Connection:
    path.parent.mkdir(parents=True)
    files.create(path)
    connection = schema.connect(path)
    schema.prepare(connection, path, "bare", 0)
    connection.execute("PRAGMA wal_autocheckpoint = 8000")
    return connection


def _values(record: Record, columns: list[str]) -> tuple[object, ...]:
    return tuple([record.data.decode() if name == "data" else getattr(record, name) for name in columns])


def _rival(path: Path, shape: Shape) -> Batches:
    """Yield the library's best way that does the same work: the events of all its aggregates in one insertion."""
    rival = Rival(path)
    assert rival.is_synced
    for number in itertools.count():
        yield partial(
            rival.put,
            [
                domain_event(submitted(index), originator_of(stream), index + 1)
                for stream in shape.names(number)
                for index in range(shape.each)
            ],
        )
