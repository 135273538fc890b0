"""Marks of closes and resets that had not come when a clock that ran ahead was put right."""

from __future__ import annotations

from decimal import Decimal

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    CashKind,
    CashMoved,
    ClockJumped,
    EquityCorrected,
    EquityMarked,
    SessionClosed,
)
from projections import Book
from projections.views.baselines import mark_of

NOW = 1_790_000_000_000_000_000
HOUR = 3_600 * 10**9
DAY = 24 * HOUR


class Marked:
    """A book with one account in dollars, and a clock that jumps."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.book: Book = projections.open(EventStore(MemoryJournal(clock=self.clock), clock=self.clock))
        self.book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))

    def jump(self, to: int) -> None:
        before = self.clock.now_ns()
        self.clock.set(to)
        self.book.append("lockout/A/clock", ClockJumped(before=before, after=to))

    def close(self, balance: int, floor: int | None = None) -> None:
        """Close a day, with the mark that follows."""
        [closed] = self.book.append("session/A/day", SessionClosed(balance=Decimal(balance)))
        self.mark(balance, floor, cause=closed.id)

    def mark(self, equity: int, floor: int | None = None, reset_at: int | None = None, cause: bytes = b"") -> None:
        event = EquityMarked(
            balance=Decimal(equity),
            equity=Decimal(equity),
            high_water=Decimal(equity),
            floor=None if floor is None else Decimal(floor),
            currency="USD",
            reset_at=reset_at,
        )
        self.book.append("equity/A/-", event, causation_id=cause or None)

    def figures(self) -> tuple[int | None, int | None]:
        """Return the highest close and the floor."""
        close, mark = self.book.bests.highs("A").close, self.book.equity.get("A")
        floor = None if mark is None else mark.floor
        return None if close is None else int(close), None if floor is None else int(floor)


@pytest.fixture
def marked() -> Marked:
    return Marked()


def test_a_close_that_had_not_come_raised_nothing(marked: Marked) -> None:
    marked.close(50_000, 48_000)
    marked.clock.advance(HOUR)
    now = marked.clock.now_ns()
    marked.jump(now + 2 * DAY)
    marked.close(51_000, 49_000)
    marked.clock.advance(DAY)
    marked.close(52_000, 50_000)
    assert marked.figures() == (52_000, 50_000)
    marked.jump(now)
    assert marked.figures() == (50_000, 48_000)
    marked.close(50_500, 48_500)
    assert marked.figures() == (50_500, 48_500)


def test_a_close_before_the_jump_counts(marked: Marked) -> None:
    marked.close(51_000, 49_000)
    marked.clock.advance(HOUR)
    now = marked.clock.now_ns()
    marked.jump(now + DAY)
    marked.jump(now)
    assert marked.figures() == (51_000, 49_000)


def test_a_high_of_the_day_keeps_its_floor(marked: Marked) -> None:
    marked.close(50_000, 48_000)
    marked.jump(NOW + DAY)
    marked.close(51_000, 49_000)
    marked.mark(53_000, 51_000)
    marked.jump(NOW)
    assert marked.figures() == (50_000, 51_000)


def test_cash_and_corrections_apply_to_what_comes_back(marked: Marked) -> None:
    marked.close(50_000, 48_000)
    marked.jump(NOW + DAY)
    marked.close(51_000, 49_000)
    deposit = CashMoved(amount=Decimal(1_000), currency="USD", kind=CashKind.DEPOSIT)
    marked.book.append("account/A/-", deposit)
    marked.jump(NOW)
    assert marked.figures() == (51_000, 49_000)
    marked.jump(NOW + DAY)
    marked.close(60_000, 58_000)
    corrected = EquityCorrected(high_water=Decimal(50_000), floor=Decimal(45_000), reason="a wrong print")
    marked.book.append("account/A/-", corrected, actor="desk")
    marked.jump(NOW)
    assert marked.figures() == (50_000, 45_000)


def test_the_equity_at_a_reset_that_had_not_come_is_marked_again(marked: Marked) -> None:
    reset_at = NOW + HOUR
    marked.jump(NOW + DAY)
    marked.mark(50_100, reset_at=reset_at)
    marked.jump(NOW)
    assert mark_of(marked.book, "A", reset_at) is None
    marked.clock.advance(HOUR)
    marked.mark(50_200, reset_at=reset_at)
    found = mark_of(marked.book, "A", reset_at)
    assert found is not None
    assert found.equity == Decimal(50_200)


@pytest.mark.slow
def test_the_equity_at_a_reset_returns_if_the_clock_was_right(marked: Marked) -> None:
    marked.mark(50_100, reset_at=NOW - HOUR)
    marked.jump(NOW - DAY)
    assert mark_of(marked.book, "A", NOW - HOUR) is None
    marked.jump(NOW)
    assert mark_of(marked.book, "A", NOW - HOUR) is not None
