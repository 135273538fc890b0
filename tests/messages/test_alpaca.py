"""Alpaca's trade updates: what is malformed is refused, what is unknown stays so, and the same book in any order."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

from eventstore import Event
from eventstore.clock import parse_time
from eventstore.trading import (
    ContractDefined,
    NoteAdded,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderReplaceRejected,
    OrderReported,
    OrderStatus,
    OrderType,
    Side,
    TradeBusted,
    TradeCorrected,
)
from gateways.messages import Recorder, Unmapped
from gateways.messages.alpaca import Alpaca
from projections import Book
from tests.proving import rounds

D = Decimal
ALPACA = Alpaca(account="ACC1")


def update(event: str, second: int = 0, order: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - any member
    whole = {
        "id": "b-1", "client_order_id": "mine-1", "symbol": "AAPL", "qty": "10", "filled_qty": "0", "side": "buy",
        "type": "limit", "limit_price": "101.5", "status": "new", "order_class": "simple", "legs": None,
    }  # fmt: skip
    return {
        "event": event, "timestamp": f"2026-11-30T14:30:{second:02}.5Z", "order": whole | (order or {}), **members
    }  # fmt: skip


def fill(second: int = 1, order: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - any member
    filled = {"status": "partially_filled", "filled_qty": "4", "filled_avg_price": "100"}
    given = {"execution_id": "x-1", "qty": "4", "price": "100"}
    return update("partial_fill", second, filled | (order or {}), **{**given, **members})


def events(message: Any) -> list[Event]:  # noqa: ANN401 - whatever arrives
    return [each.event for each in ALPACA.events(message)]


@pytest.mark.parametrize(
    "message",
    [
        None, [], {}, {"event": "fill"}, {"event": "fill", "order": None}, fill(timestamp="yesterday"),
        fill(timestamp="2026-11-30T14:30:00"), update("new", order={"id": None, "client_order_id": None}),
        {"stream": "trade_updates", "data": 5},
    ],
)  # fmt: skip
def test_what_cannot_be_mapped_is_refused_with_all_of_it(message: Any) -> None:  # noqa: ANN401 - whatever arrives
    with pytest.raises(Unmapped) as refused:
        ALPACA.events(message)
    assert (refused.value.source, refused.value.message) == ("alpaca", message)


@pytest.mark.parametrize(
    "message",
    [
        fill(execution_id=""), fill(execution_id=None), fill(order={"symbol": None}), fill(order={"side": "hold"}),
        fill(qty="0"), fill(qty=None), fill(price=None), fill(price="NaN"),
        update("trade_correct", execution_id="x-2", qty="1", price="5"), update("trade_bust"),
        update("pending_new", order={"legs": [5]}),
    ],
)  # fmt: skip
def test_a_part_that_cannot_be_mapped_is_noted_and_the_orders_state_counts(message: dict[str, Any]) -> None:
    state, note = events(message)
    assert isinstance(state, OrderReported)
    assert state.filled_quantity == D(message["order"]["filled_qty"])
    assert isinstance(note, NoteAdded)
    assert "unmapped" in note.tags


def test_a_fill_without_its_price_is_missed(book: Book) -> None:
    Recorder(book, ALPACA).record(fill(price=None))
    order = book.orders.get("ACC1", "mine-1")
    assert order is not None
    assert (order.cumulative, order.unexplained) == (D(0), D(4))


def test_an_execution_counts_whatever_is_wrong_with_the_orders_state() -> None:
    filled, note = events(fill(order={"qty": "many"}))
    assert (type(filled), type(note)) == (OrderFilled, NoteAdded)


def test_a_fill_is_an_execution_and_the_orders_state() -> None:
    filled, state = ALPACA.events({"stream": "trade_updates", "data": fill()})
    at = parse_time("2026-11-30T14:30:01.5Z")
    assert (filled.stream, filled.key, filled.occurred_at) == ("order/ACC1/mine-1", "execution x-1", at)
    assert filled.event == OrderFilled(trade_id="x-1", symbol="AAPL", side=Side.BUY, quantity=D(4), price=D(100))
    assert state.event == OrderReported(
        status=OrderStatus.PARTIALLY_FILLED, raw_status="partially_filled", broker_order_id="b-1", symbol="AAPL",
        side=Side.BUY, order_type=OrderType.LIMIT, quantity=D(10), filled_quantity=D(4), average_fill_price=D(100),
        limit_price=D("101.5"), updated_at=at,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("new", OrderAccepted), ("accepted", OrderAccepted), ("canceled", OrderCanceled), ("replaced", OrderCanceled),
        ("expired", OrderExpired), ("rejected", OrderRejected), ("order_cancel_rejected", OrderCancelRejected),
        ("order_replace_rejected", OrderReplaceRejected), ("pending_new", None), ("restated", None), ("sleeping", None),
    ],
)  # fmt: skip
def test_an_update_is_the_transition_that_it_names(word: str, kind: type[Event] | None) -> None:
    *transitions, state = events(update(word, reason="why"))
    assert [type(each) for each in transitions] == ([] if kind is None else [kind])
    assert isinstance(state, OrderReported)


@pytest.mark.parametrize("status", ["stopped", "accepted_for_bidding", "sleeping", "", None])
def test_an_unknown_status_says_nothing_and_keeps_its_word(status: str | None) -> None:
    (state,) = events(update("restated", order={"status": status}))
    assert isinstance(state, OrderReported)
    assert (state.status, state.raw_status) == (OrderStatus.UNKNOWN, status or None)


def test_an_order_of_an_amount_has_no_quantity() -> None:
    state = events(
        update("pending_new", order={"qty": None, "notional": "500", "type": "market", "limit_price": None})
    )[-1]
    assert isinstance(state, OrderReported)
    assert (state.quantity, state.limit_price) == (None, None)


def test_a_bust_and_a_correction_name_their_execution() -> None:
    busted = events(update("trade_bust", execution_id="x-1", reason="TRADE_BUST"))[0]
    assert busted == TradeBusted(trade_id="x-1", symbol="AAPL", side=Side.BUY, reason="TRADE_BUST")
    corrected = events(
        update("trade_correct", execution_id="x-2", previous_execution_id="x-1", qty="3", price="99")
    )[0]  # fmt: skip
    assert corrected == TradeCorrected(
        trade_id="x-1", quantity=D(3), price=D(99), symbol="AAPL", side=Side.BUY, correction_id="x-2"
    )


@pytest.mark.parametrize(
    ("order_class", "parent", "group"),
    [
        ("bracket", "mine-1", "mine-1 legs"), ("oco", None, "mine-1"), ("oto", "mine-1", None), ("mleg", None, None),
    ],
)  # fmt: skip
def test_legs_are_orders_with_links(order_class: str, parent: str | None, group: str | None) -> None:
    leg = {"id": "b-2", "client_order_id": "mine-2", "symbol": "AAPL", "status": "held", "side": "sell"}
    found = ALPACA.events(update("pending_new", order={"order_class": order_class, "legs": [leg]}))
    own, other = found[-2].event, found[-1].event
    assert found[-1].stream == "order/ACC1/mine-2"
    assert isinstance(own, OrderReported)
    assert isinstance(other, OrderReported)
    assert (other.parent_order_id, other.link_group) == (parent, group)
    assert own.link_group == (group if order_class == "oco" else None)


SESSION = [
    update("pending_new", 0, {"status": "pending_new"}),
    update("new", 1),
    fill(2),
    update("trade_correct", 3, {"status": "partially_filled", "filled_qty": "3"}, execution_id="x-2",
           previous_execution_id="x-1", qty="3", price="99"),
    fill(4, {"filled_qty": "8", "filled_avg_price": "98.375"}, execution_id="x-3", qty="5", price="98"),
    update("trade_bust", 5, {"status": "partially_filled", "filled_qty": "3"}, execution_id="x-4",
           previous_execution_id="x-3"),
    update("pending_replace", 6, {"status": "pending_replace", "filled_qty": "3"}),
    update("replaced", 7, {"status": "replaced", "filled_qty": "3", "replaced_by": "b-2"}),
    update("new", 8, {"id": "b-2", "client_order_id": "mine-2", "qty": "7", "replaces": "b-1", "limit_price": "102"}),
]  # fmt: skip


@pytest.mark.untraced
def test_updates_that_come_twice_late_and_shuffled_end_in_the_same_book(book: Book) -> None:
    for seed in rounds("alpaca updates", test=20, prove=2_000):
        chance = random.Random(seed)
        account = f"ACC{seed + 2}"
        definition = ContractDefined(symbol="AAPL", multiplier=D(1), currency="USD")
        book.append("contract/-/AAPL", definition, key="AAPL")
        recorder = Recorder(book, Alpaca(account=account))
        arriving = SESSION + [each for each in SESSION if chance.random() < 0.3]
        chance.shuffle(arriving)
        for message in arriving:
            recorder.record(message)
        first, second = (book.orders.by_broker_id(account, each) for each in ("b-1", "b-2"))
        assert first is not None
        assert second is not None
        assert (first.status, first.unexplained) == (OrderStatus.CANCELED, D(0))
        assert (first.cumulative, first.average_price) == (D(3), D(99))
        assert (second.status, second.quantity, second.limit_price) == (OrderStatus.NEW, D(7), D(102))
        assert book.positions.get(account, "AAPL").quantity == 3
        assert recorder.counts.unmapped == 0
