"""Standard streams that are closed or full: a command does its work and ends quietly."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import eventstore
from tests.cli.command import plain_environment

MARK, NOBODY = "mark close --data DATA", "state --account nobody --data DATA"
BAD = "append order/ACC1/O-1 OrderAccepted - --data DATA"
CASES = [
    # command, redirections, exit code, whether anything is on stdout, beginning of stderr
    ("read --data DATA", ">&-", 0, False, ""),
    ("read --data DATA", "2>&- <&-", 0, True, ""),
    (MARK, ">&- 2>&- <&-", 0, False, ""),
    ("verify --data DATA --json", ">&- <&-", 0, False, ""),
    (NOBODY, "2>&-", 1, True, ""),
    (NOBODY, "2>/dev/full", 1, True, ""),
    ("read --data DATA/none", ">&- 2>&-", 2, False, ""),
    ("read --data DATA", ">/dev/full", 2, False, "eventstore: "),
    ("--help", ">/dev/full", 2, False, "eventstore: standard output: "),
    ("--help", "| true", 141, False, ""),
    ("lock --help", "| true", 141, False, ""),
    (BAD, "<&-", 2, False, "eventstore: the members of OrderAccepted are not a JSON object"),
]


@pytest.mark.parametrize(("command", "redirected", "code", "results", "said"), CASES)
def test_a_command_ends_quietly(  # noqa: PLR0917 - a case
    data: Path, command: str, redirected: str, code: int, results: bool, said: str
) -> None:
    program = f"{shlex.quote(sys.executable)} -m eventstore {command.replace('DATA', shlex.quote(str(data)))}"
    script = f"{program} {redirected}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(  # noqa: PLW1510 - looked at below
        ["bash", "-c", script], capture_output=True, text=True, env=plain_environment(), timeout=60
    )
    # Whether the reader of a pipe has left before the help is written is not for this test to say.
    assert done.returncode in ({0, code} if "|" in redirected else {code})
    assert bool(done.stdout) is results
    assert done.stderr.startswith(said) if said else done.stderr == ""
    assert "Traceback" not in done.stderr
    # What was printed has gone into no file of the log.
    with eventstore.open(data) as store:
        assert store.verify().ok
        assert store.head() == 8 + (command == MARK)
