"""Laws of what is broadcast: the same states from any page or cut, by retry and rebuild, and for some accounts."""

import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import projections
from eventstore import Record
from projections import fold
from projections.comparison import compare_snapshots
from projections.fold import Fold
from projections.view import SHARED
from tests.projections.histories import append, states, store_of
from tests.projections.naming import ACCOUNTS, CountedByName, naming_history

SEEDS = range(25)
VIEW = CountedByName.name


def counted(records: list[Record], page: Callable[[], int], accounts: frozenset[str] | None = None) -> Fold:
    """Return a fold of records in pages of these sizes."""
    folded = Fold([CountedByName()], accounts=accounts)
    while records:
        size = page()
        folded.apply(records[:size])
        records = records[size:]
    return folded


@pytest.mark.parametrize("seed", SEEDS)
def test_pages_of_any_size_give_the_same_states(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    records = list(store_of(naming_history(chance, 80)).read())
    one_by_one = states(counted(records, lambda: 1))
    assert one_by_one == states(counted(records, lambda: 80))
    assert one_by_one == states(counted(records, lambda: chance.randint(1, 20)))
    monkeypatch.setattr(fold, "RECORDS_MAX", 7)
    assert one_by_one == states(counted(records, lambda: 80))


def test_the_histories_merge_names_in_several_accounts() -> None:
    folded = counted(list(store_of(naming_history(random.Random(1), 80)).read()), lambda: 80)
    found = folded.slots[VIEW].states
    assert found.keys() == set(ACCOUNTS)
    assert all(state.merges and any(not key.endswith(" 0") for key in state.terms) for state in found.values())
    assert all((state.postponed, state.total) == (0, sum(state.counts.values())) for state in found.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_a_fold_from_any_cut_is_the_fold_of_everything(seed: int) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as directory:
        store = store_of(directory=Path(directory))
        book = projections.open(store, views=[CountedByName()])
        for fact in naming_history(chance, 60, ("-", "A")):
            append(store, fact, chance.choice((book.append, store.append)))
            if chance.randint(0, 9) == 0:
                book.refresh()
                book.snapshot()
        book.refresh()
        whole = only_counted(states(book._fold))
        assert whole == states(counted(list(store.read()), lambda: 60))
        assert only_counted(states(projections.open(store, views=[CountedByName()])._fold)) == whole
        place = chance.randint(1, 59)
        past = projections.as_of(store, position=place, views=[CountedByName()])
        assert only_counted(states(past._fold)) == states(counted(list(store.read())[:place], lambda: 60))
        assert compare_snapshots(store, views=[CountedByName()]).differences == ()
        book.close()


def only_counted(found: dict[tuple[str, str], Any]) -> dict[tuple[str, str], Any]:
    return {key: state for key, state in found.items() if key[0] == VIEW}


@pytest.mark.parametrize("accounts", [None, ("A", "B")])
@pytest.mark.parametrize("seed", SEEDS)
def test_any_partition_that_failed_anywhere_is_folded_again(seed: int, accounts: tuple[str, ...] | None) -> None:
    chance = random.Random(seed)
    store, view = store_of(naming_history(chance, 60, ("-", "A", "C"))), CountedByName()
    view.bad = {chance.randint(1, 60)}
    book = projections.open(store, views=[view], accounts=accounts)
    view.bad = set()
    for _, partition in chance.sample(list(book.parked), len(book.parked)):
        assert book.retry(VIEW, partition)
    assert not book.parked
    whole = projections.open(store, views=[CountedByName()], accounts=accounts)
    assert only_counted(states(book._fold)) == only_counted(states(whole._fold))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_partition_that_did_not_fail_is_the_same_when_it_is_folded_again(seed: int) -> None:
    store = store_of(naming_history(random.Random(seed), 60))
    book = projections.open(store, views=[CountedByName()])
    before = states(book._fold)
    assert all(book.retry(VIEW, partition) for partition in book.partitions(VIEW))
    assert states(book._fold) == before


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rebuild_gives_the_same_states(seed: int) -> None:
    book = projections.open(store_of(naming_history(random.Random(seed), 60)), views=[CountedByName()])
    before = states(book._fold)
    book.rebuild(CountedByName())
    assert states(book._fold) == before


@pytest.mark.parametrize("seed", SEEDS)
def test_an_account_folded_alone_is_the_account_among_others(seed: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        store = store_of(naming_history(random.Random(seed), 60, ("-",)), Path(directory))
        whole = projections.open(store, views=[CountedByName()])
        found = only_counted(states(whole._fold))
        expected = {key: state for key, state in found.items() if key[1] in {"A", SHARED}}
        for with_cut in (False, True):
            if with_cut:
                assert whole.snapshot()
            alone = projections.open(store, views=[CountedByName()], accounts=["A"])
            past = projections.as_of(store, account="A", views=[CountedByName()])
            assert only_counted(states(alone._fold)) == only_counted(states(past._fold)) == expected
        *_, (_, last) = projections.steps(store, account="A", views=[CountedByName()])
        assert only_counted(states(last._fold)) == expected
