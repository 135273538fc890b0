"""Cash: funding, fees, interest and dividends count in a day's result; what is paid in or out never.

Each counts when it happened, however late it is recorded, and exactly at a reset in the day that the calendar says.
"""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.clock import to_ns
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    CashAtReset,
    CashKind,
    CashMoved,
    ContractDefined,
    OrderFilled,
    SessionReset,
    Side,
)
from projections import Book, Calendar
from projections.risk.caches import risk_cache
from projections.seeds import load
from projections.views.executions import pnl_path
from projections.views.executions.pnl_totals import PnlTotals
from projections.views.executions.state import VIEW

HOUR = 3_600 * 10**9
MONDAY = to_ns(datetime(2026, 1, 5, tzinfo=UTC))
TUESDAY, WEDNESDAY = MONDAY + 24 * HOUR, MONDAY + 48 * HOUR
RESULTS = (CashKind.FUNDING, CashKind.INTEREST, CashKind.DIVIDEND, CashKind.FEE)
BEGINS = CashAtReset.DAY_THAT_BEGINS


class Desk:
    """A book of account A whose events happen when each call says, with a clock that is moved on."""

    def __init__(self, calendar: Calendar | None = None) -> None:
        self.clock = ManualClock(MONDAY)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.book: Book = projections.open(self.store, snapshots=False, calendars=calendar)
        self.book.append("account/A/-", AccountOpened(starting_balance=Decimal(1_000), currency="USD"))
        self.book.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))

    def cash(self, at: int, amount: int, kind: CashKind = CashKind.FUNDING, currency: str = "USD") -> None:
        self.until(at)
        event = CashMoved(amount=Decimal(amount), currency=currency, kind=kind)
        self.book.append("account/A/-", event, occurred_at=at)

    def trip(self, at: int, number: int, points: int) -> None:
        self.until(at)
        for side, price in ((Side.BUY, 100), (Side.SELL, 100 + points)):
            fill = OrderFilled(
                trade_id=f"{number}{side}", symbol="ES", side=side, quantity=Decimal(1), price=Decimal(price)
            )
            self.book.append(f"order/A/{number}", fill, occurred_at=at)

    def day(self, number: int, *, cash_at_reset: CashAtReset | None = None) -> None:
        """Record a trading day of January from midnight to midnight."""
        began_at = MONDAY + (number - 5) * 24 * HOUR
        event = SessionReset(
            trading_day=date(2026, 1, number),
            scheduled_for=began_at,
            resets_at=began_at + 24 * HOUR,
            cash_at_reset=cash_at_reset,
        )
        self.book.append(f"session/A/2026-01-{number:02}", event, occurred_at=began_at)

    def until(self, at: int) -> None:
        self.clock.set(max(at, self.clock.now_ns()))

    def of_day(self, number: int) -> dict[str | None, Decimal]:
        return cash_of(self.book.pnl.day("A", trading_day=date(2026, 1, number)))


def cash_of(totals: tuple[PnlTotals, ...]) -> dict[str | None, Decimal]:
    assert all(each.net == each.realized - each.fees + each.cash for each in totals)
    return {each.currency: each.cash for each in totals if each.cash}


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.book.close()
    made.store.close()


@pytest.mark.parametrize("kind", [CashKind.DEPOSIT, CashKind.WITHDRAWAL, CashKind.TRANSFER, CashKind.PAYOUT])
def test_what_moves_in_or_out_is_in_no_result(desk: Desk, kind: CashKind) -> None:
    desk.day(5)
    desk.cash(MONDAY + HOUR, 300, kind)
    assert (desk.of_day(5), desk.book.pnl.total("A"), desk.book.pnl.days("A")) == ({}, (), ())
    assert desk.book.accounts.balance("A") == (1_300 if kind in {CashKind.DEPOSIT, CashKind.TRANSFER} else 700)


@pytest.mark.parametrize("kind", RESULTS)
def test_what_is_earned_or_paid_is_in_every_result_and_once_in_the_balance(desk: Desk, kind: CashKind) -> None:
    desk.day(5)
    desk.trip(MONDAY + HOUR, 1, 2)
    desk.cash(MONDAY + HOUR, 300, kind)
    cash = -300 if kind is CashKind.FEE else 300
    pnl = desk.book.pnl
    asked = (pnl.day("A"), pnl.session("A"), pnl.week("A"), pnl.span("A"), pnl.total("A"), pnl.days("A")[0][1])
    assert [(each.realized, each.fees, each.cash, each.net) for (each,) in asked] == [(100, 0, cash, 100 + cash)] * 6
    assert desk.book.accounts.balance("A") == 1_000 + 100 + cash
    assert [(each.symbol, each.net) for each in pnl.by_symbol("A")] == [(None, cash), ("ES", 100)]


def test_a_fee_below_zero_is_a_rebate_and_nothing_is_in_no_day(desk: Desk) -> None:
    desk.day(5)
    desk.cash(MONDAY + HOUR, 0)
    assert desk.book.pnl.days("A") == ()
    desk.cash(MONDAY + HOUR, -5, CashKind.FEE)
    assert desk.of_day(5) == {"USD": 5}


def test_cash_in_other_currencies_is_never_summed(desk: Desk) -> None:
    desk.day(5)
    desk.cash(MONDAY + HOUR, -10, currency="EUR")
    desk.cash(MONDAY + HOUR, -20, currency="USDT")
    assert desk.of_day(5) == {"EUR": -10, "USDT": -20}
    assert [each.currency for each in desk.book.pnl.total("A")] == ["EUR", "USDT"]
    assert desk.book.accounts.balance("A") == 1_000


def test_a_movement_reported_late_belongs_to_its_time(desk: Desk) -> None:
    desk.day(5)
    desk.day(6)
    desk.until(TUESDAY + 5 * HOUR)
    desk.cash(MONDAY + HOUR, -300)
    assert (desk.of_day(5), desk.of_day(6)) == ({"USD": -300}, {})


def test_a_movement_stamped_in_the_future_counts_when_it_was_recorded(desk: Desk) -> None:
    desk.day(5)
    event = CashMoved(amount=Decimal(-300), currency="USD", kind=CashKind.FUNDING)
    desk.book.append("account/A/-", event, occurred_at=MONDAY + 240 * HOUR)
    desk.until(MONDAY + HOUR)
    desk.book.append("account/A/-", event, occurred_at=MONDAY + 240 * HOUR)
    assert desk.of_day(5) == {"USD": -600}


def test_cash_exactly_at_a_reset_is_of_the_day_that_ends(desk: Desk) -> None:
    for number in (5, 6):
        desk.day(number)
    for at, amount in ((MONDAY, 1), (MONDAY + 1, 2), (TUESDAY, 4), (TUESDAY + 1, 8), (WEDNESDAY, 16)):
        desk.cash(at, amount)
    assert (desk.of_day(5), desk.of_day(6)) == ({"USD": 2 + 4}, {"USD": 8 + 16})


@pytest.mark.parametrize("days_first", [True, False])
def test_a_calendar_may_say_that_it_is_of_the_day_that_begins(desk: Desk, *, days_first: bool) -> None:
    numbers = (5, 6) if days_first else ()
    for number in numbers:
        desk.day(number, cash_at_reset=BEGINS)
    for at, amount in ((MONDAY, 1), (MONDAY + 1, 2), (TUESDAY, 4), (TUESDAY + 1, 8), (WEDNESDAY, 16)):
        desk.cash(at, amount)
    for number in () if days_first else (6, 5):
        desk.day(number, cash_at_reset=BEGINS)
    assert (desk.of_day(5), desk.of_day(6)) == ({"USD": 1 + 2}, {"USD": 4 + 8})
    assert cash_of(desk.book.pnl.total("A")) == {"USD": 31}
    steps = desk.book.state(VIEW, "A").ledger.steps
    assert [step.at for step in steps] == [MONDAY, MONDAY, TUESDAY, TUESDAY, WEDNESDAY]


def test_of_cash_that_was_recorded_before_its_day_the_newest_movements_are_moved(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pnl_path, "CASH_MAX", 2)
    for amount in (1, 2, 4):
        desk.cash(TUESDAY, amount)
    desk.day(6, cash_at_reset=BEGINS)
    assert desk.of_day(6) == {"USD": 6}


def test_a_days_best_follows_cash_too(desk: Desk) -> None:
    desk.day(5)
    desk.trip(MONDAY + HOUR, 1, 2)
    desk.cash(MONDAY + 2 * HOUR, 50)
    desk.cash(MONDAY + 3 * HOUR, -120)
    desk.trip(MONDAY + 4 * HOUR, 2, 1)
    assert [desk.book.bests.realized("A", MONDAY + 5 * HOUR, net=net) for net in (True, False)] == [150, 150]
    assert desk.book.bests.realized("A", MONDAY + 5 * HOUR, "EUR") == 0


@pytest.mark.parametrize(("cash_at_reset", "cash"), [(CashAtReset.DAY_THAT_ENDS, -8), (BEGINS, -2)])
def test_a_day_that_no_session_records_has_its_cash_by_the_calendar(cash_at_reset: CashAtReset, cash: int) -> None:
    everyday = tuple(range(7))
    calendar = Calendar(zone="UTC", open=time(1), reset=time(1), weekdays=everyday, cash_at_reset=cash_at_reset)
    desk = Desk(calendar)
    for at, amount in ((MONDAY + HOUR, 2), (TUESDAY + HOUR, 8)):
        desk.cash(at, -amount)
    desk.until(TUESDAY + 2 * HOUR)
    at = TUESDAY + HOUR - 1
    assert risk_cache(desk.book, "A", at).day_sums.cash == {"USD": cash}
    desk.cash(MONDAY + 2 * HOUR, 5)
    best = 5 if cash_at_reset is CashAtReset.DAY_THAT_ENDS else 3
    assert desk.book.bests.realized("A", at, planned=calendar.day_at(at)) == best


def test_a_calendar_and_its_sessions_state_where_cash_belongs(tmp_path: Path) -> None:
    file = tmp_path / "risk.toml"
    text = '[defaults.calendar]\nzone = "UTC"\nopen = "00:00"\nreset = "00:00"\n'
    file.write_text(text + 'cash_at_reset = "day-that-begins"\n', "utf-8")
    day = load(file).calendars["*"].day_at(MONDAY)
    assert (day.opened().cash_at_reset, day.reset().cash_at_reset) == (BEGINS, BEGINS)
    file.write_text(text, "utf-8")
    assert load(file).calendars["*"].day_at(MONDAY).reset().cash_at_reset is None
    file.write_text(text + 'cash_at_reset = "tomorrow"\n', "utf-8")
    with pytest.raises(InvalidEvent, match="day-that-ends, day-that-begins"):
        load(file)
    with pytest.raises(InvalidEvent, match="cash_at_reset"):
        Calendar(zone="UTC", open=time(0), reset=time(0), cash_at_reset="day-that-begins")  # type: ignore[arg-type]


def test_a_restart_with_and_without_a_cut_knows_the_cash(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store, projections.open(store) as book:
        at = store.clock.now_ns() - HOUR
        for kind in CashKind:
            book.append("account/A/-", CashMoved(amount=Decimal(7), currency="USD", kind=kind), occurred_at=at)
        days, total, balance = book.pnl.days("A"), book.pnl.total("A"), book.accounts.balance("A")
        assert (cash_of(total), balance) == ({"USD": 14}, 14)
        assert book.snapshot()
    for snapshots in (None, False):
        with eventstore.open(tmp_path) as store, projections.open(store, snapshots=snapshots) as book:
            assert (book.pnl.days("A"), book.pnl.total("A"), book.accounts.balance("A")) == (days, total, balance)
