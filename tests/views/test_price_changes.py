"""Own fills as prices, the confirming window, and what makes earlier prices unusable."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from decimal import Decimal
from typing import Any

import pytest

import projections
from eventstore.trading import (
    AdjustmentReason,
    EquityMarked,
    OrderFilled,
    Payoff,
    PositionAdjusted,
    QuoteUsed,
    Side,
    TradeBusted,
    TradeCorrected,
)
from projections.views.quotes import QuotesView, receiving
from tests.views.market import KNOWN, STALE, START, UNKNOWN, Market, at_second

# Own fills


def test_a_fill_is_a_price_whatever_it_says_and_makes_an_old_quote_no_matter(market: Market) -> None:
    market.quote(0, last=5_800)
    market.fill(7_200, 5_900)
    assert market.price(7_200) == (5_900, KNOWN)
    market.fill(7_201, 9_000, "T2")
    assert market.price(7_201) == (9_000, KNOWN)


def test_a_late_fill_counts_at_its_own_time(market: Market) -> None:
    market.quote(3_600, last=100)
    market.fill(10, 90, now=3_601)
    assert market.price(3_601) == (100, KNOWN)
    market.quote(3_602, "NQZ5", last=5)
    market.reopen()
    market.fill(20, 90, "T2", now=3_603)
    assert market.price(3_603) == (90, STALE)


def test_a_repeated_report_is_not_a_newer_price(market: Market) -> None:
    market.fill(0, 100)
    market.quote(5, last=101)
    market.clock.set(at_second(9))
    again = OrderFilled(trade_id="T1", symbol="ESZ5", side=Side.BUY, quantity=Decimal(1), price=Decimal(100))
    market.book.append("order/A/O-1", again)
    assert market.price(9) == (101, KNOWN)


def test_a_busted_fill_is_not_a_price_any_more(market: Market) -> None:
    market.quote(0, last=100)
    market.fill(1, 104)
    market.fill(2, 105, "T2")
    market.book.append("trade/A/T1", TradeBusted(trade_id="T1"))
    assert market.price(2) == (105, KNOWN)
    market.book.append("trade/A/T2", TradeBusted(trade_id="T2", symbol="ESZ5"))
    assert market.price(2) == (100, KNOWN)
    assert market.extremes() is None


def test_a_busted_fill_that_was_the_only_price_leaves_none(market: Market) -> None:
    market.fill(0, 100)
    market.book.append("trade/A/T1", TradeBusted(trade_id="T1"))
    assert market.price(0) == (None, UNKNOWN)


def test_a_fill_that_was_busted_before_it_was_known_is_not_a_price(market: Market) -> None:
    market.quote(0, last=100)
    market.book.append("trade/A/T1", TradeBusted(trade_id="T1", symbol="ESZ5"))
    market.fill(1, 104)
    assert market.price(1) == (100, KNOWN)


def test_a_corrected_fill_has_its_new_price(market: Market) -> None:
    market.quote(0, last=100)
    market.fill(1, 140)
    market.book.append("trade/A/T1", TradeCorrected(trade_id="T1", quantity=Decimal(1), price=Decimal(101)))
    assert market.price(1) == (101, KNOWN)


# The confirming window


def test_one_observation_confirms_nothing(market: Market) -> None:
    market.quote(0, last=100)
    assert market.extremes() is None
    market.quote(0.9, last=101)
    assert market.extremes() is None


def test_the_window_has_all_prices_in_force_during_a_second(market: Market) -> None:
    for seconds, price in ((0, 100), (1, 96), (1.5, 97), (2, 95)):
        market.quote(seconds, last=price)
    assert market.extremes() == (95, 97)
    market.quote(2.9, last=94)
    assert market.extremes() == (94, 97)


def test_a_fill_needs_only_the_observation_before_it(market: Market) -> None:
    market.quote(0, last=100)
    market.fill(0.1, 96)
    assert market.extremes() == (96, 100)


@pytest.mark.untraced
def test_of_many_quotes_a_second_the_window_is_never_narrower(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "HISTORY_MAX", 50)
    for number in range(4_000):
        price = 90 + number % 20 / 10
        market.quote(number / 1_000, last=str(price))
        if number > 1_100:
            assert market.extremes() == (90, Decimal("91.9"))
    assert len(market.book.state("quotes", "-").symbols["ESZ5"].history) < 300


# What makes earlier prices unusable


def test_a_split_makes_earlier_prices_unusable_under_any_name(market: Market) -> None:
    market.define("ESZ5", "@ES")
    market.quote(0, last=100, bid=99, ask=101)
    market.quote(0, "@ES", last=100)
    market.clock.set(at_second(1))
    split = PositionAdjusted(symbol="@ES", quantity=Decimal(1), reason=AdjustmentReason.SPLIT)
    market.book.append("position/A/@ES", split)
    price = market.priced(1)
    assert (price.price, price.standing.status.value, price.last_good) == (
        None,
        UNKNOWN,
        QuoteUsed(Decimal(100), START),
    )
    assert "split" in price.standing.why
    market.quote(2, last=50)
    assert market.price(2) == (50, KNOWN)


def test_a_split_that_is_recorded_late_leaves_later_prices(market: Market) -> None:
    market.quote(0, last=100)
    market.quote(10, last=50)
    market.quote(11, last=50)
    split = PositionAdjusted(symbol="ESZ5", quantity=Decimal(1), reason=AdjustmentReason.SPLIT)
    market.book.append("position/A/ESZ5", split, occurred_at=at_second(5))
    assert market.price(11) == (50, KNOWN)


@pytest.mark.parametrize(
    "members",
    [
        {"multiplier": Decimal(5)},
        {"tick_size": Decimal("0.5")},
        {"currency": "EUR"},
        {"payoff": Payoff.INVERSE, "base_currency": "BTC"},
    ],
    ids=str,
)
def test_a_redefinition_makes_earlier_prices_unusable(market: Market, members: dict[str, Any]) -> None:
    before: dict[str, Any] = {"multiplier": Decimal(50), "tick_size": Decimal("0.25"), "currency": "USD"}
    market.define(**before)
    market.quote(0, last=100)
    market.define(**before, name="E-mini")
    assert market.price(0) == (100, KNOWN)
    market.define(**{**before, **members})
    assert market.price(0) == (None, UNKNOWN)


def test_so_does_one_of_a_name_that_had_no_price_yet(market: Market) -> None:
    market.define(multiplier=Decimal(50))
    market.clock.set(at_second(5))
    market.define(multiplier=Decimal(5))
    market.quote(4, last=100, now=6)
    assert market.price(6) == (None, UNKNOWN)
    assert "multiplier was redefined" in market.priced(6).standing.why
    market.quote(7, last=90)
    assert market.price(7) == (90, KNOWN)


def test_nor_is_a_price_taken_over_by_a_name_that_had_none_when_it_changed_its_contract(market: Market) -> None:
    market.define("NQZ5", "@1")
    market.clock.set(at_second(5))
    market.define("ESZ5", "@1")
    market.quote(4, "@1", last=100, now=6)
    assert market.price(6) == (None, UNKNOWN)
    market.quote(4, last=50, now=6)
    assert market.price(6) == (50, KNOWN)


def test_nor_by_one_that_meant_nothing_in_between(market: Market) -> None:
    market.define("NQZ5", "@1")
    market.clock.set(at_second(3))
    market.define("NQZ5")
    market.quote(2, "@1", last=100, now=4)
    market.clock.set(at_second(5))
    market.define("ESZ5", "@1")
    assert market.price(5) == (None, UNKNOWN)
    market.quote(6, "@1", last=50)
    assert market.price(6) == (50, KNOWN)


def test_a_definition_that_completes_what_was_missing_changes_no_price(market: Market) -> None:
    market.quote(0, last=100)
    market.define(multiplier=Decimal(50))
    market.define(multiplier=Decimal(50), tick_size=Decimal("0.25"))
    assert market.price(0) == (100, KNOWN)


def test_a_name_that_means_another_contract_brings_no_price_along(market: Market) -> None:
    market.define("ESU5", "ESZ5")
    market.quote(0, last=100)
    market.define("ESU5")
    market.define("ESH6", "ESZ5")
    assert market.price(0) == (None, UNKNOWN)


def test_after_a_restart_a_price_is_unknown_until_quoted_or_filled(market: Market) -> None:
    market.quote(0, last=100)
    market.fill(1, 101)
    used = QuoteUsed(Decimal(100), START)
    mark = EquityMarked(balance=Decimal(1), equity=Decimal(1), high_water=Decimal(1), quotes={"ESZ5": used})
    market.book.append("equity/A/-", mark)
    market.reopen()
    price = market.priced(1)
    # The last good mark is shown.
    assert (price.price, price.standing.status.value, price.last_good) == (None, UNKNOWN, used)
    market.fill(2, 102, "T2")
    assert market.price(2) == (102, KNOWN)


def test_the_past_has_no_prices_even_of_fills(market: Market) -> None:
    market.fill(0, 100)
    store: Any = market.book.reader
    assert projections.as_of(store).quotes.get("ESZ5") is None
    assert [past.quotes.get("ESZ5") for _, past in projections.steps(store)] == [None]


def test_a_cut_never_has_prices(market: Market) -> None:
    market.fill(0, 100)
    assert market.price(0) == (100, KNOWN)
    market.book.rebuild(QuotesView())
    assert market.price(0) == (None, UNKNOWN)
    assert market.book.retry("quotes", "-")
    market.quote(1, last=100)
    assert market.price(1) == (100, KNOWN)


# A clock that is set back


def test_after_a_clock_was_set_back_two_prices_confirm_as_before(market: Market) -> None:
    for seconds in (3_600, 3_602):
        market.quote(seconds, last=100)
    market.quote(0, last=98)
    market.quote(0.9, last=98)
    assert market.extremes() is None
    market.quote(1, last=98)
    assert market.extremes() == (98, 98)


def test_after_a_clock_was_set_back_a_far_price_is_confirmed_as_before(market: Market) -> None:
    market.quote(3_600, last=100)
    market.quote(3_602, last=200)
    market.quote(0, last=200)
    assert market.price(0)[1] == "STALE"
    market.quote(1, last=200)
    assert market.price(1) == (200, "KNOWN")


def test_after_a_clock_was_set_back_a_dead_feed_keeps_nothing_fresh(market: Market) -> None:
    market.quote(3_600, last=100, source="F")
    market.quote(0, last=100, source="F")
    assert market.price(10) == (100, "KNOWN")
    assert market.price(11)[1] == "STALE"
