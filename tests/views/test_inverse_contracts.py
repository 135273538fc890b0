"""Coin-margined contracts: results by the formula of venues, whatever becomes of a trade, a price or a definition."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from eventstore import InvalidEvent, UnknownContract
from eventstore.trading import ContractDefined, Payoff, PositionReported, Side, TradeBusted, TradeCorrected
from projections.reconciliation import reconcile, record
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.payoffs import NoValue, exposure_value, unrealized
from projections.views.executions.positions import Position
from tests.views.position_folding import adjusted, fill, kinds
from tests.views.trading_book import HOUR, MONDAY, Trading

NEAR = Decimal("1e-15")


def inverse(multiplier: int = 1, **more: Any) -> ContractDefined:  # noqa: ANN401 - any member
    given = {"payoff": Payoff.INVERSE, "base_currency": "BTC"} | more
    return ContractDefined(symbol="XBTUSD", multiplier=Decimal(multiplier), **given)


def fills(*deals: tuple[int, int | str]) -> list[Any]:
    return [fill(f"T{number}", *deal, "XBTUSD") for number, deal in enumerate(deals, 1)]


def traded(*deals: tuple[int, int | str], contract: ContractDefined | None = None) -> Trading:
    market = Trading()
    market.book.append("contract/-/XBTUSD", inverse() if contract is None else contract)
    for number, each in enumerate(fills(*deals)):
        market.at(MONDAY + number * HOUR, each, stream=f"order/A/O-{number}")
    return market


def held(market: Trading) -> Position:
    return market.book.positions.get("A", "XBTUSD")


def is_near(amount: Decimal, expected: str) -> bool:
    return abs(amount - Decimal(expected)) < NEAR


def test_bybits_example_of_an_average_entry_price() -> None:
    # Bybit's help center, "Profit & Loss calculations (Inverse Contracts)", read 2026-11-30: 1,000 at 5,000 and 2,000
    # at 6,000 are 3,000 ÷ 0.53333334 BTC: 5,625.
    position = held(traded((1_000, 5_000), (2_000, 6_000)))
    assert (position.average_price, position.average_cost, position.currency) == (5_625, 5_625, "BTC")
    assert [lot.price for lot in position.lots] == [5_000, 6_000]


@pytest.mark.parametrize(
    ("quantity", "price", "expected"), [(1_000, 5_500, "0.018181818181818182"), (-1_000, 4_500, "0.022222222222222222")]
)
def test_bybits_examples_of_unrealized_results(quantity: int, price: int, expected: str) -> None:
    # The same page: 1,000 from 5,000 to 5,500 long, and to 4,500 short.
    market = traded((quantity, 5_000))
    assert is_near(held(market).unrealized(Decimal(price)), expected)
    state, contract = market.book.state("executions", "A"), market.book.contracts.get("XBTUSD")
    assert is_near(unrealized(state.holdings["XBTUSD\0NET"].totals, Decimal(price), contract), expected)


def test_an_open_result_at_a_quote_is_in_the_base_currency() -> None:
    market = traded((1_000, 5_000))
    market.quote(MONDAY + 2 * HOUR, "XBTUSD", 5_100)
    (open_result,) = market.book.pnl.unrealized("A", MONDAY + 2 * HOUR)
    # 1,000 × (1/5,000 − 1/5,100)
    assert open_result.amount is not None
    assert (is_near(open_result.amount, "0.00392156862745098"), open_result.currency) == (True, "BTC")


def test_a_multiplier_is_the_money_of_one_contract() -> None:
    # 10 contracts of 100 dollars from 50,000 to 60,000: 1,000 × (1/50,000 − 1/60,000)
    market = traded((10, 50_000), (-10, 60_000), contract=inverse(100))
    (total,) = market.book.pnl.total("A")
    assert (total.currency, is_near(total.realized, "0.003333333333333333")) == ("BTC", True)
    (trip,) = market.book.trips.of("A")
    assert is_near((trip.points or Decimal(0)) * 100, "0.003333333333333333")


def test_fifo_and_average_cost_part_and_meet_again() -> None:
    # 10 at 50,000 and 10 at 40,000 (a mean of 44,444.44…), 10 sold at 60,000, then the rest
    market = traded((10, 50_000), (10, 40_000), (-10, 60_000), (-10, 60_000))
    position = held(market)
    assert abs(position.realized - position.realized_average_cost) < NEAR
    partly = held(traded((10, 50_000), (10, 40_000), (-10, 60_000)))
    assert is_near(partly.realized, "0.0000333333333333333")
    assert is_near(partly.realized_average_cost, "0.0000583333333333333")
    assert partly.average_price == 40_000
    assert partly.average_cost is not None
    assert abs(partly.average_cost - Decimal("44444.4444444444")) < Decimal("1e-9")


def test_a_flip_closes_by_value_and_opens_at_the_price() -> None:
    position = held(traded((10, 50_000), (-30, 40_000)))
    assert (position.quantity, position.average_price) == (-20, 40_000)
    assert is_near(position.realized, "-0.00005")


@pytest.mark.parametrize("price", [0, -1])
def test_a_price_that_has_no_value_is_marked_until_it_is_corrected(price: int) -> None:
    market = traded((10, price))
    position = held(market)
    assert (position.quantity, position.unpriced, kinds(position)) == (10, 10, [TradeAnomalyKind.UNPRICED])
    assert position.is_uncertain
    (day,) = market.book.pnl.day("A", MONDAY)
    assert day.unpriced == 1
    market.at(MONDAY + HOUR, TradeCorrected(trade_id="T1", quantity=Decimal(10), price=Decimal(50_000)))
    position = held(market)
    assert (position.unpriced, position.average_price, position.is_uncertain) == (0, 50_000, False)


def test_a_closing_at_no_value_realizes_nothing_known() -> None:
    market = traded((10, 50_000), (-10, 0))
    position = held(market)
    assert (position.quantity, position.realized, kinds(position)) == (0, 0, [TradeAnomalyKind.UNPRICED])
    (trip,) = market.book.trips.of("A")
    assert trip.points is None


def test_a_price_without_a_value_values_nothing() -> None:
    market = traded((10, 0))
    (open_result,) = market.book.pnl.unrealized("A", MONDAY + HOUR)
    assert (open_result.amount, open_result.price, open_result.unpriced) == (None, None, 10)
    with pytest.raises(NoValue, match="XBTUSD is an inverse contract"):
        held(market).unrealized(Decimal(0))


def test_an_exposure_is_worth_less_at_a_higher_price() -> None:
    contract = traded(contract=inverse(100)).book.contracts.get("XBTUSD")
    assert exposure_value(Decimal(-10), Decimal(50_000), contract) == Decimal("0.02")
    assert exposure_value(Decimal(10), Decimal(100_000), contract) == Decimal("0.01")


def test_busts_and_corrections_within_the_window() -> None:
    market = traded((10, 50_000), (10, 40_000))
    market.at(MONDAY + 3 * HOUR, TradeCorrected(trade_id="T1", quantity=Decimal(30), price=Decimal(60_000)))
    # 40 ÷ (30 ÷ 60,000 + 10 ÷ 40,000)
    assert abs((held(market).average_price or Decimal(0)) - Decimal("53333.3333333333")) < Decimal("1e-9")
    market.at(MONDAY + 4 * HOUR, TradeBusted(trade_id="T2"), stream="order/A/O-1")
    assert (held(market).quantity, held(market).average_price) == (30, 60_000)


def test_a_corrected_price_before_the_window_counts_by_its_value() -> None:
    market = traded((10, 50_000), (-10, 60_000), (10, 50_000))
    market.at(MONDAY + 5 * HOUR, TradeCorrected(trade_id="T1", quantity=Decimal(10), price=Decimal(40_000)))
    # 10 × (1/40,000 − 1/60,000)
    assert is_near(held(market).realized, "0.0000833333333333333")
    assert (held(market).quantity, held(market).average_price) == (10, 50_000)


def test_a_split_of_what_the_price_is_in_leaves_the_cost() -> None:
    # One old dollar is ten new ones: ten times the contracts, at ten times the price.
    market = traded((10, 50_000))
    split = msgspec.structs.replace(adjusted(90, "SPLIT"), symbol="XBTUSD")
    market.at(MONDAY + HOUR, split, stream="position/A/XBTUSD")
    assert (held(market).quantity, held(market).average_price) == (100, 500_000)
    assert is_near(held(market).unrealized(Decimal(600_000)), "0.0000333333333333333")


def test_an_expiry_settles_at_its_price_and_at_none_without_value() -> None:
    for price, points in ((40_000, "-0.00005"), (0, "0")):
        market = traded((10, 50_000))
        expiry = msgspec.structs.replace(adjusted(-10, "EXPIRY", price), symbol="XBTUSD")
        market.at(MONDAY + HOUR, expiry, stream="position/A/XBTUSD")
        assert (held(market).quantity, is_near(held(market).realized, points)) == (0, True)
        assert held(market).is_uncertain is (not price)


def test_a_late_fill_takes_its_place() -> None:
    market = traded((10, 50_000), (-10, 60_000))
    market.at(MONDAY + HOUR // 2, fill("T9", 10, 40_000, "XBTUSD"), stream="order/A/O-9")
    assert (held(market).quantity, held(market).average_price) == (10, 40_000)
    assert is_near(held(market).realized, "0.0000333333333333333")


def test_a_reconciliation_opens_at_the_price_that_makes_the_averages_agree() -> None:
    market = traded((1_000, 5_000))
    report = PositionReported(symbol="XBTUSD", quantity=Decimal(3_000), average_price=Decimal(5_625))
    market.at(MONDAY + HOUR, report, stream="position/A/XBTUSD")
    record(market.book, "A", reconcile(market.book, "A"), actor="ops@desk")
    assert held(market).quantity == 3_000
    assert abs((held(market).lots[1].price or Decimal(0)) - 6_000) < Decimal("1e-9")
    assert abs((held(market).average_price or Decimal(0)) - 5_625) < Decimal("1e-9")
    assert reconcile(market.book, "A") == ()


def test_a_harmonic_average_agrees_with_the_brokers() -> None:
    market = traded((1_000, 5_000), (2_000, 6_000))
    report = PositionReported(symbol="XBTUSD", quantity=Decimal(3_000), average_price=Decimal(5_625))
    market.at(MONDAY + 2 * HOUR, report, stream="position/A/XBTUSD")
    assert reconcile(market.book, "A") == ()


def test_a_late_first_definition_counts_for_what_is_not_fixed() -> None:
    market = Trading()
    for number, each in enumerate(fills((10, 50_000), (-10, 60_000))):
        market.at(MONDAY + number * HOUR, each)
    market.book.append("contract/-/XBTUSD", inverse(100))
    assert is_near(held(market).realized, "0.003333333333333333")
    (total,) = market.book.pnl.day("A", MONDAY)
    assert (total.currency, is_near(total.realized, "0.003333333333333333")) == ("BTC", True)


def test_what_was_fixed_before_a_late_definition_is_unknown_and_never_wrong() -> None:
    market = Trading()
    for number, each in enumerate(fills((10, 50_000), (-10, 60_000), (10, 50_000))):
        market.at(MONDAY + number * HOUR, each)
    market.book.append("contract/-/XBTUSD", inverse(100))
    with pytest.raises(UnknownContract):
        market.book.pnl.day("A", MONDAY)
    with pytest.raises(UnknownContract):
        _ = held(market).realized
    # What is open is known.
    assert is_near(held(market).unrealized(Decimal(60_000)), "0.003333333333333333")


def test_a_name_that_turns_out_to_be_of_an_inverse_contract() -> None:
    market = Trading()
    market.book.append("contract/-/XBTUSD", inverse(100))
    market.at(MONDAY, fill("T1", 10, 50_000, "@XBT"), stream="order/A/O-1")
    market.book.append("contract/-/XBTUSD", inverse(100, broker_ids=("@XBT",)))
    market.at(MONDAY + HOUR, fill("T2", -10, 60_000, "XBTUSD"), stream="order/A/O-2")
    assert is_near(held(market).realized, "0.003333333333333333")


def test_results_keep_the_payoff_they_were_made_with() -> None:
    market = traded((10, 100), (-10, 110), contract=ContractDefined(symbol="XBTUSD", multiplier=Decimal(2)))
    assert held(market).realized == 200
    market.book.append("contract/-/XBTUSD", inverse(2))
    assert held(market).realized == 200
    market.at(MONDAY + 3 * HOUR, fill("T3", 10, 100, "XBTUSD"), stream="order/A/O-3")
    market.at(MONDAY + 4 * HOUR, fill("T4", -10, 200, "XBTUSD"), stream="order/A/O-4")
    # 20 × (1/100 − 1/200) more
    assert held(market).realized == Decimal("200.1")


def test_a_position_that_is_open_while_the_payoff_changes_is_valued_by_the_new_one() -> None:
    market = traded((10, 100), contract=ContractDefined(symbol="XBTUSD", multiplier=Decimal(1)))
    market.book.append("contract/-/XBTUSD", inverse())
    assert (held(market).average_price, held(market).unrealized(Decimal(200))) == (100, Decimal("0.05"))
    market.at(MONDAY + HOUR, fill("T2", -10, 200, "XBTUSD"), stream="order/A/O-2")
    assert held(market).realized == Decimal("0.05")
    (trip,) = market.book.trips.of("A")
    assert trip.points is None


def test_a_payoff_that_is_not_built_is_refused() -> None:
    quanto: Any = "QUANTO"
    with pytest.raises(InvalidEvent, match="payoff = 'QUANTO': Invalid enum value"):
        traded(contract=inverse(payoff=quanto))


def test_results_are_in_the_base_currency_whatever_is_quoted() -> None:
    assert held(traded((1, 100), contract=inverse(currency="USD"))).currency == "BTC"
    assert held(traded((1, 100), contract=inverse(base_currency=None, currency="BTC"))).currency == "BTC"


def test_two_round_trips_that_one_correction_ends_are_counted_each() -> None:
    market = traded((-2, 101))
    bought_back = msgspec.structs.replace(adjusted(2, "RECONCILED"), symbol="XBTUSD")
    market.at(MONDAY + HOUR, bought_back, stream="position/A/XBTUSD")
    market.at(MONDAY + 3 * HOUR, fill("T3", 1, 102, "XBTUSD"), stream="order/A/O-3")
    unknown = TradeCorrected(
        trade_id="T9",
        quantity=Decimal(2),
        price=Decimal(110),
        symbol="XBTUSD",
        side=Side.BUY,
        previous_quantity=Decimal(2),
        previous_price=Decimal(0),
    )
    # Booked as a sale without a price and a purchase: it reverses the position twice, at one place in the log.
    market.at(MONDAY + 4 * HOUR, unknown, stream="trade/A/T9")
    assert (len(market.book.trips.of("A")), trips_counted(market)) == (3, 3)
    market.at(MONDAY + 2 * HOUR, fill("T4", 1, 101, "XBTUSD"), stream="order/A/O-4")
    assert (len(market.book.trips.of("A")), trips_counted(market)) == (2, 2)


def trips_counted(market: Trading) -> int:
    ledger = market.book.state("executions", "A").ledger
    return sum(entry.round_trips for day in ledger.names() for entry in ledger.of_day(day).values())
