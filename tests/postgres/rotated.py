"""The schemas of logs in PostgreSQL that are rotated, and what an administrator executes there."""

from __future__ import annotations

import psycopg

from eventstore.journals.postgres import Location


def schemas(url: str) -> list[str]:
    """Return the schemas that begin as a log's own does."""
    location = Location.of(url)
    with psycopg.connect(location.uri) as connection:
        sql = "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s) ORDER BY nspname"
        return [name for (name,) in connection.execute(sql, (location.schema,)).fetchall()]


def executed(url: str, *statements: str) -> None:
    """Execute statements as an administrator whose statements name a log's tables without their schema."""
    location = Location.of(url)
    with psycopg.connect(location.uri, autocommit=True) as connection:
        connection.execute(f'SET search_path = "{location.schema}"'.encode())
        for statement in statements:
            connection.execute(statement.encode())
