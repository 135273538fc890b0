"""Checks before an order: symbols and roots that are blocked, and blackouts."""

from __future__ import annotations

from decimal import Decimal

from eventstore.trading import BlackoutScheduled, ContractDefined
from tests.projections.checked_orders import PASS, REJECT, check_order
from tests.projections.rules_day import HOUR, NOON, Day


def test_a_blocked_root_blocks_its_futures_and_all_their_names(day: Day) -> None:
    contract = ContractDefined(symbol="ESZ6", multiplier=Decimal(50), root="ES", broker_ids=("CON.EP.Z26",))
    day.book.append("contract/-/ESZ6", contract)
    day.limit("symbol-block", symbols=["ES"])
    assert check_order(day, symbol="CON.EP.Z26").reason == "Order blocked: ESZ6 is blocked for A (ES)"
    assert check_order(day, symbol="NQZ6").verdict is REJECT, "no contract says that it is none of ES"
    day.define("NQZ6")
    assert check_order(day, symbol="NQZ6").verdict is PASS


def test_a_blackout_rejects_orders_in_its_symbols_while_it_lasts(day: Day) -> None:
    event = BlackoutScheduled(start=NOON + HOUR, stop=NOON + 2 * HOUR, symbols=("ES",), reason="CPI")
    day.book.append("blackout/-/cpi", event)
    assert check_order(day).verdict is PASS
    day.clock.set(NOON + HOUR)
    assert check_order(day).reason == "Order blocked: blackout for ES (CPI); locked until 2026-11-20 11:00 CST"
    assert check_order(day, symbol="ZN").verdict is REJECT, "no contract says that it is none of ES"
    day.define("ZN")
    assert check_order(day, symbol="ZN").verdict is PASS
    day.clock.set(NOON + 2 * HOUR)
    assert check_order(day).verdict is PASS


def test_a_blackout_of_one_account_does_not_apply_to_others(day: Day) -> None:
    day.book.append("blackout/B/x", BlackoutScheduled(start=NOON, stop=NOON + HOUR, source="desk"))
    assert check_order(day).verdict is PASS
    assert check_order(day, account="B").rule_id == "blackout"
