"""What a trading day's close marks of an account's equity."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from eventstore.trading import EquityMarked, SessionClosed, Side
from projections.risk.limits.marks import EquityMarks
from projections.risk.limits.trailing_drawdown import TrailingDrawdown
from tests.projections.rules_day import ACCOUNT, HOUR, RESET, SECOND, Day, marks, trading_day

TODAY = date(2026, 11, 20)


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    day = trading_day(tmp_path / "data", TrailingDrawdown(), EquityMarks())
    yield day
    day.close()


def test_every_opened_account_is_marked_at_its_close(day: Day) -> None:
    day.make("500", fee="4")
    day.fill(Side.BUY, "5000")
    day.clock.set(RESET - SECOND)
    day.confirm("5001")
    [closed] = day.book.append("session/A/2026-11-20", SessionClosed(trading_day=TODAY))
    [record] = day.store.read(types=(EquityMarked,))
    assert record.causation_id == closed.id
    assert record.event == EquityMarked(
        balance=Decimal(50_496),
        equity=Decimal(50_546),
        high_water=Decimal(50_546),
        realized=Decimal(500),
        unrealized=Decimal(50),
        fees=Decimal(4),
        quotes=marks(day)[0].quotes,
        currency="USD",
        trading_day=TODAY,
    )
    day.book.append("session/B/2026-11-20", SessionClosed(trading_day=TODAY))
    assert len(marks(day)) == 1


def test_a_close_with_a_stale_price_makes_no_high_water(day: Day) -> None:
    day.fill(Side.BUY, "5000")
    day.confirm("5001")
    day.clock.set(RESET)
    day.book.append("session/A/2026-11-20", SessionClosed(trading_day=TODAY))
    [mark] = marks(day)
    assert (mark.balance, mark.high_water) == (50_000, 50_000)
    assert day.book.bests.highs(ACCOUNT).equity is None


def test_a_close_recorded_late_is_marked_with_its_own_balance(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000")
    day.make("500")
    day.clock.set(RESET + 7 * HOUR)
    day.make("300", when=RESET + 6 * HOUR)
    day.fill(Side.BUY, "5000")
    day.quote("5100")
    day.end(late=True)
    [mark] = [mark for mark in marks(day) if mark.trading_day == TODAY][1:]
    assert mark.balance == 50_500
    assert mark.realized == 500
    assert mark.floor == 48_500
    assert mark.unrealized == 0
    assert mark.high_water == 50_500
