"""Replay: the log read, decoded and folded on one core, against `eventsourcing` reading and decoding its own."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import eventstore
from benchmarks.rival import Rival, domain_event, originator_of
from benchmarks.rows import Row, compared, row
from benchmarks.timing import in_turns, ratio, seconds, spread
from benchmarks.workload import MIX, append_all, lives
from eventstore import Event
from projections.builtin import builtin_views
from projections.fold import Fold
from projections.garbage import gc_disabled
from projections.reading import tail
from projections.views.executions.view import ExecutionsView
from projections.views.orders.view import OrdersView

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.setting import Setting
    from benchmarks.workload import StreamEvent
    from eventstore import EventStore

RATE_MIN = 300_000
TIMES_MIN = 2.0
FILLS_MAX = 3
ACCOUNTS = 10

TWO = "orders and executions"
ALL = "all of a book's views"
NONE = "read and decoded only"
RIVAL = "eventsourcing, read and decoded only"


def measure(setting: Setting) -> list[Row]:
    rounds, events = setting.scaled(5, 2), setting.scaled(200_000, 2_000)
    setting.say(f"replay: writing {events:,} events")
    with setting.directory() as directory, eventstore.open(directory / "ours") as store:
        lived = lives(random.Random(1), accounts=ACCOUNTS, alive=setting.scaled(2_000, 20), fills_max=FILLS_MAX)
        facts = list(itertools.islice(lived, events))
        append_all(store, facts)
        rival = rival_of(directory / "rival.db", facts)
        del facts

        def rate(action: Callable[[], object]) -> Callable[[], float]:
            return lambda: events / seconds(action)

        measures = {
            TWO: rate(lambda: folded(store, Fold([OrdersView(), ExecutionsView()]))),
            ALL: rate(lambda: folded(store, Fold(builtin_views()))),
            NONE: rate(lambda: _decoded(store)),
            RIVAL: rate(rival.read_all),
        }
        in_turns(1, measures)
        figures = in_turns(rounds, measures, setting.rounds("replay", rounds))
        rival.close()
    ours = figures.pop(TWO)
    met = spread(ours).median >= RATE_MIN and ratio(ours, figures[RIVAL]) >= TIMES_MIN
    others = {name: figures[name] for name in (RIVAL, NONE, ALL)}
    return [
        row(
            "replay",
            "replay: read, decode, fold orders and executions",
            unit="events/s",
            figures=ours,
            beside=compared(ours, others),
            target=f"≥ {RATE_MIN:,} events/s and ≥ {TIMES_MIN:g} × eventsourcing",
            met=met,
            note=f"{events:,} events; {MIX.format(fills=FILLS_MAX)}",
        )
    ]


@gc_disabled()
def folded(store: EventStore, fold: Fold) -> None:
    """Fold a log as opening a book does, without the cyclic garbage collector."""
    for page in tail(store, 0, store.head(), None):
        fold.apply(page)
    assert fold.log_position == store.head()
    assert not any(view_state.parked for view_state in fold.slots.values())


def _decoded(store: EventStore) -> int:
    return sum([isinstance(record.event, Event) for record in store.read()])


def rival_of(path: Path, facts: list[StreamEvent]) -> Rival:
    rival = Rival(path)
    versions: dict[str, int] = {}
    events = []
    for stream, event in facts:
        version = versions[stream] = versions.get(stream, 0) + 1
        events.append(domain_event(event, originator_of(stream), version))
    for start in range(0, len(events), 1_000):
        rival.put(events[start : start + 1_000])
    return rival
