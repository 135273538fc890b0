"""A log in PostgreSQL, beside bare psycopg doing the same inserts and `eventsourcing` on the same server."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING

import psycopg
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

import eventstore
from benchmarks.rival import domain_event, mapper, originator_of
from benchmarks.rows import Row, compared, row
from benchmarks.threads import rate as threads_rate
from benchmarks.timing import NS_PER_US, each_ns, in_turns, percentile, ratio, seconds, spread
from benchmarks.workload import submitted
from eventstore.journals.postgres import rows as columns
from eventstore.journals.postgres.tables import SCHEMA
from tests.postgres.servers import running

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.setting import Setting
    from eventstore import EventStore, Record
    from tests.postgres.servers import PostgresServer

EVENTS = 1_000
APPEND_TIMES_MAX = 1.5
COPY_TIMES_MIN, RIVAL_TIMES_MIN = 0.9, 1.4
THREADS, THREADS_TIMES_MIN = 16, 4.0
READ_MIN = 250_000
WAKE_MS_MAX = 10.0

OURS, BARE, RIVAL = "store.append", "bare psycopg, a transaction with the insert", "eventsourcing's PostgreSQL recorder"
STATEMENT = "bare psycopg, the insert in autocommit mode"
COPY, INSERTS = "bare COPY, the same rows", "bare executemany, the same rows"


def measure(setting: Setting) -> list[Row]:
    with running(18, in_memory=False) as server:
        url = server.url(log="bench")
        with eventstore.open(url) as store, psycopg.connect(server.url(), autocommit=True) as bare:
            bare.execute("CREATE SCHEMA bare")
            bare.execute("SET search_path = bare")
            bare.execute(SCHEMA.encode())
            others = _Others(bare, server)
            rows = [
                *_appends(setting, store, others),
                *_batches(setting, store, others),
                _threads(setting, store),
                _reads(setting, store),
                _wakes(setting, store, url),
            ]
            others.close()
    return rows


class _Others:
    """What the store is compared with: a connection of its own, and the other library's recorder."""

    def __init__(self, bare: psycopg.Connection[tuple[object, ...]], server: PostgresServer) -> None:
        self.bare, self._positions = bare, itertools.count(1)
        parts = psycopg.conninfo.conninfo_to_dict(server.url())
        self._pool = PostgresDatastore(
            str(parts["dbname"]), str(parts["host"]), str(parts["port"]), str(parts["user"]), ""
        )
        self._recorder = PostgresApplicationRecorder(self._pool)
        self._recorder.create_table()
        self._mapper = mapper()
        self._streams = itertools.count()

    def close(self) -> None:
        self._pool.close()

    def rows(self, records: list[Record]) -> list[tuple[object, ...]]:
        """Return records as rows with a place of their own: with the ids, digests and streams of other records."""
        made: list[tuple[object, ...]] = []
        for record in records:
            position = next(self._positions)
            place = position.to_bytes(16, "big")
            made.append((
                place, f"{record.stream}/{position}", record.type, record.schema, record.occurred_at,
                record.data.decode(), record.actor, record.note, None, None, position, 1, record.recorded_at,
                record.digest, record.account,
            ))  # fmt: skip
        return made

    def insert(self, made: list[tuple[object, ...]]) -> None:
        with self.bare.transaction(), self.bare.cursor() as cursor:
            cursor.executemany(columns.INSERT, made)

    def insert_one(self, made: tuple[object, ...]) -> None:
        self.bare.execute(columns.INSERT.encode(), made)

    def insert_in_transaction(self, made: tuple[object, ...]) -> None:
        with self.bare.transaction():
            self.insert_one(made)

    def copy(self, made: list[tuple[object, ...]]) -> None:
        with self.bare.transaction(), self.bare.cursor() as cursor, cursor.copy(columns.COPY.encode()) as copy:
            copy.set_types(columns.KINDS)
            for each in made:
                copy.write_row(each)

    def put(self, count: int) -> None:
        """Encode and record so many events of one new aggregate with the other library."""
        originator = originator_of(f"order/ACC1/{next(self._streams)}")
        events = [domain_event(submitted(number), originator, number) for number in range(1, count + 1)]
        self._recorder.insert_events([self._mapper.to_stored_event(event) for event in events])


def _appends(setting: Setting, store: EventStore, others: _Others) -> list[Row]:
    rounds, times = setting.scaled(7, 2), setting.scaled(300, 20)
    numbers, event = itertools.count(), submitted(1)
    [record] = store.append("order/ACC1/first", event)
    taken: dict[str, list[float]] = {}

    def once(name: str, action: Callable[[], object]) -> Callable[[], float]:
        taken[name] = []

        def run() -> float:
            taken[name].append(percentile(each_ns(action, times), 0.5) / NS_PER_US)
            return 0.0

        return run

    made = iter(others.rows([record] * (2 * rounds * times)))
    measures = {
        OURS: once(OURS, lambda: store.append(f"order/ACC1/O-{next(numbers)}", event)),
        BARE: once(BARE, lambda: others.insert_in_transaction(next(made))),
        STATEMENT: once(STATEMENT, lambda: others.insert_one(next(made))),
        RIVAL: once(RIVAL, lambda: others.put(1)),
    }
    in_turns(rounds, measures, setting.rounds("postgres append", rounds))
    ours, rest = taken[OURS], {name: found for name, found in taken.items() if name != OURS}
    return [
        row(
            "postgres-append", "PostgreSQL: one durable append, p50", unit="µs", figures=ours,
            beside=compared(ours, rest), target=f"≤ {APPEND_TIMES_MAX} × bare",
            met=ratio(ours, taken[BARE]) <= APPEND_TIMES_MAX, note=f"{times} appends a round, without a standby",
        )
    ]  # fmt: skip


def _batches(setting: Setting, store: EventStore, others: _Others) -> list[Row]:
    rounds, batches = setting.scaled(7, 2), setting.scaled(10, 1)
    numbers, events = itertools.count(), [submitted(number) for number in range(EVENTS)]
    records = store.append("order/ACC1/batch", events, expected=0)

    def of_store() -> float:
        return sum(
            seconds(lambda: store.append(f"order/ACC1/B-{next(numbers)}", events, expected=0)) for _ in range(batches)
        )

    def of_rows(action: Callable[[list[tuple[object, ...]]], None]) -> Callable[[], float]:
        def run() -> float:
            made = [others.rows(records) for _ in range(batches)]
            return EVENTS * batches / sum([seconds(lambda each=each: action(each)) for each in made])  # type: ignore[misc]

        return run

    figures = in_turns(
        rounds,
        {
            OURS: lambda: EVENTS * batches / of_store(),
            COPY: of_rows(others.copy),
            INSERTS: of_rows(others.insert),
            RIVAL: lambda: EVENTS * batches / sum([seconds(lambda: others.put(EVENTS)) for _ in range(batches)]),
        },
        setting.rounds("postgres batches", rounds),
    )
    ours, rest = figures[OURS], {name: found for name, found in figures.items() if name != OURS}
    met = ratio(ours, rest[COPY]) >= COPY_TIMES_MIN and ratio(ours, rest[RIVAL]) >= RIVAL_TIMES_MIN
    return [
        row(
            "postgres-batches", "PostgreSQL: batches of 1,000", unit="events/s", figures=ours,
            beside=compared(ours, rest), target=f"≥ {COPY_TIMES_MIN} × bare COPY, ≥ {RIVAL_TIMES_MIN} × eventsourcing",
            met=met, note=f"{batches} batches a round, a stream for each; the others' rows are made beforehand",
        )
    ]  # fmt: skip


def _threads(setting: Setting, store: EventStore) -> Row:
    rounds, long = setting.scaled(5, 2), 1.0 if not setting.quick else 0.05
    measures = {f"{count}": lambda count=count: threads_rate(store, count, long) for count in (1, THREADS)}
    figures = in_turns(rounds, measures, setting.rounds("postgres threads", rounds))
    many, one = figures[f"{THREADS}"], figures["1"]
    return row(
        "postgres-threads", f"PostgreSQL: {THREADS} threads, one event each", unit="events/s", figures=many,
        beside=compared(many, {"one thread": one}), target=f"≥ {THREADS_TIMES_MIN:g} × one thread",
        met=ratio(many, one) >= THREADS_TIMES_MIN,
    )  # fmt: skip


def _reads(setting: Setting, store: EventStore) -> Row:
    head = store.head()

    def read() -> float:
        def decoded() -> None:
            for record in store.read(until=head):
                _ = record.event

        return head / seconds(decoded)

    rounds = setting.scaled(5, 2)
    figures = in_turns(rounds, {OURS: read}, setting.rounds("postgres read", rounds))[OURS]
    return row(
        "postgres-read", "PostgreSQL: reading and decoding a log", unit="events/s", figures=figures,
        target=f"≥ {READ_MIN:,} events/s", met=spread(figures).median >= READ_MIN, note=f"{head:,} events",
    )  # fmt: skip


def _wakes(setting: Setting, store: EventStore, url: str) -> Row:
    """How long after an append has returned another process's store, here of this process, has read the record."""
    times, rounds = setting.scaled(200, 10), setting.scaled(5, 2)
    event, arrived = submitted(1), threading.Event()
    at, found = [0.0], list[float]()
    ended = threading.Event()
    with eventstore.open(url) as follower:

        def follow() -> None:
            for _ in follower.follow(after=follower.head(), cancel=ended):
                at[0] = time.perf_counter()
                arrived.set()

        thread = threading.Thread(target=follow)
        thread.start()
        time.sleep(1.0)
        for number in range(rounds):
            taken = []
            for _ in range(times):
                arrived.clear()
                store.append("order/ACC1/wakes", event)
                done = time.perf_counter()
                assert arrived.wait(5)
                taken.append(max(at[0] - done, 0.0) * 1_000)
            found.append(percentile(taken, 0.99))
            setting.say(f"postgres follow: round {number + 1} of {rounds}")
        ended.set()
        thread.join()
    return row(
        "postgres-follow", "PostgreSQL: a follower of another store, p99", unit="ms", figures=found,
        target=f"≤ {WAKE_MS_MAX:g} ms", met=max(found) <= WAKE_MS_MAX, note=f"{times} appends a round",
    )  # fmt: skip
