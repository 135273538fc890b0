"""Fees that are taken from the coin bought: less of it arrives, and the fee is money at the trade's price."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from eventstore.trading import (
    AccountOpened,
    Asset,
    ContractDefined,
    FeeCharged,
    Payoff,
    PositionReported,
    TradeBusted,
    TradeCorrected,
)
from projections.reconciliation import reconcile
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.positions import Position
from tests.views.position_folding import adjusted, fill, kinds
from tests.views.trading_book import HOUR, MONDAY, Trading

SPOT = "BTCUSDT"
ORDER = "order/A/O-1"


def spot(**more: Any) -> ContractDefined:  # noqa: ANN401 - any member
    given = {"currency": "USDT", "base_currency": "BTC", "asset": Asset.CRYPTO} | more
    return ContractDefined(symbol=SPOT, multiplier=Decimal(1), **given)


def bought(quantity: str, price: int, fee: str, trade_id: str = "T1", currency: str = "BTC") -> Any:  # noqa: ANN401 - an event
    return fill(trade_id, quantity, price, SPOT, fee=Decimal(fee), fee_currency=currency if Decimal(fee) else None)


def market(contract: ContractDefined | None = None) -> Trading:
    found = Trading()
    found.book.append(f"contract/-/{SPOT}", spot() if contract is None else contract)
    return found


def after(*events: Any) -> Trading:  # noqa: ANN401 - events
    found = market()
    for number, event in enumerate(events):
        found.at(MONDAY + number * HOUR, event)
    return found


def held(found: Trading) -> Position:
    return found.book.positions.get("A", SPOT)


def fees(found: Trading) -> list[tuple[str | None, Decimal]]:
    return [(each.currency, each.fees) for each in found.book.pnl.total("A") if each.fees]


def test_a_fee_in_the_coin_bought_leaves_less_of_it_at_the_same_price() -> None:
    found = after(bought("1", 90_000, "0.001"))
    position = held(found)
    assert (position.quantity, position.average_price, position.cost) == (Decimal("0.999"), 90_000, 89_910)
    assert fees(found) == [("USDT", 90)]
    # What was paid is what is held and what the fee was worth.
    assert position.cost + position.fees == 90_000


def test_the_trade_its_volume_and_its_order_stay_gross() -> None:
    found = after(bought("1", 90_000, "0.001"))
    (trade,) = found.book.trades.of("A")
    assert (trade.quantity, trade.fee, trade.fee_currency) == (1, Decimal("0.001"), "BTC")
    totals = found.book.trades.totals("A", SPOT)
    assert (totals.bought, totals.bought_value) == (1, 90_000)
    (total,) = found.book.pnl.total("A")
    assert total.volume == 1
    order = found.book.orders.get("A", "O-1")
    assert order is not None
    assert order.cumulative == 1


def test_equity_is_exact_without_any_rate() -> None:
    found = market()
    found.book.append("account/A/-", AccountOpened(currency="USDT", starting_balance=Decimal(100_000)))
    found.at(MONDAY, bought("1", 90_000, "0.001"))
    assert found.book.accounts.balance("A") == 99_910
    assert held(found).unrealized(Decimal(90_000)) == 0


@pytest.mark.parametrize(
    ("event", "contract"),
    [
        (fill("T1", "-1", 90_000, SPOT, fee=Decimal("0.001"), fee_currency="BTC"), spot()),
        (bought("1", 90_000, "0.001", currency="BNB"), spot()),
        (bought("1", 90_000, "0.001"), spot(asset=Asset.FUTURE)),
        (bought("1", 90_000, "0.001"), spot(asset=None)),
        (bought("1", 90_000, "0.001"), spot(payoff=Payoff.INVERSE)),
    ],
)
def test_any_other_fee_leaves_the_quantity_as_it_is(event: Any, contract: ContractDefined) -> None:  # noqa: ANN401 - an event
    found = market(contract)
    found.at(MONDAY, event)
    assert abs(held(found).quantity) == 1
    assert fees(found)[-1][1] == Decimal("0.001")


@pytest.mark.parametrize("fee", ["1", "1.5"])
def test_a_fee_of_all_that_was_bought_or_more_is_taken_from_nothing(fee: str) -> None:
    found = after(bought("1", 90_000, fee))
    assert (held(found).quantity, fees(found)) == (1, [("BTC", Decimal(fee))])


def test_a_rebate_in_the_coin_brings_more_of_it() -> None:
    found = after(bought("1", 90_000, "-0.001"))
    assert (held(found).quantity, fees(found)) == (Decimal("1.001"), [("USDT", -90)])


def test_a_fee_that_comes_later_is_taken_as_if_it_had_been_known() -> None:
    late = FeeCharged(trade_id="T1", amount=Decimal("0.001"), currency="BTC")
    for events in ([bought("1", 90_000, "0"), late], [bought("1", 90_000, "0"), bought("1", 90_000, "0.001")]):
        found = after(*events)
        assert (held(found).quantity, held(found).cost, fees(found)) == (Decimal("0.999"), 89_910, [("USDT", 90)])


def test_a_fee_that_comes_before_its_trade() -> None:
    late = FeeCharged(trade_id="T1", amount=Decimal("0.001"), currency="BTC")
    found = market()
    found.at(MONDAY + HOUR, late, stream="fee/A/T1")
    assert fees(found) == [("BTC", Decimal("0.001"))]
    found.at(MONDAY, bought("1", 90_000, "0"))
    assert (held(found).quantity, fees(found)) == (Decimal("0.999"), [("USDT", 90)])


def test_a_bust_gives_back_both() -> None:
    found = after(bought("1", 90_000, "0.001"), TradeBusted(trade_id="T1"))
    assert (held(found).quantity, held(found).cost, fees(found)) == (0, 0, [])


def test_a_correction_changes_what_the_fee_is_worth_and_not_how_much_it_took() -> None:
    found = after(
        bought("1", 90_000, "0.001"), TradeCorrected(trade_id="T1", quantity=Decimal(2), price=Decimal(80_000))
    )
    assert (held(found).quantity, fees(found)) == (Decimal("1.999"), [("USDT", 80)])


def fixed(*events: Any) -> Trading:  # noqa: ANN401 - events
    """Return a market in which a purchase and its sale lie before the window that the last trade begins."""
    start = [bought("1", 90_000, "0.001"), bought("-0.999", 95_000, "0", "T2"), bought("1", 90_000, "0", "T3")]
    return after(*start, *events)


def test_a_fee_of_a_trade_before_the_window_is_booked_on_its_own_day() -> None:
    found = fixed(FeeCharged(trade_id="T1", amount=Decimal("0.002"), currency="BTC"))
    position = held(found)
    assert (position.quantity, fees(found)) == (Decimal("0.998"), [("USDT", 270)])
    assert kinds(position) == [TradeAnomalyKind.LATE]
    # Bought and sold for 90,000, 94,905 and 90,000: nothing is lost, nothing is made up.
    assert position.cost - position.realized + position.fees == 90_000 - 94_905 + 90_000


@pytest.mark.parametrize(
    "event", [TradeBusted(trade_id="T1"), TradeCorrected(trade_id="T1", quantity=Decimal(2), price=Decimal(80_000))]
)
def test_cash_is_kept_whatever_becomes_of_a_trade_before_the_window(event: Any) -> None:  # noqa: ANN401 - an event
    position = held(found := fixed(event))
    is_bust = isinstance(event, TradeBusted)
    paid = -94_905 + 90_000 + (0 if is_bust else 160_000)
    assert position.cost - position.realized + position.fees == paid
    assert fees(found) == ([] if is_bust else [("USDT", 80)])


def test_a_reconciliation_since_the_trade_stood_for_the_fee() -> None:
    late = FeeCharged(trade_id="T1", amount=Decimal("0.001"), currency="BTC")
    found = market()
    found.at(MONDAY, bought("1", 90_000, "0"))
    gap = adjusted("-0.001", "RECONCILED", 90_000)
    found.at(MONDAY + HOUR, msgspec.structs.replace(gap, symbol=SPOT), stream=f"position/A/{SPOT}")
    found.at(MONDAY + 2 * HOUR, late)
    assert (held(found).quantity, fees(found)) == (Decimal("0.999"), [("USDT", 90)])


def test_the_brokers_position_is_the_net_one() -> None:
    found = after(bought("1", 90_000, "0.001"))
    report = PositionReported(symbol=SPOT, quantity=Decimal("0.999"), average_price=Decimal(90_000))
    found.at(MONDAY + HOUR, report, stream=f"position/A/{SPOT}")
    assert reconcile(found.book, "A") == ()


def test_a_contract_that_is_defined_late_takes_fees_of_what_is_not_fixed() -> None:
    found = Trading()
    found.at(MONDAY, bought("1", 90_000, "0.001"))
    assert held(found).quantity == 1
    found.book.append(f"contract/-/{SPOT}", spot())
    assert (held(found).quantity, fees(found)) == (Decimal("0.999"), [("USDT", 90)])
    report = PositionReported(symbol=SPOT, quantity=Decimal("0.999"), average_price=Decimal(90_000))
    found.at(MONDAY + HOUR, report, stream=f"position/A/{SPOT}")
    assert reconcile(found.book, "A") == ()


def test_a_split_multiplies_what_was_held_net_of_the_fee() -> None:
    found = after(bought("1", 90_000, "0.001"))
    split = adjusted("0.999", "SPLIT")
    found.at(MONDAY + HOUR, msgspec.structs.replace(split, symbol=SPOT), stream=f"position/A/{SPOT}")
    assert (held(found).quantity, held(found).average_price) == (Decimal("1.998"), 45_000)
    found.at(MONDAY + 2 * HOUR, TradeBusted(trade_id="T1"))
    assert held(found).quantity == 0
