"""Timing of any callable: single calls, alternating rounds, percentiles and spreads."""

from __future__ import annotations

import math
import statistics
import time
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

NS_PER_US = 1_000


class Spread(msgspec.Struct, frozen=True):
    """What the rounds of one measurement gave."""

    rounds: int
    min: float
    median: float
    max: float


def spread(values: Sequence[float]) -> Spread:
    return Spread(len(values), min(values), statistics.median(values), max(values))


def percentile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that at least `part` of all values do not exceed (the nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(part * len(ordered)), 1) - 1]


def ratio(ours: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of the rounds' own ratios: what disturbed a round disturbed both of its sides."""
    return statistics.median([one / other for one, other in zip(ours, others, strict=True)])


def each_ns(action: Callable[[], object], times: int) -> list[int]:
    """Call a number of times and return what each call took."""
    clock, taken = time.perf_counter_ns, []
    for _ in range(times):
        start = clock()
        action()
        taken.append(clock() - start)
    return taken


def seconds(action: Callable[[], object]) -> float:
    """Call once and return how long it took."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def in_turns(
    rounds: int, measures: Mapping[str, Callable[[], float]], done: Callable[[int], None] | None = None
) -> dict[str, list[float]]:
    """Measure all of them in each round, every second round from last to first, and return each one's figures.

    Whatever else the machine does meanwhile, or leaves in its caches, then meets every one of them alike.
    """
    figures: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds):
        names = list(measures)
        for name in names if number % 2 == 0 else reversed(names):
            figures[name].append(measures[name]())
        if done is not None:
            done(number + 1)
    return figures
