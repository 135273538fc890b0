"""The values that checks cache are never older than the log, nor of another day, limit or book."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from datetime import time
from decimal import Decimal
from typing import Any

import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    AccountUpdated,
    BlackoutScheduled,
    ContractDefined,
    EquityMarked,
    LimitsSet,
    OrderFilled,
    SessionClosed,
    SessionOpened,
    Side,
)
from projections import Book, risk
from projections.risk import checking, exposures, holdings
from projections.sessions import Calendar
from projections.views.executions.view import ExecutionsView
from projections.views.limits.view import LimitsView
from tests.projections.checked_orders import BUY, PASS, REJECT, SELL, check_order, lock, proposal, work
from tests.projections.examples import in_thread
from tests.projections.rules_day import CALENDAR, HOUR, NEXT_RESET, NOON, RESET, SECOND, Day


def verdict_at(day: Day, now: int) -> object:
    return risk.check(day.book, proposal(), now).verdict


# Days


def test_at_the_reset_itself_the_next_day_begins(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.make("-1000")
    day.end()
    for now, verdict in ((RESET - 1, REJECT), (RESET, PASS), (RESET - 1, REJECT), (RESET, PASS)):
        assert verdict_at(day, now) is verdict


def test_a_reset_without_a_record_begins_the_calendar_s_day(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.limit("trade-limit", limit=9)
    day.make("-1000")
    assert check_order(day).verdict is REJECT
    day.clock.set(RESET)
    assert check_order(day).verdict is PASS
    day.make("-1000")
    assert check_order(day).verdict is REJECT
    # Midnight in UTC ends no trading day.
    day.clock.set(RESET + 2 * HOUR)
    assert check_order(day).verdict is REJECT
    day.end(late=True)
    assert check_order(day).verdict is REJECT
    assert verdict_at(day, NEXT_RESET) is PASS


def test_a_day_recorded_late_includes_what_happened_in_it(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.end()
    day.clock.set(NEXT_RESET + HOUR)
    day.make("-1000")
    assert check_order(day).verdict is REJECT
    planned = CALENDAR.day_at(NEXT_RESET)
    day.book.append(
        f"session/A/{planned.name}", SessionOpened(trading_day=planned.trading_day, began_at=NEXT_RESET + 2 * HOUR)
    )
    assert check_order(day).verdict is REJECT
    assert verdict_at(day, NEXT_RESET + 2 * HOUR) is PASS


def test_without_sessions_and_calendar_a_day_is_the_date_in_utc() -> None:
    midnight = NOON - NOON % (24 * HOUR) + 24 * HOUR
    with EventStore(MemoryJournal(), clock=ManualClock(midnight - HOUR)) as store:
        book = projections.open(store)
        book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        book.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
        book.append("limits/A/x", LimitsSet(rule_id="daily-loss", parameters={"limit": "1000"}), actor="desk")
        for number, (side, price) in enumerate(((BUY, 5_000), (SELL, 4_980))):
            filled = OrderFilled(
                trade_id=f"{number}", symbol="ES", side=side, quantity=Decimal(1), price=Decimal(price)
            )
            book.append(f"order/A/{number}", filled)
        for now, verdict in ((midnight - 1, REJECT), (midnight, PASS), (midnight - 1, REJECT)):
            assert risk.check(book, proposal(), now).verdict is verdict


def test_another_calendar_applies_at_once(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.clock.set(RESET + HOUR)
    day.make("-1000")
    day.clock.set(RESET + 3 * HOUR)
    assert check_order(day).verdict is REJECT
    day.book.sessions.calendars["A"] = Calendar(zone="America/Chicago", open=time(19), reset=time(19))
    assert check_order(day).verdict is PASS


def test_the_best_mark_of_a_day_ends_with_its_close(day: Day) -> None:
    """A day without a known end lasts until its close, an event that changes neither positions nor limits."""
    day.account = "B"
    day.book.append("account/B/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
    # Another day than the calendar's and than the date, of which the instant is once no session has it.
    planned = CALENDAR.day_at(NEXT_RESET - 1)
    opened = SessionOpened(trading_day=planned.trading_day, began_at=NOON - HOUR)
    day.book.append(f"session/B/{planned.name}", opened)
    day.limit("daily-loss", limit="1000", trailing=True, basis="equity")
    figures = dict.fromkeys(("balance", "equity", "high_water"), Decimal(51_000))
    made: dict[str, Any] = {**figures, "unrealized": Decimal(1_000), "trading_day": planned.trading_day}
    day.book.append("equity/B/-", EquityMarked(currency="USD", **made))
    assert check_order(day, account="B").verdict is REJECT
    day.book.append(f"session/B/{planned.name}", SessionClosed(trading_day=planned.trading_day))
    assert check_order(day, account="B").verdict is PASS


# Limits


def test_a_limit_comes_into_force_at_its_instant(day: Day) -> None:
    later = LimitsSet(rule_id="order-size", parameters={"limit": "0.5"}, effective_from=NOON + HOUR)
    assert check_order(day).verdict is PASS
    day.book.append("limits/A/x", later, actor="desk")
    for now, verdict in ((NOON + HOUR - 1, PASS), (NOON + HOUR, REJECT), (NOON + HOUR - 1, PASS)):
        assert verdict_at(day, now) is verdict


def test_a_loosening_waits_for_the_next_day(day: Day) -> None:
    day.limit("order-size", limit="0.5")
    assert check_order(day).verdict is REJECT
    day.limit("order-size", limit="5")
    assert check_order(day).verdict is REJECT
    day.end()
    assert check_order(day).verdict is PASS


def test_a_recorded_limit_is_in_force_for_a_clock_behind_the_log(day: Day) -> None:
    day.limit("order-size", limit="0.5")
    day.limit("maximum-position", limit="9")
    held = day.book.limits.get("A", "order-size", NOON + HOUR)
    assert held is not None
    assert held.set_at > NOON
    for now in (NOON, NOON - HOUR, held.set_at, NOON):
        assert verdict_at(day, now) is REJECT


# Records


def test_each_record_changes_the_next_answer(day: Day) -> None:
    day.limit("maximum-position", limit="3")
    day.limit("order-size", limits={"MINI": "0.5"})
    assert check_order(day).verdict is PASS
    work(day, "W", BUY, "3")
    assert check_order(day).verdict is REJECT
    day.book.append("order/A/W", eventstore.trading.OrderCanceled())
    assert check_order(day).verdict is PASS
    day.book.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), root="MINI", currency="USD"))
    assert check_order(day).verdict is REJECT
    day.define("ES")
    assert check_order(day).verdict is PASS
    day.book.append("blackout/A/x", BlackoutScheduled(start=NOON, stop=NOON + HOUR))
    assert check_order(day).verdict is REJECT
    assert verdict_at(day, NOON + HOUR) is PASS


def test_a_broker_s_report_changes_the_next_answer(day: Day) -> None:
    day.limit("available-balance", minimum="1000")
    assert check_order(day).verdict is PASS
    day.book.append("account/A/-", AccountUpdated(available=Decimal(999), currency="USD"))
    assert check_order(day).verdict is REJECT


def test_realized_money_follows_the_contract_as_it_was_defined_then(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.make("-500")
    assert check_order(day).verdict is PASS
    day.define("ES", "100")
    # What was realized at 50 a point stays: 500 lost.
    assert check_order(day).verdict is PASS
    day.fill(BUY, "5000")
    day.fill(SELL, "4995")
    # 5 points at 100 each more: 1,000 lost.
    assert check_order(day).verdict is REJECT


def test_positions_and_working_orders_follow_the_contract(day: Day) -> None:
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(BUY, "5000", quantity="2")
    day.quote("4993")
    assert check_order(day).verdict is PASS
    day.define("ES", "100")
    assert check_order(day).verdict is REJECT
    lock(day)
    work(day, "STOP", SELL, "1", "CON.EP")
    assert check_order(day, SELL, "2").verdict is PASS, "not known to be the same contract yet"
    day.book.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), broker_ids=("CON.EP",)))
    assert check_order(day, SELL, "2").verdict is REJECT


def test_accounts_are_cached_separately(day: Day) -> None:
    day.limit("order-size", limit="0.5")
    for _ in range(2):
        assert check_order(day).verdict is REJECT
        assert check_order(day, account="B").verdict is PASS


def test_nothing_is_computed_again_while_nothing_changes(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    day.limit("daily-loss", limit="1000")
    day.limit("maximum-position", limit="5")
    day.fill(BUY, "5000")
    day.quote("5000")
    first = check_order(day)
    lookups: list[str] = []
    for name, question in (("pnl", "day"), ("positions", "of"), ("orders", "open"), ("limits", "of")):
        monkeypatch.setattr(getattr(day.book, name), question, lambda *_, name=name: lookups.append(name))
    day.quote("5001")
    assert check_order(day) == first
    assert lookups == []


# Other books and other states


def test_the_cache_does_not_keep_a_book_alive(day: Day) -> None:
    book = projections.open(day.store)
    risk.check(book, proposal(), NOON)
    gone = weakref.ref(book)
    del book
    gc.collect()
    assert gone() is None


def test_two_books_on_one_log_are_cached_separately(day: Day) -> None:
    other = projections.open(day.store)
    assert risk.check(other, proposal(), NOON).verdict is PASS
    day.limit("order-size", limit="0.5")
    assert check_order(day).verdict is REJECT
    assert risk.check(other, proposal(), NOON).rule_id == "order-size"


class Lenient(LimitsView):
    """Ignores every limit."""

    @override
    def apply(self, state: Any, event: Any, record: Any) -> None:
        """Do nothing."""


def test_a_rebuilt_view_invalidates_the_cache_even_from_a_cut(day: Day) -> None:
    day.limit("order-size", limit="0.5")
    day.book.snapshot()
    book = projections.open(day.store)
    assert book.recovery.tail == 0
    assert risk.check(book, proposal(), NOON).verdict is REJECT
    book.rebuild(Lenient())
    assert risk.check(book, proposal(), NOON).verdict is PASS
    book.rebuild(LimitsView())
    assert risk.check(book, proposal(), NOON).verdict is REJECT


def test_a_retried_partition_invalidates_the_cache(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    day.limit("maximum-position", limit="2")
    assert check_order(day, quantity="2").passed
    with monkeypatch.context() as broken:
        broken.setattr(ExecutionsView, "apply_beside", _fail)
        day.fill(BUY, "5000")
    assert "view executions stopped for A" in check_order(day).reason
    assert day.book.retry("executions", "A")
    day.quote("5000")
    assert check_order(day, quantity="2").rule_id == "maximum-position"
    assert check_order(day, quantity="1").passed


def _fail(*_: object) -> None:
    msg = "broken"
    raise ValueError(msg)


# Threads


def closing(day: Day, quantity: int) -> None:
    """Hold a position and a working order that closes all of it: nothing more can reduce it."""
    day.fill(BUY, "5000", quantity=str(quantity))
    work(day, "CLOSE", SELL, str(quantity))
    lock(day)


def sell_one(day: Day, number: int) -> None:
    event = OrderFilled(trade_id=f"C{number}", symbol="ES", side=Side.SELL, quantity=Decimal(1), price=Decimal(5_000))
    day.book.append("order/A/CLOSE", event)


def test_a_record_folded_between_two_lookups_repeats_the_check(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    closing(day, 3)
    numbers, of = iter(range(2)), holdings.open_positions_of

    def of_and_then_fold(book: Book, account: str) -> Any:  # noqa: ANN401 - as the question's
        found = of(book, account)
        for number in numbers:
            in_thread(lambda: sell_one(day, number))()  # noqa: B023 - called at once
            break
        return found

    monkeypatch.setattr(exposures, "open_positions_of", of_and_then_fold)
    assert check_order(day, SELL).verdict is REJECT
    assert list(numbers) == []


def test_after_some_attempts_the_check_pauses_the_book(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    closing(day, 9)
    numbers, of, lock_held = iter(range(9)), holdings.open_positions_of, day.book._lock

    def of_and_then_fold(book: Book, account: str) -> Any:  # noqa: ANN401 - as the question's
        found = of(book, account)
        if not lock_held._is_owned():  # type: ignore[attr-defined]
            number = next(numbers)
            in_thread(lambda: sell_one(day, number))()
        return found

    monkeypatch.setattr(exposures, "open_positions_of", of_and_then_fold)
    assert check_order(day, SELL).verdict is REJECT
    assert next(numbers) == checking.ATTEMPTS


@pytest.mark.untraced
def test_threads_that_check_while_another_folds_mix_no_log_positions(day: Day) -> None:
    count = 300
    closing(day, count)
    ended, passed, lookups = threading.Event(), [0, 0], [0, 0]

    def check(reader: int) -> None:
        while not ended.is_set():
            passed[reader] += check_order(day, SELL).passed
            lookups[reader] += 1

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    joins = [in_thread(lambda reader=reader: check(reader)) for reader in (0, 1)]  # type: ignore[misc]
    try:
        for number in range(count - 1):
            sell_one(day, number)
    finally:
        ended.set()
        for join in joins:
            join()
        sys.setswitchinterval(interval)
    assert min(lookups) > 0
    assert passed == [0, 0]
    assert day.book.positions.get("A", "ES").quantity == 1
    assert day.clock.now_ns() < NOON + SECOND
