"""CCXT's structures in a book: orders of a program's own, coins bought, cash reported twice, other exchanges beside."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from eventstore import EventStore
from eventstore.trading import ContractDefined, OrderAccepted, OrderFilled, OrderSubmitted, Side
from gateways.importers import import_file
from gateways.messages import MessageMapping
from gateways.messages.binance import BinanceFutures
from gateways.messages.ccxt import Ccxt, PrecisionMode
from tests.messages import binance_messages as raw
from tests.messages import ccxt_structures as made
from tests.messages.recording import recorded

D = Decimal
CCXT = Ccxt(exchange="binance", account="A", precision_mode=PrecisionMode.TICK_SIZE)
MAPPINGS: Mapping[str, MessageMapping] = {
    "ccxt": CCXT,
    "binance": BinanceFutures(account="A", symbols={"BTCUSDT": "BTC/USDT:USDT"}),
    "okx": Ccxt(exchange="okx", account="B", suffix="@okx"),
    "mine": msgspec.structs.replace(CCXT, client_ids=True),
}
SWAP = "BTC/USDT:USDT"


def test_a_programs_order_gets_what_the_exchange_says_of_it_under_its_own_id() -> None:
    submitted = OrderSubmitted(symbol="BTC/USDT", side=Side.BUY, quantity=D("0.5"))
    reported = made.order(status="closed", filled=0.5, lastUpdateTimestamp=made.START + 9)
    fill = made.trade(amount=0.5, timestamp=made.START + 9)
    for order_id, source in (("O", "ccxt"), ("mine-1", "mine")):
        with recorded(MAPPINGS, []) as (book, recorders):
            book.append(f"order/A/{order_id}", submitted)
            if source == "ccxt":
                book.append("order/A/O", OrderAccepted(broker_order_id=CCXT.broker_order_id(reported)))
            for message in (fill, reported, fill):
                recorders[source].record(message)
            order = book.orders.get("A", order_id)
            assert order is not None
            assert (order.status.value, order.cumulative, order.differs) == ("FILLED", D("0.5"), False)
            assert book.positions.get("A", "BTC/USDT").quantity == D("0.5")


def test_a_fee_in_the_coin_bought_is_taken_from_it_and_a_third_coin_stays_apart() -> None:
    messages = [
        made.market(),
        made.trade(id="1", amount=1.0, price=100.0, fee={"currency": "BTC", "cost": 0.25}, fees=None),
        made.trade(id="2", amount=1.0, price=100.0, fee={"currency": "BNB", "cost": 0.01}, fees=None),
        made.trade(id="3", amount=1.0, price=100.0, fee=None, fees=[{"currency": "USDT", "cost": -0.5}]),
    ]
    with recorded(MAPPINGS, [("ccxt", each) for each in messages]) as (book, _):
        held = book.positions.get("A", "BTC/USDT")
        assert held.quantity == D("2.75")
        assert dict(held.fees_by_currency) == {"": D(25), "BNB": D("0.01"), "USDT": D("-0.5")}


def test_amounts_of_contracts_are_worth_their_size_in_what_they_are_settled_in() -> None:
    messages = [made.linear(), made.inverse()]
    for symbol, entry, exit_ in ((SWAP, 50_000.0, 51_000.0), ("BTC/USD:BTC", 50_000.0, 62_500.0)):
        for id_, side, price in (("1", "buy", entry), ("2", "sell", exit_)):
            at = made.START + int(id_)
            messages.append(
                made.trade(id=id_, symbol=symbol, side=side, price=price, amount=10.0, timestamp=at, fees=[])
            )
    with recorded(MAPPINGS, [("ccxt", each) for each in messages]) as (book, _):
        linear, inverse = book.positions.get("A", SWAP), book.positions.get("A", "BTC/USD:BTC")
        # 10 contracts of 0.01 coins: 0.1 × 1,000 USDT. Of 100 USD each: 1,000 × (1 ÷ 50,000 − 1 ÷ 62,500) coins.
        assert (linear.realized, linear.currency) == (D(100), "USDT")
        assert (inverse.realized, inverse.currency) == (D("0.004"), "BTC")
        assert book.accounts.balance("A", "BTC") == D("0.004") - D(0)


def test_one_execution_reported_in_every_way_counts_once_with_the_fee_that_one_of_them_states() -> None:
    bare = made.trade(id="77", order="8886774", symbol=SWAP, fee=None, fees=None)
    whole = made.trade(id="77", order="8886774", symbol=SWAP)
    listing = made.order(id="8886774", symbol=SWAP, filled=0.3, trades=[bare])
    messages = [("ccxt", bare), ("ccxt", listing), ("ccxt", whole), ("binance", raw.fill_update()), ("ccxt", bare)]
    with recorded(MAPPINGS, [("ccxt", made.linear()), *messages]) as (book, recorders):
        held = book.positions.get("A", SWAP)
        assert (held.quantity, dict(held.fees_by_currency)) == (D("0.3"), {"USDT": D("7.2")})
        assert len(book.trades.of("A")) == 1
        order = book.orders.get("A", f"{SWAP}-8886774")
        assert order is not None
        assert (order.cumulative, order.differs) == (D("0.3"), False)
        assert {each.counts.unmapped for each in recorders.values()} == {0}


def test_a_movement_of_cash_that_is_reported_with_other_figures_counts_once_and_is_noted() -> None:
    messages = [
        made.funding(id="5", amount=-1.25),
        made.funding(id="5", amount=-1.5),
        made.funding(id="5", amount=-1.5),
    ]
    with recorded(MAPPINGS, [("ccxt", each) for each in messages]) as (book, _):
        assert book.accounts.balance("A", "USDT") == D("-1.25")
        (note,) = [each for each in book.notes.of("A") if each.tags == ("conflicting-cash",)]
        assert "FUNDING_FEE-5" in note.text
        assert "-1.5" in note.text


def test_the_same_symbol_at_two_exchanges_is_two_contracts() -> None:
    messages = [
        ("ccxt", made.linear(contractSize=1.0)),
        ("okx", made.linear(id="BTC-USDT-SWAP", contractSize=0.01)),
        ("ccxt", made.trade(symbol=SWAP)),
        ("okx", made.trade(symbol=SWAP)),
    ]
    with recorded(MAPPINGS, messages) as (book, _):
        here, there = book.positions.get("A", SWAP), book.positions.get("B", f"{SWAP}@okx")
        assert (here.multiplier, there.multiplier) == (D(1), D("0.01"))
        assert here.quantity == there.quantity == D("0.3")


def test_one_market_twice_is_one_definition_and_another_size_changes_nothing() -> None:
    messages = [made.linear(), made.linear(), made.linear(contractSize=5.0)]
    with recorded(MAPPINGS, [("ccxt", each) for each in messages]) as (book, recorders):
        assert book.contracts.get(SWAP).multiplier == D("0.01")
        assert recorders["ccxt"].counts.unmapped == 1
        assert len(list(book.read(stream="contract/-/BTC%2FUSDT:USDT"))) == 1


def test_a_contract_that_is_linear_here_and_inverse_at_the_exchange_is_noted() -> None:
    """Its figures in money would be others: a person has to say which of them is right."""
    definition = ContractDefined(symbol="BTC/USD:BTC", multiplier=D(100), currency="USD")
    with recorded(MAPPINGS, []) as (book, recorders):
        book.append("contract/-/BTC%2FUSD:BTC", definition)
        recorders["ccxt"].record(made.inverse())
        assert recorders["ccxt"].counts.unmapped == 1
        (note,) = book.notes.of("-", tag="unmapped")
        assert "linear contract in this log" in note.text
        assert not book.contracts.get("BTC/USD:BTC").inverse


def test_a_file_of_trades_beside_what_was_recorded_live_counts_each_execution_once() -> None:
    """A file's executions have symbol and id as their trade id: `[identity] columns = ["symbol", "id"]`."""
    imported = OrderFilled(
        trade_id="BTC/USDT-T-1", symbol="BTC/USDT", side=Side.BUY, quantity=D("0.3"), price=D("60000.1"), fee=D("7.2"),
        fee_currency="USDT",
    )  # fmt: skip
    live = [made.market(), made.order(filled=0.3), made.trade()]
    for before in (True, False):
        with recorded(MAPPINGS, []) as (book, recorders):
            if before:
                book.append("order/A/O-1", imported, key="fill:BTC/USDT-T-1", occurred_at=made.START * 1_000_000)
            for message in live:
                recorders["ccxt"].record(message)
            if not before:
                book.append("order/A/O-1", imported, key="fill:BTC/USDT-T-1", occurred_at=made.START * 1_000_000)
            held = book.positions.get("A", "BTC/USDT")
            assert (held.quantity, dict(held.fees_by_currency)) == (D("0.3"), {"USDT": D("7.2")})
            assert len(book.trades.of("A")) == 1
            order = book.orders.get("A", "BTC/USDT-O-1")
            assert order is not None
            assert not order.differs


def test_a_file_of_income_beside_what_was_recorded_live_adds_nothing(tmp_path: Path) -> None:
    lines = [
        "Date(UTC),type,Amount,Asset,Symbol,Transaction ID",
        "2026-01-01 00:00:00,FUNDING_FEE,-1.25000000,USDT,BTCUSDT,9001",
        "2026-01-01 00:00:00,COMMISSION_REBATE,0.5,USDT,BTCUSDT,9001",
        "2026-01-01 00:00:00,REALIZED_PNL,7,USDT,BTCUSDT,9001",
    ]
    file = tmp_path / "income.csv"
    file.write_text("\n".join(lines) + "\n")
    live = [
        ("binance", raw.income()),
        ("ccxt", made.funding(id="9001")),
        ("binance", raw.income(incomeType="COMMISSION_REBATE", income="0.50000000")),
        ("binance", raw.income(incomeType="REALIZED_PNL", income="7")),
    ]
    for is_first in (True, False):
        with recorded(MAPPINGS, []) as (book, recorders):
            assert isinstance(book.reader, EventStore)
            if is_first:
                import_file(book.reader, file, "binance-futures-income", account="A")
            for source, message in live:
                recorders[source].record(message)
            if not is_first:
                import_file(book.reader, file, "binance-futures-income", account="A")
            book.refresh()
            assert book.accounts.balance("A", "USDT") == D("-0.75")
