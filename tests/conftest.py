"""Shared by all tests: a state directory of their own, long tests without coverage, and the seed of a failure."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

# The contract suites are shipped with the package, so pytest rewrites their assertions only on demand: here, before any
# test module imports them.
pytest.register_assert_rewrite("eventstore.testing")

from tests import proving  # noqa: E402 - rewritten first
from tests.memory import directory_in_memory  # noqa: E402 - the same
from tests.once import made_once  # noqa: E402 - the same
from tests.places import DIRECTORY, Place, in_each_place  # noqa: E402 - the same
from tests.tracing import is_measured, mark_further_cases, measures_collection, without_coverage  # noqa: E402 - the same

if TYPE_CHECKING:
    from tests.postgres.servers import PostgresServer

# How long an example takes says more about the machine than about the code; and the same code passes or fails alike:
# it is `make prove` that looks for new examples.
hypothesis.settings.register_profile(
    "untimed",
    deadline=None,
    max_examples=proving.examples(test=50, prove=2_000),
    derandomize=not proving.is_proving(),
)
hypothesis.settings.load_profile("untimed")

_STATE = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the key that signs snapshots out of the user's home; processes that tests start inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's background job ignores it, and so would every process that a test interrupts: it would never end.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        config.stash[_STATE] = os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="eventstore-state-")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Look for no garbage while tests are collected: the many objects that this makes stay to the end."""
    gc.disable()
    with contextlib.nullcontext() if measures_collection() else without_coverage():
        return (yield)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Choose what is measured; look for no garbage among what is collected: each test that does would pay for all."""
    mark_further_cases(session.items)
    gc.freeze()
    gc.enable()


def pytest_unconfigure(config: pytest.Config) -> None:
    directory = config.stash.get(_STATE, None)
    if directory is not None:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test that is not measured, with its fixtures and processes, without coverage."""
    with contextlib.nullcontext() if is_measured(item) else without_coverage():
        return (yield)


# Innermost: pytest-cov ends the measurement around this.
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Measure nothing in the process that only hands out tests to the others."""
    with without_coverage() if session.config.pluginmanager.has_plugin("dsession") else contextlib.nullcontext():
        return (yield)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    in_each_place(metafunc)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `make prove` runs with more seeds or examples, and put the modules that take long first.

    Where whole modules are given to workers, one that takes long must not begin when all others are done.
    """
    long: set[Path] = set()
    for item in items:
        takes_seeds = getattr(getattr(item, "module", None), "rounds", None) is proving.rounds
        if takes_seeds or hypothesis.is_hypothesis_test(getattr(item, "function", None)):
            item.add_marker("prove")
        if item.get_closest_marker("slow") or item.get_closest_marker("untraced"):
            long.add(item.path)
    items.sort(key=lambda item: item.path not in long)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the seed in work to the report of a failed test."""
    report = yield
    if report.when == "call" and (seeds := proving.report()) and report.failed:
        report.sections.append(("seed", "\n".join(seeds)))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which seeds have passed in `make prove`."""
    if proving.is_proving():
        for line in proving.passed():
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def demo_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the demo's day and its prices, which all workers share: write to a copy."""
    from gateways.demo.history import demo_day

    return made_once(tmp_path_factory, "demo-day", demo_day)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The PostgreSQL of this worker, which its tests share: it is not to be broken."""
    from tests.postgres.servers import running

    with running(18) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a log that is not there yet, in a schema of its own."""
    from tests.postgres.schemas import own_schema

    with own_schema(postgres) as url:
        yield url


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Return where a store of the test's own is to be, which is not there yet (tests/places.py)."""
    if getattr(request, "param", DIRECTORY) == DIRECTORY:
        yield tmp_path / "data"
        return
    yield request.getfixturevalue("postgres_url")


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """Return a directory of the test's own in memory, which is gone after it."""
    with directory_in_memory() as directory:
        yield Path(directory)


@pytest.fixture
def no_thread_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves more threads than it found, a moment after its end: a pool's last one is ending then."""
    if "place" in request.fixturenames:
        # A server is started by a thread that stays.
        request.getfixturevalue("place")
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(5)
    assert [thread for thread in left if thread.is_alive()] == []
