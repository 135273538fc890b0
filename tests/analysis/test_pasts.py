"""Books of many past instants are those that `as_of` gives for each, on both axes of time, however late records are."""

import random
from array import array
from bisect import bisect_right
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import projections
from eventstore import EventStore, Record
from eventstore.trading import CashKind, CashMoved, ContractDefined
from projections.analysis.copying import copied
from projections.analysis.late import Times, chunks_of, cost_of
from projections.analysis.pasts import Pass, pasts
from projections.past_fold import PastFold
from tests.analysis.scenes import SECOND, Scene, at
from tests.projections.histories import append, history, states, store_of
from tests.projections.random_facts import START
from tests.proving import rounds

AXES = ("occurred", "recorded")


def instants_around(chance: random.Random, store: EventStore, time: str, count: int) -> list[int]:
    """Return random instants, and exact ones of records, and one before and one after all."""
    known = [getattr(record, f"{time}_at") for record in store.read()]
    first, last = min(known), max(known)
    drawn = [chance.randint(first, last) for _ in range(count)] + chance.choices(known, k=count)
    return sorted({first - SECOND, *drawn, last + SECOND})


def assert_as_of(store: EventStore, time: str, instants: list[int], account: str | None = None) -> None:
    accounts = None if account is None else frozenset({account})
    found = []
    for instant, book in pasts(store, Pass(accounts, time, store.head(), apart=False), instants):
        expected = projections.as_of(store, account=account, **{f"{time}_at": instant})  # type: ignore[arg-type]
        assert states(book._fold) == states(expected._fold)
        assert book.position == expected.position
        found.append(instant)
    assert found == instants


@pytest.mark.parametrize("time", AXES)
def test_each_past_is_the_one_that_as_of_gives(time: str) -> None:
    for seed in rounds(f"pasts by {time}", test=4, prove=300):
        chance = random.Random(seed)
        store = store_of(history(chance, 150))
        assert_as_of(store, time, instants_around(chance, store, time, 8), chance.choice((None, "A")))


def shuffled_store(seed: int, shift: int) -> EventStore:
    """Return a history whose records occurred in quite another order than they were recorded in."""
    chance = random.Random(seed)
    store = store_of()
    for fact in history(chance, 80):
        record = append(store, fact)
        occurred = record.occurred_at + chance.choice((0, 0, 0, -1, 1)) * chance.randint(0, shift) * SECOND
        stream = f"{record.category}/{record.account}/{record.entity}"
        store.append(stream, fact[1], occurred_at=max(occurred, START), actor="test")
    return store


def test_records_that_are_very_late_or_early_are_in_the_right_pasts() -> None:
    for seed in rounds("very late records", test=4, prove=200):
        store = shuffled_store(seed, 60)
        assert_as_of(store, "occurred", instants_around(random.Random(seed), store, "occurred", 6))


def test_a_log_recorded_backwards_has_the_right_pasts() -> None:
    scene = Scene(opened=None)
    for minute in reversed(range(30)):
        scene.buy(f"10:{minute:02}:00", 1, 100 + minute, late="12:00:00")
    assert_as_of(scene.store, "occurred", [at(f"10:{minute:02}:30") for minute in range(30)])


def test_a_record_of_a_far_future_costs_no_pass_over_the_log_for_each_instant() -> None:
    occurred = [START + index for index in range(1_000)]
    occurred[10] = START + 10**17
    times = Times(array("q", range(1, 1_001)), array("q", occurred))
    instants = [*range(START + 100, START + 1_000, 10), START + 2 * 10**17]
    assert cost_of(chunks_of(times, instants)) <= 2 * 1_000


def test_records_in_order_take_one_pass_and_nothing_more() -> None:
    times = Times(array("q", range(1, 101)), array("q", range(START, START + 100)))
    chunks = chunks_of(times, list(range(START, START + 100, 7)))
    assert (len(chunks), cost_of(chunks)) == (1, 99)


def test_accounts_that_were_imported_one_after_the_other_are_folded_one_after_the_other() -> None:
    scene = Scene(opened=None)
    for account in "ABC":
        for minute in range(60):
            scene.buy(f"10:{minute:02}:00", 1, 100, account=account, late="12:00:00")
    instants = [at(f"10:{minute:02}:30") for minute in range(60)]
    found: dict[tuple[int, str], Decimal] = {}
    order = []
    for instant, book in pasts(scene.store, Pass(None, "occurred", scene.store.head()), instants):
        for name in book.accounts.known():
            found[instant, name] = book.positions.get(name, "X").quantity
            order.append(name)
    assert order == sorted(order)
    assert found == {(instant, name): index + 1 for index, instant in enumerate(instants) for name in "ABC"}


def test_what_is_true_only_together_is_not_folded_apart() -> None:
    scene = Scene(opened=None)
    for account in "AB":
        for minute in range(60):
            scene.buy(f"10:{minute:02}:00", 1, 100, account=account, late="12:00:00")
    instants = [at(f"10:{minute:02}:30") for minute in range(0, 60, 10)]
    asked = Pass(None, "occurred", scene.store.head(), apart=False)
    for _, book in pasts(scene.store, asked, instants):
        assert book.accounts.known() == ("A", "B")


def test_a_contract_defined_late_counts_for_each_account() -> None:
    scene = Scene(opened=None)
    for account in "AB":
        scene.buy("10:00:00", 1, 100, account=account)
        scene.buy("11:00:00", 1, 110, account=account)
    scene.add("contract/-/X", ContractDefined(symbol="X", multiplier=Decimal(5)), at("10:30:00"), at("12:00:00"))
    assert_as_of(scene.store, "occurred", [at(f"{hour}:{minute}:00") for hour in (10, 11) for minute in (15, 45)])


def test_no_instant_has_no_book() -> None:
    scene = Scene()
    for time in AXES:
        assert list(pasts(scene.store, Pass(None, time, scene.store.head()), [])) == []


def test_an_empty_log_has_empty_pasts() -> None:
    scene = Scene(opened=None)
    for time in AXES:
        (_, book), *rest = pasts(scene.store, Pass(None, time, 0), [START])
        assert (book.accounts.known(), rest) == ((), [])


def test_a_copied_state_is_the_one_that_a_cut_gives_back_and_shares_nothing_that_changes() -> None:
    for seed in range(3):
        store = store_of(history(random.Random(seed), 300))
        records = list(store.read())
        half = len(records) // 2
        fold = projections.as_of(store, position=half)._fold
        before = states(fold)
        for view_state in fold.slots.values():
            for partition, state in view_state.states.items():
                view_state.states[partition] = copied(state)
                assert msgspec.msgpack.encode(view_state.states[partition]) == msgspec.msgpack.encode(state)
        originals = projections.as_of(store, position=half)._fold
        assert isinstance(originals, PastFold)
        originals.complete_all()
        copies = {
            name: {key: copied(state) for key, state in each.states.items()} for name, each in originals.slots.items()
        }
        for name, each in originals.slots.items():
            fold.slots[name].states.update(each.states)
            each.states.update(copies[name])
        # The copies are folded on; what they were made of must not notice.
        originals.apply(records[half:])
        assert states(fold) == before
        assert states(originals) == states(projections.as_of(store)._fold)


@given(
    occurred=st.lists(st.integers(0, 30), max_size=25),
    instants=st.sets(st.integers(-1, 31), min_size=1, max_size=8),
)
def test_a_plan_gives_each_instant_the_records_that_had_occurred(occurred: list[int], instants: set[int]) -> None:
    times = Times(array("q", range(1, len(occurred) + 1)), array("q", occurred))
    chunks = chunks_of(times, sorted(instants))
    assert [each for chunk in chunks for each in chunk.instants] == sorted(instants)
    for chunk in chunks:
        for instant, first in zip(chunk.instants, chunk.firsts, strict=True):
            horizon = chunk.instants[-1]
            passed = [index + 1 for index, when in enumerate(occurred) if when <= horizon and index + 1 < first]
            late = [
                position for position in chunk.late[bisect_right(chunk.late, first - 1) :]
                if occurred[position - 1] <= instant
            ]  # fmt: skip
            assert passed + late == [index + 1 for index, when in enumerate(occurred) if when <= instant]


def test_reading_stops_at_the_head_that_was_asked_for() -> None:
    scene = Scene()
    head = scene.store.head()
    scene.cash("10:00:00", 500)
    for time in AXES:
        ((_, book),) = pasts(scene.store, Pass(None, time, head), [at("11:00:00")])
        assert book.accounts.balance("A") == 10_000


def test_interest_is_folded_in_the_order_of_the_log() -> None:
    scene = Scene()
    scene.cash("10:00:00", 500, CashKind.INTEREST)
    record: Record = scene.add(
        "account/A/-", CashMoved(kind=CashKind.FEE, amount=Decimal(1), currency="USD"), at("09:00:00")
    )
    assert record.recorded_at > record.occurred_at
    assert_as_of(scene.store, "occurred", [at("08:00:00"), at("09:30:00"), at("10:00:00")])
