"""What notes have tagged: records, streams and days of an account."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, TypeAlias

from eventstore.events.registry import by_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from eventstore import EventReader, Record

    Tags: TypeAlias = Mapping[tuple[str, str], tuple[str, ...]]

NOTE = "NoteAdded"
_DAY = "day"


def tags_of(reader: EventReader, *, account: str | None = None, until: int | None = None) -> Tags:
    """Return what notes have tagged, of one account or all: tags by account and target, in the order they were given.

    A target is a record's id, the name of a stream, or `day/ACCOUNT/YYYY-MM-DD`. `until` is a log position.
    """
    if by_name(NOTE) is None:
        return {}
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for record in reader.read(types=(NOTE,), account=account, until=until):
        event: Any = record.event
        if event.tags:
            place = (record.account, event.target)
            found[place] = together(found.get(place, ()), event.tags)
    return found


def together(*parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return tags, each once, in the order they are first in."""
    return tuple(dict.fromkeys([tag for part in parts for tag in part]))


def of_record(tags: Tags, record: Record) -> tuple[str, ...]:
    """Return the tags of a record itself."""
    return tags.get((record.account, str(uuid.UUID(bytes=record.id))), ())


def of_stream(tags: Tags, account: str, stream: str | None) -> tuple[str, ...]:
    """Return the tags of a stream, such as an order's."""
    return tags.get((account, stream), ()) if tags and stream is not None else ()


def of_day(tags: Tags, account: str, day: date) -> tuple[str, ...]:
    """Return the tags of a trading day."""
    return tags.get((account, f"{_DAY}/{account}/{day.isoformat()}"), ()) if tags else ()
