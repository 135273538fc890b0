"""Appends and lookups while a mirror catches up, and while its server is dead or paused."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from typing import TYPE_CHECKING

import eventstore
import projections
from benchmarks.influx_server import ACCOUNTS, ALIVE, FILLS_MAX, forget, fresh_bucket, shipped, shipping, wait_for
from benchmarks.rows import Row, compared, row
from benchmarks.timing import NS_PER_US, each_ns, in_turns, percentile, ratio
from benchmarks.workload import append_all, lives, submitted
from tests.influx.servers import LocalServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from benchmarks.setting import Setting
    from tests.influx.api import Server

    Taken = dict[str, list[list[int]]]
    State = Callable[[Server, Path], AbstractContextManager[None]]

TIMES_MAX = 2.0
QUIET = "quiet: no mirror"
BUSY = "catching up"
DEAD = "its server killed"
PAUSED = "its server paused"

APPEND, LOOKUP = "append", "book.orders.get"
LOOKUPS_EACH = 10
# Requests that were in flight when the server ended are over by then: the lasting state is measured.
SETTLED_SECONDS = 0.5
# A mirror that notices the appends has full-size batches encoded ahead, which it sends first.
NOTICED_SECONDS = 1.5


def measure(setting: Setting, server: Server) -> list[Row]:
    rounds, times, backlog = setting.scaled(7, 1), setting.scaled(1_000, 20), setting.scaled(150_000, 7_000)
    states: dict[str, State] = {BUSY: _busy, QUIET: _quiet}
    if isinstance(server, LocalServer):
        states |= {DEAD: _dead, PAUSED: _paused}
    else:
        setting.say("influx_beside: measured only while it catches up, no influxd here to kill and pause")
    setting.say(f"influx_beside: writing {backlog:,} events")
    with setting.directory() as directory, eventstore.open(directory) as store:
        events = lives(random.Random(10), accounts=ACCOUNTS, alive=ALIVE, fills_max=FILLS_MAX)
        append_all(store, itertools.islice(events, backlog))
        folder = store.directory
        assert folder is not None
        with projections.open(store, snapshots=False) as book:
            numbers, event = itertools.count(), submitted(1)
            orders = itertools.cycle([(order.account, order.order_id) for order in book.orders.open()])
            actions: dict[str, Callable[[], object]] = {
                APPEND: lambda: store.append(f"order/ACC1/B-{next(numbers):08}", event),
                LOOKUP: lambda: book.orders.get(*next(orders)),
            }
            taken: dict[str, Taken] = {action: {state: [] for state in states} for action in actions}

            def once(name: str) -> Callable[[], float]:
                def run() -> float:
                    with states[name](server, folder):
                        if name == BUSY:
                            _append_for(0.0 if setting.quick else NOTICED_SECONDS, actions[APPEND])
                        for action, found in _timed(actions, times).items():
                            taken[action][name].append(found)
                        if name == BUSY and not setting.quick:
                            assert shipped(folder) < store.head(), "it caught up before the end of the measurement"
                    return 0.0

                return run

            in_turns(rounds, {name: once(name) for name in states}, setting.rounds("influx_beside", rounds))
    note = (
        f"{times:,} appends a round, {LOOKUPS_EACH} lookups after each; the mirror begins at 0 of {backlog:,} events, "
        f"and has had {NOTICED_SECONDS:g} s to notice the appends"
    )
    return [
        _row("influx-append-p50", "append while a mirror catches up, p50", taken[APPEND], 0.5, note),
        _row("influx-append-p99", "append while a mirror catches up, p99", taken[APPEND], 0.99),
        _row("influx-lookup-p99", "lookup while a mirror catches up, p99", taken[LOOKUP], 0.99),
    ]


def _row(name: str, what: str, taken: Mapping[str, list[list[int]]], part: float, note: str = "") -> Row:
    figures = {state: [percentile(each, part) / NS_PER_US for each in rounds] for state, rounds in taken.items()}
    ours = figures.pop(BUSY)
    judged = part == 0.99
    return row(
        name,
        what,
        unit="µs",
        figures=ours,
        beside=compared(ours, figures),
        target=f"≤ {TIMES_MAX:g} × quiet" if judged else "",
        met=ratio(ours, figures[QUIET]) <= TIMES_MAX if judged else None,
        note=note,
    )


def _timed(actions: Mapping[str, Callable[[], object]], times: int) -> dict[str, list[int]]:
    taken: dict[str, list[int]] = {action: [] for action in actions}
    for _ in range(times):
        taken[APPEND] += each_ns(actions[APPEND], 1)
        taken[LOOKUP] += each_ns(actions[LOOKUP], LOOKUPS_EACH)
    return taken


def _append_for(seconds: float, append: Callable[[], object]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        append()


@contextlib.contextmanager
def _quiet(_: Server, __: Path) -> Iterator[None]:
    yield


@contextlib.contextmanager
def _busy(server: Server, folder: Path) -> Iterator[None]:
    forget(folder)
    with fresh_bucket(server) as settings, shipping(folder, settings):
        wait_for(folder, 1)
        yield


@contextlib.contextmanager
def _dead(server: Server, folder: Path) -> Iterator[None]:
    assert isinstance(server, LocalServer)
    with _busy(server, folder):
        server.kill()
        try:
            time.sleep(SETTLED_SECONDS)
            yield
        finally:
            server.restart()


@contextlib.contextmanager
def _paused(server: Server, folder: Path) -> Iterator[None]:
    assert isinstance(server, LocalServer)
    with _busy(server, folder):
        server.pause()
        try:
            time.sleep(SETTLED_SECONDS)
            yield
        finally:
            server.resume()
