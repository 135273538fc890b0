"""What a newer version recorded, and this one does not know, lets no new exposure pass; everything else continues."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import eventstore
import projections
from eventstore import Event, EventStore, Record, UnknownEvent
from eventstore.events import registry
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    NoteAdded,
    OrderFilled,
    OrderSubmitted,
    Protection,
    ProtectionMode,
    Side,
)
from projections.risk import Proposal, check
from projections.risk.policies.liveness import why_unjudged
from projections.unread import DECIDING, INFORMING
from tests.cli.command import plain_environment

BUY = OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(1))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    """A store with two accounts that are flat, so that only what is unread keeps an order back."""
    with eventstore.open(tmp_path / "data") as store:
        store.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
        for account in ("A", "B"):
            opened = AccountOpened(starting_balance=Decimal(50_000), currency="USD")
            store.append(f"account/{account}/-", opened)
        yield store


def fill(trade_id: str, side: Side = Side.BUY) -> OrderFilled:
    return OrderFilled(trade_id=trade_id, symbol="ES", side=side, quantity=Decimal(1), price=Decimal(6_000))


def armed() -> ProtectionMode:
    return ProtectionMode(mode=Protection.ARMED, reason="tested")


def without(monkeypatch: pytest.MonkeyPatch, *types: type[Event]) -> None:
    """Make this process know these types no longer."""
    for cls in types:
        monkeypatch.delitem(registry._by_name, cls.__name__)


def reason(book: projections.Book, account: str, side: Side = Side.BUY) -> str:
    order = msgspec.structs.replace(BUY, side=side)
    return check(book, Proposal.of(account, order, order_id="O-9"), book.now_ns()).reason


def test_each_category_of_the_vocabulary_decides_or_informs() -> None:
    vocabulary = [kind for kind in registry._by_name.values() if kind.cls.__module__.startswith("eventstore.trading.")]
    assert {category for kind in vocabulary for category in kind.categories} == DECIDING | INFORMING
    assert not DECIDING & INFORMING


@pytest.mark.parametrize("is_live", [True, False])
@pytest.mark.parametrize("has_cut", [True, False])
def test_an_unknown_type_of_an_account_rejects_its_new_exposure(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, is_live: bool, has_cut: bool
) -> None:
    with projections.open(store) as book:
        assert (reason(book, "A"), reason(book, "B")) == ("", "")
        if has_cut:
            book.snapshot()
        if not is_live:
            store.append("account/A/-", armed(), actor="risk@desk")
            # A cut beyond the record, of a process that knew it.
            if has_cut:
                store.append("account/A/-", armed(), actor="risk@desk")
                book.refresh()
                book.snapshot()
    if is_live:
        book = projections.open(store)
        store.append("account/A/-", armed(), actor="risk@desk")
        without(monkeypatch, ProtectionMode)
    else:
        without(monkeypatch, ProtectionMode)
        book = projections.open(store)
    with book:
        expected = (
            "Order blocked: the record at position 4 is of the type ProtectionMode, which this process does not know"
        )
        assert reason(book, "A").startswith(expected)
        assert why_unjudged(book, "A") is not None
        assert reason(book, "B") == ""
        # A reduction passes, and so does what is held.
        book.append("order/A/O-1", fill("T-1"))
        assert reason(book, "A", Side.SELL) == ""
        assert book.parked == {}
        monkeypatch.undo()
        # A fill is a price too.
        assert reason(book, "A") == ""


@pytest.mark.parametrize(
    ("stream", "is_rejected"),
    [("account/-/all", True), ("note/A/n", False), ("desk/A/data-feed", False), ("account/C/-", False)],
)
def test_what_counts_is_whose_it_is_and_whether_decisions_rest_on_it(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, stream: str, is_rejected: bool
) -> None:
    @eventstore.event(name="tested.Charged")
    class Charged(Event, frozen=True, kw_only=True):
        amount: Decimal

    store.append(stream, Charged(amount=Decimal(1)))
    with projections.open(store) as book:
        assert reason(book, "A") == ""
    monkeypatch.delitem(registry._by_name, "tested.Charged")
    with projections.open(store) as book:
        assert ("tested.Charged" in reason(book, "A")) is is_rejected
        assert ("all accounts" in reason(book, "A")) is is_rejected


class EveryType:
    """Counts the records of each type, whatever it is."""

    name, revision = "every-type", 1

    def initial(self) -> dict[str, int]:
        return {}

    def apply(self, state: dict[str, int], event: Event, record: Record) -> None:
        kind = f"{record.type} {record.schema}" if isinstance(event, UnknownEvent) else record.type
        state[kind] = state.get(kind, 0) + 1


def test_a_newer_schema_parks_what_rests_on_it_and_nothing_else(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = registry._by_name["OrderFilled"]
    classes: dict[Any, Any] = registry._by_class
    raised = msgspec.structs.replace(released, schema=2)
    monkeypatch.setitem(classes, OrderFilled, raised)
    monkeypatch.setitem(registry._by_name, "OrderFilled", raised)
    store.append("order/A/O-1", fill("T-1"))
    store.append("order/B/O-1", OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(1)))
    monkeypatch.undo()
    store.append("order/A/O-2", fill("T-2"))
    counts: Any = EveryType()
    with projections.open(store, views=[counts]) as book:
        assert {partition for _, partition in book.parked} == {"A"}
        assert {"orders", "executions"} <= {view for view, _ in book.parked}
        error = book.parked["executions", "A"]
        assert "OrderFilled of schema 2 is not read here, where its schema is 1: a newer version" in str(error)
        assert reason(book, "A").startswith("Order blocked: ")
        assert (reason(book, "B"), book.parked.get(("every-type", "A"))) == ("", None)
        assert book.state("every-type", "A") == {"AccountOpened": 1, "OrderFilled 2": 1, "OrderFilled": 1}
        assert store.verify().ok


PREVIOUS = """
import json, sys
from decimal import Decimal
import eventstore, projections
from eventstore import UnknownEvent
from eventstore.trading import OrderFilled, OrderSubmitted, Side
from projections.risk import Proposal, check
from tests.kept.previous import forget

forget("0.1.0")
with eventstore.open("data") as store, projections.open(store) as book:
    def reason(account):
        order = OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(1))
        return check(book, Proposal.of(account, order, order_id="O-9"), book.now_ns()).reason

    unknown = [record.type for record in store.read() if isinstance(record.event, UnknownEvent)]
    answers = {account: reason(account) for account in "AB"}
    fill = OrderFilled(trade_id="T-9", symbol="ES", side=Side.BUY, quantity=Decimal(2), price=Decimal(6_000))
    book.append("order/B/O-9", fill, key="T-9")
    quantity = str(book.positions.get("B", "ES").quantity)
    found = store.verify()
    print(json.dumps({"unknown": unknown, "answers": answers, "quantity": quantity, "ok": found.ok,
                      "parked": len(book.parked), "unproved": found.unproved}))
"""


@pytest.mark.untraced
def test_the_version_before_opens_what_this_one_wrote_and_loses_nothing(store: EventStore, tmp_path: Path) -> None:
    """A process without the types added since folds what it knows, proves all of it, appends, and fails closed."""
    store.append("account/A/-", armed(), actor="risk@desk")
    store.append("note/B/n", NoteAdded(target="day/B/2026-11-30", text="news"))
    with projections.open(store) as book:
        book.append("order/B/O-1", fill("T-1"))
        book.append("order/B/O-2", fill("T-2", Side.SELL))
        book.snapshot()
    size, root = store.root()
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", PREVIOUS],
        cwd=tmp_path,
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    answered = msgspec.json.decode(ran.stdout)
    assert answered["unknown"] == ["ProtectionMode", "NoteAdded"]
    assert "ProtectionMode, which this process does not know" in answered["answers"]["A"]
    assert (answered["answers"]["B"], answered["quantity"], answered["ok"], answered["parked"]) == ("", "2", True, 0)
    # It says which types it could not compare with a class.
    assert any("ProtectionMode" in each for each in answered["unproved"])
    with projections.open(store) as book:
        assert [type(record.event) for record in store.read(after=3, limit=2)] == [ProtectionMode, NoteAdded]
        assert book.positions.get("B", "ES").quantity == 2
        assert (reason(book, "A"), book.parked) == ("", {})
        assert store.root(size) == (size, root)
        assert store.verify().ok
