"""A long tail is folded into a partition when it is asked for: as it would have been at once."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import Event, EventStore, Record
from projections import PartitionParked, View
from projections.builtin import builtin_views
from projections.fold import Fold
from projections.snapshots import Snapshots
from tests.projections.examples import bought
from tests.projections.histories import append, history, states, store_of, views
from tests.projections.random_facts import ACCOUNTS, Fact
from tests.proving import rounds


class Counted(msgspec.Struct):
    count: int = 0


class Failing(View[Counted]):
    """Counts an account's records, and fails on some."""

    name: ClassVar[str] = "failing"
    revision: ClassVar[int] = 1
    can_wait: ClassVar[bool] = True

    def __init__(self, bad: set[int]) -> None:
        self.bad = bad

    @override
    def initial(self) -> Counted:
        return Counted()

    @override
    def apply(self, state: Counted, event: Event, record: Record) -> None:
        if record.position in self.bad:
            msg = "it cannot be folded"
            raise ValueError(msg)
        state.count += 1


@pytest.fixture
def _postponing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.book.POSTPONED_EVENTS_MIN", 1)


def opened(store: EventStore, file: Path, bad: set[int], *, live: bool = True) -> projections.Book:
    kept = Snapshots(file) if live else None
    book = projections.Book(store, Fold(), snapshots=kept, live=live)
    book.load([*views(), Failing(bad)], store.head())
    return book


def waiting(book: projections.Book) -> set[tuple[str, str]]:
    return {(view_state.view.name, partition) for view_state, partition in book._fold.postponed()}


def act(book: projections.Book, store: EventStore, chance: random.Random, facts: Iterator[Fact]) -> None:  # noqa: C901
    """Do one of the things that may come between opening a book and asking for all of it."""
    name, view_state = chance.choice(list(book._fold.slots.items()))
    match chance.randrange(8):
        case 0 | 1 | 2 if view_state.states:
            partition, counts = chance.choice(sorted(view_state.states)), view_state.change_counts
            before = counts.get(partition, 0)
            try:
                state = book.state(name, partition)
            except PartitionParked:
                assert (name, partition) in book.parked
            else:
                assert book.state(name, partition) is state
            assert counts.get(partition, 0) == before
        case 3:
            book.fold_appended([append(store, next(facts))])
        case 4:
            for _ in range(chance.randint(1, 20)):
                append(store, next(facts))
            book.refresh()
        case 5:
            book.snapshot()
        case 6:
            book.retry(name, chance.choice(sorted(view_state.parked))) if view_state.parked else None
        case _:
            book.orders.open(chance.choice(ACCOUNTS))


def check_restarts(seed: int, directory: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Compare a book with a fold of everything through restarts; return how many partitions ever waited."""
    chance, waited = random.Random(seed), 0
    facts = iter(history(chance, 500))
    store, file = store_of(directory=directory), directory / f"{seed}.sqlite"
    for _ in range(chance.randint(2, 4)):
        # A cut may have folded what lies before: it does not fail any more.
        before = store.head()
        for _ in range(chance.randint(1, 60)):
            append(store, next(facts))
        monkeypatch.setattr("projections.reading.PAGE", chance.choice([1, 7, 30, 8_000]))
        bad = set(chance.choices(range(before + 1, store.head() + 10), k=chance.randint(0, 2)))
        book = opened(store, file, bad)
        assert book.position == store.head()
        waited += len(waiting(book))
        for _ in range(chance.randint(0, 8)):
            act(book, store, chance, facts)
        zero = opened(store, file, bad, live=False)
        assert set(book.parked) == set(zero.parked)
        assert not waiting(book)
        bad.clear()
        for pair in book.parked:
            assert book.retry(*pair)
        assert states(book._fold) == states(opened(store, file, bad, live=False)._fold)
        if chance.randint(0, 1):
            book.snapshot()
        book.freeze()
    return waited


@pytest.mark.usefixtures("_postponing")
def test_a_postponed_fold_is_a_fold_of_everything_through_restarts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = sum(check_restarts(seed, tmp_path, monkeypatch) for seed in rounds("postponed", test=8, prove=2_000))
    assert waited


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as opened_store:
        for account in "ABC":
            opened_store.append(f"trade/{account}/T", bought("T", 2))
        yield opened_store


@pytest.mark.usefixtures("_postponing")
def test_only_what_is_asked_for_is_folded(store: EventStore) -> None:
    with projections.open(store) as book:
        assert {("executions", account) for account in "ABC"} <= waiting(book)
        assert book.positions.get("A", "ESZ5").quantity == 2
        assert {partition for view, partition in waiting(book) if view == "executions"} == {"B", "C"}
        assert not book.parked
        assert not waiting(book)


def test_a_short_tail_is_folded_at_once(store: EventStore) -> None:
    with projections.open(store) as book:
        assert not waiting(book)


@pytest.mark.usefixtures("_postponing")
def test_what_fails_is_raised_to_who_asks_and_what_was_folded_stays(tmp_path: Path) -> None:
    store = store_of(history(random.Random(1), 300))
    accounts = [record.account for record in store.read()]
    name = ACCOUNTS[0]
    bad = {len(accounts) - accounts[::-1].index(name)}
    book = opened(store, tmp_path / "snapshots.sqlite", bad)
    assert ("failing", name) in waiting(book)
    with pytest.raises(PartitionParked, match=f"failing stopped for {name} at position {max(bad)} .*cannot be folded"):
        book.state("failing", name)
    assert book.state("failing", name, even_parked=True).count == accounts.count(name) - 1
    assert set(book.parked) == {("failing", name)}


@pytest.mark.usefixtures("_postponing")
def test_a_reader_never_sees_a_state_that_lacks_what_was_postponed(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with projections.open(store) as book:
        book.snapshot()
    for number in range(20):
        store.append("trade/A/U", bought(f"U{number}", 1))
    with projections.open(store) as book:
        view = book._fold.slots["executions"].view
        began, go_on, seen = threading.Event(), threading.Event(), []
        usual = view.finish

        def slowly(state: object) -> None:
            began.set()
            assert go_on.wait(10)
            usual(state)

        slots = book._fold.slots
        slots["executions"] = slots["executions"]._replace(finish=slowly)
        asking = [
            threading.Thread(target=lambda: seen.append(book.positions.get("A", "ESZ5").quantity)) for _ in range(3)
        ]
        for thread in asking:
            thread.start()
        assert began.wait(10)
        go_on.set()
        for thread in asking:
            thread.join(10)
        assert seen == [22, 22, 22]


@pytest.mark.usefixtures("_postponing")
def test_the_rest_is_folded_by_the_thread_that_writes_the_first_cut(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.opening.FIRST_CUT_EVENTS_MIN", 1)
    book = projections.open(store)
    assert book.first_cut.wait(book._lock)
    assert not waiting(book)
    book.freeze()
    with projections.open(store) as again:
        assert again.recovery.cut == store.head()


def test_the_views_that_wait_are_those_that_take_longest() -> None:
    assert {view.name for view in builtin_views() if view.can_wait} == {"orders", "executions", "counters"}
