"""A feed that dies with a position open: quotes are asked for, and after a while exposure is cut until it is back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal

import pytest

import projections
from eventstore.trading import (
    AccountConfigured,
    Allows,
    Baseline,
    EnforcementAction,
    LockoutCleared,
    LockoutSet,
    QuoteReceived,
    QuotesWanted,
    SessionClosed,
    SessionOpened,
    Side,
    Unpriced,
    Valuation,
)
from projections.risk.limits.unpriced import UnpricedPositions
from projections.risk.policies import Policies
from projections.risk.policies.lease import FILE
from tests.places import Place
from tests.projections.checked_orders import PASS, REJECT, check_order
from tests.projections.rules_day import ACCOUNT, CALENDAR, HOUR, NOON, RESET, SECOND, Day, the_lockout, trading_day

pytestmark = pytest.mark.in_each_place(slow=True)


@pytest.fixture
def day(place: Place) -> Iterator[Day]:
    day = trading_day(place, UnpricedPositions())
    day.fill(Side.BUY, "5000")
    yield day
    day.close()


def wait(day: Day, seconds: int) -> None:
    """Let time pass as a running process sees it: a tick each second."""
    for _ in range(seconds):
        day.pass_seconds(1)
        day.policies.tick()


def configure(day: Day, unpriced: Unpriced | None = None, after: int | None = None) -> None:
    event = AccountConfigured(unpriced=unpriced, unpriced_after=after, baseline=Baseline.MAXIMUM)
    day.book.append(f"account/{ACCOUNT}/-", event, actor="risk@desk")


def wanted(day: Day) -> list[tuple[int, QuotesWanted]]:
    return [
        (record.recorded_at, record.event)
        for record in day.store.read(types=(QuotesWanted,))
        if isinstance(record.event, QuotesWanted)
    ]


def cleared(day: Day) -> list[LockoutCleared]:
    found = (record.event for record in day.store.read(types=(LockoutCleared,)))
    return [event for event in found if isinstance(event, LockoutCleared)]


# Ten seconds


def test_a_price_of_ten_seconds_is_known(day: Day) -> None:
    wait(day, 10)
    assert check_order(day).verdict is PASS
    assert not wanted(day)


def test_after_ten_seconds_new_exposure_is_rejected_and_quotes_are_asked_for(day: Day) -> None:
    wait(day, 11)
    assert check_order(day).verdict is REJECT
    assert check_order(day, Side.SELL).verdict is PASS
    [(_, event)] = wanted(day)
    assert event == QuotesWanted(symbols=("ES",), reason="the price of ES is 11 s old and 10 s are allowed")
    assert not day.lockouts()


def test_without_a_position_nothing_is_asked_for(day: Day) -> None:
    day.fill(Side.SELL, "5000")
    wait(day, 60)
    assert not wanted(day)
    assert not day.lockouts()


def test_a_price_of_another_kind_than_the_chosen_one_is_asked_for(day: Day) -> None:
    day.book.append(f"account/{ACCOUNT}/-", AccountConfigured(valuation=Valuation.MARK), actor="risk@desk")
    wait(day, 1)
    assert [event.reason for _, event in wanted(day)] == [
        "ES has no mark price: the last price stands in for valuation mark"
    ]


def test_quotes_are_asked_for_at_most_once_a_minute(day: Day) -> None:
    configure(day, after=3_600 * SECOND)
    wait(day, 200)
    times = [at for at, _ in wanted(day)]
    assert len(times) == 4
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= 60 * SECOND


def test_a_feed_that_comes_and_goes_is_not_asked_for_more_often(day: Day) -> None:
    for _ in range(10):
        wait(day, 14)
        day.quote("5000")
    assert len(wanted(day)) == 2
    assert not day.lockouts()


def test_a_restart_does_not_ask_again_in_the_same_minute(day: Day) -> None:
    wait(day, 11)
    day.pass_seconds(5)
    day.policies.stop()
    day.restart([UnpricedPositions()])
    assert len(wanted(day)) == 1
    wait(day, 60)
    assert len(wanted(day)) == 2


# Thirty seconds


def test_thirty_seconds_later_the_account_may_only_reduce_until_the_reset(day: Day) -> None:
    wait(day, 40)
    assert not day.lockouts()
    wait(day, 1)
    lockout = the_lockout(day)
    assert (lockout.rule_id, lockout.allows, lockout.until) == ("unpriced", Allows.REDUCE_ONLY, RESET)
    assert lockout.revocable
    assert lockout.reason == "no usable price of ES for 30 s; locked until 2026-11-20 17:00 CST"
    assert lockout.details == {"ES": "STALE: the price of ES is 41 s old and 10 s are allowed"}
    wait(day, 60)
    assert len(day.lockouts()) == 1
    assert not day.book.enforcement.pending(ACCOUNT)


@pytest.mark.parametrize(
    ("choice", "allows", "asked"),
    [
        (Unpriced.REDUCE_ONLY, Allows.REDUCE_ONLY, []),
        (Unpriced.NOTHING, Allows.NOTHING, []),
        (Unpriced.FLATTEN, Allows.REDUCE_ONLY, [EnforcementAction.CANCEL_ORDERS, EnforcementAction.FLATTEN]),
    ],
)
def test_the_account_s_choice_follows(
    day: Day, choice: Unpriced, allows: Allows, asked: list[EnforcementAction]
) -> None:
    configure(day, choice)
    wait(day, 60)
    assert the_lockout(day).allows is allows
    assert [request.action for request in day.book.enforcement.pending(ACCOUNT)] == asked


def test_how_long_is_the_account_s_choice_too(day: Day) -> None:
    configure(day, after=5 * SECOND)
    wait(day, 15)
    assert not day.lockouts()
    wait(day, 1)
    assert the_lockout(day).reason.startswith("no usable price of ES for 5 s; ")


def test_a_clock_that_was_set_back_does_not_make_it_wait_longer(day: Day) -> None:
    wait(day, 11)
    day.clock.set(day.clock.now_ns() - HOUR)
    wait(day, 31)
    assert len(day.lockouts()) == 1


def test_a_price_that_is_missing_the_next_day_locks_again(day: Day) -> None:
    day.clock.set(RESET - 60 * SECOND)
    wait(day, 59)
    assert the_lockout(day).until == RESET
    day.end()
    assert not day.is_locked()
    session = day.book.sessions.current(ACCOUNT)
    assert session is not None
    assert session.opens_at is not None
    day.clock.set(session.opens_at)
    wait(day, 31)
    assert [record.event.until for record in day.lockouts() if isinstance(record.event, LockoutSet)] == [
        RESET,
        session.resets_at,
    ]
    assert day.is_locked()


# Trading hours


def test_outside_trading_hours_nothing_is_locked(day: Day) -> None:
    day.clock.set(RESET)
    day.end()
    session = day.book.sessions.current(ACCOUNT)
    assert session is not None
    assert session.opens_at is not None
    for _ in range(20):
        day.pass_seconds(3_600)
        day.policies.tick()
    assert not day.lockouts()
    assert check_order(day).verdict is REJECT
    day.clock.set(session.opens_at - SECOND)
    wait(day, 30)
    assert not day.lockouts()
    wait(day, 2)
    assert the_lockout(day).until == session.resets_at


def test_after_the_session_s_close_nothing_is_locked(day: Day) -> None:
    day.book.append("session/A/2026-11-20", SessionClosed(trading_day=CALENDAR.day_at(NOON).trading_day))
    wait(day, 120)
    assert not day.lockouts()


def test_without_sessions_it_is_always_trading_hours(place: Place) -> None:
    day = Day(place, [UnpricedPositions()])
    day.book.sessions.calendars.clear()
    day.open_account()
    day.define("ES")
    day.fill(Side.BUY, "5000")
    wait(day, 60)
    # The trading day is the date in UTC.
    assert the_lockout(day).until == NOON - NOON % (24 * HOUR) + 24 * HOUR
    day.close()


def test_a_day_without_a_known_end_is_not_locked_without_end(place: Place) -> None:
    day = Day(place, [UnpricedPositions()])
    day.book.sessions.calendars.clear()
    day.open_account()
    day.define("ES")
    opened = SessionOpened(trading_day=CALENDAR.day_at(NOON).trading_day, began_at=NOON - HOUR)
    day.book.append("session/A/2026-11-20", opened)
    day.fill(Side.BUY, "5000")
    wait(day, 60)
    assert the_lockout(day).until == NOON + 41 * SECOND + 24 * HOUR
    day.close()


# The feed is back


def test_it_is_released_by_the_quote_that_makes_all_prices_known(day: Day) -> None:
    day.define("NQ", "20")
    day.fill(Side.BUY, "100", "NQ")
    wait(day, 60)
    assert day.is_locked()
    day.quote("5000")
    assert day.is_locked()
    day.quote("100", "NQ")
    assert not day.is_locked()
    [event] = cleared(day)
    assert (event.by, event.reason) == ("policy:unpriced", "all prices are known again")
    assert check_order(day).verdict is PASS
    wait(day, 5)
    assert len(cleared(day)) == 1


def test_it_is_released_once_the_position_is_closed(day: Day) -> None:
    wait(day, 60)
    day.fill(Side.SELL, "5000")
    day.policies.tick()
    assert not day.is_locked()


def test_it_counts_again_and_locks_again(day: Day) -> None:
    wait(day, 60)
    day.quote("5000")
    wait(day, 40)
    assert len(day.lockouts()) == 1
    wait(day, 1)
    assert len(day.lockouts()) == 2
    assert day.is_locked()


def test_a_lockout_of_another_rule_stays(day: Day) -> None:
    wait(day, 60)
    day.book.append("lockout/A/manual", LockoutSet(rule_id="manual", reason="enough"))
    day.quote("5000")
    assert [lockout.rule_id for lockout in day.book.lockouts.active(ACCOUNT, day.clock.now_ns())] == ["manual"]


# Restarts and processes


def test_after_a_restart_a_position_is_unknown_at_once_and_the_count_starts_again(day: Day) -> None:
    day.policies.stop()
    day.restart([UnpricedPositions()])
    assert [event.reason for _, event in wanted(day)] == ["ES was not quoted since the book was opened"]
    assert check_order(day).verdict is REJECT
    wait(day, 29)
    assert not day.lockouts()
    wait(day, 1)
    assert the_lockout(day).details == {"ES": "UNKNOWN: ES was not quoted since the book was opened"}


def test_a_lockout_from_before_the_restart_is_released_by_a_quote(day: Day) -> None:
    wait(day, 60)
    day.policies.stop()
    day.restart([UnpricedPositions()])
    assert day.is_locked()
    day.quote("5000")
    assert not day.is_locked()


def test_a_process_without_a_feed_that_lacks_the_lease_changes_nothing(day: Day) -> None:
    with projections.open(day.store, snapshots=False, calendars=CALENDAR) as book:
        other = Policies(book, [UnpricedPositions()]).start(ticking=False)
        for _ in range(120):
            day.pass_seconds(1)
            day.quote("5000")
            day.policies.tick()
            other.tick()
        assert not wanted(day)
        assert not day.lockouts()
        # Once the other has ended, this one decides.
        day.policies.stop()
        for _ in range(60):
            day.pass_seconds(1)
            other.tick()
        assert len(day.lockouts()) == 1
        other.stop()
        day.policies.start(ticking=False)


def test_a_process_that_lacks_the_lease_does_not_release_by_its_own_quotes(day: Day) -> None:
    with projections.open(day.store, snapshots=False, calendars=CALENDAR) as book:
        other = Policies(book, [UnpricedPositions()]).start(ticking=False)
        wait(day, 60)
        book.observe("quote/-/ES", QuoteReceived(symbol="ES", last=Decimal(5_000)))
        assert day.is_locked()
        other.stop()


@pytest.mark.in_directory
def test_without_a_lock_file_the_policy_stops_and_checks_reject_until_it_can_be_locked(day: Day) -> None:
    directory = day.store.directory
    assert directory is not None
    day.policies.stop()
    (directory / FILE).unlink()
    (directory / FILE).mkdir()
    day.restart([UnpricedPositions()])
    day.quote("5000")
    assert "1 stopped" in check_order(day).reason
    assert "policies.lock cannot be locked" in str(day.policies.stopped["unpriced", ACCOUNT])
    (directory / FILE).rmdir()
    day.policies.tick()
    assert not day.policies.stopped
    assert check_order(day).verdict is PASS
