"""Pauses between attempts: they double up to a limit, begin again after a success, and vary with jitter."""

from __future__ import annotations

import random

import pytest

from eventstore.influx.backoff import Backoff


def test_pauses_double_up_to_the_longest() -> None:
    pauses = Backoff(0.5, 3.0)
    assert [pauses.next() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert pauses.failures == 5


def test_pauses_begin_again_after_a_success() -> None:
    pauses = Backoff(0.5, 3.0)
    assert [pauses.next(), pauses.next()] == [0.5, 1.0]
    pauses.reset()
    assert pauses.failures == 0
    assert [pauses.next(), pauses.next()] == [0.5, 1.0]


@pytest.mark.parametrize("seed", range(3))
def test_jitter_spreads_each_pause_from_the_shortest_to_its_length(seed: int) -> None:
    series = [Backoff(1.0, 4.0, shortest=0.25, jitter=random.Random(seed * 1_000 + number)) for number in range(500)]
    for length in (1.0, 2.0, 4.0, 4.0):
        drawn = [pauses.next() for pauses in series]
        assert all(0.25 <= each <= length for each in drawn)
        assert min(drawn) < 0.25 + 0.1 * length
        assert max(drawn) > 0.9 * length


def test_a_million_failures_are_not_an_error() -> None:
    pauses = Backoff(0.1, 5.0)
    pauses.failures = 1_000_000
    assert pauses.next() == 5.0
