"""The lease of policies: one process at a time holds it, and another one takes it when that one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
from eventstore import EventStore, ManualClock, Unavailable
from eventstore.clock import NANOSECONDS
from eventstore.journals.memory import MemoryJournal
from projections.risk.policies.lease import FILE, Lease
from tests.places import Place
from tests.projections.rules_day import NOON
from tests.waiting import WAIT_SECONDS, until


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def store(place: Place, clock: ManualClock) -> Iterator[EventStore]:
    with eventstore.open(place, clock=clock) as opened:
        yield opened


@pytest.mark.in_each_place
def test_one_of_two_holds_it_until_it_stops(store: EventStore, clock: ManualClock) -> None:
    first, second = Lease(store), Lease(store)
    assert first.is_held()
    assert not second.is_held()
    first.release()
    # It is tried again at most once a second.
    assert not second.is_held()
    clock.advance(NANOSECONDS)
    assert second.is_held()
    assert not first.is_held()


def test_a_log_in_memory_has_one_process() -> None:
    with EventStore(MemoryJournal(), clock=ManualClock(NOON)) as store:
        lease = Lease(store)
        assert lease.is_held()
        lease.release()
        assert lease.is_held()


def test_the_lease_of_another_log_is_apart(tmp_path: Path, store: EventStore) -> None:
    held = Lease(store)
    assert held.is_held()
    with eventstore.open(tmp_path / "data", log="other") as other:
        assert Lease(other).is_held()


@pytest.mark.in_each_place
def test_a_kill_of_the_holder_leaves_it_to_another(place: Place, store: EventStore, clock: ManualClock) -> None:
    command = [sys.executable, "-m", "tests.projections.test_lease", str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        lease = Lease(store)
        assert not lease.is_held()
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait(WAIT_SECONDS) == -signal.SIGKILL

    def is_taken() -> bool:
        clock.advance(NANOSECONDS)
        return lease.is_held()

    # A server takes a moment to see that its client is gone.
    until(is_taken)
    lease.release()


def test_a_file_that_cannot_be_locked_is_said_and_tried_again(store: EventStore) -> None:
    assert store.directory is not None
    (store.directory / FILE).mkdir()
    lease = Lease(store)
    for _ in range(2):
        with pytest.raises(Unavailable, match="cannot be locked"):
            lease.is_held()
    (store.directory / FILE).rmdir()
    assert lease.is_held()


def hold(directory: str) -> None:
    """Be the process that holds the lease, and wait to be killed."""
    with eventstore.open(directory) as store:
        assert Lease(store).is_held()
        print("held", flush=True)  # noqa: T201 - the parent waits for it
        signal.pause()


if __name__ == "__main__":
    hold(sys.argv[1])
