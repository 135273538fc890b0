"""What if: changed histories, what follows from them, and that nothing follows from no change."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from msgspec.structs import replace

from eventstore import Batch, EventStore, InvalidEvent, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    EnforcementRequested,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    Marked,
    OrderFilled,
    QuoteReceived,
    TradeBusted,
)
from gateways.demo import day as demo_day
from projections import Policies
from projections import open as open_book
from projections.analysis import Replay
from projections.rules import shipped_rules
from tests.analysis.replaying import (
    BEGINS,
    CALENDAR,
    SECOND,
    Desk,
    policed_desk,
    random_fills,
    random_store,
    trading_desk,
)
from tests.proving import rounds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projections.analysis import Frame, ReplayComparison

LOSING = [(1, "5000"), (-1, "4990"), (1, "4990"), (-1, "4978"), (1, "5000"), (-1, "4999")]
"""A loss of 500, of 600 and of 50 USD: 1,100 at the fourth fill."""


def compared(store: EventStore, **options: Any) -> ReplayComparison:  # noqa: ANN401 - those of Replay
    return Replay(store, calendars=CALENDAR, **options).run().compare()


def rows(frame: Frame) -> list[dict[str, Any]]:
    return frame.to_arrow().to_pylist()  # type: ignore[no-any-return] # Arrow has no types


def the_limit(desk: Desk) -> int:
    return next(desk.store.read(types=(LimitsSet,))).position


def with_limit(desk: Desk, limit: str) -> ReplayComparison:
    """Ask what another limit would have led to."""
    parameters = {"limit": limit, "revocable": False}
    return compared(desk.store, instead={the_limit(desk): LimitsSet(rule_id="daily-loss", parameters=parameters)})


# Nothing changed


def test_nothing_changed_is_no_divergence_in_random_histories() -> None:
    for seed in rounds("nothing changed", test=2, prove=300):
        store = random_store(seed)
        report = compared(store, without=())
        assert (report.first_divergence, len(report)) == (None, 0), seed
        assert {row["change"] for row in rows(report.lockouts)} <= {"same"}
        for frame in (report.positions, report.equity, report.headroom):
            assert all(row["same"] for row in rows(frame))


def test_the_same_event_in_its_place_is_no_divergence() -> None:
    for seed in rounds("the same in its place", test=4, prove=300):
        store = random_store(seed)
        chance = random.Random(seed)
        places = chance.sample(range(1, store.head() + 1), 5)
        same = {place: next(store.read(after=place - 1)) for place in places}
        assert len(compared(store, instead=same)) == 0
        # Those that need an actor have it from the record in whose place they stand.
        assert len(compared(store, instead={place: record.event for place, record in same.items()})) == 0


def test_nothing_changed_is_no_divergence_where_policies_have_run() -> None:
    for seed in rounds("nothing changed, with policies", test=3, prove=200):
        desk = policed_desk(random_fills(seed), limit="500")
        report = compared(desk.store, without=())
        assert (report.first_divergence, report.notes) == (None, ())
        assert all(row["same"] for row in rows(report.headroom))
        # What needs no quotes is decided again, although nothing is said of it.
        assert not [row for row in rows(report.kept) if row["type"] in {"LockoutSet", "SessionOpened"}]


def demo_store(ticks: int, limit: str) -> EventStore:
    """Return the demo's day up to a tick, played as the demo does, with another loss limit."""
    clock = ManualClock(demo_day.OPENS_AT - demo_day.TICK_NS)
    store = EventStore(MemoryJournal(clock=clock, log_id=bytes(16)), clock=clock)
    market = demo_day.SimulatedMarket(random.Random(demo_day.SEED))
    policies: Policies | None = None
    with open_book(store, calendars=CALENDAR) as book:
        book.quotes.stale_after_ns = 8 * demo_day.TICK_NS

        def may_open(account: str, symbol: str, at: int) -> bool:
            return not book.lockouts.active(account, at, symbol)

        for number, facts in enumerate(demo_day.ticks(may_open, market=market)):
            if number > ticks:
                break
            clock.advance(max(facts[-1].occurred_at + demo_day.EVENTS_APART_NS - clock.now_ns(), 0))
            quote = market.quote(number)
            book.observe(f"quote/-/{quote.symbol}", quote)
            book.append_many([
                Batch(
                    fact.stream,
                    replace(fact.event, parameters={**fact.event.parameters, "limit": limit})
                    if isinstance(fact.event, LimitsSet)
                    else fact.event,
                    key=fact.key,
                    occurred_at=fact.occurred_at,
                    actor=fact.actor,
                )
                for fact in facts
            ])  # fmt: skip
            if policies is None:
                policies = Policies(book, shipped_rules()).start(ticking=False)
    return store


@pytest.fixture(scope="module")
def demo() -> Iterator[EventStore]:
    """Return 60 ticks of the demo's day, with a limit that locks in them."""
    with demo_store(60, "400") as store:
        yield store


def test_nothing_changed_is_no_divergence_on_the_demos_day(demo: EventStore) -> None:
    report = compared(demo, without=())
    assert (report.first_divergence, len(report)) == (None, 0)
    assert {row["change"] for row in rows(report.lockouts)} == {"same"}
    # The day was played without ticks: what they would have led to is said, and left.
    assert all("decisions are not counted" in note for note in report.notes)
    # The quotes of the moment are the only thing that the log does not have.
    assert {row["type"] for row in rows(report.kept)} == {"QuotesKept"}
    assert "decisions kept: decided from quotes" in repr(report) or "1 decision kept" in repr(report)


def limits_of(store: EventStore, limit: str) -> dict[int, LimitsSet]:
    """Return each limit of a log, by its position, with another figure."""
    found = {}
    for record in store.read(types=(LimitsSet,)):
        assert isinstance(record.event, LimitsSet)
        found[record.position] = replace(record.event, parameters={**record.event.parameters, "limit": limit})
    return found


def test_another_limit_on_the_demos_day_locks_at_another_fill(demo: EventStore) -> None:
    limits = limits_of(demo, "250")
    report = compared(demo, instead=limits)
    changes = [row["change"] for row in rows(report.lockouts)]
    assert "would have been" in changes
    assert report.first_consequence is not None
    assert report.first_consequence.now is not None
    assert report.first_consequence.now.type == "LockoutSet"
    report = compared(demo, instead=limits_of(demo, "90000"))
    assert {row["change"] for row in rows(report.lockouts)} == {"would not have been"}
    # The evidence of a decision that was not made is not there either.
    whys = {row["why"] for row in rows(report.divergences) if not row["asked"]}
    assert whys == {"not decided again", "left out with its cause"}


# Another limit


def test_a_stricter_limit_locks_sooner() -> None:
    desk = policed_desk(LOSING, limit="1000")
    report = with_limit(desk, "400")
    assert str(report.first_divergence).endswith("(replaced, as asked)")
    first = report.first_consequence
    assert first is not None
    assert (first.was, first.now and first.now.type, first.why) == (None, "LockoutSet", "decided")
    fills = [record.position for record in desk.store.read(types=(OrderFilled,))]
    assert first.position == fills[1]
    lockouts = rows(report.lockouts)
    assert [row["change"] for row in lockouts] == ["would not have been", "would have been"]
    assert "500.00 of -400.00" in lockouts[1]["reason"]
    assert all(row["same"] for row in rows(report.positions))
    headroom = rows(report.headroom)[0]
    assert (headroom["limit_was"], headroom["limit_is"]) == (-1000, -400) or headroom["limit_is"] == 400


def test_a_looser_limit_does_not_lock_and_asks_for_nothing() -> None:
    desk = policed_desk(LOSING, limit="1000")
    assert {type(record.event) for record in desk.store.read()} >= {LockoutSet, EnforcementRequested}
    report = with_limit(desk, "5000")
    gone = [row["was"].split()[0] for row in rows(report.divergences) if row["is"] is None]
    assert gone == ["LockoutSet", "EnforcementRequested"]
    assert [row["change"] for row in rows(report.lockouts)] == ["would not have been"]
    assert report.first_divergence is not None
    assert report.first_divergence.is_asked


def test_a_limit_that_was_not_there_is_put_beside_a_record() -> None:
    desk = trading_desk(0)
    for quantity, price in LOSING:
        desk.fill(quantity, price)
    opened = next(desk.store.read(after=1))
    limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "400"})
    added = Batch("limits/A/daily-loss", limit, actor="me")
    report = compared(desk.store, instead={opened.position: [opened, added]})
    assert [row["change"] for row in rows(report.lockouts)] == ["would have been"]
    found = rows(report.divergences)
    assert [(row["is"].split()[0], row["asked"]) for row in found][:2] == [("LimitsSet", True), ("LockoutSet", False)]
    with pytest.raises(InvalidEvent, match="LimitsSet requires an actor"):
        Replay(desk.store, instead={3: Batch("limits/A/daily-loss", limit, actor=" ")})


def test_what_a_person_decided_stays_whatever_changes() -> None:
    desk = policed_desk(LOSING[:2], limit="1000")
    desk.append("lockout/A/manual", LockoutSet(rule_id="manual", reason="holiday"))
    desk.append("lockout/A/manual", LockoutCleared(rule_id="manual"))
    desk.append("lockout/A/desk", LockoutSet(rule_id="desk", reason="risk"))
    report = with_limit(desk, "400")
    changes = {row["rule_id"]: row["change"] for row in rows(report.lockouts)}
    assert changes == {"manual": "same", "desk": "same", "daily-loss": "would have been"}


# Without


def test_a_fill_that_did_not_happen() -> None:
    desk = policed_desk(LOSING, limit="1000")
    fills = list(desk.store.read(types=(OrderFilled,)))
    by_position = compared(desk.store, without=[fills[3].position])
    assert [row["change"] for row in rows(by_position.lockouts)] == ["would not have been"]
    (position,) = rows(by_position.positions)
    assert (position["quantity_was"], position["quantity_is"]) == (0, 1)
    assert position["realized_was"] != position["realized_is"]
    same = [fills[3], fills[3].id, fills[3].uuid, fills[3].id.hex(), str(fills[3].uuid)]
    for place in same:
        assert repr(compared(desk.store, without=place)) == repr(by_position)
    by_predicate = compared(desk.store, without=lambda record: record.id == fills[3].id)
    assert rows(by_predicate.divergences) == rows(by_position.divergences)


def test_streams_and_prefixes_are_left_out_whole() -> None:
    desk = trading_desk(4)
    report = compared(desk.store, without="order/A/O-2")
    assert [row["position"] for row in rows(report.divergences)] == [5, 6]
    replayed = Replay(desk.store, without=["order/A/O-2", "order/A/O-3"]).run()
    assert [record.version for record in replayed.store.read(stream="order/A/O-4")] == [1, 2]
    assert replayed.store.head() == 6
    assert compared(desk.store, without="order/").positions.to_arrow().num_rows == 1
    nothing = Replay(desk.store, without=lambda _record: True).run()
    assert (nothing.store.head(), nothing.position) == (0, 10)


def test_versions_and_positions_close_up_where_something_is_left_out() -> None:
    for seed in rounds("left out", test=4, prove=300):
        store = random_store(seed)
        chance = random.Random(seed)
        places = set(chance.sample(range(1, store.head() + 1), 20))
        replay = Replay(store, without=places, policies=()).run()
        rest = [record for record in store.read() if record.position not in places]
        found = list(replay.store.read())
        assert [record.id for record in found] == [record.id for record in rest]
        assert [record.position for record in found] == list(range(1, len(rest) + 1))
        versions: dict[str, int] = {}
        for record in found:
            versions[record.stream] = versions.get(record.stream, 0) + 1
            assert record.version == versions[record.stream]
        assert replay.store.verify().ok
        # The same as a log in which they never were.
        clock = ManualClock(BEGINS)
        plain = EventStore(MemoryJournal(clock=clock, log_id=bytes(16)), clock=clock)
        for record in rest:
            plain.append(
                record.stream, record.event, occurred_at=record.occurred_at, actor=record.actor,
                causation_id=record.causation_id,
            )  # fmt: skip
        expected = open_book(plain, snapshots=False)
        for account in ("A", "B", "C"):
            mine, theirs = replay.book.positions.of(account), expected.positions.of(account)
            assert [(each.symbol, each.side, each.quantity) for each in mine] == [
                (each.symbol, each.side, each.quantity) for each in theirs
            ]


def test_a_replacement_is_the_record_to_all_that_refers_to_it() -> None:
    desk = trading_desk(1)
    fill = next(desk.store.read(types=(OrderFilled,)))
    desk.append("order/A/O-1", TradeBusted(trade_id="T-1", reason="error"), causation_id=fill.id)
    more = replace(fill.event, quantity=Decimal(3))
    replay = Replay(desk.store, instead={fill.position: more})
    seen: list[Decimal] = []
    replay.on(OrderFilled, lambda event, _record, _book: seen.append(event.quantity))
    replay.run()
    placed = replay.store.find(fill.id)
    assert placed is not None
    assert (placed.event, placed.occurred_at, placed.actor) == (more, fill.occurred_at, fill.actor)
    assert seen == [3]
    assert replay.book.positions.get("A", "ES").quantity == 0
    assert str(replay.compare().first_divergence).startswith(f"at position {fill.position}: OrderFilled")


def test_a_changed_part_of_a_range_leaves_what_is_before_as_it_was() -> None:
    desk = policed_desk(LOSING, limit="1000")
    fills = list(desk.store.read(types=(OrderFilled,)))
    replay = Replay(desk.store, fills[2].occurred_at, calendars=CALENDAR, without=[fills[3].position]).run()
    report = replay.compare()
    assert [row["change"] for row in rows(report.lockouts)] == ["would not have been"]
    with pytest.raises(InvalidEvent, match="what is played are positions"):
        Replay(desk.store, fills[2].occurred_at, without=[fills[0].position])


# Quotes


def quoted_desk(*, prices: list[tuple[int, str]], limit: str = "1000") -> Desk:
    """Return a desk whose limit is on equity: a long contract, then quotes, seconds apart, that were observed."""
    desk = Desk()
    book = open_book(desk.store, calendars=CALENDAR)
    with book, Policies(book, shipped_rules()) as policies:
        desk.begin()
        parameters = {"limit": limit, "basis": "equity"}
        desk.append("limits/A/daily-loss", LimitsSet(rule_id="daily-loss", parameters=parameters), key="limit")
        policies.tick()
        desk.fill(1, "5000")
        book.refresh()
        for seconds, price in prices:
            desk.clock.advance(seconds * SECOND)
            book.observe("quote/-/ES", QuoteReceived(symbol="ES", last=Decimal(price)))
            policies.tick()
    return desk


FALLING = [(1, "4995"), (1, "4990"), (1, "4979"), (2, "4979"), (1, "4978")]


def test_what_was_decided_from_quotes_is_kept_and_marked() -> None:
    desk = quoted_desk(prices=FALLING)
    assert [record.type for record in desk.store.read(types=(LockoutSet,))] == ["LockoutSet"]
    report = with_limit(desk, "9000")
    kept = [row for row in rows(report.kept) if row["type"] == "LockoutSet"]
    assert [row["why"] for row in kept] == ["kept: decided from quotes or the clock, which the log does not have"]
    assert [row["change"] for row in rows(report.lockouts)] == ["same"]
    assert "kept: decided from quotes" in report._repr_html_()


def prices_of(desk: Desk, prices: list[tuple[int, str]]) -> pa.Table:
    fill = next(desk.store.read(types=(OrderFilled,)))
    at, instants = fill.occurred_at, []
    for seconds, _ in prices:
        at += seconds * SECOND
        instants.append(at)
    return pa.table(
        {
            "at": pa.array(instants, pa.timestamp("ns", "UTC")),
            "symbol": ["ES"] * len(prices),
            "price": [float(price) for _, price in prices],
        }
    )


def test_with_prices_it_is_decided_again() -> None:
    desk = quoted_desk(prices=FALLING)
    prices = prices_of(desk, FALLING)
    unchanged = compared(desk.store, without=(), prices=prices)
    assert unchanged.first_divergence is None
    equity = {"limit": "9000", "basis": "equity"}
    loose = LimitsSet(rule_id="daily-loss", parameters=equity)
    report = compared(desk.store, instead={the_limit(desk): loose}, prices=prices)
    assert [row["change"] for row in rows(report.lockouts)] == ["would not have been"]


# The report


def test_a_report_reads_well() -> None:
    desk = policed_desk(LOSING, limit="1000")
    report = with_limit(desk, "5000")
    text = repr(report)
    assert text.startswith(
        "<ReplayComparison: 3 divergences, the first one at position 3: LimitsSet in limits/A/daily-"
    )
    assert "lockouts that would not have been: daily-loss of A" in text
    html = report._repr_html_()
    assert html.count("<table") == 6 + bool(len(report.kept))
    assert report.positions.columns == [
        "account", "symbol", "side", "currency", "same", "quantity_was", "quantity_is", "average_price_was",
        "average_price_is", "average_cost_was", "average_cost_is", "realized_was", "realized_is", "fees_was", "fees_is",
    ]  # fmt: skip
    assert report.lockouts.columns == [
        "change", "account", "rule_id", "scope", "allows", "set_at", "ended_at", "until", "revocable", "reason",
        "cause", "set_position", "end_position",
    ]  # fmt: skip


def test_what_the_records_hold_is_shown_and_not_run() -> None:
    desk = trading_desk(1)
    desk.append("mark/-/x", Marked(name="<script>alert(1)</script>"))
    report = compared(desk.store, without=[5])
    assert "<script>" not in report._repr_html_()


def test_seek_plays_the_changes_of_what_follows() -> None:
    desk = trading_desk(4)
    replay = Replay(desk.store, without=[10])
    replay.seek(8).run()
    assert len(replay.compare()) == 1
    assert replay.position == 10
