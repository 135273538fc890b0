"""Binance's own messages: orders and their executions, states of the account, income."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from eventstore.trading import (
    AccountUpdated,
    CashKind,
    CashMoved,
    Liquidity,
    NoteAdded,
    OrderFilled,
    OrderReported,
    OrderStatus,
    OrderType,
    PositionReported,
    PositionSide,
    Side,
)
from gateways.messages import MappedEvent, Unmapped
from gateways.messages.binance import (
    FIELDS,
    INCOME,
    INCOME_LEFT_OUT,
    LEFT_OUT,
    MESSAGES_LEFT_OUT,
    BinanceFutures,
    symbols_of,
)
from gateways.messages.ccxt import Ccxt
from tests.messages import binance_messages as raw
from tests.messages import ccxt_structures as unified

D = Decimal
MS = 1_000_000
SYMBOLS = {"BTCUSDT": "BTC/USDT:USDT"}
MAPPING = BinanceFutures(account="A", symbols=SYMBOLS)

INCOME_TYPES = [
    "TRANSFER",
    "WELCOME_BONUS",
    "REALIZED_PNL",
    "FUNDING_FEE",
    "COMMISSION",
    "INSURANCE_CLEAR",
    "REFERRAL_KICKBACK",
    "COMMISSION_REBATE",
    "API_REBATE",
    "CONTEST_REWARD",
    "CROSS_COLLATERAL_TRANSFER",
    "OPTIONS_PREMIUM_FEE",
    "OPTIONS_SETTLE_PROFIT",
    "INTERNAL_TRANSFER",
    "AUTO_EXCHANGE",
    "DELIVERED_SETTELMENT",
    "COIN_SWAP_DEPOSIT",
    "COIN_SWAP_WITHDRAW",
    "POSITION_LIMIT_INCREASE_FEE",
    "STRATEGY_UMFUTURES_TRANSFER",
    "FEE_RETURN",
    "BFUSD_REWARD",
    "SPECIAL_FUNDING_FEE",
]


def events(message: Mapping[str, object], mapping: BinanceFutures = MAPPING) -> tuple[MappedEvent, ...]:
    return mapping.events(message)


def members_of(message: Mapping[str, Any], prefix: str = "") -> set[str]:
    """Return the names of all members, those inside others by way of the names of these."""
    found = set()
    for name, value in message.items():
        inner = value[0] if isinstance(value, list) else value
        if isinstance(inner, dict):
            found |= members_of(inner, f"{prefix}{name}.")
        else:
            found.add(f"{prefix}{name}")
    return found


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("ORDER_TRADE_UPDATE", raw.order_update()),
        ("ACCOUNT_UPDATE", raw.account_update(balances=({},), positions=({},))),
        ("income", raw.income()),
    ],
)
def test_each_member_of_a_message_becomes_something_or_has_a_reason(kind: str, message: dict[str, Any]) -> None:
    assert {*FIELDS[kind], *LEFT_OUT[kind]} == members_of(message)
    assert FIELDS[kind].keys() & LEFT_OUT[kind].keys() == set()


def test_each_type_of_income_is_cash_or_has_a_reason() -> None:
    assert {*INCOME, *INCOME_LEFT_OUT} == set(INCOME_TYPES)
    assert INCOME.keys() & INCOME_LEFT_OUT.keys() == set()


# --- orders -------------------------------------------------------------------------------------------------------


def test_a_fill_is_a_report_and_an_execution() -> None:
    report, fill = events(raw.fill_update())
    assert report.stream == fill.stream == "order/A/BTC%2FUSDT:USDT-8886774"
    assert report.occurred_at == fill.occurred_at == raw.START * MS
    assert report.event == OrderReported(
        status=OrderStatus.PARTIALLY_FILLED, raw_status="PARTIALLY_FILLED", broker_order_id="BTC/USDT:USDT-8886774",
        symbol="BTC/USDT:USDT", side=Side.BUY, order_type=OrderType.LIMIT, quantity=D("0.5"),
        filled_quantity=D("0.3"), average_fill_price=D("60000.1"), limit_price=D("60000.1"),
        position_side=PositionSide.NET, reduce_only=False,
    )  # fmt: skip
    assert fill.event == OrderFilled(
        trade_id="BTC/USDT:USDT-77", symbol="BTC/USDT:USDT", side=Side.BUY, quantity=D("0.3"), price=D("60000.1"),
        fee=D("7.2"), fee_currency="USDT", exchange_trade_id="77", liquidity=Liquidity.REMOVED, reported_pnl=D(0),
    )  # fmt: skip


@pytest.mark.parametrize(
    "members",
    [
        {"x": "NEW", "t": 0, "l": "0"},
        {"x": "CANCELED", "X": "CANCELED", "t": 0, "l": "0"},
        {"x": "EXPIRED", "X": "EXPIRED_IN_MATCH", "t": 0, "l": "0"},
        {"x": "AMENDMENT", "t": 0, "l": "0"},
        {"x": "AMENDMENT", "t": 77, "l": "0.3"},
        {"x": "CALCULATED", "t": 0, "l": "0.3"},
        {"x": "TRADE", "t": 77, "l": "0"},
        {"x": "SOMETHING", "t": 77},
    ],
)
def test_only_what_was_executed_and_has_an_id_is_an_execution(members: dict[str, Any]) -> None:
    assert [type(each.event) for each in events(raw.fill_update(**members))] == [OrderReported]


@pytest.mark.parametrize(
    ("client_id", "why"),
    [
        ("autoclose-16", "liquidation"),
        ("adl_autoclose", "auto-deleveraging"),
        ("settlement_autoclose-9", "settlement"),
        ("mine-autoclose-1", None),
        (None, None),
    ],
)
def test_what_the_exchange_has_placed_itself_is_executed_and_noted(client_id: str | None, why: str | None) -> None:
    report, fill, *notes = events(raw.fill_update(x="CALCULATED", c=client_id))
    assert isinstance(fill.event, OrderFilled)
    reported = [(each.event.target, each.event.tags) for each in notes if isinstance(each.event, NoteAdded)]
    assert reported == ([] if why is None else [(report.stream, (why,))])


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("FILLED", OrderStatus.FILLED),
        ("EXPIRED_IN_MATCH", OrderStatus.EXPIRED),
        ("NEW_ADL", OrderStatus.UNKNOWN),
        (None, OrderStatus.UNKNOWN),
        (7, None),
    ],
)
def test_a_status_that_is_unknown_is_a_report_with_the_word(word: object, status: OrderStatus | None) -> None:
    if status is None:
        with pytest.raises(Unmapped):
            events(raw.order_update(X=word))
        return
    (report,) = events(raw.order_update(X=word))
    assert isinstance(report.event, OrderReported)
    assert (report.event.status, report.event.raw_status) == (status, word)


@pytest.mark.parametrize(
    ("members", "order_type", "limit", "stop"),
    [
        ({"ot": "STOP_MARKET", "o": "MARKET", "sp": "59000", "p": "0"}, OrderType.STOP, None, "59000"),
        ({"ot": "STOP", "sp": "59000"}, OrderType.STOP_LIMIT, "60000.1", "59000"),
        ({"ot": "TAKE_PROFIT"}, OrderType.LIMIT_IF_TOUCHED, "60000.1", None),
        ({"ot": None, "o": "MARKET", "p": "0"}, OrderType.MARKET, None, None),
        ({"ot": "LIQUIDATION"}, None, "60000.1", None),
    ],
)
def test_an_order_has_the_type_that_it_was_placed_with(
    members: dict[str, Any], order_type: OrderType | None, limit: str | None, stop: str | None
) -> None:
    (report,) = events(raw.order_update(**members))
    event = report.event
    assert isinstance(event, OrderReported)
    assert event.order_type is order_type
    assert (event.limit_price, event.stop_price) == (limit and D(limit), stop and D(stop))


def test_an_order_that_closes_a_position_has_no_quantity_and_only_reduces() -> None:
    (report,) = events(raw.order_update(q="0", cp=True, R=False, ps="SHORT"))
    event = report.event
    assert isinstance(event, OrderReported)
    assert (event.quantity, event.reduce_only, event.position_side) == (None, True, PositionSide.SHORT)


def test_an_order_may_be_named_by_the_programs_id() -> None:
    own = msgspec.structs.replace(MAPPING, client_ids=True)
    assert [each.stream for each in events(raw.fill_update(), own)] == ["order/A/mine-1"] * 2


@pytest.mark.parametrize("members", [{"n": None, "N": None}, {"n": "0"}])
def test_a_fill_may_have_no_commission(members: dict[str, Any]) -> None:
    fill = events(raw.fill_update(**members))[1].event
    assert isinstance(fill, OrderFilled)
    assert (fill.fee, fill.fee_currency) == (D(0), None)


def test_a_rebate_is_below_zero() -> None:
    fill = events(raw.fill_update(n="-0.15", m=True))[1].event
    assert isinstance(fill, OrderFilled)
    assert (fill.fee, fill.liquidity) == (D("-0.15"), Liquidity.ADDED)


def test_ccxt_tells_the_same_execution_under_the_same_id() -> None:
    own = events(raw.fill_update())[1].event
    message = unified.trade(id="77", order="8886774", symbol="BTC/USDT:USDT")
    reported = Ccxt(exchange="binance", account="A").events(message)[0]
    assert reported.stream == events(raw.fill_update())[1].stream
    assert reported.event == msgspec.structs.replace(own, reported_pnl=None)


def test_a_contract_that_the_setting_lacks_is_refused_and_without_any_each_has_its_own_name() -> None:
    with pytest.raises(Unmapped, match="symbols_of"):
        events(raw.order_update(s="ETHUSDT"))
    (report,) = events(raw.order_update(s="ETHUSDT"), BinanceFutures(account="A"))
    assert report.stream == "order/A/ETHUSDT-8886774"


def test_the_names_of_contracts_are_those_of_ccxts_markets_and_no_spot_pairs() -> None:
    markets = [unified.market(), unified.linear(), unified.inverse(), unified.linear(type="option", id="BTC-C")]
    assert symbols_of(markets) == SYMBOLS


# --- the account --------------------------------------------------------------------------------------------------


def test_an_update_of_the_account_is_a_report_for_each_coin_and_position() -> None:
    message = raw.account_update(
        reason="FUNDING_FEE",
        balances=({"bc": "-1.25"}, {"a": "BNB", "wb": "2"}),
        positions=({}, {"pa": "-0.2", "ps": "SHORT"}, {"pa": "0", "ep": "0.0", "ps": "LONG"}),
    )
    found = events(message)
    assert {each.occurred_at for each in found} == {raw.START * MS}
    assert [each.event for each in found] == [
        AccountUpdated(balance=D("1000.5"), currency="USDT"),
        AccountUpdated(balance=D(2), currency="BNB"),
        PositionReported(symbol="BTC/USDT:USDT", quantity=D("0.3"), average_price=D("60000.1")),
        PositionReported(
            symbol="BTC/USDT:USDT", quantity=D("-0.2"), average_price=D("60000.1"), position_side=PositionSide.SHORT
        ),
        PositionReported(symbol="BTC/USDT:USDT", quantity=D(0), position_side=PositionSide.LONG),
    ]
    assert len({each.key for each in found}) == len(found)


def test_an_update_may_state_no_balance_or_no_position() -> None:
    assert events({"e": "ACCOUNT_UPDATE", "T": raw.START, "a": {"m": "ORDER"}}) == ()
    with pytest.raises(Unmapped):
        events({"e": "ACCOUNT_UPDATE", "T": raw.START, "a": {"B": {"a": "USDT"}}})


# --- income -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "income", "kind", "amount"),
    [
        ("FUNDING_FEE", "-1.25000000", CashKind.FUNDING, "-1.25"),
        ("TRANSFER", "-100", CashKind.TRANSFER, "-100"),
        ("COMMISSION_REBATE", "0.5", CashKind.FEE, "-0.5"),
        ("INSURANCE_CLEAR", "-3", CashKind.FEE, "3"),
        ("BFUSD_REWARD", "0.01", CashKind.INTEREST, "0.01"),
        ("API_REBATE", "0", CashKind.FEE, "0"),
    ],
)
def test_income_is_cash_with_its_sign(word: str, income: str, kind: CashKind, amount: str) -> None:
    (found,) = events(raw.income(incomeType=word, income=income))
    assert isinstance(found.event, CashMoved)
    assert (found.event.kind, str(found.event.amount), found.event.currency) == (kind, amount, "USDT")
    assert found.stream == "account/A/-"


@pytest.mark.parametrize("word", INCOME_LEFT_OUT)
def test_what_executions_say_is_not_counted_again(word: str) -> None:
    assert events(raw.income(incomeType=word, tradeId="77")) == ()


def test_income_of_an_unknown_type_is_a_note_with_the_word() -> None:
    (found,) = events(raw.income(incomeType="MOON_FEE"))
    assert isinstance(found.event, NoteAdded)
    assert "MOON_FEE" in found.event.text


def test_one_id_of_two_types_is_two_payments_and_ccxts_ledger_has_the_same_ones() -> None:
    keys = {events(raw.income(incomeType=word))[0].key for word in ("FUNDING_FEE", "TRANSFER", "INSURANCE_CLEAR")}
    assert len(keys) == 3
    ccxt = Ccxt(exchange="binance", account="A")
    entry = unified.ledger(
        id="9001", type="fee", direction="out", amount=1.25, info={"incomeType": "FUNDING_FEE", "tranId": 9001}
    )
    assert ccxt.events(entry) == ccxt.events(unified.funding(id="9001")) == events(raw.income())


# --- other messages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MESSAGES_LEFT_OUT)
def test_some_messages_become_nothing(kind: str) -> None:
    assert events({"e": kind, "E": raw.START}) == ()


@pytest.mark.parametrize(
    "message",
    [
        {}, {"e": None}, {"e": "ALGO_UPDATE"}, {"e": "ORDER_TRADE_UPDATE"}, {"e": "ORDER_TRADE_UPDATE", "o": []},
        raw.order_update(i=0), raw.order_update(s=None), raw.order_update(at=1_767_225_600),
        raw.income(tranId=None), raw.income(income=""), raw.income(asset=None), raw.income(incomeType=None),
    ],
)  # fmt: skip
def test_a_message_that_lacks_what_it_is_about_is_refused_as_a_whole(message: dict[str, object]) -> None:
    with pytest.raises(Unmapped) as refused:
        events(message)
    assert refused.value.message == message


@pytest.mark.parametrize("members", [{"L": None}, {"l": "-1"}, {"l": "1e999999"}, {"S": "HOLD"}])
def test_an_execution_that_cannot_be_mapped_is_noted_and_the_report_counts(members: Any) -> None:  # noqa: ANN401
    report, note = events(raw.fill_update(**members))
    assert (type(report.event), type(note.event)) == (OrderReported, NoteAdded)


def test_an_execution_counts_whatever_is_wrong_with_the_report() -> None:
    filled, note = events(raw.fill_update(q="many"))
    assert (type(filled.event), type(note.event)) == (OrderFilled, NoteAdded)


def test_each_coin_and_position_counts_whatever_is_wrong_with_the_others() -> None:
    message = raw.account_update(balances=({}, {"wb": "many"}), positions=({"s": "NOBODYKNOWS"}, {}, {"pa": None}))
    found = [type(each.event) for each in events(message)]
    assert found == [AccountUpdated, PositionReported, NoteAdded, NoteAdded, NoteAdded]


def test_a_message_of_a_combined_stream_is_the_one_inside() -> None:
    inside = raw.fill_update()
    assert events({"stream": "listenKey", "data": inside}) == events(inside)
