"""Laws of positions: a snapshot at any cut, cash against profit, repeated deliveries, busts and corrections."""

import decimal
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from eventstore import Event, Record
from eventstore.trading import (
    AdjustmentReason,
    FeeCharged,
    OrderFilled,
    PositionAdjusted,
    PositionReported,
    TradeBusted,
    TradeCorrected,
)
from projections.decimals import FIXED
from projections.views.executions.position_totals import PositionTotals
from projections.views.executions.state import ExecutionsState
from projections.views.executions.view import ExecutionsView
from tests.views.position_folding import BUY, LONG, NET, SELL, SHORT, Folding, folded, round_tripped

VIEW = ExecutionsView()

quantities = st.integers(1, 50).map(lambda units: Decimal(units) / 10)
prices = st.integers(-500, 5000).map(lambda cents: Decimal(cents) / 100)
symbols = st.sampled_from(["ESZ5", "NQZ5"])
sides = st.sampled_from([BUY, SELL])
held = st.sampled_from([NET, NET, LONG, SHORT])
trade_ids = st.sampled_from([f"T{number}" for number in range(8)])
maybe = st.booleans()


@st.composite
def fills(draw: st.DrawFn, symbol: st.SearchStrategy[str] = symbols) -> OrderFilled:
    return OrderFilled(
        trade_id=draw(trade_ids),
        symbol=draw(symbol),
        side=draw(sides),
        quantity=draw(quantities),
        price=draw(prices),
        fee=draw(st.sampled_from([Decimal(0), Decimal("1.25")])),
        position_side=draw(held),
    )


@st.composite
def changes(draw: st.DrawFn) -> Event:
    """Return anything that the view folds, often enough about a trade that it knows."""
    trade_id, symbol, side = draw(trade_ids), draw(symbols), draw(held)
    complete = draw(maybe)
    match draw(st.integers(0, 6)):
        case 0:
            return FeeCharged(trade_id=trade_id, amount=draw(prices), symbol=symbol if complete else None)
        case 1:
            figures: dict[str, Any] = {"symbol": symbol, "side": draw(sides), "quantity": draw(quantities)}
            return TradeBusted(
                trade_id=trade_id, price=draw(prices), position_side=side, **(figures if complete else {})
            )
        case 2:
            before = {"symbol": symbol, "side": draw(sides), "previous_quantity": draw(quantities)}
            figures = {**before, "previous_price": draw(prices)} if complete else {}
            return TradeCorrected(trade_id=trade_id, quantity=draw(quantities), price=draw(prices), **figures)
        case 3:
            reason = draw(st.sampled_from(AdjustmentReason))
            quantity = draw(quantities) * draw(st.sampled_from([1, -1]))
            price = draw(prices) if complete and reason is not AdjustmentReason.SPLIT else None
            return PositionAdjusted(symbol=symbol, quantity=quantity, reason=reason, price=price, position_side=side)
        case 4:
            return PositionReported(symbol=symbol, quantity=draw(prices), position_side=side)
        case _:
            return draw(fills())


def logged(events: Iterable[Event]) -> list[Record]:
    """Return the events as records, of two streams in turn."""
    log = Folding()
    return [log.record(f"order/A/O-{number % 2}", event) for number, event in enumerate(events)]


def holdings(state: ExecutionsState) -> dict[str, tuple[PositionTotals, Any]]:
    """Return what the account has, without log positions and anomalies."""
    return {key: (holding.totals, holding.fees) for key, holding in state.holdings.items()}


def unique(records: list[Record]) -> list[Record]:
    """Return only the first report of each trade: of an id, a contract and a side, whatever its stream and figures."""
    seen: dict[tuple[str, str, str], Record] = {}
    for record in records:
        event: Any = record.event
        seen.setdefault((event.trade_id, event.symbol, event.side), record)
    return list(seen.values())


@given(st.lists(changes(), max_size=40), st.integers(0, 40))
def test_a_fold_continues_from_a_snapshot_at_any_cut_as_if_there_had_been_none(events: list[Event], cut: int) -> None:
    records = logged(events)
    resumed = folded(records[cut:], round_tripped(folded(records[:cut]), ExecutionsState))
    assert resumed == folded(records)


@given(st.lists(fills(), max_size=30), prices)
def test_realized_and_unrealized_are_cash_flow_and_market_value(events: list[OrderFilled], price: Decimal) -> None:
    records = unique(logged(events))
    state = folded(records)
    for key, holding in state.holdings.items():
        mine: list[Any] = [event for event in (record.event for record in records) if key_of(event) == key]
        cash = sum((-signed(event) * event.price for event in mine), Decimal(0))
        worth = cash + sum(map(signed, mine)) * price
        figures = holding.totals
        assert figures.realized_points + figures.quantity * price - figures.cost == worth
        average = figures.realized_points_average_cost + figures.quantity * price - figures.average_cost_total
        assert abs(average - worth) <= Decimal("1e-20")


@given(st.lists(changes(), max_size=30))
def test_the_lots_always_add_up_to_the_quantity_and_its_cost(events: list[Event]) -> None:
    for holding in folded(logged(events)).holdings.values():
        figures = holding.totals
        priced = [lot for lot in figures.lots if lot.price is not None]
        # Prices of lots that were split are rounded to 20 decimals.
        near = Decimal("1e-17")
        assert abs(sum(lot.quantity for lot in figures.lots) - figures.quantity) <= near
        assert abs(sum(lot.quantity * (lot.price or 0) for lot in priced) - figures.cost) <= near
        assert all((lot.quantity > 0) is (figures.quantity > 0) for lot in figures.lots)
        unpriced = sum(lot.quantity for lot in figures.lots if lot.price is None)
        assert abs(unpriced - figures.unpriced) <= near


@given(st.lists(st.one_of(fills(), st.builds(TradeBusted, trade_id=trade_ids)), max_size=25), st.data())
def test_a_repeated_delivery_changes_nothing(events: list[Event], data: st.DataObject) -> None:
    records = logged(events)
    # A bust comes again at once: later, a trade may be known that was not when it came first.
    again = list(records)
    for record in data.draw(st.lists(st.sampled_from(records), max_size=10)) if records else []:
        if isinstance(record.event, OrderFilled):
            again.insert(data.draw(st.integers(again.index(record) + 1, len(again))), record)
        else:
            again.insert(again.index(record) + 1, record)
    assert holdings(folded(again)) == holdings(folded(records))


@given(st.lists(fills(st.just("ESZ5")), min_size=1, max_size=25), st.data())
def test_a_bust_within_the_window_is_as_if_the_trade_had_never_been(
    events: list[OrderFilled], data: st.DataObject
) -> None:
    records = unique(logged(events))
    state = folded(records)
    busted = data.draw(st.sampled_from([record for record in records if in_window(state, record)]))
    event: Any = busted.event
    bust = logged([TradeBusted(trade_id=event.trade_id, symbol=event.symbol, side=event.side)])[0]
    never = folded(record for record in records if record is not busted)
    assert holdings(folded([bust], state)) == {**flat(state), **holdings(never)}


@given(st.lists(fills(st.just("ESZ5")), min_size=1, max_size=25), quantities, prices, st.data())
def test_a_correction_within_the_window_is_as_if_the_trade_had_been_so(
    events: list[OrderFilled], quantity: Decimal, price: Decimal, data: st.DataObject
) -> None:
    records = logged(msgspec.structs.replace(event, trade_id=str(number)) for number, event in enumerate(events))
    state = folded(records)
    wrong = data.draw(st.sampled_from([record for record in records if in_window(state, record)]))
    right = TradeCorrected(trade_id=trade_id(wrong), quantity=quantity, price=price)
    correction = msgspec.structs.replace(logged([right])[0], stream=wrong.stream)
    so = VIEW.initial()
    with decimal.localcontext(FIXED):
        for record in records:
            event: Any = record.event
            if record is wrong:
                event = msgspec.structs.replace(event, quantity=quantity, price=price)
            VIEW.apply(so, event, record)
    assert holdings(folded([correction], state)) == holdings(so)


def trade_id(record: Record) -> str:
    return str(record.event.trade_id)  # type: ignore[attr-defined]


def key_of(event: Any) -> str:  # noqa: ANN401 - any fill
    return f"{event.symbol}\0{event.position_side.value}"


def signed(event: Any) -> Decimal:  # noqa: ANN401 - any fill
    return Decimal(event.quantity if event.side is BUY else -event.quantity)


def in_window(state: ExecutionsState, record: Record) -> bool:
    items = [item for item in state.recent.find(trade_id(record)) if item.log_position == record.position]
    return state.windows[key_of(record.event)].find(items[0]) is not None


def flat(state: ExecutionsState) -> dict[str, tuple[PositionTotals, Any]]:
    """Return what an account has that had these symbols and never a fill."""
    return {key: (PositionTotals(), ()) for key in state.holdings}
