"""Proofs from a store: of every record, from every size, as text; and none from a store that was changed."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import eventstore
from eventstore import CorruptJournal, EventStore, InvalidEvent, InvalidNote, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.proofs import Checkpoint, ConsistencyProof, InclusionProof, prove
from eventstore.proofs.continuity import first_not_continued
from eventstore.proofs.keys import PrivateKey
from eventstore.proofs.merkle import TreeHead
from eventstore.reader import EventReader
from eventstore.testing import naive_root
from tests.proofs.bundled import seed
from tests.proving import rounds
from tests.store.facts import AT, ORDER, rejected

COUNT = 1_300
SIZES = [1, 2, 3, 255, 256, 257, 511, 512, 768, 1_023, 1_024, 1_280, COUNT - 1, COUNT]
JOURNAL = Path("main") / "journal.db"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data")
    with eventstore.open(directory, clock=ManualClock(AT)) as store:
        for number in range(COUNT // 100):
            store.append(ORDER, [rejected(f"{number}/{each}") for each in range(100)])
    return directory


@pytest.fixture(scope="module", params=["store", "read-only", "memory", "reader"])
def log(request: pytest.FixtureRequest, data: Path) -> Iterator[EventReader]:
    """A log as a store has it, in memory, and as it is read where no tree is stored."""
    with eventstore.open(data, read_only=request.param == "read-only") as store:
        if request.param == "reader":
            yield EventReader(store._journal)
        elif request.param == "memory":
            journal = MemoryJournal(log_id=store.log_id)
            journal._records += list(store.read())
            yield EventStore(journal)
        else:
            yield store


@pytest.fixture(scope="module")
def leaves(data: Path) -> list[bytes]:
    with eventstore.open(data) as store:
        return [record.digest for record in store.read()]


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return PrivateKey.generate("desk.example/log", seed(4))


def signed(key: PrivateKey, leaves: list[bytes], size: int) -> Checkpoint:
    made = Checkpoint(key.public.name, size, naive_root(leaves[:size]))
    return made.with_signatures([key.sign(made.body)])


@pytest.mark.parametrize("size", SIZES)
def test_a_record_is_proved_for_each_checkpoint(
    log: EventReader, leaves: list[bytes], key: PrivateKey, size: int
) -> None:
    checkpoint = signed(key, leaves, size)
    for position in sorted({1, min(2, size), min(256, size), min(257, size), size // 2 or 1, size}):
        found = prove(log, position, checkpoint=checkpoint)
        assert found.holds
        assert (found.position, found.digest) == (position, leaves[position - 1])
        again = InclusionProof.parse(found.text)
        assert again == found
        assert again.checkpoint.verify(key.public) == checkpoint


@pytest.mark.parametrize("size", SIZES)
def test_growth_is_proved_from_each_size(log: EventReader, leaves: list[bytes], key: PrivateKey, size: int) -> None:
    earlier = signed(key, leaves, size)
    found = prove(log, from_size=size, checkpoint=signed(key, leaves, COUNT))
    assert found.continues(earlier)
    assert found.continues(earlier.head)
    assert ConsistencyProof.parse(found.text) == found
    assert not found.continues(TreeHead(size, bytes(32)))
    assert not found.continues(TreeHead(size - 1, earlier.root))


def test_without_a_checkpoint_it_is_for_the_log_as_it_is(
    log: EventReader, leaves: list[bytes], key: PrivateKey
) -> None:
    found = prove(log, 7)
    assert (found.checkpoint.size, found.checkpoint.root, found.checkpoint.signatures) == (
        COUNT,
        naive_root(leaves),
        (),
    )
    assert InclusionProof.parse(found.text) == found
    with pytest.raises(InvalidNote):
        found.checkpoint.verify(key.public)
    assert prove(log, from_size=0).path == ()
    assert prove(log, from_size=COUNT).continues(TreeHead(COUNT, naive_root(leaves)))


MALFORMED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "both": {"position": 1, "from_size": 1},
    "no position": {"position": 0},
    "a position past the log": {"position": COUNT + 1},
    "a position below": {"position": -1},
    "a position as text": {"position": "1"},
    "a position that is true": {"position": True},
    "a size past the log": {"from_size": COUNT + 1},
    "a size below": {"from_size": -1},
    "another log's checkpoint": {"position": 1, "checkpoint": Checkpoint("x", 5, bytes(32))},
    "a later checkpoint": {"position": 1, "checkpoint": Checkpoint("x", COUNT + 1, bytes(32))},
}


@pytest.mark.parametrize("given", MALFORMED.values(), ids=MALFORMED)
def test_what_cannot_be_proved_is_refused(log: EventReader, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        prove(log, **given)


def test_a_position_past_the_checkpoint_needs_a_newer_one(
    log: EventReader, leaves: list[bytes], key: PrivateKey
) -> None:
    with pytest.raises(InvalidEvent, match="sign a newer one"):
        prove(log, 300, checkpoint=signed(key, leaves, 299))


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE event SET note = 'x' WHERE position = 700", 700),
        ("UPDATE event SET digest = zeroblob(32) WHERE position = 701", 701),
        ("DELETE FROM event WHERE position = 702", 702),
        ("UPDATE node SET hash = zeroblob(32) WHERE level = 8 AND number = 3", 0),
        ("DELETE FROM node WHERE level = 8 AND number = 0", 1),
    ],
)
def test_a_store_that_was_changed_gives_no_false_proof(
    data: Path, leaves: list[bytes], tmp_path: Path, statement: str, position: int
) -> None:
    (tmp_path / "main").mkdir()
    (tmp_path / JOURNAL).write_bytes((data / JOURNAL).read_bytes())
    with closing(sqlite3.connect(tmp_path / JOURNAL, isolation_level=None)) as journal:
        journal.execute(statement)
    checkpoint = Checkpoint("x", COUNT, naive_root(leaves))
    with eventstore.open(tmp_path) as store:
        found = {asked: proved_or_not(store, asked, checkpoint) for asked in (700, 701, 702, 690, 769, 1_200, 300)}
    assert any(isinstance(each, Exception) for each in found.values())
    for asked, each in found.items():
        if isinstance(each, InclusionProof):
            assert each.holds
            assert each.digest == leaves[asked - 1]
        elif isinstance(each, CorruptJournal) and asked == position:
            assert each.position == position


def proved_or_not(store: EventStore, asked: int, checkpoint: Checkpoint) -> InclusionProof | Exception:
    try:
        return prove(store, asked, checkpoint=checkpoint)
    except (CorruptJournal, InvalidEvent) as e:
        return e


def test_roots_of_one_log_are_continued_and_others_named(log: EventReader, leaves: list[bytes]) -> None:
    heads = [TreeHead(size, naive_root(leaves[:size])) for size in SIZES]
    assert first_not_continued(log, heads) is None
    assert first_not_continued(log, []) is None
    wrong = [*heads[:6], TreeHead(600, bytes(32)), *heads[6:]]
    fault = first_not_continued(log, wrong)
    assert fault is not None
    assert fault.position == 513
    assert "positions 513 to 600 do not give the root" in fault.reason
    fault = first_not_continued(log, [*heads, TreeHead(COUNT + 5, bytes(32))])
    assert fault is not None
    assert (fault.position, "its tail is lost" in fault.reason) == (COUNT + 1, True)


DAMAGED = {
    "nothing": "",
    "another title": "c2sp.org/tlog-proof@v2\n",
    "only a title": "c2sp.org/tlog-proof@v1\n\n",
    "no checkpoint": "c2sp.org/tlog-proof@v1\nextra eA==\nindex 0\n\n",
    "too long": "old 1\n" + "x" * 2_000_000,
    "many lines": "old 1\n" + "AAAA\n" * 100 + "\nx\n1\n" + "A" * 43 + "=\n",
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_what_is_not_a_proof_is_refused(text: str) -> None:
    for kind in (InclusionProof, ConsistencyProof):
        with pytest.raises(InvalidNote):
            kind.parse(text)


def test_no_mutated_text_of_a_proof_is_accepted(data: Path, leaves: list[bytes], key: PrivateKey) -> None:
    older, newer = signed(key, leaves, 700), signed(key, leaves, COUNT)
    with eventstore.open(data, read_only=True) as store:
        inclusion, growth = prove(store, 333, checkpoint=newer).text, prove(store, from_size=700, checkpoint=newer).text
    for number in rounds("mutated texts of proofs", test=1, prove=200):
        chance = random.Random(number)
        for _ in range(250):
            text = mutated(chance, inclusion)
            assert text == inclusion or not is_accepted(text, key), text
            text = mutated(chance, growth)
            assert text == growth or not is_growth(text, key, older), text


def mutated(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text))
    match chance.randrange(5):
        case 0:
            return text[:at] + chance.choice("Aa0+/= \n—\u00e9") + text[at + 1 :]
        case 1:
            return text[:at] + text[at + chance.randrange(1, 5) :]
        case 2:
            return text[:at] + chance.choice("Aa0+/= \n") + text[at:]
        case 3:
            lines = text.split("\n")
            first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
            lines[first], lines[second] = lines[second], lines[first]
            return "\n".join(lines)
        case _:
            return text[:at] + chr(ord(text[at]) ^ 1 << chance.randrange(7)) + text[at + 1 :]


def is_accepted(text: str, key: PrivateKey) -> bool:
    try:
        InclusionProof.parse(text).checkpoint.verify(key.public)
    except InvalidNote:
        return False
    return True


def is_growth(text: str, key: PrivateKey, older: Checkpoint) -> bool:
    try:
        found = ConsistencyProof.parse(text)
        found.checkpoint.verify(key.public)
    except InvalidNote:
        return False
    return found.continues(older)
