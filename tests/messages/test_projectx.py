"""ProjectX's messages: what is malformed is refused with all of it, what is unknown stays so, and the ordinary case."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from eventstore import Event
from eventstore.clock import parse_time
from eventstore.trading import (
    AccountUpdated,
    Asset,
    ContractDefined,
    NoteAdded,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderReplaced,
    OrderReplaceRejected,
    OrderReported,
    OrderStatus,
    OrderType,
    PositionReported,
    QuoteReceived,
    Side,
    TradeBusted,
    TradeExecuted,
)
from gateways.messages import MappedEvent, Unmapped
from gateways.messages.projectx import ProjectX, message
from tests.messages.projectx_messages import (
    ACCOUNT,
    ACCOUNT_ID,
    AT,
    CONTRACT_ID,
    account,
    answer,
    contract,
    order,
    position,
    quote,
    trade,
    user,
)

D = Decimal
MAPPING = ProjectX()
AT_NS = parse_time(AT)


def events(given: Any, mapping: ProjectX = MAPPING) -> tuple[MappedEvent, ...]:  # noqa: ANN401 - whatever arrives
    return mapping.events(given)


def refused(given: Any) -> Unmapped:  # noqa: ANN401 - whatever arrives
    with pytest.raises(Unmapped) as caught:
        events(given)
    assert caught.value.message == given
    return caught.value


# --- what can be wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [
    {}, [], None, "text", {"target": "GatewayUserTrade"}, {"target": None, "arguments": [{}]},
    {"target": "GatewayUserTrade", "arguments": {}}, {"target": "GatewayUserTrade", "arguments": []},
    {"target": "GatewayLogout", "arguments": ["bye"]}, {"arguments": [trade()]},
    {"target": "GatewayUserTrade", "arguments": [None]}, {"target": "GatewayUserTrade", "arguments": ["text"]},
    {"target": "GatewayUserTrade", "arguments": [{"action": 1, "data": None}]},
    {"target": "Order/place", "arguments": [{}]}, {"target": "Order/search", "arguments": ["text"]},
    {"target": "Order/search", "arguments": [{"success": True}]},
    {"target": "Trade/search", "arguments": [{"success": False, "errorCode": 1, "errorMessage": "x"}]},
])  # fmt: skip
def test_a_message_that_is_none_is_refused_whole(given: object) -> None:
    refused(given)


TRADE_FAULTS: dict[str, list[object]] = {
    "id": [None, 0, -1, "", "null", "0", True, 1.5, [1]],
    "accountId": [None, 0, -1, "", True, 4711.0],
    "contractId": [None, "", 0, "null"],
    "creationTimestamp": [None, "", "2026-11-30T14:30:00", "0001-01-01T00:00:00+00:00", 1_700_000_000, "soon"],
    "price": [None, "", math.nan, math.inf, -math.inf, "NaN", True, [], {}],
    "size": [None, 0, -1, math.nan, "", True],
    "side": [None, 2, -1, True, 0.0, "Long", []],
    "fees": [math.nan, "free", True],
    "profitAndLoss": [math.inf, "none", []],
    "voided": [0, 1, "false", "true"],
    "orderId": [True, 1.5, [1]],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in TRADE_FAULTS.items() for value in values]
)
def test_a_malformed_trade_is_refused_with_the_field(name: str, value: object) -> None:
    assert name in str(refused(user("Trade", trade(**{name: value}))))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("Order", order(0)),
        ("Order", order(accountId=None)),
        ("Order", order(accountId="an account")),
        ("Order", order(contractId=None)),
        ("Order", order(size=-1)),
        ("Order", order(fillVolume=-1)),
        ("Order", order(limitPrice=math.nan)),
        ("Order", order(updateTimestamp="2026-11-30T14:30:00")),
        ("Order", order(customTag=5)),
        ("Position", position(size=-1)),
        ("Position", position(size=None)),
        ("Position", position(type=0)),
        ("Position", position(type=3)),
        ("Position", position(averagePrice=math.inf)),
        ("Account", account(id=None)),
        ("Account", account(balance="rich", canTrade=None)),
        ("Account", account(balance=None, canTrade="yes")),
    ],
)
def test_a_malformed_object_is_refused(kind: str, fields: dict[str, Any]) -> None:
    refused(user(kind, fields))


@pytest.mark.parametrize(
    "given",
    [
        message("GatewayQuote", CONTRACT_ID, quote(timestamp="0001-01-01T00:00:00+00:00")),
        message("GatewayQuote", CONTRACT_ID, quote(timestamp=None, lastUpdated=None)),
        message("GatewayQuote", CONTRACT_ID, quote(bestBid=math.nan)),
        message("GatewayTrade", CONTRACT_ID, [{"price": None, "timestamp": AT, "volume": 1}]),
        message("GatewayTrade", CONTRACT_ID, [{"price": 1.5, "timestamp": AT, "volume": -1}]),
    ],
)
def test_malformed_market_data_is_refused_as_such(given: dict[str, object]) -> None:
    assert refused(given).is_market


def test_one_malformed_object_of_an_answer_keeps_no_other_back() -> None:
    broken = trade(2, price=None)
    found = events(answer("Trade/search", trades=[trade(1), broken, trade(3), "text"]))
    assert [type(each.event) for each in found] == [OrderFilled, NoteAdded, OrderFilled, NoteAdded]
    note = found[1].event
    assert isinstance(note, NoteAdded)
    assert '"price": null' in note.text
    assert note.tags == ("unmapped", "projectx", "GatewayUserTrade")


@pytest.mark.parametrize(
    "status", [9, -1, 0, "2", "Working", 1.0, True, None, [], {"a": 1}, pytest.param(10**5000, id="huge")]
)
def test_an_unknown_status_stays_unknown_and_is_kept_as_it_is(status: object) -> None:
    (only,) = events(user("Order", order(status=status)))
    report = only.event
    assert isinstance(report, OrderReported)
    assert report.status is OrderStatus.UNKNOWN
    assert (report.raw_status is None) is (status is None)


def test_an_unknown_side_and_type_of_an_order_are_kept_in_words() -> None:
    report = events(user("Order", order(side=2, type=12)))[1].event
    assert isinstance(report, OrderReported)
    assert (report.side, report.order_type, report.raw_status) == (None, None, "1; side 2; type 12")


@pytest.mark.parametrize(("accounts", "currency"), [({"1": "my account"}, "USD"), ({}, "dollars")])
def test_settings_that_mean_nothing_are_refused(accounts: dict[str, str], currency: str) -> None:
    with pytest.raises(ValueError, match=r"account|currency"):
        ProjectX(accounts=accounts, currency=currency)


@pytest.mark.parametrize("count", [0, 1, 5, 6, 23])
def test_the_parts_of_an_answer_say_what_it_says(count: int) -> None:
    given = answer("Trade/search", trades=[trade(number) for number in range(1, count + 1)])
    parts = MAPPING.parts(given)
    assert [each for part in parts for each in events(part)] == [*events(given)]
    assert max([len(events(part)) for part in parts]) <= 5


@pytest.mark.parametrize("given", [None, {}, answer("Trade/search", trades=5), user("Trade", trade())])
def test_what_lists_nothing_is_its_only_part(given: Any) -> None:  # noqa: ANN401 - whatever arrives
    assert [*MAPPING.parts(given)] == [given]


# --- orders -------------------------------------------------------------------------------------------------------

STATUSES = [
    (1, {}, OrderStatus.NEW, [OrderAccepted, OrderReported]),
    (1, {"fillVolume": 1, "filledPrice": 5.5}, OrderStatus.PARTIALLY_FILLED, [OrderAccepted, OrderReported]),
    (2, {"fillVolume": 2}, OrderStatus.FILLED, [OrderReported]),
    (3, {}, OrderStatus.CANCELED, [OrderReported, OrderCanceled]),
    (4, {}, OrderStatus.EXPIRED, [OrderReported, OrderExpired]),
    (5, {}, OrderStatus.REJECTED, [OrderReported, OrderRejected]),
    (6, {}, OrderStatus.PENDING_NEW, [OrderReported]),
    (7, {}, OrderStatus.PENDING_CANCEL, [OrderReported]),
    (8, {}, OrderStatus.SUSPENDED, [OrderReported]),
    ("Filled", {}, OrderStatus.FILLED, [OrderReported]),
]


@pytest.mark.parametrize(("status", "members", "expected", "types"), STATUSES)
def test_each_status_is_a_report_and_its_transition(
    status: object, members: dict[str, Any], expected: OrderStatus, types: list[type]
) -> None:
    found = events(user("Order", order(status=status, **members), action=1))
    assert [type(each.event) for each in found] == types
    report = next(each.event for each in found if isinstance(each.event, OrderReported))
    assert (report.status, report.raw_status) == (expected, str(status))
    assert {(each.stream, each.occurred_at) for each in found} == {(f"order/{ACCOUNT}/9056", AT_NS)}


def test_an_order_s_report_has_all_its_figures() -> None:
    given = order(
        type=4, side=1, stopPrice=20900.5, limitPrice=None, fillVolume=1, filledPrice=20899.75, customTag="O-17"
    )
    accepted, reported = events(
        user("Order", given), ProjectX(accounts={ACCOUNT: "ACC1"}, contracts={CONTRACT_ID: "MNQZ6"})
    )
    assert reported.event == OrderReported(
        status=OrderStatus.PARTIALLY_FILLED, raw_status="1", broker_order_id="9056", symbol="MNQZ6", side=Side.SELL,
        order_type=OrderType.STOP, quantity=D(2), filled_quantity=D(1), average_fill_price=D("20899.75"),
        stop_price=D("20900.5"), updated_at=AT_NS,
    )  # fmt: skip
    assert accepted.event == OrderAccepted(broker_order_id="9056")
    assert accepted.stream == reported.stream == "order/ACC1/O-17"


def test_an_order_that_was_not_updated_is_of_when_it_was_created() -> None:
    (*_, report) = events(user("Order", order(updateTimestamp=None)))
    assert (report.key, report.occurred_at) == (None, AT_NS)


def test_linked_orders_share_a_group_and_name_their_parent() -> None:
    stop = events(user("Order", order(9057, status=8, parentOrderId=9056, linkedOrderId=9058)))[0].event
    target = events(user("Order", order(9058, status=8, parentOrderId=9056, linkedOrderId=9057)))[0].event
    assert isinstance(stop, OrderReported)
    assert isinstance(target, OrderReported)
    assert stop.link_group == target.link_group is not None
    assert stop.parent_order_id == target.parent_order_id == "9056"


def test_the_same_state_has_the_same_key_and_another_one_another() -> None:
    keys = [events(user("Order", order(**members)))[1].key for members in ({}, {}, {"limitPrice": 5}, {"size": 3})]
    assert keys[0] == keys[1]
    assert len({*keys}) == 3


# --- trades -------------------------------------------------------------------------------------------------------


def test_an_opening_half_turn_has_no_result_of_its_own() -> None:
    (only,) = events(user("Trade", trade()))
    assert only == MappedEvent(
        f"order/{ACCOUNT}/9056",
        OrderFilled(
            trade_id="101112", symbol=CONTRACT_ID, side=Side.BUY, quantity=D(1), price=D("21000.25"), fee=D("0.37"),
            fee_currency="USD",
        ),
        "projectx 101112",
        AT_NS,
    )  # fmt: skip


def test_a_closing_trade_states_its_result_before_fees() -> None:
    (only,) = events(user("Trade", trade(profitAndLoss=-12.5, side=1, fees=0)))
    assert isinstance(only.event, OrderFilled)
    assert (only.event.reported_pnl, only.event.fee, only.event.fee_currency) == (D("-12.5"), D(0), None)


@pytest.mark.parametrize("action", [None, 0, 1, 2, 3, "Updated"])
def test_only_voided_takes_a_trade_back(action: int | None) -> None:
    assert [type(each.event) for each in events(user("Trade", trade(), action))] == [OrderFilled]
    filled, busted = events(user("Trade", trade(voided=True), action))
    assert filled == events(user("Trade", trade()))[0]
    assert busted.stream == f"trade/{ACCOUNT}/101112"
    assert busted.event == TradeBusted(
        trade_id="101112", symbol=CONTRACT_ID, side=Side.BUY, quantity=D(1), price=D("21000.25"), reason="voided"
    )


@pytest.mark.parametrize("order_id", [None, 0, "", -1])
def test_a_trade_without_an_order_is_one_of_its_own(order_id: object) -> None:
    (only,) = events(user("Trade", trade(orderId=order_id)))
    assert (only.stream, type(only.event)) == (f"trade/{ACCOUNT}/101112", TradeExecuted)


# --- accounts and positions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "can_trade"), [(None, True), (1, True), (2, False)])
def test_an_account_is_what_the_gateway_says_and_may_not_trade_once_it_is_gone(
    action: int | None, can_trade: bool
) -> None:
    (only,) = events(user("Account", account(), action))
    update = AccountUpdated(balance=D("50000.5"), can_trade=can_trade)
    assert only == MappedEvent(f"account/{ACCOUNT}/-", update, None, None)


def test_an_account_of_which_nothing_is_said_is_refused() -> None:
    refused(user("Account", {"id": ACCOUNT_ID, "cantrade": False}))


@pytest.mark.parametrize(
    ("members", "action", "quantity"),
    [({}, None, 1), ({"type": 2, "size": 3}, 1, -3), ({"size": 0}, 1, 0), ({"size": 0, "type": 0}, 1, 0), ({}, 2, 0)],
)
def test_a_position_is_signed_and_closed_by_size_or_action(
    members: dict[str, object], action: int | None, quantity: int
) -> None:
    (only,) = events(user("Position", position(**members), action))
    average = D("21000.25") if quantity else None
    report = PositionReported(symbol=CONTRACT_ID, quantity=D(quantity), average_price=average)
    assert only == MappedEvent(f"position/{ACCOUNT}/{CONTRACT_ID}", report, None, None)


# --- market -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(CONTRACT_ID, quote()), (quote(symbol=CONTRACT_ID),)])
def test_a_quote_is_of_the_contract_of_the_subscription(arguments: tuple[object, ...]) -> None:
    (only,) = events(message("GatewayQuote", *arguments))
    expected = QuoteReceived(
        symbol=CONTRACT_ID, last=D("21000.25"), bid=D("21000.0"), ask=D("21000.5"), source="projectx"
    )
    assert only == MappedEvent(f"quote/-/{CONTRACT_ID}", expected, None, AT_NS)


def test_what_a_quote_leaves_out_stands() -> None:
    (only,) = events(message("GatewayQuote", CONTRACT_ID, {"bestBid": 5, "lastUpdated": AT}))
    assert only.event == QuoteReceived(symbol=CONTRACT_ID, bid=D(5), source="projectx")


def test_prints_come_as_a_list() -> None:
    prints = [{"symbolId": "F.US.MNQ", "price": price, "timestamp": AT, "type": 0, "volume": 2} for price in (1.5, 2)]
    found = events(message("GatewayTrade", CONTRACT_ID, prints))
    assert [each.event for each in found] == [
        QuoteReceived(symbol=CONTRACT_ID, last=D(price), last_size=D(2), source="projectx") for price in ("1.5", 2)
    ]
    assert events(message("GatewayTrade", CONTRACT_ID, [])) == ()
    assert events(message("GatewayDepth", CONTRACT_ID, [{"price": 1}])) == ()


@pytest.mark.parametrize(
    ("tick_size", "tick_value", "multiplier"), [(0.25, 0.5, D(2)), (0.1, 10.0, D(100)), (0.03, 1.0, None)]
)
def test_a_contract_is_worth_its_tick_value_for_each_tick(
    tick_size: float, tick_value: float, multiplier: Decimal | None
) -> None:
    given = contract(tickSize=tick_size, tickValue=tick_value)
    (only,) = events(answer("Contract/search", contracts=[given]))
    assert only.event == ContractDefined(
        symbol="MNQZ6", multiplier=multiplier, tick_size=D(str(tick_size)), tick_value=D(str(tick_value)),
        currency="USD", root="MNQ", name="Micro E-mini Nasdaq-100: December 2026", broker_ids=(CONTRACT_ID,),
        asset=Asset.FUTURE,
    )  # fmt: skip
    assert events(answer("Contract/searchById", contract=given)) == (only,)


@pytest.mark.parametrize("members", [{"tickSize": 0}, {"tickValue": None}, {"id": None}, {"tickSize": -0.25}])
def test_a_contract_without_a_worth_is_refused(members: dict[str, object]) -> None:
    refused(answer("Contract/search", contracts=[contract(**members)]))


# --- requests -----------------------------------------------------------------------------------------------------

PLACED = {"accountId": ACCOUNT_ID, "contractId": CONTRACT_ID, "type": 2, "side": 0, "size": 1, "customTag": "O-17"}
MODIFIED = {"accountId": ACCOUNT_ID, "orderId": 9056, "size": 3, "limitPrice": 5.5, "stopPrice": None}
FAILED = {"success": False, "errorCode": 2, "errorMessage": "Order rejected"}
UNKNOWN = OrderReported(raw_status="Order/place failed: 7 Order rejected")
REQUESTS: list[tuple[str, dict[str, Any], dict[str, Any], Event]] = [
    ("Order/place", PLACED, {"success": True, "orderId": 9056}, OrderAccepted(broker_order_id="9056")),
    ("Order/place", PLACED, FAILED, OrderRejected(reason="OrderRejected: 2 Order rejected")),
    ("Order/place", PLACED, FAILED | {"errorCode": 7}, UNKNOWN),
    ("Order/modify", MODIFIED, {"success": True}, OrderReplaced(quantity=D(3), limit_price=D("5.5"))),
    ("Order/modify", MODIFIED, FAILED, OrderReplaceRejected(reason="2 Order rejected")),
    ("Order/cancel", MODIFIED, FAILED, OrderCancelRejected(reason="2 Order rejected")),
]


@pytest.mark.parametrize(("target", "request_", "answered", "expected"), REQUESTS)
def test_an_answer_to_a_request_is_what_became_of_the_order(
    target: str, request_: dict[str, Any], answered: dict[str, Any], expected: Event
) -> None:
    (only,) = events(message(target, request_, answered))
    assert only.stream == f"order/{ACCOUNT}/{'O-17' if target == 'Order/place' else '9056'}"
    assert only.event == expected


def test_a_cancel_that_was_taken_is_known_by_the_order_s_own_message() -> None:
    assert events(message("Order/cancel", MODIFIED, {"success": True})) == ()
