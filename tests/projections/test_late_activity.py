"""Limits on activity where a day, a trade or the limit itself becomes known, or effective, late."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from eventstore.trading import LimitsSet, LockoutCleared, OrderFilled, Side, TradeBusted
from projections.risk.limits.maximum_contracts import MaximumContracts
from projections.rules import Cooldown, TradeLimit
from tests.places import Place
from tests.projections.rules_day import HOUR, NOON, RESET, SECOND, Day

pytestmark = pytest.mark.in_each_place(slow=True)


@pytest.fixture
def day(place: Place) -> Iterator[Day]:
    day = Day(place, [TradeLimit(), Cooldown(), MaximumContracts()])
    day.open_account()
    day.define("ES")
    day.begin()
    yield day
    day.close()


def locks(day: Day) -> list[str]:
    return sorted(held.rule_id for held in day.book.lockouts.active("A", day.clock.now_ns()))


def test_a_day_that_no_session_records_yet_counts_from_its_reset(day: Day) -> None:
    day.limit("trade-limit", limit=3, unit="fills")
    day.make("1")
    day.clock.set(RESET + 1)
    assert [each.figure for each in day.book.limits.headroom("A")] == [0]
    day.make("1")
    # Its date in UTC is another one by now.
    day.clock.set(RESET + 4 * HOUR)
    assert [each.figure for each in day.book.limits.headroom("A")] == [2]


def test_a_fill_of_yesterday_that_is_reported_today_locks_today(day: Day) -> None:
    day.limit("trade-limit", limit=1)
    day.end()
    day.pass_seconds(1)
    day.fill(Side.SELL, "5000")
    assert not locks(day)
    day.fill(Side.BUY, "5000", when=RESET - HOUR)
    assert locks(day) == ["trade-limit"]


def test_a_bust_that_makes_more_round_trips_locks(day: Day) -> None:
    day.limit("trade-limit", limit=1)
    first = day.fill(Side.BUY, "5000")
    for side in (Side.BUY, Side.SELL):
        day.pass_seconds(1)
        day.fill(side, "5000")
    assert not locks(day)
    day.book.append(first.stream, TradeBusted(trade_id="T1", symbol="ES", side=Side.BUY, quantity=Decimal(1)))
    assert locks(day) == ["trade-limit"]


def test_limits_that_come_into_force_later_lock_at_the_next_tick(day: Day) -> None:
    day.make("-1")
    given = {"trade-limit": {"limit": 1}, "cooldown": {"losing_trips": 1, "duration": 9 * HOUR}}
    for rule, parameters in given.items():
        event = LimitsSet(rule_id=rule, parameters=parameters, effective_from=NOON + HOUR)
        day.book.append(f"limits/A/{rule}", event, actor="risk@desk")
    assert not locks(day)
    day.clock.set(NOON + 3 * HOUR)
    day.policies.tick()
    assert locks(day) == ["cooldown", "trade-limit"]
    # Once: who clears it is not overruled by the next tick.
    day.book.append("lockout/A/cooldown", LockoutCleared(rule_id="cooldown"), actor="risk@desk")
    day.pass_seconds(1)
    day.policies.tick()
    assert locks(day) == ["trade-limit"]


def test_a_late_fill_that_turns_the_last_round_trip_into_a_loss_begins_a_pause(day: Day) -> None:
    day.limit("cooldown", loss="400", duration=HOUR)
    day.fill(Side.SELL, "5000")
    day.pass_seconds(60)
    day.fill(Side.BUY, "5000", quantity="2")
    assert not locks(day)
    # Another one was sold before that, ten points lower.
    sold = OrderFilled(trade_id="L", symbol="ES", side=Side.SELL, quantity=Decimal(1), price=Decimal(4_990))
    day.book.append("order/A/L", sold, occurred_at=NOON + SECOND)
    assert locks(day) == ["cooldown"]


def test_a_fill_of_yesterday_does_not_end_a_lockout_for_too_many_contracts(day: Day) -> None:
    day.limit("maximum-contracts", limit="1")
    day.end()
    day.fill(Side.BUY, "5000", quantity="3")
    assert locks(day) == ["maximum-contracts"]
    day.fill(Side.BUY, "5000", when=RESET - HOUR)
    assert locks(day) == ["maximum-contracts"]
    assert not list(day.store.read(types=(LockoutCleared,)))
