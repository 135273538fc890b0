"""Batches of 1,000 events, with ids, digests, tree and all indexes, against plain SQLite and `eventsourcing`."""

from __future__ import annotations

import itertools
import os
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

import eventstore
from benchmarks.rival import Rival, domain_event, originator_of
from benchmarks.rows import Row, compared, row
from benchmarks.timing import in_turns, ratio, seconds
from benchmarks.workload import submitted
from eventstore import files
from eventstore.journals.sqlite import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from uuid import UUID

    from benchmarks.setting import Setting
    from eventstore import EventStore

    Batches = Iterator[Callable[[], object]]
    Ready = Callable[[], Batches]

EVENTS = 1_000
RATE_MIN = 140_000
TIMES_MIN = 3.3

OURS = "store.append"
OURS_MADE = "events made and appended"
BARE = "bare executemany, same schema (apsw)"
APPLICATION = "eventsourcing, triggered and saved"
PUT = "eventsourcing, encoded and inserted"
INSERT = "eventsourcing, inserted only"

# The journal's own columns, in the order in which they are stored.
_INSERT = f"INSERT INTO event VALUES ({', '.join('?' * 15)})"  # noqa: S608 - constant text


class Order(Aggregate):
    """An order as that library's aggregate: 999 changes after its submission make a batch of 1,000."""

    @event("Submitted")
    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.filled = Decimal(0)

    @event("Changed")
    def change(  # noqa: PLR0917 - the members of our OrderSubmitted
        self, symbol: str, side: str, quantity: Decimal, order_type: str, limit_price: Decimal, strategy: str
    ) -> None:
        self.filled = quantity


def measure(setting: Setting) -> list[Row]:
    rounds, batches = setting.scaled(7, 2), setting.scaled(20, 1)
    with setting.directory() as directory, eventstore.open(directory / "ours") as store:
        ways = {
            OURS: _ours(store),
            OURS_MADE: _ours_made(store),
            BARE: _bare(directory / "bare"),
            APPLICATION: _application(directory / "application.db"),
            PUT: _rival(directory / "put.db", encoded=False),
            INSERT: _rival(directory / "insert.db", encoded=True),
        }

        def rate(way: Ready) -> Callable[[], float]:
            def run() -> float:
                prepared = list(itertools.islice(way(), batches))
                return EVENTS * batches / sum([seconds(batch) for batch in prepared])

            return run

        # Until the write-ahead logs have grown to their size, the file system makes room for them.
        in_turns(1, {name: rate(way) for name, way in ways.items()})
        figures = in_turns(rounds, {name: rate(way) for name, way in ways.items()}, setting.rounds("batches", rounds))
    ours, made = figures[OURS], figures[OURS_MADE]
    rate_met = sorted(ours)[len(ours) // 2] >= RATE_MIN
    return [
        row(
            "batches",
            "batches of 1,000",
            unit="events/s",
            figures=ours,
            beside=compared(ours, {BARE: figures[BARE]}),
            target=f"≥ {RATE_MIN:,} events/s",
            met=rate_met,
            note=f"{batches} batches a round, a stream for each, events made beforehand; a sync a batch",
        ),
        row(
            "batches-rival",
            "batches of 1,000, events made first",
            unit="events/s",
            figures=made,
            beside=compared(made, {name: figures[name] for name in (APPLICATION, PUT, INSERT)}),
            target=f"≥ {TIMES_MIN} × the first baseline",
            met=ratio(made, figures[APPLICATION]) >= TIMES_MIN,
            note="its other two ways do only part of the work: without creating, then also without encoding events",
        ),
    ]


def _ours(store: EventStore) -> Ready:
    numbers = itertools.count()

    def ready() -> Batches:
        for number in numbers:
            events = [submitted(index) for index in range(EVENTS)]
            yield partial(store.append, f"order/ACC1/A-{number:06}", events)

    return ready


def _ours_made(store: EventStore) -> Ready:
    numbers = itertools.count()

    def append(stream: str) -> None:
        store.append(stream, [submitted(index) for index in range(EVENTS)])

    def ready() -> Batches:
        for number in numbers:
            yield partial(append, f"order/ACC1/B-{number:06}")

    return ready


def _bare(directory: Path) -> Ready:
    """Rows made beforehand into the journal's own tables and indexes; each with the bytes that a digest has."""
    directory.mkdir()
    path = directory / "bare.db"
    files.create(path)
    connection = schema.connect(path)
    schema.prepare(connection, path, "bare", 0)
    connection.execute("PRAGMA wal_autocheckpoint = 8000")
    encode, numbers = eventstore.events.encode, itertools.count()
    kind, data = encode(submitted(1))
    columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(event)")]

    def rows(number: int) -> list[tuple[object, ...]]:
        stream = f"order/ACC1/C-{number:06}"
        made = []
        for version in range(1, EVENTS + 1):
            position = number * EVENTS + version
            values = {
                "position": position, "stream": stream, "version": version, "type": kind.name, "schema": kind.schema,
                "recorded_at": position, "occurred_at": position, "id": position.to_bytes(6, "big") + os.urandom(10),
                "data": data.decode(), "actor": "somebody@somewhere/program", "note": "", "correlation_id": None,
                "causation_id": None, "digest": os.urandom(32), "account": "ACC1",
            }  # fmt: skip
            made.append(tuple([values[name] for name in columns]))
        return made

    def insert(made: list[tuple[object, ...]]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_INSERT, made)
        connection.execute("COMMIT")

    def ready() -> Batches:
        for number in numbers:
            yield partial(insert, rows(number))

    return ready


def _application(path: Path) -> Ready:
    environment = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)}
    application: Application[UUID] = Application(env=environment)

    def save() -> None:
        order = Order("ESZ5")
        for _ in range(EVENTS - 1):
            order.change("ESZ5", "BUY", Decimal(1), "LIMIT", Decimal("5001.25"), "opening-range")
        application.save(order)

    return lambda: itertools.repeat(save)


def _rival(path: Path, *, encoded: bool) -> Ready:
    rival, numbers = Rival(path), itertools.count()

    def ready() -> Batches:
        for number in numbers:
            originator = originator_of(f"order/ACC1/D-{number:06}")
            events = [domain_event(submitted(index), originator, index + 1) for index in range(EVENTS)]
            if encoded:
                yield partial(rival.recorder.insert_events, rival.stored(events))
            else:
                yield partial(rival.put, events)

    return ready
