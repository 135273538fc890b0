"""The orders view: anomalies, reports, bounds, queries, and the laws of folding."""

from decimal import Decimal, localcontext

import msgspec
import pytest

from eventstore import Event, trading
from eventstore.trading import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderCancelRequested,
    OrderExpired,
    OrderReduced,
    OrderRejected,
    OrderReplaced,
    OrderReplaceRejected,
    OrderReplaceRequested,
    OrderReported,
    OrderStatus,
    OrderTriggered,
    OrderType,
    PositionSide,
    Side,
    TradeBusted,
    TradeCorrected,
)
from projections.views.orders.view import Order, OrderAnomaly, OrderAnomalyKind, OrdersState, OrdersView
from tests.views.order_folding import OrderFolding, correct, fill, submit

D = Decimal


@pytest.fixture
def folding() -> OrderFolding:
    return OrderFolding()


def kinds(order: Order) -> list[str]:
    return [anomaly.kind.value for anomaly in order.anomalies]


def figures(order: Order) -> tuple[str, Decimal, Decimal | None]:
    return order.status.value, order.cumulative, order.leaves


# --- anomalies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "anomalies", "expected"),
    [
        ([submit(), fill("1", "11")], ["OVERFILL"], ("FILLED", D(11), D(0))),
        ([submit(), fill("1", "10"), fill("2", "1")], ["OVERFILL", "FILL_AFTER_CLOSE"], ("FILLED", D(11), D(0))),
        ([submit(), OrderCanceled(), fill("1", "4")], ["FILL_AFTER_CLOSE"], ("CANCELED", D(4), D(0))),
        ([submit(), OrderExpired(), fill("1", "4")], ["FILL_AFTER_CLOSE"], ("EXPIRED", D(4), D(0))),
        ([submit(), OrderRejected(), fill("1", "4")], ["FILL_AFTER_CLOSE"], ("REJECTED", D(4), D(0))),
        ([submit(), fill("1", "4"), OrderCanceled(quantity=D(5))], ["REMAINDER"], ("CANCELED", D(4), D(0))),
        ([submit(), fill("1", "4"), OrderCanceled(quantity=D("6.0"))], [], ("CANCELED", D(4), D(0))),
        ([submit(), OrderReduced(by=D(11))], ["OVER_REDUCED"], ("CANCELED", D(0), D(0))),
        ([submit(), fill("1", "4"), OrderReduced(by=D(7))], ["OVER_REDUCED"], ("FILLED", D(4), D(0))),
        ([submit(), fill("1", "4"), OrderReduced(by=D(6))], [], ("FILLED", D(4), D(0))),
        ([submit(), submit("12")], ["SUBMITTED_TWICE"], ("PENDING_NEW", D(0), D(10))),
        ([submit(), fill("1", "10"), OrderCanceled()], ["EVENT_AFTER_CLOSE"], ("FILLED", D(10), D(0))),
        ([submit(), OrderCanceled(), OrderExpired()], ["EVENT_AFTER_CLOSE"], ("CANCELED", D(0), D(0))),
        ([submit(), OrderCanceled(), OrderAccepted()], ["EVENT_AFTER_CLOSE"], ("CANCELED", D(0), D(0))),
        ([submit(), OrderCanceled(), OrderTriggered()], ["EVENT_AFTER_CLOSE"], ("CANCELED", D(0), D(0))),
        ([submit(), OrderCanceled(), OrderReduced(by=D(1))], ["EVENT_AFTER_CLOSE"], ("CANCELED", D(0), D(0))),
        ([submit(), OrderCanceled(), OrderReplaced(quantity=D(9))], ["EVENT_AFTER_CLOSE"], ("CANCELED", D(0), D(0))),
        ([submit(), fill("1", "10"), OrderReplaced(quantity=D(9))], ["EVENT_AFTER_CLOSE"], ("FILLED", D(10), D(0))),
        ([submit(), OrderCanceled(), OrderCancelRequested()], [], ("CANCELED", D(0), D(0))),
        ([submit(), OrderCanceled(), OrderReplaceRequested()], [], ("CANCELED", D(0), D(0))),
        ([submit(), fill("1", "4"), fill("1", "4")], ["DUPLICATE_TRADE"], ("PARTIALLY_FILLED", D(4), D(6))),
        ([submit(), fill("1", "4"), TradeBusted(trade_id="2")], ["UNKNOWN_TRADE"], ("PARTIALLY_FILLED", D(4), D(6))),
        ([submit(), fill("1", "4"), correct("2", "3")], ["UNKNOWN_TRADE"], ("PARTIALLY_FILLED", D(4), D(6))),
        ([submit(), fill("1", "4"), correct("1", "12")], ["OVERFILL"], ("FILLED", D(12), D(0))),
    ],
)
def test_an_anomaly_counts_as_far_as_it_can_and_is_marked(
    folding: OrderFolding, events: list[Event], anomalies: list[str], expected: tuple[str, Decimal, Decimal]
) -> None:
    order = folding.add("X", *events)
    assert figures(order) == expected
    assert order.anomalies == tuple(OrderAnomaly(OrderAnomalyKind(kind), len(events)) for kind in anomalies)
    assert folding.orders.anomalies("A") == {OrderAnomalyKind(kind): 1 for kind in anomalies}


def test_an_order_that_is_filled_while_its_cancel_is_pending_stays_filled_when_the_cancel_is_accepted(
    folding: OrderFolding,
) -> None:
    order = folding.add("X", submit(), OrderCancelRequested(), fill("1", "10"))
    assert (figures(order), order.is_open) == (("PENDING_CANCEL", D(10), D(0)), False)
    order = folding.add("X", OrderCanceled())
    assert (order.status, kinds(order)) == (OrderStatus.FILLED, ["EVENT_AFTER_CLOSE"])


def test_a_bust_of_a_filled_order_leaves_nothing_to_be_filled_until_the_venue_says_so(folding: OrderFolding) -> None:
    filled = [submit(), fill("1", "4"), fill("2", "6"), TradeBusted(trade_id="2")]
    words = [
        OrderAccepted(),
        OrderTriggered(),
        report("NEW"),
        report("PARTIALLY_FILLED"),
        OrderReplaced(quantity=D(11)),
    ]
    for number, word in enumerate(words):
        assert figures(folding.add(f"X{number}", *filled)) == ("FILLED", D(4), D(0))
        left = D(7) if number == len(words) - 1 else D(6)
        order = folding.add(f"X{number}", word)
        assert (figures(order), order.is_open) == (("PARTIALLY_FILLED", D(4), left), True)
    silent = [report(), report("PENDING_CANCEL"), OrderCancelRejected(), OrderReplaceRejected(), OrderReduced(by=D(1))]
    order = folding.add("Y", *filled, *silent)
    assert (order.leaves, order.is_open) == (D(0), False)


def test_what_is_filled_of_a_busted_order_counts_and_does_not_reopen_it(folding: OrderFolding) -> None:
    order = folding.add("X", submit(), fill("1", "10"), TradeBusted(trade_id="1"), fill("2", "4"))
    assert (figures(order), kinds(order)) == (("FILLED", D(4), D(0)), ["FILL_AFTER_CLOSE"])
    assert figures(folding.add("X", OrderAccepted())) == ("PARTIALLY_FILLED", D(4), D(6))


def test_an_acceptance_that_comes_late_reopens_no_filled_order(folding: OrderFolding) -> None:
    order = folding.add("X", submit(), report("FILLED", "10"), fill("1", "4"), OrderAccepted(), OrderTriggered())
    assert (figures(order), kinds(order)) == (("FILLED", D(4), D(0)), ["EVENT_AFTER_CLOSE"] * 2)
    # What a bust took back was filled again, or reported as filled.
    busted = [submit(), fill("1", "10"), TradeBusted(trade_id="1")]
    order = folding.add("Y", *busted, fill("2", "10"), OrderAccepted())
    assert figures(order) == ("FILLED", D(10), D(0))
    order = folding.add("Z", *busted, report("FILLED", "10"), OrderAccepted())
    assert figures(order) == ("FILLED", D(0), D(0))
    # It worked again, was reported as filled, and the fills are missing.
    order = folding.add("V", *busted, report("NEW"), report("FILLED", "10"), OrderAccepted())
    assert figures(order) == ("FILLED", D(0), D(0))


def test_a_busted_order_of_unknown_quantity_works_again_when_it_is_accepted(folding: OrderFolding) -> None:
    order = folding.add("X", report("FILLED", "4"), fill("1", "4"), TradeBusted(trade_id="1"))
    assert figures(order) == ("FILLED", D(0), D(0))
    assert figures(folding.add("X", OrderAccepted())) == ("NEW", D(0), None)


def test_a_correction_that_makes_the_order_complete_again_ends_what_a_bust_took_back(folding: OrderFolding) -> None:
    order = folding.add("X", submit(), fill("1", "10"), correct("1", "4"), correct("1", "10"), OrderAccepted())
    assert (figures(order), kinds(order)) == (("FILLED", D(10), D(0)), ["EVENT_AFTER_CLOSE"])


def test_every_message_about_an_unknown_order_is_one_anomaly_until_it_is_submitted_or_reported(
    folding: OrderFolding,
) -> None:
    order = folding.add("X", fill("1", "4", "7"), OrderAccepted(broker_order_id="b"), OrderReduced(by=D(2)))
    assert (order.status, order.cumulative, order.leaves, order.quantity) == (OrderStatus.UNKNOWN, D(4), None, None)
    assert (order.symbol, order.side, order.average_price) == ("ESZ5", Side.BUY, D(7))
    assert folding.orders.open("A") == ()
    order = folding.add("X", submit(order_type=OrderType.LIMIT), fill("2", "1"))
    assert figures(order) == ("PARTIALLY_FILLED", D(5), D(5))
    assert order.order_type is OrderType.LIMIT
    assert order.broker_order_id == "b"
    assert order.anomalies == tuple(OrderAnomaly(OrderAnomalyKind.UNKNOWN_ORDER, position) for position in (1, 2, 3))


def test_a_submission_after_the_acknowledgment_gives_a_new_order_and_after_the_end_a_closed_one(
    folding: OrderFolding,
) -> None:
    assert figures(folding.add("X", OrderAccepted(), submit())) == ("NEW", D(0), D(10))
    assert figures(folding.add("Y", OrderCancelRequested(), submit())) == ("PENDING_CANCEL", D(0), D(10))
    assert figures(folding.add("Z", OrderCanceled(), submit())) == ("CANCELED", D(0), D(0))
    order = folding.add("W", fill("1", "12"), submit())
    assert (figures(order), kinds(order)) == (("FILLED", D(12), D(0)), ["UNKNOWN_ORDER", "OVERFILL"])


def test_a_terminal_event_closes_an_unknown_order(folding: OrderFolding) -> None:
    order = folding.add("X", OrderCanceled(quantity=D(3)))
    assert (figures(order), kinds(order)) == (("CANCELED", D(0), D(0)), ["UNKNOWN_ORDER"])
    assert "X" in folding.states["A"].closed


def test_a_bust_or_correction_of_a_trade_not_kept_uses_the_figures_it_repeats(
    folding: OrderFolding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.views.orders.fills.FILLS_PER_ORDER_MAX", 1)
    order = folding.add("X", submit(), fill("1", "4", "50"), fill("2", "2", "56"))
    folding.add("X", TradeBusted(trade_id="1", quantity=D(4), price=D(50)))
    again = TradeBusted(trade_id="1", quantity=D(4), price=D(50))
    order = folding.add("X", again)
    assert (order.cumulative, order.average_price, kinds(order)) == (D(2), D(56), ["DUPLICATE_TRADE"])
    moved = TradeCorrected(trade_id="2", quantity=D(3), price=D(60), previous_quantity=D(2), previous_price=D(56))
    order = folding.add("X", moved)
    assert (order.cumulative, order.average_price) == (D(3), D(60))
    order = folding.add("X", TradeBusted(trade_id="9", quantity=D(5), price=D(1)))
    assert (order.cumulative, kinds(order)[-1]) == (D(3), "UNKNOWN_TRADE")


def test_a_bust_or_correction_that_comes_before_its_trade_counts_once_the_trade_is_recorded(
    folding: OrderFolding,
) -> None:
    early = TradeBusted(trade_id="2", quantity=D(2), price=D(56))
    order = folding.add("X", submit(), OrderAccepted(), fill("1", "3"), early)
    assert (figures(order), kinds(order)) == (("PARTIALLY_FILLED", D(3), D(7)), ["UNKNOWN_TRADE"])
    order = folding.add("X", fill("2", "2", "56"))
    assert (figures(order), kinds(order)) == (("PARTIALLY_FILLED", D(3), D(7)), ["UNKNOWN_TRADE"])
    order = folding.add("X", fill("2", "2", "56"), early)
    assert (order.cumulative, kinds(order)) == (D(3), ["UNKNOWN_TRADE", "DUPLICATE_TRADE", "DUPLICATE_TRADE"])
    order = folding.add("Y", submit(), OrderAccepted(), TradeBusted(trade_id="1"), fill("1", "10"))
    assert (figures(order), order.symbol) == (("NEW", D(0), D(10)), "ESZ5")
    order = folding.add("Z", submit(), correct("1", "3", "60"), fill("1", "10", "50"))
    assert (figures(order), order.average_price) == (("PARTIALLY_FILLED", D(3), D(7)), D(60))
    assert figures(folding.add("Z", TradeBusted(trade_id="1"))) == ("NEW", D(0), D(10))


def test_a_busted_trade_is_not_corrected(folding: OrderFolding) -> None:
    order = folding.add("X", submit(), fill("1", "4"), TradeBusted(trade_id="1"), correct("1", "4"))
    assert (figures(order), kinds(order)) == (("NEW", D(0), D(10)), ["UNKNOWN_TRADE"])


def test_a_trade_reported_again_counts_once_and_is_marked_by_what_the_report_says(folding: OrderFolding) -> None:
    with_fee = msgspec.structs.replace(fill("1", "4.0", "50"), fee=D("1.25"))
    order = folding.add("X", submit(), fill("1", "4"), with_fee)
    # The fee was missing: the report completes the trade.
    assert (figures(order), order.anomalies) == (("PARTIALLY_FILLED", D(4), D(6)), ())
    assert kinds(folding.add("X", with_fee)) == ["DUPLICATE_TRADE"]
    assert kinds(folding.add("X", fill("1", "4"))) == ["DUPLICATE_TRADE"] * 2
    order = folding.add("X", fill("1", "5"), fill("1", "4", "51"))
    assert (order.cumulative, order.average_price) == (D(4), D(50))
    assert kinds(order)[2:] == ["CONFLICTING_TRADE"] * 2
    # A report of the figures before a correction is a report of the same trade, and so is one of a busted trade.
    order = folding.add("X", correct("1", "3", "51"), fill("1", "4"), TradeBusted(trade_id="1"), fill("1", "3", "51"))
    assert (order.cumulative, kinds(order)[4:]) == (D(0), ["DUPLICATE_TRADE"] * 2)


def test_the_figures_before_corrections_are_bounded(folding: OrderFolding) -> None:
    folding.add("X", submit("200"), *[fill("1", "1"), *[correct("1", str(number)) for number in range(2, 120)]])
    assert len(folding.states["A"].fills["X"]["1"].earlier) == 100
    assert kinds(folding.add("X", fill("1", "100"), fill("1", "1"))) == ["DUPLICATE_TRADE", "CONFLICTING_TRADE"]


def test_a_trade_stands_in_an_order_only_where_its_record_is_in_the_order_stream(folding: OrderFolding) -> None:
    folding.add("X", submit(), fill("1", "4"))
    order = folding.add("X", TradeBusted(trade_id="1"), category="trade")
    assert order.cumulative == D(4)
    assert folding.add("X", TradeBusted(trade_id="1")).cumulative == D(0)


def test_a_second_delivery_of_a_record_changes_nothing(folding: OrderFolding) -> None:
    folding.add("X", submit(), OrderReduced(by=D(1)), fill("1", "4"), OrderReduced(by=D(1)))
    before = msgspec.msgpack.encode(folding.states["A"])
    for record in folding.records:
        folding.deliver(record)
    assert msgspec.msgpack.encode(folding.states["A"]) == before


# --- reports ------------------------------------------------------------------------------------------------------


def report(status: str = "UNKNOWN", filled: str | None = None, **members: object) -> OrderReported:
    quantity = None if filled is None else D(filled)
    return msgspec.structs.replace(OrderReported(status=OrderStatus(status), filled_quantity=quantity), **members)


def test_a_report_sets_the_status_and_fills_in_only_what_is_unknown(folding: OrderFolding) -> None:
    order = folding.add("X", submit(limit_price=D(5)), report("NEW", limit_price=D(6), stop_price=D(4), symbol="NQ"))
    assert (order.status, order.limit_price, order.stop_price, order.symbol) == (OrderStatus.NEW, D(5), D(4), "ESZ5")
    order = folding.add("X", report(broker_order_id="b1"))
    assert (order.status, order.broker_order_id) == (OrderStatus.NEW, "b1")


def test_a_report_never_makes_quantity_and_the_shortfall_is_named(folding: OrderFolding) -> None:
    order = folding.add("X", submit(), fill("1", "4"))
    assert order.shortfall is None
    order = folding.add("X", report("FILLED", "10"))
    assert figures(order) == ("FILLED", D(4), D(0))
    assert order.shortfall == D(6)
    order = folding.add("X", fill("2", "6"))
    assert (order.shortfall, order.cumulative, order.anomalies) == (D(0), D(10), ())


def test_a_report_is_all_that_is_known_of_an_order_that_was_never_submitted(folding: OrderFolding) -> None:
    order = folding.add("X", report("PARTIALLY_FILLED", "3", quantity=D(8), symbol="NQ", side=Side.SELL))
    assert figures(order) == ("PARTIALLY_FILLED", D(0), D(8))
    assert (order.symbol, order.side, order.anomalies, order.is_open) == ("NQ", Side.SELL, (), True)
    assert folding.add("X", report()).status is OrderStatus.PARTIALLY_FILLED
    assert folding.add("Y", report()).status is OrderStatus.UNKNOWN
    assert folding.add("Y", OrderAccepted()).status is OrderStatus.NEW
    assert folding.add("Z", report("CANCELED")).leaves == D(0)


def test_what_a_report_says_of_fills_outlasts_an_acknowledgment(folding: OrderFolding) -> None:
    for event in (OrderAccepted(), OrderTriggered(), OrderReplaced(limit_price=D(5))):
        order = folding.add("X", report("PARTIALLY_FILLED", "3", quantity=D(8)), event)
        assert figures(order) == ("PARTIALLY_FILLED", D(0), D(8))


def test_a_replacement_below_what_is_filled_is_amended_to_it(folding: OrderFolding) -> None:
    assert folding.add("X", submit(), fill("1", "8"), OrderReplaced(quantity=D(7))).quantity == D(8)


def test_a_report_of_less_than_is_filled_makes_an_overfill(folding: OrderFolding) -> None:
    order = folding.add("X", fill("1", "4"), report(quantity=D(3)))
    assert (figures(order), kinds(order)) == (("FILLED", D(4), D(0)), ["UNKNOWN_ORDER", "OVERFILL"])


def test_a_report_of_a_pending_request_is_settled_by_the_next_word(folding: OrderFolding) -> None:
    assert folding.add("X", submit(), report("PENDING_CANCEL")).status is OrderStatus.PENDING_CANCEL
    assert folding.add("X", report()).status is OrderStatus.PENDING_CANCEL
    assert folding.add("X", report("NEW")).status is OrderStatus.NEW
    assert folding.add("X", report("PENDING_REPLACE")).status is OrderStatus.PENDING_REPLACE
    assert folding.add("X", fill("1", "2"), report("NEW")).status is OrderStatus.PARTIALLY_FILLED


def test_a_report_that_contradicts_how_an_order_closed_is_marked_and_believed_unless_all_is_filled(
    folding: OrderFolding,
) -> None:
    order = folding.add("X", submit(), OrderCanceled(), report("NEW"))
    assert (figures(order), kinds(order)) == (("NEW", D(0), D(10)), ["EVENT_AFTER_CLOSE"])
    order = folding.add("Y", submit(), fill("1", "10"), report("NEW"))
    assert (figures(order), kinds(order)) == (("FILLED", D(10), D(0)), ["EVENT_AFTER_CLOSE"])
    order = folding.add("Z", submit(), OrderCanceled(), report("CANCELED"))
    assert order.anomalies == ()


def test_a_resident_order_is_what_its_own_stream_folds_to(folding: OrderFolding) -> None:
    members = {"position_side": PositionSide.LONG, "strategy": "s", "reference": "r", "parent_order_id": "P"}
    for order_id in ("X", "Y"):
        first = (
            submit(exchange="CME", limit_price=D(50), stop_price=D(49), **members)
            if order_id == "X"
            else fill("0", "1")
        )
        folding.add(order_id, first, OrderTriggered(), fill("1", "4"), fill("1", "4"), OrderReduced(by=D(2)))
        assert [order for _, order in folding.orders.history("A", order_id)][-1] == folding.orders.get("A", order_id)


# --- questions ----------------------------------------------------------------------------------------------------


def test_open_orders_are_selected_by_account_and_symbol(folding: OrderFolding) -> None:
    folding.add("X", submit())
    folding.add("Y", submit(symbol="NQZ5"), OrderAccepted())
    folding.add("Z", submit(), OrderCanceled())
    folding.add("X", submit(), account="B")
    assert [(order.account, order.order_id) for order in folding.orders.open()] == [("A", "X"), ("A", "Y"), ("B", "X")]
    assert [order.order_id for order in folding.orders.open("A")] == ["X", "Y"]
    assert [order.order_id for order in folding.orders.open("A", "NQZ5")] == ["Y"]
    assert [order.account for order in folding.orders.open(symbol="ESZ5")] == ["A", "B"]
    assert folding.orders.open("C") == ()


def test_a_broker_id_finds_its_order_and_an_earlier_one_is_searched_for(folding: OrderFolding) -> None:
    folding.add("X", submit(), OrderAccepted(broker_order_id="1"), OrderReplaced(broker_order_id="2"))
    assert folding.states["A"].broker_ids == {"2": "X"}
    reads = folding.reads
    assert folding.orders.by_broker_id("A", "2") == folding.orders.get("A", "X")
    assert folding.reads == reads
    assert folding.orders.by_broker_id("A", "1") == folding.orders.get("A", "X")
    assert folding.orders.by_broker_id("A", "3") is None
    assert folding.orders.by_broker_id("B", "1") is None


def test_what_is_not_there_is_none_or_empty(folding: OrderFolding) -> None:
    assert folding.orders.get("A", "X") is None
    assert folding.orders.anomalies("A") == {}
    assert list(folding.orders.history("A", "X")) == []


def test_history_has_the_order_after_each_of_its_records(folding: OrderFolding) -> None:
    folding.add("X", submit())
    folding.add("Y", submit())
    folding.add("X", OrderAccepted(), fill("1", "10"))
    found = [(record.position, order.status.value) for record, order in folding.orders.history("A", "X")]
    assert found == [(1, "PENDING_NEW"), (3, "NEW"), (4, "FILLED")]


def test_an_average_price_does_not_depend_on_the_threads_own_context(folding: OrderFolding) -> None:
    with localcontext() as context:
        context.prec = 3
        order = folding.add("X", submit(), fill("1", "1", "4500.25"), fill("2", "2", "4500.50"))
        assert order.average_price == D("4500.416666666666666666666666666667")


def test_a_state_survives_msgpack_with_its_order(folding: OrderFolding) -> None:
    folding.add("Y", submit(), fill("1", "4"), fill("1", "4"))
    folding.add("X", fill("9", "1"), report("SUSPENDED", "2", broker_order_id="b"))
    folding.add("Z", submit(), OrderCanceled())
    state = folding.states["A"]
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=OrdersState)
    assert again == state
    assert [list(part) for part in (again.open, again.closed)] == [["Y", "X"], ["Z"]]
    assert again.open["Y"].status is OrderStatus.PARTIALLY_FILLED
    assert trading.OrderFilled in (OrdersView.types or ())
