"""FIX messages: what is malformed is refused with all of it, what is unknown stays so, and the ordinary case."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest

from eventstore import Event
from eventstore.clock import parse_time
from eventstore.trading import (
    FeeCharged,
    Liquidity,
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
    OrderSubmitted,
    Side,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from gateways.messages import Recorder, Unmapped
from gateways.messages.fix import FIELDS, LEFT_OUT, Fix
from gateways.messages.fix.codes import TAGS
from projections import Book
from tests.messages.fix_messages import ACCOUNT, cancel_reject, execution_report

D = Decimal
FIX = Fix()


def events(message: Any, mapping: Fix = FIX) -> list[Event]:  # noqa: ANN401 - whatever arrives
    return [each.event for each in mapping.events(message)]


def fill(**tags: Any) -> dict[Any, Any]:  # noqa: ANN401 - any value of a tag
    return execution_report("F", "1", 1, **{"t32": "2", "t31": "100.25", "t14": "2", "t6": "100.25"} | tags)


def state_of(message: Any) -> OrderReported:  # noqa: ANN401 - whatever arrives
    return next(each for each in events(message) if isinstance(each, OrderReported))


@pytest.mark.parametrize(
    "message",
    [
        None, [], "35=8", {}, {35: "D"}, {35: "8"}, {"35": None}, execution_report("0", "0", 1, t1=None),
        execution_report("0", "0", 1, t1="my account"), execution_report("0", "0", 1, t60="2026-11-30"),
        execution_report("0", "0", 1, t60="20261341-14:30:00"), execution_report("0", "0", 1, t60="19700101-00:00:00"),
        execution_report("0", "0", 1, t37=[1]),
        execution_report("0", "0", 1, t37="NONE", t11=None), cancel_reject("1", "0", 1, t37="NONE", t11=None, t41=None),
        {True: "8", (1, 2): "x"}, {"9" * 5000: "8"}, {35: "8", 1: ACCOUNT, 150: b"\xff", 60: True},
    ],
)  # fmt: skip
def test_what_cannot_be_mapped_is_refused_with_all_of_it(message: Any) -> None:  # noqa: ANN401 - whatever arrives
    with pytest.raises(Unmapped) as refused:
        FIX.events(message)
    assert refused.value.source == "fix"
    assert refused.value.message is message


@pytest.mark.parametrize(
    "message",
    [
        fill(t31=None), fill(t31="NaN"), fill(t32="-1"), fill(t54="9"), fill(t54=None), fill(t55=None),
        fill(t17=None), fill(t17="0"), fill(t17="NONE"), fill(t75="20261340"), fill(t75="today"), fill(t136=[5]),
        execution_report("G", "1", 1, t32="1", t31="5", t14="2"), execution_report("H", "1", 1, t19="0", t14="2"),
    ],
)  # fmt: skip
def test_a_trade_that_cannot_be_mapped_is_noted_and_the_orders_state_counts(message: dict[Any, Any]) -> None:
    state, note = events(message)
    assert isinstance(state, OrderReported)
    assert (state.filled_quantity, type(note)) == (D(2), NoteAdded)


def test_a_transition_counts_whatever_is_wrong_with_the_orders_state() -> None:
    accepted, note = events(execution_report("0", "0", 1, t38="many"))
    assert (accepted, type(note)) == (OrderAccepted(broker_order_id="O-1"), NoteAdded)


def test_a_fill_counts_whatever_is_wrong_with_the_orders_state() -> None:
    filled, note = events(fill(t38="many"))
    assert (type(filled), type(note)) == (OrderFilled, NoteAdded)


def test_a_refused_message_is_a_note_and_no_error_of_the_recorder(book: Book) -> None:
    recorder = Recorder(book, FIX)
    (record,) = [each for each in recorder.record(fill(t54="9")) if each.stream.startswith("note/-/")]
    assert isinstance(record.event, NoteAdded)
    assert "Side" in record.event.text


def test_a_fill_is_a_trade_and_the_orders_state() -> None:
    filled, state = FIX.events(fill(t527="X-1", t851="2", t75="20261201"))
    assert (filled.stream, filled.occurred_at) == ("order/ACC1/O-1", parse_time("2026-11-30T14:30:01Z"))
    assert filled.event == OrderFilled(
        trade_id="E1", symbol="MNQH6", side=Side.BUY, quantity=D(2), price=D("100.25"), exchange_trade_id="X-1",
        liquidity=Liquidity.REMOVED, trading_day=datetime.date(2026, 12, 1),
    )  # fmt: skip
    assert state.event == OrderReported(
        status=OrderStatus.PARTIALLY_FILLED, raw_status="1", broker_order_id="O-1", symbol="MNQH6", side=Side.BUY,
        quantity=D(10), filled_quantity=D(2), average_fill_price=D("100.25"), updated_at=filled.occurred_at,
    )  # fmt: skip
    assert filled.order_names == ("C-1",)


@pytest.mark.parametrize("exec_type", ["0", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "I", "Z", ""])
def test_only_a_trade_fills_even_where_a_last_quantity_is_stated(exec_type: str) -> None:
    found = events(execution_report(exec_type, "1", 1, t32="2", t31="5", t14="2"))
    assert not any(isinstance(each, OrderFilled | TradeExecuted | TradeCorrected | TradeBusted) for each in found)


@pytest.mark.parametrize(
    ("exec_type", "status", "kind"),
    [
        ("0", "0", OrderAccepted), ("4", "4", OrderCanceled), ("5", "0", OrderReplaced), ("8", "8", OrderRejected),
        ("C", "C", OrderExpired), ("D", "1", OrderReplaced), ("A", "A", None), ("6", "6", None), ("E", "E", None),
        ("8", "1", None), ("3", "3", None), ("9", "9", None), ("7", "7", None), ("B", "B", None), ("I", "4", None),
    ],
)  # fmt: skip
def test_a_report_is_the_transition_that_it_names(exec_type: str, status: str, kind: type[Event] | None) -> None:
    *transitions, state = events(execution_report(exec_type, status, 1))
    assert [type(each) for each in transitions] == ([] if kind is None else [kind])
    assert isinstance(state, OrderReported)


@pytest.mark.parametrize(("status", "raw"), [("Z", "Z (I)"), ("D", "D (I)"), ("7", "7 (I)"), ("", " (I)")])
def test_an_unknown_status_says_nothing_and_keeps_its_word(status: str, raw: str) -> None:
    state = state_of(execution_report("I", status, 1))
    assert (state.status, state.raw_status) == (OrderStatus.UNKNOWN, raw)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("0", "NEW"), ("1", "PARTIALLY_FILLED"), ("2", "FILLED"), ("3", "SUSPENDED"), ("4", "CANCELED"),
        ("6", "PENDING_CANCEL"), ("8", "REJECTED"), ("9", "SUSPENDED"), ("A", "PENDING_NEW"), ("B", "SUSPENDED"),
        ("C", "EXPIRED"), ("E", "PENDING_REPLACE"), ("G", "UNKNOWN"), ("H", "UNKNOWN"),
    ],
)  # fmt: skip
def test_each_order_status_has_a_meaning(code: str, status: str) -> None:
    assert state_of(execution_report("I", code, 1)).status is OrderStatus(status)


def test_a_rejection_of_a_repeated_order_does_not_end_the_first_one() -> None:
    (state,) = events(execution_report("8", "8", 1, t103="6"))
    assert isinstance(state, OrderReported)
    assert state.status is OrderStatus.UNKNOWN


def test_a_rejection_says_why() -> None:
    rejected = events(execution_report("8", "8", 1, t103="3", t58="over the limit"))[0]
    assert rejected == OrderRejected(reason="order exceeds limit: over the limit")


def test_what_is_pending_is_not_in_force() -> None:
    state = state_of(execution_report("E", "E", 1, t38="99", t44="7"))
    assert (state.status, state.quantity, state.limit_price) == (OrderStatus.PENDING_REPLACE, None, None)


def test_a_replacement_has_the_new_terms() -> None:
    replaced, _ = events(execution_report("5", "0", 1, t38="12", t44="101", t11="C-2", t41="C-1"))
    assert replaced == OrderReplaced(quantity=D(12), limit_price=D(101), broker_order_id="O-1")


@pytest.mark.parametrize(("to", "kind"), [("1", OrderCancelRejected), ("2", OrderReplaceRejected)])
def test_a_refused_request_leaves_the_order_as_the_venue_has_it(to: str, kind: type[Event]) -> None:
    refused, state = events(cancel_reject(to, "1", 1, t58="no"))
    assert isinstance(refused, kind)
    assert (getattr(refused, "reason", ""), getattr(state, "status", "")) == (
        "too late to cancel: no",
        "PARTIALLY_FILLED",
    )


def test_a_refusal_for_an_unknown_order_rejects_no_order() -> None:
    _, state = events(cancel_reject("1", "8", 1, t37="NONE", t102="1"))
    assert isinstance(state, OrderReported)
    assert state.status is OrderStatus.UNKNOWN


def test_corrections_and_busts_name_their_trade() -> None:
    corrected, _ = events(execution_report("G", "1", 1, t17="E9", t19="E1", t32="3", t31="7"))
    assert corrected == TradeCorrected(
        trade_id="E1", quantity=D(3), price=D(7), symbol="MNQH6", side=Side.BUY, correction_id="E9"
    )
    busted, _ = events(execution_report("H", "0", 1, t17="E9", t19="E1", t58="error"))
    assert busted == TradeBusted(trade_id="E1", symbol="MNQH6", side=Side.BUY, reason="error")
    nothing, _ = events(execution_report("G", "0", 1, t17="E9", t19="E1", t32="0", t31="0"))
    assert isinstance(nothing, TradeBusted)


@pytest.mark.parametrize(
    ("tags", "fee", "currency"),
    [
        ({"t12": "1.5"}, "1.5", None), ({"t12": "1.5", "t13": "3", "t479": "EUR"}, "1.5", "EUR"),
        ({"t12": "0.5", "t13": "1", "t15": "USD"}, "1.0", "USD"), ({"t12": "-0.2", "t13": "3"}, "-0.2", None),
        ({"t12": "1", "t13": "2", "t381": "401"}, "4.01", None), ({"t12": "0", "t13": "9"}, "0", None),
        ({"t12": "1", "t136": [{137: "0.5"}, {137: "0.25"}]}, "1.75", None),
        ({"t137": "0.3", "t136": "1"}, "0.3", None),
    ],
)  # fmt: skip
def test_a_fills_costs_are_one_fee(tags: dict[str, Any], fee: str, currency: str | None) -> None:
    filled, *_ = events(fill(**tags))
    assert isinstance(filled, OrderFilled)
    assert (filled.fee, filled.fee_currency) == (D(fee), currency)


def test_a_fee_in_another_currency_is_charged_apart() -> None:
    found = events(fill(t12="1", t479="USD", t136=[{137: "2", 138: "EUR"}]))
    assert FeeCharged(trade_id="E1", amount=D(2), currency="EUR") in found


@pytest.mark.parametrize("tags", [{"t12": "1", "t13": "2"}, {"t12": "1", "t13": "5"}])
def test_a_commission_that_cannot_be_computed_is_noted_beside_the_fill(tags: dict[str, Any]) -> None:
    filled, note, _ = events(fill(**tags))
    assert isinstance(filled, OrderFilled)
    assert filled.fee == 0
    assert isinstance(note, NoteAdded)
    assert "percentage" in note.text


def test_of_a_spread_the_legs_are_trades_and_the_whole_fills_nothing() -> None:
    (leg,) = events(fill(t442="2"))
    assert isinstance(leg, TradeExecuted)
    (whole,) = events(fill(t442="3"))
    assert isinstance(whole, OrderReported)
    assert (whole.quantity, whole.filled_quantity) == (None, None)


def test_a_copy_of_another_session_counts_once_by_the_id_of_the_original(book: Book) -> None:
    recorder = Recorder(book, FIX)
    for message in (fill(), fill(t17="D7", t527="E1", t797="Y"), fill(t43="Y"), fill(t797="Y")):
        recorder.record(message)
    assert book.positions.get(ACCOUNT, "MNQH6").quantity == 2
    assert [each.trade_id for each in book.trades.of(ACCOUNT)] == ["E1"]


def test_a_copy_counts_where_it_is_the_only_source(book: Book) -> None:
    Recorder(book, FIX).record(fill(t797="Y"))
    assert book.positions.get(ACCOUNT, "MNQH6").quantity == 2


def test_an_execution_id_that_begins_again_on_another_day_is_another_trade(book: Book) -> None:
    recorder = Recorder(book, FIX)
    recorder.record(fill(t75="20261130"))
    recorder.record(fill(t75="20261201", t14="4"))
    assert book.positions.get(ACCOUNT, "MNQH6").quantity == 4


@pytest.mark.parametrize(
    ("tags", "symbol"),
    [
        ({"t55": "MNQ", "t200": "202603"}, "MNQH6"), ({"t55": "MNQ", "t200": "20260320"}, "MNQH6"),
        ({"t55": "MNQ", "t200": "202613"}, "MNQ"), ({"t48": "4711", "t55": "MNQ"}, "MNQZ6"), ({"t48": "9"}, "MNQH6"),
        ({"t55": "ES", "t200": "202603", "t201": "1", "t202": "6000.0"}, "ES 202603 C6000"),
    ],
)  # fmt: skip
def test_the_instrument_is_named_by_symbol_and_month(tags: dict[str, Any], symbol: str) -> None:
    filled = events(fill(**tags), Fix(contracts={"4711": "MNQZ6"}))[0]
    assert getattr(filled, "symbol", None) == symbol


def test_accounts_and_orders_have_the_names_of_the_settings() -> None:
    mapping = Fix(accounts={"F-7": "DESK"}, orders={"C-1": "MINE"})
    assert {each.stream for each in mapping.events(fill(t1="F-7", t11="R-1", t41="C-1"))} == {"order/DESK/MINE"}
    assert Fix(account="ACC2").events(fill(t1=None))[0].stream == "order/ACC2/O-1"


def test_an_order_submitted_here_is_found_by_its_own_id(book: Book) -> None:
    recorder = Recorder(book, FIX)
    book.append(f"order/{ACCOUNT}/C-1", OrderSubmitted(symbol="MNQH6", side=Side.BUY, quantity=D(10)))
    recorder.record(execution_report("4", "4", 1, t11="R-1", t41="C-1", t151="0"))
    order = book.orders.get(ACCOUNT, "C-1")
    assert order is not None
    assert (order.status, order.broker_order_id) == (OrderStatus.CANCELED, "O-1")


def test_versions_before_4_3_say_the_same_in_other_words() -> None:
    partial = events(execution_report("1", "1", 1, t20="0", t32="2", t31="5"))[0]
    assert isinstance(partial, OrderFilled)
    assert isinstance(events(execution_report("2", "2", 1, t20="1", t19="E1"))[0], TradeBusted)
    corrected = events(execution_report("1", "1", 1, t20="2", t19="E1", t32="1", t31="5"))[0]
    assert isinstance(corrected, TradeCorrected)
    assert [type(each) for each in events(execution_report("1", "1", 1, t20="3", t32="2", t31="5"))] == [OrderReported]
    replaced = [
        ("0", "10", OrderStatus.NEW), ("2", "8", OrderStatus.PARTIALLY_FILLED), ("10", "0", OrderStatus.FILLED)
    ]  # fmt: skip
    for filled, left, status in replaced:
        assert state_of(execution_report("I", "5", 1, t14=filled, t151=left)).status is status


def test_text_and_number_tags_and_values_are_the_same_message() -> None:
    numbers = {tag: int(value) if tag in {32, 38, 14} else value for tag, value in fill().items()}
    assert FIX.events(fill()) == FIX.events({str(tag): value for tag, value in fill().items()}) == FIX.events(numbers)


def test_each_tag_that_is_known_is_mapped_or_left_out() -> None:
    # Which kind of message it is, MsgType says.
    expected = {f"{name} ({tag})" for tag, name in TAGS.items()} - {"MsgType (35)"}
    listed = {name for kind in FIELDS for name in (*FIELDS[kind], *LEFT_OUT[kind])}
    assert {name for name in listed if not name.startswith(("any other", "Commission of"))} == expected
