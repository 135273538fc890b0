"""Trades: each once, with later busts and corrections; and running totals of each symbol."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

import decimal
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore import Event
from eventstore.trading import ContractDefined, FeeCharged, Side, TradeBusted, TradeCorrected, TradeExecuted
from projections.decimals import FIXED
from projections.views.contracts.view import TooManySymbols
from projections.views.executions import recent_trades, trades
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.fees import Fees
from projections.views.executions.trades import Totals, TradesState, TradesView
from tests.views.position_folding import BUY, LONG, SELL, Folding, fill, round_tripped

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


def test_a_trade_counts_once_in_its_stream_and_again_in_another() -> None:
    book = Folding()
    book.add(ONE_ORDER, fill("T1", 1, 100), fill("T1", 1, 100))
    book.add("order/A/O-2", fill("T1", -1, 100))
    assert [trade.position for trade in book.trades.of("A")] == [1, 3]
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
    left = (("", Decimal("0.50")),)
    assert book.trades.totals("A", "ESZ5") == summed(1, (0, 1, 0, 101), fees=left, busted=1)


def test_a_fee_in_another_currency_stays_apart() -> None:
    book = Folding()
    book.add(ONE_ORDER, fill("T1", 2, 100, fee=Decimal(2), fee_currency="USD"), fill("T2", 1, 100))
    for currency in ("USD", None, "EUR", "EUR"):
        book.add(ONE_ORDER, FeeCharged(trade_id="T1", amount=Decimal(1), currency=currency))
    book.add(ONE_ORDER, FeeCharged(trade_id="T2", amount=Decimal(5), currency="EUR"))
    first, second = book.trades.of("A")
    assert (first.fee, first.fee_currency, first.other_fees) == (4, "USD", (("EUR", 2),))
    assert (second.fee, second.fee_currency, second.other_fees) == (5, "EUR", ())
    assert book.trades.totals("A", "ESZ5").fees == (("", 1), ("EUR", 7), ("USD", 3))


def test_a_fee_that_stands_before_its_trade_in_the_log_is_still_its_own() -> None:
    book = Folding()
    book.add("trade/A/T1", FeeCharged(trade_id="T1", amount=Decimal(1)))
    book.add(ONE_ORDER, fill("T1", 2, 100))
    assert book.trades.of("A")[0].fee == 1
    assert book.trades.unassigned_fees("A") == (("", 1),)


def test_of_two_trades_with_one_id_the_newest_is_meant_if_the_stream_does_not_say() -> None:
    book = Folding()
    book.add(ONE_ORDER, fill("T1", 2, 100))
    book.add("order/A/O-2", fill("T1", -2, 100))
    book.add("trade/A/T1", TradeBusted(trade_id="T1"))
    assert [trade.busted for trade in book.trades.of("A")] == [False, True]
    assert book.trades.totals("A", "ESZ5") == summed(1, (2, 0, 200, 0), busted=1)


def test_a_later_event_that_names_another_symbol_is_not_about_this_trade() -> None:
    book = Folding()
    book.add(ONE_ORDER, fill("T1", 2, 100))
    book.add("trade/A/T1", TradeBusted(trade_id="T1", symbol="NQZ5"))
    assert not book.trades.of("A")[0].busted
    assert book.trades.totals("A", "ESZ5").busted == 0


def test_an_old_trade_leaves_the_totals_by_the_figures_that_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_trades, "RECENT_MAX", 1)
    book = Folding()
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
    assert kinds == [
        TradeAnomalyKind.DUPLICATE_BUST,
        TradeAnomalyKind.UNKNOWN_BUST,
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
    monkeypatch.setattr(trades, "SYMBOLS_MAX", 1)
    view, state, book = TradesView(), TradesState(), Folding()
    events = [
        fill("T1", 1, 100),
        fill("T2", 1, 100, "NQZ5"),
        FeeCharged(trade_id="x", symbol="NQZ5", amount=Decimal(1)),
    ]
    first, *others = [book.record(ONE_ORDER, event) for event in events]
    view.apply(state, first.event, first)
    for record in others:
        with pytest.raises(TooManySymbols, match="NQZ5"):
            view.apply(state, record.event, record)
    assert list(state.totals) == ["ESZ5"]


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


@given(st.lists(happenings(), max_size=30), st.integers(0, 30))
def test_the_fold_continues_from_a_snapshot_at_any_cut(events: list[Event], cut: int) -> None:
    view, log = TradesView(), Folding()
    records = [log.record("order/A/O-1", event) for event in events]
    whole, resumed = view.initial(), view.initial()
    with decimal.localcontext(FIXED):
        for number, record in enumerate(records):
            resumed = round_tripped(resumed, TradesState) if number == cut else resumed
            view.apply(whole, record.event, record)
            view.apply(resumed, record.event, record)
    assert resumed == whole


@given(st.lists(happenings(), max_size=30))
def test_the_totals_are_the_sums_of_the_trades(events: list[Event]) -> None:
    book = Folding()
    known: set[str] = set()
    busted: set[str] = set()
    for event in events:
        trade_id = event.trade_id  # type: ignore[attr-defined]
        known |= {trade_id} if isinstance(event, type(fill("", 1, 1))) else set()
        # Of trades that are not known yet, or not any more, the totals and the log must differ.
        if trade_id in known - busted:
            book.add(ONE_ORDER, event)
        busted |= {trade_id} & known if isinstance(event, TradeBusted) else set()
    for trade in book.trades.of("A"):
        totals = book.trades.totals("A", trade.symbol)
        assert (totals.count, totals.busted) == ((0, 1) if trade.busted else (1, 0))
        if not trade.busted:
            bought = trade.quantity if trade.side is Side.BUY else Decimal(0)
            assert (totals.bought, totals.sold) == (bought, trade.quantity - bought)
            assert totals.bought_value + totals.sold_value == trade.quantity * trade.price
            fees = trade.fee + sum((amount for _, amount in trade.other_fees), Decimal(0))
            assert sum((amount for _, amount in totals.fees), Decimal(0)) == fees
