"""Any alteration of a journal's file is found and named, or no read depends on it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import eventstore
from eventstore import Batch, CorruptJournal, EventStore, InvalidEvent, ManualClock, StoreError, Verification
from eventstore.journals.sqlite import SqliteJournal
from eventstore.testing import in_time
from tests.proving import rounds
from tests.reliability.alterations import Alteration, Altering
from tests.reliability.checking import reported, submitted
from tests.store.facts import AT

RECORDS = 600


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A closed journal's file: several pages of each b-tree, laid out alike in each run."""
    directory = tmp_path_factory.mktemp("sound")
    chance = random.Random(1)
    with eventstore.open(directory, clock=ManualClock(AT)) as store:
        for number in range(RECORDS // 2):
            stream = f"order/ACC{chance.randrange(3)}/{chance.randrange(8)}"
            batches = [
                Batch(stream, make(f"{number}"), key=f"{make.__name__} {number}", actor="me", causation_id=bytes(16))
                for make in (submitted, reported)
            ]
            store.append_many(batches)
    return (directory / "main" / "journal.db").read_bytes()


class Questions:
    """Every kind of read, asked for what a sound file holds."""

    def __init__(self, path: Path) -> None:
        with EventStore(SqliteJournal(path)) as store:
            self._records = list(store.read())
            self.expected = self.answers(store)

    def answers(self, store: EventStore, *, some: bool = False) -> list[str]:
        """Return the answers, word for word, so that 5 and 5.0 differ; what refuses to answer is named."""
        accounts = sorted({record.account for record in self._records})
        reads: list[Callable[[], object]] = [store._journal.types, store.head, store.root]
        filters: list[dict[str, Any]] = [{}, {"stream": "order/"}, {"types": ("OrderSubmitted",)}, {"after": 300}]
        filters += [{"stream": stream} for stream in sorted({record.stream for record in self._records})]
        filters += [{"account": account} for account in accounts]
        filters += [{"stream": f"order/{account}/", "after": 300} for account in accounts]
        reads += [lambda given=given: list(store.read(**given)) for given in filters]  # type: ignore[misc]
        for record in self._records:
            reads.append(lambda record=record: store.find(record.id))  # type: ignore[misc]
            reads.append(lambda record=record: store.position_at(record.recorded_at))  # type: ignore[misc]
            reads.append(lambda record=record: store.version(record.stream))  # type: ignore[misc]
        return [_answer(read) for read in (reads[::20] if some else reads)]


def _answer(read: Callable[[], object]) -> str:
    try:
        return repr(read())
    except StoreError as error:
        return type(error).__name__


def outcome(path: Path, questions: Questions) -> tuple[Verification | StoreError, list[str]]:
    """Return what opening or verifying finds, and what is read from what opens."""
    try:
        journal = SqliteJournal(path)
    except StoreError as error:
        return error, []
    with EventStore(journal) as store:
        found = store.verify()
        return found, questions.answers(store, some=not found.ok)


def check(alteration: Alteration, path: Path, questions: Questions) -> str:
    """Check one outcome; return what it is called in the figures."""
    found, read = in_time(lambda: outcome(path, questions), 60.0)
    if isinstance(found, StoreError):
        # A log under another name is opened under that name.
        renamed = isinstance(found, InvalidEvent) and alteration.what.startswith("meta")
        assert renamed or isinstance(found, CorruptJournal), f"{alteration.what}: {found!r}"
        if renamed:
            return "renamed"
        assert found.args[0]
        return "opening"
    if found.ok:
        assert not alteration.must_be_found, f"{alteration.what}: nothing found"
        assert read == questions.expected, f"{alteration.what}: nothing found, and what is read differs"
        return "harmless"
    assert found.first_bad is not None
    assert found.reason, alteration.what
    return "verify"


@pytest.mark.untraced
def test_every_alteration_is_found_or_changes_no_answer(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "main" / "journal.db"
    path.parent.mkdir()
    path.write_bytes(sound)
    questions = Questions(path)
    altering = Altering(sound, path)
    ends: Counter[str] = Counter()
    for seed in rounds("alterations of a journal", test=80, prove=10_000):
        for other in path.parent.glob("journal.db-*"):
            other.unlink()
        alteration = altering.alter(random.Random(seed))
        ends[check(alteration, path, questions)] += 1
    print(dict(ends))  # noqa: T201 - figures to publish
