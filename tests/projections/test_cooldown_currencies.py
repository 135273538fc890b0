"""A pause after a loss: a loss in another currency than the limit's is converted, and never compared as it is."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from eventstore.trading import ContractDefined, LockoutCleared, Payoff, RateQuoted, Side
from projections.rules import shipped_rules
from projections.valuation import Status
from tests.places import Place
from tests.projections.checked_orders import BUY, PASS, REJECT, SELL, check_order
from tests.projections.rules_day import HOUR, SECOND, Day, trading_day

NIKKEI = ContractDefined(symbol="NIY", multiplier=Decimal(500), currency="JPY", root="NIY")
COIN = ContractDefined(
    symbol="BTCUSD", multiplier=Decimal(1), payoff=Payoff.INVERSE, currency="USD", base_currency="BTC", root="BTCUSD"
)


@pytest.fixture
def day(place: Place) -> Iterator[Day]:
    day = trading_day(place, *shipped_rules())
    for contract in (NIKKEI, COIN):
        day.book.append(f"contract/-/{contract.symbol}", contract)
    yield day
    day.close()


def rate(day: Day, base: str, quote: str, price: str) -> None:
    event = RateQuoted(base=base, quote=quote, rate=Decimal(price))
    day.book.append(f"rate/-/{base}{quote}", event)


def lose(day: Day, symbol: str, bought: str, sold: str, quantity: str) -> None:
    for side, price in ((Side.BUY, bought), (Side.SELL, sold)):
        day.fill(side, price, symbol, quantity=quantity)


def locks(day: Day) -> list[str]:
    return [each.rule_id for each in day.book.lockouts.active("A", day.clock.now_ns())]


def test_a_small_loss_in_a_small_currency_begins_no_pause(day: Day) -> None:
    rate(day, "USD", "JPY", "150")
    day.limit("cooldown", loss="1000")
    # 5,000 JPY are 33.33 USD.
    lose(day, "NIY", "30000", "29990", "1")
    assert locks(day) == []
    [headroom] = day.book.limits.headroom("A")
    assert (headroom.figure and round(headroom.figure, 2), headroom.currency) == (Decimal("33.33"), "USD")
    assert check_order(day).verdict is PASS


def test_a_large_loss_in_a_coin_begins_one(day: Day) -> None:
    rate(day, "BTC", "USD", "80000")
    day.limit("cooldown", loss="1000")
    # 90,000 × (1 ÷ 80,000 − 1 ÷ 90,000) = 0.125 BTC.
    lose(day, "BTCUSD", "90000", "80000", "90000")
    assert locks(day) == ["cooldown"]
    [lockout] = day.book.lockouts.active("A", day.clock.now_ns())
    assert lockout.reason.startswith("a round trip's loss -10,000")
    assert "of -1,000.00 USD" in lockout.reason


def test_a_limit_in_a_currency_of_its_own_counts_losses_in_others(day: Day) -> None:
    rate(day, "USD", "JPY", "150")
    day.limit("cooldown", loss="140000", currency="JPY")
    lose(day, "ES", "5000", "4980", "1")
    assert locks(day) == ["cooldown"]


def test_without_a_rate_it_is_not_judged_until_there_is_one(day: Day) -> None:
    day.limit("cooldown", loss="1000", duration=HOUR)
    lose(day, "NIY", "30000", "29000", "1")
    assert locks(day) == []
    [headroom] = day.book.limits.headroom("A")
    assert headroom.status is Status.UNKNOWN
    found = check_order(day)
    assert (found.verdict, found.rule_id) == (REJECT, "cooldown")
    assert "no rate from JPY to USD" in found.reason
    rate(day, "USD", "JPY", "150")
    assert locks(day) == ["cooldown"], "the pause counts from the end of the round trip"
    day.book.append("lockout/A/cooldown", LockoutCleared(by="supervisor", reason="once", rule_id="cooldown"))
    rate(day, "USD", "JPY", "151")
    assert locks(day) == [], "what somebody released is not set again by the next rate"


def test_a_pause_that_would_be_over_needs_no_rate(day: Day) -> None:
    day.limit("cooldown", loss="1000", duration=60 * SECOND)
    lose(day, "NIY", "30000", "29000", "1")
    assert check_order(day).verdict is REJECT
    day.pass_seconds(60)
    assert check_order(day).verdict is PASS
    rate(day, "USD", "JPY", "150")
    assert locks(day) == []


def test_losses_in_a_row_need_no_rate(day: Day) -> None:
    day.limit("cooldown", losing_trips=2)
    lose(day, "NIY", "30000", "29000", "1")
    assert check_order(day).verdict is PASS
    day.fill(BUY, "5000")
    day.fill(SELL, "4999")
    assert locks(day) == ["cooldown"]
