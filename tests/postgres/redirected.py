"""Run a script whose stores in directories are to be in PostgreSQL: each directory becomes a schema.

python -B -m tests.postgres.redirected URL SCRIPT
"""

from __future__ import annotations

import functools
import hashlib
import os
import runpy
import sys
from pathlib import Path
from typing import Any

import eventstore
from eventstore import EventStore
from tests.places import within


def main(url: str, script: str) -> None:
    eventstore.open = functools.partial(in_schema, url)
    sys.argv[:] = [script]
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")


def in_schema(url: str, path: str | os.PathLike[str], **options: Any) -> EventStore:  # noqa: ANN401 - those of `open`
    digits = hashlib.sha256(os.path.abspath(path).encode()).hexdigest()[:16]  # noqa: PTH100 - as it is named
    return eventstore.opening.open(within(url, digits), **options)


if __name__ == "__main__":
    main(*sys.argv[1:])
