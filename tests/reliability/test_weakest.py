"""A verb weaker than a type's weakest durability refuses each event of that type, without leaving anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings

import eventstore
import projections
from eventstore import QUEUED, SYNCED, VOLATILE, Durability, Event, EventStore, InvalidEvent, trading
from eventstore.events.registry import by_class
from projections import Book
from tests.projections.histories import states
from tests.store.event_strategies import events_of
from tests.store.test_events import VOCABULARY

ACTOR = "risk@desk"
FLAGGED = "append is at least SYNCED"
OF_ROTATIONS = (trading.LogContinued, trading.LogEnded, trading.StateCarried, trading.VersionsCarried)
"""What no caller may append, by whatever verb (tests/rotation)."""


def stream_of(event: Event) -> str:
    """Return a stream that an event may be appended to."""
    return f"{by_class(type(event)).categories[0]}/A/1"


VERBS: dict[Durability, Callable[[EventStore, Book, Event], object]] = {
    VOLATILE: lambda _, book, event: book.observe(stream_of(event), event),
    QUEUED: lambda store, _, event: store.enqueue(stream_of(event), event, actor=ACTOR).result(),
    SYNCED: lambda store, _, event: store.append(stream_of(event), event, actor=ACTOR),
}


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with eventstore.open(tmp_path / "data") as store, projections.open(store) as opened:
        yield opened


def store_of(book: Book) -> EventStore:
    store = book.reader
    assert isinstance(store, EventStore)
    return store


def weakest_of(event: Event) -> Durability:
    kind = by_class(type(event))
    return kind.durability if kind.durability_of is None else kind.durability_of(event)


def check_refused(book: Book, reason: str, write: Callable[[], object]) -> None:
    store = store_of(book)
    book.refresh()
    before = store.head(), states(book._fold)
    with pytest.raises(InvalidEvent, match=reason):
        write()
    store.flush()
    book.refresh()
    assert (store.head(), states(book._fold)) == before


@pytest.mark.parametrize("cls", [cls for cls in VOCABULARY if cls not in OF_ROTATIONS])
def test_a_verb_below_the_weakest_refuses_and_the_weakest_takes_it(cls: type[Event], book: Book) -> None:
    store = store_of(book)

    @settings(max_examples=5)
    @given(events_of(cls))
    def holds(event: Event) -> None:
        weakest = weakest_of(event)
        for level, verb in VERBS.items():
            if level < weakest:
                reason = f"{cls.__name__} must be at least {weakest.name}"
                check_refused(book, reason, lambda verb=verb: verb(store, book, event))  # type: ignore[misc]
        for level in (VOLATILE, QUEUED):
            # No flag makes an append weaker.
            flagged = {"actor": ACTOR, "durability": level}
            check_refused(book, FLAGGED, lambda flagged=flagged: store.append(stream_of(event), event, **flagged))  # type: ignore[misc]
        head = store.head()
        VERBS[weakest](store, book, event)
        assert store.head() == head + (weakest > VOLATILE)

    holds()


def test_one_event_that_may_not_wait_keeps_all_of_its_batch_out_of_the_queue(book: Book) -> None:
    allowed = trading.AccountUpdated(can_trade=True)
    locked = trading.AccountUpdated(can_trade=False)
    store, stream = store_of(book), "account/A/-"
    for events in ([allowed, locked], [locked, allowed], [allowed, trading.LockoutCleared()]):
        refusal = "must be at least SYNCED, not QUEUED"
        check_refused(book, refusal, lambda events=events: store.enqueue(stream, events))  # type: ignore[misc]
    assert len(store.enqueue(stream, [allowed, allowed]).result()) == 2
