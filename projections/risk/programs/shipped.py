"""The programs beside this module, each in a file of its name."""

from __future__ import annotations

import difflib
import importlib.resources
from pathlib import Path
from typing import TYPE_CHECKING

from eventstore import InvalidEvent
from projections import seeds

if TYPE_CHECKING:
    from projections.seeds import Seeds

_SUFFIX = ".toml"


def names() -> tuple[str, ...]:
    """Return the names of the programs, sorted."""
    found = (entry.name for entry in importlib.resources.files(__package__).iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX)))


def path(name: str) -> Path:
    """Return the file of a program, to read or to copy; raise InvalidEvent for an unknown name."""
    known = names()
    if name not in known:
        close = difflib.get_close_matches(str(name).lower(), known, n=1)
        nearest = f"did you mean {close[0]}? " if close else ""
        msg = f"there is no program {name!r:.80}: {nearest}The programs are {', '.join(known)}"
        raise InvalidEvent(msg)
    return Path(str(importlib.resources.files(__package__) / f"{name}{_SUFFIX}"))


def load(name: str, *accounts: str) -> Seeds:
    """Return a program as the seeds of these accounts: `calendars` to open a book with, and `apply` to set the rest."""
    return seeds.load(path(name), *accounts)
