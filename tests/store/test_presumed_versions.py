"""Groups of many batches whose streams are presumed to be new: never another answer than that of looking them up."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from eventstore import DuplicateEvent, ManualClock, VersionConflict
from eventstore.errors import AccountChanged, InvalidEvent, StoreError
from eventstore.journal import Outcome
from eventstore.journals import sequencing
from eventstore.journals.memory import MemoryJournal
from eventstore.journals.sequencing import PRESUMED_MIN
from eventstore.journals.sqlite import SqliteJournal
from eventstore.record import Draft, PreparedBatch, Unchanged
from eventstore.testing.committed import everything, failed, recorded
from eventstore.testing.drafts import OCCURRED_AT, batch, draft
from eventstore.testing.repetition_contract import report
from tests.memory import directory_in_memory
from tests.proving import rounds

pytestmark = pytest.mark.untraced

KNOWN = "order/ACC1/O-1"
MANY = PRESUMED_MIN + 3


@pytest.fixture
def journals() -> Iterator[tuple[SqliteJournal, SqliteJournal]]:
    """Two journals of one file: what one has written, the other does not remember."""
    with directory_in_memory() as directory:
        path = Path(directory) / "journal.db"
        clock = ManualClock(OCCURRED_AT)
        ours, theirs = SqliteJournal(path, clock=clock), SqliteJournal(path, clock=clock)
        yield ours, theirs
        assert ours.integrity() == []
        ours.close()
        theirs.close()


def new_streams(name: str = "A", count: int = MANY) -> list[PreparedBatch]:
    """Return a batch for each of many streams that no journal has."""
    return [batch(f"order/ACC2/{name}-{number}", "begun", expected=0) for number in range(count)]


def test_streams_that_are_new_are_not_looked_up(journals: tuple[SqliteJournal, SqliteJournal]) -> None:
    ours, _ = journals
    asked: list[str] = []
    ours._writer.trace_v2(1, lambda event: asked.append(event["sql"]))
    recorded(ours.commit([new_streams()])[0])
    assert not [sql for sql in asked if "SELECT version" in sql]
    recorded(ours.commit([new_streams("B", PRESUMED_MIN - 1)])[0])
    assert len([sql for sql in asked if "SELECT version" in sql]) == PRESUMED_MIN - 1
    assert [record.version for record in everything(ours)] == [1] * (2 * PRESUMED_MIN + 2)


@pytest.mark.parametrize("place", [0, MANY // 2, MANY])
@pytest.mark.parametrize("is_remembered", [True, False])
def test_a_stream_that_exists_is_a_conflict_and_nothing_is_written(
    journals: tuple[SqliteJournal, SqliteJournal], place: int, *, is_remembered: bool
) -> None:
    ours, theirs = journals
    recorded((ours if is_remembered else theirs).commit([[batch(KNOWN, "one", "two")]])[0])
    group = new_streams()
    group.insert(place, batch(KNOWN, "three", expected=0))
    conflict, other = ours.commit([group, [batch("order/ACC1/O-2", "of another caller", expected=0)]])
    error = failed(conflict)
    assert isinstance(error, VersionConflict)
    assert (error.stream, error.expected, error.found) == (KNOWN, 0, 2)
    assert [record.position for record in recorded(other)] == [3]
    assert len(everything(ours)) == 3


def test_of_several_conflicts_the_first_is_named(journals: tuple[SqliteJournal, SqliteJournal]) -> None:
    ours, theirs = journals
    recorded(theirs.commit([[batch(KNOWN, "one")]])[0])
    group = [*new_streams(), batch(KNOWN, "two", expected=0), batch("order/ACC1/O-9", "begun", expected=4)]
    error = failed(ours.commit([group])[0])
    assert isinstance(error, VersionConflict)
    assert (error.stream, error.found) == (KNOWN, 1)


@pytest.mark.parametrize("second", [None, 1, 0])
def test_two_batches_of_one_stream_follow_each_other(
    journals: tuple[SqliteJournal, SqliteJournal], second: int | None
) -> None:
    ours, _ = journals
    group = [batch(KNOWN, "one", expected=0), *new_streams(), batch(KNOWN, "two", expected=second)]
    (outcome,) = ours.commit([group])
    if second == 0:
        error = failed(outcome)
        assert isinstance(error, VersionConflict)
        assert (error.found, everything(ours)) == (1, [])
    else:
        assert [record.version for record in recorded(outcome) if record.stream == KNOWN] == [1, 2]


def test_a_stream_that_the_transaction_has_begun_is_not_new(journals: tuple[SqliteJournal, SqliteJournal]) -> None:
    ours, _ = journals
    begun, again = ours.commit([[batch(KNOWN, "one")], [*new_streams(), batch(KNOWN, "two", expected=0)]])
    assert len(recorded(begun)) == 1
    error = failed(again)
    assert isinstance(error, VersionConflict)
    assert (error.found, len(everything(ours))) == (1, 1)


def test_an_id_that_comes_twice_is_a_duplicate(journals: tuple[SqliteJournal, SqliteJournal]) -> None:
    ours, _ = journals
    group = [*new_streams(), PreparedBatch(KNOWN, [draft(KNOWN, "one"), draft(KNOWN, "one")], 0)]
    assert isinstance(failed(ours.commit([group])[0]), DuplicateEvent)
    assert everything(ours) == []


@pytest.mark.parametrize("writer", [0, 1])
def test_the_same_group_again_is_its_first_records(journals: tuple[SqliteJournal, SqliteJournal], writer: int) -> None:
    ours, _ = journals
    first = recorded(journals[writer].commit([new_streams()])[0])
    again, twice = ours.commit([new_streams(), new_streams()])
    assert list(recorded(again)) == list(recorded(twice)) == list(first) == everything(ours)


def test_a_group_that_is_known_in_part_is_a_duplicate(journals: tuple[SqliteJournal, SqliteJournal]) -> None:
    ours, theirs = journals
    recorded(theirs.commit([new_streams()[3:4]])[0])
    assert isinstance(failed(ours.commit([new_streams()])[0]), DuplicateEvent)
    changed = [*new_streams("B"), PreparedBatch(KNOWN, [draft(KNOWN, "other", key="one")], 0)]
    recorded(theirs.commit([[batch(KNOWN, "one")]])[0])
    assert isinstance(failed(ours.commit([changed])[0]), DuplicateEvent)
    assert len(everything(ours)) == 2


def test_a_batch_without_events_is_not_believed(journals: tuple[SqliteJournal, SqliteJournal]) -> None:
    ours, theirs = journals
    recorded(theirs.commit([[batch(KNOWN, "one")]])[0])
    error = failed(ours.commit([[*new_streams(), PreparedBatch(KNOWN, [], 0)]])[0])
    assert isinstance(error, VersionConflict)
    assert error.found == 1


def test_reports_that_come_again_are_their_first_records(journals: tuple[SqliteJournal, SqliteJournal]) -> None:
    ours, theirs = journals

    def reported() -> list[PreparedBatch]:
        return [PreparedBatch(each.stream, [report(stream=each.stream)], 0, False) for each in new_streams()]

    first = recorded(theirs.commit([reported()])[0])
    assert list(recorded(ours.commit([reported()])[0])) == list(first) == everything(ours)
    # What is left of a group is judged by all that its batches expect.
    assert isinstance(failed(ours.commit([[*new_streams("B"), *reported()[:1]]])[0]), VersionConflict)


def test_what_a_decision_was_based_on_is_looked_at(journals: tuple[SqliteJournal, SqliteJournal]) -> None:
    ours, theirs = journals
    recorded(theirs.commit([[batch(KNOWN, "one")]])[0])
    based = PreparedBatch("order/ACC2/X", [draft("order/ACC2/X", "x")], 0, True, Unchanged(accounts=("ACC1",), since=0))
    assert isinstance(failed(ours.commit([[*new_streams(), based]])[0]), AccountChanged)
    recorded(ours.commit([[*new_streams(), PreparedBatch(based.stream, based.drafts, 0)]])[0])


def test_a_malformed_stream_keeps_its_own_group_out(journals: tuple[SqliteJournal, SqliteJournal]) -> None:
    ours, _ = journals
    bad = PreparedBatch("order//O-1", [draft("order//O-1", "x")], 0)
    refused, taken = ours.commit([[*new_streams(), bad], new_streams("B")])
    assert isinstance(failed(refused), InvalidEvent)
    assert len(recorded(taken)) == len(everything(ours)) == MANY


class Histories:
    """Random groups for two journals of one file and for the plainest one, of which all must say the same."""

    def __init__(self, chance: random.Random, directory: Path) -> None:
        self.chance, self.path, self.clock = chance, directory / "journal.db", ManualClock(OCCURRED_AT)
        self.files = [self.opened(), self.opened()]
        self.memory = MemoryJournal(clock=self.clock, log_id=self.files[0].log_id)
        self.streams = [f"order/ACC{number % 3}/{number}" for number in range(14)]
        self.past: list[list[PreparedBatch]] = []

    def opened(self) -> SqliteJournal:
        return SqliteJournal(self.path, clock=self.clock)

    def step(self) -> None:
        chance = self.chance
        self.clock.advance(chance.choice([0, 1, 1_000]))
        if chance.random() < 0.1:
            turn = chance.randrange(2)
            self.files[turn].close()
            self.files[turn] = self.opened()
        groups = [self.group() for _ in range(chance.choice([1, 1, 2, 3]))]
        self.past = [*self.past[-10:], *groups]
        wanted = [said(outcome) for outcome in self.memory.commit(groups)]
        assert [said(outcome) for outcome in chance.choice(self.files).commit(groups)] == wanted

    def group(self) -> list[PreparedBatch]:
        chance = self.chance
        if self.past and chance.random() < 0.2:
            again = chance.choice(self.past)
            return again[: chance.choice([len(again), chance.randrange(len(again)) + 1])]
        batches = [self.batch() for _ in range(chance.choice([1, 2, 4, 9, 12]))]
        if chance.random() < 0.1:
            since = max(self.memory.head() - chance.randrange(3), 0)
            condition = Unchanged(accounts=chance.choice([(), ("ACC1",)]), since=since)
            first = batches[0]
            batches[0] = PreparedBatch(first.stream, first.drafts, first.expected, first.occurred_at_given, condition)
        return batches

    def batch(self) -> PreparedBatch:
        chance = self.chance
        # Most streams come once: that is where presuming is right, and where it is wrong soon enough.
        fresh = f"order/ACC{chance.randrange(3)}/new {chance.randrange(400)}"
        stream = chance.choice([fresh, fresh, fresh, chance.choice(self.streams)])
        version = self.memory.version(stream)
        expected = chance.choice([0, 0, 0, 0, 0, None, version, version + 1] if not version else [0, None, version])
        drafts = [self.draft(stream) for _ in range(chance.choice([1, 1, 1, 2, 3]))]
        return PreparedBatch(stream, drafts, expected, chance.random() < 0.5)

    def draft(self, stream: str) -> Draft:
        chance = self.chance
        if chance.random() < 0.3:
            key = chance.choice([None, None, None, f"K{chance.randrange(4)}"])
            return report(f"T-{chance.randrange(3)}", stream=stream, key=key)
        key = str(chance.randrange(6 if chance.random() < 0.1 else 1_000_000))
        return draft(stream, chance.choice("ab"), key=key, actor=chance.choice(["me", "you"]))

    def check(self) -> None:
        for file in self.files:
            assert everything(file) == everything(self.memory)
            assert file.integrity() == []
            assert file.frontier() == self.memory.frontier()
            file.close()


def said(outcome: Outcome) -> tuple[object, ...] | Sequence[int]:
    """Return the positions of a group's records, or what its error says in full."""
    if isinstance(outcome, StoreError):
        return type(outcome), str(outcome)
    return [record.position for record in outcome]


def test_random_histories_are_those_of_the_plainest_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in rounds("presumed versions", test=25, prove=3_000):
        chance = random.Random(seed)
        monkeypatch.setattr(sequencing, "PRESUMED_MIN", chance.choice([1, 2, PRESUMED_MIN]))
        with directory_in_memory() as directory:
            histories = Histories(chance, Path(directory))
            for _ in range(25):
                histories.step()
            histories.check()
