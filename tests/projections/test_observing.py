"""Observed events: folded as they would be read, at once, by the views that want them, and by nothing else."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import SYNCED, VOLATILE, Event, EventStore, InvalidEvent, Record
from eventstore.clock import GIVEN_MIN
from eventstore.trading import QuoteReceived
from projections import PartitionParked, View, fold
from projections.fold import Fold
from tests.places import Place
from tests.projections.examples import Everything, Glimpsed, RainByAccount, Water, bought, rain

pytestmark = pytest.mark.in_each_place(slow=True)


@eventstore.event(durability=VOLATILE)
class Noted(Event, frozen=True, kw_only=True):
    """A fact that may be lost, with members of several kinds."""

    price: Decimal | None = None
    duration: eventstore.events.Duration | None = None
    details: Any = None
    text: str = ""


@eventstore.event(durability=VOLATILE)
class NamesNoted(Event, frozen=True, kw_only=True):
    """A fact that may be lost, with a member that can be changed."""

    names: list[str]


@eventstore.event(durability=VOLATILE, durability_of=lambda event: SYNCED if event.final else VOLATILE)
class Sighted(Event, frozen=True, kw_only=True):
    """A fact that may be lost unless it is final."""

    final: bool = False


class NotesState(msgspec.Struct):
    events: list[Any] = []


class Notes(View[NotesState]):
    """Keeps the events themselves, which no view should do."""

    name: ClassVar[str] = "notes"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (Noted, NamesNoted)

    @override
    def initial(self) -> NotesState:
        return NotesState()

    @override
    def apply(self, state: NotesState, event: Event, record: Record) -> None:
        assert event == record.event
        state.events.append(event)


@pytest.fixture
def store(place: Place) -> Iterator[EventStore]:
    with eventstore.open(place) as opened:
        yield opened


@pytest.mark.parametrize(
    "given",
    [
        Noted(price=Decimal("1.50"), text="x"),
        Noted(price=Decimal("1E-9")),
        Noted(price=5),  # type: ignore[arg-type]
        Noted(duration=3),
        Noted(duration=timedelta(seconds=3)),  # type: ignore[arg-type]
        NamesNoted(names=["a", "b"]),
        Noted(details={"price": Decimal("1.5"), 5: (1, 2)}),
        Noted(details=Decimal("1.5")),
        Noted(details="x"),
        Noted(details=None),
        Noted(),
    ],
)
def test_a_view_is_given_what_the_record_reads_as(store: EventStore, given: Event) -> None:
    """Twice: the second event uses what the first one's decoding has shown."""
    book = projections.open(store, views=[Notes()])
    records = [book.observe("note/A/x", given) for _ in range(2)]
    seen = book.state("notes", "A").events
    assert seen == [record.event for record in records]
    members = msgspec.structs.astuple
    assert [*map(type, members(seen[1]))] == [*map(type, members(records[1].event))]
    assert book.parked == {}


def test_what_reads_as_it_is_goes_to_the_view_itself(store: EventStore) -> None:
    book = projections.open(store, views=[Notes()])
    given = [Noted(price=Decimal("1.50"), text="x"), Noted(price=Decimal("2.50"), text="y")]
    for each in given:
        book.observe("note/A/x", each)
    assert book.state("notes", "A").events[1] is given[1]


def test_one_event_s_classes_say_nothing_of_another_s(store: EventStore) -> None:
    book = projections.open(store, views=[Notes()])
    for given in (Noted(details="x"), Noted(details=Decimal(1)), Noted(details=1), Noted(details=Decimal(2))):
        book.observe("note/A/x", given)
    assert [note.details for note in book.state("notes", "A").events] == ["x", "1", 1, "2"]


def test_what_is_remembered_of_classes_is_bounded(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "_EXACT_MAX", 2)
    monkeypatch.setattr(fold, "_exact", {})
    book = projections.open(store, views=[Notes()])
    for details in ("x", 1, None, True, Decimal(1), "x"):
        book.observe("note/A/x", Noted(details=details))
        assert len(fold._exact) <= 2
    assert [note.details for note in book.state("notes", "A").events] == ["x", 1, None, True, "1", "x"]


def test_what_its_giver_changes_afterwards_does_not_change_the_book(store: EventStore) -> None:
    book = projections.open(store, views=[Notes()])
    for _ in range(2):
        names = ["a"]
        book.observe("note/A/x", NamesNoted(names=names))
        names.append("b")
    assert [note.names for note in book.state("notes", "A").events] == [["a"], ["a"]]


def test_an_event_that_must_not_be_lost_is_refused_whatever_its_class_allows(store: EventStore) -> None:
    book = projections.open(store, views=[Everything()])
    book.observe("note/A/x", Sighted())
    with pytest.raises(InvalidEvent, match="Sighted must be at least SYNCED: append it"):
        book.observe("note/A/x", Sighted(final=True))
    assert book.state("everything", "A").total == 1


@pytest.mark.parametrize("at", [1.5, -1, 10**20, "now"])
def test_a_time_that_is_none_is_refused(store: EventStore, at: Any) -> None:  # noqa: ANN401 - that is the test
    book = projections.open(store, views=[RainByAccount()])
    with pytest.raises(InvalidEvent):
        book.observe("rain/A/x", Glimpsed(millimetres=1), occurred_at=at)
    assert book.state("rain", "A") is None


def test_without_a_time_an_event_occurs_now(store: EventStore) -> None:
    before = store.clock.now_ns()
    record = projections.open(store).observe("quote/-/X", QuoteReceived(symbol="X", last=Decimal(1)))
    assert before <= record.occurred_at == record.recorded_at <= store.clock.now_ns()
    assert (record.data, record.position, record.version) == (b'{"symbol":"X","last":"1"}', 0, 0)


def test_only_views_that_want_the_type_are_left_out_of_the_next_cut(store: EventStore) -> None:
    book = projections.open(store, views=[RainByAccount(), Notes()])
    assert book._observed == set()
    book.observe("quote/-/X", QuoteReceived(symbol="X", last=Decimal(1)))
    assert book._observed == {"quotes"}
    book.observe("rain/A/x", Glimpsed(millimetres=1))
    assert book._observed == {"quotes", "rain"}


def test_a_view_that_fails_stops_its_own_partition_and_the_others_continue(store: EventStore) -> None:
    view = RainByAccount()
    view.bad = {13}
    book = projections.open(store, views=[view, Everything()])
    for amount in (1, 13, 2):
        book.observe("rain/A/x", Glimpsed(millimetres=amount))
    book.observe("rain/B/x", Glimpsed(millimetres=4))
    with pytest.raises(PartitionParked, match="13 is too much"):
        book.state("rain", "A")
    assert book._fold.slots["rain"].states["A"] == Water(1, [0])
    assert (book.state("rain", "B").total, book.state("everything", "A").total) == (4, 3)


def test_a_view_that_cannot_place_what_is_observed_stops_nothing_else(store: EventStore) -> None:
    book = projections.open(store, views=[Unplaceable(), Everything()])
    book.observe("rain/A/x", Glimpsed(millimetres=1))
    assert list(book.parked) == [("unplaceable", "A")]
    assert book.state("everything", "A").total == 1


class Unplaceable(RainByAccount):
    """A view that fails to partition any record."""

    name: ClassVar[str] = "unplaceable"

    @override
    def partition(self, record: Record) -> str:
        raise LookupError


def test_a_book_of_some_accounts_passes_over_the_others_and_takes_what_belongs_to_none(store: EventStore) -> None:
    book = projections.open(store, views=[RainByAccount()], accounts=["A"])
    for account in ("A", "B"):
        book.observe(f"rain/{account}/x", Glimpsed(millimetres=1))
    book.observe("quote/-/X", QuoteReceived(symbol="X", last=Decimal(5)))
    assert book.partitions("rain") == ["A"]
    assert book.quotes.fresh("X").price == 5


class InterruptedOnce(RainByAccount):
    """The view of rain, interrupted once as by Ctrl-C."""

    def __init__(self) -> None:
        super().__init__()
        self.at: int | None = 2

    @override
    def apply(self, state: Water, event: Event, record: Record) -> None:
        if record.position == self.at:
            self.at = None
            raise KeyboardInterrupt
        super().apply(state, event, record)


class Later(RainByAccount):
    """The same view under another name, folded after it."""

    name: ClassVar[str] = "later"


def test_observing_after_an_interrupted_fold_takes_nothing_twice_and_nothing_away(store: EventStore) -> None:
    book = projections.open(store, views=[InterruptedOnce(), Later()])
    store.append("rain/A/x", [rain(1), rain(2), rain(4)])
    with pytest.raises(KeyboardInterrupt):
        book.refresh()
    book.observe("rain/A/x", Glimpsed(millimetres=100))
    book.observe("rain/B/x", Glimpsed(millimetres=100))
    book.refresh()
    store.append("rain/A/x", rain(8))
    book.refresh()
    assert book.position == 4
    assert (book.state("later", "A").total, book.state("later", "B").total) == (115, 100)
    # What the interruption left comes before what was observed after it.
    assert book.state("later", "A").seen == [1, 2, 3, 0, 4]


def test_a_view_that_is_rebuilt_takes_what_is_observed_from_then_on(store: EventStore) -> None:
    book = projections.open(store, views=[RainByAccount()])
    book.append("rain/A/x", rain(1))
    book.observe("rain/A/x", Glimpsed(millimetres=10))
    book.rebuild(RainByAccount())
    assert book.state("rain", "A").total == 1
    book.observe("rain/A/x", Glimpsed(millimetres=10))
    assert book.state("rain", "A").total == 11


def test_a_fold_without_views_takes_anything(store: EventStore) -> None:
    record = projections.open(store).observe("rain/A/x", Glimpsed(millimetres=1), occurred_at=GIVEN_MIN)
    assert Fold().observe(record, record.event) == frozenset()


def test_observing_leaves_the_position_where_it_was(store: EventStore) -> None:
    book = projections.open(store)
    book.append("trade/A/T1", bought("T1"))
    book.observe("quote/-/X", QuoteReceived(symbol="X", last=Decimal(5)))
    book.append("trade/A/T2", bought("T2"))
    assert book.position == 2
    assert book.positions.get("A", "ESZ5").quantity == 2
