"""Positions by hand-checked cases: both cost methods, fees, hedged sides, adjustments, reports, bounds."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

import decimal
from decimal import Decimal
from typing import Any

import pytest

from eventstore import UnknownContract
from eventstore.trading import (
    ContractDefined,
    FeeCharged,
    PositionReported,
    PositionSide,
    TradeCorrected,
    TradeExecuted,
)
from projections.views.contracts.view import TooManySymbols
from projections.views.executions import appending, position_totals, state, window
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.view import ExecutionsView
from tests.views.position_folding import LONG, SELL, SHORT, Folding, adjusted, decimals, figures, fill, kinds

ONE_ORDER = "order/A/O-1"
OF_POSITION = "position/A/ESZ5"


# fmt: off
CASES = [
    ("one long", [(2, 100)], (2, 0, 100, 0, 100)),
    ("a long sold in part", [(2, 100), (2, 110), (-3, 120)], (1, 50, 110, 45, 105)),
    ("a short bought in part", [(-2, 100), (-2, 90), (3, 80)], (-1, 50, 90, 45, 95)),
    ("a long sold at a loss", [(3, 100), (-1, "98.5")], (2, "-1.5", 100, "-1.5", 100)),
    ("a long turned short", [(2, 100), (-5, 110)], (-3, 20, 110, 20, 110)),
    ("a short turned long, then closed", [(-2, 100), (3, 90), (-1, 95)], (0, 25, None, 25, None)),
    ("two round trips", [(1, 100), (-1, 101), (-1, 101), (1, 99)], (0, 3, None, 3, None)),
    ("several lots closed at once", [(1, 100), (2, 103), (-3, 102)], (0, 0, None, 0, None)),
    ("prices below zero", [(1, "-37.63"), (-1, "10.01")], (0, "47.64", None, "47.64", None)),
    ("fractions of a unit", [("0.3", 100), ("0.3", 200), ("-0.4", 300)], ("0.2", 70, 200, 60, 150)),
]
# fmt: on


@pytest.mark.parametrize(("deals", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_fills_make_the_figures_of_both_methods(deals: list[tuple[Any, Any]], expected: tuple[Any, ...]) -> None:
    position = Folding().fills(*[fill(f"T{n}", *deal) for n, deal in enumerate(deals)])
    assert figures(position) == tuple(None if value is None else Decimal(value) for value in expected)
    assert position.anomalies == ()
    assert (position.first_position, position.last_position) == (1, len(deals))


def test_lots_are_consumed_oldest_first_and_lead_back_to_their_trades() -> None:
    position = Folding().fills(fill("T1", 2, 100), fill("T2", 2, 110), fill("T3", -3, 120))
    assert [(lot.quantity, lot.price, lot.trade_id, lot.position) for lot in position.lots] == [(1, 110, "T2", 2)]
    assert position.cost == 110


def test_an_unknown_symbol_is_flat() -> None:
    position = Folding().positions.get("A", "ESZ5")
    assert figures(position) == (0, 0, None, 0, None)
    assert (position.lots, position.first_position, position.difference) == ((), None, None)


def test_a_side_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="BOTH"):
        Folding().positions.get("A", "ESZ5", "BOTH")


def test_money_is_points_times_each_contracts_multiplier() -> None:
    book = Folding()
    tick = ContractDefined(symbol="ESZ5", tick_size=Decimal("0.25"), tick_value=Decimal("12.50"), currency="USD")
    book.add("contract/-/ESZ5", tick)
    book.fills(fill("T1", 2, 100), fill("T2", 2, 110), fill("T3", -3, 120))
    book.fills(fill("T4", 1, 200, "NQZ5"), fill("T5", -1, 190, "NQZ5"))
    with pytest.raises(UnknownContract, match="NQZ5"):
        _ = book.positions.get("A", "NQZ5").realized
    book.add("contract/-/NQZ5", ContractDefined(symbol="NQZ5", multiplier=Decimal(20), broker_ids=("CON.NQ",)))
    assert [(p.symbol, p.realized, p.realized_average_cost) for p in book.positions.of("A")] == [
        ("ESZ5", 2500, 2250),
        ("NQZ5", -200, -200),
    ]
    assert book.positions.get("A", "CON.NQ").realized == -200
    assert book.positions.get("A", "ESZ5").unrealized(Decimal(112)) == 100
    assert book.positions.get("B", "CON.NQ").symbol == "NQZ5"


def test_a_contract_without_a_multiplier_gives_points_and_no_money() -> None:
    book = Folding()
    book.add("contract/-/ESZ5", ContractDefined(symbol="ESZ5", currency="USD"))
    position = book.fills(fill("T1", 1, 100))
    assert position.unrealized_points(Decimal(101)) == 1
    with pytest.raises(UnknownContract):
        _ = position.realized_average_cost
    with pytest.raises(UnknownContract):
        position.unrealized(Decimal(101))


def test_fees_stay_apart_by_currency_and_those_that_come_late_find_their_trade() -> None:
    book = Folding()
    book.add("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD"))
    book.fills(fill("T1", 1, 100, fee=Decimal("2.10")), fill("T2", -1, 101, fee=Decimal(1), fee_currency="EUR"))
    book.add("trade/A/T1", FeeCharged(trade_id="T1", amount=Decimal("0.40")))
    book.add(ONE_ORDER, FeeCharged(trade_id="T2", amount=Decimal("-0.25"), currency="USD"))
    book.add("fee/A/x", FeeCharged(trade_id="gone", symbol="ESZ5", amount=Decimal(3), currency="EUR"))
    position = book.positions.get("A", "ESZ5")
    assert position.fees == Decimal("2.25")
    assert position.fees_by_currency == (("", Decimal("2.50")), ("EUR", Decimal(4)), ("USD", Decimal("-0.25")))
    assert position.realized == 50
    book.add("trade/A/T9", FeeCharged(trade_id="T9", amount=Decimal(7), currency="USD"))
    assert book.positions.unassigned_fees("A") == (("USD", Decimal(7)),)
    assert book.positions.get("A", "ESZ5").fees == Decimal("2.25")
    book.add("trade/A/T8", FeeCharged(trade_id="T8", symbol="NQZ5", amount=Decimal(7)))
    assert book.positions.get("A", "NQZ5").fees == 7


def test_a_late_fee_finds_the_hedged_side_that_its_event_leaves_out() -> None:
    book = Folding()
    book.fills(fill("T1", 1, 100, position_side=LONG))
    book.add("trade/A/T1", FeeCharged(trade_id="T1", symbol="ESZ5", amount=Decimal(2)))
    assert book.positions.get("A", "ESZ5", LONG).fees == 2
    assert [position.side for position in book.positions.of("A")] == [LONG]


def test_the_same_trade_id_again_in_its_stream_counts_once_even_after_flat() -> None:
    book = Folding()
    position = book.fills(fill("T1", 1, 100), fill("T2", -1, 110), fill("T2", -1, 110))
    assert figures(position)[:2] == decimals(0, 10)
    assert position.anomalies == ((TradeAnomalyKind.DUPLICATE_TRADE, 3),)
    book.add("order/A/O-2", fill("T2", -1, 110))
    # Another order's stream reports the same execution, which has been counted and needs no mark.
    assert book.positions.get("A", "ESZ5").quantity == 0
    assert book.positions.get("A", "ESZ5").anomalies == position.anomalies


def test_other_figures_of_a_trade_do_not_count_and_leave_its_position_uncertain_until_it_is_corrected() -> None:
    book = Folding()
    book.fills(fill("T1", 2, 100))
    book.add("order/A/O-2", fill("T1", 3, 100))
    position = book.positions.get("A", "ESZ5")
    assert (position.quantity, position.conflicts, kinds(position)) == (2, (1,), [TradeAnomalyKind.CONFLICTING])
    assert position.is_uncertain
    book.add("trade/A/T1", TradeCorrected(trade_id="T1", quantity=Decimal(3), price=Decimal(100)))
    corrected = book.positions.get("A", "ESZ5")
    assert (corrected.quantity, corrected.conflicts, corrected.is_uncertain) == (3, (), False)


def test_hedged_sides_are_held_apart() -> None:
    book = Folding()
    book.fills(fill("T1", 3, 100, position_side=LONG), fill("T2", -2, 101, position_side=SHORT))
    book.fills(fill("T3", -1, 103, position_side=LONG), fill("T4", 1, 99, position_side=SHORT))
    sides = {position.side: figures(position)[:3] for position in book.positions.of("A")}
    assert sides == {LONG: decimals(2, 3, 100), SHORT: decimals(-1, 2, 101)}
    assert book.positions.get("A", "ESZ5") == book.positions.get("A", "ESZ5", PositionSide.NET)
    assert book.positions.get("A", "ESZ5").quantity == 0


@pytest.mark.parametrize(("side", "sign"), [(LONG, 1), (SHORT, -1)])
def test_closing_more_than_a_hedged_side_has_is_booked_and_marked(side: PositionSide, sign: int) -> None:
    book = Folding()
    position = book.fills(fill("T1", sign, 100, position_side=side), fill("T2", -3 * sign, 100, position_side=side))
    assert (position.quantity, position.anomalies) == (-2 * sign, ((TradeAnomalyKind.OVERCLOSED, 2),))
    # The opening that was missing comes after all.
    healed = book.fills(fill("T3", 2 * sign, 100, position_side=side))
    assert (healed.quantity, len(healed.anomalies)) == (0, 1)


def test_a_trade_without_an_order_and_a_priced_adjustment_book_like_fills() -> None:
    book = Folding()
    book.add(OF_POSITION, adjusted(3, "OPENING", 100))
    trade = TradeExecuted(trade_id="T1", symbol="ESZ5", side=SELL, quantity=Decimal(1), price=Decimal(104))
    book.add("trade/A/T1", trade)
    book.add(OF_POSITION, adjusted(-2, "EXPIRY", 90))
    assert figures(book.positions.get("A", "ESZ5"))[:2] == decimals(0, -16)
    book.add(OF_POSITION, adjusted(0, "RECONCILED", 100))
    assert book.positions.get("A", "ESZ5").last_position == 4


def test_an_adjustment_without_a_price_realizes_nothing() -> None:
    book = Folding()
    book.fills(fill("T1", 1, 100), fill("T2", 1, 110), fill("T3", -1, 120))
    book.add(OF_POSITION, adjusted(2, "TRANSFER"))
    assert figures(book.positions.get("A", "ESZ5")) == decimals(3, 20, 110, 15, 105)
    book.add(OF_POSITION, adjusted(-2, "TRANSFER"))
    assert figures(book.positions.get("A", "ESZ5")) == decimals(1, 20, 110, 15, 105)
    book.add(OF_POSITION, adjusted(-1, "ASSIGNMENT"))
    assert figures(book.positions.get("A", "ESZ5")) == (0, 20, None, 15, None)


def test_what_was_opened_without_a_price_earns_nothing_and_is_named() -> None:
    book = Folding()
    book.add(OF_POSITION, adjusted(2, "OPENING"))
    position = book.positions.get("A", "ESZ5")
    assert (figures(position), position.unpriced) == ((2, 0, None, 0, None), 2)
    assert position.anomalies == ((TradeAnomalyKind.UNPRICED, 1),)
    assert position.unrealized_points(Decimal(500)) == 0
    book.add(OF_POSITION, adjusted(1, "TRANSFER"))
    partly = book.fills(fill("T1", 2, 100), fill("T2", -4, 110))
    assert (figures(partly), partly.unpriced) == (decimals(1, 10, 100, 10, 100), 0)
    turned = Folding()
    turned.fills(fill("T1", 1, 100))
    turned.add(OF_POSITION, adjusted(-3, "RECONCILED"))
    after = turned.positions.get("A", "ESZ5")
    assert (after.quantity, after.unpriced, after.realized_points, kinds(after)) == (
        -2,
        -2,
        0,
        [TradeAnomalyKind.UNPRICED],
    )


def test_a_split_scales_the_lots_at_an_unchanged_cost() -> None:
    book = Folding()
    book.fills(fill("T1", 10, 100), fill("T2", 5, 130))
    book.add(OF_POSITION, adjusted(15, "SPLIT"))
    position = book.positions.get("A", "ESZ5")
    assert [(lot.quantity, lot.price) for lot in position.lots] == [(20, 50), (10, 65)]
    assert figures(position) == decimals(30, 0, 55, 0, 55)
    book.add(OF_POSITION, adjusted(-20, "SPLIT"))
    reverse = book.positions.get("A", "ESZ5")
    assert (reverse.quantity, reverse.cost, sum(lot.quantity for lot in reverse.lots)) == (10, 1650, 10)


def test_one_execution_on_both_sides_of_a_hedged_position_is_a_conflict() -> None:
    book = Folding()
    book.fills(fill("T1", 2, 100, position_side=LONG), fill("T1", 2, 100))
    assert not book.positions.get("A", "ESZ5", LONG).is_uncertain
    book.add("order/A/O-2", fill("T1", 2, 100, position_side=SHORT))
    assert book.positions.get("A", "ESZ5", LONG).conflicts == (1,)
    assert book.positions.get("A", "ESZ5", SHORT).quantity == 0


def test_a_reconciliation_from_a_clock_that_runs_ahead_takes_in_no_later_fill() -> None:
    book = Folding()
    book.fills(fill("T1", 5, 100))
    book.add(OF_POSITION, adjusted(-1, "RECONCILED", 100), occurred_at=1_000)
    assert book.fills(fill("T2", 1, 100), fill("T3", 1, 100)).quantity == 6
    # What happened before it was recorded and is reported after it is still what it stood for.
    book.add("order/A/O-2", fill("T4", -1, 90), occurred_at=1)
    position = book.positions.get("A", "ESZ5")
    assert (position.quantity, position.realized_points) == (6, -10)


def test_many_splits_of_one_position_take_no_longer_each() -> None:
    # A feed that reports its split again each day: if each doubled the time, these would take years.
    book = Folding()
    book.fills(fill("T1", 1, 64))
    for _ in range(63):
        book.add(OF_POSITION, adjusted(1, "SPLIT"))
    book.add("trade/A/T1", TradeCorrected(trade_id="T1", quantity=Decimal(1), price=Decimal(128)))
    position = book.positions.get("A", "ESZ5")
    assert (position.quantity, position.cost, kinds(position)) == (64, 128, [])


@pytest.mark.parametrize("held", [0, 2, -2])
def test_a_split_that_cannot_be_is_marked_and_changes_nothing(held: int) -> None:
    book = Folding()
    if held:
        book.fills(fill("T1", held, 100))
    book.add(OF_POSITION, adjusted(-held if held else 5, "SPLIT"))
    position = book.positions.get("A", "ESZ5")
    assert (position.quantity, kinds(position)) == (held, [TradeAnomalyKind.IMPOSSIBLE_SPLIT])
    assert position.is_uncertain


def test_an_unpriced_lot_splits_and_stays_unpriced() -> None:
    book = Folding()
    book.add(OF_POSITION, adjusted(-2, "OPENING"))
    book.add(OF_POSITION, adjusted(-2, "SPLIT"))
    assert book.fills(fill("T1", 4, 9)).realized_points == 0


def test_a_report_stands_beside_the_fold_and_names_the_difference() -> None:
    book = Folding()
    before = book.fills(fill("T1", 2, 100))
    report = PositionReported(symbol="ESZ5", quantity=Decimal(3), average_price=Decimal(99), frozen=Decimal(1))
    book.add(OF_POSITION, report)
    position = book.positions.get("A", "ESZ5")
    assert figures(position) == figures(before)
    assert (position.reported, position.reported_average_price, position.frozen, position.difference) == (3, 99, 1, 1)
    for reported in (4, -4):
        book.add(OF_POSITION, PositionReported(symbol="ESZ5", quantity=Decimal(reported), position_side=SHORT))
        assert book.positions.get("A", "ESZ5", SHORT).reported == -4
    assert book.fills(fill("T2", 1, 100)).difference == 0


def test_an_answer_does_not_change_while_the_fold_continues() -> None:
    book = Folding()
    before = book.fills(fill("T1", 2, 100))
    same = book.positions.get("A", "ESZ5")
    book.fills(fill("T2", 2, 100))
    assert before == same
    assert before.quantity == 2


def test_figures_do_not_depend_on_the_threads_own_context() -> None:
    book = Folding()
    book.fills(fill("T1", 3, "100.01"), fill("T2", 3, "100.02"), fill("T3", 1, "100.02"))
    expected = book.positions.get("A", "ESZ5")
    with decimal.localcontext(decimal.Context(prec=2)):
        assert book.positions.get("A", "ESZ5") == expected
        assert expected.unrealized_points(Decimal("100.00")) == Decimal("-0.11")


def test_too_many_lots_merge_at_their_average_price(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (position_totals, window, appending):
        monkeypatch.setattr(module, "LOTS_MAX", 6)
    book = Folding()
    book.add(OF_POSITION, adjusted(1, "OPENING"))
    position = book.fills(*[fill(f"T{n}", 1, 100 + n) for n in range(1, 7)])
    lots = [(lot.quantity, lot.price) for lot in position.lots]
    assert lots == [(1, None), (2, Decimal("101.5")), (1, 103), (1, 104), (1, 105), (1, 106)]
    assert (position.quantity, kinds(position)) == (7, [TradeAnomalyKind.UNPRICED, TradeAnomalyKind.LOTS_MERGED])


def test_a_trade_is_known_as_a_duplicate_for_as_many_as_are_remembered() -> None:
    book = Folding([ExecutionsView(trades_max=3)])
    book.fills(*[fill(f"T{n}", 1 if n % 2 else -1, 100) for n in range(1, 9)])
    assert book.fills(fill("T6", -1, 100)).quantity == 0
    assert book.fills(fill("T5", 1, 100)).quantity == 1


def test_one_symbol_too_many_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "SYMBOLS_MAX", 1)
    book = Folding()
    book.fills(fill("T1", 1, 100))
    with pytest.raises(TooManySymbols, match="NQZ5"):
        book.fills(fill("T2", 1, 100, "NQZ5"))
    assert book.positions.of("A")[0].quantity == 1


def test_what_makes_a_position_uncertain_outlasts_any_number_of_other_marks() -> None:
    book = Folding()
    book.add(OF_POSITION, adjusted(5, "SPLIT"))
    book.fills(*[fill("T1", 1, 100)] * 250)
    position = book.positions.get("A", "ESZ5")
    assert (position.is_uncertain, len(position.anomalies), len(set(kinds(position)))) == (True, 100, 2)
    # Once it lies before the position was last flat, too.
    after = book.fills(fill("T2", -1, 100), fill("T3", 1, 100), *[fill("T3", 1, 100)] * 250)
    assert (after.is_uncertain, after.anomalies[0]) == (True, (TradeAnomalyKind.IMPOSSIBLE_SPLIT, 1))
    assert book.trades.anomalies("A")[0] == after.anomalies[0]
