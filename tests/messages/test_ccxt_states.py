"""CCXT's positions, balances and markets: what each becomes, and what in it may mislead."""

from decimal import Decimal

import pytest

from eventstore.trading import (
    AccountUpdated,
    Asset,
    ContractDefined,
    NoteAdded,
    Payoff,
    PositionReported,
    PositionSide,
    QuoteReceived,
)
from gateways.messages import Unmapped
from gateways.messages.ccxt import Ccxt, PrecisionMode
from tests.messages import ccxt_structures as made
from tests.messages.ccxt_mapping import events, only, with_settings

D = Decimal
MS = 1_000_000


@pytest.mark.parametrize(
    ("members", "quantity", "side"),
    [
        ({}, "0.5", PositionSide.NET),
        ({"side": "short"}, "-0.5", PositionSide.NET),
        ({"side": "short", "contracts": -0.5}, "-0.5", PositionSide.NET),
        ({"side": "short", "hedged": True}, "-0.5", PositionSide.SHORT),
        ({"side": "long", "hedged": True}, "0.5", PositionSide.LONG),
        ({"side": "short", "hedged": None}, "-0.5", PositionSide.NET),
        ({"side": None, "contracts": 0.0}, "0", PositionSide.NET),
        ({"side": None, "contracts": 0, "hedged": True, "info": {"positionSide": "SHORT"}}, "0", PositionSide.SHORT),
    ],
)
def test_a_position_has_its_direction_from_its_side(
    members: dict[str, object], quantity: str, side: PositionSide
) -> None:
    found, quote = events(made.position(**members))
    event = found.event
    assert isinstance(event, PositionReported)
    assert (event.quantity, event.position_side) == (D(quantity), side)
    assert event.average_price == (D("60000.1") if event.quantity else None)
    assert quote.event == QuoteReceived(symbol="BTC/USDT:USDT", mark=D(60010), source="ccxt/binance")


@pytest.mark.parametrize(
    "members",
    [{"side": None}, {"contracts": None}, {"side": "both"}, {"side": None, "contracts": 0, "hedged": True}],
)
def test_a_position_of_unknown_size_or_direction_is_refused(members: dict[str, object]) -> None:
    with pytest.raises(Unmapped):
        events(made.position(**members))


def test_a_position_without_a_time_is_a_report_of_its_own_each_time() -> None:
    (found,) = events(made.position(timestamp=None))
    assert (found.key, found.occurred_at) == (None, None)


def test_a_balance_is_an_update_for_each_coin() -> None:
    found = events(made.balance(USDT=(900.5, 99.5), BTC=(0.1, 0.0), OP=(1.0, None)))
    assert {each.stream for each in found} == {"account/A/-"}
    assert [each.event for each in found] == [
        AccountUpdated(balance=D("0.1"), available=D("0.1"), frozen=D(0), currency="BTC"),
        AccountUpdated(balance=None, available=D(1), frozen=None, currency="OPCOIN"),
        AccountUpdated(balance=D(1000), available=D("900.5"), frozen=D("99.5"), currency="USDT"),
    ]


def test_each_coin_counts_whatever_is_wrong_with_the_others() -> None:
    message = made.balance(USDT=(900.5, 99.5), BTC=(0.1, 0.0))
    message["USDT"]["free"] = message["free"]["USDT"] = "many"
    update, note = events(message)
    assert update.event == AccountUpdated(balance=D("0.1"), available=D("0.1"), frozen=D(0), currency="BTC")
    assert isinstance(note.event, NoteAdded)


def test_a_position_counts_whatever_is_wrong_with_its_price() -> None:
    report, note = events(made.position(markPrice="high"))
    assert (type(report.event), type(note.event)) == (PositionReported, NoteAdded)


def test_a_spot_accounts_coins_are_not_its_cash() -> None:
    event = only(made.balance(USDT=(900.5, 99.5)), with_settings(spot=True))
    assert event == AccountUpdated(available=D("900.5"), frozen=D("99.5"), currency="USDT")


def test_a_total_that_is_not_stated_is_what_is_free_and_used() -> None:
    event = only({"kind": "Balance", "data": {"USDT": {"free": 0.1, "used": 0.2}}})
    assert event.balance == D("0.3")


def test_a_balance_in_either_of_its_forms_is_the_same() -> None:
    whole = made.balance(USDT=(900.5, 99.5))
    tables = {name: whole[name] for name in ("free", "used", "total", "timestamp")}
    coins = {"kind": "Balance", "data": {name: whole[name] for name in ("USDT", "timestamp")}}
    assert events(tables) == events(coins) == events(whole)


def test_a_spot_pair_brings_its_base_coin() -> None:
    (found,) = events(made.market(), with_settings(precision_mode=PrecisionMode.TICK_SIZE))
    assert found.stream == "contract/-/BTC%2FUSDT"
    assert found.event == ContractDefined(
        symbol="BTC/USDT", multiplier=D(1), tick_size=D("0.01"), currency="USDT", name="BTCUSDT",
        broker_ids=("binance:spot:BTCUSDT",), exchange="binance", product="spot", base_currency="BTC",
        asset=Asset.CRYPTO,
    )  # fmt: skip


def test_a_linear_contract_is_worth_its_size() -> None:
    event = only(made.linear(type="future", expiry=made.START, symbol="BTC/USDT:USDT-260101"))
    assert (event.multiplier, event.currency, event.payoff) == (D("0.01"), "USDT", Payoff.LINEAR)
    assert (event.asset, event.root, event.product) == (Asset.FUTURE, "BTC", "future")
    assert event.expiry.isoformat() == "2026-01-01"
    # Its fees are never taken from a coin that was bought.
    assert event.bought_coin is None


def test_an_inverse_contract_is_settled_in_its_base_coin() -> None:
    event = only(made.inverse())
    assert (event.multiplier, event.payoff, event.base_currency) == (D(100), Payoff.INVERSE, "BTC")
    assert event.result_currency == "BTC"


def test_an_inverse_option_is_quoted_in_what_it_is_settled_in() -> None:
    event = only(made.inverse(type="option", symbol="BTC/USD:BTC-260101-90000-C", contractSize=1.0))
    assert (event.payoff, event.result_currency, event.asset) == (Payoff.LINEAR, "BTC", Asset.OPTION)


def test_the_multiplier_of_a_quanto_or_of_an_unstated_size_is_unknown() -> None:
    quanto = only(made.inverse(symbol="ETH/USD:BTC", base="ETH", linear=False, inverse=False))
    assert (quanto.multiplier, quanto.currency) == (None, "BTC")
    assert only(made.linear(contractSize=None)).multiplier is None


def test_a_market_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(Unmapped, match="inverse"):
        events(made.linear(inverse=True))


def test_what_a_market_leaves_out_follows_from_what_it_is_settled_in() -> None:
    assert only(made.linear(linear=None, inverse=None)).payoff is Payoff.LINEAR
    assert only(made.inverse(linear=None, inverse=None)).payoff is Payoff.INVERSE


@pytest.mark.parametrize(
    ("mode", "price", "tick"),
    [
        (None, 0.01, None),
        (PrecisionMode.TICK_SIZE, 0.1, "0.1"),
        (PrecisionMode.TICK_SIZE, 1e-08, "1e-8"),
        (PrecisionMode.TICK_SIZE, None, None),
        (PrecisionMode.DECIMAL_PLACES, 2, "0.01"),
        (PrecisionMode.DECIMAL_PLACES, 0, "1"),
        (PrecisionMode.SIGNIFICANT_DIGITS, 5, None),
    ],
)
def test_a_tick_is_read_by_the_exchanges_mode(
    mode: PrecisionMode | None, price: float | None, tick: str | None
) -> None:
    event = only(made.linear(precision={"amount": 1, "price": price}), with_settings(precision_mode=mode))
    assert event.tick_size == (None if tick is None else D(tick))


def test_a_tick_size_is_not_a_number_of_decimal_places() -> None:
    with pytest.raises(Unmapped, match="precision_mode"):
        events(made.linear(precision={"price": 0.1}), with_settings(precision_mode=PrecisionMode.DECIMAL_PLACES))


def test_an_exchange_that_is_not_the_only_one_has_names_of_its_own() -> None:
    there = Ccxt(exchange="okx", account="B", suffix="@okx")
    assert only(made.linear(), there).symbol == "BTC/USDT:USDT@okx"
    assert only(made.trade(), there).symbol == "BTC/USDT@okx"
