"""A PostgreSQL per worker, a schema per test, and servers that a test may break."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.postgres.pairs import PostgresPair, running_pair
from tests.postgres.servers import PostgresServer, running

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server of this worker, which its tests share: it is not to be broken."""
    with running(18) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_16() -> Iterator[PostgresServer]:
    """The same, of an older version."""
    with running(16) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a log that is not there yet, in a schema of its own."""
    yield from own_schema(postgres)


@pytest.fixture
def postgres_16_url(postgres_16: PostgresServer) -> Iterator[str]:
    """The same, on the older version."""
    yield from own_schema(postgres_16)


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that the test may kill, pause and restart."""
    with running(18) as server:
        yield server


@pytest.fixture
def pair() -> Iterator[PostgresPair]:
    """A primary and its synchronous standby, which the test may break."""
    with running_pair(18) as pair:
        yield pair


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
        self._server.execute(f"DROP SCHEMA IF EXISTS {self.name} CASCADE")


def own_schema(server: PostgresServer) -> Iterator[str]:
    schema = OwnSchema(server)
    yield schema.url
    schema.drop()
