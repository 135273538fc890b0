"""Shared by the tests of imports: a store, files written by the test, and real data next to the checkout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import eventstore
from eventstore import EventStore

Write = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write lines to a file of this name and return its path."""

    def write(name: str, *lines: str, bom: bool = False) -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig" if bom else "utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real data, which is not part of the project."""
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data is not on this machine: there is no {folder}")
    return folder
