"""Executions as a frame: once each, as they stand now, with what they realized; and every report as recorded."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import eventstore
from eventstore import EventStore, InvalidEvent
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    ContractDefined,
    FeeCharged,
    NoteAdded,
    OrderFilled,
    OrderSubmitted,
    Payoff,
    Side,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections import analysis
from projections.analysis.executions import executions_of
from projections.analysis.fills import FILLS, REPORTS
from projections.analysis.keeping import Keep
from projections.analysis.sources import selection_of
from projections.fold import Fold
from projections.view import PartitionParked
from projections.views.executions.view import ExecutionsView
from tests.analysis.recorded import draft, log_of
from tests.proving import rounds
from tests.views.trading_book import HOUR, MONDAY, TUESDAY, Trading

MINUTE = 60 * 10**9
BUY, SELL = Side.BUY, Side.SELL


def fill(trade_id: str, side: Side, quantity: int, price: int | str, **more: Any) -> OrderFilled:  # noqa: ANN401 - any member
    members: dict[str, Any] = {"symbol": "ESZ5", "quantity": Decimal(quantity), "price": Decimal(price), **more}
    return OrderFilled(trade_id=trade_id, side=side, **members)


def rows(store: object, **asked: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any argument
    """Return the rows of a frame of fills, its decimals exact."""
    return analysis.fills(store, exact=True, progress=False, **asked).to_arrow().to_pylist()  # type: ignore[arg-type, no-any-return]


def values(store: object, *names: str, **asked: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - the same
    return [tuple(row[name] for name in names) for row in rows(store, **asked)]


def recorded_now(trading: Trading) -> int:
    """Return the first instant after everything that is recorded."""
    return [record.recorded_at for record in trading.store.read()][-1] + 1


@pytest.fixture
def trading() -> Trading:
    return Trading()


@pytest.mark.parametrize("raw", [False, True])
def test_an_empty_log_has_the_columns_and_no_rows(raw: bool) -> None:
    with EventStore(MemoryJournal()) as store:
        frame = analysis.fills(store, raw=raw)
        assert len(frame) == 0
        assert frame.columns == [column.name for column in (REPORTS if raw else FILLS)]
        assert list(frame.to_pandas().columns) == frame.to_polars().columns == frame.columns


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"strategy": 5}, "strategy is a text, not 5"),
        ({"tag": ""}, "tag is a text, not ''"),
        ({"trading_day": "yesterday"}, "trading_day is a date, such as 2025-11-19, not 'yesterday'"),
        ({"trading_day": 20260105}, "trading_day is a date"),
        ({"time": "noon"}, "time is 'occurred' or 'recorded'"),
        ({"exact": 2}, "exact is True, False or 'text', not 2"),
        ({"symbol": 5}, "symbol is a contract's name, not 5"),
        ({"account": "a b/c"}, "account"),
    ],
)
def test_an_argument_that_means_nothing_is_refused(trading: Trading, asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidEvent, match=sentence):
        analysis.fills(trading.store, **asked)


def test_an_account_of_none_and_an_empty_range_have_no_rows(trading: Trading) -> None:
    trading.at(MONDAY + HOUR, fill("T1", BUY, 1, 100))
    assert rows(trading.store, account="B") == []
    assert rows(trading.store, start=TUESDAY) == []
    assert rows(trading.store, stop=MONDAY + HOUR) == []
    assert rows(trading.store, symbol="NQZ5") == []
    assert len(rows(trading.store, start=MONDAY + HOUR, stop=MONDAY + HOUR + 1)) == 1


def test_what_an_unknown_contract_realized_is_null_and_an_opening_realized_nothing(trading: Trading) -> None:
    trading.at(MONDAY + HOUR, fill("T1", BUY, 1, 100, symbol="XX"), fill("T2", SELL, 1, 101, symbol="XX"))
    found = values(trading.store, "trade_id", "realized", "multiplier", "currency")
    assert found == [("T1", 0, None, None), ("T2", None, None, None)]


def test_what_a_price_without_value_realized_is_null(trading: Trading) -> None:
    inverse = {"multiplier": Decimal(100), "currency": "BTC", "payoff": Payoff.INVERSE}
    trading.book.append("contract/-/XBTUSD", ContractDefined(symbol="XBTUSD", **inverse))  # type: ignore[arg-type]
    trading.at(MONDAY, fill("T1", BUY, 1, 100, symbol="XBTUSD"), fill("T2", SELL, 1, 0, symbol="XBTUSD"))
    assert values(trading.store, "trade_id", "realized") == [("T1", 0), ("T2", None)]


def test_executions_of_two_names_that_turn_out_to_be_one_are_one_row(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 1, 100))
    trading.at(MONDAY, fill("T1", BUY, 1, 100, symbol="CON.ES"), stream="order/A/B-77")
    assert len(rows(trading.store)) == 2
    defined = ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD", broker_ids=("CON.ES",))
    [twin] = trading.store.read(stream="order/A/B-77")
    trading.book.append("note/A/1", NoteAdded(target=str(twin.uuid), tags=("twin",)))
    trading.book.append("contract/-/ESZ5", defined)
    assert values(trading.store, "position", "order_id", "tags") == [(twin.position - 1, "O-1", '["twin"]')]
    found = values(trading.store, "position", "execution", "busted", raw=True)
    assert found == [(twin.position - 1, twin.position - 1, False), (twin.position, twin.position - 1, False)]


def test_an_execution_reported_again_is_one_row_and_two_reports(trading: Trading) -> None:
    trading.at(MONDAY + HOUR, fill("T1", BUY, 2, 100))
    trading.at(MONDAY + HOUR, fill("T1", BUY, 2, 100, fee=Decimal("1.5"), fee_currency="USD"), stream="order/A/B-77")
    assert values(trading.store, "order_id", "quantity", "fee") == [("O-1", 2, Decimal("1.5"))]
    first = trading.store.head() - 1
    found = values(trading.store, "order_id", "fee", "execution", "busted", raw=True)
    assert found == [("O-1", 0, first, False), ("B-77", Decimal("1.5"), first, False)]


def test_of_an_execution_that_is_reported_often_one_report_is_held(trading: Trading) -> None:
    for number in range(50):
        trading.at(MONDAY, fill("T1", BUY, 2, 100), stream=f"order/A/B-{number}")
    selection = selection_of(trading.store)
    [executions] = executions_of(trading.store, selection, Keep.FILLS, progress=False)
    assert executions.history.reports.keys() == executions.trades().keys()
    assert not executions.history.same_as


def test_a_busted_execution_is_left_out_and_all_its_reports_are_marked(trading: Trading) -> None:
    trading.at(MONDAY + HOUR, fill("T1", BUY, 2, 100), fill("T2", BUY, 1, 101))
    trading.at(MONDAY + HOUR, fill("T1", BUY, 2, 100), stream="order/A/B-77")
    trading.at(MONDAY + 2 * HOUR, TradeBusted(trade_id="T1", symbol="ESZ5"), stream="trade/A/T1")
    assert values(trading.store, "trade_id") == [("T2",)]
    assert values(trading.store, "trade_id", "busted", raw=True) == [("T1", True), ("T2", False), ("T1", True)]


def test_a_corrected_execution_has_its_last_figures(trading: Trading) -> None:
    trading.at(MONDAY + HOUR, fill("T1", BUY, 2, 100), fill("T2", SELL, 2, 101))
    correction = TradeCorrected(trade_id="T1", symbol="ESZ5", quantity=Decimal(2), price=Decimal(99))
    trading.at(MONDAY + 2 * HOUR, correction, stream="trade/A/T1")
    assert values(trading.store, "price", "quantity", "realized") == [(99, 2, 0), (101, 2, 2 * 2 * 50)]
    # As recorded, it stands as it was reported.
    assert values(trading.store, "price", raw=True) == [(100,), (101,)]


def test_a_late_fill_changes_what_the_ones_after_it_realized(trading: Trading) -> None:
    trading.at(MONDAY + 2 * HOUR, fill("T2", BUY, 2, 110))
    trading.at(MONDAY + 3 * HOUR, fill("T3", SELL, 1, 120))
    before = recorded_now(trading)
    trading.at(MONDAY + HOUR, fill("T1", BUY, 1, 100))
    assert values(trading.store, "trade_id", "realized") == [("T2", 0), ("T3", 20 * 50), ("T1", 0)]
    known_then = values(trading.store, "trade_id", "realized", time="recorded", stop=before)
    assert known_then == [("T2", 0), ("T3", 10 * 50)]


def test_bounds_of_recording_are_about_the_first_report(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 1, 100), fill("T0", BUY, 1, 100))
    between = recorded_now(trading)
    trading.at(MONDAY, fill("T2", SELL, 1, 101), TradeBusted(trade_id="T1", symbol="ESZ5"))
    assert values(trading.store, "trade_id", time="recorded", start=between) == [("T2",)]
    assert values(trading.store, "trade_id", time="recorded", start=between, raw=True) == [("T2",)]
    # The bust was not known before.
    assert values(trading.store, "trade_id", time="recorded", stop=between) == [("T1",), ("T0",)]
    assert values(trading.store, "trade_id", start=MONDAY) == [("T0",), ("T2",)]


def test_fees_of_other_currencies_stand_apart(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 1, 100, fee=Decimal(2), fee_currency="USD"))
    for amount, currency in ((1, "USD"), (3, "EUR")):
        charged = FeeCharged(trade_id="T1", symbol="ESZ5", amount=Decimal(amount), currency=currency)
        trading.at(MONDAY, charged, stream="fee/A/T1")
    assert values(trading.store, "fee", "fee_currency", "other_fees") == [(3, "USD", '{"EUR":"3"}')]


def test_any_name_of_a_contract_chooses_it_and_its_symbol_is_given(trading: Trading) -> None:
    trading.at(
        MONDAY, fill("T1", BUY, 1, 100, symbol="CON.ES"), fill("T2", BUY, 1, 100), fill("T3", BUY, 1, 1, symbol="NQZ5")
    )
    defined = ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD", broker_ids=("CON.ES",))
    trading.book.append("contract/-/ESZ5", defined)
    for name in ("ESZ5", "CON.ES"):
        assert values(trading.store, "trade_id", "symbol", symbol=name) == [("T1", "ESZ5"), ("T2", "ESZ5")]
        assert values(trading.store, "trade_id", "symbol", symbol=name, raw=True) == [("T1", "CON.ES"), ("T2", "ESZ5")]


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_trade_that_is_remembered_by_its_position_alone_takes_the_contracts_symbol(
    trading: Trading, monkeypatch: pytest.MonkeyPatch, is_closed: bool
) -> None:
    for number in range(6):
        trading.at(MONDAY + number, fill(f"T{number}", BUY, 1, 100, symbol="CON.ES"))
    contract = {"symbol": "ESZ5", "multiplier": Decimal(50), "currency": "USD"}
    trading.book.append("contract/-/ESZ5", ContractDefined(**contract, broker_ids=("CON.ES",)))  # type: ignore[arg-type]
    if is_closed:
        trading.at(MONDAY + HOUR, fill("T6", SELL, 6, 100), fill("T7", BUY, 1, 100))
    # From here on the name means nothing.
    trading.book.append("contract/-/ESZ5", ContractDefined(**contract))  # type: ignore[arg-type]
    monkeypatch.setitem(ExecutionsView.__init__.__kwdefaults__ or {}, "trades_max", 1)
    assert {symbol for (symbol,) in values(trading.store, "symbol")} == {"ESZ5"}


def test_a_fill_has_its_orders_strategy_and_its_trading_day(trading: Trading) -> None:
    trading.day(MONDAY - 7 * HOUR, MONDAY + 17 * HOUR, 5)
    order = OrderSubmitted(symbol="ESZ5", side=BUY, quantity=Decimal(1), strategy="breakout")
    again = OrderSubmitted(symbol="ESZ5", side=BUY, quantity=Decimal(1), strategy="fading")
    trading.at(MONDAY - HOUR, order, again, fill("T1", BUY, 1, 100), stream="order/A/O%2F7")
    trading.at(
        MONDAY + 18 * HOUR,
        TradeExecuted(trade_id="T2", symbol="ESZ5", side=SELL, quantity=Decimal(1), price=Decimal(1)),
        stream="trade/A/T2",
    )
    found = values(trading.store, "trade_id", "order_id", "strategy", "trading_day")
    assert found == [("T1", "O/7", "breakout", date(2026, 1, 5)), ("T2", None, None, date(2026, 1, 5))]
    assert values(trading.store, "trade_id", strategy="breakout") == [("T1",)]
    assert values(trading.store, "trade_id", strategy="fading") == []
    assert values(trading.store, "trade_id", trading_day="2026-01-05") == [("T1",), ("T2",)]
    assert values(trading.store, "trade_id", trading_day=date(2026, 1, 6)) == []


def test_notes_tag_a_trade_its_order_and_its_day(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 1, 100))
    trading.at(MONDAY, fill("T1", BUY, 1, 100), stream="order/A/B-77")
    trading.at(TUESDAY, fill("T2", SELL, 1, 101), stream="order/A/O-2")
    again = str(trading.store.find(next(trading.store.read(stream="order/A/B-77")).uuid).uuid)  # type: ignore[union-attr]
    for number, (target, tags) in enumerate(
        [(again, ("late", "b")), ("order/A/O-1", ("b", "good")), ("day/A/2026-01-06", ("news",))]
    ):
        trading.book.append(f"note/A/{number}", NoteAdded(target=target, tags=tags))
    trading.book.append("note/B/1", NoteAdded(target="order/A/O-2", tags=("of another account",)))
    assert values(trading.store, "trade_id", "tags") == [("T1", '["late","b","good"]'), ("T2", '["news"]')]
    assert values(trading.store, "trade_id", tag="late") == [("T1",)]
    assert values(trading.store, "trade_id", "order_id", tag="late", raw=True) == [("T1", "O-1"), ("T1", "B-77")]
    assert values(trading.store, "trade_id", tag="news") == [("T2",)]


def test_anomalies_are_those_of_the_executions_reports(trading: Trading) -> None:
    trading.at(MONDAY + HOUR, fill("T1", BUY, 1, 100), fill("T2", SELL, 1, 101))
    trading.at(MONDAY + 2 * HOUR, fill("T3", BUY, 1, 100))
    trading.at(MONDAY, fill("T0", BUY, 1, 99))
    trading.at(MONDAY + 2 * HOUR, fill("T3", BUY, 2, 100))
    found = values(trading.store, "trade_id", "anomalies")
    assert found == [("T1", "[]"), ("T2", "[]"), ("T3", '["CONFLICTING"]'), ("T0", '["LATE"]')]


def test_anomalies_beyond_the_hundred_that_a_position_keeps_are_known(trading: Trading) -> None:
    trading.at(MONDAY + HOUR, fill("T", BUY, 1, 100), fill("U", SELL, 1, 101), fill("V", BUY, 1, 100))
    for number in range(150):
        trading.at(MONDAY + number, fill(f"L{number}", BUY, 1, 99))
    late = values(trading.store, "trade_id", "anomalies")[3:]
    assert late == [(f"L{number}", '["LATE"]') for number in range(150)]


def test_an_interruption_leaves_nothing_half_made(trading: Trading, monkeypatch: pytest.MonkeyPatch) -> None:
    trading.at(MONDAY, fill("T1", BUY, 1, 100), fill("T2", SELL, 1, 101))
    frame = analysis.fills(trading.store)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(Fold, "apply", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            frame.to_arrow()
    assert len(frame) == 2


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_account_whose_fold_has_stopped_is_named(trading: Trading, monkeypatch: pytest.MonkeyPatch) -> None:
    trading.at(MONDAY, fill("T1", BUY, 1, 100))
    monkeypatch.setattr("projections.views.executions.appending.traded", None)
    with pytest.raises(PartitionParked, match=r"executions.*A"):
        rows(trading.store)


def test_a_directory_gives_the_same_frame_as_its_store(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        store.append("order/A/O-1", [fill("T1", BUY, 1, 100)])
        expected = rows(store)
    assert rows(tmp_path / "data") == expected
    assert len(expected) == 1


def test_fills_realize_what_a_plain_loop_over_lots_says() -> None:
    for seed in rounds("fills against a loop over lots", test=5, prove=500):
        chance, trading = random.Random(seed), Trading()
        lots: dict[str, list[tuple[int, Decimal]]] = {"ESZ5": [], "FDAX": []}
        multipliers, expected = {"ESZ5": 50, "FDAX": 25}, []
        for number in range(60):
            symbol, side, left = chance.choice(list(lots)), chance.choice((BUY, SELL)), chance.randint(1, 4)
            price = Decimal(chance.randint(4_000, 4_100)) / 4
            trading.at(MONDAY + number * MINUTE, fill(f"T{number}", side, left, str(price), symbol=symbol))
            sign, made = (1 if side is BUY else -1), Decimal(0)
            held = lots[symbol]
            while left and held and held[0][0] * sign < 0:
                quantity, cost = held[0]
                closed = min(left, abs(quantity))
                made += closed * (cost - price) * sign
                left -= closed
                held[0] = (quantity + sign * closed, cost)
                if not held[0][0]:
                    held.pop(0)
            if left:
                held.append((sign * left, price))
            expected.append((f"T{number}", made * multipliers[symbol]))
        assert values(trading.store, "trade_id", "realized") == expected


def test_a_report_of_a_schema_that_no_class_here_reads_is_not_left_out() -> None:
    """The log was written by a newer version: what it says of one account does not concern another."""
    read, newer = b'{"trade_id":"T","symbol":"ES","side":"BUY","quantity":"1","price":"100"}', b'{"trade":"T"}'
    stored = [("A", read, 1), ("A", newer, 2), ("B", read, 1)]
    log = log_of(*(
        draft("OrderFilled", data, number=number, schema=schema, stream=f"order/{account}/{number}")
        for number, (account, data, schema) in enumerate(stored)
    ))  # fmt: skip
    for asked in ({}, {"account": "A"}):
        with pytest.raises(PartitionParked, match="OrderFilled of schema 2 is not read here"):
            rows(log, **asked)
    assert len(rows(log, account="B")) == 1
