"""A dispute as one JSON document: all that its pages say, and what they leave out for their length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.clock import format_time
from gateways.presenting.documents import plain
from gateways.presenting.entries import change_lines

if TYPE_CHECKING:
    from gateways.presenting.presenter import Presenter
    from projections.auditing import Dispute, Entry


def dispute_document(found: Dispute, shown: Presenter) -> dict[str, Any]:
    """Return a dispute as plain JSON values; `records.jsonl` has the records of its timeline."""
    document: dict[str, Any] = plain(msgspec.structs.replace(found, timeline=()), shown.document_zone)
    return document | {"sentence": found.sentence, "timeline": [_entry(entry, shown) for entry in found.timeline]}


def _entry(entry: Entry, shown: Presenter) -> dict[str, Any]:
    zone = shown.document_zone
    return {
        "position": entry.position,
        "recorded_at": format_time(entry.recorded_at, zone),
        "occurred_at": format_time(entry.occurred_at, zone),
        "actor": entry.actor,
        "sentence": entry.sentence,
        "changes": change_lines(entry, shown),
        "marks": [plain(mark) for mark in entry.marks],
        "notes": [note.position for note in entry.notes],
        "tags": list(entry.tags),
        "unknown": list(entry.unknown),
        "error": entry.error,
    }
