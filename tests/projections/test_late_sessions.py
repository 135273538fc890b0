"""Quotes after a trading day's reset, before the next day's session is recorded: each day is decided by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eventstore.trading import LockoutCleared, Side
from projections.risk.limits.trailing_drawdown import TrailingDrawdown
from projections.risk.limits.weekly_loss import WeeklyLoss
from tests.places import Place
from tests.projections.rules_day import RESET, SECOND, Day, trading_day

pytestmark = pytest.mark.in_each_place(slow=True)

BEFORE, AFTER = RESET - 60 * SECOND, RESET + 60 * SECOND
FRIDAY, MONDAY = "2026-11-20", "2026-11-23"


@pytest.fixture
def day(place: Place) -> Iterator[Day]:
    """Return a day whose open position loses 2,500 at 4,950."""
    day = trading_day(place, TrailingDrawdown(), WeeklyLoss())
    day.fill(Side.BUY, "5000")
    yield day
    day.close()


def fall(day: Day, now: int, price: str) -> None:
    day.clock.set(now)
    day.confirm(price)


@pytest.mark.parametrize(
    ("rule", "parameters"),
    [
        ("trailing-drawdown", {"distance": "2000", "basis": "equity"}),
        ("weekly-loss", {"limit": "2000", "basis": "equity"}),
    ],
)
def test_a_warning_is_recorded_for_each_day(day: Day, rule: str, parameters: dict[str, str]) -> None:
    day.limit(rule, **parameters, severity="WARNING")
    fall(day, BEFORE, "4950")
    fall(day, AFTER, "4949")
    fall(day, AFTER + 60 * SECOND, "4948")
    day.end(late=True)
    fall(day, AFTER + 120 * SECOND, "4947")
    assert not day.policies.stopped
    assert [str(each.trading_day) for each in day.breaches()] == [FRIDAY, MONDAY]


def test_who_was_unlocked_is_locked_again_in_the_next_day(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000", basis="equity", revocable=True)
    fall(day, BEFORE, "4950")
    assert day.is_locked()
    day.book.append("lockout/A/trailing-drawdown", LockoutCleared(reason="an exception"), actor="risk@desk")
    fall(day, BEFORE + 30 * SECOND, "4949")
    assert not day.is_locked(), "once a day"
    fall(day, AFTER, "4948")
    assert not day.policies.stopped
    assert day.is_locked()
    days = [each.event.details["trading_day"] for each in day.lockouts()]  # type: ignore[attr-defined]
    assert days == [FRIDAY, MONDAY]
