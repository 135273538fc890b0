"""A log in PostgreSQL that is to be rotated, and what has to be true of it afterwards."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import psycopg

import eventstore
import projections
from eventstore import EventStore
from eventstore.journals.postgres import Location
from eventstore.trading import AccountOpened
from tests.rotation.facts import CASH, SUBMITTED, filled


def begun(url: str) -> str:
    with eventstore.open(url) as store:
        store.append("account/A/-", AccountOpened(starting_balance=Decimal(1_000), currency="USD"))
        store.append("account/A/-", CASH, key="cash")
        store.append("order/A/O-1", [SUBMITTED, filled("T-1")])
    return url


def check(store: EventStore, acknowledged: list[tuple[int, bytes]] = ()) -> None:  # type: ignore[assignment] # empty
    """Whatever was left: it has what was acknowledged, once, in one order, and proves it."""
    records = list(store.read())
    assert [record.position for record in records] == list(range(1, len(records) + 1))
    assert max(Counter(record.id for record in records).values()) == 1
    by_position = {record.position: record.id for record in records}
    assert all(by_position.get(position) == id_ for position, id_ in acknowledged)
    types = Counter(record.type for record in records)
    assert types["LogEnded"] == types["LogContinued"] == len({record.log for record in records}) - 1
    found = store.verify()
    assert found.ok, found.reason
    assert store.append("account/A/-", CASH, key="cash")[0].position == 2
    with projections.open(store, snapshots=False) as book:
        assert book.positions.get("A", "ES").quantity == 1
        assert book.accounts.balance("A") == 1_005


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
