"""The journal in one SQLite file: the embedded default."""

from eventstore.journals.sqlite.journal import SqliteJournal
from eventstore.journals.sqlite.read_only import ReadOnlyJournal

__all__ = ["ReadOnlyJournal", "SqliteJournal"]
