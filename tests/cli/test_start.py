"""How a command starts: without what only some commands need, so that `stop` acts within a second."""

from __future__ import annotations

import subprocess
import sys

from tests.cli.command import plain_environment

HEAVY = ("duckdb", "influxdb_client", "matplotlib", "numpy", "pandas", "polars", "projections.analysis", "pyarrow")


def test_what_makes_frames_is_imported_by_the_commands_that_make_them() -> None:
    code = f"import sys, gateways.cli; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=plain_environment()
    )
    assert done.stdout == "\n"
