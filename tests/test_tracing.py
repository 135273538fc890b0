"""Tests that are marked `untraced` run without coverage, and those after them with it; the same holds of children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import coverage
import pytest

from tests.tracing import FOR_CHILDREN, without_coverage

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
