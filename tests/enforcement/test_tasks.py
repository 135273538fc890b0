"""Tasks: what is to be cancelled and closed, orders recorded once before they are sent, and nothing after the lease."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.trading import (
    Allows,
    ContractDefined,
    EnforcementAction,
    EnforcementRequested,
    LimitsSet,
    LockoutSet,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderReported,
    OrderStatus,
    OrderSubmitted,
    OrderType,
    PositionReported,
    PositionSide,
    Side,
)
from projections import Book
from projections.enforcer import ClosingRejected, LeaseLost, Task
from projections.risk.enforcement.claims import LEASE_NS, RequestClaim, claim
from projections.views.enforcement import Enforcement
from tests.enforcement.scene import SECOND, ask, lock, opened, trade

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def book(store: EventStore) -> Iterator[Book]:
    with projections.open(store) as found:
        opened(found)
        yield found


def held(book: Book, request: Enforcement) -> RequestClaim:
    found = claim(book, request, "first")
    assert found is not None
    return found


def task(book: Book, action: EnforcementAction = EnforcementAction.FLATTEN, **more: str) -> Task:
    lock(book)
    return Task(book, held(book, ask(book, action, **more)))


def work(book: Book, order_id: str, side: Side = BUY, quantity: int = 1, symbol: str = "ES") -> None:
    event = OrderSubmitted(symbol=symbol, side=side, quantity=Decimal(quantity), order_type=OrderType.LIMIT)
    book.append(f"order/A/{order_id}", [event, OrderAccepted(broker_order_id=f"B-{order_id}")])


def fill(book: Book, order_id: str, side: Side, quantity: str) -> None:
    event = OrderFilled(
        trade_id=f"T-{order_id}", symbol="ES", side=side, quantity=Decimal(quantity), price=Decimal(6000)
    )
    book.append(f"order/A/{order_id}", event)


def to_close(asked: Task) -> list[tuple[str, Side, Decimal]]:
    return [(each.symbol, each.side, each.quantity) for each in asked.positions]


def test_it_names_what_works_and_what_is_held(book: Book) -> None:
    trade(book, SELL, "2")
    work(book, "O2")
    asked = task(book)
    assert [order.order_id for order in asked.orders] == ["O2"]
    assert to_close(asked) == [("ES", BUY, Decimal(2))]
    assert (asked.account, asked.request.rule_id, asked.is_held()) == ("A", "desk", True)


def test_cancelling_closes_nothing(book: Book) -> None:
    trade(book, BUY)
    work(book, "O2")
    asked = task(book, EnforcementAction.CANCEL_ORDERS)
    assert [order.order_id for order in asked.orders] == ["O2"]
    assert asked.positions == ()
    assert asked.submit_closing("ES") is None


def test_a_symbol_s_request_is_about_that_symbol_by_any_of_its_names(book: Book) -> None:
    book.append("contract/-/NQ", ContractDefined(symbol="NQ", multiplier=Decimal(20), broker_ids=("CON.NQ",)))
    trade(book, BUY)
    event = OrderSubmitted(symbol="NQ", side=BUY, quantity=Decimal(3))
    fill_of_nq = OrderFilled(trade_id="T9", symbol="NQ", side=BUY, quantity=Decimal(3), price=Decimal(20_000))
    book.append("order/A/O9", [event, fill_of_nq])
    work(book, "O2")
    work(book, "O3", symbol="NQ")
    asked = task(book, EnforcementAction.FLATTEN_SYMBOL, symbol="CON.NQ")
    assert [order.order_id for order in asked.orders] == ["O3"]
    assert to_close(asked) == [("NQ", SELL, Decimal(3))]
    assert asked.submit_closing("ES") is None


def test_a_root_s_request_is_about_all_of_its_contracts(book: Book) -> None:
    for symbol, root in (("ESZ6", "ES"), ("NQZ6", "NQ")):
        book.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, root=root, multiplier=Decimal(50)))
        sent = OrderSubmitted(symbol=symbol, side=BUY, quantity=Decimal(1))
        filled = OrderFilled(trade_id=symbol, symbol=symbol, side=BUY, quantity=Decimal(1), price=Decimal(6000))
        book.append(f"order/A/{symbol}", [sent, filled])
    locked = LockoutSet(rule_id="desk", scope="root:ES", allows=Allows.NOTHING)
    book.append("lockout/A/desk", locked)
    asked = Task(book, held(book, ask(book, EnforcementAction.FLATTEN_SYMBOL, symbol="ES")))
    assert to_close(asked) == [("ESZ6", SELL, Decimal(1))]
    closing = asked.submit_closing("ESZ6")
    assert closing is not None
    assert closing.quantity == Decimal(1)


@pytest.mark.parametrize(("quantity", "closed"), [("1", "2"), ("3", None), ("0", "3"), ("9", None)])
def test_reducing_closes_what_is_above(book: Book, quantity: str, closed: str | None) -> None:
    trade(book, BUY, "3")
    asked = task(book, EnforcementAction.REDUCE_TO, quantity=quantity)
    assert to_close(asked) == ([] if closed is None else [("ES", SELL, Decimal(closed))])
    assert asked.orders == ()


def test_a_closing_order_is_on_record_before_it_is_sent(book: Book) -> None:
    trade(book, BUY, "3")
    asked = task(book)
    closing = asked.submit_closing("ES")
    assert closing is not None
    assert (closing.side, closing.quantity, closing.is_new) == (SELL, Decimal(3), True)
    order = book.orders.get("A", closing.order_id)
    assert order is not None
    assert (order.status, order.order_type, order.quantity) == (OrderStatus.PENDING_NEW, OrderType.MARKET, Decimal(3))
    # Asked again, here or by who takes over: the same order, which may have been sent.
    again = asked.submit_closing("ES")
    assert again is not None
    assert (again.order_id, again.is_new) == (closing.order_id, False)
    # It is not among those to cancel.
    assert asked.orders == ()
    assert [each.order_id for each in asked.closing] == [closing.order_id]


def test_a_rejected_closing_order_is_followed_by_another(book: Book) -> None:
    trade(book, BUY)
    asked = task(book)
    first = asked.submit_closing("ES")
    assert first is not None
    asked.record(f"order/A/{first.order_id}", OrderRejected(reason="no connection"))
    second = asked.submit_closing("ES")
    assert second is not None
    assert second.order_id != first.order_id
    assert second.is_new


def test_a_closed_position_is_not_closed_again(book: Book) -> None:
    trade(book, BUY, "2")
    asked = task(book)
    closing = asked.submit_closing("ES")
    assert closing is not None
    fill(book, closing.order_id, SELL, "2")
    assert asked.submit_closing("ES") is None


def test_what_was_reported_filled_without_the_fill_is_not_closed_again(book: Book) -> None:
    trade(book, BUY, "2")
    asked = task(book)
    closing = asked.submit_closing("ES")
    assert closing is not None
    report = OrderReported(status=OrderStatus.FILLED, filled_quantity=Decimal(2), quantity=Decimal(2))
    asked.record(f"order/A/{closing.order_id}", report)
    with pytest.raises(ClosingRejected, match="no order was recorded to close ES of A"):
        asked.submit_closing("ES")


def test_a_position_that_the_broker_does_not_have_is_not_closed(book: Book) -> None:
    trade(book, BUY, "2")
    asked = task(book)
    for reported in (0, -1):
        asked.record("position/A/ES", PositionReported(symbol="ES", quantity=Decimal(reported)))
        with pytest.raises(ClosingRejected, match="the broker reports no such position"):
            asked.submit_closing("ES")
    asked.record("position/A/ES", PositionReported(symbol="ES", quantity=Decimal(1)))
    closing = asked.submit_closing("ES")
    assert closing is not None
    assert closing.quantity == Decimal(1)


def test_an_order_that_may_close_it_too_is_taken_off(book: Book) -> None:
    trade(book, BUY, "3")
    work(book, "O2", SELL, 1)
    asked = task(book)
    closing = asked.submit_closing("ES")
    assert closing is not None
    assert closing.quantity == Decimal(2)
    asked.record("order/A/O2", OrderCanceled())
    fill(book, closing.order_id, SELL, "2")
    rest = asked.submit_closing("ES")
    assert rest is not None
    assert rest.quantity == Decimal(1)


def test_a_closing_order_of_an_earlier_attempt_counts(book: Book) -> None:
    trade(book, BUY, "3")
    first = task(book)
    closing = first.submit_closing("ES")
    assert closing is not None
    first._claim.answer(success=False)
    second = Task(book, held(book, ask(book, request_id="R1-2")))
    found = second.submit_closing("ES")
    assert found is not None
    assert (found.order_id, found.is_new) == (closing.order_id, False)
    assert second.orders == ()


def test_nothing_is_recorded_to_be_sent_once_the_lease_has_ended(book: Book, clock: ManualClock) -> None:
    trade(book, BUY)
    asked = task(book)
    clock.advance(LEASE_NS)
    before = book.position
    with pytest.raises(LeaseLost, match="its lease has ended"):
        asked.submit_closing("ES")
    with pytest.raises(LeaseLost):
        asked.require_held()
    assert book.position == before
    # What happened is recorded all the same.
    [record] = asked.record("order/A/O1", OrderCanceled())
    assert record.causation_id == asked.caused_by


def test_an_order_whose_lease_ended_while_it_was_recorded_is_not_sent(
    book: Book, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade(book, BUY)
    asked = task(book)
    append = book.append

    def slowly(*arguments: object, **options: object) -> object:
        clock.advance(11 * SECOND)
        return append(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(book, "append", slowly)
    with pytest.raises(LeaseLost):
        asked.submit_closing("ES")
    monkeypatch.undo()
    # Who takes over finds it.
    [order] = book.orders.open("A")
    taken = held(book, book.enforcement.pending("A")[0])
    found = Task(book, taken).submit_closing("ES")
    assert found is not None
    assert (found.order_id, found.is_new) == (order.order_id, False)


def test_the_broker_s_word_may_be_closed_by_naming_side_and_quantity(book: Book) -> None:
    trade(book, BUY, "3")
    asked = task(book)
    closing = asked.submit_closing("ES", side=SELL, quantity=Decimal(1))
    assert closing is not None
    assert closing.quantity == Decimal(1)


@pytest.mark.parametrize("quantity", ["4", "-1", "NaN"])
def test_more_than_is_held_is_never_recorded(book: Book, quantity: str) -> None:
    trade(book, BUY, "3")
    asked = task(book)
    with pytest.raises(ClosingRejected):
        asked.submit_closing("ES", side=SELL, quantity=Decimal(quantity))
    assert book.orders.open("A") == ()


def test_a_closing_order_is_cancelled_once_it_would_open_a_position(book: Book) -> None:
    """The position was closed by another order: what was sent to close it is left over."""
    trade(book, BUY, "2")
    first = task(book)
    closing = first.submit_closing("ES")
    assert closing is not None
    assert list(first.orders) == []
    trade(book, SELL, "2", order_id="by-hand")
    assert [each.order_id for each in first.orders] == [closing.order_id]
    first._claim.answer(success=True)
    cancel = Task(book, held(book, ask(book, EnforcementAction.CANCEL_ORDERS, "C")))
    assert [each.order_id for each in cancel.orders] == [closing.order_id]
    cancel.record(f"order/A/{closing.order_id}", OrderCanceled())
    assert cancel.orders == ()


def test_an_order_that_opens_is_cancelled_whatever_request_it_names(book: Book) -> None:
    first = task(book, EnforcementAction.CANCEL_ORDERS)
    sent = OrderSubmitted(symbol="ES", side=BUY, quantity=Decimal(5), order_type=OrderType.LIMIT)
    book.append("order/A/O9", [sent, OrderAccepted(broker_order_id="B-9")], causation_id=first.caused_by)
    assert [each.order_id for each in first.orders] == ["O9"]


def test_a_hedged_position_is_not_taken_for_one_that_is_closed(book: Book) -> None:
    bought = {"side": BUY, "quantity": Decimal(2), "position_side": PositionSide.LONG}
    sent = OrderSubmitted(symbol="ES", **bought)  # type: ignore[arg-type]
    filled = OrderFilled(trade_id="T-9", symbol="ES", price=Decimal(6_000), **bought)  # type: ignore[arg-type]
    book.append("order/A/O1", [sent, filled])
    asked = task(book)
    with pytest.raises(ClosingRejected, match="its positions are LONG: give position_side"):
        asked.submit_closing("ES")
    [position] = asked.positions
    closing = asked.submit_closing("ES", position_side=position.position_side)
    assert closing is not None
    assert (closing.quantity, closing.position_side) == (Decimal(2), PositionSide.LONG)


def hold(
    book: Book, order_id: str, side: Side, quantity: int, symbol: str = "ES", *, leg: PositionSide = PositionSide.NET
) -> None:
    event = OrderFilled(
        trade_id=f"T-{order_id}",
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(6000),
        position_side=leg,
    )
    book.append(f"order/A/{order_id}", event)


def test_a_part_is_closed_by_the_weights_of_the_limit_that_asks(book: Book) -> None:
    book.append("contract/-/MES", ContractDefined(symbol="MES", multiplier=Decimal(5), currency="USD"))
    values = {"limit": "5", "weights": {"MES": "0.1"}}
    limit = LimitsSet(rule_id="maximum-contracts", parameters=values)
    book.append("limits/A/maximum-contracts", limit, actor="risk@desk")
    hold(book, "O1", BUY, 57, "MES")
    hold(book, "O2", BUY, 1)
    lockout = LockoutSet(rule_id="maximum-contracts", allows=Allows.NOTHING, reason="6.7 of 5")
    book.append("lockout/A/maximum-contracts", lockout)
    wanted = EnforcementRequested(
        rule_id="maximum-contracts", action=EnforcementAction.REDUCE_TO, quantity=Decimal(5), request_id="R1"
    )
    book.append("enforcement/A/R1", wanted)
    request = book.enforcement.get("A", "R1")
    assert request is not None
    asked = Task(book, held(book, request))
    # 5.7 and 1 are 1.7 too many: 17 of the contracts that count for a tenth.
    assert to_close(asked) == [("MES", SELL, Decimal(17))]
    closing = asked.submit_closing("MES")
    assert closing is not None
    assert (closing.quantity, closing.is_new) == (Decimal(17), True)
    hold(book, closing.order_id, SELL, 17, "MES")
    assert to_close(asked) == []
    assert book.enforcement.pending("A") == ()


def test_both_sides_of_a_position_are_reduced_together(book: Book) -> None:
    hold(book, "O1", BUY, 3, leg=PositionSide.LONG)
    hold(book, "O2", SELL, 3, leg=PositionSide.SHORT)
    asked = task(book, EnforcementAction.REDUCE_TO, symbol="ES", quantity="5")
    [each] = asked.positions
    assert each.quantity == Decimal(1)
    closing = asked.submit_closing("ES", position_side=each.position_side)
    assert closing is not None
    hold(book, closing.order_id, closing.side, 1, leg=each.position_side)
    assert to_close(asked) == []


def test_nothing_is_opened_where_more_was_closed_than_opened(book: Book) -> None:
    hold(book, "O1", SELL, 3, leg=PositionSide.LONG)
    asked = task(book)
    assert to_close(asked) == []
    with pytest.raises(ClosingRejected, match="more of its LONG side was closed than opened"):
        asked.submit_closing("ES", position_side=PositionSide.LONG)
    # What is missing may be a fill that opened it, so it is not flat for certain.
    assert [each.action for each in book.enforcement.pending("A")] == [EnforcementAction.FLATTEN]
    hold(book, "O0", BUY, 5, leg=PositionSide.LONG)
    assert to_close(asked) == [("ES", SELL, Decimal(2))]
