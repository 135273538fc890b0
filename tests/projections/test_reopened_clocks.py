"""An account that was reopened, and a wall clock that ran ahead: the old life stays ended once the clock is right."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    AccountReopened,
    Baseline,
    ClockJumped,
    ContractDefined,
    EquityCorrected,
    EquityMarked,
    LockoutCleared,
    LockoutExpired,
    LockoutSet,
    OrderSubmitted,
    SessionClosed,
    Side,
    TradeExecuted,
)
from projections import Book
from projections.valuation import Status
from projections.views.baselines import carried_over, mark_of
from projections.views.lockouts.state import LockoutsState

NOW = 1_790_000_000_000_000_000
HOUR = 3_600 * 10**9
DAY = 24 * HOUR


class Account:
    """A book with one account in dollars, and a clock that jumps."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.book: Book = projections.open(EventStore(MemoryJournal(clock=self.clock), clock=self.clock))
        self.book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        self.book.append("contract/-/X", ContractDefined(symbol="X", multiplier=Decimal(1), currency="USD"))

    def jump(self, to: int) -> None:
        before = self.clock.now_ns()
        self.clock.set(to)
        self.book.append("lockout/A/clock", ClockJumped(before=before, after=to))

    def reopen(self) -> None:
        self.clock.advance(1)
        self.book.append("account/A/-", AccountReopened(starting_balance=Decimal(50_000)), actor="firm")

    def mark(self, equity: int, reset_at: int | None = None, cause: bytes | None = None) -> None:
        amount = Decimal(equity)
        event = EquityMarked(
            balance=amount, equity=amount, high_water=amount, floor=amount, currency="USD", reset_at=reset_at
        )
        self.book.append("equity/A/-", event, causation_id=cause)

    def close(self, balance: int) -> None:
        [closed] = self.book.append("session/A/day", SessionClosed(balance=Decimal(balance)))
        self.mark(balance, cause=closed.id)

    def fill(self, trade_id: str, side: Side, price: int) -> None:
        event = TradeExecuted(trade_id=trade_id, symbol="X", side=side, quantity=Decimal(1), price=Decimal(price))
        self.book.append(f"trade/A/{trade_id}", event)

    def lock(self, rule_id: str = "loss", **members: object) -> bytes:
        [record] = self.book.append(f"lockout/A/{rule_id}", LockoutSet(rule_id=rule_id, **members))  # type: ignore[arg-type]
        return record.id

    def locked(self) -> list[str]:
        return [each.rule_id for each in self.book.lockouts.active("A", self.clock.now_ns())]


@pytest.fixture
def account() -> Account:
    return Account()


def test_floors_and_closes_of_the_old_life_stay_forgotten(account: Account) -> None:
    account.close(51_000)
    account.jump(NOW + DAY)
    account.close(52_000)
    account.reopen()
    account.jump(NOW + HOUR)
    assert account.book.equity.floor_marks("A") == ()
    assert account.book.bests.highs("A").close is None


def test_a_mark_of_the_old_life_does_not_return_with_a_clock_set_ahead(account: Account) -> None:
    account.jump(NOW + DAY)
    account.mark(52_000, reset_at=NOW + DAY)
    account.jump(NOW + HOUR)
    account.reopen()
    account.jump(NOW + DAY)
    assert mark_of(account.book, "A", NOW + DAY) is None


def carried(account: Account, began_at: int) -> Status:
    return carried_over(account.book, "A", Baseline.EQUITY_AT_RESET, began_at, None).standing.status


@pytest.mark.parametrize("is_first", [True, False])
def test_a_day_that_begins_after_a_reopening_under_the_wrong_time_has_its_baseline(
    account: Account, is_first: bool
) -> None:
    """Whether it was reopened before the clock was put right, or while the log's own time was still ahead."""
    account.jump(NOW + 7 * DAY)
    if is_first:
        account.reopen()
    account.jump(NOW)
    if not is_first:
        account.reopen()
    account.clock.advance(HOUR)
    account.fill("1", Side.BUY, 100)
    assert carried(account, NOW + DAY) is Status.UNKNOWN, "it may have held a position then, which nobody marked"
    assert carried(account, NOW - DAY) is Status.KNOWN


def test_results_that_were_moved_to_the_right_day_are_forgotten(account: Account) -> None:
    account.jump(NOW + 2 * DAY)
    account.fill("1", Side.BUY, 100)
    account.fill("2", Side.SELL, 90)
    account.jump(NOW)
    assert [totals.realized for _, [totals] in account.book.pnl.days("A")] == [-10]
    account.reopen()
    assert account.book.pnl.days("A") == ()


def test_a_lockout_that_its_rule_cleared_in_the_old_life_stays_cleared(account: Account) -> None:
    account.lock()
    account.jump(NOW + DAY)
    account.book.append("lockout/A/loss", LockoutCleared(by="loss"))
    account.reopen()
    account.jump(NOW + HOUR)
    assert account.locked() == []


def test_a_lockout_of_a_wrong_price_stays_released_though_its_rule_cleared_it_too_early(account: Account) -> None:
    wrong = account.lock(details={"quotes": {"ES": ["1", 1]}})
    account.jump(NOW + DAY)
    account.book.append("lockout/A/loss", LockoutCleared(by="loss"))
    correction = EquityCorrected(reason="a wrong price", wrong=uuid.UUID(bytes=wrong))
    account.book.append("account/A/-", correction, actor="desk")
    account.jump(NOW + HOUR)
    assert account.locked() == []


def test_the_broker_s_lockout_is_cleared_by_nobody_s_rule(account: Account) -> None:
    account.lock("broker")
    account.jump(NOW + DAY)
    account.book.append("lockout/A/broker", LockoutCleared(by="broker"))
    account.jump(NOW + HOUR)
    assert account.locked() == []


def test_a_lockout_that_returned_and_ended_again_is_not_kept_in_mind(account: Account) -> None:
    account.lock(until=NOW + DAY)
    account.clock.advance(2 * DAY)
    account.book.append("lockout/A/loss", LockoutExpired())
    account.jump(NOW + HOUR)
    assert account.locked() == ["loss"]
    account.book.append("lockout/A/loss", LockoutCleared(by="desk"))
    state = account.book.state("lockouts", "A")
    assert isinstance(state, LockoutsState)
    assert state.returned == {}


@pytest.mark.parametrize("by", ["loss", "nobody: it expired"])
def test_any_number_of_later_lockouts_makes_none_forgotten_that_a_wrong_clock_ended(account: Account, by: str) -> None:
    account.lock(until=NOW + (9 if by == "loss" else 1) * DAY)
    account.clock.set(NOW + 2 * DAY)
    account.book.append("lockout/A/loss", LockoutCleared(by="loss") if by == "loss" else LockoutExpired())
    for _ in range(101):
        account.lock("other")
        account.book.append("lockout/A/other", LockoutCleared(by="desk"))
    account.jump(NOW + HOUR)
    assert account.locked() == ["loss"]


def test_a_clock_set_ahead_does_not_shorten_what_a_reopening_in_use_has_not_ended(account: Account) -> None:
    account.lock(until=NOW + 2 * HOUR, revocable=False)
    order = OrderSubmitted(symbol="X", side=Side.BUY, quantity=Decimal(1))
    account.book.append("order/A/1", order)
    store = account.book.reader
    assert isinstance(store, EventStore)
    store.append("account/A/-", AccountReopened(starting_balance=Decimal(50_000)), actor="firm")
    account.book.refresh()
    assert account.locked() == ["loss"]
    account.jump(NOW + DAY)
    assert account.locked() == ["loss"]
    account.clock.advance(3 * HOUR)
    assert account.locked() == []
