"""Fixtures of the installation tests: the lock's wheels, newer releases, a copy of the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.install.index import Wheels, download
from tests.install.lock import ROOT
from tests.once import made_once


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    """The wheels that the lock names for this machine, and nothing else, in a directory that pip takes as an index."""
    return Wheels(made_once(tmp_path_factory, "wheels", download))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the project consists of, as a clone has it, in a folder whose name has a blank in it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    copy = tmp_path / "a clone"
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists() and not name.startswith("tests/"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the project's own source distribution and of the wheel that is built from it."""
    return made_once(tmp_path_factory, "dist", _build)


def _build(target: Path) -> None:
    line = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(ROOT)]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
