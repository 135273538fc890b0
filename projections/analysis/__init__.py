"""History for analysts: frames, SQL, replays and plots of what a log holds, exact and fast."""

from projections.analysis.archive import (
    Archived,
    ArchivedReader,
    ArchiveReader,
    ArchiveSource,
    archive,
    check_archive,
    with_archive,
)
from projections.analysis.columns import Kind
from projections.analysis.events import EventSet, events
from projections.analysis.exports import Exported, export
from projections.analysis.frame import Frame

__all__ = [
    "ArchiveReader",
    "ArchiveSource",
    "Archived",
    "ArchivedReader",
    "EventSet",
    "Exported",
    "Frame",
    "Kind",
    "archive",
    "check_archive",
    "events",
    "export",
    "with_archive",
]
