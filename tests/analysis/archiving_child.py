"""Archives a log, and is killed just before the n-th step that changes the disk: python -m … DATA FOLDER N."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from projections import analysis
from projections.analysis.archive import writing
from tests.analysis import archive_log


def kill_at(number: int) -> None:
    """Let this process end at the n-th of the calls by which an archive is written."""
    left = [number]

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return call

    for name in ("fsync", "link", "replace", "unlink", "mkdir", "open"):
        setattr(os, name, counted(getattr(os, name)))


if __name__ == "__main__":
    assert archive_log.DAYS
    writing.ROW_GROUP = 200
    kill_at(int(sys.argv[3]))
    analysis.archive(sys.argv[1], sys.argv[2])
