"""High water and floor under cash: what moves in or out moves them alike, a payout by the account's rule.

The examples of the firms are in the last tests, each with its source and date.
"""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import projections
from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.clock import NANOSECONDS
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountConfigured,
    AccountOpened,
    CashKind,
    CashMoved,
    EquityMarked,
    LimitsSet,
    RateQuoted,
    SessionClosed,
)
from projections import Book
from projections.risk.limits.marks import EquityMarks
from projections.risk.limits.trailing_drawdown import TrailingDrawdown
from projections.views import moved_marks
from projections.views.accounts import capital
from projections.views.high_water_marks import DayHigh, Highs
from projections.views.moved_marks import Marks, MovedMark, moved, raised
from tests.projections.rules_day import Day

START = 1_750_000_000 * NANOSECONDS
ACCOUNT = "account/A/-"


class Desk:
    """A book of account A, opened with 50,000 USD."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.book: Book = projections.open(self.store, snapshots=False)
        self.open(50_000)

    def open(self, balance: int, currency: str = "USD") -> None:
        self.book.append(ACCOUNT, AccountOpened(starting_balance=Decimal(balance), currency=currency))

    def move(self, kind: CashKind, amount: int, currency: str = "USD", *, at: int | None = None) -> None:
        event = CashMoved(amount=Decimal(amount), currency=currency, kind=kind)
        self.book.append(ACCOUNT, event, occurred_at=at)

    def pays_out(self, payout: str) -> None:
        self.book.append(ACCOUNT, AccountConfigured(payout=payout), actor="desk")

    def mark(self, high: int, floor: int | None = None, currency: str | None = "USD") -> None:
        event = EquityMarked(
            balance=Decimal(high),
            equity=Decimal(high),
            high_water=Decimal(high),
            floor=None if floor is None else Decimal(floor),
            currency=currency,
        )
        self.book.append("equity/A/-", event)

    def figures(self) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        """Return the high-water mark, the highest marked balance, and the floor."""
        equity = self.book.equity.now("A")
        return equity.high_water, self.book.bests.highs("A").balance, equity.floor


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.book.close()
    made.store.close()


def test_a_deposit_is_not_a_profit(desk: Desk) -> None:
    desk.mark(50_000, 48_000)
    desk.move(CashKind.DEPOSIT, 10_000)
    equity = desk.book.equity.now("A")
    assert (equity.balance, equity.high_water, equity.floor) == (60_000, 60_000, 58_000)
    assert (equity.realized, equity.cash, desk.book.pnl.total("A"), desk.book.pnl.days("A")) == (0, 0, (), ())
    assert capital(desk.book, "A", "USD") == {"USD": 60_000}


@pytest.mark.parametrize(
    ("kind", "amount", "by"),
    [
        (CashKind.DEPOSIT, 1_000, 1_000),
        (CashKind.DEPOSIT, -1_000, 1_000),
        (CashKind.WITHDRAWAL, 1_000, -1_000),
        (CashKind.TRANSFER, 1_000, 1_000),
        (CashKind.TRANSFER, -1_000, -1_000),
        (CashKind.PAYOUT, 1_000, -1_000),
        (CashKind.FUNDING, -1_000, 0),
        (CashKind.FEE, 1_000, 0),
        (CashKind.INTEREST, 1_000, 0),
        (CashKind.DIVIDEND, 1_000, 0),
    ],
)
def test_what_each_kind_moves(desk: Desk, kind: CashKind, amount: int, by: int) -> None:
    desk.mark(52_000, 50_000)
    desk.move(kind, amount)
    assert desk.figures() == (52_000 + by, 52_000 + by, 50_000 + by)


def test_a_mark_made_before_a_movement_was_recorded_is_moved_wherever_the_movements_time_lies(desk: Desk) -> None:
    desk.mark(52_000, 50_000)
    desk.move(CashKind.WITHDRAWAL, 1_000, at=START - 100 * NANOSECONDS)
    assert desk.figures() == (51_000, 51_000, 49_000)
    desk.mark(51_500, 49_500)
    assert desk.figures() == (51_500, 51_500, 49_500), "a mark made later knows of it"


def test_a_movement_changes_no_days_best_result(desk: Desk) -> None:
    desk.book.append("equity/A/-", EquityMarked(balance=Decimal(1), equity=Decimal(1), high_water=Decimal(1)))
    state = desk.book.state("bests", "A")
    before = dict(state.days)
    desk.move(CashKind.DEPOSIT, 1_000)
    assert state.days == before == {next(iter(before)): DayHigh(Decimal(0), Decimal(0))}


def test_the_mark_of_a_close_is_moved_too(desk: Desk) -> None:
    [closed] = desk.book.append("session/A/-", SessionClosed())
    mark = EquityMarked(balance=Decimal(51_000), equity=Decimal(51_000), high_water=Decimal(51_000), currency="USD")
    desk.book.append("equity/A/-", mark, causation_id=closed.id)
    desk.move(CashKind.WITHDRAWAL, 500)
    assert desk.book.bests.highs("A") == Highs(Decimal(50_500), None, Decimal(50_500))


def test_payouts_follow_the_rule_that_was_in_force_when_they_were_recorded(desk: Desk) -> None:
    desk.mark(60_000, 58_000)
    desk.move(CashKind.PAYOUT, 1_000)
    assert desk.figures() == (59_000, 59_000, 57_000)
    desk.pays_out("keeps-floor")
    desk.move(CashKind.PAYOUT, 1_000)
    assert desk.figures() == (59_000, 59_000, 57_000)
    desk.pays_out("floor-to=50100")
    assert desk.figures() == (59_000, 59_000, 57_000), "a setting changes nothing by itself"
    desk.move(CashKind.PAYOUT, 1_000)
    assert desk.figures() == (58_000, 58_000, 50_100)
    desk.move(CashKind.WITHDRAWAL, 100)
    assert desk.figures() == (57_900, 57_900, 50_000)


def test_a_payout_that_keeps_the_high_water_mark_keeps_the_starting_balance_in_it(desk: Desk) -> None:
    desk.pays_out("keeps-floor")
    desk.move(CashKind.PAYOUT, 1_000)
    equity = desk.book.equity.now("A")
    assert (equity.balance, equity.high_water) == (49_000, 50_000)
    assert capital(desk.book, "A", "USD") == {"USD": 50_000}


def test_a_payout_sets_a_floor_that_was_never_marked(desk: Desk) -> None:
    desk.pays_out("floor-to=0")
    desk.move(CashKind.PAYOUT, 1_000)
    assert desk.book.equity.get("A") is None
    assert desk.book.equity.now("A").floor == 0


@pytest.mark.parametrize("payout", ["floor-to=", "floor-to=abc", "floor-to=1e5", "keeps", "moves-floor "])
def test_a_rule_for_payouts_that_means_nothing_is_refused(desk: Desk, payout: str) -> None:
    with pytest.raises(InvalidEvent, match="payout"):
        desk.pays_out(payout)


def test_marks_that_name_no_currency_are_moved_by_the_accounts_own(desk: Desk) -> None:
    desk.mark(52_000, 50_000, currency=None)
    desk.move(CashKind.WITHDRAWAL, 1_000)
    assert desk.figures() == (51_000, 51_000, 49_000)


def test_a_mark_in_another_currency_is_not_the_accounts_high(desk: Desk) -> None:
    desk.mark(51_000)
    desk.mark(7_500_000, 7_400_000, "JPY")
    assert desk.figures() == (51_000, 51_000, None)
    assert desk.book.bests.highs("A").equity == 51_000


def test_cash_in_another_currency_moves_at_the_rate_of_now(desk: Desk) -> None:
    def rate(value: str) -> None:
        desk.book.append("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal(value)))

    rate("1.1")
    desk.mark(52_000, 50_000)
    desk.move(CashKind.WITHDRAWAL, 1_000, "EUR")
    assert desk.figures() == (50_900, 50_900, 48_900)
    desk.mark(50_950, 48_950)
    assert desk.figures() == (50_950, 50_950, 48_950)
    rate("1")
    assert desk.figures() == (51_000, 51_000, 49_000), "the older mark is the higher one now"


def test_the_highest_of_many_marks_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moved_marks, "MARKS_MAX", 2)
    marks: Marks = (MovedMark(Decimal(0)),)
    for number in (3, 1, 2):
        marks = moved(marks, "EUR", Decimal(1), "USD")
        marks = raised(marks, Decimal(number))
    assert sorted(mark.amount for mark in marks) == [2, 3]


def test_the_same_figures_are_a_new_high_after_a_withdrawal(tmp_path: Path) -> None:
    day = Day(tmp_path / "data", [TrailingDrawdown(), EquityMarks()])
    day.open_account()
    day.define("ES")
    day.begin()
    day.limit("trailing-drawdown", distance="2000", basis="realized")
    day.make("1000")
    assert day.book.equity.now("A").floor == 49_000
    day.book.append(ACCOUNT, CashMoved(amount=Decimal(1_000), currency="USD", kind=CashKind.WITHDRAWAL))
    assert day.book.equity.now("A").floor == 48_000
    day.make("1000")
    assert (day.book.accounts.balance("A"), day.book.equity.now("A").floor) == (51_000, 49_000)
    day.close()


# What the firms say of payouts, each with where and when.


def test_topstep_express_funded(tmp_path: Path) -> None:
    """Topstep help, articles 8284204 and 8284233 (copies of 2024): after the first payout the floor is 0 at once.

    Example: balance 10,000, payout 5,000, so 5,000 are left above the floor.
    """
    day = Day(tmp_path / "data", [TrailingDrawdown(), EquityMarks()])
    day.open_account("0")
    day.define("ES")
    day.begin()
    day.limit("trailing-drawdown", distance="2000", locks_at="0")
    day.book.append(ACCOUNT, AccountConfigured(payout="floor-to=0"), actor="desk")
    assert day.book.equity.now("A").floor == -2_000
    day.make("1000")
    day.end()
    assert day.book.equity.now("A").floor == -1_000
    day.make("9000")
    payout = CashMoved(amount=Decimal(5_000), currency="USD", kind=CashKind.PAYOUT)
    day.book.append(ACCOUNT, payout)
    equity = day.book.equity.now("A")
    assert (equity.balance, equity.floor) == (5_000, 0)
    assert not day.lockouts()
    day.make("-4999")
    assert not day.lockouts()
    day.make("-1")
    assert len(day.lockouts()) == 1
    day.close()


def test_breakout_two_step(tmp_path: Path) -> None:
    """Breakout, articles 11647189, 10340637 and 8545846 (rules of 2025-01-01): payouts lower the high-water mark.

    8 % of the initial balance below the highest closed balance, final at the initial balance: 105,000 gives 97,000.
    """
    day = Day(tmp_path / "data", [TrailingDrawdown(), EquityMarks()])
    day.open_account("100000")
    day.define("ES")
    day.begin()
    day.limit("trailing-drawdown", distance="8000", basis="realized", locks_at="100000")
    day.make("5000")
    assert day.book.equity.now("A").floor == 97_000
    day.book.append(ACCOUNT, CashMoved(amount=Decimal(3_000), currency="USD", kind=CashKind.PAYOUT))
    equity = day.book.equity.now("A")
    assert (equity.balance, equity.high_water, equity.floor) == (102_000, 102_000, 94_000)
    day.make("-7999")
    assert not day.lockouts()
    day.make("-1")
    assert len(day.lockouts()) == 1
    day.close()


def test_a_limit_that_is_set_after_a_deposit_counts_from_the_deposit(tmp_path: Path) -> None:
    day = Day(tmp_path / "data", [TrailingDrawdown(), EquityMarks()])
    day.open_account()
    day.begin()
    day.book.append(ACCOUNT, CashMoved(amount=Decimal(10_000), currency="USD", kind=CashKind.DEPOSIT))
    limit = LimitsSet(rule_id="trailing-drawdown", parameters={"distance": "2000"})
    day.book.append("limits/A/trailing-drawdown", limit, actor="desk")
    equity = day.book.equity.now("A")
    assert (equity.high_water, equity.floor) == (60_000, 58_000)
    day.close()
