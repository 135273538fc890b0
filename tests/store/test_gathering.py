"""A leader waits for those who shared the last commit: until they have come, or for a moment."""

from __future__ import annotations

import threading
import time

import pytest

from eventstore import gathering
from eventstore.gathering import CommitGathering


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> CommitGathering:
    """Return one that waits for a minute."""
    monkeypatch.setattr(gathering, "SECONDS_MIN", 60.0)
    monkeypatch.setattr(gathering, "SECONDS_MAX", 60.0)
    return CommitGathering()


def waited(of: CommitGathering, queue: list[int]) -> float:
    began = time.monotonic()
    of.wait(queue)
    return time.monotonic() - began


def test_a_leader_that_was_alone_waits_for_nobody(patient: CommitGathering) -> None:
    patient.last_size = 1
    assert waited(patient, [1]) < 10


def test_the_request_that_completes_the_group_wakes_the_leader(patient: CommitGathering) -> None:
    patient.last_size = 3
    queue = [1]
    leader = threading.Thread(target=patient.wait, args=(queue,), daemon=True)
    leader.start()
    for request in (2, 3):
        leader.join(0.1)
        assert leader.is_alive(), "woken before the group was complete"
        queue.append(request)
        patient.came(queue)
    leader.join(10)
    assert not leader.is_alive()


def test_a_request_that_comes_after_the_group_is_complete_wakes_nobody_twice(patient: CommitGathering) -> None:
    patient.last_size = 2
    queue = [1]
    leader = threading.Thread(target=patient.wait, args=(queue,), daemon=True)
    leader.start()
    leader.join(0.1)
    for request in (2, 3):
        queue.append(request)
        patient.came(queue)
    leader.join(10)
    assert not leader.is_alive()


def test_a_leader_gives_up_on_who_does_not_come() -> None:
    alone = CommitGathering()
    alone.last_size = 2
    assert gathering.SECONDS_MIN <= waited(alone, [1]) < 10


def test_the_longer_a_commit_takes_the_longer_others_are_waited_for_up_to_a_bound() -> None:
    slow = CommitGathering()
    slow.last_size = 2
    slow.committed(0.004)
    assert waited(slow, [1]) >= 0.001
    slow.committed(3_600)
    assert gathering.SECONDS_MAX <= waited(slow, [1]) < 10
