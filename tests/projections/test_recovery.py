"""Killed and concurrent processes: a book from their cuts equals the fold of their log."""

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore
from projections import Snapshots
from projections.cuts import writing
from projections.fold import Fold
from projections.views.executions.view import ExecutionsView
from tests.projections.cutting import digest, from_zero
from tests.projections.examples import bought, snapshots_file
from tests.projections.histories import states, store_of

# What it runs over and over is covered elsewhere, and would take twice as long.
pytestmark = pytest.mark.untraced

ROUNDS = 12


def started(directory: Path, name: str, steps: int, seed: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.projections.cutting", str(directory), name, str(steps), str(seed)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )


def steps_of(process: subprocess.Popen[str]) -> Iterator[int]:
    assert process.stdout is not None
    return (int(line) for line in process.stdout)


@pytest.mark.slow
def test_a_process_killed_at_any_moment_leaves_cuts_that_are_right(tmp_path: Path) -> None:
    chance = random.Random(31)
    from_cuts = 0
    for number in range(ROUNDS):
        with started(tmp_path / "data", f"K{number}-", 100_000, number) as process:
            steps = steps_of(process)
            acknowledged = [next(steps) for _ in range(chance.randint(5, 60))][-1]
            process.kill()
        with eventstore.open(tmp_path / "data") as store:
            assert store.head() >= acknowledged
            book = projections.open(store)
            from_cuts += book.recovery.cut > 0
            assert book.recovery.tail == store.head() - book.recovery.cut
            assert digest(book) == from_zero(store)
            for position in chance.sample(range(store.head() + 1), 3):
                assert digest(projections.as_of(store, position=position)) == from_zero(store, position)
            book.close()
    assert from_cuts == ROUNDS


def test_two_processes_that_write_cuts_to_one_file_write_right_ones(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data"), ExitStack() as stack:
        processes = [stack.enter_context(started(tmp_path / "data", name, 120, seed)) for seed, name in enumerate("PQ")]
        for process in processes:
            assert sum(1 for _ in steps_of(process)) == 120
            assert process.wait(60) == 0
    with eventstore.open(tmp_path / "data") as store:
        snapshots = projections.Snapshots(snapshots_file(tmp_path / "data"))
        cuts = snapshots.cuts()
        snapshots.close()
        assert len(cuts) > 10
        for cut in cuts:
            past = projections.as_of(store, position=cut)
            assert past._last_cut == cut
            assert digest(past) == from_zero(store, cut)


def test_folds_that_cut_into_one_file_at_their_own_pace_leave_only_right_cuts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process lags, another restarts from a cut: thinning removes no state that this cut needs."""
    monkeypatch.setattr(writing, "CUTS_KEPT", 4)
    for seed in range(68, 84):
        chance = random.Random(seed)
        store = store_of((f"trade/{chance.choice('AABBCDEFG')}/T", bought(f"T{number}")) for number in range(200))
        records = list(store.read())
        files = [Snapshots(tmp_path / str(seed)) for _ in "PQ"]
        folds = [Fold([ExecutionsView()]) for _ in files]
        for _ in range(30):
            which = chance.randrange(2)
            fold = folds[which]
            fold.apply(records[fold.log_position : fold.log_position + chance.choice([1, 1, 2, 5, 30])])
            if chance.random() < 0.7:
                files[which].save(fold, store)
            if chance.random() < 0.1:
                folds[which] = loaded(files[which], store, 200)
        for cut in files[0].cuts():
            whole = Fold([ExecutionsView()])
            whole.apply(records[:cut])
            fold = loaded(files[0], store, cut)
            assert (fold.log_position, states(fold)) == (cut, states(whole)), seed
        for file in files:
            file.close()


def loaded(snapshots: Snapshots, store: EventStore, until: int) -> Fold:
    fold, view = Fold(), ExecutionsView()
    found = snapshots.load(view, store, until=until)
    fold.log_position = found.log_position
    fold.add(view, found.states)
    return fold
