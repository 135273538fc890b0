"""Directories in memory, for tests that need no power-cut safety: a sync costs nothing there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - only where there is one


def directory_in_memory() -> tempfile.TemporaryDirectory[str]:
    """Return a temporary directory, in memory where the machine has a file system there."""
    return tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None)
