"""Orders joined with what other streams say of their trades."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from typing_extensions import override

from eventstore import Event, Record
from eventstore.trading import (
    ContractDefined,
    OrderAccepted,
    OrderCanceled,
    OrderReported,
    OrderStatus,
    Side,
    TradeBusted,
    TradeExecuted,
)
from projections.tiers import TierSettings
from projections.views.orders.order import Order, OrderAnomalyKind
from projections.views.orders.view import OrdersView, tiers_of
from tests.views.order_folding import OrderFolding, correct, fill, submit

D = Decimal

DUPLICATE = OrderAnomalyKind.DUPLICATE_TRADE
UNKNOWN = OrderAnomalyKind.UNKNOWN_ORDER


@pytest.fixture
def folding() -> OrderFolding:
    return OrderFolding()


def figures(order: Order | None) -> tuple[str, Decimal, Decimal | None]:
    assert order is not None
    return order.status.value, order.cumulative, order.leaves


def bust_elsewhere(folding: OrderFolding, trade_id: str = "1") -> int:
    """Record a bust in the trade's own stream, and return its log position."""
    record = folding.record(f"trade/A/{trade_id}", TradeBusted(trade_id=trade_id))
    folding.deliver(record)
    return record.position


def test_a_fill_that_belongs_to_another_order_fills_nothing(folding: OrderFolding) -> None:
    folding.add("X", submit(), OrderAccepted(), fill("1", "10"))
    assert folding.orders.open("A") == ()
    folding.say("X", (3, "1", "0", "50"))
    order = folding.orders.get("A", "X")
    assert figures(order) == ("NEW", D(0), D(10))
    assert order is not None
    assert [(each.kind, each.position) for each in order.anomalies] == [(DUPLICATE, 3)]
    assert folding.orders.open("A") == (order,)
    assert folding.orders.open("A", "NQZ5") == ()
    assert [each for _, each in folding.orders.history("A", "X")][-1] == order
    assert folding.orders.anomalies("A") == {DUPLICATE: 1}


def test_an_order_is_open_again_in_whatever_group_the_fill_of_another_order_has_put_it() -> None:
    for view in (OrdersView(), OrdersView(closed_max=0, unknown_max=0)):
        for held in (None, tiers_of(TierSettings())):
            folding = OrderFolding(view, held)
            folding.add("FILLED", submit(), OrderAccepted(broker_order_id="b"), fill("1", "10"))
            folding.add("LATE", submit(), fill("2", "10"))
            folding.add("LATE", OrderAccepted())
            folding.add("OPEN", submit(), fill("3", "4"))
            folding.add("B-77", fill("4", "10"))
            folding.add("OTHER", submit(), fill("5", "10"))
            before = folding.orders.anomalies("A")
            said = {"FILLED": (3, "1"), "LATE": (5, "2"), "OPEN": (8, "3"), "B-77": (9, "4")}
            for order_id, (at, trade_id) in said.items():
                folding.say(order_id, (at, trade_id, "0", "50"))
            # Those that the state has as open keep their places before the others.
            opened = [(each.order_id, *figures(each)) for each in folding.orders.open("A")]
            assert sorted(opened) == [
                ("FILLED", "NEW", D(0), D(10)),
                ("LATE", "NEW", D(0), D(10)),
                ("OPEN", "PENDING_NEW", D(0), D(10)),
            ]
            assert opened[0][0] == "OPEN"
            assert folding.orders.by_broker_id("A", "b") == folding.orders.get("A", "FILLED")
            assert figures(folding.orders.get("A", "B-77")) == ("UNKNOWN", D(0), None)
            assert figures(folding.orders.get("A", "OTHER")) == ("FILLED", D(10), D(0))
            after = folding.orders.anomalies("A")
            assert after[DUPLICATE] - before.get(DUPLICATE, 0) == 4


def test_a_bust_in_another_stream_counts_where_it_stands(folding: OrderFolding) -> None:
    folding.add("X", submit(), OrderAccepted(), fill("1", "4"), fill("2", "6", "60"))
    at = bust_elsewhere(folding)
    folding.say("X", (at, "1", "0", "50"))
    order = folding.orders.get("A", "X")
    # It was filled before: the quantity is gone until the venue says otherwise.
    assert figures(order) == ("FILLED", D(6), D(0))
    assert order is not None
    assert (order.average_price, order.last_position, order.anomalies) == (D(60), at, ())
    assert folding.orders.open("A") == ()
    assert [(record.position, each.cumulative) for record, each in folding.orders.history("A", "X")] == [
        (1, D(0)), (2, D(0)), (3, D(4)), (4, D(10)), (5, D(6)),
    ]  # fmt: skip
    assert figures(folding.add("X", OrderAccepted())) == ("PARTIALLY_FILLED", D(6), D(4))
    assert [each.order_id for each in folding.orders.open("A")] == ["X"]


def test_the_orders_own_words_come_after_what_was_said_before_them(folding: OrderFolding) -> None:
    folding.add("X", submit(), fill("1", "4"))
    at = bust_elsewhere(folding)
    folding.add("X", correct("1", "5"), TradeBusted(trade_id="1"), fill("1", "4"))
    folding.say("X", (at, "1", "3", "52"))
    found = [each.cumulative for _, each in folding.orders.history("A", "X")]
    assert found == [D(0), D(4), D(3), D(5), D(0), D(0)]
    folding.say("X", (at, "1", "0", "0"))
    found = [each.cumulative for _, each in folding.orders.history("A", "X")]
    assert found == [D(0), D(4), D(0), D(0), D(0), D(0)]


def test_a_bust_that_is_recorded_elsewhere_before_the_trade_leaves_the_order_working(folding: OrderFolding) -> None:
    folding.add("X", submit(), OrderAccepted())
    at = bust_elsewhere(folding)
    folding.add("X", fill("1", "10"))
    folding.say("X", (at, "1", "0", "50"))
    assert figures(folding.orders.get("A", "X")) == ("NEW", D(0), D(10))
    assert [each.cumulative for _, each in folding.orders.history("A", "X")] == [D(0)] * 4
    # Said before any record of the order, and in any order.
    folding.add("Y", submit(), fill("2", "4"), fill("3", "4"))
    folding.say("Y", (8, "3", "2", "60"), (1, "2", "1", "40"))
    assert figures(folding.orders.get("A", "Y")) == ("PARTIALLY_FILLED", D(3), D(7))
    folding.say("Y", (8, "3", "2", "60"), (1, "2", "1", "40"), (8, "3", "1", "60"))
    assert figures(folding.orders.get("A", "Y")) == ("PARTIALLY_FILLED", D(2), D(8))


def test_two_names_that_turn_out_to_be_one_contract_take_a_fill_back(folding: OrderFolding) -> None:
    folding.add("X", submit(), fill("1", "10"))
    defined = ContractDefined(symbol="ESZ5", multiplier=D(50), currency="USD", broker_ids=("CON.ES",))
    at = folding.record("contract/-/ESZ5", defined).position
    folding.say("X", (at, "1", "0", "50"))
    assert figures(folding.orders.get("A", "X")) == ("FILLED", D(0), D(0))
    assert [record.position for record, _ in folding.orders.history("A", "X")] == [1, 2, 3]


def test_an_order_is_folded_again_only_when_it_or_what_is_said_of_it_has_changed() -> None:
    for view in (OrdersView(), OrdersView(closed_max=0)):
        folding = OrderFolding(view)
        folding.add("X", submit(), OrderAccepted(), fill("1", "10"), fill("2", "1"))
        folding.say("X", (4, "2", "0", "50"))
        assert figures(folding.orders.get("A", "X")) == ("FILLED", D(10), D(0))
        reads = folding.reads
        for _ in range(3):
            folding.orders.get("A", "X")
            folding.orders.open("A")
            folding.orders.anomalies("A")
        assert folding.reads == reads
        folding.say("X", (4, "2", "0", "50"))
        folding.orders.get("A", "X")
        assert folding.reads == reads + 1
        folding.say("X", (3, "1", "0", "50"), (4, "2", "0", "50"))
        assert figures(folding.orders.get("A", "X")) == ("NEW", D(0), D(10))
        folding.deliver(folding.record("order/A/X", OrderCanceled()))
        assert figures(folding.orders.get("A", "X")) == ("CANCELED", D(0), D(0))
        assert folding.orders.open("A") == ()


def test_an_evicted_order_is_right_when_its_late_record_is_no_longer_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("projections.views.orders.view.LATE_MAX", 1)
    folding = OrderFolding(OrdersView(closed_max=0))
    for order_id in ("X", "Y"):
        folding.add(order_id, submit(), fill("1", "10"))
    folding.say("X", (2, "1", "0", "50"))
    assert figures(folding.orders.get("A", "X")) == ("PENDING_NEW", D(0), D(10))
    for order_id in ("X", "Y"):
        folding.deliver(folding.record(f"order/A/{order_id}", OrderCanceled()))
    assert list(folding.states["A"].late) == ["Y"]
    assert figures(folding.orders.get("A", "X")) == ("CANCELED", D(0), D(0))


class Behind(OrderFolding):
    """A book whose own position stays behind its views' states, as while a page is folded."""

    reached = 0

    @property
    @override
    def position(self) -> int:
        return self.reached or super().position

    @override
    def read(
        self, *, stream: str | None = None, account: str | None = None, types: tuple[type[Event], ...] | None = None
    ) -> Iterator[Record]:
        records = super().read(stream=stream, account=account, types=types)
        return (record for record in records if record.position <= self.position)


def test_what_was_read_before_the_log_came_to_the_states_position_is_not_remembered() -> None:
    for view in (OrdersView(), OrdersView(closed_max=0)):
        folding = Behind(view)
        folding.add("X", submit(), OrderAccepted(), fill("1", "10"))
        folding.say("X", (3, "1", "0", "50"))
        folding.reached = 3
        folding.deliver(folding.record("order/A/X", OrderCanceled()))
        # The book has not come to the cancellation yet: this answer is right now, and only now.
        assert figures(folding.orders.get("A", "X")) == ("NEW", D(0), D(10))
        folding.reached = 4
        assert figures(folding.orders.get("A", "X")) == ("CANCELED", D(0), D(0))
        assert folding.orders.open("A") == ()


def test_what_is_remembered_of_joined_orders_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.views.orders.joining.JOINED_MAX", 2)
    folding = OrderFolding()
    for number in range(5):
        folding.add(f"X{number}", submit(), fill(str(number), "10"))
        folding.say(f"X{number}", (2 * number + 2, str(number), "0", "50"))
    assert len(folding.orders.open("A")) == 5
    assert len(vars(folding.states["A"])["joined"]) <= 2


def test_what_is_said_of_one_account_or_order_changes_no_other(folding: OrderFolding) -> None:
    for account in ("A", "B"):
        folding.add("X", submit(), fill("1", "10"), account=account)
    folding.say("X", (2, "1", "0", "50"))
    folding.say("NOWHERE", (2, "1", "0", "50"))
    assert [order.account for order in folding.orders.open()] == ["A"]
    assert figures(folding.orders.get("B", "X")) == ("FILLED", D(10), D(0))
    assert folding.orders.get("A", "NOWHERE") is None
    assert list(folding.orders.history("A", "NOWHERE")) == []
    assert folding.orders.anomalies("B") == {}


def test_an_anomaly_that_only_the_fill_of_another_order_caused_is_none(folding: OrderFolding) -> None:
    folding.add("X", submit(), fill("1", "10"), fill("2", "4"))
    overfilled = {OrderAnomalyKind.OVERFILL: 1, OrderAnomalyKind.FILL_AFTER_CLOSE: 1}
    assert folding.orders.anomalies("A") == overfilled
    folding.say("X", (3, "2", "0", "50"))
    assert folding.orders.anomalies("A") == {DUPLICATE: 1}
    assert figures(folding.orders.get("A", "X")) == ("FILLED", D(10), D(0))


def test_an_order_of_another_order_id_with_the_same_fill_stays_unknown(folding: OrderFolding) -> None:
    folding.add("X", submit(), fill("1", "4"))
    folding.add("B/77", fill("1", "4"))
    folding.say("B/77", (3, "1", "0", "50"))
    order = folding.orders.get("A", "B/77")
    assert figures(order) == ("UNKNOWN", D(0), None)
    assert order is not None
    assert (order.symbol, order.side) == ("ESZ5", Side.BUY)
    assert [each.order_id for each in folding.orders.open("A")] == ["X"]
    assert folding.orders.anomalies("A") == {UNKNOWN: 1, DUPLICATE: 1}
    reported = OrderReported(status=OrderStatus.NEW, quantity=D(4), symbol="ESZ5", side=Side.BUY)
    assert figures(folding.add("B/77", reported)) == ("NEW", D(0), D(4))
    assert [each.order_id for each in folding.orders.open("A")] == ["X", "B/77"]


def test_a_trade_in_its_own_stream_fills_no_order(folding: OrderFolding) -> None:
    folding.add("X", submit())
    trade = TradeExecuted(trade_id="1", symbol="ESZ5", side=Side.BUY, quantity=D(4), price=D(50))
    folding.deliver(folding.record("trade/A/1", trade))
    assert figures(folding.orders.get("A", "X")) == ("PENDING_NEW", D(0), D(10))
