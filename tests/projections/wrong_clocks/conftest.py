"""Fixtures: a desk whose clock shows noon, and each way in which its processes see another time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eventstore import EventStore, ManualClock
from tests.projections.clockwork import NOON
from tests.projections.wrong_clocks.desk import WAYS, Desk, Way


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def desk(store: EventStore, clock: ManualClock) -> Iterator[Desk]:
    desk = Desk(store, clock)
    yield desk
    desk.stop()


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def set_clock(request: pytest.FixtureRequest) -> Way:
    way: Way = request.param
    return way
