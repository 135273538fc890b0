"""Fixtures: a day of account A with the shipped policies, and its loss."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from projections.rules import shipped_rules
from tests.projections.rules_day import Day, trading_day


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    """Return a day of account A with a daily loss of 1,000 on the equity, and every policy."""
    day = trading_day(tmp_path / "data", *shipped_rules())
    day.limit("daily-loss", limit="1000", basis="equity")
    yield day
    day.close()
