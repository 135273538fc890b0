"""Limits on an order and what it would hold: its price, its loss at the stop, and the notional value."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from eventstore import InvalidEvent
from eventstore.trading import ContractDefined, OrderReplaceRequested, OrderSubmitted, OrderType, Payoff, RateQuoted
from projections.risk import Proposal, check, submit
from projections.valuation import Status
from tests.projections.checked_orders import BUY, PASS, SELL, check_order, rejection, work
from tests.projections.rules_day import SECOND, Day, trading_day


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    day = trading_day(tmp_path / "data")
    day.book.append(
        "contract/-/ES",
        ContractDefined(symbol="ES", multiplier=Decimal(50), tick_size=Decimal("0.25"), currency="USD"),
        actor="desk",
    )
    yield day
    day.close()


@pytest.mark.parametrize(
    ("kind", "parameters", "why"),
    [
        ("order-price", {}, "set either share or ticks"),
        ("order-price", {"share": "0.1", "ticks": "5"}, "set either share or ticks"),
        ("order-price", {"share": "5"}, "share = 5: expected a share from 0 to 1, such as 0.05"),
        ("order-price", {"share": "0"}, "share = 0: expected a number above 0"),
        ("consistency", {"limit": "50"}, "limit = 50: expected a share from 0 to 1, such as 0.5"),
        ("order-price", {"ticks": "-1"}, "ticks = -1: expected a number above 0"),
        ("stop-loss", {}, "missing required field `limit`"),
        ("stop-loss", {"limit": "0"}, "limit = 0: expected a number above 0"),
        ("notional", {}, "set limit or limits"),
        ("notional", {"limits": {"ES": "-1"}}, "limit and limits = -1: expected 0 or more"),
        ("notional", {"limit": "1000", "currency": "usd"}, "currency = 'usd': expected a currency's code"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(day: Day, kind: str, parameters: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidEvent, match=why):
        day.limit(kind, **parameters)


# The collar


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"limit_price": "5050"}, None),
        ({"limit_price": "5050.25"}, "price 5050.25 is beyond 5,050.00, 1.00%"),
        (
            {"side": SELL, "limit_price": "4949.75"},
            "price 4949.75 is beyond 4,950.00, 1.00%",
        ),
        ({"limit_price": "1"}, None),
        ({"side": SELL, "limit_price": "9999"}, None),
        ({"stop_price": "4949.75"}, "price 4949.75 is beyond 4,950.00, 1.00%"),
        (
            {"stop_price": "5010", "limit_price": "5100"},
            "price 5100 is beyond 5,050.00, 1.00%",
        ),
        ({}, None),
    ],
)
def test_a_price_that_is_worse_than_the_collar_allows_rejects(
    day: Day, order: dict[str, Any], reason: str | None
) -> None:
    day.limit("order-price", share="0.01", warn_at="1.5")
    day.quote("5000")
    prices: dict[str, Any] = {name: Decimal(value) for name, value in order.items() if name != "side"}
    side = order.get("side", BUY)
    if reason is None:
        assert check_order(day, side, **prices).verdict is PASS
    else:
        assert reason in check_order(day, side, **prices).reason


def test_a_collar_in_ticks_needs_the_tick_size(day: Day) -> None:
    day.limit("order-price", ticks="40", warn_at="1")
    day.quote("5000")
    assert "price 5010.25 is beyond 5,010.00, 40 ticks" in rejection(day, limit_price=Decimal("5010.25"))
    day.define("NQ")
    day.quote("100", "NQ")
    assert "the tick size of NQ is not known" in rejection(day, symbol="NQ", limit_price=Decimal(100))


def test_a_collar_without_a_fresh_price_rejects(day: Day) -> None:
    day.limit("order-price", share="0.01")
    assert "ES was not quoted since the book was opened" in rejection(day, limit_price=Decimal(5000))
    day.quote("5000")
    assert check_order(day, limit_price=Decimal(5000)).verdict is PASS
    day.pass_seconds(3_600)
    assert "order-price cannot be judged" in rejection(day, limit_price=Decimal(5000))
    # A market order has no price, and one print far away is none until it is confirmed.
    assert check_order(day, order_type=OrderType.MARKET).verdict is PASS
    day.quote("5000")
    day.quote("9000")
    assert check_order(day, limit_price=Decimal(9000)).verdict is not PASS


# The loss at the stop


@pytest.mark.parametrize(
    ("order", "stop", "loss"),
    [
        ({"limit_price": Decimal(5000)}, "4990", None),
        ({"limit_price": Decimal(5000)}, "4989.75", "512.50 of 500.00 USD"),
        ({"side": SELL, "limit_price": Decimal(5000)}, "5010.25", "512.50 of 500.00 USD"),
        ({"quantity": "2", "limit_price": Decimal(5000)}, "4990", "1,000.00 of 500.00 USD"),
        ({}, "4989.75", "512.50 of 500.00 USD"),
    ],
)
def test_quantity_times_distance_must_not_exceed_the_limit(
    day: Day, order: dict[str, Any], stop: str, loss: str | None
) -> None:
    day.limit("stop-loss", limit="500", warn_at="1.5")
    day.quote("5000")
    found = check_order(day, protective_stop=Decimal(stop), **order)
    assert found.reason == ("" if loss is None else f"Order blocked: loss at the stop {loss}")


@pytest.mark.parametrize(
    ("order", "stop", "loss"),
    [
        # It is executed beyond the market: the loss is from there.
        ({"order_type": OrderType.STOP, "stop_price": Decimal(5010)}, "5000", None),
        ({"order_type": OrderType.STOP, "stop_price": Decimal(5010)}, "4999.75", "512.50 of 500.00 USD"),
        ({"stop_price": Decimal(5010)}, "4999.75", "512.50 of 500.00 USD"),
        ({"side": SELL, "order_type": OrderType.STOP, "stop_price": Decimal(4990)}, "5000.25", "512.50 of 500.00 USD"),
        # The market is past it already: at once, at the market.
        ({"order_type": OrderType.STOP, "stop_price": Decimal(4995)}, "4989.75", "512.50 of 500.00 USD"),
        # The limit is the worst price.
        ({"stop_price": Decimal(5010), "limit_price": Decimal(5011)}, "5000.75", "512.50 of 500.00 USD"),
    ],
)
def test_the_entry_of_a_stop_order_is_its_stop_price_unless_the_market_is_worse(
    day: Day, order: dict[str, Any], stop: str, loss: str | None
) -> None:
    day.limit("stop-loss", limit="500", warn_at="1.5")
    day.quote("5000")
    found = check_order(day, protective_stop=Decimal(stop), **order)
    assert found.reason == ("" if loss is None else f"Order blocked: loss at the stop {loss}")


def test_a_replacement_states_the_stop_that_its_order_has(day: Day) -> None:
    day.limit("stop-loss", limit="500", warn_at="1.5")
    day.quote("5000")
    order = OrderSubmitted(symbol="ES", side=BUY, quantity=Decimal(1), limit_price=Decimal(4990))
    now = day.clock.now_ns()
    assert submit(day.book, "A", "O1", order, now, protective_stop=Decimal(4985)).answer.passed
    moved = OrderReplaceRequested(limit_price=Decimal(4996))
    assert "states no protective stop: give protective_stop" in submit(day.book, "A", "O1", moved, now).answer.reason
    found = submit(day.book, "A", "O1", moved, now, protective_stop=Decimal(4985))
    assert found.answer.reason == "Order blocked: loss at the stop 550.00 of 500.00 USD"
    replacement = Proposal.of("A", moved, order_id="O1", protective_stop=Decimal(4986))
    assert check(day.book, replacement, now).verdict is PASS
    assert submit(day.book, "A", "O1", moved, now, protective_stop=Decimal(4986)).answer.passed


def test_a_stop_order_without_a_stop_price_has_no_known_entry(day: Day) -> None:
    day.limit("stop-loss", limit="500")
    day.quote("5000")
    for order_type in (OrderType.STOP, OrderType.TRAILING_STOP):
        reason = rejection(day, order_type=order_type, protective_stop=Decimal(4999))
        assert f"the {order_type} order states no stop price" in reason


def test_an_order_without_a_stop_on_the_losing_side_rejects(day: Day) -> None:
    day.limit("stop-loss", limit="500")
    day.quote("5000")
    assert "states no protective stop" in rejection(day)
    assert "not on the losing side" in rejection(day, protective_stop=Decimal(5001))
    assert "not on the losing side" in rejection(day, protective_stop=Decimal(5000))
    assert "its stop is NaN" in rejection(day, protective_stop=Decimal("NaN"))
    day.pass_seconds(3_600)
    assert "stop-loss cannot be judged" in rejection(day, protective_stop=Decimal(4999))


def test_the_loss_of_an_inverse_contract_is_in_its_base_currency_and_converted(day: Day) -> None:
    contract = ContractDefined(
        symbol="BTCUSD", multiplier=Decimal(1), payoff=Payoff.INVERSE, currency="BTC", base_currency="BTC"
    )
    day.book.append("contract/-/BTCUSD", contract)
    day.limit("stop-loss", limit="4999")
    order = {"symbol": "BTCUSD", "quantity": "20000", "protective_stop": Decimal(16000), "limit_price": Decimal(20000)}
    assert "no rate from BTC to USD" in rejection(day, **order)
    # 20,000 × (1 ÷ 16,000 − 1 ÷ 20,000) = 0.25 BTC, at a rate of 20,000.
    day.confirm("20000", "BTCUSD")
    assert "loss at the stop 5,000.00 of 4,999.00 USD" in rejection(day, **order)


# Notional value


def test_the_value_of_the_worst_case_must_not_exceed_the_limit_in_a_symbol_or_in_all(day: Day) -> None:
    day.limit("notional", limit="700000", limits={"ES": "500000"}, warn_at="1.5")
    day.define("NQ", "20")
    for symbol, price in (("ES", "5000"), ("NQ", "15000")):
        day.quote(price, symbol)
    # ES is worth 250,000 a contract, NQ 300,000.
    assert check_order(day, quantity="2").verdict is PASS
    assert "notional value 750,000.00 of 500,000.00 USD in ES" in rejection(day, quantity="3")
    work(day, "O1", BUY, "2")
    assert "notional value 800,000.00 of 700,000.00 USD in all symbols" in rejection(day, symbol="NQ")
    # Long or short, it is worth as much.
    assert "notional value 750,000.00 of 500,000.00 USD in ES" in rejection(day, side=SELL, quantity="3")
    [headroom] = day.book.limits.headroom("A")
    assert (headroom.figure, headroom.limit, headroom.left) == (Decimal(500000), Decimal(500000), Decimal(0))


@pytest.mark.parametrize("parameters", [{"limit": "7000000"}, {"limits": {"ES": "7000000"}}])
def test_a_value_is_compared_in_the_currency_of_its_limit(day: Day, parameters: dict[str, Any]) -> None:
    day.limit("notional", currency="JPY", **parameters)
    day.quote("5000")
    assert "no rate from USD to JPY" in rejection(day)
    day.book.append("rate/-/USDJPY", RateQuoted(base="USD", quote="JPY", rate=Decimal(150)))
    # 250,000 USD are 37,500,000 JPY.
    assert "notional value 37,500,000.00 of 7,000,000.00 JPY" in rejection(day)
    work(day, "O1", BUY, "1")
    [headroom] = day.book.limits.headroom("A")
    assert (headroom.figure, headroom.currency) == (Decimal(37_500_000), "JPY")


def test_a_loss_at_the_stop_is_compared_in_the_currency_of_its_limit(day: Day) -> None:
    day.limit("stop-loss", limit="70000", currency="JPY")
    order = {"limit_price": Decimal(5000), "protective_stop": Decimal(4990)}
    assert "no rate from USD to JPY" in rejection(day, **order)
    day.book.append("rate/-/USDJPY", RateQuoted(base="USD", quote="JPY", rate=Decimal(150)))
    assert "loss at the stop 75,000.00 of 70,000.00 JPY" in rejection(day, **order)


def test_a_symbol_without_a_known_price_leaves_it_unjudged(day: Day) -> None:
    day.limit("notional", limit="700000")
    work(day, "O1", BUY, "1")
    [headroom] = day.book.limits.headroom("A")
    assert (headroom.status, headroom.left) == (Status.UNKNOWN, None)
    assert "notional cannot be judged: ES was not quoted" in rejection(day)
    day.quote("5000")
    assert check_order(day).verdict is PASS
    day.clock.advance(3_600 * SECOND)
    assert "notional cannot be judged" in rejection(day)
