"""The errors that carry records; `eventstore.errors` has the whole tree."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from eventstore.errors import AppendError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.record import Record


class DuplicateEvent(AppendError):
    """An id is recorded already, with other content or as only a part of this batch; nothing was written."""

    def __init__(self, id: bytes, record: Record | None, why: str = "with other content") -> None:
        self.id, self.record, self.why = id, record, why
        where = f" at position {record.position}" if record is not None else " in this very batch"
        super().__init__(
            f"event {uuid.UUID(bytes=id)} is recorded{where} {why}: give a new key to a new fact, "
            "and the same content to a repeated one"
        )


class NotMirrored(Unavailable):
    """The events are on disk, and InfluxDB did not confirm them in time. They will be shipped: do not append again."""

    def __init__(self, records: Sequence[Record], why: str) -> None:
        self.records = tuple(records)
        # In the order of the call, not of the log: what the log has had before is among them.
        place = f"up to position {max(record.position for record in records)}" if self.records else "asked for"
        super().__init__(
            f"the events {place} are durable in the journal and will be shipped, but InfluxDB has not confirmed them "
            f"yet ({why}): do not append them again"
        )
