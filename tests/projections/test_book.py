"""The book: opened from nothing, a cut or a tail, written through, read by threads, with a user's own views."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

import gc
import threading
import warnings
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import apsw
import msgspec
import pytest

import eventstore
import projections
from eventstore import Batch, Closed, EventReader, EventStore, InvalidEvent, ReadOnly
from eventstore.clock import GIVEN_MIN
from eventstore.trading import Allows, ContractDefined, LockoutSet, OrderStatus, OrderSubmitted
from projections import book as book_module
from projections import opening as opening_module
from projections.builtin import builtin_views
from tests.places import Place
from tests.projections.examples import (
    Everything,
    Glimpsed,
    RainByAccount,
    RainByPlace,
    Water,
    bought,
    filled,
    rain,
    snapshots_file,
    submitted,
)


@pytest.fixture
def store(place: Place) -> Iterator[EventStore]:
    with eventstore.open(place) as opened:
        yield opened


def test_an_empty_log_makes_an_empty_book(store: EventStore) -> None:
    book = projections.open(store)
    assert book.position == 0
    assert book.orders.open() == ()
    assert book.orders.get("A", "O1") is None
    assert book.positions.of("A") == ()
    assert book.positions.get("A", "ESZ5").quantity == 0
    assert not book.snapshot()
    assert (book.recovery.cut, book.recovery.tail, book.recovery.lockouts) == (0, 0, ())


@pytest.mark.in_each_place(slow=True)
def test_what_was_appended_is_there_when_append_returns(store: EventStore) -> None:
    with projections.open(store) as book:
        book.append("order/A/O1", submitted(5), expected=0)
        book.append("order/A/O1", [filled("T1", 2), filled("T2", 1)], key=["T1", "T2"])
        order = book.orders.get("A", "O1")
        assert order is not None
        assert (order.status, order.cumulative, order.leaves) == (OrderStatus.PARTIALLY_FILLED, 3, 2)
        book.append_many([Batch("trade/A/T3", bought("T3", 4)), Batch("trade/B/T4", bought("T4", 7))])
        assert book.positions.get("A", "ESZ5").quantity == 7
        assert book.positions.get("B", "ESZ5").quantity == 7
        assert book.position == store.head() == 5


@pytest.mark.in_each_place(slow=True)
def test_what_others_appended_before_is_folded_first(store: EventStore) -> None:
    with projections.open(store) as book:
        book.append("order/A/O1", submitted(5))
        store.append("order/A/O1", filled("T1", 2))
        store.append("order/A/O2", submitted(3))
        book.append("order/A/O1", filled("T2", 3))
        order = book.orders.get("A", "O1")
        assert order is not None
        assert (order.status, order.anomalies) == (OrderStatus.FILLED, ())
        assert [each.order_id for each in book.orders.open("A")] == ["O2"]


@pytest.mark.in_each_place(slow=True)
def test_facts_that_the_log_knew_already_pull_in_all_before_them(store: EventStore) -> None:
    book = projections.open(store)
    for trade_id, quantity in (("T1", 1), ("T2", 100), ("T3", 10)):
        store.append(f"trade/A/{trade_id}", bought(trade_id, quantity), key=trade_id)
    repeated = [Batch("trade/A/T1", bought("T1", 1), key="T1"), Batch("trade/A/T3", bought("T3", 10), key="T3")]
    assert [record.position for record in book.append_many(repeated)] == [1, 3]
    assert (book.position, book.positions.get("A", "ESZ5").quantity) == (3, 111)


@pytest.mark.in_each_place(slow=True)
def test_facts_that_the_log_knew_in_another_order_are_all_folded(store: EventStore) -> None:
    book = projections.open(store)
    for trade_id in ("T1", "T2", "T3"):
        store.append(f"trade/A/{trade_id}", bought(trade_id), key=trade_id)
    repeated = [Batch(f"trade/A/{name}", bought(name), key=name) for name in ("T1", "T3", "T2")]
    assert [record.position for record in book.append_many(repeated)] == [1, 3, 2]
    assert (book.position, book.positions.get("A", "ESZ5").quantity) == (3, 3)


@pytest.mark.in_each_place(slow=True)
def test_a_refused_append_changes_nothing(store: EventStore) -> None:
    book = projections.open(store)
    book.append("order/A/O1", submitted())
    with pytest.raises(eventstore.VersionConflict):
        book.append("order/A/O1", filled("T1"), expected=0)
    order = book.orders.get("A", "O1")
    assert order is not None
    assert (order.cumulative, book.position) == (0, 1)


@pytest.mark.in_each_place(slow=True)
def test_refresh_folds_what_others_appended(store: EventStore) -> None:
    book = projections.open(store)
    store.append("trade/A/T1", [bought("T1"), bought("T2")])
    assert book.positions.get("A", "ESZ5").quantity == 0
    progress: list[tuple[int, int]] = []
    assert book.refresh(lambda done, total: progress.append((done, total))) == 2
    assert progress == [(2, 2)]
    assert book.positions.get("A", "ESZ5").quantity == 2
    assert book.refresh() == 0


def test_what_a_lookup_returned_does_not_change_under_the_caller(store: EventStore) -> None:
    book = projections.open(store)
    book.append("order/A/O1", submitted(5))
    book.append("lockout/A/loss", LockoutSet(rule_id="loss"))
    order, position, orders = book.orders.get("A", "O1"), book.positions.get("A", "ESZ5"), book.orders.open()
    locks = book.lockouts.active("A", store.clock.now_ns())
    trades, totals = book.trades.of("A"), book.trades.totals("A", "ESZ5")
    values = (order, position, orders, locks, trades, totals)
    before = msgspec.msgpack.encode(values)
    book.append("order/A/O1", [filled("T1", 2), filled("T2", 3)])
    book.append("lockout/A/loss", LockoutSet(rule_id="loss", allows=Allows.REDUCE_ONLY))
    assert msgspec.msgpack.encode(values) == before
    assert book.orders.get("A", "O1") != order
    assert book.positions.get("A", "ESZ5") != position


def test_opening_starts_from_the_newest_cut_and_reads_the_tail(store: EventStore, tmp_path: Path) -> None:
    book = projections.open(store)
    book.append("order/A/O1", submitted(5))
    book.append("order/A/O1", filled("T1", 2))
    assert book.snapshot()
    assert not book.snapshot()
    locked = book.append("lockout/B/loss", LockoutSet(rule_id="loss"))[0]
    book.append("lockout/B/news", LockoutSet(rule_id="news", until=GIVEN_MIN))
    book.close()
    assert snapshots_file(tmp_path / "data").exists()
    again = projections.open(store)
    assert (again.recovery.cut, again.recovery.tail, again.position) == (2, 2, 4)
    assert again.recovery.seconds > 0
    assert [(lock.rule_id, lock.cause) for lock in again.recovery.lockouts] == [("loss", locked.id)]
    assert again.recovery.pending == ()
    order = again.orders.get("A", "O1")
    assert order is not None
    assert (order.cumulative, order.leaves) == (2, 3)


def test_a_long_tail_is_worth_a_cut_at_once(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening_module, "FIRST_CUT_EVENTS_MIN", 3)
    store.append("trade/A/T1", [bought("T1"), bought("T2"), bought("T3")])
    projections.open(store).close()
    assert projections.open(store).recovery.cut == 3


def test_opening_does_not_wait_for_its_first_cut(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append("trade/A/T1", [bought("T1"), bought("T2"), bought("T3")])
    projections.open(store, snapshots=tmp_path / "cuts.sqlite").snapshot()
    store.append("trade/A/T1", [bought("T4"), bought("T5"), bought("T6")])
    monkeypatch.setattr(opening_module, "FIRST_CUT_EVENTS_MIN", 3)
    other = apsw.Connection(str(tmp_path / "cuts.sqlite"))
    other.execute("BEGIN IMMEDIATE")
    book = projections.open(store, snapshots=tmp_path / "cuts.sqlite")
    book.append("trade/A/T1", bought("T7"))
    assert book.position == 7
    other.execute("ROLLBACK")
    other.close()
    book.close()
    assert projections.open(store, snapshots=tmp_path / "cuts.sqlite").recovery.cut in {6, 7}


def test_a_store_closed_before_its_first_cut_ends_quietly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening_module, "FIRST_CUT_EVENTS_MIN", 3)
    reached, may_continue = threading.Event(), threading.Event()

    def held_up(self: projections.Snapshots, *given: Any, **named: Any) -> int:  # noqa: ANN401 - as save takes them
        reached.set()
        assert may_continue.wait(30)
        return saved(self, *given, **named)

    saved = projections.Snapshots.save
    monkeypatch.setattr(projections.Snapshots, "save", held_up)
    with eventstore.open(tmp_path / "data") as store:
        store.append("trade/A/T1", [bought("T1"), bought("T2"), bought("T3")])
        book = projections.open(store)
        assert reached.wait(30)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        may_continue.set()
        book.close()
    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize("collects", [True, False])
def test_opening_leaves_garbage_collection_as_it_was(store: EventStore, *, collects: bool) -> None:
    store.append("trade/A/T1", [bought("T1")])
    (gc.enable if collects else gc.disable)()
    try:
        projections.open(store)
        assert gc.isenabled() is collects
    finally:
        gc.enable()


def test_without_snapshots_a_book_folds_from_the_beginning(store: EventStore, tmp_path: Path) -> None:
    book = projections.open(store, snapshots=False)
    book.append("trade/A/T1", bought("T1"))
    assert not book.snapshot()
    assert not snapshots_file(tmp_path / "data").exists()
    assert projections.open(store, snapshots=False).recovery.cut == 0


def test_snapshots_may_lie_elsewhere(store: EventStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.sqlite"
    book = projections.open(store, snapshots=elsewhere)
    book.append("trade/A/T1", bought("T1"))
    assert book.snapshot()
    book.close()
    assert projections.open(store, snapshots=projections.Snapshots(elsewhere)).recovery.cut == 1


@pytest.mark.parametrize("snapshots", [None, False])
def test_a_book_of_some_accounts_folds_these_and_what_belongs_to_none(
    store: EventStore, snapshots: Literal[False] | None
) -> None:
    store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50)))
    whole = projections.open(store)
    for account in ("A", "B", "C"):
        whole.append(f"trade/{account}/T1", bought("T1", 2))
    whole.snapshot()
    whole.append("trade/A/T2", bought("T2", 1))
    whole.append("trade/B/T2", bought("T2", 5))
    some = projections.open(store, accounts=["A", "C"], snapshots=snapshots)
    assert (some.position, some.recovery.cut) == (6, 4 if snapshots is None else 0)
    assert some.positions.get("A", "ESZ5") == whole.positions.get("A", "ESZ5")
    assert some.positions.get("A", "ESZ5").multiplier == 50
    assert some.positions.of("C") == whole.positions.of("C")
    assert some.positions.of("B") == ()
    # A part of the log is not a cut: a book of all accounts would start from it.
    assert not some.snapshot()
    some.append("trade/A/T3", bought("T3", 4))
    whole.refresh()
    assert (some.position, some.positions.of("A")) == (store.head(), whole.positions.of("A"))
    with pytest.raises(InvalidEvent):
        projections.open(store, accounts=["no/account"])


def test_a_view_of_ones_own_is_folded_and_asked_by_name(store: EventStore) -> None:
    views = [RainByAccount(), RainByPlace(), Everything()]
    book = projections.open(store, views=views)
    book.append("rain/A/x", [rain(1, "hill"), rain(2, "vale")])
    book.append("rain/B/x", rain(4, "hill"))
    book.append("trade/A/T1", bought("T1"))
    assert book.state("rain", "A") == Water(3, [1, 2])
    assert book.state("rain-by-place", "hill").total == 5
    assert sorted(book.partitions("rain-by-place")) == ["hill", "vale"]
    assert (book.state("everything", "A").total, book.state("everything", "B").total) == (3, 1)
    assert book.state("rain", "C") is None
    with pytest.raises(InvalidEvent, match="no view 'snow'"):
        book.state("snow", "A")
    book.snapshot()
    book.append("rain/B/x", rain(8, "vale"))
    again = projections.open(store, views=views)
    assert again.recovery.cut == 4
    assert [again.state("rain-by-place", place).total for place in ("hill", "vale")] == [5, 10]


@pytest.mark.parametrize("snapshots", [None, False])
def test_a_view_that_mixes_accounts_holds_only_those_asked_for(
    store: EventStore, snapshots: Literal[False] | None
) -> None:
    whole = projections.open(store, views=[RainByPlace()])
    whole.append("rain/A/x", rain(1))
    whole.append("rain/B/x", rain(2))
    whole.snapshot()
    whole.append("rain/A/x", rain(4))
    some = projections.open(store, views=[RainByPlace()], accounts=["A"], snapshots=snapshots)
    assert some.state("rain-by-place", "hill").total == 5
    assert projections.as_of(store, views=[RainByPlace()], account="A").state("rain-by-place", "hill").total == 5


def test_a_view_that_is_new_folds_the_log_and_the_others_use_their_cut(store: EventStore) -> None:
    book = projections.open(store)
    book.append("rain/A/x", [rain(1), rain(2)])
    book.append("trade/A/T1", bought("T1", 3))
    book.snapshot()
    book.append("trade/A/T2", bought("T2", 4))
    again = projections.open(store, views=[RainByAccount()])
    assert (again.recovery.cut, again.recovery.tail) == (0, 4)
    assert again.state("rain", "A").total == 3
    assert again.positions.get("A", "ESZ5").quantity == 7


@pytest.mark.in_each_place(slow=True)
def test_what_is_observed_is_folded_and_never_stored(store: EventStore) -> None:
    book = projections.open(store, views=[RainByAccount()])
    record = book.observe("rain/A/x", Glimpsed(millimetres=3), occurred_at=GIVEN_MIN + 5)
    assert (record.occurred_at, record.event) == (GIVEN_MIN + 5, Glimpsed(millimetres=3))
    assert (book.state("rain", "A").total, book.position, store.head()) == (3, 0, 0)
    with pytest.raises(InvalidEvent, match="Rained must be at least SYNCED"):
        book.observe("rain/A/x", rain(1))
    with pytest.raises(InvalidEvent):
        book.observe("rain", Glimpsed(millimetres=1))


def test_what_is_observed_is_never_in_a_cut_and_takes_nothing_stored_out_of_it(store: EventStore) -> None:
    book = projections.open(store, views=[RainByAccount()])
    book.append("rain/A/x", rain(1))
    book.append("rain/B/x", rain(10))
    book.observe("rain/A/x", Glimpsed(millimetres=100))
    book.append("rain/A/x", rain(2))
    book.append("trade/A/T1", bought("T1"))
    book.snapshot()
    again = projections.open(store, views=[RainByAccount()])
    assert (again.state("rain", "A").total, again.state("rain", "B").total) == (3, 10)
    assert again.positions.get("A", "ESZ5").quantity == 1


def test_a_closed_book_and_a_reader_s_refuse_to_append(store: EventStore) -> None:
    book = projections.open(store)
    book.close()
    with pytest.raises(ReadOnly):
        book.append("trade/A/T1", bought("T1"))
    with pytest.raises(ReadOnly):
        projections.open(EventReader(store._source), snapshots=False).append("trade/A/T1", bought("T1"))
    assert book.refresh() == 0
    assert store.head() == 0
    assert "at 0" in repr(book)


def test_a_book_outlives_its_store_for_what_it_holds(tmp_path: Path) -> None:
    store = eventstore.open(tmp_path / "data")
    book = projections.open(store)
    book.append("trade/A/T1", bought("T1"))
    store.close()
    assert book.positions.get("A", "ESZ5").quantity == 1
    with pytest.raises(Closed):
        book.append("trade/A/T2", bought("T2"))


def test_closing_writes_a_cut_where_there_is_much_to_fold_again(store: EventStore) -> None:
    book = projections.open(store)
    book.append("trade/A/T1", [bought(f"T{number}") for number in range(book_module.LAST_CUT_EVENTS_MIN)])
    book.close()
    assert projections.open(store).recovery.cut == book_module.LAST_CUT_EVENTS_MIN


def test_closing_writes_no_cut_where_little_came_since_the_last(store: EventStore) -> None:
    with projections.open(store) as book:
        book.append("trade/A/T1", [bought(f"T{number}") for number in range(book_module.LAST_CUT_EVENTS_MIN)])
    store.append("trade/A/T2", bought("T"))
    for _ in range(2):
        with projections.open(store) as book:
            assert book.recovery.cut == book_module.LAST_CUT_EVENTS_MIN


def test_a_view_without_events_holds_nothing(store: EventStore) -> None:
    with projections.open(store) as book:
        book.append("order/A/O1", submitted())
        wanting = {view.name for view in builtin_views() if view.types is not None and OrderSubmitted in view.types}
        assert {view.name for view in builtin_views() if book.partitions(view.name)} == wanting
        assert len(wanting) < len(builtin_views()) / 2
