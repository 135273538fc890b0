"""The trailing drawdown: a floor that follows the highs, never falls, and survives a restart."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import ManualClock
from eventstore.trading import (
    AccountConfigured,
    CashKind,
    CashMoved,
    EquityMarked,
    LockoutCleared,
    QuoteReceived,
    Side,
)
from projections.risk.limits.marks import EquityMarks
from projections.risk.limits.trailing_drawdown import TrailingDrawdown
from projections.risk.policies import Policies
from tests.places import Place
from tests.projections.rules_day import ACCOUNT, CALENDAR, HOUR, NOON, SECOND, Day, marks, the_lockout

pytestmark = pytest.mark.in_each_place(slow=True)

TODAY = date(2026, 11, 20)
WAIT_SECONDS = 120


@pytest.fixture
def day(place: Place) -> Iterator[Day]:
    day = Day(place, [TrailingDrawdown(), EquityMarks()])
    day.define("ES")
    day.open_account()
    day.begin()
    yield day
    day.close()


def floor(day: Day) -> Decimal | None:
    mark = day.book.equity.get(ACCOUNT)
    return None if mark is None else mark.floor


# End of day


def test_an_end_of_day_floor_moves_at_the_close_only(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000", locks_at="50000")
    assert floor(day) == 48_000
    day.make("500")
    assert floor(day) == 48_000
    day.end()
    assert floor(day) == 48_500
    day.make("-500")
    day.end()
    assert floor(day) == 48_500
    day.make("2500")
    assert floor(day) == 48_500
    day.end()
    assert day.book.accounts.balance(ACCOUNT) == 52_500
    assert floor(day) == 50_000
    day.make("10000")
    day.end()
    assert floor(day) == 50_000
    day.make("-12499")
    assert not day.lockouts()
    day.make("-1")
    lockout = the_lockout(day)
    assert (lockout.until, lockout.revocable, lockout.scope) == (None, False, "account")
    assert lockout.reason == "equity 50,000.00 USD at the drawdown floor 50,000.00 reached; locked without end"


def test_a_fill_can_reach_the_first_floor(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000")
    day.make("-1999")
    assert not day.lockouts()
    crossing = day.make("-1")
    assert [record.causation_id for record in day.lockouts()] == [crossing.id]
    details = the_lockout(day).details
    assert isinstance(details, dict)
    assert (details["high"], details["distance"], details["basis"]) == ("50000", "2000", "end_of_day")
    assert len(day.book.enforcement.pending(ACCOUNT)) == 2


def test_open_positions_can_reach_an_end_of_day_floor(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000")
    day.fill(Side.BUY, "5000")
    day.confirm("5100")
    assert floor(day) == 48_000
    day.quote("4960")
    assert not day.lockouts()
    day.confirm("4960")
    assert the_lockout(day).reason.startswith("equity 48,000.00 USD at the drawdown floor 48,000.00 reached")


def test_the_lockout_lasts_across_days_and_nothing_clears_it(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000")
    day.make("-2000")
    day.book.append("lockout/A/trailing-drawdown", LockoutCleared(by="trader"))
    for _ in range(3):
        day.end()
    assert day.is_locked()
    assert day.is_locked(NOON + 1_000 * 24 * HOUR)


# Equity


def test_the_floor_follows_the_equity_up_and_stays_after_the_reversal(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2500", basis="equity")
    assert floor(day) == 47_500
    day.fill(Side.BUY, "5000")
    day.quote("5030")
    assert floor(day) == 47_500
    day.confirm("5030")
    assert floor(day) == 49_000
    [_, mark] = marks(day)
    assert mark.equity == mark.high_water == 51_500
    assert mark.unrealized == 1_500
    assert mark.trading_day == TODAY
    assert mark.quotes["ES"].price == 5_030
    assert mark.quotes["ES"].at == NOON + SECOND
    day.confirm("4981")
    assert floor(day) == 49_000
    day.quote("4980")
    assert not day.lockouts()
    day.confirm("4980")
    assert the_lockout(day).reason.startswith("equity 49,000.00 USD at the drawdown floor 49,000.00 reached")


def test_two_processes_mark_a_high_once(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2500", basis="equity")
    day.fill(Side.BUY, "5000")
    with projections.open(day.store, snapshots=False) as other:
        policies = Policies(other, [TrailingDrawdown(), EquityMarks()]).start(ticking=False)
        before = len(marks(day))

        def both_observe(price: str, other_price: str) -> None:
            for _ in range(2):
                day.quote(price)
                other.observe("quote/-/ES", QuoteReceived(symbol="ES", last=Decimal(other_price)))
                day.pass_seconds(1)

        for price in ("5030", "5040", "5010"):
            both_observe(price, price)
        assert [mark.equity for mark in marks(day)[before:]] == [51_500, 52_000]
        # A process that has not folded the other's mark takes this for a high.
        both_observe("5060", "5050")
        assert len(marks(day)[before:]) == 3
        both_observe("4990", "4990")
        assert len(day.lockouts()) == 1
        policies.stop()


def test_a_high_is_marked_once_for_each_step(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2500", basis="equity", step="100")
    day.fill(Side.BUY, "5000")
    before = len(marks(day))
    for price in ("5001", "5001.75", "5002", "5003", "5004", "5003"):
        day.confirm(price)
    assert [mark.equity for mark in marks(day)[before:]] == [50_100, 50_200]


def test_no_high_is_marked_while_a_position_has_no_price(day: Day) -> None:
    day.define("NQ", "20")
    day.limit("trailing-drawdown", distance="2500", basis="equity")
    day.fill(Side.BUY, "5000")
    day.fill(Side.BUY, "100", "NQ")
    # A fill is a price of the process that folds it as it happens, not of the next one.
    day.policies.stop()
    day.restart([TrailingDrawdown(), EquityMarks()])
    day.confirm("5030")
    assert floor(day) == 47_500
    day.confirm("75", "NQ")
    assert floor(day) == 48_500
    assert marks(day)[-1].equity == 51_000


def test_a_guessed_equity_is_not_a_high_even_if_something_else_is_marked(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2500", basis="equity")
    day.fill(Side.BUY, "5000")
    day.define("ES2")
    day.make("700", "ES2")
    day.limit("trailing-drawdown", distance="2000", basis="equity")
    mark = day.book.equity.get(ACCOUNT)
    assert mark is not None
    assert mark.floor == 48_000
    assert mark.high_water == 50_000
    day.end()
    mark = day.book.equity.get(ACCOUNT)
    assert mark is not None
    assert mark.floor == 48_000
    assert mark.high_water == 50_000
    assert mark.balance == 50_700


def test_a_stale_price_locks_nothing_without_end(day: Day) -> None:
    day.define("NQ", "20")
    day.limit("trailing-drawdown", distance="2500", basis="equity")
    day.fill(Side.BUY, "5000")
    day.fill(Side.BUY, "2000", "NQ")
    day.confirm("4970")
    day.pass_seconds(11)
    day.confirm("1950", "NQ")
    assert day.book.equity.now(ACCOUNT).equity == 47_500
    assert not day.lockouts()
    day.confirm("4970")
    details = the_lockout(day).details
    assert isinstance(details, dict)
    assert ("stale" in details, details["equity"]) == (False, "47500")


# Realized


def test_a_realized_floor_follows_each_fill_and_no_quote(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000", basis="realized")
    won = day.make("500")
    assert floor(day) == 48_500
    [record] = list(day.store.read(types=(EquityMarked,)))[1:]
    assert (record.causation_id, record.stream) == (won.id, "equity/A/-")
    day.fill(Side.BUY, "5000")
    day.quote("4000")
    assert not day.lockouts()
    day.fill(Side.SELL, "4960.25")
    assert not day.lockouts()
    day.make("-12.50")
    assert the_lockout(day).reason.startswith("balance 48,500.00 USD at the drawdown floor 48,500.00 reached")


def test_a_missed_breach_is_evaluated_at_the_start(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000", basis="realized")
    day.policies.stop()
    day.make("500")
    day.make("-2000")
    assert floor(day) == 48_000
    day.restart([TrailingDrawdown(), EquityMarks()])
    assert floor(day) == 48_500
    assert len(day.lockouts()) == 1


# The limit


def test_a_looser_distance_never_lowers_the_floor_and_a_tighter_one_raises_it(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000")
    day.limit("trailing-drawdown", distance="5000")
    day.end()
    assert [limit.parameters["distance"] for limit in day.book.limits.of(ACCOUNT)] == ["5000"]
    assert floor(day) == 48_000
    day.limit("trailing-drawdown", distance="1500")
    assert floor(day) == 48_500
    day.make("-1500")
    assert the_lockout(day).reason.startswith("equity 48,500.00 USD at the drawdown floor 48,500.00 reached")


def test_a_marked_floor_stays_whatever_is_set_later(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000")
    day.limit("trailing-drawdown", distance="5000")
    day.end()
    day.make("-1999")
    assert not day.lockouts()
    day.make("-1")
    assert the_lockout(day).reason.startswith("equity 48,000.00 USD at the drawdown floor 48,000.00 reached")


def test_a_warning_has_a_floor_of_its_own(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000")
    day.limit("trailing-drawdown:late", distance="2500", severity="WARNING")
    day.make("-2400")
    assert not day.breaches()
    day.make("-100")
    assert [breach.limit for breach in day.breaches()] == [47_500]


def test_a_warning_before_the_floor_locks_nothing_and_moves_no_floor(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000")
    day.limit("trailing-drawdown:soon", distance="1500", severity="WARNING")
    assert floor(day) == 48_000
    day.make("-1500")
    assert [breach.rule_id for breach in day.breaches()] == ["trailing-drawdown:soon"]
    assert day.breaches()[0].reason == "equity 48,500.00 USD at the drawdown floor 48,500.00 reached"
    assert not day.lockouts()


def test_a_payout_moves_the_floor_unless_the_account_keeps_it(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000")
    day.make("1000")
    day.end()
    assert floor(day) == 49_000
    paid = CashMoved(amount=Decimal(2_000), currency="USD", kind=CashKind.PAYOUT)
    day.book.append("account/A/-", paid)
    assert (floor(day), day.lockouts()) == (47_000, [])
    day.book.append("account/A/-", AccountConfigured(payout="keeps-floor"), actor="desk")
    [record] = day.book.append("account/A/-", paid)
    assert floor(day) == 47_000
    assert [found.causation_id for found in day.lockouts()] == [record.id]


def test_a_limit_in_another_currency_is_skipped(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000", currency="EUR")
    day.make("-5000")
    assert floor(day) is None
    assert not day.lockouts()


def test_an_undefined_contract_is_evaluated_when_it_is_defined(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000")
    day.make("-2000", "NQ")
    assert not day.policies.stopped
    assert not day.lockouts()
    day.define("NQ")
    assert len(day.lockouts()) == 1


# Crashes


def test_the_floor_survives_a_kill(place: Place) -> None:
    command = [sys.executable, "-m", "tests.projections.test_drawdown", str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "marked\n"
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait(WAIT_SECONDS) == -signal.SIGKILL
    clock = ManualClock(NOON + HOUR)
    with eventstore.open(place, clock=clock) as store, projections.open(store, calendars=CALENDAR) as book:
        mark = book.equity.get(ACCOUNT)
        assert mark is not None
        assert mark.floor == 49_000
        assert mark.high_water == 51_500
        policies = Policies(book, [TrailingDrawdown(), EquityMarks()]).start(ticking=False)
        # The quote is gone, and a new price below it is not a new high.
        assert book.equity.now(ACCOUNT).unquoted == ("ES",)
        for price in ("4980.25", "4980.25", "4980"):
            book.observe("quote/-/ES", QuoteReceived(symbol="ES", last=Decimal(price)))
            clock.advance(SECOND)
            assert not book.lockouts.active(ACCOUNT, book.now_ns())
        book.observe("quote/-/ES", QuoteReceived(symbol="ES", last=Decimal(4_980)))
        assert book.lockouts.active(ACCOUNT, book.now_ns())
        policies.stop()


def wait_to_be_killed(directory: str) -> None:
    """Be the process that sees the high, prints that, and stops."""
    day = Day(directory, [TrailingDrawdown(), EquityMarks()])
    day.define("ES")
    day.open_account()
    day.begin()
    day.limit("trailing-drawdown", distance="2500", basis="equity")
    day.fill(Side.BUY, "5000")
    day.confirm("5030")
    print("marked", flush=True)  # noqa: T201 - the parent waits for it
    signal.pause()


if __name__ == "__main__":
    wait_to_be_killed(sys.argv[1])
