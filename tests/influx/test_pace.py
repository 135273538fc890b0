"""The mirror catches up slowly while events are appended, otherwise as fast as InfluxDB accepts."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from eventstore import EventStore
from eventstore.clock import NANOSECONDS, ManualClock
from eventstore.influx.ship.batches import RECORDS_MAX
from eventstore.influx.ship.pace import INTERVAL_SECONDS_MIN, LIVE_RECORDS_MAX, LIVE_SECONDS, SAMPLE_SECONDS, Pace
from tests.clocks import EpochClock
from tests.influx.api import Server
from tests.influx.mirroring import event, fill, settings_for, ship

PER_SECOND = 1_000.0
BACKLOG, PREPARED = 20_000, 2 * RECORDS_MAX
SLOWLY = 4_000.0


@pytest.fixture
def clock() -> ManualClock:
    return EpochClock(0)


@pytest.fixture
def pace(store: EventStore, clock: ManualClock) -> Pace:
    return Pace(store._journal, clock, PER_SECOND)


def pass_by(clock: ManualClock, seconds: float) -> None:
    clock.advance(int(seconds * NANOSECONDS))


def test_existing_records_are_shipped_at_full_speed(pace: Pace, clock: ManualClock) -> None:
    for _ in range(3):
        assert (pace.records_max, pace.seconds(RECORDS_MAX)) == (RECORDS_MAX, INTERVAL_SECONDS_MIN)
        pass_by(clock, SAMPLE_SECONDS)


def test_the_pace_is_limited_only_while_events_are_appended(pace: Pace, store: EventStore, clock: ManualClock) -> None:
    fill(store, 1)
    assert pace.seconds(500) == INTERVAL_SECONDS_MIN, "no sample yet"
    pass_by(clock, SAMPLE_SECONDS)
    assert (pace.records_max, pace.seconds(500)) == (LIVE_RECORDS_MAX, 500 / PER_SECOND)
    assert pace.seconds(1) == INTERVAL_SECONDS_MIN
    pass_by(clock, LIVE_SECONDS - 0.001)
    assert pace.records_max == LIVE_RECORDS_MAX
    pass_by(clock, 0.001)
    assert (pace.records_max, pace.seconds(500)) == (RECORDS_MAX, INTERVAL_SECONDS_MIN)


def test_the_pace_is_never_below_the_rate_of_appends(pace: Pace, store: EventStore, clock: ManualClock) -> None:
    fill(store, 1_000)
    pass_by(clock, 0.5)
    assert pace.seconds(600) == pytest.approx(600 / (3 * 2_000))


def test_a_mirror_keeps_the_pace_while_another_process_appends(
    store: EventStore, server: Server, bucket: str, data: Path
) -> None:
    fill(store, BACKLOG)
    ended = threading.Event()

    def append() -> None:
        while not ended.wait(0.02):
            store.append("order/ACC1/live", event(1))

    thread = threading.Thread(target=append)
    thread.start()
    try:
        began = time.monotonic()
        assert ship(data, settings_for(server, bucket, catch_up_per_second=SLOWLY)) > BACKLOG
        assert time.monotonic() - began > (BACKLOG - PREPARED) / SLOWLY
    finally:
        ended.set()
        thread.join()
