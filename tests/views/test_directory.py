"""The directory of contracts: what a name means and what points are worth, at each place in the log."""

import random
from decimal import Decimal

import msgspec
import pytest

from eventstore.trading import ContractDefined
from projections.views.contracts import directory as module
from projections.views.contracts.directory import Directory, Meaning, Terms
from projections.views.contracts.view import TooManySymbols
from tests.views.position_folding import Folding

NAMES = ("ES", "NQ", "CL", "1", "2", "3")


def defined(symbol: str, *ids: str, multiplier: int | None = None, currency: str | None = None) -> ContractDefined:
    worth = None if multiplier is None else Decimal(multiplier)
    return ContractDefined(symbol=symbol, multiplier=worth, currency=currency, broker_ids=ids)


def directory_of(*events: ContractDefined) -> Directory:
    """Return the directory of these definitions, at log positions 10, 20, 30 and so on."""
    directory = Directory()
    for place, event in enumerate(events, start=1):
        directory.define(event, place * 10)
    return directory


def test_a_name_means_itself_until_a_definition_lists_it() -> None:
    directory = directory_of(defined("ES", "1"))
    assert [directory.symbol_at("1", at) for at in (0, 9, 10, 11)] == ["1", "1", "ES", "ES"]
    assert (directory.symbol_at("ES", 5), directory.symbol_at("unheard of", 99)) == ("ES", "unheard of")


def test_a_name_that_a_redefinition_drops_means_itself_from_there_on() -> None:
    directory = directory_of(defined("ES", "1", "2"), defined("ES", "2"))
    assert [directory.symbol_at("1", at) for at in (15, 20, 25)] == ["ES", "1", "1"]
    assert directory.symbol_at("2", 25) == "ES"


def test_a_name_that_moves_to_another_contract_means_that_one_from_there_on() -> None:
    directory = directory_of(defined("ES", "1"), defined("NQ", "1"), defined("ES"))
    assert [directory.symbol_at("1", at) for at in (15, 20, 30)] == ["ES", "NQ", "NQ"]


@pytest.mark.parametrize("listed_first", [True, False])
def test_a_defined_symbol_means_itself_whichever_contract_lists_it(listed_first: bool) -> None:
    events = [defined("ES", "NQ"), defined("NQ")]
    directory = directory_of(*(events if listed_first else reversed(events)))
    assert directory.symbol_at("NQ", 20) == "NQ"
    directory.define(defined("ES"), 30)
    assert directory.symbol_at("NQ", 30) == "NQ"


def test_a_contract_that_lists_its_own_symbol_or_an_id_twice_changes_nothing_more() -> None:
    directory = directory_of(defined("ES", "ES", "1", "1"))
    assert directory.names == {"1": (Meaning(10, "ES"),)}


def test_a_repeated_definition_adds_nothing() -> None:
    event = defined("ES", "1", multiplier=50, currency="USD")
    once, often = directory_of(event), directory_of(event, event, event)
    assert msgspec.msgpack.encode(once) == msgspec.msgpack.encode(often)


def test_it_agrees_with_the_contracts_view_after_any_definitions() -> None:
    for seed in range(300):
        chance, directory, book = random.Random(seed), Directory(), Folding()
        for _ in range(20):
            symbol = chance.choice(NAMES)
            event = defined(symbol, *chance.choices(NAMES, k=chance.randint(0, 3)), multiplier=chance.randint(1, 3))
            book.add(f"contract/-/{symbol}", event)
            directory.define(event, book.position)
            for name in NAMES:
                found = book.contracts.find(name)
                at = directory.symbol_at(name, book.position)
                assert at == (name if found is None else found.symbol), f"seed {seed}"
                if found is not None:
                    terms = directory.terms_of(at, directory.terms_at(at, book.position))
                    assert terms is not None
                    assert terms.multiplier == found.multiplier


def test_what_it_said_of_the_past_stays_said() -> None:
    for seed in range(100):
        chance, directory = random.Random(seed), Directory()
        said: dict[tuple[str, int], tuple[str, int]] = {}
        for place in range(30):
            symbol = chance.choice(NAMES)
            ids = chance.choices(NAMES, k=chance.randint(0, 3))
            directory.define(defined(symbol, *ids, multiplier=chance.randint(1, 3)), place)
            for name in NAMES:
                said[name, place] = directory.symbol_at(name, place), directory.terms_at(name, place)
        for (name, place), answer in said.items():
            assert (directory.symbol_at(name, place), directory.terms_at(name, place)) == answer


def test_the_first_terms_count_for_what_precedes_them() -> None:
    directory = directory_of(defined("ES", multiplier=50, currency="USD"), defined("ES", multiplier=5, currency="USD"))
    assert [directory.terms_at("ES", at) for at in (0, 10, 19, 20)] == [0, 0, 0, 1]
    assert directory.terms_of("ES", 0) == Terms(10, Decimal(50), "USD")
    assert directory.terms_of("ES", 1) == Terms(20, Decimal(5), "USD")


def test_an_undefined_contract_has_no_terms() -> None:
    assert (Directory().terms_at("ES", 5), Directory().terms_of("ES", 0)) == (0, None)
    assert directory_of(defined("ES")).terms_of("ES", 7) is None


def test_terms_that_lacked_a_value_are_completed_in_place() -> None:
    directory = directory_of(defined("ES"), defined("ES", multiplier=50), defined("ES", multiplier=50, currency="USD"))
    assert directory.terms["ES"] == (Terms(10, Decimal(50), "USD"),)


def test_a_definition_that_no_longer_states_a_value_leaves_it_unknown_from_there_on() -> None:
    directory = directory_of(defined("ES", multiplier=50, currency="USD"), defined("ES", currency="USD"))
    assert directory.terms_of("ES", directory.terms_at("ES", 20)) == Terms(20, None, "USD")
    directory.define(defined("ES", multiplier=5, currency="USD"), 30)
    assert directory.terms["ES"] == (Terms(10, Decimal(50), "USD"), Terms(20, Decimal(5), "USD"))


def test_an_equal_number_written_otherwise_is_the_same_terms() -> None:
    event = ContractDefined(symbol="ES", multiplier=Decimal("50.0"))
    assert len(directory_of(defined("ES", multiplier=50), event).terms["ES"]) == 1


def test_too_many_versions_merge_the_oldest_and_indices_stay_what_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VERSIONS_MAX", 3)
    events = [defined(("ES", "NQ")[place % 2], "1", multiplier=place + 1) for place in range(10)]
    directory = directory_of(*events)
    assert [meaning.since for meaning in directory.names["1"]] == [80, 90, 100]
    assert [terms.since for terms in directory.terms["ES"]] == [50, 70, 90]
    assert directory.terms_at("ES", 100) == 4
    assert directory.terms_of("ES", 4) == Terms(90, Decimal(9), None)
    # Those that were merged away count as the oldest that is left.
    assert directory.terms_of("ES", 0) == directory.terms_of("ES", 2) == Terms(50, Decimal(5), None)
    assert directory.terms_at("ES", 10) == 2


def test_names_that_nothing_lists_any_longer_are_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DROPPED_MAX", 2)
    directory = directory_of(*(defined("ES", f"id {place}") for place in range(10)))
    assert list(directory.names) == ["id 7", "id 8", "id 9"]
    assert [directory.symbol_at(f"id {place}", 100) for place in (0, 8, 9)] == ["id 0", "id 8", "ES"]


def test_one_symbol_too_many_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SYMBOLS_MAX", 1)
    directory = directory_of(defined("ES"), defined("ES", "1"))
    with pytest.raises(TooManySymbols, match="NQ is one more"):
        directory.define(defined("NQ", "2"), 30)
    assert directory.symbol_at("2", 30) == "2"
