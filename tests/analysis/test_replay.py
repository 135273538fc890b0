"""Replay: handlers, the virtual clock, the live book, policies, timers, pace and interruptions."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from typing_extensions import override

from eventstore import Event, EventStore, VersionConflict
from eventstore.trading import (
    LimitsSet,
    LockoutSet,
    Marked,
    OrderCanceled,
    OrderFilled,
    OrderReported,
    OrderStatus,
    OrderSubmitted,
    SessionOpened,
    Side,
    Verdict,
)
from projections import Book, Decision, Policies, Policy, Trigger, as_of, steps
from projections.analysis import Replay
from projections.risk import Proposal, check, submit
from projections.rules import shipped_rules
from tests.analysis.replaying import (
    BEGINS,
    CALENDAR,
    SECOND,
    policed_desk,
    random_fills,
    random_store,
    states,
    trading_desk,
)
from tests.proving import rounds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventstore import Record


def calls_of(store: EventStore, **options: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - those of Replay
    """Return all that handlers are called with, and when, with a strategy that appends."""
    replay = Replay(store, calendars=CALENDAR, **options)
    calls: list[tuple[Any, ...]] = []

    @replay.on(Event)
    def note(event: Event, record: Record, book: Book) -> None:
        calls.append((event, record, replay.now, book.position, book.orders.open()))

    @replay.on(OrderFilled)
    def answer(event: OrderFilled, record: Record, book: Book) -> None:
        if record.actor != "replay" and record.position % 3 == 0:
            book.append(f"order/{record.account}/own-{record.position}", event)
            book.timers.start(record.account, f"t{record.position}", 2 * SECOND)

    replay.on_timer(lambda timer, book: calls.append((timer, book.position, replay.now)))
    replay.run()
    return calls


def test_two_replays_call_handlers_with_the_same_at_the_same_times() -> None:
    for seed in rounds("two replays", test=3, prove=300):
        store = random_store(seed)
        first = calls_of(store)
        assert first == calls_of(store)
        assert first == calls_of(store, time="occurred")
        assert calls_of(store, policies=shipped_rules()) == calls_of(store, policies=shipped_rules())


def test_handlers_see_the_book_as_of_their_record() -> None:
    for seed in rounds("the book of each record", test=1, prove=100):
        store = random_store(seed)
        expected = [(record, states(book)) for record, book in _frozen(store)]
        replay = Replay(store)
        found: list[tuple[Record, Any]] = []
        replay.on(Event, lambda _event, record, book: found.append((record, copy.deepcopy(states(book)))))  # noqa: B023
        replay.run()
        assert found == expected


def _frozen(store: EventStore) -> Iterator[tuple[Record, Book]]:
    for record, _ in steps(store):
        yield record, as_of(store, position=record.position)


def test_a_handler_of_one_class_sees_the_same_book_although_the_rest_is_folded_together() -> None:
    for seed in rounds("folded together", test=3, prove=300):
        store = random_store(seed)
        found: dict[int, Any] = {}
        replay = Replay(store)

        @replay.on(OrderFilled)
        def keep(_event: Event, record: Record, book: Book, found: dict[int, Any] = found) -> None:
            found[record.position] = copy.deepcopy(states(book))

        replay.run()
        expected = {r.position: states(as_of(store, position=r.position)) for r in store.read(types=(OrderFilled,))}
        assert found == expected
        assert states(replay.book) == states(as_of(store))
        assert len(replay.compare()) == 0


def test_handlers_are_called_in_the_order_in_which_they_were_added() -> None:
    calls: list[str] = []
    replay = Replay(trading_desk(1).store)
    replay.on(OrderFilled, lambda *_: calls.append("first"))
    replay.on(Event, lambda *_: calls.append("second"))
    replay.on(OrderFilled)(lambda *_: calls.append("third"))
    replay.run()
    assert calls == ["second", "second", "second", "first", "second", "third"]


def test_iteration_gives_each_record_with_the_book_and_resumes_where_it_was() -> None:
    store = trading_desk().store
    replay = Replay(store)
    for record, book in replay:
        assert record.position == book.position == replay.position
        if record.position == 4:
            break
    assert [record.position for record, _ in replay] == [5, 6, 7, 8, 9, 10]
    assert list(replay) == []


def test_seek_goes_anywhere_and_calls_nobody() -> None:
    store = trading_desk().store
    replay = Replay(store)
    seen: list[int] = []
    replay.on(Event, lambda _event, record, _book: seen.append(record.position))
    for position in (7, 0, 10, 3):
        replay.seek(position)
        assert (replay.position, replay.book.position, seen) == (position, position, [])
        assert states(replay.book) == states(as_of(store, position=position))
        assert replay.now == BEGINS + max(position, 1) * SECOND
    replay.run()
    assert seen == [4, 5, 6, 7, 8, 9, 10]


def test_the_time_of_a_record_is_the_stores_time_for_all_that_asks() -> None:
    replay = Replay(trading_desk().store)
    for record, book in replay:
        assert book.now_ns() == record.occurred_at == replay.now
    assert replay.book.append("mark/-/x", Marked(name="x"))[0].occurred_at == replay.now


def test_time_ends_with_the_last_record_or_when_it_was_asked_to_stop() -> None:
    assert Replay(trading_desk().store).run().now == BEGINS + 10 * SECOND
    assert Replay(trading_desk().store, stop=BEGINS + 99 * SECOND).run().now == BEGINS + 99 * SECOND


# What ran live runs unchanged


def strategy(book: Book) -> None:
    """Append as a live strategy does: through the check, by the live interface alone."""
    now = book.now_ns()
    held = book.positions.get("A", "ES").quantity
    if held > 0 and not book.orders.open("A"):
        number = book.position
        order = OrderSubmitted(symbol="ES", side=Side.SELL, quantity=held)
        if check(book, Proposal.of("A", order, order_id=f"exit-{number}"), now).passed:
            sent = submit(book, "A", f"exit-{number}", order, now, key=f"exit/{number}")
            assert sent.answer.verdict is Verdict.PASS
            book.append(f"order/A/exit-{number}", OrderCanceled(), expected=1)


def test_a_strategy_of_the_live_interface_runs_and_the_source_stays_as_it_was() -> None:
    desk = trading_desk(7)
    root = desk.store.root()
    replay = Replay(desk.store)
    replay.on(OrderFilled, lambda _event, _record, book: strategy(book))
    replay.run()
    own = [record for record in replay.store.read(stream="order/A/") if record.entity.startswith("exit-")]
    assert [type(record.event) for record in own] == [OrderSubmitted, OrderCanceled] * 4
    assert desk.store.root() == root
    # What comes after an append continues the source's streams at its own place.
    positions = [record.position for record in replay.store.read()]
    assert positions == list(range(1, 25))
    assert replay.store.verify().ok
    report = replay.compare()
    assert len(report) == 8
    assert str(report.first_divergence) == "at position 4: nothing, now OrderSubmitted in order/A/exit-4 (appended)"
    assert "8 records of its own" not in repr(Replay(desk.store))


def test_a_key_that_the_log_had_before_finds_its_record_and_one_of_later_is_taken_once() -> None:
    desk = trading_desk(2)
    desk.append("mark/-/x", Marked(name="x"), key="mine")
    replay = Replay(desk.store)

    @replay.on(OrderFilled)
    def early(_event: Event, _record: Record, book: Book) -> None:
        book.append("mark/-/x", Marked(name="x"), key="mine")

    marks: list[int] = []
    replay.on(Marked, lambda _event, record, _book: marks.append(record.position))
    replay.run()
    assert marks == [5]
    assert len(replay.compare()) == 0
    assert replay.book.append("mark/-/x", Marked(name="x"), key="mine")[0].position == 5


def test_enqueued_events_are_there_at_once() -> None:
    replay = Replay(trading_desk(1).store)

    @replay.on(OrderFilled)
    def later(_event: Event, _record: Record, book: Book) -> None:
        assert isinstance(book.reader, EventStore)
        pending = book.reader.enqueue("order/A/O-1", OrderReported(status=OrderStatus.FILLED))
        assert pending.done
        assert [record.position for record in pending.result()] == [5]
        refused = book.reader.enqueue("order/A/O-1", OrderReported(status=OrderStatus.FILLED), expected=9)
        with pytest.raises(VersionConflict):
            refused.result()

    seen: list[int] = []
    replay.on(OrderReported, lambda _event, record, _book: seen.append(record.position))
    replay.run()
    assert seen == [5]
    assert replay.book.position == 5


def test_policies_lock_on_history_as_they_do_live() -> None:
    desk = trading_desk(0)
    desk.append("limits/A/daily-loss", LimitsSet(rule_id="daily-loss", parameters={"limit": "400"}), key="limit")
    for number in range(4):
        desk.fill(1, str(5_000 - number))
        desk.fill(-1, str(4_996 - number))
    replay = Replay(desk.store, policies=shipped_rules(), calendars=CALENDAR)
    locked: list[int] = []
    replay.on(LockoutSet, lambda _event, record, _book: locked.append(record.position))
    opened: list[str] = []
    replay.on(SessionOpened, lambda _event, record, _book: opened.append(record.account))
    replay.run()
    (lockout,) = replay.book.lockouts.active("A", replay.now)
    assert (lockout.rule_id, len(locked), opened) == ("daily-loss", 1, ["A"])
    assert "would have been: daily-loss of A" in repr(replay.compare())
    with Policies(Replay(desk.store, calendars=CALENDAR).run().book, shipped_rules()) as policies:
        assert policies.is_caught_up


def test_decisions_that_the_log_has_are_not_taken_twice() -> None:
    desk = policed_desk(random_fills(3), limit="300")
    recorded = [record.id for record in desk.store.read(types=(LockoutSet,))]
    assert recorded
    replay = Replay(desk.store, policies=shipped_rules(), calendars=CALENDAR).run()
    assert [record.id for record in replay.store.read(types=(LockoutSet,))] == recorded


class Once(Policy):
    """Marks the first fill that it sees, and remembers that it has."""

    name = "once"
    types: ClassVar[tuple[type[Event], ...]] = (OrderFilled,)

    def __init__(self) -> None:
        self.has_marked = False

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
        if not self.has_marked:
            self.has_marked = True
            yield Decision((("mark/-/first", Marked(name=trigger.key)),))


def test_policies_remember_nothing_of_another_replay() -> None:
    store = trading_desk().store
    once = Once()
    replay = Replay(store, policies=[once]).run()
    first = list(replay.store.read(types=(Marked,)))
    assert len(first) == 1
    assert list(replay.seek(0).run().store.read(types=(Marked,))) == first
    assert not once.has_marked
    assert Replay(store, policies=[once], without=()).run().compare().notes
