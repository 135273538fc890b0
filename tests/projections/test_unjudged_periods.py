"""When a limit that is not judged is recorded, and its end: flapping, restarts, processes, clocks, and the cost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import projections
from eventstore.trading import (
    LimitJudged,
    LimitsSet,
    LimitUnjudged,
    QuotesKept,
    Side,
)
from projections.risk.limits.evidence import QuotesEvidence
from projections.risk.limits.symbol_block import SymbolBlock
from projections.risk.limits.unjudged import UnjudgedLimits
from projections.risk.policies import Policies
from projections.risk.proposals import MissingInput
from projections.view import BookReader
from projections.views.limits import headroom
from tests.places import Place
from tests.projections.rules_day import ACCOUNT, CALENDAR, HOUR, NOON, SECOND, Day, trading_day
from tests.projections.unjudging import (
    BOTH,
    define,
    disable,
    missing_contract,
    recorded,
    since,
    stale_price,
    types,
    unknown_kind,
    unreadable,
    wait,
)

pytestmark = pytest.mark.in_each_place(slow=True)


@pytest.fixture
def day(place: Place) -> Iterator[Day]:
    day = trading_day(place, UnjudgedLimits())
    yield day
    day.close()


# When


def test_it_must_last_five_seconds_without_interruption(day: Day) -> None:
    unknown_kind(day)
    wait(day, 5)
    assert not recorded(day)
    wait(day, 1)
    assert types(day) == ["LimitUnjudged"]


def test_the_end_must_last_five_seconds_too(day: Day) -> None:
    missing_contract(day)
    wait(day, 10)
    define(day)
    ended_at = day.clock.now_ns() + SECOND
    wait(day, 5)
    assert types(day) == ["LimitUnjudged"]
    wait(day, 1)
    assert types(day) == BOTH
    assert since(day)[1] == ended_at


def test_a_reason_that_changes_is_not_recorded_again(day: Day) -> None:
    stale_price(day)
    wait(day, 60)
    [shown] = day.book.limits.unjudged(ACCOUNT)
    [(_, _, why)] = recorded(day)
    assert shown.why != why
    assert since(day) == [shown.since]


def test_a_limit_that_only_warns_is_recorded_too(day: Day) -> None:
    day.old_limit("daily-loss", limit="a lot", severity="WARNING")
    wait(day, 10)
    assert types(day) == ["LimitUnjudged"]


def test_a_limit_that_is_replaced_by_another_unreadable_one_begins_again(day: Day) -> None:
    unreadable(day)
    wait(day, 10)
    day.old_limit("daily-loss", limit="much")
    assert types(day) == BOTH
    assert day.book.limits.unjudged(ACCOUNT)[0].since is None
    wait(day, 10)
    assert types(day) == [*BOTH, "LimitUnjudged"]
    assert day.book.limits.unjudged(ACCOUNT)[0].since == since(day)[2]


def test_a_setting_that_comes_into_force_by_itself_ends_it(day: Day) -> None:
    unreadable(day)
    wait(day, 10)
    later = day.clock.now_ns() + HOUR
    event = LimitsSet(rule_id="daily-loss", parameters={"limit": "much"}, effective_from=later)
    day.store.append("limits/A/daily-loss", event, actor="desk")
    wait(day, 10)
    assert types(day) == ["LimitUnjudged"]
    day.clock.set(later)
    assert day.book.limits.unjudged(ACCOUNT)[0].since is None
    day.policies.tick()
    assert types(day) == BOTH


def test_the_setting_that_ends_it_is_named_as_the_cause(day: Day) -> None:
    unknown_kind(day)
    wait(day, 10)
    ended_by = day.limit("daily-los", enabled=False)
    [judged] = day.store.read(types=(LimitJudged,))
    assert (judged.causation_id, judged.actor) == (ended_by.id, "policy:unjudged")


def test_a_limit_that_is_not_in_force_yet_is_not_recorded(day: Day) -> None:
    later = day.clock.now_ns() + HOUR
    event = LimitsSet(rule_id="daily-los", parameters={"limit": "5"}, effective_from=later)
    day.store.append("limits/A/daily-los", event, actor="desk")
    wait(day, 60)
    assert not recorded(day)
    day.clock.set(later)
    wait(day, 10)
    assert types(day) == ["LimitUnjudged"]


# Flapping


@pytest.mark.untraced
def test_flapping_every_second_for_an_hour_writes_nothing(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    day.limit("symbol-block", symbols=["CL"])
    for number in range(3_600):
        monkeypatch.setattr(SymbolBlock, "measure", unknown if number % 2 else known)
        wait(day, 1)
    assert not recorded(day)


@pytest.mark.untraced
@pytest.mark.parametrize(("seconds", "events"), [(6, 21), (30, 21), (61, 59)])
def test_longer_flapping_for_an_hour_is_bounded(
    day: Day, monkeypatch: pytest.MonkeyPatch, seconds: int, events: int
) -> None:
    day.limit("symbol-block", symbols=["CL"])
    for second in range(3_600):
        monkeypatch.setattr(SymbolBlock, "measure", unknown if second // seconds % 2 else known)
        wait(day, 1)
    assert len(recorded(day)) == events


def unknown(*_: object) -> None:
    msg = "no figure"
    raise MissingInput(msg)


def known(*_: object) -> None:
    return


# Restarts, processes, clocks


def test_a_restart_records_neither_again_and_ends_what_was_recorded_before(day: Day) -> None:
    missing_contract(day)
    wait(day, 10)
    for _ in range(3):
        day.policies.stop()
        day.restart([UnjudgedLimits()])
        wait(day, 10)
    assert types(day) == ["LimitUnjudged"]
    day.policies.stop()
    define(day)
    day.restart([UnjudgedLimits()])
    assert types(day) == ["LimitUnjudged"]
    wait(day, 10)
    assert types(day) == BOTH


def test_a_limit_replaced_while_nothing_ran_is_ended_at_the_start(day: Day) -> None:
    unknown_kind(day)
    wait(day, 10)
    day.policies.stop()
    day.store.append("limits/A/daily-los", LimitsSet(rule_id="daily-los", parameters={"enabled": False}), actor="desk")
    day.restart([UnjudgedLimits()])
    assert types(day) == BOTH


def test_policies_that_rested_for_an_hour_begin_to_count_again(day: Day) -> None:
    wait(day, 1)
    unknown_kind(day)
    wait(day, 1)
    day.policies.stop()
    day.pass_seconds(3_600)
    day.policies.start(ticking=False)
    assert not recorded(day)
    wait(day, 5)
    assert types(day) == ["LimitUnjudged"]


def test_a_second_process_records_nothing_until_it_has_the_lease(day: Day) -> None:
    unknown_kind(day)
    with projections.open(day.store, snapshots=False, calendars=CALENDAR) as book:
        other = Policies(book, [UnjudgedLimits()]).start(ticking=False)
        for _ in range(60):
            day.pass_seconds(1)
            other.tick()
        assert not recorded(day)
        for _ in range(60):
            wait(day, 1)
            other.tick()
        assert types(day) == ["LimitUnjudged"]
        day.policies.stop()
        for _ in range(60):
            day.pass_seconds(1)
            other.tick()
        assert types(day) == ["LimitUnjudged"]
        disable(day)
        other.tick()
        assert types(day) == BOTH
        other.stop()
        day.policies.start(ticking=False)


def test_a_clock_that_was_set_back_makes_it_wait_at_most_once_more_and_tells_of_a_second_period(day: Day) -> None:
    missing_contract(day)
    wait(day, 4)
    day.clock.set(day.clock.now_ns() - HOUR)
    wait(day, 6)
    assert types(day) == ["LimitUnjudged"]
    define(day)
    day.clock.set(day.clock.now_ns() - HOUR)
    wait(day, 10)
    assert types(day) == BOTH
    day.fill(Side.BUY, "100", "CL")
    day.fill(Side.SELL, "101", "CL")
    day.clock.set(NOON)
    wait(day, 10)
    assert types(day) == [*BOTH, "LimitUnjudged"]
    assert since(day) == sorted(set(since(day)))


# What it costs


def test_an_account_without_limits_is_not_looked_at_and_a_flat_one_once_a_second(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = headroom._provided[0]

    def counted(book: BookReader, account: str, at: int) -> tuple[headroom.Headroom, ...]:
        asked.append(account)
        return real(book, account, at)

    monkeypatch.setattr(headroom, "_provided", [counted])
    wait(day, 10, ticks=4)
    assert not asked
    day.limit("daily-loss", limit="500")
    asked.clear()
    wait(day, 10, ticks=4)
    assert len(asked) in {10, 11}
    day.fill(Side.BUY, "5000")
    asked.clear()
    wait(day, 10, ticks=4)
    assert len(asked) == 40


# Evidence


def test_the_quotes_of_open_positions_are_kept_with_it(place: Place) -> None:
    day = trading_day(place, UnjudgedLimits(), QuotesEvidence())
    day.limit("daily-loss", limit="500", basis="equity")
    day.fill(Side.BUY, "5000")
    day.quote("5000")
    wait(day, 30)
    [record] = day.store.read(types=(LimitUnjudged,))
    [kept] = day.store.read(types=(QuotesKept,))
    assert kept.causation_id == record.id
    day.close()


# The view


def test_what_others_record_is_bounded_and_an_end_without_a_beginning_changes_nothing(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.views.limits.view.RULES_MAX", 3)
    day.policies.stop()
    day.book.append("limits/A/x", LimitJudged(rule_id="x", why="", since=NOON))
    for number in range(5):
        for since_ns in (NOON + number, NOON + 99):
            event = LimitUnjudged(rule_id=f"r{number}", why="why", since=since_ns, limit_position=7)
            day.book.append("limits/A/x", event)
    found = day.book.limits.recorded_unjudged(ACCOUNT)
    assert [(each.rule_id, each.since) for each in found] == [(f"r{number}", NOON + number) for number in (2, 3, 4)]
    day.policies.start(ticking=False)
