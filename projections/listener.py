"""Who is told what a live book folds and observes: policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from eventstore import Event, Record


class Listener(Protocol):
    """Who is told what a live book folds and observes, and then may append."""

    @property
    def settled(self) -> bool:
        """Whether all that was told of has been decided, and all that was decided is appended."""

    def settled_for(self, account: str) -> bool:
        """Tell whether that is so of an account, whatever went wrong with another."""

    def folded(self, record: Record) -> None:
        """Take note of a record, just folded: the book is at it, and its lock is held."""

    def observed(self, record: Record, event: Event) -> None:
        """Take note of what was observed; the book's lock is held."""

    def act(self) -> None:
        """Append what was decided on; the lock is not held."""
