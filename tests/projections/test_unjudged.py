"""A limit in force that is not judged rejects new exposure, is recorded once, and its end as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import pytest
from typing_extensions import override

import projections
from eventstore import Event
from eventstore.trading import (
    CashKind,
    CashMoved,
    LimitJudged,
    LimitsSet,
    LimitUnjudged,
    QuotesKept,
    RateQuoted,
    Side,
)
from projections import Book
from projections.risk.limits.daily_loss import DailyLoss
from projections.risk.limits.evidence import QuotesEvidence
from projections.risk.limits.symbol_block import SymbolBlock
from projections.risk.limits.unjudged import UnjudgedLimits
from projections.risk.policies import Decision, Policies, Policy, PolicyStopped, Trigger
from projections.risk.proposals import MissingInput
from projections.view import BookReader
from projections.views.limits import headroom
from tests.projections.checked_orders import PASS, REJECT, check_order
from tests.projections.policy_scene import fail
from tests.projections.rules_day import ACCOUNT, CALENDAR, HOUR, NOON, SECOND, Day, trading_day


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    day = trading_day(tmp_path / "data", UnjudgedLimits())
    yield day
    day.close()


def wait(day: Day, seconds: int, *, ticks: int = 1) -> None:
    """Let time pass as a running process sees it."""
    for _ in range(seconds * ticks):
        day.clock.advance(SECOND // ticks)
        day.policies.tick()


def recorded(day: Day) -> list[tuple[str, str, str]]:
    """Return what was recorded: the event, the rule and why."""
    return [
        (record.type, record.event.rule_id, record.event.why)
        for record in day.store.read(types=(LimitUnjudged, LimitJudged))
        if isinstance(record.event, LimitUnjudged | LimitJudged)
    ]


def types(day: Day) -> list[str]:
    return [each for each, _, _ in recorded(day)]


def since(day: Day) -> list[int]:
    events = [record.event for record in day.store.read(types=(LimitUnjudged, LimitJudged))]
    return [event.since for event in events if isinstance(event, LimitUnjudged | LimitJudged)]


BOTH = ["LimitUnjudged", "LimitJudged"]

# Each reason: rejected, recorded once, shown, ended


def unknown_kind(day: Day) -> None:
    day.old_limit("daily-los", limit="500")


def disable(day: Day) -> None:
    day.limit("daily-los", enabled=False)


def unreadable(day: Day) -> None:
    day.old_limit("daily-loss", limit="a lot")


def set_again(day: Day) -> None:
    day.limit("daily-loss", limit="500")


def missing_contract(day: Day) -> None:
    day.limit("daily-loss", limit="500")
    day.fill(Side.BUY, "100", "NQ")
    day.fill(Side.SELL, "101", "NQ")


def define(day: Day) -> None:
    day.define("NQ", "20")


def no_rate(day: Day) -> None:
    day.limit("daily-loss", limit="500")
    day.book.append("account/A/-", CashMoved(amount=Decimal(5), currency="EUR", kind=CashKind.INTEREST))


def give_rate(day: Day) -> None:
    day.book.append("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal("1.1")))


def stale_price(day: Day) -> None:
    day.limit("daily-loss", limit="500", basis="equity")
    day.fill(Side.BUY, "5000")
    day.pass_seconds(11)


def flatten(day: Day) -> None:
    day.fill(Side.SELL, "5000")


def consistency(day: Day) -> None:
    """Have a limit that acts at the close alone, and a traded contract without terms."""
    day.limit("consistency", limit="0.5", severity="WARNING")
    day.make("10")
    day.fill(Side.BUY, "100", "NQ")
    day.fill(Side.SELL, "101", "NQ")


Step = Callable[[Day], None]


@pytest.mark.parametrize(
    ("steps", "rule_id", "why", "ended"),
    [
        ((unknown_kind, disable), "daily-los", "did you mean daily-loss?", "it is disabled"),
        ((unreadable, set_again), "daily-loss", "cannot be read", "it was set again at position"),
        ((missing_contract, define), "daily-loss", "NQ", "it is judged again"),
        ((no_rate, give_rate), "daily-loss", "no rate from EUR to USD", "it is judged again"),
        ((stale_price, flatten), "daily-loss", "the price of ES is", "it is judged again"),
        ((consistency, define), "consistency", "NQ", "it is judged again"),
    ],
)
def test_what_cannot_be_judged_is_rejected_recorded_once_shown_and_ended(
    day: Day, steps: tuple[Step, Step], rule_id: str, why: str, ended: str
) -> None:
    begin, end = steps
    begin(day)
    assert check_order(day).verdict is REJECT
    [shown] = day.book.limits.unjudged(ACCOUNT)
    assert (shown.rule_id, why in shown.why, shown.since) == (rule_id, True, None)
    began_at = day.clock.now_ns()
    wait(day, 60)
    [(kind, rule, reason)] = recorded(day)
    assert (kind, rule, why in reason) == ("LimitUnjudged", rule_id, True)
    [shown] = day.book.limits.unjudged(ACCOUNT)
    assert shown.since == since(day)[0] == began_at + SECOND
    end(day)
    assert check_order(day).verdict is PASS
    wait(day, 60)
    assert types(day) == BOTH
    assert recorded(day)[1][2].startswith(ended)
    assert not day.book.limits.unjudged(ACCOUNT)
    assert not day.book.limits.recorded_unjudged(ACCOUNT)


def test_a_partition_that_failed_leaves_its_limits_unjudged_until_it_is_retried(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    day.limit("daily-loss", limit="500")
    day.limit("order-size", limit="5")
    with monkeypatch.context() as broken:
        broken.setattr("projections.views.executions.view.report", fail)
        day.make("10")
    assert check_order(day).verdict is REJECT
    wait(day, 60)
    [(kind, rule_id, why)] = recorded(day)
    assert (kind, rule_id, "executions stopped for A" in why) == ("LimitUnjudged", "daily-loss", True)
    assert day.book.retry("executions", ACCOUNT)
    wait(day, 60)
    assert types(day) == BOTH
    assert check_order(day).verdict is PASS


def test_limits_that_cannot_be_read_themselves_are_recorded_once_across_restarts(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    day.limit("daily-loss", limit="500")
    with monkeypatch.context() as broken:
        broken.setattr("projections.views.limits.view.loosened", fail)
        failed = day.limit("daily-loss", limit="400")
        assert check_order(day).verdict is REJECT
        wait(day, 60)
        assert [rule_id for _, rule_id, _ in recorded(day)] == ["limits"]
        assert since(day) == [failed.recorded_at]
        day.policies.stop()
        day.restart([UnjudgedLimits()])
        wait(day, 60)
    assert types(day) == ["LimitUnjudged"]
    assert day.book.retry("limits", ACCOUNT)
    wait(day, 60)
    assert types(day) == BOTH
    assert check_order(day).verdict is PASS


class Failing(Policy):
    """Fails for account A as time passes."""

    name = "failing"
    types: ClassVar[tuple[type[Event], ...]] = ()
    timed: ClassVar[bool] = True

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        raise LookupError(trigger.account)


def test_a_policy_that_stopped_leaves_every_limit_unjudged(tmp_path: Path) -> None:
    day = trading_day(tmp_path / "other", UnjudgedLimits())
    day.limit("daily-loss", limit="500")
    day.limit("order-size", limit="5")
    day.policies.stop()
    day.restart([Failing(), UnjudgedLimits()])
    assert check_order(day).verdict is REJECT
    wait(day, 60)
    assert [(kind, rule_id) for kind, rule_id, _ in recorded(day)] == [
        ("LimitUnjudged", "daily-loss"),
        ("LimitUnjudged", "order-size"),
    ]
    assert all("policy failing stopped for A" in why for _, _, why in recorded(day))
    with pytest.raises(PolicyStopped):
        day.close()
    day.store.close()


def test_a_kind_that_stopped_leaves_its_own_limits_unjudged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = trading_day(tmp_path / "other", DailyLoss(), UnjudgedLimits())
    day.limit("daily-loss", limit="500")
    day.limit("order-size", limit="5")
    with monkeypatch.context() as broken:
        broken.setattr(DailyLoss, "breaches", fail)
        day.make("10")
    assert check_order(day).verdict is REJECT
    wait(day, 60)
    [(_, rule_id, why)] = recorded(day)
    assert (rule_id, "policy daily-loss stopped for A" in why) == ("daily-loss", True)
    with pytest.raises(PolicyStopped):
        day.close()
    day.store.close()


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


def test_flapping_every_second_for_an_hour_writes_nothing(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    day.limit("symbol-block", symbols=["CL"])
    for number in range(3_600):
        monkeypatch.setattr(SymbolBlock, "measure", unknown if number % 2 else known)
        wait(day, 1)
    assert not recorded(day)


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
    msg = "nobody knows"
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


def test_the_quotes_of_open_positions_are_kept_with_it(tmp_path: Path) -> None:
    day = trading_day(tmp_path / "other", UnjudgedLimits(), QuotesEvidence())
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
