"""Accounts that are armed again though nobody armed them: a group with limits, or a clock put right, keeps them so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import Protection
from projections.view import PartitionParked

if TYPE_CHECKING:
    from projections.book import Book


class ArmedAccounts:
    """Says which accounts were in shadow mode and are armed now: what was only recorded for them is judged again.

    A ProtectionMode is judged as it is recorded, and each account at the start of the policies.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._in_shadow: frozenset[str] = frozenset()

    def found(self) -> list[str]:
        """Return the accounts that have been armed since the last time, though their newest mode is the shadow mode."""
        before, self._in_shadow = self._in_shadow, frozenset(filter(self._is_in_shadow, self._book.accounts.active()))
        return [each for each in sorted(before - self._in_shadow) if self._book.shadow.pending(each) is not None]

    def _is_in_shadow(self, account: str) -> bool:
        try:
            return self._book.shadow.mode(account) is Protection.SHADOW
        except PartitionParked:
            # Once the mode can be read it is known whether it has changed.
            return account in self._in_shadow
