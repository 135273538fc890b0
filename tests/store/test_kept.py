"""Logs of earlier versions open, verify and answer as before."""

import shutil
import warnings
from pathlib import Path
from typing import Literal

import pytest

import eventstore
import projections
from eventstore.watermarks import Watermarks
from projections import SnapshotWarning

KEPT = Path(__file__).parents[1] / "kept"
ROOT = "4831117720ae37dec7ed4e987269f10c55d4f61eb1c3f648727226f8a0804ff3"
HEAD = 403
# Account, symbol, quantity, realized, fees.
HOLDINGS = [
    ("A", "ESZ5", "-8", "-1562.50", "36.90"),
    ("A", "NQZ5", "1", "-1020.00", "32.80"),
    ("B", "ESZ5", "9", "-412.50", "55.35"),
    ("B", "NQZ5", "-12", "700.00", "38.95"),
    ("C", "ESZ5", "-3", "3037.50", "36.90"),
    ("C", "NQZ5", "11", "-410.00", "26.65"),
]


@pytest.fixture(params=sorted(path.parents[1].name for path in KEPT.glob("*/main/journal.db")))
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    copy = tmp_path / "data"
    shutil.copytree(KEPT / str(request.param), copy)
    return copy


def holdings(book: projections.Book) -> list[tuple[str, ...]]:
    return [
        (position.account, position.symbol, *map(str, (position.quantity, position.realized, position.fees)))
        for account in "ABC"
        for position in book.positions.of(account)
    ]


def test_a_kept_journal_is_proved(kept: Path) -> None:
    with eventstore.open(kept) as store:
        assert store.head() == HEAD
        assert store.root() == (HEAD, bytes.fromhex(ROOT))
        assert store.verify().ok
        assert store.doctor() == []


def test_a_kept_journal_takes_new_events(kept: Path) -> None:
    with eventstore.open(kept) as store:
        [record] = store.append("mark/-/m", eventstore.trading.Marked(name="later"))
        assert record.position == HEAD + 1
        assert store.verify().ok


@pytest.mark.parametrize("snapshots", [None, False])
def test_kept_snapshots_and_none_give_the_same_book(kept: Path, snapshots: Literal[False] | None) -> None:
    with warnings.catch_warnings():
        # A cut of another machine may be passed over, with a warning; it may never change an answer.
        warnings.simplefilter("ignore", SnapshotWarning)
        with eventstore.open(kept) as store, projections.open(store, snapshots=snapshots) as book:
            assert holdings(book) == HOLDINGS
            [lockout] = book.lockouts.active("C", at=store.clock.now_ns())
            assert lockout.reason == "halted by the desk"
            assert book.position == HEAD


def test_kept_cursors_are_read(kept: Path) -> None:
    marks = Watermarks(kept / "main" / "watermarks").all()
    cursors = {name: mark.position for name, mark in marks.items() if name.startswith("policy.")}
    assert len(cursors) == 13
    assert set(cursors.values()) == {HEAD}
