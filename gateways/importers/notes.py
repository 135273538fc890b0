"""The note of what an import appends, which says from which format and file it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventstore.record import Record

_IMPORT = "import "


def note_of(format: str, file: str) -> str:
    """Return the note of an import of a file."""
    return f"{_IMPORT}{format} {file}"


def is_imported(record: Record) -> bool:
    """Return whether a record comes from a file."""
    return record.note.startswith(_IMPORT)


def is_of_format(record: Record, format: str) -> bool:
    """Return whether a record comes from a file of a format."""
    return record.note.startswith(note_of(format, ""))
