"""Tests that are marked `untraced`, or draw their cases, run without coverage, and others with it; so do children."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import coverage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import proving
from tests.tracing import COVERED_BY_OTHERS, FOR_CHILDREN, covered_by_others, is_measured, without_coverage

TRACED = "import sys; sys.exit(sys.gettrace() is not None)"


def is_traced() -> bool:
    return sys.gettrace() is not None


def traced_places() -> tuple[bool, bool, bool, bool]:
    """Return whether this thread, another one, a fork and a process that is started are traced."""
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(is_traced()))
    thread.start()
    thread.join()
    child = os.fork()
    if not child:
        # At an end of its own it would save that it has measured nothing, and complain of it.
        os.kill(os.getpid(), signal.SIGKILL if is_traced() else signal.SIGTERM)
    forked = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    started = subprocess.run([sys.executable, "-c", TRACED], check=False).returncode
    return is_traced(), found[0], forked, bool(started)


@pytest.mark.untraced
def test_a_test_that_is_marked_untraced_is_not_traced() -> None:
    assert traced_places() == (False, False, False, False)
    assert coverage.Coverage.current() is None
    assert FOR_CHILDREN not in os.environ


@settings(max_examples=1)
@given(st.integers())
def test_a_test_whose_cases_hypothesis_makes_is_not_traced(drawn: int) -> None:
    assert not is_traced()


def test_a_test_whose_cases_are_made_of_random_numbers_is_not_traced() -> None:
    assert not is_traced(), random.Random(1)


@pytest.mark.parametrize("seed", [1])
def test_a_test_that_is_given_a_seed_is_not_traced(seed: int) -> None:
    assert not is_traced()


def test_a_test_of_rounds_is_not_traced() -> None:
    for _ in proving.rounds("tracing", test=1, prove=1):
        assert not is_traced()


@pytest.mark.parametrize("first", [pytest.param(False, marks=pytest.mark.untraced), True, False])
def test_of_the_cases_of_a_test_the_first_that_may_be_traced_is(first: bool, pytestconfig: pytest.Config) -> None:
    assert is_traced() == (first and bool(pytestconfig.getoption("cov_source", None)))


def test_the_modules_that_others_cover_are_there_and_in_order() -> None:
    listed = COVERED_BY_OTHERS.read_text("utf-8").splitlines()
    assert listed == sorted(set(listed))
    assert [each for each in covered_by_others() if not each.is_file()] == []
    assert Path(__file__) not in covered_by_others()


def test_a_test_of_a_listed_module_is_not_measured(request: pytest.FixtureRequest) -> None:
    assert is_measured(request.node)
    listed = SimpleNamespace(path=min(covered_by_others()), get_closest_marker={}.get, stash=pytest.Stash())
    assert not is_measured(cast("pytest.Item", listed))


def test_coverage_resumes_after_it() -> None:
    is_measured = coverage.Coverage.current() is not None
    assert traced_places() == (is_measured,) * 4
    before = os._exit, os.environ.get(FOR_CHILDREN)
    for _ in range(3):
        with without_coverage():
            assert not is_traced()
        assert is_traced() == is_measured
    # What coverage patches is patched once.
    assert (os._exit, os.environ.get(FOR_CHILDREN)) == before
    assert traced_places() == (is_measured,) * 4
