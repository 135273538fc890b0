"""What a fork's child does with the journals of its parent: nothing, not even close them."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Inheritable(Protocol):
    """Something open that a fork's child must leave alone."""

    def inherited(self) -> None:
        """Be closed without touching anything."""


_open: weakref.WeakSet[Inheritable] = weakref.WeakSet()
# Kept for ever: to close a connection that the parent uses, as the end of its object would, drops SQLite's locks.
_inherited: list[Inheritable] = []


def opened(journal: Inheritable) -> None:
    _open.add(journal)


def closed(journal: Inheritable) -> None:
    _open.discard(journal)


def _after_fork_in_child() -> None:
    _inherited.extend(_open)
    for journal in _inherited:
        journal.inherited()


os.register_at_fork(after_in_child=_after_fork_in_child)
