"""Ctrl-C ends a query within a second, wherever it is, and the process continues."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from eventstore import EventReader, EventStore
from eventstore.journal import JoinedPage
from projections import analysis
from tests.analysis.queried import recorded

# An interruption within coverage's own lock would leave it locked.
pytestmark = pytest.mark.untraced

ENDLESS = "select sum((a.range * b.range) % 7) from range(100000000) a, range(100000000) b"


@pytest.fixture(scope="module")
def store() -> Iterator[EventStore]:
    with recorded(accounts=2) as store:
        # The libraries are imported by the first query, which takes a while.
        analysis.sql(store, "select count(*) from events")
        yield store


def interrupted_after(seconds: float, store: EventStore, query: str) -> float:
    """Return how many seconds a query went on after Ctrl-C."""
    sent: list[float] = []

    def press() -> None:
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(seconds, press)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            analysis.sql(store, query)
        return time.monotonic() - sent[0]
    finally:
        timer.cancel()


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "eventstore-sql"]


def wait_for_the_end() -> None:
    end = time.monotonic() + 5
    while threads() and time.monotonic() < end:
        time.sleep(0.01)


def test_an_endless_query_ends(store: EventStore) -> None:
    assert interrupted_after(0.5, store, ENDLESS) < 1
    wait_for_the_end()
    assert not threads()
    assert len(analysis.sql(store, "select 1")) == 1


def test_an_endless_reading_ends(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    original = EventReader.lines
    pages = 0

    def lines(self: EventReader, members: Sequence[str], **bounds: Any) -> Iterator[JoinedPage]:  # noqa: ANN401
        nonlocal pages
        while True:
            for page in original(self, members, **bounds) or ():
                pages += 1
                time.sleep(0.05)
                yield page

    monkeypatch.setattr(EventReader, "lines", lines)
    assert interrupted_after(0.5, store, "select count(*) from events") < 1
    wait_for_the_end()
    assert not threads()
    seen = pages
    time.sleep(0.15)
    assert pages == seen > 1
    monkeypatch.setattr(EventReader, "lines", original)
    assert analysis.sql(store, "select count(*) n from events").to_arrow().to_pylist() == [{"n": store.head()}]


def test_a_query_runs_in_any_thread(store: EventStore) -> None:
    found: list[int] = []
    workers = [
        threading.Thread(target=lambda: found.append(len(analysis.sql(store, "select * from order_filled"))))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert found == [40] * 4
