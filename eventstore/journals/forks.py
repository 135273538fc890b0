"""A fork's child must not use the journals of its parent, not even close them: it finds them closed."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Inheritable(Protocol):
    """An open journal that a fork's child must not touch."""

    def inherited(self) -> None:
        """Become closed without touching files or connections."""


_open: weakref.WeakSet[Inheritable] = weakref.WeakSet()
# Kept forever: garbage collection would close the connections, which drops the locks that the parent holds.
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
