"""Laws of P&L: days add up to positions; cash flow and market value by both cost methods."""

import decimal
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from eventstore import Event, EventStore, Record
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AdjustmentReason,
    ContractDefined,
    FeeCharged,
    OrderFilled,
    PositionAdjusted,
    PositionSide,
    QuoteReceived,
    SessionReset,
    TradeBusted,
    TradeCorrected,
)
from projections import open as open_book
from projections.decimals import FIXED
from projections.views.executions import window
from projections.views.executions.ledger_entry import NO_ENTRY, LedgerEntry
from projections.views.executions.pnl import PnlTotals, Unrealized
from projections.views.executions.state import VIEW, ExecutionsState, key_of
from projections.views.quotes import Bounds
from tests.clocks import EpochClock
from tests.views.position_folding import BUY, LONG, NET, SELL, SHORT, Folding, fill, folded, round_tripped

HOUR = 3_600 * 10**9
ZERO = Decimal(0)
MULTIPLIERS = {"ESZ5": Decimal(50), "NQZ5": Decimal("0.5"), "FDAX": Decimal(25)}
CURRENCIES = {"ESZ5": "USD", "NQZ5": "USD", "FDAX": "EUR"}

quantities = st.integers(1, 40).map(lambda units: Decimal(units) / 4)
prices = st.integers(-500, 4000).map(lambda quarters: Decimal(quarters) / 4)
symbols = st.sampled_from(["ESZ5", "NQZ5", "FDAX"])
sides = st.sampled_from([BUY, SELL])
held = st.sampled_from([NET, NET, LONG, SHORT])
trade_ids = st.sampled_from([f"T{number}" for number in range(10)])
fees = st.sampled_from([ZERO, Decimal("1.25"), Decimal("-0.50")])
named = st.sampled_from([None, "USD", "EUR"])
times = st.integers(0, 30 * 24).map(lambda hours: hours * HOUR)


def reset(day: int, hours: int | None) -> SessionReset:
    """Return a day that begins at its midnight and may end before the next one does."""
    began_at = day * 24 * HOUR
    resets_at = None if hours is None else began_at + hours * HOUR
    return SessionReset(trading_day=date(1970, 1, 1) + timedelta(days=day), scheduled_for=began_at, resets_at=resets_at)


fills = st.builds(
    OrderFilled,
    trade_id=trade_ids,
    symbol=symbols,
    side=sides,
    quantity=quantities,
    price=prices,
    fee=fees,
    fee_currency=named,
    position_side=held,
)
figures = {"side": sides, "quantity": quantities, "price": prices, "fee": fees}
before = {"side": sides, "previous_quantity": quantities, "previous_price": prices}
changes: st.SearchStrategy[Event] = st.one_of(
    fills,
    fills,
    fills,
    st.builds(FeeCharged, trade_id=trade_ids, amount=fees, currency=named),
    st.builds(TradeBusted, trade_id=trade_ids),
    st.builds(TradeBusted, trade_id=trade_ids, symbol=symbols, position_side=held, **figures),
    st.builds(TradeCorrected, trade_id=trade_ids, quantity=quantities, price=prices),
    st.builds(TradeCorrected, trade_id=trade_ids, quantity=quantities, price=prices, symbol=symbols, **before),
    st.builds(
        PositionAdjusted,
        symbol=symbols,
        quantity=quantities | quantities.map(lambda quantity: -quantity),
        reason=st.sampled_from([reason for reason in AdjustmentReason if reason is not AdjustmentReason.SPLIT]),
        price=st.none() | prices,
        position_side=held,
    ),
    st.builds(reset, st.integers(0, 30), st.none() | st.integers(1, 30)),
)


def logged(happened: list[tuple[Event, int]]) -> list[Record]:
    log = Folding()
    return [log.record("order/A/O-1", event, occurred_at=at) for event, at in happened]


def of_all_days(state: ExecutionsState) -> dict[str, LedgerEntry]:
    sums: dict[str, LedgerEntry] = {}
    with decimal.localcontext(FIXED):
        for name in state.ledger.names():
            for key, entry in state.ledger.of_day(name).items():
                sums[key] = sums.get(key, NO_ENTRY).plus(entry)
    return sums


@given(st.lists(st.tuples(changes, times), max_size=30), st.integers(2, 10_000))
def test_the_days_add_up_to_the_positions_whatever_is_busted_corrected_or_late(
    happened: list[tuple[Event, int]], length: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "WINDOW_MAX", length)
        state = folded(logged(happened))
    sums = of_all_days(state)
    for key, holding in state.holdings.items():
        whole = sums.pop(key, NO_ENTRY)
        assert whole.points == holding.totals.realized_points
        assert abs(whole.points_average_cost - holding.totals.realized_points_average_cost) <= Decimal("1e-20")
        assert whole.fees == holding.fees
    assert sums.pop("\0", NO_ENTRY).fees == state.fees
    assert sums == {}


@given(st.lists(st.tuples(changes, times), max_size=30), st.integers(0, 30))
def test_the_ledger_continues_from_a_snapshot_at_any_cut(happened: list[tuple[Event, int]], cut: int) -> None:
    records = logged(happened)
    resumed = folded(records[cut:], round_tripped(folded(records[:cut]), ExecutionsState))
    assert resumed == folded(records)


@given(st.lists(st.tuples(fills, times), min_size=1, max_size=20), st.data())
def test_a_bust_leaves_each_day_as_if_the_trade_had_never_been(
    happened: list[tuple[OrderFilled, int]], data: st.DataObject
) -> None:
    unique = {event.trade_id: (event, at) for event, at in happened}
    # In the order in which they happened: what is late for a window stays late, even if its first trade is busted.
    records = logged(sorted(unique.values(), key=lambda each: each[1]))
    state = folded(records)
    within = [record for record in records if _booked(state, record)]
    busted = data.draw(st.sampled_from(within))
    never = folded([record for record in records if record is not busted])
    bust = TradeBusted(trade_id=busted.event.trade_id)  # type: ignore[attr-defined]
    after = folded(following(records, bust), state)
    for name in {*after.ledger.names(), *never.ledger.names()}:
        assert _without_executions(after, name) == _without_executions(never, name)


def _without_executions(state: ExecutionsState, day: str) -> dict[str, LedgerEntry]:
    """Return a day's sums without the counts of executions, among which a busted one stays."""
    sums = {key: replace(entry, executions=0) for key, entry in state.ledger.of_day(day).items()}
    return {key: entry for key, entry in sums.items() if entry != NO_ENTRY}


def _booked(state: ExecutionsState, record: Record) -> bool:
    (trade,) = state.recent.find(record.event.trade_id)  # type: ignore[attr-defined]
    return state.windows[key_of(trade)].find(trade) is not None


def following(records: list[Record], event: Event) -> list[Record]:
    log = Folding()
    log.records = list(records)
    return [log.record("order/A/O-1", event, occurred_at=0)]


deals = st.builds(
    OrderFilled,
    trade_id=st.uuids().map(str),
    symbol=symbols,
    side=sides,
    quantity=quantities,
    price=prices,
    fee=fees,
    fee_currency=st.just(None),
    position_side=held,
)


@given(st.lists(deals, min_size=1, max_size=25), st.fixed_dictionaries(dict.fromkeys(MULTIPLIERS, prices)))
def test_realized_and_unrealized_are_cash_flow_and_market_value(
    dealt: list[OrderFilled], quoted: dict[str, Decimal]
) -> None:
    """For each symbol, side and currency in money; exact first in first out, to 20 digits by average cost."""
    flows: dict[tuple[str, PositionSide], Fraction] = {}
    for deal in dealt:
        signed = Fraction(deal.quantity) * (1 if deal.side is BUY else -1)
        # What was paid, and what the quantity is worth now.
        worth = signed * (Fraction(quoted[deal.symbol]) - Fraction(deal.price)) * Fraction(MULTIPLIERS[deal.symbol])
        key = deal.symbol, deal.position_side
        flows[key] = flows.get(key, Fraction(0)) + worth
    with EventStore(MemoryJournal(), clock=EpochClock(0)) as store, open_book(store, snapshots=False) as book:
        for symbol, multiplier in MULTIPLIERS.items():
            contract = ContractDefined(
                symbol=symbol, multiplier=multiplier, currency=CURRENCIES[symbol], may_be_negative=True
            )
            book.append(f"contract/-/{symbol}", contract)
        book.append("order/A/O-1", dealt)
        # However far from what was paid: the second one confirms the first.
        book.quotes.bounds.default = Bounds(confirm_after=0)
        for symbol in [*MULTIPLIERS, *MULTIPLIERS]:
            book.observe(f"quote/-/{symbol}", QuoteReceived(symbol=symbol, last=quoted[symbol]))
        realized: dict[Any, PnlTotals] = {(made.symbol, made.side): made for made in book.pnl.by_symbol("A")}
        open_now: dict[Any, Unrealized] = {(each.symbol, each.side): each for each in book.pnl.unrealized("A")}
        whole = book.pnl.total("A")
    for key, flow in flows.items():
        made, still = realized[key], open_now.get(key)
        first, average = Fraction(made.realized), Fraction(made.realized_average_cost)
        if still is not None:
            assert still.amount is not None
            assert still.amount_average_cost is not None
            first += Fraction(still.amount)
            average += Fraction(still.amount_average_cost)
        assert first == flow
        assert abs(average - flow) <= Fraction(1, 10**20)
    for made in whole:
        of_currency = [each for each in realized.values() if each.currency == made.currency]
        assert made.realized == sum(each.realized for each in of_currency)
        assert made.fees == sum(deal.fee for deal in dealt if CURRENCIES[deal.symbol] == made.currency)
        assert made.net == made.realized - made.fees


# What is done to a position of a size that is a power of two, so that every average has an end.
SIZES: dict[str, Decimal | int] = {"double": 1, "halve": Decimal("-0.5"), "close": -1, "turn around": -2}


@given(
    st.lists(st.tuples(st.sampled_from(sorted(SIZES)), prices), max_size=15),
    st.sampled_from([1, 2, -1, -4]),
    prices,
)
def test_by_both_methods_it_is_exact_where_every_average_has_an_end(
    steps: list[tuple[str, Decimal]], opening: int, price: Decimal
) -> None:
    log = Folding()
    quantity, cash = ZERO, ZERO
    for number, (action, at) in enumerate([("close", price), *steps]):
        change = quantity * SIZES[action] if quantity else Decimal(opening)
        quantity += change
        cash -= change * at
        log.fills(fill(f"T{number}", str(change), str(at)))
    position = log.positions.get("A", "ESZ5")
    worth = cash + quantity * price
    assert position.quantity == quantity
    assert position.realized_points + position.unrealized_points(price) == worth
    average_cost = quantity * position.average_cost if position.average_cost is not None else ZERO
    assert position.realized_points_average_cost + quantity * price - average_cost == worth
    sums = of_all_days(log.state(VIEW, "A"))["ESZ5\0NET"]
    assert (sums.points, sums.points_average_cost) == (
        position.realized_points,
        position.realized_points_average_cost,
    )
