"""Long random tests run the seeds they name, resume after an interruption, and name the seed that failed."""

from pathlib import Path

import pytest

from tests import proving
from tests.proving import cases, rounds


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this test's progress and seeds apart from those of the run that it is a part of."""
    monkeypatch.setattr(proving, "PROGRESS", tmp_path / "progress")
    monkeypatch.setattr(proving, "in_work", {})
    monkeypatch.delenv("PROVE", raising=False)
    monkeypatch.delenv("PROVE_SEED", raising=False)


def test_an_ordinary_run_takes_the_first_seeds_and_keeps_no_progress() -> None:
    for _ in range(2):
        assert list(rounds("flips", test=3, prove=9)) == [0, 1, 2]
    assert not proving.PROGRESS.exists()
    assert proving.report() == []


def test_proving_takes_all_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVE", "1")
    assert list(rounds("flips", test=3, prove=5)) == [0, 1, 2, 3, 4]
    assert proving.passed() == ["flips: seeds 0 to 4 passed, 5 of 5"]
    assert list(rounds("flips", test=3, prove=5)) == []


def test_proving_resumes_at_the_seed_that_was_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVE", "1")
    for seed in rounds("flips", test=1, prove=5):
        if seed == 3:
            break
    assert list(rounds("others", test=1, prove=2)) == [0, 1]
    assert list(rounds("flips", test=1, prove=5)) == [3, 4]


@pytest.mark.parametrize("content", ["", "none", "-1 of 5", "\0\0\0"])
def test_damaged_progress_counts_as_none(content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVE", "1")
    proving.PROGRESS.mkdir()
    (proving.PROGRESS / "flips").write_text(content)
    assert list(rounds("flips", test=1, prove=2)) == [0, 1]


def test_progress_beyond_the_last_seed_leaves_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVE", "1")
    proving.PROGRESS.mkdir()
    (proving.PROGRESS / "flips").write_text("1000 of 1000")
    assert list(rounds("flips", test=1, prove=2)) == []


@pytest.mark.parametrize("proves", ["0", "1"])
def test_one_seed_runs_alone_and_keeps_no_progress(proves: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVE", proves)
    monkeypatch.setenv("PROVE_SEED", "712")
    assert list(rounds("flips", test=3, prove=5)) == [712]
    assert not proving.PROGRESS.exists()


def test_a_failure_names_its_seed_once() -> None:
    def fail() -> None:
        for seed in rounds("flips", test=5, prove=5):
            assert seed < 2

    with pytest.raises(AssertionError):
        fail()
    assert proving.report() == ["flips: seed 2; PROVE_SEED=2 runs it alone"]
    assert proving.report() == []


@pytest.mark.parametrize("name", ["", "../flips", "a/b", ".hidden"])
def test_a_name_that_is_not_a_file_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name"):
        next(rounds(name, test=1, prove=1))


@pytest.mark.parametrize(("prove", "expected"), [("1", [1, 2, 3]), ("", [1]), ("0", [1])])
def test_the_cases_of_make_test_come_first(prove: str, expected: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVE", prove)
    assert cases(test=[1], prove=[2, 3]) == expected
