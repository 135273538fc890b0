"""Names of futures contracts compared with the reference: imports of several decades into one log, in any spelling."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from eventstore.clock import parse_time
from gateways.importers.contract_names import ContractNames, KnownContract
from gateways.importers.contracts import builtin_table
from tests.importers.future_spellings import spellings
from tests.proving import rounds
from tests.reference.future_names import FutureNames

pytestmark = pytest.mark.untraced


def test_each_contract_has_one_symbol_and_each_symbol_one_contract() -> None:
    for seed in rounds("names of futures", test=200, prove=20_000):
        chance = random.Random(seed)
        model, log = FutureNames(), dict[str, KnownContract]()
        for _ in range(chance.randint(1, 5)):
            import_rows(chance, model, log)


def import_rows(chance: random.Random, model: FutureNames, log: dict[str, KnownContract]) -> None:
    """Import rows of one year, and define in the log what they name, at the time of the first row."""
    names, year = ContractNames(builtin_table(), log.values()), chance.randint(1999, 2045)
    times = sorted(
        parse_time(f"{year}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}T12:00:00Z") for _ in range(8)
    )
    for at in times:
        root, month, ahead = chance.choice(("ES", "6E")), chance.choice((3, 6)), chance.randint(0, 3)
        spelling = chance.choice(sorted(spellings(root, month, year + ahead)))
        contract = names.find(spelling, at)
        assert contract.symbol == model.of(root, month, year + ahead), (spelling, year)
        known = log.get(contract.symbol, KnownContract(contract, times[0]))
        ids = tuple(sorted({*known.definition.broker_ids, *contract.broker_ids}))
        log[contract.symbol] = KnownContract(replace(contract, broker_ids=ids), known.defined_at)
    listed = [name for each in log.values() for name in each.definition.broker_ids]
    assert len(listed) == len(set(listed))
    assert not set(listed) & set(log)
