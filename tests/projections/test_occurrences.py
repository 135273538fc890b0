"""Pasts by the time of occurrence begin at a cut where that changes nothing: against folds from the first record."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import eventstore
import projections
from eventstore import EventStore, ManualClock, Record
from eventstore.clock import to_ns
from projections import occurrences
from projections.changes import facts
from projections.fold import Fold
from tests.projections.examples import bought
from tests.proving import rounds

START = to_ns(datetime(2025, 6, 2, 14, tzinfo=UTC))
SECOND = 1_000_000_000

Facts = dict[tuple[str, str, str], Any]


def wild_log(directory: Path, chance: random.Random, most: int) -> None:
    """Write a log whose trades are on time, late, or of the future, with cuts here and there."""
    clock = ManualClock(START)
    with eventstore.open(directory, clock=clock) as store, projections.open(store) as book:
        for number in range(chance.randrange(2, most)):
            clock.advance(chance.choice((1, SECOND, 20 * SECOND)))
            shift = chance.choice((0, 0, 0, 0, -30, -3_000, 1, 40)) * SECOND
            account = chance.choice("AB")
            book.append(f"trade/{account}/T{number}", bought(f"T{number}", 1), occurred_at=clock.now_ns() + shift)
            if chance.random() < 0.15:
                assert book.snapshot()


def folded_from_the_first(directory: Path, occurred_at: int, position: int, account: str | None) -> Facts:
    # Beside a log that is only read there are no cuts.
    with eventstore.open(directory, read_only=True) as store:
        return facts(projections.as_of(store, occurred_at=occurred_at, position=position, account=account))


def test_a_past_from_a_cut_is_the_one_from_the_first_record(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occurrences, "BLOCK", 8)
    for seed in rounds("pasts by occurrence from cuts", test=8, prove=500):
        chance, directory = random.Random(seed), memory_path / str(seed)
        wild_log(directory, chance, 60)
        with eventstore.open(directory) as store:
            records = list(store.read())
            for _ in range(6):
                instant = chance.choice(records).occurred_at + chance.choice((-1, 0, 0, 1))
                known, account = chance.randrange(store.head() + 1), chance.choice((None, "A"))
                past = projections.as_of(store, occurred_at=instant, position=known, account=account)
                assert facts(past) == folded_from_the_first(directory, instant, known, account), (seed, instant, known)
                before = [record.position for record in records if record.occurred_at > instant]
                expected = min([known, *(position - 1 for position in before)])
                assert occurrences.settled(store, instant, known) == expected


def test_what_was_read_once_is_continued_as_the_log_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occurrences, "BLOCK", 4)
    clock = ManualClock(START)
    with eventstore.open(tmp_path / "data", clock=clock) as store:
        for number in range(30):
            clock.advance(SECOND)
            store.append(f"trade/A/T{number}", bought(f"T{number}", 1))
            assert occurrences.settled(store, START + 3 * SECOND, store.head()) == min(number + 1, 3)
        assert read_again(store, monkeypatch) <= 4


def read_again(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many records are read to answer once more."""
    read = 0
    columns = store.columns

    def counted(members: tuple[str, ...], *, after: int = 0, until: int | None = None):  # type: ignore[no-untyped-def] # noqa: ANN202
        nonlocal read
        for page in columns(members, after=after, until=until):
            read += len(page[0])
            yield page

    monkeypatch.setattr(store, "columns", counted)
    occurrences.settled(store, START + 12 * SECOND, store.head())
    return read


def test_records_before_the_cut_are_not_folded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock(START)
    with eventstore.open(tmp_path / "data", clock=clock) as store, projections.open(store) as book:
        for number in range(40):
            clock.advance(SECOND)
            book.append(f"trade/A/T{number}", bought(f"T{number}", 1))
            if number % 10 == 9:
                assert book.snapshot()
        folded: list[int] = []
        apply = Fold.apply

        def counted(self: Fold, records: Sequence[Record]) -> int:
            folded.extend(record.position for record in records)
            return apply(self, records)

        monkeypatch.setattr(Fold, "apply", counted)
        past = projections.as_of(store, occurred_at=START + 25 * SECOND)
        assert past.positions.get("A", "ESZ5").quantity == 25
        assert min(folded) == 21
