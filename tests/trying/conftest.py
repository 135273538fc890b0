"""Shared by the tests of trials: a file of fills, written by the test."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

HEADER = "trade_id,symbol,side,quantity,price,fee,time,account"
WriteFills = Callable[..., Path]
Figure = int | Decimal | None


def figure(value: Decimal | None) -> Figure:
    """Return a figure, to compare with an int as well."""
    return value


@pytest.fixture
def fills(tmp_path: Path) -> WriteFills:
    """Write rows of `fills` to a file and return its path."""

    def fills(*rows: str, header: str = HEADER, name: str = "fills.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join((header, *rows)) + "\n", "utf-8")
        return path

    return fills
