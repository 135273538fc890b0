"""The journal in PostgreSQL: the same promises for several hosts, by a server that a desk operates already."""

from eventstore.journals.postgres.journal import PostgresJournal
from eventstore.journals.postgres.location import Location
from eventstore.journals.postgres.read_only import ReadOnlyPostgres
from eventstore.journals.postgres.side import PostgresSide

__all__ = ["Location", "PostgresJournal", "PostgresSide", "ReadOnlyPostgres"]
