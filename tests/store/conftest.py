"""What the tests of the store share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore

# The shipped suites explain a failed assertion as a test of one's own does.
pytest.register_assert_rewrite("eventstore.testing")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[eventstore.EventStore]:
    with eventstore.open(tmp_path / "data") as opened:
        yield opened
