"""A book on the log of a service: it answers, appends and submits as one beside the journal does."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import AccountChanged, Unchanged, aio
from eventstore.testing.store_contract import ORDER, fill, order
from eventstore.trading import LockoutSet, OrderSubmitted, OrderType, Side
from projections import aio as books
from projections.risk import submit
from tests.http.serving import running


def test_a_book_sees_what_others_append_and_appends_itself(tmp_path: Path) -> None:
    with (
        running(tmp_path) as service,
        eventstore.connect(service.url, key="") as mine,
        eventstore.connect(service.url, key="") as others,
        projections.open(mine) as book,
    ):
        others.append(ORDER, [order(), fill("T-1")])
        book.refresh()
        assert book.positions.get("ACC1", "ESZ5").quantity == 1
        book.append(ORDER, fill("T-2"))
        assert book.positions.get("ACC1", "ESZ5").quantity == 2
        since = book.position
        others.append("lockout/ACC1/by-hand", LockoutSet(rule_id="by-hand", reason="enough"))
        # What decides looks at the log itself.
        (lockout,) = book.lockouts.active("ACC1", mine.clock.now_ns())
        assert lockout.rule_id == "by-hand"
        with pytest.raises(AccountChanged) as changed:
            mine.append(ORDER, fill("T-3"), unchanged=Unchanged(accounts=("ACC1",), since=since))
        assert changed.value.found == since + 1
        with projections.open(others) as another:
            assert another.positions.get("ACC1", "ESZ5").quantity == 2


def test_a_locked_account_is_refused_through_a_book_elsewhere(tmp_path: Path) -> None:
    sent = OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(1), order_type=OrderType.MARKET)
    with (
        running(tmp_path) as service,
        eventstore.connect(service.url, key="") as store,
        projections.open(store) as book,
    ):
        store.append("lockout/ACC1/by-hand", LockoutSet(rule_id="by-hand", reason="enough"))
        answer = submit(book, "ACC1", "O-9", sent, store.clock.now_ns())
        assert answer.answer.verdict.name == "REJECT"
        assert [record.type for record in store.read(after=1)] == ["RiskChecked"]


def test_a_book_of_asyncio_follows_a_service(tmp_path: Path) -> None:
    async def follow(url: str) -> None:
        async with aio.connect(url, key="") as store, books.open(store) as book:
            await store.append(ORDER, [order(), fill("T-1")])
            await book.refresh()
            assert (await book.ask(lambda found: found.positions.get("ACC1", "ESZ5").quantity)) == 1

    with running(tmp_path) as service:
        asyncio.run(follow(service.url))
