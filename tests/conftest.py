"""What all tests share: those that fold whole days run without coverage, which would take longer than they do."""

from __future__ import annotations

import os
from collections.abc import Generator

import coverage
import pytest

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
