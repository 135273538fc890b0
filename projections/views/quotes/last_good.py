"""The last good price of each symbol by the marks of equity in the log: shown after a restart, never used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.view import PartitionParked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore.trading import QuoteUsed
    from projections.view import BookReader

_VIEW = "equity"


class MarkedPrices:
    """The newest price of each symbol in any account's newest marks.

    They are collected again once as many records have been folded as there are accounts to look at: so it costs each
    record next to nothing.
    """

    def __init__(self, book: BookReader) -> None:
        self._book = book
        self._found: dict[str, QuoteUsed] = {}
        self._due_at = -1

    def get(self, symbol: str) -> QuoteUsed | None:
        position = self._book.position
        if position >= self._due_at:
            accounts = self._book.partitions(_VIEW)
            self._found = self._collected(accounts)
            self._due_at = position + max(len(accounts), 1)
        return self._found.get(symbol)

    def _collected(self, accounts: Iterable[str]) -> dict[str, QuoteUsed]:
        found: dict[str, QuoteUsed] = {}
        for account in accounts:
            for mark in self._marks(account):
                for symbol, used in mark.quotes.items():
                    known = found.get(symbol)
                    if known is None or used.at > known.at:
                        found[symbol] = used
        return found

    def _marks(self, account: str) -> tuple[Any, ...]:
        try:
            state: Any = self._book.state(_VIEW, account)
        except PartitionParked:
            # Its own queries raise it: no price depends on this account's marks.
            return ()
        return () if state is None else tuple(state.marks.values())
