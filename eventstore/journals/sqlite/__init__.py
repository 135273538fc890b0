"""The journal in one SQLite file: the embedded default."""

from eventstore.journals.sqlite.journal import SqliteJournal

__all__ = ["SqliteJournal"]
