"""CCXT's trades and orders: what each becomes, and what in it may mislead."""

from decimal import Decimal

import pytest

from eventstore.trading import (
    FeeCharged,
    Liquidity,
    NoteAdded,
    OrderFilled,
    OrderReported,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TradeExecuted,
)
from gateways.messages import Unmapped
from tests.messages import ccxt_structures as made
from tests.messages.ccxt_mapping import events, only, with_settings

D = Decimal
MS = 1_000_000


def test_a_trade_is_a_fill_of_its_order() -> None:
    (found,) = events(made.trade())
    assert found.stream == "order/A/BTC%2FUSDT-O-1"
    assert found.occurred_at == made.START * MS
    assert found.event == OrderFilled(
        trade_id="BTC/USDT-T-1",
        symbol="BTC/USDT",
        side=Side.BUY,
        quantity=D("0.3"),
        price=D("60000.1"),
        fee=D("7.2"),
        fee_currency="USDT",
        exchange_trade_id="T-1",
        liquidity=Liquidity.REMOVED,
    )


def test_trades_of_two_symbols_with_one_id_are_two() -> None:
    one, other = events(made.trade())[0], events(made.trade(symbol="ETH/USDT"))[0]
    assert one.event.trade_id != other.event.trade_id  # type: ignore[attr-defined]
    assert (one.stream, one.key) != (other.stream, other.key)
    alone = [events(made.trade(symbol=symbol, order=None))[0] for symbol in ("BTC/USDT", "ETH/USDT")]
    assert isinstance(alone[0].event, TradeExecuted)
    assert len({each.stream for each in alone}) == 2


@pytest.mark.parametrize(("amount", "written"), [(0.1 + 0.2, "0.30000000000000004"), (1e-8, "0.00000001"), (3, "3")])
def test_an_amount_is_the_number_that_was_written(amount: float, written: str) -> None:
    assert f"{only(made.trade(amount=amount)).quantity:f}" == written


@pytest.mark.parametrize(
    ("fee", "fees", "expected"),
    [
        ({"currency": "USDT", "cost": 7.2}, [{"currency": "USDT", "cost": 7.2}], [("USDT", "7.2")]),
        ({"currency": "BNB", "cost": 0.01}, [], [("BNB", "0.01")]),
        (None, [{"currency": "BTC", "cost": 0.0003}], [("BTC", "0.0003")]),
        ({"currency": "USDT", "cost": -0.5}, None, [("USDT", "-0.5")]),
        (None, [{"currency": "USDT", "cost": 1}, {"currency": "BNB", "cost": 2}], [("BNB", "2"), ("USDT", "1")]),
        (None, [{"currency": "USDT", "cost": 1}, {"currency": "USDT", "cost": 0.5}], [("USDT", "1.5")]),
        ({"currency": "BNB", "cost": 2}, [{"currency": "USDT", "cost": 1}], [("USDT", "1")]),
        ({"currency": None, "cost": None}, [{"currency": None, "cost": None}], [(None, "0")]),
        (None, None, [(None, "0")]),
        ({"currency": "OP", "cost": 1.0}, [], [("OPCOIN", "1")]),
    ],
)
def test_a_fee_is_paid_once_in_each_of_its_currencies(
    fee: dict[str, object] | None, fees: list[dict[str, object]] | None, expected: list[tuple[str | None, str]]
) -> None:
    first, *further = events(made.trade(fee=fee, fees=fees))
    fill = first.event
    assert isinstance(fill, OrderFilled)
    paid = [(fill.fee_currency, fill.fee)]
    for each in further:
        assert isinstance(each.event, FeeCharged)
        assert each.event.trade_id == fill.trade_id
        paid.append((each.event.currency, each.event.amount))
    assert paid == [(currency, D(amount)) for currency, amount in expected]


@pytest.mark.parametrize(
    ("info", "side"),
    [
        ({}, PositionSide.NET),
        ({"positionSide": "LONG"}, PositionSide.LONG),
        ({"positionSide": "BOTH"}, PositionSide.NET),
        ({"ps": "SHORT"}, PositionSide.SHORT),
        ({"posSide": "short"}, PositionSide.SHORT),
        ({"positionIdx": 1}, PositionSide.LONG),
        ({"positionIdx": "0"}, PositionSide.NET),
        ({"positionSide": "SIDEWAYS"}, PositionSide.NET),
        (None, PositionSide.NET),
    ],
)
def test_a_trade_is_of_the_position_that_the_exchange_names(info: object, side: PositionSide) -> None:
    assert only(made.trade(info=info)).position_side is side


@pytest.mark.parametrize(
    "members",
    [
        {"id": None}, {"id": ""}, {"id": "null"}, {"symbol": None}, {"side": None}, {"side": "hold"},
        {"amount": None}, {"amount": 0}, {"amount": -1.0}, {"amount": float("nan")}, {"amount": "much"},
        {"price": None}, {"price": float("inf")}, {"price": True}, {"price": 1e300}, {"timestamp": 1_767_225_600},
        {"timestamp": "now"}, {"timestamp": -5}, {"fees": {"USDT": 1}},
        {"fees": None, "fee": [1]}, {"fees": [{"cost": "free"}]}, {"symbol": "x" * 300},
        {"symbol": "BTC\nUSDT"}, {"symbol": "\ud800"},
    ],
)  # fmt: skip
def test_a_trade_that_is_none_is_refused_with_the_message(members: dict[str, object]) -> None:
    message = {**made.trade(), **members}
    with pytest.raises(Unmapped) as refused:
        events({"kind": "Trade", "data": message})
    assert refused.value.source == "ccxt/binance"
    assert refused.value.kind.startswith("Trade")
    assert refused.value.message == {"kind": "Trade", "data": message}


def test_a_trade_without_a_time_is_recorded_when_it_comes() -> None:
    assert events(made.trade(timestamp=None))[0].occurred_at is None
    reported = {**made.trade(timestamp=None), "datetime": "2026-01-01T00:00:00.000Z"}
    assert events(reported)[0].occurred_at == made.START * MS


def test_the_same_trade_again_is_the_same_record_and_one_that_says_more_another() -> None:
    first, again = events(made.trade()), events(made.trade())
    more = events(made.trade(fee=None, fees=[]))
    assert first == again
    assert (more[0].stream, more[0].key) != (first[0].stream, first[0].key)
    assert more[0].event.trade_id == first[0].event.trade_id  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"status": "open"}, OrderStatus.NEW),
        ({"status": "open", "filled": 0.2}, OrderStatus.PARTIALLY_FILLED),
        ({"status": "closed", "filled": 0.5}, OrderStatus.FILLED),
        ({"status": "closed", "filled": 0.49999999999999994}, OrderStatus.FILLED),
        ({"status": "closed", "filled": None}, OrderStatus.FILLED),
        ({"status": "closed", "filled": 0.0}, OrderStatus.CANCELED),
        ({"status": "closed", "filled": 0.2}, OrderStatus.CANCELED),
        ({"status": "canceled", "filled": 0.2}, OrderStatus.CANCELED),
        ({"status": "canceling"}, OrderStatus.PENDING_CANCEL),
        ({"status": "expired", "filled": 0.2}, OrderStatus.EXPIRED),
        ({"status": "rejected"}, OrderStatus.REJECTED),
        ({"status": "liquidating"}, OrderStatus.UNKNOWN),
        ({"status": None}, OrderStatus.UNKNOWN),
    ],
)
def test_a_status_is_what_it_says_with_the_word_itself(members: dict[str, object], status: OrderStatus) -> None:
    event = only(made.order(**members))
    assert (event.status, event.raw_status) == (status, members["status"])


@pytest.mark.parametrize(
    ("members", "order_type", "limit", "stop"),
    [
        ({"type": "limit"}, OrderType.LIMIT, "60000.1", None),
        ({"type": "market", "price": 0}, OrderType.MARKET, None, None),
        ({"type": "market", "price": 59990.5, "average": 59990.5}, OrderType.MARKET, None, None),
        ({"type": "market", "triggerPrice": 59000.0}, OrderType.STOP, None, "59000"),
        ({"type": "limit", "stopPrice": 59000.0, "triggerPrice": 59000.0}, OrderType.STOP_LIMIT, "60000.1", "59000"),
        ({"type": "stop"}, OrderType.STOP_LIMIT, "60000.1", None),
        ({"type": "stop", "price": None}, OrderType.STOP, None, None),
        ({"type": "take_profit_market", "triggerPrice": 1}, OrderType.MARKET_IF_TOUCHED, None, "1"),
        ({"type": "trailing_stop_market", "triggerPrice": 1}, OrderType.TRAILING_STOP, None, "1"),
        ({"type": "iceberg"}, None, "60000.1", None),
        ({"type": None, "price": None}, None, None, None),
    ],
)
def test_an_order_type_and_its_prices(
    members: dict[str, object], order_type: OrderType | None, limit: str | None, stop: str | None
) -> None:
    event = only(made.order(**members))
    assert event.order_type is order_type
    assert event.limit_price == (None if limit is None else D(limit))
    assert event.stop_price == (None if stop is None else D(stop))


def test_an_order_is_a_report_at_its_newest_time() -> None:
    message = made.order(
        status="open", filled=0.2, average=60000.05, lastTradeTimestamp=made.START + 7,
        lastUpdateTimestamp=made.START + 5, reduceOnly=True, info={"positionSide": "SHORT"},
    )  # fmt: skip
    (found,) = events(message)
    assert (found.stream, found.occurred_at) == ("order/A/BTC%2FUSDT-O-1", (made.START + 7) * MS)
    assert found.event == OrderReported(
        status=OrderStatus.PARTIALLY_FILLED,
        raw_status="open",
        broker_order_id="BTC/USDT-O-1",
        symbol="BTC/USDT",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        quantity=D("0.5"),
        filled_quantity=D("0.2"),
        average_fill_price=D("60000.05"),
        limit_price=D("60000.1"),
        updated_at=(made.START + 5) * MS,
        position_side=PositionSide.SHORT,
        reduce_only=True,
    )


@pytest.mark.parametrize(
    ("members", "at"),
    [
        ({"status": "open"}, made.START + 7),
        ({"status": "open", "lastUpdateTimestamp": None}, made.START + 3),
        ({"status": "open", "lastUpdateTimestamp": None, "lastTradeTimestamp": None}, made.START),
        ({"status": "canceled"}, made.START + 7),
        ({"status": "canceled", "lastUpdateTimestamp": None}, None),
        ({"status": "closed", "filled": 0.5, "lastUpdateTimestamp": 0}, made.START + 3),
        ({"status": "closed", "filled": 0.5, "lastUpdateTimestamp": None, "lastTradeTimestamp": None}, None),
        ({"status": "what", "lastUpdateTimestamp": None}, made.START + 3),
    ],
)
def test_an_order_that_does_not_say_when_it_was_changed_is_the_newest_if_it_is_closed(
    members: dict[str, object], at: int | None
) -> None:
    reported = {"lastUpdateTimestamp": made.START + 7, "lastTradeTimestamp": made.START + 3, **members}
    found = events(made.order(**reported))[0]
    assert found.occurred_at == (None if at is None else at * MS)
    assert found.key is not None


def test_an_order_may_be_named_by_the_programs_id_and_is_found_by_the_exchanges() -> None:
    own = with_settings(client_ids=True)
    (found,) = events(made.order(), own)
    assert found.stream == "order/A/mine-1"
    assert found.event.broker_order_id == own.broker_order_id(made.order()) == "BTC/USDT-O-1"  # type: ignore[attr-defined]
    assert events(made.trade(), own)[0].stream == "order/A/BTC%2FUSDT-O-1"
    assert events(made.order(clientOrderId=None), own)[0].stream == "order/A/BTC%2FUSDT-O-1"
    # An id may be used for two symbols, and an order be cancelled under another one.
    assert events(made.order())[0].stream == events(made.order(clientOrderId="cancel-1"))[0].stream


def test_an_orders_own_trades_are_executions_and_its_fees_are_not_counted_again() -> None:
    listed = [made.trade(id="T-1"), made.trade(id="T-2", symbol=None, side=None, order=None), made.trade(id=None)]
    report, *fills = events(made.order(trades=listed, fee={"currency": "USDT", "cost": 14.4}))
    assert isinstance(report.event, OrderReported)
    assert [each.event.trade_id for each in fills] == ["BTC/USDT-T-1", "BTC/USDT-T-2"]  # type: ignore[attr-defined]
    assert fills[0] == events(made.trade(id="T-1"))[0]


@pytest.mark.parametrize(
    ("info", "settings", "group"),
    [
        ({"orderListId": 12}, {}, None),
        ({"orderListId": 12, "contingencyType": "OCO"}, {}, "oco:12"),
        ({"orderListId": "12"}, {"oco_lists": True}, "oco:12"),
        ({"orderListId": -1}, {"oco_lists": True}, None),
        ({}, {"oco_lists": True}, None),
    ],
)
def test_orders_of_a_list_are_linked_where_it_is_known_to_be_an_oco(
    info: dict[str, object], settings: dict[str, bool], group: str | None
) -> None:
    assert only(made.order(info=info), with_settings(**settings)).link_group == group


@pytest.mark.parametrize("bad", [made.trade(price="x"), made.trade(amount=-1), 5])
def test_a_listed_trade_that_cannot_be_mapped_is_kept_as_a_note(bad: object) -> None:
    report, note, good = events(made.order(trades=[bad, made.trade(id="T-2")]))
    assert [type(each.event) for each in (report, note, good)] == [OrderReported, NoteAdded, OrderFilled]
    assert "unmapped" in note.event.tags  # type: ignore[attr-defined]


def test_the_listed_trades_count_whatever_is_wrong_with_the_order() -> None:
    filled, note = events(made.order(trades=[made.trade(id="T-1")], amount="many"))
    assert (type(filled.event), type(note.event)) == (OrderFilled, NoteAdded)


def test_a_listed_trade_without_an_id_comes_by_itself() -> None:
    (report,) = events(made.order(trades=[made.trade(id=None, price=None)]))
    assert isinstance(report.event, OrderReported)
