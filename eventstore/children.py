"""Processes that the library starts beside the program, from this very package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from eventstore.config import PREFIX


def start(module: str, *arguments: str, stdout: int | None = None) -> subprocess.Popen[bytes]:
    """Start a module of the library as a process that is asked on stdin; raise OSError if that fails.

    The program's own main module is not run again.
    """
    # Settings go through the pipe: arguments and environment, and so a token, are visible to other processes.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    # The child must import this very package, wherever this process imported it from.
    root = str(Path(__file__).parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=stdout,
        env=environment,
        # Ctrl-C must reach the program only, which then ends this process.
        start_new_session=True,
    )
