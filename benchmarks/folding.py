"""Folding all of a book's views, in one process and in two, beside `eventsourcing` reading and decoding its log."""

from __future__ import annotations

import itertools
import os
import random
from typing import TYPE_CHECKING

import eventstore
import projections
from benchmarks.replay import RIVAL, folded, rival_of
from benchmarks.rows import Row, compared, row
from benchmarks.timing import in_turns, ratio, seconds, spread
from benchmarks.workload import MIX, append_all, five_events, lives
from projections.builtin import builtin_views
from projections.fold import Fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.setting import Setting
    from benchmarks.workload import StreamEvent
    from eventstore import EventStore

FILLS_MAX = 3
FIVE_MIN, MIX_MIN = 150_000, 85_000
PROCESSES = 2
TIMES_MIN = 1.8
FIVE = "each order is submitted, accepted and filled in three parts, every second one closes; 20 accounts"
BOTH = f"{MIX.format(fills=FILLS_MAX)}; 100 accounts"
ONE = "one process"


def measure(setting: Setting) -> list[Row]:
    mix = lives(random.Random(1), accounts=100, alive=setting.scaled(2_000, 20), fills_max=FILLS_MAX)
    return [
        _fold(setting, "fold-five", five_events(accounts=20), FIVE, FIVE_MIN),
        _fold(setting, "fold-mix", mix, BOTH, MIX_MIN),
        *_processes(setting),
    ]


def _fold(setting: Setting, name: str, facts: Iterator[StreamEvent], note: str, rate_min: int) -> Row:
    rounds, events = setting.scaled(5, 2), setting.scaled(200_000, 2_000)
    setting.say(f"{name}: writing {events:,} events")
    with setting.directory() as directory, eventstore.open(directory / "ours") as store:
        written = list(itertools.islice(facts, events))
        append_all(store, written)
        rival = rival_of(directory / "rival.db", written)
        del written
        ours = f"{name}, ours"
        measures: dict[str, Callable[[], float]] = {
            ours: lambda: events / seconds(lambda: folded(store, _as_opened())),
            RIVAL: lambda: events / seconds(rival.read_all),
        }
        in_turns(1, measures)
        figures = in_turns(rounds, measures, setting.rounds(name, rounds))
        rival.close()
    return row(
        name,
        f"fold of all of a book's views: {'orders of five events' if name == 'fold-five' else 'the usual mix'}",
        unit="events/s",
        figures=figures[ours],
        beside=compared(figures[ours], {RIVAL: figures[RIVAL]}),
        target=f"≥ {rate_min:,} events/s",
        met=spread(figures[ours]).median >= rate_min,
        note=f"{events:,} events, as a book is opened: quotes begin empty; {note}",
    )


def _as_opened() -> Fold:
    """Return a fold of what a book folds when it is opened: quotes and timers begin empty there."""
    fold = Fold(builtin_views())
    fold.end_volatile()
    return fold


def _processes(setting: Setting) -> list[Row]:
    rounds, events = setting.scaled(3, 2), setting.scaled(1_000_000, 2_000)
    found = []
    for name, what, facts in (
        ("fold-five-two", "orders of five events", five_events(accounts=20)),
        ("fold-mix-two", "the usual mix", lives(random.Random(1), accounts=100, alive=2_000, fills_max=FILLS_MAX)),
    ):
        setting.say(f"{name}: writing {events:,} events")
        with setting.directory() as directory, eventstore.open(directory) as store:
            append_all(store, itertools.islice(facts, events))
            opener = _Opener(store)
            measures: dict[str, Callable[[], float]] = {
                name: lambda opener=opener: events / opener.seconds(PROCESSES),  # type: ignore[misc]
                ONE: lambda opener=opener: events / opener.seconds(1),  # type: ignore[misc]
            }
            figures = in_turns(rounds, measures, setting.rounds(name, rounds))
        found.append(
            row(
                name,
                f"a book opened without a snapshot, folded in two processes: {what}",
                unit="events/s",
                figures=figures[name],
                beside=compared(figures[name], {ONE: figures[ONE]}),
                target=f"≥ {TIMES_MIN:g} × one process",
                met=ratio(figures[name], figures[ONE]) >= TIMES_MIN,
                note=f"{events:,} events; seconds of processor: {opener.cpu_of(1)}; two: {opener.cpu_of(PROCESSES)}",
            )
        )
    return found


class _Opener:
    """Opens books without a snapshot, and adds up the processor's time that this takes."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._cpu: dict[int, list[tuple[float, float]]] = {}

    def seconds(self, processes: int) -> float:
        before = os.times()
        taken = seconds(lambda: projections.open(self._store, snapshots=False, processes=processes))
        after = os.times()
        own = after.user + after.system - before.user - before.system
        others = after.children_user + after.children_system - before.children_user - before.children_system
        self._cpu.setdefault(processes, []).append((own, others))
        return taken

    def cpu_of(self, processes: int) -> str:
        """Return the medians of what this process took, and the other."""
        own, others = (spread(column).median for column in zip(*self._cpu[processes], strict=True))
        return f"{own:.1f}" if processes == 1 else f"{own:.1f} and {others:.1f}"
