"""What all tests share: whole days are folded without coverage, and a long random test names the seed that failed."""

from __future__ import annotations

import os
from collections.abc import Generator

import coverage
import pytest

from tests import proving

_FOR_CHILDREN = "COVERAGE_PROCESS_CONFIG"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test that is marked `untraced`, with its fixtures and processes, without coverage."""
    tracing = coverage.Coverage.current()
    if tracing is None or item.get_closest_marker("untraced") is None:
        return (yield)
    tracing.stop()
    config = os.environ.pop(_FOR_CHILDREN, None)
    try:
        return (yield)
    finally:
        if config is not None:
            os.environ[_FOR_CHILDREN] = config
        tracing.start()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of each module that takes seeds from `rounds`: they are what `make prove` runs."""
    for item in items:
        if getattr(getattr(item, "module", None), "rounds", None) is proving.rounds:
            item.add_marker("prove")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the seed in work to the report of a failed test."""
    report = yield
    if report.when == "call" and (seeds := proving.report()) and report.failed:
        report.sections.append(("seed", "\n".join(seeds)))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which seeds have passed in `make prove`."""
    if os.environ.get("PROVE") == "1":
        for line in proving.passed():
            terminalreporter.write_line(line)
