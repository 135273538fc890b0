"""ib_async's objects: what is malformed is refused with all of it, what is unset is unknown, and the ordinary case."""

from __future__ import annotations

import dataclasses
import datetime
import math
from decimal import Decimal
from typing import Any

import ib_async
import pytest

from eventstore import Event
from eventstore.clock import parse_time
from eventstore.trading import (
    AccountUpdated,
    Asset,
    ContractDefined,
    FeeCharged,
    Liquidity,
    NoteAdded,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderReported,
    OrderStatus,
    OrderType,
    PnlReported,
    PositionReported,
    Side,
    TradeCorrected,
    TradeExecuted,
)
from gateways.messages import MappedEvent, Recorder, Unmapped
from gateways.messages.ib import FIELDS, LEFT_OUT, InteractiveBrokers
from projections import Book

D = Decimal
IB = InteractiveBrokers()
AT = datetime.datetime(2026, 11, 30, 14, 30, tzinfo=datetime.UTC)
AT_NS = parse_time("2026-11-30T14:30:00Z")
UNSET = 1.7976931348623157e308
MNQ = ib_async.Future(
    conId=4711, symbol="MNQ", localSymbol="MNQH6", lastTradeDateOrContractMonth="20260320", multiplier="2",
    exchange="CME", currency="USD",
)  # fmt: skip
SPREAD = ib_async.Contract(secType="BAG", symbol="MNQ", exchange="CME", currency="USD")


def events(given: Any, mapping: InteractiveBrokers = IB) -> list[Event]:  # noqa: ANN401 - whatever arrives
    return [each.event for each in mapping.events(given)]


def execution(exec_id: str = "0001090f.588f449a.01.01", **members: Any) -> ib_async.Execution:  # noqa: ANN401 - any member
    given = {"acctNumber": "ACC1", "side": "BOT", "shares": 2.0, "price": 100.25, "permId": 99, "clientId": 3}
    return ib_async.Execution(execId=exec_id, time=AT, **{**given, "orderId": 17, **members})


def fill(
    done: ib_async.Execution | None = None,
    report: ib_async.CommissionReport | None = None,
    contract: ib_async.Contract = MNQ,
) -> ib_async.Fill:
    return ib_async.Fill(contract, done or execution(), report or ib_async.CommissionReport(), AT)


def commission(amount: float, exec_id: str = "0001090f.588f449a.01.01", currency: str = "USD") -> Any:  # noqa: ANN401 - ib_async has no types
    return ib_async.CommissionReport(execId=exec_id, commission=amount, currency=currency)


def trade(status: str = "Submitted", *, log: int = 1, contract: ib_async.Contract = MNQ, **members: Any) -> Any:  # noqa: ANN401 - any member
    order = ib_async.Order(
        orderId=17, clientId=3, permId=99, account="ACC1", action="BUY", totalQuantity=5.0, orderType="LMT",
        lmtPrice=101.5,
    )  # fmt: skip
    state = ib_async.OrderStatus(orderId=17, status=status, remaining=5.0)
    for name, value in members.items():
        setattr(order if hasattr(order, name) else state, name, value)
    entries = [ib_async.TradeLogEntry(AT + datetime.timedelta(seconds=each), status) for each in range(log)]
    return ib_async.Trade(contract, order, state, [], entries)


def as_dict(value: Any) -> Any:  # noqa: ANN401 - any of IB's objects
    """Return an object as JSON would have it."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: as_dict(each) for name, each in value._asdict().items()}
    if dataclasses.is_dataclass(value):
        return {each.name: as_dict(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return [as_dict(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "given",
    [
        None, 5, "Filled", [], {}, {"trade": None}, {"fill": 5}, {"status": "Filled", "orderId": 0},
        ib_async.Execution(), fill(execution("")), fill(execution("0")), fill(execution(side="BUY")),
        fill(execution(shares=0.0)), fill(execution(shares=UNSET)), fill(execution(price=math.nan)),
        fill(execution(price=math.inf)), fill(execution(acctNumber="")), fill(execution(acctNumber="my account")),
        fill(dataclasses.replace(execution(), time=datetime.datetime(2026, 11, 30))),  # noqa: DTZ001 - without a zone
        fill(contract=ib_async.Contract()), trade(orderId=0, permId=0), trade(account=""),
        ib_async.Position("ACC1", MNQ, math.nan, 5.0), ib_async.Position("", MNQ, 1.0, 5.0),
        ib_async.PnLSingle(account="ACC1", conId=5, realizedPnL=1.0), commission(2.5),
    ],
)  # fmt: skip
def test_what_cannot_be_mapped_is_refused_with_all_of_it(given: Any) -> None:  # noqa: ANN401 - whatever arrives
    with pytest.raises(Unmapped) as refused:
        IB.events(given)
    assert refused.value.source == "ib"
    assert refused.value.message is given


def test_what_cannot_be_mapped_takes_nothing_else_away() -> None:
    given = as_dict(trade())
    given["fills"] = [as_dict(fill(execution(side="BUY"))), as_dict(fill(execution("0002.01")))]
    found = [type(each.event) for each in IB.events(given)]
    assert found == [OrderFilled, OrderReported, NoteAdded]
    given["orderStatus"]["filled"] = "many"
    assert [type(each.event) for each in IB.events(given)] == [OrderFilled, NoteAdded, NoteAdded]
    given = as_dict(fill(report=commission(2.5)))
    given["commissionReport"]["commission"] = "many"
    assert [type(each.event) for each in IB.events(given)] == [OrderFilled, NoteAdded]


def test_a_fill_is_an_execution_of_the_clients_order() -> None:
    (mapped,) = IB.events(fill(execution(lastLiquidity=2)))
    assert mapped == MappedEvent(
        "order/ACC1/3-17",
        OrderFilled(
            trade_id="0001090f.588f449a.01.01", symbol="MNQH6", side=Side.BUY, quantity=D(2), price=D("100.25"),
            liquidity=Liquidity.REMOVED,
        ),
        "execution 0001090f.588f449a.01.01",
        AT_NS,
    )  # fmt: skip


def test_an_order_placed_by_hand_is_its_permanent_id() -> None:
    assert IB.events(fill(execution(orderId=0, clientId=0)))[0].stream == "order/ACC1/99"
    assert IB.events(fill(execution(orderId=2**31 - 1)))[0].stream == "order/ACC1/99"
    (alone,) = IB.events(fill(execution(orderId=0, permId=0)))
    assert isinstance(alone.event, TradeExecuted)


def test_an_object_and_a_dict_of_its_members_are_the_same_message() -> None:
    given = [
        fill(report=commission(1.24)), trade(), trade("Filled", filled=5.0, remaining=0.0),
        ib_async.Position("ACC1", MNQ, 2.0, 400.0), ib_async.AccountValue("ACC1", "TotalCashValue", "5", "USD", ""),
        ib_async.PnL("ACC1", realizedPnL=5.0), ib_async.ContractDetails(contract=MNQ, minTick=0.25),
    ]  # fmt: skip
    for each in given:
        assert IB.events(each) == IB.events(as_dict(each)) != ()


def test_a_correction_differs_after_the_last_period_only(book: Book) -> None:
    recorder: Any = Recorder(book, IB)
    second, third = execution("0001090f.588f449a.01.02", shares=3.0), execution("0001090f.588f449a.01.03", price=99.0)
    (corrected,) = events(fill(second))
    assert isinstance(corrected, TradeCorrected)
    assert corrected.trade_id == "0001090f.588f449a.01.01"
    for given in (third, execution(), second, third, execution()):
        recorder.record(fill(given))
    recorder.record(trade())
    (known,) = book.trades.of("ACC1")
    assert (known.quantity, known.price, known.busted) == (D(2), D(99), False)
    order = book.orders.get("ACC1", "3-17")
    assert order is not None
    assert (order.cumulative, order.average_price) == (D(2), D(99))


@pytest.mark.parametrize("amount", [0.0, UNSET, -1.0, math.nan, None])
def test_a_commission_that_is_not_known_yet_is_not_a_fee(amount: float) -> None:
    assert not any(isinstance(each, FeeCharged) for each in events(fill(report=commission(amount))))
    assert events(commission(amount), InteractiveBrokers(account="ACC1")) == []


def test_a_commission_is_charged_once_however_it_comes(book: Book) -> None:
    recorder: Any = Recorder(book, InteractiveBrokers(account="ACC1"))
    recorder.record(ib_async.ContractDetails(contract=MNQ, minTick=0.25))
    real = commission(1.24)
    for given in (real, fill(report=commission(0.0)), fill(report=real), {"trade": trade(), "fill": fill()}, real):
        recorder.record(given)
    recorder.record({"trade": trade(), "fill": fill(), "commissionReport": real})
    assert book.positions.get("ACC1", "MNQH6").fees == D("1.24")


def test_a_rebate_is_a_fee_below_zero() -> None:
    assert events(fill(report=commission(-0.21)))[1] == FeeCharged(
        trade_id="0001090f.588f449a.01.01", amount=D("-0.21"), currency="USD"
    )


def test_a_corrections_commission_is_noted() -> None:
    corrected = execution("0001090f.588f449a.01.02")
    found = events(fill(corrected, commission(1.24, "0001090f.588f449a.01.02")))
    assert [type(each) for each in found] == [TradeCorrected, NoteAdded]


def test_of_a_combination_the_legs_count() -> None:
    assert events(fill(contract=SPREAD)) == []
    (leg,) = events({"trade": trade(contract=SPREAD), "fill": fill()})
    assert isinstance(leg, TradeExecuted)
    whole = trade(contract=SPREAD, filled=1.0)
    whole.fills = [fill(contract=SPREAD), fill()]
    found = events(whole)
    assert [type(each) for each in found] == [TradeExecuted, OrderReported]
    assert (getattr(found[1], "quantity", 0), getattr(found[1], "filled_quantity", 0)) == (None, None)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("PendingSubmit", "PENDING_NEW"), ("ApiPending", "PENDING_NEW"), ("PreSubmitted", "NEW"), ("Submitted", "NEW"),
        ("PendingCancel", "PENDING_CANCEL"), ("Cancelled", "CANCELED"), ("ApiCancelled", "CANCELED"),
        ("Filled", "FILLED"), ("Inactive", "SUSPENDED"), ("ValidationError", "UNKNOWN"), ("ApiUpdate", "UNKNOWN"),
        ("Sleeping", "UNKNOWN"), ("", "UNKNOWN"),
    ],
)  # fmt: skip
def test_each_word_is_a_status_or_unknown(word: str, status: str) -> None:
    report = events(trade(word))[-1]
    assert isinstance(report, OrderReported)
    assert (report.status, report.raw_status) == (OrderStatus(status), word or None)


def test_an_orders_terms_links_and_time_are_reported() -> None:
    mapped = IB.events(trade(log=3, filled=2.0, remaining=3.0, avgFillPrice=100.0, parentId=16, ocaGroup="exit"))[-1]
    assert mapped.occurred_at == AT_NS + 2 * 10**9
    assert mapped.event == OrderReported(
        status=OrderStatus.PARTIALLY_FILLED, raw_status="Submitted", broker_order_id="99", symbol="MNQH6",
        side=Side.BUY, order_type=OrderType.LIMIT, quantity=D(5), filled_quantity=D(2), average_fill_price=D(100),
        limit_price=D("101.5"), parent_order_id="3-16", link_group="exit",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "members", "limit", "stop"),
    [
        ("MKT", {}, None, None), ("STP", {"auxPrice": 99.0}, None, 99), ("STP LMT", {"auxPrice": 99.0}, 101.5, 99),
        ("TRAIL", {"auxPrice": 5.0, "trailStopPrice": 96.0}, None, 96), ("MIDPRICE", {}, None, None),
        ("LMT", {"lmtPrice": UNSET}, None, None), ("LMT", {"lmtPrice": -0.5}, -0.5, None),
    ],
)  # fmt: skip
def test_prices_are_those_that_the_orders_type_has(
    kind: str, members: dict[str, Any], limit: float | None, stop: float | None
) -> None:
    report = events(trade(orderType=kind, **members))[-1]
    assert isinstance(report, OrderReported)
    expected = [None if each is None else D(str(each)) for each in (limit, stop)]
    assert [report.limit_price, report.stop_price] == expected


def test_a_new_object_of_the_library_states_no_quantities() -> None:
    report = events(trade(filled=0.0, remaining=0.0))[-1]
    assert isinstance(report, OrderReported)
    assert report.filled_quantity is None


@pytest.mark.parametrize("status", ["Cancelled", "Inactive"])
def test_an_order_that_ib_rejects_is_rejected(status: str) -> None:
    given = trade(status)
    given.log.append(ib_async.TradeLogEntry(AT, status, "Order rejected - reason: margin", 201))
    rejected, report = events(given)
    assert rejected == OrderRejected(reason="Order rejected - reason: margin")
    assert isinstance(report, OrderReported)
    assert report.status is OrderStatus.REJECTED
    assert isinstance(events(trade("Cancelled"))[0], OrderCanceled)


def test_a_question_about_margin_is_not_an_order() -> None:
    assert events(trade(whatIf=True)) == []


def test_the_same_status_sent_again_is_one_report_and_an_older_one_changes_nothing(book: Book) -> None:
    recorder: Any = Recorder(book, IB)
    words = [("PendingSubmit", 1), ("Submitted", 2), ("Inactive", 3), ("Submitted", 4), ("Cancelled", 5)]
    for word, log in [*words, *reversed(words)]:
        recorder.record(trade(word, log=log))
    order = book.orders.get("ACC1", "3-17")
    assert order is not None
    assert (order.status, order.quantity, order.limit_price) == (OrderStatus.CANCELED, D(5), D("101.5"))
    reports = list(book.reader.read(types=(OrderReported,)))
    assert len(reports) == len(words)


def test_a_completed_order_is_found_by_its_permanent_id(book: Book) -> None:
    recorder: Any = Recorder(book, IB)
    recorder.record(trade())
    recorder.record(fill(execution(shares=5.0)))
    recorder.record(trade("Filled", orderId=0, clientId=0, filledQuantity=5.0, remaining=0.0))
    assert [each.order_id for each in book.orders.open("ACC1")] == []
    order = book.orders.by_broker_id("ACC1", "99")
    assert order is not None
    assert (order.order_id, order.status, order.unexplained) == ("3-17", OrderStatus.FILLED, D(0))


def test_a_status_alone_needs_the_account_of_the_settings() -> None:
    status = ib_async.OrderStatus(orderId=17, clientId=3, permId=99, status="Submitted", remaining=5.0, parentId=16)
    with pytest.raises(Unmapped, match="account"):
        IB.events(status)
    (mapped,) = InteractiveBrokers(account="ACC1").events(status)
    assert mapped.stream == "order/ACC1/3-17"
    assert getattr(mapped.event, "parent_order_id", None) == "3-16"


def test_a_positions_cost_includes_the_multiplier() -> None:
    (mapped,) = IB.events(ib_async.Position("ACC1", MNQ, -2.0, 42_001.0))
    assert mapped.event == PositionReported(symbol="MNQH6", quantity=D(-2), average_price=D("21000.5"))
    assert (mapped.stream, mapped.key) == ("position/ACC1/MNQH6", None)
    stock = ib_async.Stock("AAPL", "SMART", "USD")
    (of_stock,) = events(ib_async.Position("ACC1", stock, 5.0, 101.5))
    assert of_stock == PositionReported(symbol="AAPL", quantity=D(5), average_price=D("101.5"))
    unstated = ib_async.Future(conId=4711, symbol="MNQ", localSymbol="MNQH6")
    (unknown,) = events(ib_async.Position("ACC1", unstated, 1.0, 5.0))
    assert unknown == PositionReported(symbol="MNQH6", quantity=D(1))


def test_a_portfolio_item_is_a_position_and_its_results() -> None:
    position, result = events(ib_async.PortfolioItem(MNQ, 1.0, 21_010.0, 42_020.0, 42_000.0, 20.0, UNSET, "ACC1"))
    assert position == PositionReported(symbol="MNQH6", quantity=D(1), average_price=D(21_000))
    assert result == PnlReported(unrealized=D(20), currency="USD", symbol="MNQH6")


@pytest.mark.parametrize(
    ("tag", "currency", "expected"),
    [
        ("TotalCashValue", "USD", AccountUpdated(balance=D("50000.5"), currency="USD")),
        ("AvailableFunds", "BASE", AccountUpdated(available=D("50000.5"))),
        ("MaintMarginReq", "USD", AccountUpdated(margin=D("50000.5"), currency="USD")), ("Cushion", "", None),
        ("NetLiquidation", "USD", None),
    ],
)  # fmt: skip
def test_account_values_are_those_of_an_accounts_state(tag: str, currency: str, expected: Event | None) -> None:
    found = events(ib_async.AccountValue("ACC1", tag, "50000.50", currency, ""))
    assert found == ([] if expected is None else [expected])


def test_which_value_is_the_balance_is_a_setting() -> None:
    mapping = InteractiveBrokers(balance_tag="NetLiquidation", accounts={"U1": "ACC1"})
    (mapped,) = mapping.events(ib_async.AccountValue("U1", "NetLiquidation", "5", "USD", ""))
    assert (mapped.stream, mapped.event) == ("account/ACC1/-", AccountUpdated(balance=D(5), currency="USD"))


def test_results_that_are_not_stated_are_not_reported() -> None:
    assert events(ib_async.PnL("ACC1", dailyPnL=5.0)) == []
    assert events(ib_async.PnL("ACC1", realizedPnL=5.0, unrealizedPnL=UNSET)) == [PnlReported(realized=D(5))]
    mapping = InteractiveBrokers(contracts={"4711": "MNQZ6"})
    single = ib_async.PnLSingle("ACC1", conId=4711, unrealizedPnL=-1.5)
    assert [(each.stream, each.event) for each in mapping.events(single)] == [
        ("pnl/ACC1/MNQZ6", PnlReported(unrealized=D("-1.5"), symbol="MNQZ6"))
    ]


def test_details_define_a_contract_with_its_names() -> None:
    details = ib_async.ContractDetails(contract=MNQ, minTick=0.25, priceMagnifier=1, longName="Micro E-mini Nasdaq-100")
    (mapped,) = InteractiveBrokers().events(details)
    assert mapped.stream == "contract/-/MNQH6"
    assert mapped.event == ContractDefined(
        symbol="MNQH6", multiplier=D(2), tick_size=D("0.25"), currency="USD", root="MNQ",
        name="Micro E-mini Nasdaq-100", broker_ids=("4711",), exchange="CME", expiry=datetime.date(2026, 3, 20),
        asset=Asset.FUTURE,
    )  # fmt: skip


def test_prices_in_cents_have_the_multiplier_and_tick_of_cents() -> None:
    corn = ib_async.Future(conId=5, symbol="ZC", localSymbol="ZCH6", multiplier="5000", currency="USD")
    details = ib_async.ContractDetails(contract=corn, minTick=0.0025, priceMagnifier=100)
    (defined,) = events(details)
    assert isinstance(defined, ContractDefined)
    assert (defined.multiplier, defined.tick_size, defined.expiry) == (D(50), D("0.25"), None)
    mapping = InteractiveBrokers(price_magnifiers={"5": 100})
    (held,) = events(ib_async.Position("ACC1", corn, 1.0, 22_512.5), mapping)
    assert held == PositionReported(symbol="ZCH6", quantity=D(1), average_price=D("450.25"))


def test_a_pair_and_a_coin_have_a_base_currency_and_a_combination_defines_nothing() -> None:
    pair = ib_async.Contract(secType="CASH", conId=1, symbol="EUR", localSymbol="EUR.USD", currency="USD")
    (defined,) = events(ib_async.ContractDetails(contract=pair, minTick=0.00005))
    assert isinstance(defined, ContractDefined)
    assert (defined.symbol, defined.multiplier, defined.base_currency, defined.asset) == (
        "EUR.USD", D(1), "EUR", Asset.FX
    )  # fmt: skip
    assert events(ib_async.ContractDetails(contract=SPREAD, minTick=0.25)) == []


@pytest.mark.parametrize("kind", FIELDS)
def test_each_member_of_the_librarys_objects_is_mapped_or_left_out(kind: str) -> None:
    of = getattr(ib_async, kind)
    names = set(of._fields if hasattr(of, "_fields") else [each.name for each in dataclasses.fields(of)])
    listed = {*FIELDS[kind], *LEFT_OUT[kind]}
    others = {name for name in listed if name.startswith("any other")}
    assert listed - others <= names
    assert others & {"any other member"} or listed - others == names
