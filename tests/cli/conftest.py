"""Fixtures of the command-line tests: the command in this process or its own, and a small log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import Ended, Run, plain_environment, run_here, small_log


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVENTSTORE_DATA", raising=False)
    monkeypatch.delenv("EVENTSTORE_ZONE", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def run() -> Run:
    """Run a command in this process."""
    return run_here


@pytest.fixture
def shell(tmp_path: Path) -> Run:
    """Run a command as a process of its own, as a shell does."""

    def shell(*arguments: object, stdin: str | None = None) -> Ended:
        command = [sys.executable, "-m", "eventstore", *map(str, arguments)]
        done = subprocess.run(  # noqa: PLW1510 - the exit code is what is looked at
            command, capture_output=True, text=True, input=stdin, timeout=300, cwd=tmp_path, env=plain_environment()
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return shell


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return the directory of a store that holds the small log."""
    directory = tmp_path / "data"
    small_log(directory)
    return directory
