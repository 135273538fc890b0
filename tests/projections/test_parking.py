"""A failing view stops one partition and no other; fixed, revised or rebuilt, it agrees with the log again."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import ClassVar

import msgspec
import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import Event, EventStore, Record
from projections import Book, PartitionParked, SnapshotWarning, fold, view_states
from projections.views.lockouts.view import LockoutsView
from tests.projections.examples import (
    Everything,
    RainByAccount,
    RainByPlace,
    Water,
    bought,
    rain,
)
from tests.projections.naming import CountedByName, defined


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def view() -> RainByAccount:
    view = RainByAccount()
    view.bad = {13}
    return view


@pytest.fixture
def book(store: EventStore, view: RainByAccount) -> Book:
    """Return a book whose view of rain failed on account A's second record of four, position 2."""
    book = projections.open(store, views=[view, Everything()])
    book.append("rain/A/x", [rain(1), rain(13), rain(2)])
    book.append("rain/B/x", rain(7))
    return book


def test_a_view_that_raises_stops_its_own_partition_and_no_other(store: EventStore, book: Book) -> None:
    with pytest.raises(
        PartitionParked, match=r"rain stopped for A at position 2 .ValueError: 13 is too much."
    ) as caught:
        book.state("rain", "A")
    parked = caught.value
    assert (parked.view, parked.partition, parked.position) == ("rain", "A", 2)
    assert isinstance(parked.error, ValueError)
    assert list(book.parked) == [("rain", "A")]
    assert book.state("rain", "B").total == 7
    assert book.state("everything", "A").total == 3
    book.append("trade/A/T1", bought("T1"))
    assert (book.position, book.positions.get("A", "ESZ5").quantity) == (5, 1)
    assert "1 parked" in repr(book)
    assert "1 parked" in repr(book._fold)


def test_a_partition_that_stopped_stays_as_it_was_and_tells_its_first_failure(book: Book) -> None:
    book.append("rain/A/x", [rain(4), rain(13)])
    assert book.parked["rain", "A"].position == 2
    assert book._fold.slots["rain"].states["A"] == Water(1, [1])


def test_a_shipped_view_s_questions_raise_too_for_the_account_that_stopped(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = projections.open(store)
    with monkeypatch.context() as broken:
        broken.setattr("projections.views.executions.view.report", None)
        book.append("trade/A/T1", bought("T1"))
    book.append("trade/B/T1", bought("T1"))
    for ask in (book.positions.of, book.trades.totals, book.trips.of, book.counters.of):
        with pytest.raises(PartitionParked):
            ask("A")
    assert book.positions.get("B", "ESZ5").quantity == 1
    assert book.orders.open("A") == ()
    assert book.retry("executions", "A")
    assert book.positions.get("A", "ESZ5").quantity == 1


def test_asking_a_parked_partition_often_costs_no_memory(book: Book) -> None:
    depths = set()
    for _ in range(5):
        with pytest.raises(PartitionParked) as caught:
            book.state("rain", "A")
        depths.add(len(caught.traceback))
    assert len(depths) == 1


def test_a_fixed_view_folds_on(store: EventStore, book: Book, view: RainByAccount) -> None:
    assert not book.retry("rain", "A")
    assert list(book.parked) == [("rain", "A")]
    view.bad = {2}
    assert not book.retry("rain", "A")
    assert book.parked["rain", "A"].position == 3
    view.bad = set()
    assert book.retry("rain", "A")
    assert book.parked == {}
    assert book.state("rain", "A") == Water(16, [1, 2, 3])
    book.append("rain/A/x", rain(4))
    assert book.state("rain", "A").total == 20


def test_a_partition_that_is_not_an_account_is_retried_by_its_own_records(store: EventStore) -> None:
    view = RainByPlace()
    view.bad = {13}
    book = projections.open(store, views=[view])
    book.append("rain/A/x", [rain(1, "hill"), rain(13, "hill"), rain(5, "vale")])
    book.append("rain/B/x", rain(2, "hill"))
    view.bad = set()
    assert book.retry("rain-by-place", "hill")
    assert book.state("rain-by-place", "hill") == Water(16, [1, 2, 4])


def test_retrying_in_a_book_of_some_accounts_takes_these_accounts(store: EventStore) -> None:
    view = RainByPlace()
    view.bad = {13}
    store.append("rain/A/x", [rain(1), rain(13)])
    store.append("rain/B/x", rain(2))
    book = projections.open(store, views=[view], accounts=["A"], snapshots=False)
    view.bad = set()
    assert book.retry("rain-by-place", "hill")
    assert book.state("rain-by-place", "hill").total == 14


def test_a_cut_leaves_out_a_view_that_failed(store: EventStore, book: Book, view: RainByAccount) -> None:
    assert book.snapshot()
    view.bad = set()
    again = projections.open(store, views=[view, Everything()])
    # The view folds from the beginning, and the others use the cut: nothing is counted twice.
    assert (again.recovery.cut, again.recovery.tail, again.position) == (0, 4, 4)
    assert [again.state("rain", account).total for account in ("A", "B")] == [16, 7]
    assert again.state("everything", "A").total == 3
    assert book.retry("rain", "A")
    book.append("trade/A/T1", bought("T1"))
    assert book.snapshot()
    third = projections.open(store, views=[view, Everything()])
    assert (third.recovery.cut, third.state("rain", "A").total, third.state("rain", "B").total) == (5, 16, 7)


class Unplaced(RainByPlace):
    """A view that sometimes fails to partition a record."""

    name: ClassVar[str] = "unplaced"

    @override
    def partition(self, record: Record) -> str:
        event = record.event
        if getattr(event, "place", "") == "nowhere":
            msg = "no such place"
            raise LookupError(msg)
        return super().partition(record)


def test_a_view_that_cannot_place_a_record_stops_nothing_else(store: EventStore) -> None:
    view = Unplaced()
    book = projections.open(store, views=[view, Everything()])
    store.append("trade/A/T1", bought("T1"))
    store.append("rain/A/x", rain(1, "nowhere"))
    store.append("trade/A/T2", bought("T2"))
    assert book.refresh() == 3
    assert (book.position, book.state("everything", "A").total) == (3, 3)
    assert [name for name, _ in book.parked] == ["unplaced"]


class InterruptedEverything(Everything):
    """A view that is interrupted once, as by Ctrl-C."""

    name: ClassVar[str] = "interrupted"

    def __init__(self) -> None:
        self.at = 3

    @override
    def apply(self, state: Water, event: Event, record: Record) -> None:
        if record.position == self.at:
            self.at = 0
            raise KeyboardInterrupt
        state.total += 1


def test_an_interrupted_fold_takes_nothing_twice(store: EventStore) -> None:
    book = projections.open(store, views=[Everything(), InterruptedEverything()])
    store.append("rain/A/x", [rain(number) for number in range(1, 6)])
    with pytest.raises(KeyboardInterrupt):
        book.refresh()
    book.refresh()
    assert (book.position, book.state("everything", "A").total) == (5, 5)


class Lines:
    """A trace that presses Ctrl-C at the line of this number in the modules of the fold."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: FrameType, event: str, _argument: object) -> Lines | None:
        if frame.f_code.co_filename not in {fold.__file__, view_states.__file__}:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


def test_an_interruption_at_any_line_of_the_fold_takes_nothing_twice(store: EventStore) -> None:
    store.append("rain/A/x", [rain(1), rain(2)])
    store.append("trade/A/1", bought("1", symbol="1"))
    store.append("trade/B/2", bought("2", symbol="1"))
    store.append("contract/-/ES", [defined("ES"), defined("ES", "1"), defined("ES")])
    for number in range(1, 1_000):
        book = Book(store, fold.Fold([RainByAccount(), Everything(), CountedByName()]))
        # A page before, so that one account has a state when the definitions come.
        book._fold.apply(list(store.read(until=3)))
        lines, before = Lines(number), sys.gettrace()
        sys.settrace(lines)
        try:
            book.refresh()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        book.refresh()
        assert all(book.retry(*place) for place in list(book.parked))
        totals = [book.state(view, "A").total for view in ("rain", "everything", "counted")]
        totals += [book.state("counted", "B").total, len(book.state("counted", "-").directory.names["1"])]
        assert (book.position, totals) == (7, [3, 3, 1, 1, 2]), f"interrupted at line {number}"
        assert [book.state("counted", account).counts for account in "AB"] == [{"ES": 1}] * 2
        if lines.left > 0:
            break
    else:
        pytest.fail("it never came to an end")


class Raised(RainByAccount):
    """A later revision of the view of rain, which counts millimetres double."""

    revision: ClassVar[int] = 2

    @override
    def apply(self, state: Water, event: Event, record: Record) -> None:
        super().apply(state, event, record)
        super().apply(state, event, record)


class Wider(Water):
    """A state of another schema."""

    most: int = 0


class Reshaped(RainByAccount):
    """The view of rain with another state, and by mistake the same revision."""

    @override
    def initial(self) -> Wider:
        return Wider()


class Moved(RainByAccount):
    """A later revision of the view of rain, partitioned by place."""

    revision: ClassVar[int] = 3

    @override
    def partition(self, record: Record) -> str:
        event = record.event
        return event.place if isinstance(event, type(rain(1))) else "nowhere"


@pytest.mark.parametrize(("changed", "total"), [(Raised, 12), (Reshaped, 6)])
def test_a_changed_view_folds_again_and_the_others_use_their_cut(
    store: EventStore, changed: type[RainByAccount], total: int
) -> None:
    book = projections.open(store, views=[RainByAccount(), Everything()])
    book.append("rain/A/x", [rain(1), rain(2)])
    book.snapshot()
    book.append("rain/A/x", rain(3))
    with pytest.warns(SnapshotWarning, match="snapshot of rain at 2 has another state type, or was made by revision 1"):
        again = projections.open(store, views=[changed(), Everything()])
    assert (again.recovery.cut, again.position) == (0, 3)
    assert again.state("rain", "A").total == total
    assert again.state("everything", "A").total == 3
    # The next cut holds the new states, and the one after that stands on it.
    again.snapshot()
    assert projections.open(store, views=[changed(), Everything()]).state("rain", "A").total == total


def test_the_states_of_an_older_revision_are_not_in_a_later_one_s_cut(store: EventStore) -> None:
    book = projections.open(store, views=[RainByAccount()])
    book.append("rain/A/x", rain(1, "hill"))
    book.snapshot()
    with pytest.warns(SnapshotWarning):
        book = projections.open(store, views=[Moved()])
    book.append("rain/B/x", rain(2, "vale"))
    book.snapshot()
    again = projections.open(store, views=[Moved()])
    assert again.recovery.cut == 2
    assert sorted(again.partitions("rain")) == ["hill", "vale"]


def test_a_rebuild_keeps_the_old_state_in_use_until_it_is_complete(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.reading.PAGE", 2)
    book = projections.open(store, views=[RainByAccount()])
    book.append("rain/A/x", [rain(number) for number in (1, 2, 3, 4, 5)])
    seen = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total, book.state("rain", "A").total))
        if done == 4:
            # The book moves on meanwhile, and the new state catches up before it is put in place.
            book.append("rain/B/x", rain(9))

    book.rebuild(Raised(), progress)
    assert seen[:2] == [(2, 5, 15), (4, 5, 15)]
    assert (book.state("rain", "A").total, book.state("rain", "B").total) == (30, 18)
    book.append("rain/A/x", rain(10))
    assert book.state("rain", "A").total == 50
    book.snapshot()
    again = projections.open(store, views=[Raised()])
    assert (again.recovery.cut, again.state("rain", "A").total) == (7, 50)


def test_rebuilding_finds_what_it_cannot_fold(book: Book, view: RainByAccount) -> None:
    fresh = RainByAccount()
    fresh.bad = {7}
    book.rebuild(fresh)
    assert list(book.parked) == [("rain", "B")]
    assert book.state("rain", "A").total == 16


def test_recovery_passes_over_lockouts_of_an_account_that_stopped(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append("lockout/A/x", eventstore.trading.LockoutSet(rule_id="x"))
    store.append("lockout/B/x", eventstore.trading.LockoutSet(rule_id="x"))
    real = LockoutsView.apply

    def apply(self: LockoutsView, state: msgspec.Struct, event: Event, record: Record) -> None:
        assert record.account != "A"
        real(self, state, event, record)  # type: ignore[arg-type]

    monkeypatch.setattr(LockoutsView, "apply", apply)
    assert [lock.account for lock in projections.open(store).recovery.lockouts] == ["B"]
