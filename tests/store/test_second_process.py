"""A log verified by two processes gets the verdict of one: the first bad position and its reason, whatever happens."""

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typing_extensions import override

import eventstore
from eventstore import Batch, ManualClock, StoreError, Verification, children
from eventstore.journal import Query
from eventstore.journals.sqlite import ReadOnlyJournal
from eventstore.proofs import merkle, range_child, second_process
from eventstore.proofs.ranges import RangeAnswer
from eventstore.proofs.second_process import RangeRequest, SecondProcess
from eventstore.proofs.verify import verify
from eventstore.record import Digester
from tests.proving import rounds
from tests.store.facts import AT, ORDER, OTHER, rejected

COUNT = 1_612
FIRST = 1_024
"""The other process checks what is past the fourth tile."""
JOURNAL = Path("main") / "journal.db"
CHANGES = (
    "UPDATE event SET data = '{}' WHERE position = ?",
    "UPDATE event SET digest = zeroblob(32) WHERE position = ?",
    "UPDATE event SET recorded_at = recorded_at - 5000000000 WHERE position = ?",
    "UPDATE event SET actor = CAST(x'ff' AS TEXT) WHERE position = ?",
    "UPDATE event SET correlation_id = x'00' WHERE position = ?",
    "DELETE FROM event WHERE position = ?",
    "UPDATE node SET hash = zeroblob(32) WHERE number = (? - 1) / 256",
    "DELETE FROM node WHERE number = (? - 1) / 256",
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("original")
    with eventstore.open(directory, clock=ManualClock(AT)) as store:
        for number in range(COUNT // 2):
            store.append_many([Batch(ORDER, rejected(number)), Batch(OTHER, rejected(number), key=f"{number}")])
    return (directory / JOURNAL).read_bytes()


@pytest.fixture
def path(original: bytes, tmp_path: Path) -> Path:
    (tmp_path / "main").mkdir()
    (tmp_path / JOURNAL).write_bytes(original)
    return tmp_path / JOURNAL


class Inside(SecondProcess):
    """What the other process does, done in this one."""

    taken: list[bool] = []  # noqa: RUF012 - the tests' own

    def __init__(self, request: RangeRequest) -> None:
        super().__init__(request)
        self._request = request

    @override
    def start(self) -> None:
        pass

    @override
    def answer(self) -> RangeAnswer | None:
        try:
            answer = range_child.checked(self._request)
        except StoreError:
            answer = None
        self.taken.append(answer is not None)
        return answer


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Return whether each other process has found its range sound."""
    monkeypatch.setattr(second_process, "SecondProcess", Inside)
    Inside.taken.clear()
    yield Inside.taken
    Inside.taken.clear()


def verdict(path: Path, processes: int, **options: Any) -> Verification:  # noqa: ANN401 - verify's own
    with closing(ReadOnlyJournal(path)) as journal:
        return verify(journal, processes=processes, **options)


def changed(path: Path, *changes: tuple[str, int]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for change, position in changes:
            connection.execute(change, (position,))


def test_changes_of_either_half_or_both_get_the_verdict_of_one_process(
    original: bytes, path: Path, inside: list[bool]
) -> None:
    for seed in rounds("verified by two processes", test=12, prove=1_000):
        chance = random.Random(seed)
        path.write_bytes(original)
        # The last tile is checked on opening.
        bad = [(chance.choice(CHANGES), chance.randint(1, 512)), (chance.choice(CHANGES), chance.randint(FIRST, 1_270))]
        options: dict[str, Any] = chance.choice([{}, {"after": chance.randint(1, COUNT)}, {"root": bytes(32)}])
        changed(path, *chance.choice([bad, bad[:1], bad[1:]]))
        try:
            expected = verdict(path, 1, **options)
        except StoreError as error:
            with pytest.raises(type(error)):
                verdict(path, 2, **options)
            continue
        assert verdict(path, 2, **options) == expected, (bad, options)


@pytest.mark.parametrize("size", [None, 500, FIRST, FIRST + 1, 1_400])
def test_a_root_of_either_half_is_compared(path: Path, inside: list[bool], size: int | None) -> None:
    with eventstore.open(path.parent.parent, read_only=True) as store:
        kept, root = store.root(size)
    for given, after in ((bytes(32), 0), (root, 1_300)):
        options = {"root": given, "size": kept, "after": after}
        assert verdict(path, 2, **options) == verdict(path, 1, **options)
    assert verdict(path, 2, root=root, size=kept).ok
    assert inside == [True] * len(inside) != []


@pytest.mark.parametrize("member", ["tree_before", "tree_after", "recorded_at"])
def test_an_answer_that_does_not_fit_is_not_taken(path: Path, member: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_process, "SecondProcess", Inside)
    with closing(ReadOnlyJournal(path)) as journal:
        tree = journal.frontier()
        request = RangeRequest(str(path), "main", journal.log_id, FIRST, COUNT, tree.to_bytes(), -1)
    sound = range_child.checked(request)
    assert sound is not None
    other: bytes | int = 1 if member == "recorded_at" else bytes(64)
    wrong = msgspec.structs.replace(sound, **{member: other})
    changed(path, (CHANGES[0], 1_100))
    answer = [wrong]
    monkeypatch.setattr(Inside, "answer", lambda _self: answer[0])
    assert verdict(path, 2).first_bad == 1_100
    # The test itself: an answer that fits would have been believed.
    answer[0] = sound
    monkeypatch.setattr(ReadOnlyJournal, "integrity", lambda _self, **_options: [])
    assert verdict(path, 2).ok


def test_another_log_in_the_files_place_is_not_checked_for_this_one(path: Path) -> None:
    request = RangeRequest(str(path), "main", bytes(16), FIRST, COUNT, bytes(64), -1)
    with closing(ReadOnlyJournal(path)) as journal:
        request = msgspec.structs.replace(request, tree=journal.frontier().to_bytes())
    assert range_child.checked(request) is None


def test_another_process_answers_and_evidence_stays_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    answers: list[RangeAnswer | None] = []
    given = SecondProcess.answer

    def answer(self: SecondProcess) -> RangeAnswer | None:
        answers.append(given(self))
        return answers[-1]

    monkeypatch.setattr(SecondProcess, "answer", answer)
    reports: list[tuple[int, int]] = []
    path.chmod(0o400)
    path.parent.chmod(0o500)
    before = sorted((each.name, each.stat().st_mtime_ns) for each in path.parent.iterdir())
    assert verdict(path, 2, progress=lambda done, total: reports.append((done, total))).ok
    assert answers != [None]
    assert len(answers) == 1
    assert reports == [(FIRST, COUNT), (COUNT, COUNT)]
    assert sorted((each.name, each.stat().st_mtime_ns) for each in path.parent.iterdir()) == before
    path.parent.chmod(0o700)
    path.chmod(0o600)
    with eventstore.open(path.parent.parent) as store:  # beside its writer
        assert verify(store.journal, processes=2).ok
        assert answers[1] is not None
    assert capfd.readouterr() == ("", "")


def starting(*command: str) -> Any:  # noqa: ANN401 - as children.start
    return lambda *_arguments, **_options: subprocess.Popen(
        [*command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )


def failing(*_arguments: str, **_options: object) -> None:
    raise OSError(12, "Cannot allocate memory")


@pytest.mark.parametrize(
    "start",
    [
        starting(sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"),
        starting("/bin/true"),
        starting("/bin/echo", "something else"),
        starting("/bin/sleep", "60"),
        failing,
    ],
    ids=["killed", "silent", "garbage", "hanging", "not started"],
)
def test_without_an_answer_this_process_checks_everything(
    path: Path,
    start: Any,  # noqa: ANN401 - as children.start
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(children, "start", start)
    monkeypatch.setattr(second_process, "WAIT_SECONDS_MIN", 0.2)
    assert verdict(path, 2) == Verification(ok=True, checked=COUNT)
    changed(path, (CHANGES[0], 1_100))
    assert verdict(path, 2).first_bad == 1_100


def test_few_records_and_one_core_are_checked_by_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    enough = second_process.RECORDS_MIN
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1})
    tree = merkle.Frontier(1 << 20, [bytes(32)])

    def is_shared(after: int) -> bool:
        started: list[int] = []
        monkeypatch.setattr(SecondProcess, "start", lambda self: started.append(self.first))
        with second_process.started(Located(), tree, after, None, None):  # type: ignore[arg-type] # what it is asked for
            return bool(started)

    assert is_shared(0)
    assert is_shared(tree.size - enough)
    assert not is_shared(tree.size - enough + merkle.TILE)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0})
    assert not is_shared(0)


class Located:
    """A log in a file, as far as it is asked."""

    log, log_id, file = "main", bytes(16), Path("journal.db")


def test_a_page_is_as_sound_as_each_of_its_records(path: Path) -> None:
    with closing(ReadOnlyJournal(path)) as journal:
        page = list(journal.read(Query(limit=20)))
        digester = Digester(journal.log_id)
    assert digester.sound(page) == 20
    for member, value in (("id", b"x"), ("schema", 1.0), ("correlation_id", b""), ("causation_id", b"x"), ("data", "")):
        wrong = msgspec.structs.replace(page[7], **{member: value})
        assert not digester.is_sound(wrong)
        assert digester.sound([*page[:7], wrong, *page[8:]]) == 7
