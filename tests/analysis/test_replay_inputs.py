"""Replay of what is empty, wrong, late, foreign or out of order, and of handlers that fail."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

import eventstore
from eventstore import Batch, Event, EventStore, InvalidEvent, Record
from eventstore.trading import (
    AccountReopened,
    CashKind,
    CashMoved,
    LimitsSet,
    Marked,
    OrderFilled,
    OrderSubmitted,
    QuoteReceived,
    Side,
)
from projections import Book, as_of
from projections.analysis import Replay
from projections.rules import shipped_rules
from tests.analysis.replaying import BEGINS, CALENDAR, SECOND, Desk, trading_desk

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400 * SECOND


def seen(replay: Replay) -> list[int]:
    """Run a replay and return the positions that a handler of every event was called with."""
    positions: list[int] = []
    replay.on(Event, lambda _event, record, _book: positions.append(record.position))
    replay.run()
    return positions


def test_an_empty_log_calls_nobody() -> None:
    replay = Replay(Desk().store)
    assert seen(replay) == []
    assert list(replay) == []
    assert "no divergence" in repr(replay.compare())


def test_an_empty_range_calls_nobody_and_begins_with_the_book_of_then() -> None:
    desk = trading_desk()
    replay = Replay(desk.store, BEGINS + 5 * SECOND, BEGINS + 5 * SECOND)
    assert seen(replay) == []
    assert replay.now == BEGINS + 5 * SECOND
    assert replay.book.position == 4
    assert replay.book.orders.get("A", "O-1") is not None


def test_a_range_after_the_log_is_empty() -> None:
    desk = trading_desk()
    replay = Replay(desk.store, BEGINS + DAY, BEGINS + 2 * DAY)
    assert seen(replay) == []
    assert replay.book.position == desk.store.head()
    assert replay.now == BEGINS + 2 * DAY


def test_start_after_stop_is_refused() -> None:
    with pytest.raises(InvalidEvent, match=r"start 2025-11-19T15:00:01.* is after stop .*: give them the other way"):
        Replay(trading_desk().store, BEGINS + SECOND, BEGINS)


@pytest.mark.parametrize("time", ["occurred", "recorded"])
def test_start_is_included_and_stop_is_not(time: str) -> None:
    replay = Replay(trading_desk().store, BEGINS + 3 * SECOND, BEGINS + 6 * SECOND, time=time)
    assert seen(replay) == [3, 4, 5]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "nothing to replay: give a store"),
        ({"store": 5}, "5"),
        ({"time": "now"}, "time is 'occurred' or 'recorded', not 'now'"),
        ({"speed": -1}, "speed is a number, 0 for as fast"),
        ({"speed": float("nan")}, "speed is a number"),
        ({"speed": True}, "speed is a number"),
        ({"start": 1_700_000_000}, "looks like seconds"),
        ({"start": "2025-11-19"}, "has no time zone: end it with Z"),
        ({"account": "a/b"}, "account 'a/b'"),
        ({"views": 3}, "view"),
        ({"policies": "daily-loss"}, "policies is a sequence of policies"),
        ({"policies": [object()]}, "is none"),
        ({"calendars": 3}, "calendar"),
        ({"without": 3.5}, "without is positions, ids, records or streams"),
        ({"without": [3.5]}, "names a record by its log position or its id"),
        ({"without": ["x"]}, "names a record by its log position or its id"),
        ({"without": [99]}, "position 99, and what is played are positions 1 to 10"),
        ({"without": 0}, "position 0"),
        ({"without": [uuid.UUID(int=7)]}, "the record with id .*, and what is played"),
        ({"without": "order/A/O-99"}, "stream 'order/A/O-99', which has no record in what is played"),
        ({"without": "order/"}, None),
        ({"instead": 3}, "instead is a mapping of a record"),
        ({"instead": {99: Marked(name="x")}}, "position 99"),
        ({"instead": {3: "nothing"}}, "is an event, a Batch"),
        ({"instead": {3: Marked(name="x")}}, "Marked"),
        ({"instead": {3: Marked(name="x")}, "without": 3}, "position 3 is named twice"),
        ({"prices": [1, 2]}, "prices is a frame of pandas or polars"),
        ({"stale_after": -1}, "a duration is a timedelta"),
    ],
)
def test_an_argument_that_means_nothing_is_refused(arguments: dict[str, Any], says: str | None) -> None:
    given = {"store": trading_desk().store, **arguments} if arguments else {}
    if says is None:
        assert len(seen(Replay(**given))) < 10
        return
    with pytest.raises(InvalidEvent, match=says):
        Replay(**given)


def test_an_event_in_the_place_of_another_is_refused_as_the_store_would() -> None:
    desk = Desk()
    desk.begin(limit="500")
    unreadable = LimitsSet(rule_id="daily-loss", parameters={"limit": "-5"})
    with pytest.raises(InvalidEvent, match="limit"):
        Replay(desk.store, instead={3: unreadable})
    with pytest.raises(InvalidEvent, match="mark"):
        Replay(desk.store, instead={3: Batch("order/A/O-1", Marked(name="x"))})
    with pytest.raises(InvalidEvent):
        Replay(desk.store, instead={3: Batch("no stream", Marked(name="x"))})


def test_a_position_past_the_end_cannot_be_sought() -> None:
    replay = Replay(trading_desk().store)
    with pytest.raises(InvalidEvent, match="position 11 is not in what is played, 0 to 10: seek one of these"):
        replay.seek(11)
    with pytest.raises(InvalidEvent, match="position is an int of 0 or more"):
        replay.seek(-1)


def test_a_log_that_grows_meanwhile_is_played_to_where_it_was() -> None:
    desk = trading_desk()
    replay = Replay(desk.store)

    @replay.on(OrderFilled)
    def grow(_event: Event, _record: Record, _book: Book) -> None:
        desk.fill(1, "5000")

    assert seen(replay) == list(range(1, 11))
    assert desk.store.head() == 18
    assert replay.book.position == 10


def test_a_handler_that_appends_to_its_book_writes_nothing_into_the_source() -> None:
    desk = trading_desk()
    replay = Replay(desk.store)
    replay.on(OrderFilled, lambda _event, record, book: book.append("mark/-/seen", Marked(name=str(record.position))))
    assert len(seen(replay)) == 14
    assert desk.store.head() == 10
    assert not list(desk.store.read(types=(Marked,)))
    assert [getattr(record.event, "name", "") for record in replay.store.read(types=(Marked,))] == [
        "4",
        "7",
        "10",
        "13",
    ]


def test_what_another_appends_to_the_source_is_not_taken_for_the_replays_own() -> None:
    desk = trading_desk()
    replay = Replay(desk.store)
    replay.on(Event, lambda _event, _record, _book: desk.append("mark/-/x", Marked(name="x")))
    replay.run()
    assert not list(replay.store.read(types=(Marked,)))
    assert len(replay.compare()) == 0


def test_an_endless_chain_of_appends_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    replay = Replay(trading_desk(1).store)
    count = 0

    @replay.on(Marked)
    def again(_event: Event, _record: Record, book: Book) -> None:
        nonlocal count
        count += 1
        book.append("mark/-/x", Marked(name=str(count)))

    replay.on(OrderFilled, lambda _event, _record, book: book.append("mark/-/x", Marked(name="first")))
    monkeypatch.setattr("projections.analysis.replay.player.APPENDED_MAX", 50)
    with pytest.raises(InvalidEvent, match="handlers have appended 50 records at one record, log position"):
        replay.run()
    assert count == 49


def test_an_error_of_a_handler_says_at_which_record_and_the_replay_resumes_after_it() -> None:
    replay = Replay(trading_desk().store)
    calls: list[int] = []

    @replay.on(OrderFilled)
    def fail_once(_event: Event, record: Record, _book: Book) -> None:
        calls.append(record.position)
        if record.position == 6:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as raised:
        replay.run()
    (note,) = raised.value.__notes__
    assert "fail_once at log position 6: OrderFilled in order/A/O-2, 2025-11-19T15:00:06" in note
    assert replay.position == 6
    replay.run()
    assert calls == [4, 6, 8, 10]


def test_a_handler_cannot_play_its_own_replay() -> None:
    replay = Replay(trading_desk().store)
    replay.on(OrderFilled, lambda *_: replay.run())
    with pytest.raises(InvalidEvent, match="this replay is being played"):
        replay.run()


@pytest.mark.parametrize("given", [(3, print), (OrderFilled, 5), (int, print)])
def test_a_handler_that_cannot_be_called_is_refused(given: tuple[Any, Any]) -> None:
    with pytest.raises(InvalidEvent, match="a handler is"):
        Replay(trading_desk().store).on(*given)


def rewritten(**members: Any) -> Replay:  # noqa: ANN401 - a record's
    """Return a replay of a log whose fifth record, a mark, another program has written."""
    desk = trading_desk(1)
    desk.append("mark/-/x", Marked(name="x"))
    journal: Any = desk.store._journal
    journal._records[4] = replace(journal._records[4], **members)
    return Replay(desk.store)


def test_an_event_without_a_class_here_is_given_to_handlers_of_every_event_alone() -> None:
    replay = rewritten(type="UnknownHere")
    found: list[Event] = []
    replay.on(Event, lambda event, _record, _book: found.append(event))
    replay.on(OrderFilled, lambda event, _record, _book: found.append(event))
    replay.run()
    assert [type(event).__name__ for event in found[-3:]] == ["OrderFilled", "OrderFilled", "UnknownEvent"]
    assert replay.position == 5


@pytest.mark.parametrize(
    ("members", "says"),
    [({"schema": 99}, "Marked of schema 99 is newer than its class here"), ({"data": b"{}"}, "does not fit its class")],
)
def test_a_handler_of_a_class_is_not_called_with_what_that_cannot_read(members: dict[str, Any], says: str) -> None:
    replay = rewritten(**members)
    replay.on(Marked, lambda *_: pytest.fail("called"))
    with pytest.raises(InvalidEvent, match=says) as raised:
        replay.run()
    assert "at log position 5: Marked in mark/-/x" in raised.value.__notes__[0]


# Wrong clocks


def test_a_late_record_does_not_turn_time_back() -> None:
    desk = trading_desk(1)
    desk.fill(1, "5000", occurred_at=BEGINS - DAY)
    times = [replay.now for replay in [Replay(desk.store)] for _ in replay]
    assert times == sorted(times)
    assert times[-1] == BEGINS + 5 * SECOND


def test_a_record_of_the_future_counts_as_of_when_it_was_recorded() -> None:
    desk = trading_desk(1)
    desk.fill(1, "5000", occurred_at=BEGINS + 3_000 * DAY)
    replay = Replay(desk.store).run()
    assert replay.now == BEGINS + 6 * SECOND


def test_a_clock_that_was_years_ahead_does_not_count_forever() -> None:
    desk = trading_desk(1)
    desk.clock.set(BEGINS + 3_000 * DAY)
    desk.append("mark/-/x", Marked(name="x"))
    desk.clock.set(BEGINS + 60 * SECOND)
    for _ in range(15):
        desk.fill(1, "5000")
    replay = Replay(desk.store)
    times = [replay.now for _ in replay]
    assert times[4] == BEGINS + 3_000 * DAY + SECOND
    assert times[-1] == BEGINS + 90 * SECOND
    monotonic = replay.book.reader.clock.monotonic_ns()  # type: ignore[attr-defined] # a store's
    assert monotonic >= 3_000 * DAY
    assert len(seen(Replay(desk.store, BEGINS + 60 * SECOND, BEGINS + 90 * SECOND))) > 0


def test_times_before_1990_are_played() -> None:
    desk = Desk("1989-06-01T00:00:00Z")
    desk.begin()
    desk.fill(1, "300", occurred_at="1989-06-01T00:00:03Z")
    replay = Replay(desk.store)
    assert seen(replay) == [1, 2, 3, 4]
    assert replay.book.positions.get("A", "ES").quantity == 1
    for time in ("occurred", "recorded"):
        assert seen(Replay(desk.store, "1989-06-01T00:00:03Z", time=time)) == [3, 4]
    policed = Replay(desk.store, policies=shipped_rules(), calendars=CALENDAR).run()
    assert policed.book.lockouts.active("A", policed.now) == ()
    assert len(Replay(desk.store, calendars=CALENDAR, without=[4]).run().compare()) == 1


def test_an_account_that_is_reopened_in_the_range_begins_again() -> None:
    desk = trading_desk()
    desk.append("account/A/-", CashMoved(amount=Decimal(500), currency="USD", kind=CashKind.DEPOSIT))
    desk.append("account/A/-", AccountReopened(starting_balance=Decimal(10_000), reason="reset"))
    desk.fill(1, "5000")
    balances = {
        record.position: book.accounts.balance("A") for record, book in Replay(desk.store) if record.position > 9
    }
    assert balances[11] == balances[10] + 500
    assert balances[12] == 10_000
    what_if = Replay(desk.store, without=[12]).run().compare()
    row = what_if.equity.to_pandas().iloc[0]
    assert (row.balance_was, row.balance_is) == (10_000, 50_600)
    # Open and with an order in the changed history, it is reopened as it was recorded: facts are never refused.
    kept = Replay(desk.store, without=[10]).run()
    assert kept.book.accounts.reopened("A") == 11
    assert kept.book.accounts.why_not_reopened("A") is not None


def test_one_account_is_replayed_with_what_belongs_to_none() -> None:
    desk = Desk()
    desk.begin("A")
    desk.begin("B")
    desk.fill(1, "5000", "A")
    desk.fill(2, "5000", "B")
    replay = Replay(desk.store, account="B")
    assert seen(replay) == [1, 3, 4, 7, 8]
    assert replay.book.positions.get("B", "ES").quantity == 2
    replay.seek(3)
    replay.book.append("order/B/X", OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(1)))
    replay.run()
    assert replay.book.positions.get("B", "ES").quantity == 2
    assert replay.book.orders.get("B", "X") is not None
    expected = as_of(desk.store, account="B")
    assert replay.book.orders.get("B", "O-2") is not None
    assert replay.book.positions.of("B")[0].realized == expected.positions.of("B")[0].realized


def test_a_path_is_opened_read_only_and_closed(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        store.append("mark/-/x", Marked(name="x"))
    with Replay(tmp_path / "data") as replay:
        assert seen(replay) == [1]
        assert isinstance(replay.store, EventStore)
    replay.close()
    with pytest.raises(eventstore.ReadOnly):
        replay.book.append("mark/-/x", Marked(name="y"))
    with pytest.raises(eventstore.StoreError):
        Replay(tmp_path / "none")


def test_a_quote_cannot_be_put_into_the_log_of_a_handler_by_append_alone() -> None:
    desk = trading_desk(1)
    replay = Replay(desk.store).run()
    replay.book.observe("quote/-/ES", QuoteReceived(symbol="ES", last=Decimal(5_000)))
    assert replay.store.head() == 4
