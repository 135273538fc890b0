"""A log in PostgreSQL that is only read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from eventstore.errors import NoSuchLog
from eventstore.journals import forks
from eventstore.journals.postgres import integrity, tables
from eventstore.journals.postgres.reading import PostgresSource

if TYPE_CHECKING:
    from eventstore.journals.postgres.connection import Connection
    from eventstore.journals.postgres.location import Location


class ReadOnlyPostgres(PostgresSource):
    """A log in PostgreSQL that is only read, of a primary or a standby. Raises Unavailable where there is none."""

    def __init__(self, location: Location) -> None:
        super().__init__(location, read_only=True)
        self.identity = self._asked(self._identify)
        self.log_id = self.identity.log_id
        forks.opened(self)

    def _identify(self, reader: Connection) -> tables.StoredIdentity:
        if not tables.is_there(reader, self.location):
            msg = f"there is no {self.location}: name one that exists, or open it to append, which creates it"
            raise NoSuchLog(msg)
        found = tables.identify(reader, self.location)
        integrity.check_definitions(reader, self.location)
        return found

    def others(self) -> list[str]:
        """Return the names of the tables in the log's schema that are not the log's own, sorted."""
        return self._asked(lambda reader: tables.others(reader, self.location))

    def close(self) -> None:
        forks.closed(self)
        self._close_reading()

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.location}>"
