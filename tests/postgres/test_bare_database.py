"""A log needs nothing but PostgreSQL itself: no extension, no language, no superuser, no schema `public`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import urlsplit

import psycopg
import pytest

import eventstore
import projections
from eventstore import Unchanged
from eventstore.journals.postgres.writing import COPIED_MIN
from eventstore.testing import in_time
from eventstore.trading import AccountOpened, ContractDefined, OrderFilled, Side
from projections import Policies
from projections.rules import shipped_rules
from tests.postgres.servers import PostgresServer
from tests.store.facts import ORDER, rejected, texts

ROLE = DATABASE = "desk"


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> Iterator[str]:
    """Return the URL of a database of an ordinary role's own, in which no extension is there or can be created."""
    postgres.execute(f"CREATE ROLE {ROLE} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION")
    postgres.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE} TEMPLATE template0")
    # Those that are trusted could be created by the owner of a database.
    postgres.execute(f"ALTER DATABASE {DATABASE} SET extension_control_path = '/nowhere'")
    with postgres.connect(DATABASE) as connection:
        connection.execute("DROP EXTENSION plpgsql")
        connection.execute("DROP SCHEMA public CASCADE")
    parts = urlsplit(postgres.url(DATABASE))
    yield parts._replace(netloc=f"{ROLE}@{parts.netloc.rpartition('@')[2]}").geturl()
    postgres.execute(f"DROP DATABASE {DATABASE}")
    postgres.execute(f"DROP ROLE {ROLE}")


def test_a_log_needs_no_extension_and_no_superuser(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="is not available"):
            connection.execute("CREATE EXTENSION pgcrypto")
        assert connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)
    many = [rejected(number) for number in range(COPIED_MIN + 1)]
    with eventstore.open(url) as store, eventstore.open(url) as other:
        store.append(ORDER, many, expected=0)
        followed = other.follow(after=len(many))
        store.append(ORDER, rejected("one"), key="k", unchanged=Unchanged(accounts=("ACC1",), since=len(many)))
        assert in_time(lambda: next(followed)).position == store.head() == other.head() == len(many) + 1
        assert store.append(ORDER, rejected("one"), key="k")[0].position == other.head()
        assert store.verify().ok
        assert store.doctor() == []
    with eventstore.open(url, read_only=True) as evidence:
        assert len(texts(evidence)) == len(many) + 1
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT extname FROM pg_extension").fetchall() == []


def test_policies_run_and_are_seen_without_any_either(url: str) -> None:
    with contextlib.ExitStack() as stack:
        store, other = (stack.enter_context(eventstore.open(url, log="policies")) for _ in range(2))
        book, reader = (stack.enter_context(projections.open(each)) for each in (store, other))
        book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        book.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
        policies = Policies(book, shipped_rules()).start(ticking=False)
        stack.callback(policies.stop)
        fill = OrderFilled(trade_id="T", symbol="ES", side=Side.BUY, quantity=Decimal(1), price=Decimal(5_000))
        book.append("order/A/O", fill)
        policies.tick()
        assert other.side is not None
        assert other.side.is_locked("policies.lock")
        reader.refresh()
        assert reader.positions.get("A", "ES").quantity == 1
