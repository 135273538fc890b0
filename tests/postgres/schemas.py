"""A schema for each test on a server that several share."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import psycopg

from tests.postgres.servers import PostgresServer

_numbers = itertools.count(1)


class OwnSchema:
    """A schema of one test's own on a server; `url` is that of a log in it, which is not there yet."""

    def __init__(self, server: PostgresServer) -> None:
        self._server, self.name = server, f"test_{next(_numbers)}"
        self.url = server.url(log="main", schema=self.name)

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect as the superuser, whose statements name the log's tables without their schema."""
        connection = self._server.connect()
        connection.execute(f"SET search_path = {self.name}")
        return connection

    def drop(self) -> None:
        """Drop it, and those whose names are its own with another after an underscore, or with a number after a dot."""
        with self._server.connect() as connection:
            query = "SELECT nspname FROM pg_namespace WHERE nspname = %(own)s OR nspname ^@ ANY(%(beginnings)s)"
            values = {"own": self.name, "beginnings": [f"{self.name}_", f"{self.name}."]}
            for (name,) in connection.execute(query, values).fetchall():
                connection.execute(f'DROP SCHEMA "{name}" CASCADE')


@contextlib.contextmanager
def own_schema(server: PostgresServer) -> Iterator[str]:
    """Yield the URL of a log that is not there yet, in a schema of its own."""
    schema = OwnSchema(server)
    try:
        yield schema.url
    finally:
        schema.drop()
