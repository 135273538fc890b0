"""A record with a time ahead of the log's is judged in the trading day in which its result is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from eventstore.trading import CashKind, CashMoved, Side, TradeCorrected
from projections.rules import DailyLoss, TradeLimit, WeeklyLoss
from tests.places import Place
from tests.projections.rules_day import HOUR, NEXT_RESET, NOON, RESET, Day, trading_day

pytestmark = pytest.mark.in_each_place(slow=True)


@pytest.fixture
def day(place: Place) -> Iterator[Day]:
    day = trading_day(place, DailyLoss(), WeeklyLoss(), TradeLimit())
    yield day
    day.close()


def _lose_by_fills(day: Day, when: int) -> None:
    day.make("-1500", when=when)


def _lose_by_cash(day: Day, when: int) -> None:
    moved = CashMoved(amount=Decimal(-1500), currency="USD", kind=CashKind.FUNDING)
    day.book.append("account/A/-", moved, occurred_at=when)


def _lose_by_a_correction(day: Day, when: int) -> None:
    bought = day.fill(Side.BUY, "5000")
    day.fill(Side.SELL, "5000")
    corrected = TradeCorrected(trade_id="T1", quantity=Decimal(1), price=Decimal(5030))
    day.book.append(bought.stream, corrected, occurred_at=when)


WHEN = {"today": NOON + HOUR, "at the reset": RESET, "tomorrow": NEXT_RESET - HOUR, "in a year": NOON + 365 * 24 * HOUR}


@pytest.mark.parametrize("when", WHEN.values(), ids=WHEN)
@pytest.mark.parametrize("lose", [_lose_by_fills, _lose_by_cash, _lose_by_a_correction])
@pytest.mark.parametrize("rule_id", ["daily-loss", "weekly-loss"])
def test_a_loss_with_a_time_that_has_not_come_locks_today(
    day: Day, rule_id: str, lose: Callable[[Day, int], None], when: int
) -> None:
    day.limit(rule_id, limit="1000")
    lose(day, when)
    assert day.is_locked()
    assert "-1,500.00 of -1,000.00 USD" in day.reasons()[0]


@pytest.mark.parametrize("when", WHEN.values(), ids=WHEN)
def test_a_trade_with_a_time_that_has_not_come_locks_today(day: Day, when: int) -> None:
    day.limit("trade-limit", limit=1)
    day.make("1", when=when)
    assert day.is_locked()
