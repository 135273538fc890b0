"""The libraries of the extra `analysis`, imported when they are first used: each takes tenths of a second."""

from __future__ import annotations

import importlib
from typing import Any

from eventstore.extras import missing

EXTRA = "analysis"


def library(name: str, user: str = "projections.analysis") -> Any:  # noqa: ANN401 - a module of any library
    """Return a module of an optional library; raise ImportError, naming the extra to install, without it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as e:
        if e.name is None or e.name.partition(".")[0] != name.partition(".")[0]:
            raise
        raise ImportError(missing(user, name.partition(".")[0], EXTRA), name=e.name) from e


def arrow() -> Any:  # noqa: ANN401 - pyarrow has no types of its own
    """Return pyarrow."""
    return library("pyarrow")


def compute() -> Any:  # noqa: ANN401 - the same
    """Return pyarrow's functions of arrays."""
    return library("pyarrow.compute")
