"""Messages repeated, late, shuffled, and lost until they are asked for, end in the same book: the gateway's truth."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import AccountOpened, ContractDefined, OrderSubmitted, Side
from gateways.messages import Recorder
from gateways.messages.projectx import ProjectX, message, with_closed_positions
from projections import Book
from tests.messages.projectx_messages import answer, user
from tests.proving import rounds
from tests.reference.projectx import ACCOUNT_ID, Gateway
from tests.reference.projectx_trades import CONTRACTS, cash_of, fees_of, held_of, realized_of

pytestmark = pytest.mark.untraced

ACCOUNT = str(ACCOUNT_ID)
MAPPING = ProjectX()
JUNK = [{}, user("Trade", {"id": 5}), message("GatewayLogout", "bye"), user("Order", None)]


def delivered(gateway: Gateway, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield messages as they may arrive: some never, some twice, some much later, plain or in an envelope."""
    late = chance.choice((0, 0, 3, 1_000))
    arriving = []
    for place, (kind, data) in enumerate(gateway.said):
        for _ in range(chance.choice((0, 1, 1, 1, 1, 2))):
            # States that have no time of their own come in order on a connection.
            delay = chance.random() * late if kind in {"Order", "Trade"} else 0
            arriving.append((place + delay, user(kind, data, chance.choice((None, 0, 1)))))
    arriving.sort(key=lambda each: each[0])
    for _, each in arriving:
        yield each
        if chance.random() < 0.03:
            yield chance.choice(JUNK)


def answers(gateway: Gateway, book: Book) -> Iterator[dict[str, Any]]:
    """Yield what is asked for after a gap."""
    yield answer("Account/search", accounts=[gateway.account()])
    yield answer("Order/search", orders=[*gateway.orders.values()])
    yield answer("Trade/search", trades=[*gateway.trades.values()])
    positions = {"success": True, "positions": gateway.positions()}
    yield message("Position/searchOpen", with_closed_positions(book, MAPPING, ACCOUNT_ID, positions))


def open_account(book: Book, gateway: Gateway) -> None:
    book.append(f"account/{ACCOUNT}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
    for contract_id, (symbol, multiplier) in CONTRACTS.items():
        definition = ContractDefined(
            symbol=symbol, multiplier=Decimal(multiplier), currency="USD", broker_ids=(contract_id,)
        )
        book.append(f"contract/-/{symbol}", definition)
    for each in gateway.orders.values():
        if each["customTag"]:
            side, symbol = (Side.BUY, Side.SELL)[each["side"]], CONTRACTS[each["contractId"]][0]
            event = OrderSubmitted(symbol=symbol, side=side, quantity=Decimal(each["size"]))
            book.append(f"order/{ACCOUNT}/{each['customTag']}", event)


def problems(gateway: Gateway, book: Book) -> list[str]:
    """Return where the book is not what is true."""
    found = [*problems_of_orders(gateway, book), *problems_of_positions(gateway, book)]
    trades = {each.trade_id: each.busted for each in book.trades.of(ACCOUNT)}
    if trades != {str(each): trade["voided"] for each, trade in gateway.trades.items()}:
        found.append(f"trades: {trades}")
    (balance,) = book.accounts.balances(ACCOUNT)
    state = book.accounts.get(ACCOUNT)
    if balance.reported != Decimal(str(gateway.balance)) or not state or state.can_trade is not gateway.can_trade:
        found.append(f"account: {balance}, {state and state.can_trade}")
    return found


def problems_of_orders(gateway: Gateway, book: Book) -> Iterator[str]:
    for id_, order in gateway.orders.items():
        mine: Any = book.orders.get(ACCOUNT, order["customTag"] or str(id_))
        there = (gateway.status(id_), gateway.filled(id_), order["size"], str(id_), order["fillVolume"])
        here = mine and (mine.status, mine.cumulative, mine.quantity, mine.broker_order_id, mine.reported_filled)
        if here != there:
            yield f"order {id_}: {here}, not {there}"
        parent = gateway.orders[order["parentOrderId"]] if "parentOrderId" in order else None
        if mine and parent and mine.parent_order_id != (parent["customTag"] or str(parent["id"])):
            yield f"order {id_}: a child of {mine.parent_order_id}, not of {parent['id']}"


def problems_of_positions(gateway: Gateway, book: Book) -> Iterator[str]:
    for contract_id, (symbol, _) in CONTRACTS.items():
        held = book.positions.get(ACCOUNT, symbol)
        trades = gateway.trades.values()
        there = (Decimal(held_of(trades, contract_id)), cash_of(trades, contract_id), fees_of(trades, contract_id))
        if (held.quantity, held.realized_points - held.cost, held.fees) != there:
            yield f"{symbol}: {held}, not {there}"
        # A trade from before the position was last flat, recorded after that, is booked at the end, and marked so.
        if not held.anomalies and held.realized != realized_of(trades, contract_id):
            yield f"{symbol}: {held.realized}, not {realized_of(trades, contract_id)}"
        if held.reported not in {None, there[0]}:
            yield f"{symbol}: reported as {held.reported}"


def ends_in(seed: int) -> list[str]:
    """Play a history with a restart in it, ask for what was missed, and return what is not true in the book."""
    chance, gateway = random.Random(seed), Gateway(seed).live(random.Random(seed).randint(3, 25))
    messages = [*delivered(gateway, chance)]
    restart = chance.randint(0, len(messages))
    clock = ManualClock("2026-12-01T00:00:00Z")
    with EventStore(MemoryJournal(clock=clock), clock=clock) as store:
        with projections.open(store, snapshots=False) as book:
            open_account(book, gateway)
            with Recorder(book, MAPPING) as recorder:
                for each in messages[:restart]:
                    recorder.record(each)
        with projections.open(store, snapshots=False) as book, Recorder(book, MAPPING) as recorder:
            for each in itertools.chain(messages[restart:], answers(gateway, book)):
                recorder.record(each)
            found = problems(gateway, book)
            before = store.head()
            for each in itertools.chain(messages, answers(gateway, book)):
                if not any(kind in str(each.get("target")) for kind in ("Account", "Position")):
                    recorder.record(each)
            if store.head() != before or problems(gateway, book) != found:
                found.append(f"said again: {store.head() - before} more records, {problems(gateway, book)}")
    return found


@pytest.mark.parametrize("part", [0, 1])
def test_whatever_arrives_ends_in_the_gateway_s_truth(part: int) -> None:
    for seed in rounds(f"messages of a gateway, part {part}", test=100, prove=10_000):
        assert ends_in(2 * seed + part) == [], seed
