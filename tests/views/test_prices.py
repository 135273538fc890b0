"""The price that a position is valued at: what is not one, what is not believed yet, and its status.

What can be wrong with the inputs: a quote is missing, one-sided, crossed, zero, negative, too wide, absurd once or for
good, late, from the future, repeated, old, or from before a split, a redefinition or a restart; a feed is quiet or
dead; a fill is late, repeated, busted before or after it is known, corrected or absurd; a setting is none.
"""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from decimal import Decimal
from typing import Any

import pytest

from eventstore.trading import (
    FeedAlive,
    Valuation,
)
from tests.views.market import KNOWN, LAST, LIQUIDATION, MARK, MID, STALE, START, UNKNOWN, WITHIN, Market, at_second

# What is not a price


@pytest.mark.parametrize(
    "values",
    [
        {"bid": 0, "ask": 0},
        {"bid": -1, "ask": -1},
        {"bid": 0, "ask": 101},
        {"bid": 99, "ask": 0},
        {"bid": 102, "ask": 101},
        {"last": 0},
        {"last": -5},
        {"mark": 0},
    ],
    ids=str,
)
def test_what_is_not_a_quote_leaves_the_price_standing_with_its_age(market: Market, values: dict[str, Any]) -> None:
    market.quote(0, bid=100, ask=101, last=100, mark=100, source="F")
    for seconds in (1, 3):
        market.quote(seconds, source="F", **values)
    assert market.price(3) == (100, KNOWN)
    valuation = MARK if "mark" in values else LAST if "last" in values else MID
    price = market.priced(11, valuation)
    # Its feed works, but this price is not unchanged: nothing keeps it fresh.
    assert price.standing.status.value == STALE
    assert price.at == START
    assert market.book.quotes.ticks("ESZ5")[-1].ignored


def test_a_side_alone_is_not_two_sided(market: Market) -> None:
    market.quote(0, bid=100)
    assert market.price(0) == (None, UNKNOWN)
    market.quote(1, ask=101)
    assert market.price(1, MID) == (Decimal("100.5"), KNOWN)


def test_a_spread_is_too_wide_by_the_ticks_of_a_known_contract(market: Market) -> None:
    market.quote(0, bid=100, ask="105.25")
    assert market.price(0, MID)[1] == KNOWN
    market.define(tick_size=Decimal("0.25"))
    market.quote(1, bid=100, ask=105)
    assert market.priced(1, MID).at == at_second(1)
    market.quote(2, bid=100, ask="105.25")
    assert market.priced(2, MID).at == at_second(1)


def test_only_a_contract_that_may_be_negative_has_a_price_below_zero(market: Market) -> None:
    market.define(may_be_negative=True)
    market.quote(0, last="-37.5", bid=-38, ask=-37)
    assert market.price(0) == (Decimal("-37.5"), KNOWN)
    market.quote(1, bid=-1, ask=-1)
    assert market.price(1, MID) == (Decimal("-37.5"), KNOWN)


def test_without_any_price_the_position_is_unknown(market: Market) -> None:
    price = market.priced(0)
    assert (price.price, price.standing.status.value, price.last_good) == (None, UNKNOWN, None)
    assert "ESZ5 was not quoted" in price.standing.why


# What is not believed yet


def test_one_absurd_print_is_ignored_and_dropped_when_the_price_is_back(market: Market) -> None:
    market.quote(0, last=6740)
    market.quote(1, last=67400)
    price = market.priced(1)
    assert (price.price, price.standing.status.value) == (6740, STALE)
    assert "67400" in price.standing.why
    market.quote(2, last=6741)
    assert market.price(2) == (6741, KNOWN)
    assert market.extremes() == (6740, 6741)


@pytest.mark.parametrize(("price", "is_accepted"), [("105", True), ("105.01", False), ("95", True), ("94.99", False)])
def test_the_band_is_five_percent_of_the_newest_accepted_price(market: Market, price: str, is_accepted: bool) -> None:
    market.quote(0, last=100)
    market.quote(1, last=price)
    assert market.price(1) == ((Decimal(price), KNOWN) if is_accepted else (100, STALE))


def test_a_second_later_price_near_the_first_confirms_it(market: Market) -> None:
    market.quote(0, last=100)
    market.quote(1, last=120)
    market.quote(1.9, last=121)
    assert market.price(1.9) == (100, STALE)
    market.quote(2, last=121)
    assert market.price(2) == (121, KNOWN)


def test_a_second_price_that_is_elsewhere_starts_waiting_again(market: Market) -> None:
    market.quote(0, last=100)
    market.quote(1, last=120)
    market.quote(2, last=150)
    market.quote(2.5, last=151)
    assert market.price(2.5) == (100, STALE)
    market.quote(3, last=150)
    assert market.price(3) == (150, KNOWN)


def test_a_clock_that_runs_ahead_confirms_nothing_sooner(market: Market) -> None:
    market.quote(0, last=100)
    market.quote(1, last=120)
    market.quote(8, now=1.5, last=120)
    assert market.price(2)[1] == STALE
    assert market.price(2)[0] == 100


def test_a_fill_near_it_confirms_at_once_and_another_one_drops_it(market: Market) -> None:
    market.quote(0, last=100, bid=99, ask=101)
    market.quote(1, bid=119, ask=121)
    market.fill(1.1, 120)
    assert market.price(1.1, MID) == (120, KNOWN)
    market.quote(2, bid=99, ask=101)
    market.fill(2.1, 119, "T2")
    assert market.price(2.1) == (119, KNOWN)
    assert market.price(2.1, MID) == (120, KNOWN)


def test_across_a_gap_the_band_is_three_times_as_wide(market: Market) -> None:
    market.quote(0, last=100)
    market.quote(3_600, last=114)
    assert market.price(3_600) == (114, KNOWN)


def test_a_spread_that_contradicts_a_repeated_print_keeps_it_out(market: Market) -> None:
    market.quote(0, last=100, bid=99, ask=101)
    for seconds in (1, 2, 3, 4):
        market.quote(seconds, last=1_000, bid=99, ask=101)
        assert market.price(seconds) == (100, STALE)


# Which price, and how old


def test_each_valuation_has_its_own_price(market: Market) -> None:
    market.quote(0, last=100, mark="100.25")
    market.quote(1, bid=101, ask=102)
    assert market.price(1, MARK) == (Decimal("100.25"), KNOWN)
    assert market.price(1, WITHIN) == (101, KNOWN)
    assert market.price(1, LAST) == (100, KNOWN)
    assert market.price(1, MID) == (Decimal("101.5"), KNOWN)
    assert market.price(1, LIQUIDATION) == (101, KNOWN)
    assert market.price(1, LIQUIDATION, long=False) == (102, KNOWN)


@pytest.mark.parametrize(
    ("valuation", "values"),
    [
        (MARK, {"last": 100, "bid": 100, "ask": 101}),
        (WITHIN, {"bid": 100, "ask": 101, "mark": 100}),
        (LAST, {"bid": 100, "ask": 101}),
        (MID, {"last": 100}),
        (LIQUIDATION, {"last": 100, "mark": 100}),
    ],
)
def test_another_kind_than_the_chosen_one_is_stale(
    market: Market, valuation: Valuation, values: dict[str, Any]
) -> None:
    market.quote(0, **values)
    price = market.priced(0, valuation)
    assert price.price is not None
    assert price.standing.status.value == STALE
    assert valuation.value in price.standing.why


def test_an_hour_old_last_is_held_within_the_fresh_spread(market: Market) -> None:
    market.quote(0, last=100)
    for seconds in (3_600, 3_601):
        market.quote(seconds, bid=80, ask="80.5")
    assert market.price(3_601) == (Decimal("80.5"), KNOWN)
    assert market.priced(3_601).at == at_second(3_601)


def test_a_spread_that_is_older_does_not_move_the_last(market: Market) -> None:
    market.quote(0, bid=99, ask=100)
    market.quote(1, last=102)
    assert market.price(1) == (102, KNOWN)


def test_a_quiet_feed_is_not_dead_and_a_dead_one_is(market: Market) -> None:
    market.quote(0, last=100, bid=99, ask=101, source="F")
    assert market.price(11)[1] == STALE
    market.alive(20, "F")
    assert market.price(30) == (100, KNOWN)
    market.quote(40, "NQZ5", last=5, source="F")
    assert market.price(50) == (100, KNOWN)
    assert market.price(51)[1] == STALE
    market.alive(60, "G")
    assert market.price(60)[1] == STALE


def test_a_price_that_is_known_for_one_instant_answers_for_no_other_than_it_may(market: Market) -> None:
    market.quote(0, bid=100, ask=101, source="F")
    market.quote(1, last=99)
    market.alive(9, "F")
    # The last price is stale, and the spread, which its feed has shown to be good, holds it.
    assert market.price(12) == (100, KNOWN)
    assert market.price(9) == (99, KNOWN)
    assert market.price(12) == (100, KNOWN)
    assert market.price(20)[1] == STALE
    assert market.price(9) == (99, KNOWN)
    assert market.price(-9)[1] == KNOWN
    assert market.price(-10)[1] == STALE
    market.book.quotes.stale_after_ns = 5 * 10**9
    assert market.price(9) == (100, KNOWN)


def test_what_came_without_a_source_is_kept_fresh_by_nothing_else(market: Market) -> None:
    market.quote(0, last=100)
    market.quote(11, "NQZ5", last=5)
    assert market.price(11)[1] == STALE


def test_a_heartbeat_from_the_future_keeps_nothing_for_good(market: Market) -> None:
    market.quote(0, last=100, source="F")
    market.clock.set(at_second(1))
    market.book.observe("feed/-/F", FeedAlive(source="F"), occurred_at=at_second(9_999))
    assert market.price(12)[1] == STALE


def test_an_old_fill_is_held_by_a_spread_whose_feed_is_alive(market: Market) -> None:
    market.quote(0, bid=99, ask=101, last=100, source="F")
    market.fill(1, 103)
    assert market.price(2) == (103, KNOWN)
    market.alive(12, "F")
    assert market.price(12) == (101, KNOWN)


@pytest.mark.parametrize("ahead", [11, 3_600])
def test_a_price_from_the_future_is_stale_and_does_not_stand_for_good(market: Market, ahead: int) -> None:
    market.quote(0, last=100)
    market.quote(ahead, now=0, last=101)
    assert market.price(0) == (101, STALE)
    market.quote(1, last=102)
    assert market.price(1) == (102, KNOWN)


def test_of_a_mid_the_older_side_counts(market: Market) -> None:
    market.quote(0, bid=99, ask=101)
    market.quote(9, bid=99)
    assert market.price(11, MID)[1] == STALE
    assert market.priced(9, MID).at == START


# Several names


def test_a_price_far_from_a_fresh_one_under_another_name_is_stale_and_confirms_nothing(market: Market) -> None:
    market.define("ESZ5", "ES-BROKER")
    for seconds in (0, 1, 2, 3):
        market.quote(seconds, last=100)
        # A feed that states it in cents.
        market.quote(seconds, "ES-BROKER", last=10_000)
    assert market.price(3)[1] == STALE
    assert "ES-BROKER" in market.priced(3).standing.why
    assert market.extremes() is None
    market.quote(12, last=100)
    assert market.price(12)[1] == STALE
    market.quote(14, last=100)
    # The other one has become too old to contradict it.
    assert market.price(14) == (100, KNOWN)
    assert market.extremes() == (100, 100)


def test_names_whose_prices_are_near_do_not_contradict_each_other(market: Market) -> None:
    market.define("ESZ5", "ES-BROKER")
    for seconds in (0, 1, 2):
        market.quote(seconds, last=100)
        market.quote(seconds, "ES-BROKER", last=104)
    assert market.price(2)[1] == KNOWN
    assert market.extremes() is not None
