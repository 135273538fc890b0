"""Settings of prices, quotes kept as evidence, and the count that caches of prices rest on."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from eventstore import InvalidEvent
from eventstore.clock import NANOSECONDS
from eventstore.trading import ContractDefined
from projections.views.quotes import Bounds, QuotesView
from projections.views.quotes.evidence import KEPT_MAX
from tests.views.market import KNOWN, STALE, Market, at_second


def test_bounds_are_set_for_all_or_by_name_and_root(market: Market) -> None:
    bounds = market.book.quotes.bounds
    market.book.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", root="ES"))
    bounds.default = Bounds(band=Decimal("0.5"), stale_after=timedelta(seconds=20))
    market.quote(0, last=100)
    market.quote(1, last=140)
    assert market.price(21) == (140, KNOWN)
    bounds.set("ES", Bounds(stale_after=NANOSECONDS, confirm_after=0))
    assert market.price(3)[1] == STALE
    market.quote(4, last=200)
    assert market.price(4)[1] == STALE
    market.quote(4, last=200)
    assert market.price(4) == (200, KNOWN)
    market.define(tick_size=Decimal(1))
    bounds.set("ESZ5", Bounds(band_ticks=3))
    market.quote(5, last=204)
    assert market.price(5) == (200, STALE)
    bounds.set("ESZ5", None)
    assert bounds.of(["ESZ5"]) is bounds.default


@pytest.mark.parametrize(
    "members",
    [
        {"band": 0.05},
        {"band": Decimal(0)},
        {"band": Decimal("NaN")},
        {"stale_after": -1},
        {"confirm_after": 1.5},
        {"spread_ticks": 0},
        {"band_ticks": True},
        {"gap_factor": 0},
    ],
    ids=str,
)
def test_bounds_that_are_none_are_refused(members: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        Bounds(**members)


def test_settings_take_only_bounds(market: Market) -> None:
    with pytest.raises(InvalidEvent):
        market.book.quotes.bounds.default = None  # type: ignore[assignment]
    with pytest.raises(InvalidEvent):
        market.book.quotes.bounds.set("ES", 5)  # type: ignore[arg-type]


def test_quotes_are_kept_as_received_newest_first_with_why_they_are_not_a_price(market: Market) -> None:
    market.quote(0, last=100)
    market.quote(1, last=1_000, source="F")
    market.quote(2, "NQZ5", bid=5, ask=4)
    kept = market.book.quotes.kept(["ESZ5", "NQZ5"], at_second(1))
    assert [(quote.symbol, quote.last, quote.bid, quote.source) for quote in kept] == [
        ("NQZ5", None, 5, None),
        ("ESZ5", 1_000, None, "F"),
    ]
    assert all(quote.ignored for quote in kept)
    for number in range(500):
        market.quote(3 + number, last=100)
    assert len(market.book.quotes.kept(["ESZ5"], 0)) == KEPT_MAX


def test_what_is_kept_is_bounded_in_bytes(market: Market) -> None:
    for number in range(300):
        market.quote(number, last="1" * 99, bid="1" * 99, ask="1" * 99, mark="1" * 99)
    assert 80 < len(market.book.quotes.kept(["ESZ5"], 0)) < 120


def test_the_change_count_grows_with_whatever_may_change_a_price(market: Market) -> None:
    counts = [market.book.quotes.change_count]
    market.quote(0, last=100)
    counts.append(market.book.quotes.change_count)
    market.alive(1, "F")
    counts.append(market.book.quotes.change_count)
    market.fill(2, 101)
    counts.append(market.book.quotes.change_count)
    market.book.quotes.stale_after_ns = 5
    counts.append(market.book.quotes.change_count)
    market.book.rebuild(QuotesView())
    counts.append(market.book.quotes.change_count)
    assert counts == sorted(set(counts))
