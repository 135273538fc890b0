"""Prices that are reported late: they are in the confirming window where they belong, and before a split they are none.

What may be wrong with one: it happened before the newest, before the oldest that is kept, before a split or another
meaning of its name; it is absurd or no price; its trade is busted or corrected; many come at once.
"""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from eventstore.trading import AdjustmentReason, PositionAdjusted, TradeBusted, TradeCorrected, Valuation
from tests.views.market import KNOWN, Market, at_second


def split(market: Market, seconds: float) -> None:
    market.clock.set(at_second(seconds))
    event = PositionAdjusted(symbol="ESZ5", quantity=Decimal(1), reason=AdjustmentReason.SPLIT)
    market.book.append("position/A/ESZ5", event)


def test_a_late_fill_is_the_observation_before_a_later_one(market: Market) -> None:
    """Else what was seen before it would confirm what a single price says of a position that it has opened."""
    market.fill(0, 90)
    market.fill(60, 94, "T2")
    assert market.extremes() == (90, 94)
    market.fill(30, 101, "T3", now=61)
    assert market.extremes() == (94, 101)
    assert market.price(61) == (94, KNOWN)


def test_a_fill_before_the_observation_before_the_newest_changes_nothing(market: Market) -> None:
    market.fill(10, 90)
    market.fill(60, 94, "T2")
    market.fill(5, 101, "T3", now=61)
    assert market.extremes() == (90, 94)


def test_a_late_fill_may_be_the_first_observation(market: Market) -> None:
    """The order in which they are reported decides nothing."""
    market.fill(60, 94)
    assert market.extremes() is None
    market.fill(5, 101, "T2", now=61)
    assert market.extremes() == (94, 101)


def test_a_late_fill_widens_the_window_of_quotes(market: Market) -> None:
    for seconds, price in ((0, 94), (1, 94), (2, 94)):
        market.quote(seconds, last=price)
    market.fill(1.5, 101, now=2.1)
    assert market.extremes() == (94, 101)
    market.quote(2.9, last=94)
    assert market.extremes() == (94, 101), "at the window's begin it was in force"
    market.quote(3.1, last=94)
    assert market.extremes() == (94, 94)


@pytest.mark.parametrize(
    ("late", "valuation", "expected"),
    [
        ({"last": 97}, Valuation.LAST, (94, 97)),
        ({"bid": 96, "ask": 97}, Valuation.MID, (94, Decimal("96.5"))),
        ({"bid": 96, "ask": 97}, Valuation.LIQUIDATION, (93, 96)),
        ({"mark": 97}, Valuation.MARK, (94, 97)),
    ],
    ids=["last", "mid", "liquidation", "mark"],
)
def test_a_late_quote_is_in_the_window_where_it_belongs(
    market: Market, late: dict[str, Any], valuation: Valuation, expected: tuple[Decimal, Decimal]
) -> None:
    for seconds in (0, 1, 2):
        market.quote(seconds, last=94, bid=93, ask=95, mark=94)
    market.quote(1.5, now=2.1, **late)
    assert market.extremes(valuation) == expected
    assert market.price(2.1, valuation)[1] == KNOWN


@pytest.mark.parametrize(
    "late",
    [{"last": 0}, {"last": -1}, {"last": 940}, {"bid": 0, "ask": 0}, {"bid": 97}, {"bid": 99, "ask": 90}, {"mark": 0}],
    ids=str,
)
def test_a_late_quote_that_is_absurd_or_not_a_price_is_ignored(market: Market, late: dict[str, Any]) -> None:
    for seconds in (0, 1, 2):
        market.quote(seconds, last=94, bid=93, ask=95, mark=94)
    market.quote(1.5, now=2.1, **late)
    for valuation in Valuation:
        low, high = market.extremes(valuation)
        assert low == high in {93, 94}


def test_a_busted_fill_confirms_nothing(market: Market) -> None:
    market.quote(0, last=101)
    market.fill(30, 90)
    market.fill(60, 94, "T2")
    assert market.extremes() == (90, 94)
    market.book.append("trade/A/T1", TradeBusted(trade_id="T1"))
    assert market.price(60) == (94, KNOWN)
    assert market.extremes() is None
    market.quote(61, last=95)
    assert market.extremes() == (94, 95)


def test_a_corrected_fill_confirms_nothing_by_what_it_was(market: Market) -> None:
    market.quote(0, last=101)
    market.fill(30, 90)
    market.fill(60, 94, "T2")
    market.book.append("trade/A/T1", TradeCorrected(trade_id="T1", quantity=Decimal(1), price=Decimal(100)))
    assert market.extremes() is None


def test_a_busted_newest_fill_gives_way_to_a_late_one(market: Market) -> None:
    market.quote(0, last=100)
    market.fill(60, 104)
    market.fill(59, 98, "T2", now=61)
    market.book.append("trade/A/T1", TradeBusted(trade_id="T1"))
    assert market.price(61) == (98, KNOWN)


@pytest.mark.parametrize("late", ["quote", "fill", "first quote"])
def test_a_price_from_before_a_split_that_comes_after_it_is_none(market: Market, late: str) -> None:
    if late != "first quote":
        market.quote(0, last=100)
    market.quote(0, "NQZ5", last=5)
    split(market, 3)
    if late == "fill":
        market.fill(2, 100, now=4)
    else:
        market.quote(2, last=100, bid=99, ask=101, now=4)
    assert market.price(4)[0] is None
    market.quote(5, last=50)
    assert market.price(5) == (50, KNOWN)
    market.quote(2.5, last=100, now=6)
    market.fill(2.6, 100, "T9", now=6)
    assert market.price(6) == (50, KNOWN)
    market.quote(7, last=51)
    assert market.extremes() == (50, 51)


def test_a_split_under_a_clock_that_ran_ahead_keeps_out_no_later_price(market: Market) -> None:
    market.quote(0, last=100)
    split(market, 90_000)
    market.quote(10, last=50)
    market.quote(11, last=50)
    assert market.price(11) == (50, KNOWN)


@pytest.mark.untraced
def test_many_late_fills_leave_a_bounded_history(market: Market) -> None:
    market.quote(4_000, last=100)
    for number in range(700):
        market.fill(3_999 - number, 100, f"T{number}", now=4_000 + number / 1_000)
    assert len(market.book.state("quotes", "-").symbols["ESZ5"].history) < 600
