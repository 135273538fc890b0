"""What was traded under a clock that ran ahead counts for the day that it really was."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

import projections
from eventstore.trading import OrderFilled, OrderSubmitted, OrderType, Side, TradeBusted
from projections.risk.policies.protocol import day_key
from tests.projections.clockwork import DAY, HOUR, MINUTE, NOON, locked
from tests.projections.wrong_clocks.desk import MONDAY, RESET, TUESDAY, Desk, Way, seen, seen_by_one


def trip(desk: Desk, number: int, points: int) -> None:
    """Buy and sell one contract, worth fifty a point."""
    stream = f"order/A/O{number}"
    order = OrderSubmitted(symbol="ES", side=Side.BUY, order_type=OrderType.MARKET, quantity=Decimal(1))
    desk.store.append(stream, order)
    for side, price in ((Side.BUY, 100), (Side.SELL, 100 + points)):
        trade_id, one = f"{side}-{number}", Decimal(1)
        fill = OrderFilled(trade_id=trade_id, symbol="ES", side=side, quantity=one, price=Decimal(price))
        desk.store.append(stream, fill)
    desk.tick()


def buy(desk: Desk, quantity: int, price: int) -> None:
    _fill(desk, Side.BUY, quantity, price)


def sell(desk: Desk, quantity: int, price: int) -> None:
    _fill(desk, Side.SELL, quantity, price)


def _fill(desk: Desk, side: Side, quantity: int, price: int) -> None:
    fill = OrderFilled(
        trade_id=f"{side}-{price}", symbol="ES", side=side, quantity=Decimal(quantity), price=Decimal(price)
    )
    desk.store.append("order/A/O1", fill)
    desk.tick()


def results(desk: Desk, *days: date) -> list[Decimal]:
    """Return what each day has realized."""
    found = [desk.book.pnl.day("A", trading_day=day) for day in days]
    return [sum((total.realized for total in totals), Decimal(0)) for totals in found]


def counts(desk: Desk) -> tuple[int, int, int]:
    today = desk.book.counters.today("A")
    return today.orders, today.fills, today.round_trips


@pytest.mark.parametrize("by", [HOUR, 12 * HOUR, DAY, 7 * DAY])
def test_the_day_continues_with_its_results_and_counts(desk: Desk, set_clock: Way, by: int) -> None:
    trip(desk, 1, -10)
    set_clock(desk, NOON + by)
    trip(desk, 2, 4)
    set_clock(desk, NOON + MINUTE)
    trip(desk, 3, -1)
    assert results(desk, MONDAY) == [-350]
    assert counts(desk) == (3, 6, 3)
    assert desk.book.equity.now("A").realized == -350


def test_the_day_named_by_the_wrong_clock_begins_without_results(desk: Desk, set_clock: Way) -> None:
    set_clock(desk, NOON + DAY)
    trip(desk, 1, 100)
    set_clock(desk, NOON + MINUTE)
    desk.advance(RESET - NOON)
    trip(desk, 2, -3)
    desk.advance(DAY - HOUR)
    assert results(desk, MONDAY, TUESDAY) == [5000, -150]
    assert counts(desk) == (1, 2, 1)


def test_the_best_result_of_the_day_includes_what_the_wrong_clock_dated(desk: Desk, set_clock: Way) -> None:
    set_clock(desk, NOON + DAY)
    trip(desk, 1, 10)
    trip(desk, 2, -8)
    set_clock(desk, NOON + MINUTE)
    assert desk.book.bests.realized("A", desk.clock.now_ns()) == 500


def test_a_bust_of_such_a_trade_counts_for_the_same_day(desk: Desk, set_clock: Way) -> None:
    set_clock(desk, NOON + DAY)
    buy(desk, 3, 100)
    sell(desk, 1, 110)
    sell(desk, 1, 101)
    set_clock(desk, NOON + MINUTE)
    assert desk.book.bests.realized("A", desk.clock.now_ns()) == 550
    desk.store.append("order/A/O1", TradeBusted(trade_id="SELL-110", symbol="ES"))
    desk.tick()
    assert results(desk, MONDAY, TUESDAY) == [50, 0]
    assert desk.book.bests.realized("A", desk.clock.now_ns()) == 50


def test_several_jumps_leave_the_results_with_the_day(desk: Desk, set_clock: Way) -> None:
    for number, by in enumerate((DAY, 7 * DAY, HOUR, 2 * DAY), 1):
        set_clock(desk, NOON + by)
        trip(desk, number, -1)
        set_clock(desk, NOON + MINUTE)
    assert results(desk, MONDAY) == [-200]
    assert counts(desk) == (4, 8, 4)


@pytest.mark.parametrize("set_clock", [seen, seen_by_one])
def test_a_clock_wrongly_set_back_hides_no_loss(desk: Desk, set_clock: Way) -> None:
    trip(desk, 1, 2)
    desk.advance(RESET - NOON + HOUR)
    trip(desk, 2, -10)
    set_clock(desk, NOON + MINUTE)
    # It cannot be known that the clock was right: the loss counts for the day that it is by the clock.
    assert desk.day() == MONDAY
    assert results(desk, MONDAY) == [-400]
    trip(desk, 3, -1)
    set_clock(desk, RESET + 2 * HOUR)
    assert desk.day() == TUESDAY
    assert results(desk, MONDAY, TUESDAY) == [50, -500]


@pytest.mark.parametrize("by", [DAY, 7 * DAY])
def test_a_loss_after_the_clock_is_put_right_locks_until_the_true_reset(desk: Desk, set_clock: Way, by: int) -> None:
    desk.limit(400)
    set_clock(desk, NOON + by)
    set_clock(desk, NOON + MINUTE)
    trip(desk, 1, -10)
    [lockout] = desk.book.lockouts.active("A", desk.clock.now_ns())
    assert lockout.until == RESET
    desk.advance(RESET - NOON)
    assert not locked(desk.book)


def test_losses_under_both_times_of_a_day_add_up(desk: Desk, set_clock: Way) -> None:
    desk.limit(900)
    set_clock(desk, NOON + DAY)
    trip(desk, 1, -10)
    set_clock(desk, NOON + MINUTE)
    assert not locked(desk.book)
    trip(desk, 2, -10)
    assert locked(desk.book)


def test_what_is_decided_once_a_day_is_decided_again(desk: Desk, set_clock: Way) -> None:
    """A lockout at a quote of a day that had not come must not keep that day's own from being set."""
    set_clock(desk, NOON + DAY)
    wrong = day_key(desk.book, "A", desk.clock.now_ns())
    set_clock(desk, NOON + MINUTE)
    desk.advance(DAY)
    assert wrong == "A/2025-07-22"
    assert day_key(desk.book, "A", desk.clock.now_ns()).startswith("A/2025-07-22/")


def test_every_replay_has_the_same_results(desk: Desk, set_clock: Way) -> None:
    for number, by in enumerate((DAY, 0, 7 * DAY, HOUR), 1):
        set_clock(desk, NOON + by)
        trip(desk, number, -number)
    with projections.open(desk.store, snapshots=False) as other:
        for view in ("executions", "counters"):
            assert other.state(view, "A") == desk.book.state(view, "A")
