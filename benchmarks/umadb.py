"""UmaDB, an event store with a server of its own, on the same work: one durable append, and a batch of many streams."""

from __future__ import annotations

import contextlib
import itertools
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec

import eventstore
from benchmarks.rows import Row, compared, row
from benchmarks.timing import NS_PER_US, each_ns, in_turns, percentile, seconds
from benchmarks.workload import submitted
from eventstore import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from umadb import Client

    from benchmarks.setting import Setting
    from eventstore import EventStore

    Action = Callable[[], object]

STREAMS, EACH = 200, 5
OURS, UMADB = "ours", "UmaDB, over gRPC to its server"
WITHOUT = "without condition"
_SERVER = (sys.executable, "-c", "from umadb.umadb_server_cli import main; main()")


def measure(setting: Setting) -> list[Row]:
    rounds, times, batches = setting.scaled(9, 2), setting.scaled(500, 20), setting.scaled(20, 1)
    with (
        setting.directory() as directory,
        eventstore.open(directory / "ours") as store,
        served(directory / "uma.db") as client,
    ):
        singles, many = {OURS: _single(store)}, {OURS: _batch(store)}
        if not isinstance(client, str):
            singles[UMADB] = _their_single(client)
            many |= {UMADB: _their_batch(client), WITHOUT: _their_batch(client, is_conditional=False)}
        p50 = {name: _p50(action, times) for name, action in singles.items()}
        rate = {name: _rate(action, batches) for name, action in many.items()}
        in_turns(1, {**p50})
        in_turns(1, {**rate})
        taken = in_turns(rounds, p50, setting.rounds("umadb, one append", rounds))
        rates = in_turns(rounds, rate, setting.rounds("umadb, batches", rounds))
    said = f"it is not measured: {client}" if isinstance(client, str) else "both encode and sync"
    ours, others = taken.pop(OURS), rates.pop(OURS)
    return [
        row(
            "umadb-append",
            "one durable append, p50, beside UmaDB",
            unit="µs",
            figures=ours,
            beside=compared(ours, taken),
            note=f"{times} appends a round, an event each; {said}",
        ),
        row(
            "umadb-batch",
            f"one batch of {STREAMS} new streams × {EACH}, beside UmaDB",
            unit="events/s",
            figures=others,
            beside=compared(others, rates),
            note=f"{batches} batches a round, on condition that none of the streams exists; {said}",
        ),
    ]


@contextlib.contextmanager
def served(path: Path, server: tuple[str, ...] = _SERVER) -> Iterator[Client | str]:
    """Yield a client of a server on a free port of the loopback; or, where none can be started, why."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [*server, "--listen", address, "--db-path", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            last = ""
            for line in process.stdout:
                last = line.strip() or last
                if "is listening on" in line:
                    break
            else:
                yield f"its server cannot be started ({last})"
                return
            # Not before: it takes Ctrl-C for itself when it is imported.
            from umadb import Client

            with contextlib.closing(Client(f"http://{address}")) as client:
                yield client
        finally:
            process.terminate()


def _p50(action: Action, times: int) -> Callable[[], float]:
    return lambda: percentile(each_ns(action, times), 0.5) / NS_PER_US


def _rate(prepare: Callable[[], Action], batches: int) -> Callable[[], float]:
    def run() -> float:
        prepared = [prepare() for _ in range(batches)]
        return STREAMS * EACH * batches / sum([seconds(batch) for batch in prepared])

    return run


def _single(store: EventStore) -> Action:
    numbers, event = itertools.count(), submitted(1)
    return lambda: store.append(f"order/ACC1/O-{next(numbers):08}", event)


def _their_single(client: Client) -> Action:
    from umadb import Event

    numbers, event, encode = itertools.count(), submitted(1), msgspec.json.encode
    return lambda: client.append([Event("OrderSubmitted", encode(event), tags=[f"order/ACC1/O-{next(numbers):08}"])])


def _streams(numbers: Iterator[int]) -> list[str]:
    return [f"order/ACC1/B-{number:08}" for number in itertools.islice(numbers, STREAMS)]


def _batch(store: EventStore) -> Callable[[], Action]:
    """Return what makes a batch's events, and returns what appends them."""
    numbers = itertools.count()

    def prepare() -> Action:
        made = [(stream, [submitted(index) for index in range(EACH)]) for stream in _streams(numbers)]
        return lambda: store.append_many([Batch(stream, events, expected=0) for stream, events in made])

    return prepare


def _their_batch(client: Client, *, is_conditional: bool = True) -> Callable[[], Action]:
    """Return the same for UmaDB, where a stream is a tag of its events."""
    from umadb import AppendCondition, Event, Query, QueryItem

    numbers, encode = itertools.count(0 if is_conditional else 10**7), msgspec.json.encode

    def prepare() -> Action:
        made = [(stream, [submitted(index) for index in range(EACH)]) for stream in _streams(numbers)]

        def append() -> None:
            events = [
                Event("OrderSubmitted", encode(event), tags=[stream]) for stream, several in made for event in several
            ]
            none = Query([QueryItem(tags=[stream]) for stream, _ in made]) if is_conditional else None
            client.append(events, None if none is None else AppendCondition(none))

        return append

    return prepare
