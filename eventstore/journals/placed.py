"""Records that have their places already, on their way into a new journal: each is proved to be the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore.errors import CorruptJournal
from eventstore.proofs import merkle
from eventstore.record import Digester

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.record import Record


# The index refuses duplicate versions, so a stream has no gaps if its highest version is its number of records.
GAP = "SELECT stream, min(position) FROM event GROUP BY stream HAVING max(version) <> count(*) LIMIT 1"


class PlacedRecords:
    """The tree of the records that were taken so far, and the last of them."""

    def __init__(self, log_id: bytes) -> None:
        self.tree = merkle.Frontier()
        self.last: Record | None = None
        self._digester = Digester(log_id)

    def check(self, records: Sequence[Record]) -> None:
        """Take the records that follow; raise CorruptJournal for one that no journal can have recorded here."""
        sound = self._digester.sound(records)
        for number, record in enumerate(records):
            before, self.last = self.last, record
            if number >= sound:
                raise CorruptJournal(record.position, "the record does not have its digest")
            if record.position != (before.position if before else 0) + 1:
                raise CorruptJournal(record.position, "the position before it is missing")
            if before is not None and record.recorded_at <= before.recorded_at:
                raise CorruptJournal(record.position, "it was not recorded after the one before it")

    @staticmethod
    def check_gap(found: Sequence[Any] | None) -> None:
        """Raise CorruptJournal for a row of GAP; None stands for no gap."""
        if found is not None:
            stream, position = found
            raise CorruptJournal(position, f"the versions of {stream} have a gap")

    def grow(self, records: Sequence[Record]) -> list[merkle.Node]:
        """Grow the tree by records that were checked; return the nodes to store."""
        return self.tree.grow([record.digest for record in records])
