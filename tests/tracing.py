"""Code that runs without coverage: in this process, in its forks and in the processes that it starts."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import coverage
import hypothesis
import pytest

FOR_CHILDREN = "COVERAGE_PROCESS_CONFIG"
"""The variable by which a process measures itself from its start."""


_DRAWING = {"Random", "rounds"}
"""What a test takes its chance from, beside hypothesis."""

COVERED_BY_OTHERS = Path(__file__).with_name("covered_by_others.txt")
"""Names the test modules, a line each, that are not measured: they reach what is reached by those that are."""

_FURTHER = pytest.StashKey[bool]()


@functools.cache
def covered_by_others() -> frozenset[Path]:
    """Return the paths of the modules that COVERED_BY_OTHERS names."""
    return frozenset(COVERED_BY_OTHERS.parent / line for line in COVERED_BY_OTHERS.read_text("utf-8").splitlines())


def mark_further_cases(items: Sequence[pytest.Item]) -> None:
    """Keep of each test, among those that are to run, its first measured case for coverage and leave out the others.

    The others reach little that the first does not, and coverage makes them three times as slow.
    """
    measured: set[str] = set()
    for item in items:
        if is_measured(item):
            test = item.nodeid.partition("[")[0]
            item.stash[_FURTHER] = test in measured
            measured.add(test)


def is_measured(item: pytest.Item) -> bool:
    """Return whether a test counts for coverage: not if `untraced`, `slow`, of a listed module, or drawing its cases.

    A line that only chance reaches counts as not covered; and many cases, three times as slow, cover what few do.
    """
    if (
        any(map(item.get_closest_marker, ("untraced", "slow")))
        or item.path in covered_by_others()
        or item.stash.get(_FURTHER, False)
    ):
        return False
    function = getattr(item, "function", None)
    names = getattr(getattr(function, "__code__", None), "co_names", ())
    parameters = getattr(getattr(item, "callspec", None), "params", ())
    return not (hypothesis.is_hypothesis_test(function) or _DRAWING.intersection(names) or "seed" in parameters)


def measures_collection() -> bool:
    """Return whether this process measures what imports run: each worker of xdist imports the same, so one does."""
    return os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0"


@contextlib.contextmanager
def without_coverage() -> Iterator[None]:
    """Stop measuring for a while; nothing happens where nothing measures.

    A worker of xdist has several measurements, one upon another: stopping the last alone would resume the one below.
    """
    stopped = []
    while (measuring := coverage.Coverage.current()) is not None:
        measuring.stop()
        stopped.append(measuring)
    config = os.environ.pop(FOR_CHILDREN, None)
    try:
        yield
    finally:
        if config is not None:
            os.environ[FOR_CHILDREN] = config
        for each in reversed(stopped):
            _resume(each)


def _resume(measuring: coverage.Coverage) -> None:
    # The process has been patched already: patched again, each fork would begin a measurement for each time, and each
    # end of a process would save as often.
    patches = measuring.get_option("run:patch")
    measuring.set_option("run:patch", [])
    measuring.start()
    measuring.set_option("run:patch", patches)
