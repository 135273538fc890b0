"""An event of the vocabulary is refused in a stream that nothing reads it from; one's own go anywhere."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import eventstore
import projections
from eventstore import QUEUED, Batch, Event, EventStore, InvalidEvent, trading
from eventstore.events.registry import by_class
from eventstore.journal import append
from eventstore.journals.memory import MemoryJournal
from eventstore.record import Draft, PreparedBatch
from eventstore.trading import LockoutSet, OrderRejected, QuoteReceived
from tests.store.facts import contract, filled, rejected
from tests.store.test_events import VOCABULARY

FILL = filled()


@eventstore.event(name="tested.Kept", durability=QUEUED, categories=("box", "drawer"))
class Kept(Event, frozen=True, kw_only=True):
    pass


@eventstore.event(name="tested.Free")
class Free(Event, frozen=True, kw_only=True):
    pass


MISPLACED: list[tuple[str, Event, str]] = [
    ("orders/A/T", FILL, "order/A/T"),
    ("ordr/A/T", FILL, "order/A/T"),
    ("Order/A/T", FILL, "order/A/T"),
    ("lockout/A/T", FILL, "order/A/T"),
    ("position/A/ESZ5", OrderRejected(), "order/A/ESZ5"),
    ("lockouts/A/loss", LockoutSet(rule_id="loss"), "lockout/A/loss"),
    ("limits/A/loss", LockoutSet(rule_id="loss"), "lockout/A/loss"),
    ("contracts/-/ESZ5", contract(), "contract/-/ESZ5"),
    ("marks/-/close", trading.Marked(name="close"), "mark/-/close"),
    ("account/A/ESZ5", trading.FeeCharged(trade_id="T", amount=Decimal(1)), "trade/A/ESZ5"),
]


@pytest.mark.parametrize(("stream", "event", "right"), MISPLACED, ids=lambda value: str(value)[:20])
def test_a_misplaced_event_is_refused_and_the_right_stream_named(
    store: EventStore, stream: str, event: Event, right: str
) -> None:
    expected = f"belongs in the stream {right}: nothing reads it from {stream}"
    with pytest.raises(InvalidEvent, match=expected):
        store.append(stream, event)
    with pytest.raises(InvalidEvent, match=expected):
        store.append_many([Batch("order/A/O", rejected()), Batch(stream, [event])])
    assert store.head() == 0
    store.append(right, event)
    assert store.head() == 1


def test_every_verb_and_the_book_check_it_alike(store: EventStore) -> None:
    book = projections.open(store)
    with pytest.raises(InvalidEvent, match="contract/-/ESZ5"):
        store.enqueue("contrct/-/ESZ5", contract())
    with pytest.raises(InvalidEvent, match="quote/-/ESZ5"):
        book.observe("quotes/-/ESZ5", QuoteReceived(symbol="ESZ5", last=Decimal(1)))
    with pytest.raises(InvalidEvent, match="order/A/O"):
        book.append("orders/A/O", FILL)
    with pytest.raises(InvalidEvent, match="order/A/O"):
        book.append_many([Batch("orders/A/O", FILL)])
    assert (store.head(), book.position, book.trades.of("A")) == (0, 0, ())


def test_one_misplaced_event_keeps_its_whole_batch_out(store: EventStore) -> None:
    with pytest.raises(InvalidEvent, match="LockoutSet belongs in the stream lockout/A/O"):
        store.append("order/A/O", [rejected(), LockoutSet(rule_id="loss")])
    assert store.head() == 0


@pytest.mark.parametrize("category", ["order", "trade", "position"])
def test_an_execution_is_read_from_wherever_it_may_stand(store: EventStore, category: str) -> None:
    book = projections.open(store)
    book.append(f"{category}/A/T", FILL)
    assert book.positions.get("A", "ESZ5").quantity == 1


@pytest.mark.parametrize("cls", VOCABULARY)
def test_every_type_of_the_vocabulary_declares_its_streams(cls: type[Event]) -> None:
    kind = by_class(cls)
    assert kind.categories
    for category in kind.categories:
        kind.check_category(f"{category}/A/x")
    for misspelt in (kind.categories[0] + "s", kind.categories[0][:-1], kind.categories[0].upper(), "nothing"):
        with pytest.raises(InvalidEvent, match=f"belongs in the stream {kind.categories[0]}/A/x"):
            kind.check_category(f"{misspelt}/A/x")


def test_an_event_of_ones_own_goes_where_it_says_or_anywhere(store: EventStore) -> None:
    store.append("anything/A/x", Free())
    store.append("drawer/A/x", Kept())
    with pytest.raises(
        InvalidEvent, match=r"tested\.Kept belongs in the stream box/A/x: nothing reads it from bag/A/x"
    ):
        store.append("bag/A/x", Kept())


@pytest.mark.parametrize("wrong", ["order", ("",), ("a/b",), (1,), None, ("order", "a b")])
def test_categories_are_a_tuple_of_names(wrong: Any) -> None:  # noqa: ANN401 - that is the test
    with pytest.raises(InvalidEvent, match=r"tested\.Wrong: categories are a tuple of names"):

        @eventstore.event(name="tested.Wrong", categories=wrong)
        class Wrong(Event, frozen=True, kw_only=True):
            pass


def test_what_an_old_log_holds_anywhere_is_read_and_folded_as_before() -> None:
    journal = MemoryJournal()
    kind, data = eventstore.events.encode(FILL)
    old = Draft(bytes(15) + b"\1", "fills/A/x", kind.name, kind.schema, 1, data, "me", "", None, None)
    append(journal, [PreparedBatch(old.stream, [old])])
    store = EventStore(journal)
    assert [record.event for record in store.read()] == [FILL]
    assert projections.open(store).positions.get("A", "ESZ5").quantity == 1
