"""Contracts: the newest definition, found by symbol or by a broker's name."""

import threading
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

import eventstore
import projections
from eventstore import EventStore, ReadOnly, UnknownContract
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import ContractDefined
from projections.view import SHARED
from projections.views.contracts import view as contracts
from projections.views.contracts.view import ContractsState, TooManySymbols
from tests.projections.examples import in_thread
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


def test_a_multiplier_that_is_not_defined_is_none() -> None:
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


# A miss that is fetched


class Broker:
    """Somebody to ask: answers with one definition and remembers what it was asked."""

    def __init__(self, answer: ContractDefined | None = MNQ) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def __call__(self, symbol: str) -> ContractDefined | None:
        self.asked.append(symbol)
        return self.answer


@pytest.mark.parametrize("name", ["MNQU5", "CON.F.US.MNQ.U25"])
def test_a_miss_is_fetched_once_and_recorded(name: str) -> None:
    broker = Broker()
    with EventStore(MemoryJournal()) as store:
        with projections.open(store) as book:
            assert book.contracts.get(name, broker).multiplier == 2
            assert book.contracts.get(name, broker).root == "MNQ"
        with projections.open(store) as book:
            assert book.contracts.get("MNQ 09-25", broker).symbol == "MNQU5"
        assert broker.asked == [name]
        assert [(record.stream, record.event) for record in store.read()] == [("contract/-/MNQU5", MNQ)]


def test_what_is_known_is_not_fetched() -> None:
    broker = Broker()
    assert defined(MNQ).contracts.get("MNQ 09-25", broker).symbol == "MNQU5"
    assert broker.asked == []


def test_a_name_that_the_answer_leaves_out_becomes_a_broker_id() -> None:
    with EventStore(MemoryJournal()) as store, projections.open(store) as book:
        contract = book.contracts.get("F.US.MNQ/9", Broker())
        assert (contract.symbol, contract.broker_ids) == ("MNQU5", (*MNQ.broker_ids, "F.US.MNQ/9"))
        assert book.contracts.get("F.US.MNQ/9") == contract


def test_another_brokers_answer_adds_to_what_was_known() -> None:
    with EventStore(MemoryJournal()) as store, projections.open(store) as book:
        book.append("contract/-/MNQU5", replace(MNQ, multiplier=Decimal(3), exchange="CME"))
        answer = ContractDefined(symbol="MNQU5", exchange="XCME", name="Micro Nasdaq")
        contract = book.contracts.get("X:MNQ", Broker(answer))
        assert (contract.multiplier, contract.currency, contract.root) == (3, "USD", "MNQ")  # type: ignore[comparison-overlap]
        assert (contract.exchange, contract.name) == ("XCME", "Micro Nasdaq")
        assert contract.broker_ids == (*MNQ.broker_ids, "X:MNQ")
        ticked = ContractDefined(symbol="MNQU5", tick_size=Decimal(1), tick_value=Decimal(5))
        assert book.contracts.get("Y:MNQ", Broker(ticked)).multiplier == 5


def test_a_symbol_with_a_slash_has_a_stream_of_its_own() -> None:
    with EventStore(MemoryJournal()) as store, projections.open(store) as book:
        assert book.contracts.get("BTC/USD", lambda symbol: ContractDefined(symbol=symbol)).broker_ids == ()
        assert store.version("contract/-/BTC%2FUSD") == 1


def test_a_contract_that_cannot_be_fetched_is_unknown_and_nothing_is_recorded() -> None:
    broker = Broker(None)
    with EventStore(MemoryJournal()) as store, projections.open(store) as book:
        for _ in range(2):
            with pytest.raises(UnknownContract) as caught:
                book.contracts.get("X", broker)
            assert caught.value.symbol == "X"
        assert broker.asked == ["X", "X"]
        assert store.head() == 0


def test_what_fetching_raises_passes_through_and_the_next_who_asks_tries_again() -> None:
    def fails(symbol: str) -> ContractDefined:
        raise ConnectionError(symbol)

    with EventStore(MemoryJournal()) as store, projections.open(store) as book:
        with pytest.raises(ConnectionError, match="MNQU5"):
            book.contracts.get("MNQU5", fails)
        assert book.contracts.get("MNQU5", Broker()).symbol == "MNQU5"


def test_a_name_that_was_taken_away_again_can_be_fetched_again() -> None:
    broker = Broker()
    with EventStore(MemoryJournal()) as store, projections.open(store) as book:
        book.contracts.get("X:MNQ", broker)
        book.append("contract/-/MNQU5", ContractDefined(symbol="MNQU5"))
        assert book.contracts.get("X:MNQ", broker).root == "MNQ"
        assert store.head() == 3


def test_threads_that_ask_for_one_miss_fetch_it_once() -> None:
    release, waiting = threading.Event(), threading.Semaphore(0)
    asked: list[str] = []

    def fetch(symbol: str) -> ContractDefined:
        asked.append(symbol)
        assert release.wait(60)
        return MNQ

    with EventStore(MemoryJournal()) as store, projections.open(store) as book:

        def ask() -> None:
            waiting.release()
            assert book.contracts.get("MNQU5", fetch).symbol == "MNQU5"

        joins = [in_thread(ask) for _ in range(8)]
        for _ in joins:
            assert waiting.acquire(timeout=60)
        # Another symbol does not wait for this one.
        assert book.contracts.get("ESZ5", Broker(ContractDefined(symbol="ESZ5"))).symbol == "ESZ5"
        release.set()
        for join in joins:
            join()
        assert asked == ["MNQU5"]
        assert [record.stream for record in store.read()] == ["contract/-/ESZ5", "contract/-/MNQU5"]
        assert not book.contracts._fetching


@pytest.mark.parametrize("other", [MNQ, replace(MNQ, name="another name")], ids=["the same", "something else"])
def test_processes_that_fetch_one_miss_at_once_record_it_once(other: ContractDefined, tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as mine, eventstore.open(tmp_path) as theirs:
        here, there = projections.open(mine), projections.open(theirs, snapshots=False)

        def fetch(symbol: str) -> ContractDefined:
            assert there.contracts.get(symbol, lambda _: other).name == other.name
            return MNQ

        assert here.contracts.get("MNQU5", fetch).name == other.name
        assert [record.event for record in mine.read()] == [other]


def test_a_book_of_the_past_records_nothing() -> None:
    with EventStore(MemoryJournal()) as store:
        past = projections.as_of(store, position=0)
        with pytest.raises(ReadOnly):
            past.contracts.get("MNQU5", Broker())
