"""Several processes on one log in PostgreSQL: all append, and each folds the accounts of a part of the shares."""

from __future__ import annotations

import itertools
import random
import sys
import threading
import time
from contextlib import ExitStack
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING

import eventstore
import projections
from benchmarks.members import rebalances
from benchmarks.rows import Row, compared, row
from benchmarks.timing import in_turns, ratio
from benchmarks.workload import append_all, lives, submitted
from projections.shares import SHARES, AccountShares
from tests.postgres.servers import running

if TYPE_CHECKING:
    from benchmarks.setting import Setting

PROCESSES, PROCESSES_TIMES_MIN = 8, 0.7
WORKERS, WORKERS_TIMES_MIN = 2, 1.5
REBALANCE_SECONDS = 5
ACCOUNTS, FILLS_MAX = 100, 3
APPENDS, FOLDS = "appends", "folds"


def measure(setting: Setting) -> list[Row]:
    with running(18, in_memory=False) as server:
        folded = server.url(log="folded")
        return [_appending(setting, server.url(log="appended")), _folding(setting, folded), *_dividing(setting, folded)]


def _appending(setting: Setting, url: str) -> Row:
    rounds, long = setting.scaled(5, 1), 0.1 if setting.quick else 2.0
    processes = setting.scaled(PROCESSES, 2)
    eventstore.open(url).close()
    measures = {
        f"{count}": lambda count=count: sum(_answers([[APPENDS, url, str(long)]] * count)) / long
        for count in (1, processes)
    }
    figures = in_turns(rounds, measures, setting.rounds("postgres processes", rounds))
    many, one = figures[f"{processes}"], figures["1"]
    return row(
        "postgres-processes", f"PostgreSQL: {processes} processes, one event each", unit="events/s", figures=many,
        beside=compared(many, {"one process": one}), target=f"≥ {PROCESSES_TIMES_MIN} × one process",
        met=ratio(many, one) >= PROCESSES_TIMES_MIN,
    )  # fmt: skip


def _folding(setting: Setting, url: str) -> Row:
    rounds, events = setting.scaled(5, 1), setting.scaled(100_000, 2_000)
    with eventstore.open(url) as store:
        facts = lives(random.Random(1), accounts=ACCOUNTS, alive=setting.scaled(2_000, 20), fills_max=FILLS_MAX)
        head = append_all(store, itertools.islice(facts, events))
    parts = {count: [[FOLDS, url, f"{number}/{count}"] for number in range(count)] for count in (1, WORKERS)}
    # Together they are done when the last one is.
    measures = {f"{count}": lambda each=each: head / max(_answers(each)) for count, each in parts.items()}
    figures = in_turns(rounds, measures, setting.rounds("group workers", rounds))
    many, one = figures[f"{WORKERS}"], figures["1"]
    return row(
        "group-workers", f"PostgreSQL: {WORKERS} workers fold a log, each half of the shares", unit="events/s",
        figures=many, beside=compared(many, {"one worker": one}), target=f"≥ {WORKERS_TIMES_MIN} × one worker",
        met=ratio(many, one) >= WORKERS_TIMES_MIN, note=f"{head:,} events of {ACCOUNTS} accounts, without snapshots",
    )  # fmt: skip


def _dividing(setting: Setting, url: str) -> list[Row]:
    """Return how long partitions are not worked on, or not by whom they should be, on the log that was folded."""
    found = rebalances(url, setting.scaled(5, 1))
    what = {
        "join": "a second member joins, and each works on its half",
        "leave": "it leaves, and the first works on all",
        "death": "it is killed, and the first works on all",
    }
    return [
        row(
            f"group-{name}", f"PostgreSQL: {what[name]}", unit="s", figures=seconds, target=f"≤ {REBALANCE_SECONDS} s",
            met=max(seconds) <= REBALANCE_SECONDS, note="the longest counts",
        )
        for name, seconds in found.items()
    ]  # fmt: skip


def _answers(commands: list[list[str]]) -> list[float]:
    """Start processes, let them begin together once all are ready, and return what each prints."""
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                Popen([sys.executable, "-m", "benchmarks.hosts", *words], stdin=PIPE, stdout=PIPE, text=True)
            )
            for words in commands
        ]
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        return [float(process.communicate()[0]) for process in started]


def _main(kind: str, url: str, argument: str) -> None:
    with eventstore.open(url) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        print(_appended(store, float(argument)) if kind == APPENDS else _folded(store, argument))


def _appended(store: eventstore.EventStore, long: float) -> int:
    """Return how many events were appended, one by one, in so many seconds."""
    number, name, end = 0, threading.get_native_id(), time.perf_counter() + long
    while time.perf_counter() < end:
        store.append(f"order/ACC1/{name}-{number}", submitted(number))
        number += 1
    return number


def _folded(store: eventstore.EventStore, part: str) -> float:
    """Return the seconds in which the accounts of a part of the shares, `0/2` for the first half, are folded."""
    number, count = map(int, part.split("/"))
    shares = AccountShares(frozenset(range(number, SHARES, count)))
    began = time.perf_counter()
    projections.open(store, accounts=shares, snapshots=False, processes=1).close()
    return time.perf_counter() - began


if __name__ == "__main__":
    _main(*sys.argv[1:])
