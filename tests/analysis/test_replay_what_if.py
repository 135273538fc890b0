"""What if: changed histories, what follows from them, and that nothing follows from no change."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from msgspec.structs import replace

from eventstore import Batch, EventStore, InvalidEvent, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    ClockJumped,
    EnforcementEscalated,
    EnforcementRequested,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    Marked,
    OrderFilled,
    QuoteReceived,
)
from gateways.demo import day as demo_day
from projections import Policies
from projections import open as open_book
from projections.analysis import Replay
from projections.rules import shipped_rules
from tests.analysis.replaying import (
    CALENDAR,
    LOSING,
    SECOND,
    Desk,
    compared,
    policed_desk,
    random_fills,
    random_store,
    rows,
    the_limit,
    trading_desk,
    with_limit,
)
from tests.proving import rounds

if TYPE_CHECKING:
    from collections.abc import Iterator


# Nothing changed


def test_nothing_diverges_where_nothing_is_changed_in_random_histories() -> None:
    for seed in rounds("nothing changed", test=2, prove=300):
        store = random_store(seed)
        report = compared(store, without=())
        assert (report.first_divergence, len(report)) == (None, 0), seed
        assert {row["change"] for row in rows(report.lockouts)} <= {"same"}
        for frame in (report.positions, report.equity, report.headroom):
            assert all(row["same"] for row in rows(frame))


def test_nothing_diverges_with_the_same_event_in_its_place() -> None:
    for seed in rounds("the same in its place", test=4, prove=300):
        store = random_store(seed)
        chance = random.Random(seed)
        places = chance.sample(range(1, store.head() + 1), 5)
        same = {place: next(store.read(after=place - 1)) for place in places}
        assert len(compared(store, instead=same)) == 0
        # Those that need an actor have it from the record in whose place they stand.
        assert len(compared(store, instead={place: record.event for place, record in same.items()})) == 0


def test_nothing_diverges_where_nothing_is_changed_and_policies_have_run() -> None:
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


@pytest.mark.slow
def test_nothing_diverges_where_nothing_is_changed_on_the_demos_day(demo: EventStore) -> None:
    report = compared(demo, without=())
    assert (report.first_divergence, len(report)) == (None, 0)
    assert {row["change"] for row in rows(report.lockouts)} == {"same"}
    # The day was played without ticks: what they would have led to is said, and left.
    assert all("decisions not counted" in note for note in report.notes)
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


@pytest.mark.slow
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
    # Nor is it asked again.
    assert gone[:3] == ["LockoutSet", "EnforcementRequested", "EnforcementRequested"]
    assert set(gone[3:]) <= {"EnforcementRequested", "EnforcementEscalated"}
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


def test_a_lockout_that_nobody_recorded_is_not_made_up_by_another_change() -> None:
    desk = Desk()
    desk.begin(limit="400")
    fills = [desk.fill(quantity, price) for quantity, price in LOSING[:2]]
    assert isinstance(fills[1].event, OrderFilled)
    worse = replace(fills[1].event, price=Decimal(4_980))
    report = compared(desk.store, instead={fills[1].position: worse})
    assert (len(report), report.lockouts.to_arrow().num_rows) == (1, 0)
    assert report.notes[0].startswith(
        "decisions not counted: 2, which by the log would have been made in the original as"
    )


def test_a_history_that_was_imported_later_has_no_clock_that_jumped() -> None:
    desk = Desk()
    desk.begin(limit="4000")
    for quantity, price in LOSING:
        desk.clock.advance(3_600 * SECOND)
        desk.fill(quantity, price)
    imported = Desk(desk.clock.now_ns() + 9 * 86_400 * SECOND)
    for record in desk.store.read():
        imported.store.append(record.stream, record.event, actor=record.actor, occurred_at=record.occurred_at)
    fill = next(imported.store.read(types=(OrderFilled,)))
    more = Batch("mark/-/x", Marked(name="x"))
    replay = Replay(imported.store, calendars=CALENDAR, instead={fill.position: [fill, more]}).run()
    assert replay.now < imported.clock.now_ns() - 86_400 * SECOND
    assert not list(replay.store.read(types=(ClockJumped,)))
    assert len(replay.compare()) == 1


def test_what_a_person_decided_stays_whatever_changes() -> None:
    desk = policed_desk(LOSING[:2], limit="1000")
    desk.append("lockout/A/manual", LockoutSet(rule_id="manual", reason="holiday"))
    desk.append("lockout/A/manual", LockoutCleared(rule_id="manual"))
    desk.append("lockout/A/desk", LockoutSet(rule_id="desk", reason="risk"))
    report = with_limit(desk, "400")
    changes = {row["rule_id"]: row["change"] for row in rows(report.lockouts)}
    assert changes == {"manual": "same", "desk": "same", "daily-loss": "would have been"}


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
    others = compared(desk.store, without=(), policies=())
    assert {row["why"] for row in rows(others.kept) if row["type"] == "LockoutSet"} == {
        "kept: decided by a policy that is not evaluated here"
    }
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
    # The limit that was replaced, and all that it led to: the account may be asked again more than once to be flat.
    acted = len(list(desk.store.read(types=(LockoutSet, EnforcementRequested, EnforcementEscalated))))
    assert text.startswith(
        f"<ReplayComparison: {1 + acted} divergences, the first one at position 3: LimitsSet in limits/A/daily-"
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


def test_a_report_gives_exact_decimals_where_they_are_asked_for() -> None:
    replay = Replay(policed_desk(LOSING).store, without=()).run()
    assert replay.compare(exact=True).equity.to_arrow().column("balance_is").to_pylist() == [Decimal("48850.000000000")]
    assert replay.compare(exact="text").equity.to_arrow().column("balance_is").to_pylist() == ["48850"]
    with pytest.raises(InvalidEvent, match="exact is True, False or 'text'"):
        replay.compare(exact="no")


def test_what_the_records_hold_is_shown_and_not_run() -> None:
    desk = trading_desk(1)
    desk.append("mark/-/x", Marked(name="<script>alert(1)</script>"))
    report = compared(desk.store, without=[5])
    assert "<script>" not in report._repr_html_()


def test_seek_keeps_the_changes_before_and_after_a_position() -> None:
    desk = policed_desk(LOSING, limit="1000")
    head = desk.store.head()
    limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "400", "revocable": False})
    replay = Replay(desk.store, calendars=CALENDAR, instead={the_limit(desk): limit}, speed=0.001)
    replay.on(LockoutSet, lambda *_: pytest.fail("called"))
    expected = with_limit(desk, "400")
    for position in (head, the_limit(desk) - 1, head):
        replay.seek(position)
        assert (replay.position, replay.speed) == (position, 0.001)
        changes = [row["change"] for row in rows(replay.compare().lockouts)]
        assert changes == ([] if position < head else ["would not have been", "would have been"])
    assert repr(replay.compare()) == repr(expected)
