"""Fixtures of the tests of enforcement: a clock, a store in memory with it, and the command in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eventstore import EventStore, ManualClock
from tests.cli.conftest import run
from tests.enforcement.scene import START, store_in_memory

__all__ = ["clock", "run", "store"]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def store(clock: ManualClock) -> Iterator[EventStore]:
    with store_in_memory(clock) as opened:
        yield opened
