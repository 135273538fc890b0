"""Past states: at a position, an instant, a mark; differences between two; a log step by step."""

import gc
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import EventStore, InvalidEvent, ManualClock, ReadOnly
from eventstore.clock import to_ns
from eventstore.trading import (
    AccountUpdated,
    ContractDefined,
    FeeCharged,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    Marked,
    OrderStatus,
    PositionSide,
    QuoteReceived,
    TradeBusted,
    TradeCorrected,
)
from projections import Calendar, Change, auditing
from projections.tiers import TierSettings
from tests.places import Place
from tests.projections.examples import RainByAccount, bought, filled, rain, snapshots_file, submitted

pytestmark = pytest.mark.in_each_place(slow=True)

START = to_ns(datetime(2025, 6, 2, 14, tzinfo=UTC))
MINUTE = 60_000_000_000
COINS = Calendar(zone="UTC", open=time(0), reset=time(0))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def store(place: Place, clock: ManualClock) -> Iterator[EventStore]:
    """Return four trades of one each, a minute apart, with a mark after the second."""
    with eventstore.open(place, clock=clock) as opened:
        for number in (1, 2, 3, 4):
            opened.append(f"trade/A/T{number}", bought(f"T{number}"))
            if number == 2:
                opened.append("mark/-/noon", Marked(name="noon"))
            clock.advance(MINUTE)
        yield opened


def held(book: projections.Book, account: str = "A") -> int:
    return int(book.positions.get(account, "ESZ5").quantity)


def test_a_dropped_book_of_the_past_leaves_nothing_to_collect(store: EventStore) -> None:
    gc.disable()
    try:
        past = projections.as_of(store)
        positions, watched, fold = past.positions, weakref.ref(past), weakref.ref(past._fold)
        del past
        # What is asked of the queries alone still has the states.
        assert watched() is None
        assert positions.get("A", "ESZ5").quantity == 4
        del positions
        assert fold() is None, "freed at once, not by the collector"
    finally:
        gc.enable()


def test_a_closed_book_leaves_nothing_to_collect_and_answers_as_before(store: EventStore) -> None:
    gc.disable()
    try:
        with projections.open(store, calendars=COINS, tiers=TierSettings(compressed_max=10)) as live:
            live.observe("quote/-/ESZ5", QuoteReceived(symbol="ESZ5", last=Decimal(5_000)))
            live.quotes.stale_after_ns = MINUTE
            before = live.trades.of("A"), live.quotes.get("ESZ5", START + 5 * MINUTE), live.sessions.calendar("A")
        assert (live.trades.of("A"), live.quotes.get("ESZ5", START + 5 * MINUTE), live.sessions.calendar("A")) == before
        assert live.quotes.stale_after_ns == MINUTE
        live.close()
        watched, fold = weakref.ref(live), weakref.ref(live._fold)
        del live
        assert watched() is None
        assert fold() is None, "freed at once, not by the collector"
    finally:
        gc.enable()


def _books() -> set[int]:
    return {id(each) for each in gc.get_objects() if isinstance(each, projections.Book)}


def test_a_timeline_leaves_no_book_to_collect(store: EventStore) -> None:
    gc.collect()
    gc.disable()
    try:
        before = _books()
        assert auditing.timeline(store).entries
        assert _books() == before
    finally:
        gc.enable()


def test_closing_a_book_leaves_a_given_view_to_the_other_book_that_has_it(store: EventStore) -> None:
    attached: list[object] = []

    class Attached(RainByAccount):
        @override
        def attach(self, book: object) -> None:
            attached.append(book)

    view = Attached()
    with projections.open(store, views=[view], snapshots=False) as second:
        projections.open(store, views=[view], snapshots=False).close()
        assert attached[-1] is not None
        assert second.position == store.head()


def test_headroom_is_asked_of_the_past_too(store: EventStore) -> None:
    limit = LimitsSet(rule_id="maximum-position", parameters={"limit": "5"})
    store.append("limits/A/maximum-position", limit, actor="desk")
    past = projections.as_of(store)
    assert [each.left for each in past.limits.headroom("A")] == [1]
    # Of the queries alone, whose book is gone.
    assert [each.left for each in projections.as_of(store).limits.headroom("A")] == [1]


def test_as_of_a_position(store: EventStore) -> None:
    assert [held(projections.as_of(store, position=place)) for place in range(6)] == [0, 1, 2, 2, 3, 4]
    assert held(projections.as_of(store)) == 4
    with pytest.raises(InvalidEvent, match="ends at 5"):
        projections.as_of(store, position=6)
    with pytest.raises(InvalidEvent):
        projections.as_of(store, position=-1)


def test_as_of_an_instant_takes_what_was_recorded_at_that_very_instant(store: EventStore) -> None:
    assert held(projections.as_of(store, recorded_at=START - 1)) == 0
    assert held(projections.as_of(store, recorded_at=START)) == 1
    assert held(projections.as_of(store, recorded_at=START + MINUTE - 1)) == 1
    assert held(projections.as_of(store, recorded_at=datetime(2025, 6, 2, 14, 1, tzinfo=UTC))) == 2
    assert held(projections.as_of(store, recorded_at=START + 100 * MINUTE)) == 4


def test_as_of_a_mark_is_what_was_known_when_it_was_set(store: EventStore) -> None:
    assert held(projections.as_of(store, mark="noon")) == 2
    store.append("mark/-/noon", Marked(name="noon"))
    assert held(projections.as_of(store, mark="noon")) == 4
    with pytest.raises(InvalidEvent, match="unknown mark 'night': the log has noon"):
        projections.as_of(store, mark="night")


def test_two_instants_of_the_log_at_once_are_refused(store: EventStore) -> None:
    with pytest.raises(InvalidEvent, match="one of position, recorded_at and mark"):
        projections.as_of(store, position=1, mark="noon")


def test_as_of_an_instant_in_the_world_takes_what_had_happened_by_then(store: EventStore) -> None:
    """A trade that was recorded late counts at its own time once it is known."""
    late = store.append("trade/A/T5", bought("T5", 10), occurred_at=START + MINUTE)[0]
    assert held(projections.as_of(store, occurred_at=START)) == 1
    assert held(projections.as_of(store, occurred_at=START + MINUTE - 1)) == 1
    assert held(projections.as_of(store, occurred_at=START + MINUTE)) == 12
    known_before = projections.as_of(store, occurred_at=START + MINUTE, recorded_at=late.recorded_at - 1)
    assert held(known_before) == 2
    assert held(projections.as_of(store, occurred_at=START + MINUTE, recorded_at=late.recorded_at)) == 12
    assert held(projections.as_of(store, occurred_at=START + 9 * MINUTE, position=4)) == 3
    assert [trade.trade_id for trade in known_before.trades.of("A")] == ["T1", "T2"]


def test_a_cut_does_not_serve_a_question_about_the_world(store: EventStore) -> None:
    book = projections.open(store)
    book.snapshot()
    assert held(projections.as_of(store, occurred_at=START)) == 1


@pytest.mark.in_directory
def test_as_of_starts_from_the_newest_cut_before_it(store: EventStore, tmp_path: Path) -> None:
    projections.open(store).snapshot()
    store.append("trade/A/T5", bought("T5"))
    assert snapshots_file(tmp_path / "data").exists()
    assert [held(projections.as_of(store, position=place)) for place in (4, 5, 6)] == [3, 4, 5]


def test_one_account_s_past_is_the_account_in_everybody_s(store: EventStore) -> None:
    store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50)))
    store.append("trade/B/T1", bought("T1", 7))
    projections.open(store).snapshot()
    store.append("trade/A/T5", bought("T5", 7))
    for place in (4, 7, 8):
        one, all_of_them = (projections.as_of(store, position=place, account=name) for name in ("A", None))
        assert one.positions.of("A") == all_of_them.positions.of("A")
        assert one.positions.of("B") == ()
        assert one.position == all_of_them.position == place


def test_a_past_book_neither_appends_nor_moves_on(store: EventStore) -> None:
    past = projections.as_of(store, position=2)
    with pytest.raises(ReadOnly):
        past.append("trade/A/T9", bought("T9"))
    with pytest.raises(ReadOnly):
        past.append_many([])
    with pytest.raises(ReadOnly):
        past.observe("trade/A/T9", bought("T9"))
    assert past.refresh() == 0
    assert not past.snapshot()
    assert (past.position, held(past), store.head()) == (2, 2, 5)


def test_a_past_book_reads_from_the_log_only_what_it_has_folded(store: EventStore) -> None:
    store.append("order/A/O1", submitted(5))
    store.append("order/A/O1", filled("F1", 5))
    store.append("lockout/A/loss", LockoutSet(rule_id="loss"))
    past = projections.as_of(store, position=6)
    assert [trade.trade_id for trade in past.trades.of("A")] == ["T1", "T2", "T3", "T4"]
    assert [order.status for _, order in past.orders.history("A", "O1")] == [OrderStatus.PENDING_NEW]
    assert past.lockouts.history("A") == ()


def test_a_view_of_ones_own_has_a_past(store: EventStore) -> None:
    store.append("rain/A/x", [rain(1), rain(2)])
    assert projections.as_of(store, position=6, views=[RainByAccount()]).state("rain", "A").total == 1


def named(changes: tuple[Change, ...]) -> dict[tuple[str, str, str], list[int]]:
    return {(each.view, each.account, each.key): [record.position for record in each.records] for each in changes}


def test_a_difference_names_what_changed_and_the_records_that_changed_it(store: EventStore, clock: ManualClock) -> None:
    store.append("order/A/O%2F1", submitted(5))
    clock.advance(MINUTE)
    first = clock.now_ns()
    clock.advance(MINUTE)
    store.append("order/A/O%2F1", filled("F1", 2))
    store.append("order/B/O2", submitted(1))
    store.append("lockout/B/loss", LockoutSet(rule_id="loss"))
    second = clock.now_ns() + MINUTE
    found = projections.diff(store, first, second)
    assert named(found) == {
        ("orders", "A", "O/1"): [7],
        ("positions", "A", "ESZ5/NET"): [7],
        ("orders", "B", "O2"): [8],
        ("lockouts", "B", "loss"): [9],
    }
    by_view = {(each.view, each.account): each for each in found}
    change = by_view["orders", "A"]
    assert (change.before.cumulative, change.after.cumulative) == (0, 2)
    assert (by_view["positions", "A"].before.quantity, by_view["positions", "A"].after.quantity) == (4, 6)
    assert by_view["orders", "B"].before is None
    assert [lock.rule_id for lock in by_view["lockouts", "B"].after] == ["loss"]
    assert projections.diff(store, second, first) == found
    assert named(projections.diff(store, first, second, account="A")).keys() == {
        ("orders", "A", "O/1"),
        ("positions", "A", "ESZ5/NET"),
    }
    assert projections.diff(store, second, second + 1) == ()


def test_what_did_not_change_in_the_end_is_not_a_difference(store: EventStore, clock: ManualClock) -> None:
    first = clock.now_ns()
    clock.advance(MINUTE)
    store.append("mark/-/x", Marked(name="x"))
    # Nothing was locked, so nothing is cleared by this.
    store.append("lockout/A/loss", LockoutCleared())
    assert projections.diff(store, first, clock.now_ns() + MINUTE) == ()


@pytest.mark.parametrize(
    "event",
    [
        TradeBusted(trade_id="T2"),
        TradeCorrected(trade_id="T2", quantity=Decimal(3), price=Decimal(51)),
        FeeCharged(trade_id="T2", amount=Decimal(1)),
    ],
)
def test_what_becomes_of_a_trade_changes_the_position_though_it_names_no_symbol(
    store: EventStore, clock: ManualClock, event: eventstore.Event
) -> None:
    first = clock.now_ns()
    clock.advance(MINUTE)
    store.append("trade/A/T2", event)
    assert named(projections.diff(store, first, clock.now_ns())) == {("positions", "A", "ESZ5/NET"): [6]}


def test_a_lockout_s_difference_is_found_by_its_rule(store: EventStore, clock: ManualClock) -> None:
    first = clock.now_ns()
    clock.advance(MINUTE)
    store.append("lockout/A/daily%2Floss", LockoutSet(rule_id="daily/loss"))
    assert named(projections.diff(store, first, clock.now_ns())) == {("lockouts", "A", "daily/loss"): [6]}


def test_a_broker_s_lockout_is_a_difference_too(store: EventStore, clock: ManualClock) -> None:
    first = clock.now_ns()
    clock.advance(MINUTE)
    store.append("account/A/-", AccountUpdated(can_trade=False))
    store.append("account/A/-", AccountUpdated(balance=Decimal(5)))
    assert named(projections.diff(store, first, clock.now_ns())) == {("lockouts", "A", "broker"): [6]}


def test_steps_show_the_book_after_each_record(store: EventStore) -> None:
    assert [(record.position, held(book)) for record, book in projections.steps(store)] == [
        (1, 1), (2, 2), (3, 2), (4, 3), (5, 4),
    ]  # fmt: skip
    store.append("trade/B/T1", bought("T1"))
    assert [record.position for record, _ in projections.steps(store, account="B")] == [3, 6]
    assert [record.position for record, _ in projections.steps(store, until=2)] == [1, 2]
    for record, book in projections.steps(store):
        assert book.position == record.position
        with pytest.raises(ReadOnly):
            book.append("trade/A/T9", bought("T9"))


def test_steps_may_begin_with_the_book_as_of_a_position(store: EventStore) -> None:
    whole = [(record.position, held(book)) for record, book in projections.steps(store)]
    for after in range(store.head() + 1):
        stepped = [(record.position, held(book)) for record, book in projections.steps(store, after=after)]
        assert stepped == whole[after:]
    store.append("trade/B/T1", bought("T1"))
    assert [record.position for record, _ in projections.steps(store, account="B", after=3)] == [6]


def test_steps_fold_views_of_one_s_own(store: EventStore) -> None:
    for millimetres in (3, 4):
        store.append("weather/A/hill", rain(millimetres))
    for after in (0, 6):
        *_, (_, book) = projections.steps(store, after=after, views=[RainByAccount()])
        assert book.state("rain", "A").total == 7


def test_a_hedged_position_is_another_thing_than_the_net_one(store: EventStore, clock: ManualClock) -> None:
    first = clock.now_ns()
    clock.advance(MINUTE)
    store.append("trade/A/L1", msgspec.structs.replace(bought("L1"), position_side=PositionSide.LONG))
    (change,) = projections.diff(store, first, clock.now_ns())
    assert (change.key, change.after.quantity, change.after.side) == ("ESZ5/LONG", 1, PositionSide.LONG)


def test_a_past_of_a_short_log_needs_its_store_no_longer(place: Place) -> None:
    with eventstore.open(place) as store:
        store.append("order/A/O-1", filled("T", 2))
        past = projections.as_of(store)
    assert past.positions.get("A", "ESZ5").quantity == 2
