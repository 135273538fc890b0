"""The interface of whatever a live book notifies of what it folds and observes: policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventstore import Event, Record, StoreError


class Listener(Protocol):
    """Is notified of what a live book folds and observes, and may then append."""

    @property
    def stopped(self) -> Mapping[tuple[str, str], StoreError]:
        """What is not evaluated for an account any more, by its name and the account, and why."""

    @property
    def is_caught_up(self) -> bool:
        """Whether every notification has led to its decisions, and every decision is appended."""

    @property
    def abilities(self) -> frozenset[str]:
        """What it can judge, where it judges."""

    def is_caught_up_for(self, account: str) -> bool:
        """Return whether that is so for an account, whatever failed for another."""

    def judges(self, account: str) -> bool:
        """Return whether it decides for an account now."""

    def folded(self, record: Record) -> None:
        """Handle a record just folded: the book is at its position, and the book's lock is held."""

    def observed(self, record: Record, event: Event) -> None:
        """Handle an observed event; the book's lock is held."""

    def flush(self) -> None:
        """Append what was decided; the book's lock is not held."""
