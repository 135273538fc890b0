"""Names of instruments: roots are what definitions state; what no contract knows may be of any root."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import eventstore
import projections
from eventstore.trading import Asset, ContractDefined, LockoutSet, OrderFilled, OrderSubmitted, Side
from projections.views.contracts.names import all_names, instrument_names, named_in
from projections.views.contracts.view import ContractsState, ContractsView
from tests.views.position_folding import Folding


def contracts(**members: dict[str, Any]) -> ContractsState:
    view, log = ContractsView(), Folding()
    state = view.initial()
    for symbol, stated in members.items():
        event = ContractDefined(symbol=symbol, **stated)
        view.apply(state, event, log.record(f"contract/-/{symbol}", event))
    return state


KNOWN = contracts(
    CN50={}, ZCZ5={"root": "ZC"}, CZ5={"root": "C", "broker_ids": ("CON.C",)}, HGZ5={"asset": Asset.FUTURE}
)


@pytest.mark.parametrize(
    ("symbol", "roots"),
    [
        ("CN50", []),
        ("ZCZ5", ["ZC"]),
        ("CZ5", ["C"]),
        ("CON.C", ["C"]),
        ("HGZ5", ["C", "ZC", "HG"]),
        ("CH6", ["C", "ZC", "HG"]),
        ("", ["C", "ZC", "HG"]),
    ],
)
def test_a_root_is_what_a_definition_states(symbol: str, roots: list[str]) -> None:
    instrument = instrument_names(KNOWN, symbol)
    assert [root for root in ("C", "ZC", "HG") if instrument.may_be_of(root)] == roots
    assert named_in(KNOWN, symbol, ["C", "ZC", "HG"]) == roots


def test_without_definitions_every_name_is_unknown() -> None:
    assert not instrument_names(None, "ESZ5").known
    assert all_names(None, "ESZ5") == ("ESZ5",)


def test_names_are_those_of_the_contract_and_its_root() -> None:
    assert all_names(KNOWN, "CON.C") == ("CON.C", "CZ5", "C")
    assert all_names(KNOWN, "CN50") == ("CN50",)


def test_a_future_without_a_root_is_none_of_the_contracts_that_are_known() -> None:
    assert named_in(KNOWN, "HGZ5", ["CN50", "HGZ5", "SI"]) == ["HGZ5", "SI"]


def test_corn_does_not_lock_the_china_index_and_what_nobody_defined_is_locked() -> None:
    book = Folding()
    book.add("contract/-/x", ContractDefined(symbol="CN50"), ContractDefined(symbol="CZ5", root="C"))
    book.add("lockout/A/r", LockoutSet(rule_id="r", scope="root:C"))
    held = {symbol: bool(book.lockouts.active("A", 10, symbol)) for symbol in ("CN50", "CZ5", "CH6", "FOO")}
    assert held == {"CN50": False, "CZ5": True, "CH6": True, "FOO": True}


def test_under_a_lockout_of_one_symbol_an_unknown_name_is_locked_and_a_known_one_is_not() -> None:
    book = Folding()
    book.add("contract/-/x", ContractDefined(symbol="CN50"))
    assert book.lockouts.active("A", 10, "FOO") == ()
    book.add("lockout/A/r", LockoutSet(rule_id="r", scope="symbol:CZ5"))
    assert [bool(book.lockouts.active("A", 10, symbol)) for symbol in ("CN50", "CZ5", "FOO")] == [False, True, True]


def test_every_question_about_a_contract_takes_any_of_its_names(tmp_path: Path) -> None:
    one = Decimal(1)
    with eventstore.open(tmp_path) as store, projections.open(store) as book:
        book.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", broker_ids=("ES DEC", "CON.ES"), multiplier=one))
        for order_id, symbol in (("1", "ESZ5"), ("2", "CON.ES"), ("3", "NQZ5")):
            book.append(f"order/A/{order_id}", OrderSubmitted(symbol=symbol, side=Side.BUY, quantity=one))
        for trade_id, side in (("1", Side.BUY), ("2", Side.SELL)):
            fill = OrderFilled(trade_id=trade_id, symbol="ESZ5", side=side, quantity=one, price=one)
            book.append("order/A/4", fill)
        for name in ("ESZ5", "ES DEC", "CON.ES"):
            assert [order.order_id for order in book.orders.open("A", name)] == ["1", "2"]
            assert [order.order_id for order in book.orders.open(symbol=name)] == ["1", "2"]
            assert [trip.points for trip in book.trips.of("A", name)] == [0]
            assert len(book.trades.of("A", name)) == book.trades.totals("A", name).count == 2
            assert book.positions.get("A", name).symbol == "ESZ5"
        assert [order.order_id for order in book.orders.open("A", "NQZ5")] == ["3"]
        assert (book.orders.open("A", "ES"), book.trips.of("A", "NQZ5")) == ((), ())
        # An id that the contract is no longer listed under finds what was ordered under it, and nothing else.
        book.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=one))
        assert [order.order_id for order in book.orders.open("A", "CON.ES")] == ["2"]
        assert [order.order_id for order in book.orders.open("A", "ESZ5")] == ["1"]
