"""Trades: each once, with later busts and corrections; and running totals of each symbol."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore import Event
from eventstore.trading import ContractDefined, FeeCharged, Side, TradeBusted, TradeCorrected, TradeExecuted
from projections.views.contracts.view import TooManySymbols
from projections.views.executions import state
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.fees import Fees
from projections.views.executions.trades import Totals
from projections.views.executions.view import ExecutionsView
from tests.views.position_folding import BUY, LONG, SELL, Folding, fill

ONE_ORDER = "order/A/O-1"


def summed(count: int, sums: tuple[int, int, int, int], fees: Fees = (), busted: int = 0) -> Totals:
    """Return the totals of ESZ5: bought, sold, and the values of both."""
    bought, sold, bought_value, sold_value = map(Decimal, sums)
    return Totals("ESZ5", count, bought, sold, bought_value, sold_value, fees, busted)


def test_a_fill_names_its_order_and_a_trade_without_one_does_not() -> None:
    book = Folding()
    book.add("order/A/a%2Fb", fill("T1", 2, 100, position_side=LONG, exchange_trade_id="X9"), occurred_at=77)
    executed = TradeExecuted(trade_id="T2", symbol="ESZ5", side=SELL, quantity=Decimal(1), price=Decimal(101))
    book.add("trade/A/T2", executed)
    first, second = book.trades.of("A")
    assert (first.trade_id, first.order_id, first.side, first.quantity, first.price) == ("T1", "a/b", BUY, 2, 100)
    assert (first.occurred_at, first.position, first.position_side, first.exchange_trade_id) == (77, 1, LONG, "X9")
    assert (second.order_id, second.side, second.busted, second.corrected) == (None, SELL, False, False)


def test_a_symbol_or_a_brokers_name_for_it_selects_its_trades() -> None:
    book = Folding()
    book.add("contract/-/NQZ5", ContractDefined(symbol="NQZ5", broker_ids=("CON.NQ",)))
    book.add(ONE_ORDER, fill("T1", 1, 100), fill("T2", 1, 200, "NQZ5"))
    book.add("order/B/O-1", fill("T3", 1, 100, "NQZ5"))
    assert [trade.trade_id for trade in book.trades.of("A", "CON.NQ")] == ["T2"]
    assert book.trades.of("A", "NQZ5") == book.trades.of("A", "CON.NQ")
    assert book.trades.of("A", "CLZ5") == ()
    assert book.trades.totals("A", "CON.NQ").bought_value == 200


def test_a_trade_counts_once_in_whatever_stream_and_one_of_the_other_side_is_another() -> None:
    book = Folding()
    book.add(ONE_ORDER, fill("T1", 1, 100), fill("T1", 1, 100))
    book.add("order/A/O-2", fill("T1", 1, 100), fill("T1", -1, 100))
    assert [trade.position for trade in book.trades.of("A")] == [1, 4]
    assert book.trades.totals("A", "ESZ5").count == 2
    assert book.trades.anomalies("A") == ((TradeAnomalyKind.DUPLICATE_TRADE, 2),)


@pytest.mark.parametrize("stream", [ONE_ORDER, "trade/A/T1"])
def test_a_later_event_finds_its_trade_in_its_own_stream_or_by_its_id(stream: str) -> None:
    book = Folding()
    book.add(ONE_ORDER, fill("T1", 2, 100, fee=Decimal(2)), fill("T2", -1, 101))
    book.add(stream, FeeCharged(trade_id="T1", amount=Decimal("0.50")))
    book.add(stream, TradeCorrected(trade_id="T1", quantity=Decimal(3), price=Decimal(99)))
    trade, other = book.trades.of("A")
    assert (trade.fee, trade.quantity, trade.price, trade.corrected) == (Decimal("2.50"), 3, 99, True)
    assert book.trades.totals("A", "ESZ5").bought_value == 297
    book.add(stream, TradeBusted(trade_id="T1"))
    busted, same = book.trades.of("A")
    assert (busted.busted, busted.quantity, same) == (True, 3, other)
    # Its fees are gone with it, also the one that was charged later.
    assert book.trades.totals("A", "ESZ5") == summed(1, (0, 1, 0, 101), busted=1)


def test_a_fee_in_another_currency_stays_apart() -> None:
    book = Folding()
    book.add(ONE_ORDER, fill("T1", 2, 100, fee=Decimal(2), fee_currency="USD"), fill("T2", 1, 100))
    for currency in ("USD", None, "EUR", "EUR"):
        book.add(ONE_ORDER, FeeCharged(trade_id="T1", amount=Decimal(1), currency=currency))
    book.add(ONE_ORDER, FeeCharged(trade_id="T2", amount=Decimal(5), currency="EUR"))
    first, second = book.trades.of("A")
    # What names no currency is in its contract's, which need not be that of the trade's own fee.
    assert (first.fee, first.fee_currency, first.other_fees) == (3, "USD", (("", 1), ("EUR", 2)))
    assert (second.fee, second.fee_currency, second.other_fees) == (5, "EUR", ())
    assert book.trades.totals("A", "ESZ5").fees == (("", 1), ("EUR", 7), ("USD", 3))


def test_a_fee_that_stands_before_its_trade_in_the_log_is_still_its_own() -> None:
    book = Folding()
    book.add("trade/A/T1", FeeCharged(trade_id="T1", amount=Decimal(1)), occurred_at=20)
    assert book.trades.unassigned_fees("A") == (("", 1),)
    book.add(ONE_ORDER, fill("T1", 2, 100), occurred_at=10)
    # Once the trade is known, the fee is its own and no longer unassigned.
    assert (book.trades.of("A")[0].fee, book.trades.totals("A", "ESZ5").fees) == (1, (("", 1),))
    assert book.trades.unassigned_fees("A") == ()


def test_of_two_trades_with_one_id_the_newest_is_meant_if_the_stream_does_not_say() -> None:
    book = Folding()
    book.add(ONE_ORDER, fill("T1", 2, 100))
    book.add("order/A/O-2", fill("T1", -2, 100))
    book.add("trade/A/T1", TradeBusted(trade_id="T1"))
    assert [trade.busted for trade in book.trades.of("A")] == [False, True]
    assert book.trades.totals("A", "ESZ5") == summed(1, (2, 0, 200, 0), busted=1)
    # Until each of them is named by more than the id, neither is certain.
    position = book.positions.get("A", "ESZ5")
    assert (position.conflicts, position.is_uncertain) == ((1, 2), True)
    book.add("order/A/O-2", TradeBusted(trade_id="T1"))
    book.add(ONE_ORDER, TradeCorrected(trade_id="T1", quantity=Decimal(2), price=Decimal(100)))
    assert not book.positions.get("A", "ESZ5").is_uncertain


def test_a_later_event_that_names_another_symbol_is_not_about_this_trade() -> None:
    book = Folding()
    book.add(ONE_ORDER, fill("T1", 2, 100))
    book.add("trade/A/T1", TradeBusted(trade_id="T1", symbol="NQZ5"))
    assert not book.trades.of("A")[0].busted
    assert book.trades.totals("A", "ESZ5").busted == 0


def test_an_old_trade_leaves_the_totals_by_the_figures_that_are_repeated() -> None:
    book = Folding([ExecutionsView(trades_max=1)])
    book.add(ONE_ORDER, *[fill(f"T{n}", 2, 100 + n, fee=Decimal(1)) for n in range(4)])
    stated: dict[str, Any] = {"symbol": "ESZ5", "side": BUY}
    bust = TradeBusted(trade_id="T0", quantity=Decimal(2), price=Decimal(100), fee=Decimal(1), **stated)
    book.add("trade/A/T0", bust, bust, TradeBusted(trade_id="T1", price=Decimal(101), **stated))
    correction = TradeCorrected(
        trade_id="T1", quantity=Decimal(3), price=Decimal(10), previous_quantity=Decimal(2),
        previous_price=Decimal(101), **stated,
    )  # fmt: skip
    book.add("trade/A/T1", correction, correction, TradeCorrected(trade_id="T9", quantity=Decimal(3), price=Decimal(1)))
    fees = (("", Decimal(3)),)
    assert book.trades.totals("A", "ESZ5") == summed(3, (7, 0, 440, 0), fees=fees, busted=1)
    kinds = [mark.kind for mark in book.trades.anomalies("A")]
    # What the totals and the positions say is one thing: opposites that were booked are among the trades' anomalies.
    assert kinds == [
        TradeAnomalyKind.LATE_BUST,
        TradeAnomalyKind.DUPLICATE_BUST,
        TradeAnomalyKind.UNKNOWN_BUST,
        TradeAnomalyKind.LATE_CORRECTION,
        TradeAnomalyKind.DUPLICATE_CORRECTION,
        TradeAnomalyKind.UNKNOWN_CORRECTION,
    ]


def test_a_correction_may_turn_the_side_and_one_of_a_busted_trade_changes_nothing() -> None:
    book = Folding()
    book.add(ONE_ORDER, fill("T1", 2, 100))
    book.add(ONE_ORDER, TradeCorrected(trade_id="T1", quantity=Decimal(2), price=Decimal(100), side=SELL))
    assert book.trades.totals("A", "ESZ5") == summed(1, (0, 2, 0, 200))
    assert book.trades.of("A")[0].side is SELL
    book.add(ONE_ORDER, TradeBusted(trade_id="T1"))
    book.add(ONE_ORDER, TradeCorrected(trade_id="T1", quantity=Decimal(9), price=Decimal(9)))
    assert book.trades.totals("A", "ESZ5") == Totals("ESZ5", busted=1)
    assert book.trades.anomalies("A") == ((TradeAnomalyKind.UNKNOWN_CORRECTION, 4),)


def test_a_fee_that_names_its_symbol_counts_there_even_without_a_trade() -> None:
    book = Folding()
    book.add("fee/A/x", FeeCharged(trade_id="T1", amount=Decimal(1), symbol="ESZ5", currency="USD"))
    assert book.trades.totals("A") == (Totals("ESZ5", fees=(("USD", Decimal(1)),)),)


def test_an_account_without_trades_has_none() -> None:
    book = Folding()
    assert (book.trades.of("A"), book.trades.totals("A"), book.trades.anomalies("A")) == ((), (), ())
    assert book.trades.totals("A", "ESZ5") == Totals("ESZ5")
    assert book.trades.unassigned_fees("A") == ()


def test_one_symbol_too_many_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "SYMBOLS_MAX", 1)
    book = Folding()
    book.add(ONE_ORDER, fill("T1", 1, 100))
    for event in (fill("T2", 1, 100, "NQZ5"), FeeCharged(trade_id="x", symbol="NQZ5", amount=Decimal(1))):
        with pytest.raises(TooManySymbols, match="NQZ5"):
            book.add(ONE_ORDER, event)
    assert [each.symbol for each in book.trades.totals("A")] == ["ESZ5"]


numbers = st.integers(1, 9).map(Decimal)
ids = st.sampled_from(["T1", "T2", "T3", "T4"])
prices = st.integers(-5, 5).map(Decimal)


@st.composite
def happenings(draw: st.DrawFn) -> Event:
    """Return a trade, or something said of one later; each trade id has one symbol."""
    trade_id = draw(ids)
    match draw(st.integers(0, 5)):
        case 0:
            return FeeCharged(trade_id=trade_id, amount=draw(prices), currency=draw(st.sampled_from([None, "USD"])))
        case 1:
            return TradeBusted(trade_id=trade_id)
        case 2:
            return TradeCorrected(trade_id=trade_id, quantity=draw(numbers), price=draw(prices))
        case _:
            sign = draw(st.sampled_from([1, -1]))
            symbol = f"S{trade_id}"
            return fill(trade_id, sign * int(draw(numbers)), int(draw(prices)), symbol, fee=draw(prices))


@given(st.lists(happenings(), max_size=30))
def test_the_totals_are_the_sums_of_the_trades(events: list[Event]) -> None:
    book = Folding()
    book.add(ONE_ORDER, *events)
    trades = book.trades.of("A")
    assert {each.symbol for each in trades} == {each.symbol for each in book.trades.totals("A")}
    for totals in book.trades.totals("A"):
        mine = [each for each in trades if each.symbol == totals.symbol]
        valid = [each for each in mine if not each.busted]
        bought = [each for each in valid if each.side is Side.BUY]
        assert (totals.count, totals.busted) == (len(valid), len(mine) - len(valid))
        assert totals.bought == sum(each.quantity for each in bought)
        assert totals.bought + totals.sold == sum(each.quantity for each in valid)
        assert totals.bought_value == sum(each.quantity * each.price for each in bought)
        assert totals.bought_value + totals.sold_value == sum(each.quantity * each.price for each in valid)
        fees = [each.fee + sum(amount for _, amount in each.other_fees) for each in valid]
        assert sum(amount for _, amount in totals.fees) == sum(fees)
