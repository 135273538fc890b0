"""Laws of the orders view, over histories as inconsistent as any venue's."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from eventstore.trading import OrderStatus
from projections.views.orders.order import CLOSED
from projections.views.orders.view import Order, OrdersState, OrdersView
from tests.views.order_folding import OrderFolding, event_of

QUANTITIES = st.sampled_from(["1", "2.5", "4", "10"])
TRADES = st.sampled_from(["t1", "t2", "t3"])
REPORTS = st.sampled_from(["NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "PENDING_CANCEL", "SUSPENDED", "UNKNOWN"])
EVENTS = st.one_of(
    st.sampled_from(["accept", "reject", "trigger", "ask-replace", "refuse-replace", "ask-cancel", "refuse-cancel"]),
    st.sampled_from(["cancel", "expire"]),
    st.builds("{} {}".format, st.sampled_from(["submit", "replace", "reduce", "cancel"]), QUANTITIES),
    st.builds("{} {} {}@{}".format, st.sampled_from(["fill", "fill", "correct"]), TRADES, QUANTITIES, QUANTITIES),
    st.builds("bust {}".format, TRADES),
    st.builds("report {} {}".format, REPORTS, QUANTITIES),
)
HISTORIES = st.lists(st.tuples(st.sampled_from(["X", "Y", "Z", "W"]), EVENTS), max_size=40)


def folded(history: list[tuple[str, str]], view: OrdersView | None = None) -> OrderFolding:
    folding = OrderFolding(view)
    folding.states["A"] = folding.view.initial()
    for order_id, words in history:
        folding.deliver(folding.record(f"order/A/{order_id}", event_of(words)))
    return folding


@given(history=HISTORIES, cut=st.integers(0, 40))
def test_folding_all_is_folding_the_rest_onto_a_snapshot_at_any_cut(history: list[tuple[str, str]], cut: int) -> None:
    view = OrdersView(closed_max=1, unknown_max=1)
    folding = folded(history, view)
    state = folded(history[:cut], view).states["A"]
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=OrdersState)
    for record in folding.records[cut:]:
        view.apply(state, record.event, record)
    # Bytes, because a dict's equality says nothing of its order, on which eviction goes.
    assert msgspec.msgpack.encode(state) == msgspec.msgpack.encode(folding.states["A"])


@given(history=HISTORIES)
def test_an_order_is_the_same_resident_or_evicted(history: list[tuple[str, str]]) -> None:
    resident = folded(history)
    evicted = folded(history, OrdersView(closed_max=0, unknown_max=0))
    for order_id in {order_id for order_id, _ in history}:
        assert evicted.orders.get("A", order_id) == resident.orders.get("A", order_id)


@given(history=HISTORIES)
def test_figures_add_up_after_every_event(history: list[tuple[str, str]]) -> None:
    folding = folded(history)
    for order_id in {order_id for order_id, _ in history}:
        for record, order in folding.orders.history("A", order_id):
            assert order.last_position == record.position
            assert_adds_up(order)
    state = folding.states["A"]
    marked = [
        anomaly.kind
        for part in (state.open, state.closed, state.unknown)
        for o in part.values()
        for anomaly in o.anomalies
    ]
    assert {kind: marked.count(kind) for kind in set(marked)} == folding.orders.anomalies("A")


def assert_adds_up(order: Order) -> None:
    assert order.cumulative >= 0
    assert (order.average_price is None) == (order.cumulative == 0)
    if order.base in CLOSED:
        # A filled order whose change is pending shows that; it leaves nothing all the same.
        assert order.leaves == 0
        assert not order.is_open or order.status is OrderStatus.PENDING_REPLACE
    elif order.quantity is None:
        assert order.leaves is None
    else:
        assert order.leaves == order.quantity - order.cumulative
        assert order.leaves > 0
