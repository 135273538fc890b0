"""Records of types that are not registered here, in streams that decisions rest on: a newer version wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.events.registry import by_name
from projections.view import SHARED

if TYPE_CHECKING:
    from eventstore import EventReader, Record

DECIDING = frozenset({
    "account", "approval", "blackout", "breach", "carried", "contract", "enforcement", "equity", "fee", "group",
    "limits", "lockout", "order", "pair", "pnl", "policy", "portfolio", "position", "rate", "session", "trade",
})  # fmt: skip
"""The categories of streams whose records say what an account has and may do."""
INFORMING = frozenset({
    "alert", "audit", "clock", "evidence", "feed", "log", "mark", "note", "quote", "risk", "shadow", "timer",
})  # fmt: skip
"""All other categories of the vocabulary: what they have decides nothing, or is judged by what it says itself."""


class UnreadTypes:
    """For each account, the first record of a type that no class is registered for here, where it could matter.

    A fold notes what it meets. What lies before a cut that it began from is looked for in the log when somebody asks,
    once, and only if the log has such a type at all.
    """

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, int]] = {}
        self._begin = 0
        self._occurred_until: int | None = None

    def begin(self, log_position: int, occurred_until: int | None = None) -> None:
        """Take up a fold at a position: what precedes it has not been met. What occurred later does not count."""
        self._begin, self._occurred_until = max(self._begin, log_position), occurred_until

    def note(self, record: Record) -> None:
        """Take a record of a type that is not registered here."""
        category, account, _ = record.stream.split("/", 2)
        first = self._first.get(account)
        if category in DECIDING and (first is None or record.position < first[1]):
            self._first[account] = (record.type, record.position)

    def why(self, account: str, reader: EventReader) -> str | None:
        """Return why what an account may do is not known here, with what to do; None if nothing is unread."""
        if self._begin:
            self._look_before(reader)
        # Asked before each order, and hardly ever is there one.
        if not self._first:
            return None
        for name in (account, SHARED):
            kind, position = self._first.get(name, ("", 0))
            if kind and by_name(kind) is None:
                whose = "all accounts" if name == SHARED else account
                return (
                    f"the record at position {position:,} is of the type {kind}, which this process does not know, so "
                    f"what {whose} may do is not certain: run the version of eventstore that wrote it, or register "
                    "its class here"
                )
        return None

    def _look_before(self, reader: EventReader) -> None:
        unknown = [name for name in reader.types() if by_name(name) is None]
        if unknown:
            for record in reader.read(until=self._begin, types=unknown):
                if self._occurred_until is None or record.occurred_at <= self._occurred_until:
                    self.note(record)
        self._begin = 0
