"""The recorded processes: four appenders on one log, with a book, policies and copies of the log.

python -m tests.powercut.appending < orders, a line of JSON each; answers each with the exit codes of its processes
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path

import apsw
import msgspec
from typing_extensions import override

import eventstore
import projections
from eventstore import EventStore, Record
from eventstore.journals import background
from eventstore.journals.sqlite import checkpointing, reservation, schema
from eventstore.journals.sqlite import journal as sqlite
from eventstore.journals.sqlite.restore import Restoration
from eventstore.trading import OrderFilled, Side
from projections.risk.policies import Policies
from tests.powercut.recording import Finished, Recorder, install
from tests.projections.policy_scene import Loss
from tests.reliability.checking import reported, submitted
from tests.reliability.worker import Writer

# The log, a backup of it and what is written again from its records, below the recorded directory.
DATA, COPY, RESTORED = "data", "copies/first", "copies/restored"
KEYS = 30
# Small enough that the write-ahead log is moved over, and given back, several times in each life.
CHECKPOINT_PAGES = 40
WAL_BYTES_MAX = 60_000
LOOK_SECONDS = 0.01
# Room for the write-ahead log is made in several parts.
USED_BYTES_MIN, PART_BYTES_MAX = 10_000, 16_000


class Life(msgspec.Struct, frozen=True):
    """One process: its stores and the threads that append to each, and how it ends."""

    name: str
    stores: int = 1
    threads: int = 1
    steps: int = 0
    trades: bool = False
    copies: bool = False
    closes: bool = False
    die_at_sync: int = 0


class Order(msgspec.Struct, frozen=True):
    """What to record: which processes side by side, one generation after another, and whether SQLite is to sync."""

    root: str
    log: str
    seed: int
    generations: list[list[Life]]
    unsynced: bool = False


# Four appenders each: threads of one store, of two stores in one process, of two processes, and four processes.
SHAPES = ((1, 1, 4), (1, 2, 2), (2, 1, 2), (4, 1, 1))


class Appender(Writer):
    """A writer whose acknowledgements stand in the recording."""

    def __init__(self, store: EventStore, recorder: Recorder, name: str, seed: int) -> None:
        super().__init__(store, Path(os.devnull), name, seed)
        self._recorder = recorder

    @override
    def step(self) -> None:
        verbs = [self.single, self.several, self.batches, self.keyed, self.queued, self.flushed, self.marked]
        self._chance.choice(verbs)()

    @override
    def keyed(self) -> None:
        self.repeat(self._chance.randint(1, KEYS))

    def repeat(self, key: int) -> None:
        """Append a fact that another, perhaps killed since, may have appended."""
        self._acknowledge(self._store.append("order/shared/keyed", submitted(), key=str(key)))

    def flushed(self) -> None:
        """Enqueue a few, and take for their acknowledgement that `flush` returns."""
        given = [self._store.enqueue(self._stream("order"), reported(self._label())) for _ in range(3)]
        self._store.flush()
        self._acknowledge([record for pending in given for record in pending.result()])

    def marked(self) -> None:
        """Write the head's watermark without a sync, as the journal does each second."""
        journal = self._store._journal
        assert isinstance(journal, sqlite.SqliteJournal)
        journal._write_watermark(synced=False)

    @override
    def _acknowledge(self, records: Iterable[Record]) -> None:
        self._recorder.acknowledge(records)


def drawn(seed: int) -> list[list[Life]]:
    """Draw three generations of four appenders, the first two often killed, which the next ones find out."""
    chance = random.Random(seed)
    generations = []
    for number in range(3):
        processes, stores, threads = chance.choice(SHAPES)
        killed = number < 2 and chance.random() < 0.6
        generations.append(
            [
                Life(
                    name=f"{number}.{index}",
                    stores=stores,
                    threads=threads,
                    steps=chance.randint(2, 9),
                    trades=index == 0,
                    copies=number > 0 and index == 0,
                    closes=chance.random() < 0.7,
                    die_at_sync=a_sync(chance) if killed else 0,
                )
                for index in range(processes)
            ]
        )
    return generations


def a_sync(chance: random.Random) -> int:
    """Draw the number of a sync: one while the log is created, one among its first records, or a later one."""
    return chance.choice([chance.randint(1, 9), chance.randint(10, 20), chance.randint(21, 60)])


def live(life: Life, root: Path, recorder: Recorder, chance: random.Random) -> None:
    """Append from all threads, trade, copy the log, and close it or leave it."""
    stores = [eventstore.open(root / DATA) for _ in range(life.stores)]
    recorder.record(Finished("opening", life.name, 0))
    work: list[Callable[[], None]] = []
    for number, store in enumerate(stores * life.threads):
        appender = Appender(store, recorder, f"{life.name}.{number}", chance.getrandbits(32))
        work.append(lambda appender=appender: append(appender, life.steps))  # type: ignore[misc]
    if life.trades:
        work.append(lambda: trade(stores[0], life.name, recorder))
    if life.copies:
        work.append(lambda: copy(stores[-1], root, recorder))
    _run(work)
    if life.closes:
        for store in stores:
            store.close()


def _run(work: list[Callable[[], None]]) -> None:
    failures: list[BaseException] = []
    threads = [threading.Thread(target=_guarded, args=(task, failures)) for task in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in failures:
        raise failure


def _guarded(task: Callable[[], None], failures: list[BaseException]) -> None:
    try:
        task()
    except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
        failures.append(error)


def append(appender: Appender, steps: int) -> None:
    for key in range(1, 6):
        appender.repeat(key)
    for _ in range(steps):
        appender.step()


def trade(store: EventStore, name: str, recorder: Recorder) -> None:
    """Lose until the policy locks the accounts, with a cut after each loss."""
    with projections.open(store) as book:
        # A policy of the whole log's life, and one that begins at the head of this life.
        names = "loss", f"loss-{name}"
        policies = Policies(book, [Loss(name) for name in names]).start(ticking=False)
        for policy in names:
            recorder.record(Finished("policy", policy, 0))
        for number in range(4):
            account = f"T{number % 2}"
            recorder.acknowledge(book.append(f"order/{account}/{name}.{number}", loss(f"{name}.{number}")))
            book.snapshot()
        policies.stop()


def loss(label: str) -> list[OrderFilled]:
    sides = ((Side.BUY, 100), (Side.SELL, 94))
    return [
        OrderFilled(trade_id=f"{label}{side}", symbol="ES", side=side, quantity=Decimal(1), price=Decimal(price))
        for side, price in sides
    ]


def copy(store: EventStore, root: Path, recorder: Recorder) -> None:
    """Make a backup, and rebuild the log from its records."""
    head = store.head()
    # What a killed process has finished without an acknowledgement stays as it is.
    if not (root / COPY / "main" / "journal.db").exists():
        store.backup(root / COPY)
        recorder.record(Finished("copy", COPY, head))
    records = list(itertools.islice(store.read(), head))
    target = root / RESTORED / "main" / "journal.db"
    if not records or target.exists():
        return
    known = {(record.type, record.schema) for record in records}
    types = [kind for kind in store._journal.types() if (kind.name, kind.schema) in known]
    restoration = Restoration(target, "main", store.log_id, created_at=records[0].recorded_at, types=types)
    try:
        restoration.add(records)
        restoration.finish()
    finally:
        restoration.abandon()
    recorder.record(Finished("copy", RESTORED, len(records)))


def serve() -> None:
    """For each order fork the processes of its lives, and answer with the codes they ended with."""
    checkpointing.CHECKPOINT_PAGES, schema.WAL_BYTES_MAX, background.LOOK_SECONDS = (
        CHECKPOINT_PAGES,
        WAL_BYTES_MAX,
        LOOK_SECONDS,
    )
    reservation.USED_BYTES_MIN, reservation.PART_BYTES_MAX = USED_BYTES_MIN, PART_BYTES_MAX
    for line in sys.stdin:
        order = msgspec.json.decode(line, type=Order)
        codes: list[int] = []
        for generation in order.generations:
            children = [_fork(order, life) for life in generation]
            codes += [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(msgspec.json.encode(codes).decode(), flush=True)  # noqa: T201 - the answer


def _fork(order: Order, life: Life) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        root = Path(order.root)
        recorder = Recorder(root, Path(order.log), die_at_sync=life.die_at_sync)
        install(recorder)
        if order.unsynced:
            _leave_out_syncs()
        live(life, root, recorder, random.Random(f"{order.seed} {life.name}"))
        code = 0
    except BaseException:  # noqa: BLE001 - printed for the parent, and the fork ends here
        traceback.print_exc()
    os._exit(code)


def _leave_out_syncs() -> None:
    prepare = schema.prepare

    def prepared(connection: apsw.Connection, *more: object) -> tuple[str, bytes]:
        answer = prepare(connection, *more)  # type: ignore[arg-type]
        connection.execute("PRAGMA synchronous = OFF")
        return answer

    schema.prepare = prepared  # type: ignore[assignment]


if __name__ == "__main__":
    serve()
