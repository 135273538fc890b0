"""Contracts: the newest definition, found by symbol or by a broker's name."""

from decimal import Decimal

import pytest

from eventstore import UnknownContract
from eventstore.trading import ContractDefined
from projections.view import SHARED
from projections.views import contracts
from projections.views.contracts import ContractsState, TooManySymbols
from tests.views.position_folding import Folding, round_tripped

MNQ = ContractDefined(
    symbol="MNQU5",
    tick_size=Decimal("0.25"),
    tick_value=Decimal("0.50"),
    currency="USD",
    root="MNQ",
    broker_ids=("CON.F.US.MNQ.U25", "MNQ 09-25"),
)


def defined(*events: ContractDefined) -> Folding:
    book = Folding()
    for event in events:
        book.add(f"contract/-/{event.symbol}", event)
    return book


@pytest.mark.parametrize("name", ["MNQU5", "CON.F.US.MNQ.U25", "MNQ 09-25"])
def test_a_contract_is_found_by_each_of_its_names(name: str) -> None:
    contract = defined(MNQ).contracts.get(name)
    assert (contract.symbol, contract.multiplier, contract.root, contract.position) == ("MNQU5", Decimal(2), "MNQ", 1)


def test_an_explicit_multiplier_goes_before_the_ticks() -> None:
    event = ContractDefined(symbol="X", multiplier=Decimal(7), tick_size=Decimal(1), tick_value=Decimal(2))
    assert defined(event).contracts.get("X").multiplier == 7


def test_a_multiplier_that_nobody_told_is_none() -> None:
    assert defined(ContractDefined(symbol="X", tick_size=Decimal(1))).contracts.get("X").multiplier is None


def test_an_unknown_contract_is_an_error_that_names_it() -> None:
    book = Folding()
    assert book.contracts.find("X") is None
    assert book.contracts.all() == ()
    with pytest.raises(UnknownContract) as caught:
        book.contracts.get("X")
    assert caught.value.symbol == "X"


def test_the_newest_definition_replaces_the_earlier_one_as_a_whole() -> None:
    book = defined(MNQ, ContractDefined(symbol="MNQU5", multiplier=Decimal(3), broker_ids=("MNQ 09-25",)))
    contract = book.contracts.get("MNQ 09-25")
    assert (contract.multiplier, contract.root, contract.position) == (Decimal(3), None, 2)
    assert book.contracts.find("CON.F.US.MNQ.U25") is None


def test_a_broker_id_means_the_contract_that_took_it_last() -> None:
    book = defined(MNQ, ContractDefined(symbol="MNQZ5", broker_ids=("MNQ 09-25",)), ContractDefined(symbol="MNQU5"))
    assert book.contracts.get("MNQ 09-25").symbol == "MNQZ5"


def test_a_symbol_goes_before_a_broker_id_of_the_same_name() -> None:
    book = defined(ContractDefined(symbol="ES"), ContractDefined(symbol="ESZ5", broker_ids=("ES",)))
    assert book.contracts.get("ES").symbol == "ES"


def test_all_contracts_come_sorted_whatever_stream_defined_them() -> None:
    book = defined(MNQ)
    book.add("contract/A/ESZ5", ContractDefined(symbol="ESZ5"))
    assert [contract.symbol for contract in book.contracts.all()] == ["ESZ5", "MNQU5"]


def test_the_state_survives_a_snapshot() -> None:
    state = defined(MNQ).state("contracts", SHARED)
    assert round_tripped(state, ContractsState) == state


def test_one_symbol_too_many_is_an_error_and_a_known_one_still_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contracts, "SYMBOLS_MAX", 1)
    book = defined(MNQ, MNQ)
    with pytest.raises(TooManySymbols, match="ESZ5"):
        book.add("contract/-/ESZ5", ContractDefined(symbol="ESZ5"))
    assert [contract.symbol for contract in book.contracts.all()] == ["MNQU5"]
