"""A record as the line of JSON that bundles and proofs have it as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.ids import id_text
from eventstore.proofs.standalone import verify_bundle

if TYPE_CHECKING:
    from eventstore.record import Record


def line_of(record: Record) -> bytes:
    """Return a record's line, with its end: all members that its digest covers, and the digest."""
    return verify_bundle.json_line(
        (record.position, record.version, record.schema, record.recorded_at, record.occurred_at),
        (record.stream, record.type, record.actor, record.note),
        (_id(record.id), _id(record.correlation_id), _id(record.causation_id)),
        record.digest,
        record.data,
    )


def _id(given: bytes | None) -> str | None:
    return None if given is None else id_text(given)
