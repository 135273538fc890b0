"""An archive of a log: plain Parquet files that any tool reads, and that this package reads as the log itself."""

from projections.analysis.archive.checking import check_archive
from projections.analysis.archive.layout import is_archive
from projections.analysis.archive.mixing import ArchivedReader, with_archive
from projections.analysis.archive.source import ArchiveReader, ArchiveSource
from projections.analysis.archive.writing import Archived, archive

__all__ = [
    "ArchiveReader",
    "ArchiveSource",
    "Archived",
    "ArchivedReader",
    "archive",
    "check_archive",
    "is_archive",
    "with_archive",
]
