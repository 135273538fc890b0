"""What belongs to no account reaches every account that it concerns, wherever pages, cuts and failures are."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import Event, EventStore, InvalidEvent, Record
from eventstore.events.registry import by_class
from eventstore.trading import ContractDefined
from projections import Book, PartitionParked, fold
from projections.fold import Fold
from projections.view import SHARED
from tests.projections.examples import Glimpsed, RainByAccount, Water, bought, rain
from tests.projections.histories import states, store_of
from tests.projections.naming import Counted, CountedByName, defined, naming_history

SEEDS = range(25)
VIEW = CountedByName.name


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def view() -> CountedByName:
    return CountedByName()


@pytest.fixture
def book(store: EventStore, view: CountedByName) -> Book:
    return projections.open(store, views=[view])


def counts_of(book: Book, *accounts: str) -> list[dict[str, int]]:
    return [book.state(VIEW, account).counts for account in accounts]


def trade(book: Book, account: str, number: int, symbol: str) -> None:
    book.append(f"trade/{account}/{number}", bought(str(number), symbol=symbol))


# What a broadcast reaches


def test_names_that_become_known_merge_in_each_account_that_has_them(book: Book, view: CountedByName) -> None:
    for number, (account, symbol) in enumerate([("A", "1"), ("A", "ES"), ("B", "1"), ("C", "ES")]):
        trade(book, account, number, symbol)
    view.applied.clear()
    book.append("contract/-/ES", defined("ES", "1"))
    assert counts_of(book, "A", "B", "C") == [{"ES": 2}, {"ES": 1}, {"ES": 1}]
    # Applied to SHARED, A and B: it does not concern C.
    assert view.applied == [5, 5, 5]
    trade(book, "C", 5, "1")
    assert counts_of(book, "C") == [{"ES": 2}]


def test_an_account_that_a_definition_does_not_concern_counts_as_unchanged(book: Book) -> None:
    trade(book, "A", 1, "ES")
    before = book.change_counts([(VIEW, "A"), (VIEW, SHARED)])
    book.append("contract/-/NQ", defined("NQ", "2"))
    assert book.change_counts([(VIEW, "A"), (VIEW, SHARED)]) == (before[0], before[1] + 1)


def test_a_definition_in_an_account_s_stream_reaches_every_account(book: Book) -> None:
    trade(book, "A", 1, "1")
    book.append("contract/B/ES", defined("ES", "1"))
    assert counts_of(book, "A") == [{"ES": 1}]
    assert sorted(book.partitions(VIEW)) == [SHARED, "A"]


def test_what_a_broadcast_no_longer_concerns_when_its_turn_comes_is_left_alone(store: EventStore) -> None:
    view = CountedByName()
    store.append("trade/A/1", bought("1", symbol="ES"))
    store.append("contract/-/NQ", defined("NQ", "2"))
    projections.open(store, views=[view])
    # In one page: SHARED first, then A with its trade alone, although the definition waited for it.
    assert view.applied == [2, 1]


def test_a_partition_without_a_shared_record_is_folded_beside_the_initial_state(book: Book) -> None:
    trade(book, "A", 1, "1")
    assert book.partitions(VIEW) == ["A"]
    assert book.state(VIEW, SHARED) is None


@pytest.mark.parametrize("at_once", [True, False])
def test_shared_takes_a_definition_once_though_it_has_trades_of_its_own(store: EventStore, at_once: bool) -> None:
    view = CountedByName()
    book = projections.open(store, views=[view])
    store.append("trade/-/1", bought("1", symbol="1"))
    if not at_once:
        book.refresh()
    store.append("contract/-/ES", defined("ES", "1"))
    book.refresh()
    assert view.applied == [1, 2]
    assert counts_of(book, SHARED) == [{"ES": 1}]


def test_more_records_than_a_page_has_are_folded_in_pages(
    store: EventStore, book: Book, view: CountedByName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "RECORDS_MAX", 2)
    events = [bought(str(number)) for number in range(3)]
    store.append("trade/A/1", events)
    store.append("contract/-/NQ", defined("NQ", "2"))
    book._fold.apply(list(store.read()))
    # In one page the definition would come first.
    assert view.applied == [1, 2, 4, 3]
    assert book.position == 4


# Failures


def test_accounts_that_are_folded_after_shared_failed_stop_with_it(book: Book, view: CountedByName) -> None:
    for number, account in enumerate("ABC"):
        trade(book, account, number, "1")
    view.bad = {4}
    book.append("contract/-/ES", defined("ES", "9"))
    assert list(book.parked) == [(VIEW, SHARED)]
    trade(book, "A", 5, "ES")
    with pytest.raises(PartitionParked, match=r"stopped for A at position 4 .ValueError: 4 is bad"):
        book.state(VIEW, "A")
    # B is as the log says, since the failed definition does not concern it; the next one does.
    assert counts_of(book, "B") == [{"1": 1}]
    book.append("contract/-/NQ", defined("NQ", "1"))
    assert {partition for _, partition in book.parked} == {SHARED, "A", "B", "C"}
    view.bad = set()
    assert book.retry(VIEW, "A")
    # Retrying one account repairs SHARED along, without which it would stop again.
    assert {partition for _, partition in book.parked} == {"B", "C"}
    trade(book, "A", 7, "1")
    assert all([book.retry(VIEW, "B"), book.retry(VIEW, "C")])
    assert counts_of(book, "A", "B", "C") == [{"NQ": 2, "ES": 1}, {"NQ": 1}, {"NQ": 1}]


def test_a_cut_leaves_the_view_out_while_shared_is_parked(book: Book, store: EventStore, view: CountedByName) -> None:
    trade(book, "A", 1, "1")
    view.bad = {2}
    book.append("contract/-/ES", defined("ES", "1"))
    view.bad = set()
    assert book.snapshot()
    again = projections.open(store, views=[CountedByName()])
    assert (again.recovery.cut, counts_of(again, "A")) == (0, [{"ES": 1}])


def test_an_undecodable_broadcast_stops_every_account_that_has_a_state(
    book: Book, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade(book, "A", 1, "1")
    store.append("contract/-/ES", defined("ES", "1"))
    (record,) = store.read(after=1)
    broken = msgspec.structs.replace(record, data=b"{")
    book._fold.apply([broken])
    assert {partition for view, partition in book.parked if view == VIEW} == {SHARED, "A"}
    assert book.retry(VIEW, "A")
    assert counts_of(book, "A") == [{"ES": 1}]
    assert (VIEW, SHARED) not in book.parked


class Unsure(CountedByName):
    """A view that fails to say whether a definition concerns an account."""

    @override
    def concerns(self, state: Counted, event: Event) -> bool:
        if "1" in state.counts:
            msg = "who knows"
            raise LookupError(msg)
        return super().concerns(state, event)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_view_that_cannot_say_whom_it_concerns_stops_that_account(store: EventStore, at_once: bool) -> None:
    book = projections.open(store, views=[Unsure()])
    store.append("trade/A/1", bought("1", symbol="1"))
    store.append("trade/B/1", bought("1", symbol="2"))
    if not at_once:
        book.refresh()
    store.append("contract/-/ES", defined("ES", "1", "2"))
    book.refresh()
    assert [(place, parked.position) for place, parked in book.parked.items()] == [((VIEW, "A"), 3)]
    assert counts_of(book, "B") == [{"ES": 1}]


class Unfinished(CountedByName):
    """A view that fails when a page ends."""

    @override
    def finish(self, state: Counted) -> None:
        if "CL" in state.counts:
            msg = "not this one"
            raise LookupError(msg)
        super().finish(state)


def test_a_view_that_cannot_finish_stops_that_account(store: EventStore) -> None:
    store.append("trade/A/1", bought("1", symbol="CL"))
    store.append("trade/B/1", bought("1"))
    book = projections.open(store, views=[Unfinished()])
    assert [(place, parked.position) for place, parked in book.parked.items()] == [((VIEW, "A"), 1)]
    assert book.state(VIEW, "B").total == 1


# Other ways to write and to feed a view


class ByFirstLetter(CountedByName):
    """The same view with partitions that are not accounts."""

    @override
    def partition(self, record: Record) -> str:
        return record.stream.rpartition("/")[2][:1]


@pytest.mark.parametrize("seed", SEEDS)
def test_partitions_that_are_not_accounts_are_reached_too(seed: int) -> None:
    chance = random.Random(seed)
    store, view = store_of(naming_history(chance, 60)), ByFirstLetter()
    view.bad = {chance.randint(1, 60)}
    book = projections.open(store, views=[view])
    view.bad = set()
    assert all(book.retry(*place) for place in list(book.parked))
    whole = states(projections.open(store, views=[ByFirstLetter()])._fold)
    assert states(book._fold) == whole
    stepped = Fold([ByFirstLetter()])
    for record in store.read():
        stepped.apply([record])
    assert states(stepped) == {key: state for key, state in whole.items() if key[0] == VIEW}


def test_shared_is_repaired_with_its_own_records(store: EventStore) -> None:
    view = ByFirstLetter()
    book = projections.open(store, views=[view])
    book.append("trade/A/x", bought("1", symbol="1"))
    book.append("trade/A/-", bought("2", symbol="1"))
    view.bad = {3}
    book.append("contract/-/ES", defined("ES", "1"))
    view.bad = set()
    assert book.retry(VIEW, "x")
    assert counts_of(book, "x", SHARED) == [{"ES": 1}, {"ES": 1}]


class Plain:
    """No subclass of View, with all its optional members."""

    name, revision = "counted", 1
    broadcast = (ContractDefined,)

    def __init__(self) -> None:
        whole = CountedByName()
        self.initial, self.apply, self.apply_beside = whole.initial, whole.apply, whole.apply_beside
        self.concerns, self.finish = whole.concerns, whole.finish


def test_a_plain_view_may_broadcast(store: EventStore) -> None:
    for fact in naming_history(random.Random(4), 60):
        store.append(fact[0], fact[1])
    plain: Any = Plain()
    book = projections.open(store, views=[plain], snapshots=False)
    whole = projections.open(store, views=[CountedByName()], snapshots=False)
    assert states(book._fold) == states(whole._fold)


class Least:
    """A plain view that broadcasts, and leaves out what has a default."""

    name, revision = "least", 1
    broadcast = (ContractDefined,)

    def initial(self) -> Water:
        return Water()

    def apply(self, state: Water, event: Event, record: Record) -> None:
        state.seen.append(record.position)


def test_a_broadcast_concerns_every_partition_where_the_view_does_not_say(store: EventStore) -> None:
    least: Any = Least()
    book = projections.open(store, views=[least])
    trade(book, "A", 1, "1")
    book.append("contract/-/ES", defined("ES"))
    assert [book.state("least", account).seen for account in ("A", SHARED)] == [[1, 2], [2]]


class Careless(RainByAccount):
    """A view that broadcasts what it does not fold."""

    broadcast: ClassVar[tuple[type[Event], ...]] = (ContractDefined,)


def test_a_view_that_broadcasts_what_it_does_not_fold_is_refused(store: EventStore) -> None:
    with pytest.raises(InvalidEvent, match="view rain broadcasts ContractDefined, but does not fold it"):
        projections.open(store, views=[Careless()])


class Weather(RainByAccount):
    """Rain of which what is only observed falls on all accounts."""

    broadcast: ClassVar[tuple[type[Event], ...]] = (Glimpsed,)
    finished: ClassVar[list[int]] = []

    @override
    def finish(self, state: Water) -> None:
        self.finished.append(state.total)


def test_what_is_observed_may_be_broadcast(store: EventStore) -> None:
    view = Weather()
    book = projections.open(store, views=[view])
    book.append("rain/A/x", rain(1))
    book.append("rain/B/x", rain(2))
    view.finished.clear()
    book.observe("rain/A/x", Glimpsed(millimetres=5))
    assert [book.state("rain", account).total for account in ("A", "B", SHARED)] == [6, 7, 5]
    assert sorted(view.finished) == [5, 6, 7]
    view.bad = {6}
    book.observe("rain/-/x", Glimpsed(millimetres=6))
    assert {partition for _, partition in book.parked} == {"A", "B", SHARED}


def test_a_route_without_a_broadcast_is_what_it_was() -> None:
    folded = Fold([CountedByName(), RainByAccount()])
    kind = by_class(type(bought("1")))
    route = folded._route(kind.name)
    assert (len(route.by_account), route.elsewhere) == (1, ())
