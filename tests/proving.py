"""Long random tests: a few fixed seeds in `make test`, many in `make prove`, which resumes after an interruption.

    for seed in rounds("power cut", test=50, prove=1_000):
        chance = random.Random(seed)
        ...

PROVE=1 selects the many, PROVE_SEED=N runs seed N alone. The report of a failed test names the seed. Hypothesis
makes as many examples as `examples` says. A test that takes long without either has its further cases by `cases`, and
is marked `prove`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
PROGRESS = Path(__file__).resolve().parent.parent / ".prove"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .,=-]*")
in_work: dict[str, int] = {}
"""The seed that each test of this process is working on."""


def rounds(name: str, *, test: int, prove: int) -> Iterator[int]:
    """Yield the seeds from 0 on: `test` of them, under PROVE=1 `prove`, without those of an interrupted run.

    `name` must be the test's own, and each parameter's own: progress is kept under it.
    """
    if not _NAME.fullmatch(name):
        msg = f"{name!r} cannot name a file of progress: use letters, digits, blanks and . , = -"
        raise ValueError(msg)
    progress = PROGRESS / name
    single = os.environ.get("PROVE_SEED", "")
    proving = is_proving() and not single
    if single:
        seeds = range(int(single), int(single) + 1)
    elif proving:
        seeds = range(min(_done(progress), prove), prove)
    else:
        seeds = range(test)
    for seed in seeds:
        in_work[name] = seed
        yield seed
        # Reached only when the round has passed: a failure or a stop leaves the loop at the line above.
        if proving:
            _write(progress, f"{seed + 1} of {prove}\n")
    in_work.pop(name, None)


def is_proving() -> bool:
    """Return whether the long tests run in full."""
    return os.environ.get("PROVE") == "1"


def cases(*, test: Sequence[T], prove: Sequence[T]) -> Sequence[T]:
    """Return the values of a parameter: those of `make test`, and under PROVE=1 all of them."""
    return [*test, *prove] if is_proving() else test


def examples(*, test: int, prove: int) -> int:
    """Return how many examples hypothesis makes for a test: few in `make test`, many under PROVE=1."""
    return prove if is_proving() else test


def report() -> list[str]:
    """Return how to repeat what is in work, a line for each test, and forget it."""
    lines = [f"{name}: seed {seed}; PROVE_SEED={seed} runs it alone" for name, seed in in_work.items()]
    in_work.clear()
    return lines


def passed() -> list[str]:
    """Return how far each test has come in this `make prove` and those it resumes, a line for each."""
    files = sorted(PROGRESS.glob("*")) if PROGRESS.is_dir() else []
    return [f"{file.name}: seeds 0 to {_done(file) - 1} passed, {file.read_text('utf-8').strip()}" for file in files]


def _done(progress: Path) -> int:
    # What a full disk or an editor has left there counts as nothing done.
    found = re.match(r"\d+", progress.read_text("utf-8", "replace")) if progress.is_file() else None
    return int(found[0]) if found else 0


def _write(progress: Path, text: str) -> None:
    progress.parent.mkdir(exist_ok=True)
    temporary = progress.with_name(f".{progress.name}")
    temporary.write_text(text, "utf-8")
    temporary.replace(progress)
