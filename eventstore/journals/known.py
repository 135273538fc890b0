"""Which drafts of a group are recorded already: all of them, none, or what contradicts the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.record_errors import DuplicateEvent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventstore.record import Draft, Record


def known_records(drafts: Sequence[Draft], known: Mapping[bytes, Record]) -> list[Record] | None:
    """Return the records of drafts that are stored, None for new ones; raise DuplicateEvent for anything else.

    `known` has the records with any of their ids.
    """
    seen: set[bytes] = set()
    for draft in drafts:
        if draft.id in seen:
            raise DuplicateEvent(draft.id, None, "twice")
        seen.add(draft.id)
        record = known.get(draft.id)
        if record is not None and not record.same_fact(draft):
            raise DuplicateEvent(draft.id, record)
    if not known:
        return None
    if len(known) < len(drafts):
        record = next(known[draft.id] for draft in drafts if draft.id in known)
        raise DuplicateEvent(record.id, record, "while other events of the batch are not")
    return [known[draft.id] for draft in drafts]
