"""What commands say of a rotated log: each log has a tree of its own, and positions are counted over all of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import eventstore
from eventstore.proofs import verify_bundle
from eventstore.proofs.key_files import FOLDER
from eventstore.trading import Marked
from gateways.cli import verify
from tests.cli.command import Ended, run_here, small_log

Run = Callable[..., Ended]
CHECKPOINTS = "checkpoints.txt"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of a log of nine records and of the one that continues it, each signed, and one record more.

    The second one has 24 records when it is signed: they are positions 10 to 33 of both.
    """
    monkeypatch.setenv(FOLDER, str(tmp_path / "keys"))
    directory = tmp_path / "data"
    small_log(directory)
    for words in (("keys", "new"), ("checkpoint",), ("rotate",), ("keys", "new"), ("checkpoint",)):
        assert run_here(*words, "--data", directory).code == 0
    append(directory)
    return directory


def append(directory: Path) -> None:
    with eventstore.open(directory) as store:
        store.append("mark/-/late", Marked(name="late"))


@pytest.fixture
def run(data: Path) -> Run:
    """Run a command on the log."""
    return lambda *words: run_here(*words, "--data", data)


@pytest.mark.parametrize(("log", "uncovered"), [("main", "9 to 34"), ("main.2", "34 to 34")])
def test_verify_names_what_a_checkpoint_of_either_log_does_not_cover(
    run: Run, data: Path, log: str, uncovered: str
) -> None:
    ended = run("verify", "--checkpoint", data / log / CHECKPOINTS)
    assert ended.code == 0, ended.err
    assert f"not shown: whether positions {uncovered} were rewritten together with their tree" in ended.out
    assert "the log continues the checkpoint, signed by its key" in ended.out


@pytest.mark.parametrize(("log", "checked"), [("main", 34 - 8), ("main.2", 1)])
def test_verify_checks_what_came_after_the_checkpoint(run: Run, data: Path, log: str, checked: int) -> None:
    ended = run("verify", "--after-checkpoint", "--checkpoint", data / log / CHECKPOINTS)
    assert ended.out.startswith(f"ok: {checked} records are as they were written\n"), ended.err
    assert f"not shown: whether positions 1 to {34 - checked} are as they were written: they were not read" in ended.out


def test_a_root_of_either_log_is_found_without_its_size(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alerts: list[object] = []
    monkeypatch.setattr(verify, "announce", lambda *given, **_: alerts.append(given))
    with eventstore.open(data, read_only=True) as store:
        assert store.chain is not None
        old, new = store.chain.continued.root, store.root()[1].hex()
    append(data)
    for root, size in ((old, 8), (new, 25)):
        ended = run("verify", "--root", root)
        assert ended.code == 1
        assert f"the root given is the log's at size {size}: give --size {size}" in ended.out
        assert "restore from a backup" not in ended.out
        assert run("verify", "--root", root, "--size", size).code == 0
    assert [given[2].ok for given in alerts] == [True, True]  # type: ignore[index] # of the two that agree
    assert run("verify", "--root", "ab" * 32).code == 1
    assert len(alerts) == 3


@pytest.mark.parametrize("options", [(), ("--read-only",)])
def test_a_bundle_has_all_that_the_checkpoint_covers(
    run: Run, data: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    target = tmp_path / "bundle.zip"
    ended = run("export", "--bundle", target, "--start", 10, *options)
    covered = 24 if options else 25
    assert ended.code == 0
    assert f"proved: all records of positions 1 to {covered} are here, of every stream" in ended.out
    assert ("note: the checkpoint is of 24 records: what was recorded after it" in ended.err) == bool(options)
    assert verify_bundle(target).records == covered


def test_a_checkpoint_of_a_log_in_the_middle_covers_what_is_before_it(run: Run, data: Path) -> None:
    assert run("rotate").code == 0
    ended = run("verify", "--checkpoint", data / "main.2" / CHECKPOINTS)
    assert "not shown: whether positions 34 to " in ended.out
    assert "the log continues the checkpoint, signed by its key" in ended.out


def test_doctor_finds_an_older_copy_of_the_newest_log_in_its_place(run: Run, data: Path, tmp_path: Path) -> None:
    """The older copy has fewer records than the checkpoint, and both logs together have more."""
    shutil.copytree(data, tmp_path / "older")
    append(data)
    assert run("checkpoint").code == 0
    append(data)
    assert "the newest has size 26, 1 records since, signed at" in run("doctor").out
    shutil.copy(data / "main.2" / CHECKPOINTS, tmp_path / "older" / "main.2")
    ended = run_here("doctor", "--data", tmp_path / "older")
    assert (ended.code, ended.err) == (1, "")
    assert "wrong    checkpoints  a checkpoint of size 26 was signed, and the log ends at 25: its tail is" in ended.out
