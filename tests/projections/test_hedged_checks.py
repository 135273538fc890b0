"""Checks where the venue keeps LONG and SHORT separate: what reduces, what counts, and what a request asks for."""

from __future__ import annotations

from decimal import Decimal

import pytest

from eventstore.trading import Allows, EnforcementAction, EnforcementRequested, OrderFilled, PositionSide, Side
from tests.projections.checked_orders import BUY, PASS, REJECT, SELL, WARNING, check_order, lock
from tests.projections.rules_day import Day

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def hedge(day: Day, side: Side, leg: PositionSide, quantity: str) -> None:
    event = OrderFilled(
        trade_id=f"{leg}{quantity}",
        symbol="ES",
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(5_000),
        position_side=leg,
    )
    day.book.append(f"order/A/{leg}", event)


def test_separate_long_and_short_positions_are_reduced_separately(day: Day) -> None:
    hedge(day, BUY, LONG, "3")
    hedge(day, SELL, SHORT, "2")
    lock(day)
    assert check_order(day, SELL, "3", position_side=LONG).verdict is PASS
    assert check_order(day, SELL, "4", position_side=LONG).verdict is REJECT
    assert check_order(day, BUY, "2", position_side=SHORT).verdict is PASS
    assert check_order(day, SELL, "1", position_side=SHORT).verdict is REJECT
    assert check_order(day, SELL, "1").verdict is REJECT, "nothing is held net"


@pytest.mark.parametrize(("leg", "closing", "opening"), [(LONG, SELL, BUY), (SHORT, BUY, SELL)])
def test_what_was_closed_without_an_opening_leaves_nothing_to_reduce(
    day: Day, leg: PositionSide, closing: Side, opening: Side
) -> None:
    hedge(day, closing, leg, "3")
    lock(day)
    assert check_order(day, opening, "3", position_side=leg).verdict is REJECT, "at the venue it opens"
    hedge(day, opening, leg, "5")
    assert check_order(day, closing, "2", position_side=leg).verdict is PASS
    assert check_order(day, opening, "1", position_side=leg).verdict is REJECT


def test_separate_long_and_short_positions_count_together(day: Day) -> None:
    hedge(day, BUY, LONG, "3")
    hedge(day, SELL, SHORT, "3")
    day.quote("5000")
    day.limit("maximum-position", limit="7", warn_at="1")
    assert check_order(day, BUY, "1", position_side=LONG).verdict is WARNING
    assert check_order(day, BUY, "2", position_side=LONG).verdict is REJECT
    assert check_order(day, SELL, "2", position_side=SHORT).verdict is REJECT
    assert check_order(day, SELL, "8", position_side=LONG).verdict is PASS, "no side is turned around"


def test_what_may_remain_counts_over_both_sides_and_by_the_limit_s_weights(day: Day) -> None:
    lock(day, allows=Allows.NOTHING)
    hedge(day, BUY, LONG, "3")
    hedge(day, SELL, SHORT, "3")
    of_one = ask_to_reduce(day, "R1", quantity="5", symbol="ES")
    for side, leg in ((SELL, LONG), (BUY, SHORT)):
        assert check_order(day, side, "1", position_side=leg, caused_by=of_one).verdict is PASS
        assert check_order(day, side, "2", position_side=leg, caused_by=of_one).verdict is REJECT
    # 6 and 50 × 0.1 are 11.
    day.fill(BUY, "5000", "MES", quantity="50")
    day.limit("maximum-contracts", limit="9.5", weights={"MES": "0.1"})
    of_all = ask_to_reduce(day, "R2", quantity="9.5", rule_id="maximum-contracts")
    assert check_order(day, SELL, "15", "MES", caused_by=of_all).verdict is PASS
    assert check_order(day, SELL, "16", "MES", caused_by=of_all).verdict is REJECT
    assert check_order(day, SELL, "2", position_side=LONG, caused_by=of_all).verdict is PASS
    assert check_order(day, SELL, "3", position_side=LONG, caused_by=of_all).verdict is REJECT


def ask_to_reduce(day: Day, name: str, *, quantity: str, rule_id: str = "desk", symbol: str | None = None) -> bytes:
    event = EnforcementRequested(
        rule_id=rule_id, action=EnforcementAction.REDUCE_TO, quantity=Decimal(quantity), symbol=symbol, request_id=name
    )
    return day.book.append(f"enforcement/A/{name}", event)[0].id
