"""Round trips as a frame: from flat to flat, what they made, and how far they went at given prices."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from eventstore import EventStore, InvalidEvent
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountReopened,
    AdjustmentReason,
    ContractDefined,
    FeeCharged,
    NoteAdded,
    OrderFilled,
    OrderSubmitted,
    PositionAdjusted,
    Side,
    TradeBusted,
    TradeCorrected,
)
from projections import analysis
from projections.analysis.round_trips import ROUND_TRIPS
from tests.views.trading_book import HOUR, MONDAY, TUESDAY, Trading

BUY, SELL = Side.BUY, Side.SELL
RESULT = ("direction", "quantity", "entry_price", "exit_price", "gross", "fees", "net")


def fill(trade_id: str, side: Side, quantity: int, price: int | str, **more: Any) -> OrderFilled:  # noqa: ANN401 - any member
    members: dict[str, Any] = {"symbol": "ESZ5", "quantity": Decimal(quantity), "price": Decimal(price), **more}
    return OrderFilled(trade_id=trade_id, side=side, **members)


def values(store: object, *names: str, **asked: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - any argument
    """Return members of the rows of a frame of round trips, its decimals exact."""
    found = analysis.round_trips(store, exact=True, progress=False, **asked)  # type: ignore[arg-type]
    return [tuple(row[name] for name in names) for row in found.to_arrow().to_pylist()]


def prices(*given: tuple[int, int | str], symbol: str = "ESZ5") -> pa.Table:
    """Return prices of a contract, each with the hours since Monday's begin."""
    at = pa.array([MONDAY + hours * HOUR for hours, _ in given], pa.timestamp("ns", tz="UTC"))
    return pa.table({"at": at, "symbol": [symbol] * len(given), "price": [float(price) for _, price in given]})


def reopen(trading: Trading, at: int) -> None:
    again = AccountReopened(starting_balance=Decimal(50_000), currency="USD")
    trading.store.append("account/A/-", again, occurred_at=at, actor="the firm")
    trading.book.refresh()


@pytest.fixture
def trading() -> Trading:
    return Trading()


def test_an_empty_log_has_the_columns_and_no_rows() -> None:
    with EventStore(MemoryJournal()) as store:
        frame = analysis.round_trips(store, prices=prices())
        assert len(frame) == 0
        assert frame.columns == [column.name for column in ROUND_TRIPS]


def test_a_position_that_is_still_open_has_not_made_a_round_trip(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 2, 100), fill("T2", SELL, 1, 101))
    assert values(trading.store, "symbol") == []


def test_a_round_trip_of_an_unknown_contract_has_prices_and_no_money(trading: Trading) -> None:
    more = {"symbol": "XX", "fee": Decimal(1), "fee_currency": "USD"}
    trading.at(MONDAY, fill("T1", BUY, 1, 100, **more), fill("T2", SELL, 1, 101, **more))
    found = values(trading.store, *RESULT, "mae", prices=prices((0, 100), symbol="XX"))
    assert found == [("LONG", 1, 100, 101, None, 2, None, None)]


def test_a_position_without_a_price_has_no_result(trading: Trading) -> None:
    opening = PositionAdjusted(symbol="ESZ5", quantity=Decimal(1), reason=AdjustmentReason.OPENING)
    trading.at(MONDAY, opening, stream="position/A/ESZ5")
    trading.at(MONDAY + HOUR, fill("T1", SELL, 1, 101))
    assert values(trading.store, *RESULT) == [("LONG", 1, None, 101, None, 0, None)]


def test_fees_in_another_currency_leave_the_net_unknown(trading: Trading) -> None:
    trading.at(
        MONDAY, fill("T1", BUY, 1, 100, fee=Decimal(1)), fill("T2", SELL, 1, 101, fee=Decimal(2), fee_currency="EUR")
    )
    assert values(trading.store, "gross", "fees", "net", "other_fees") == [(50, 1, None, '{"EUR":"2"}')]


def test_a_trip_of_several_entries_and_exits_has_mean_prices(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", SELL, 1, 110, fee=Decimal(1), fee_currency="USD"))
    trading.at(MONDAY + HOUR, fill("T2", SELL, 3, 106), fill("T3", BUY, 2, 104), fill("T4", SELL, 2, 105))
    trading.at(MONDAY + 2 * HOUR, fill("T5", BUY, 4, 101, fee=Decimal(2), fee_currency="USD"))
    found = values(trading.store, *RESULT, "entry_at", "exit_at", "duration", "currency", "trading_day")
    [(*result, entry_at, exit_at, duration, currency, day)] = found
    assert result == ["SHORT", 6, Decimal("106.333333333"), Decimal(102), 26 * 50, 3, 26 * 50 - 3]
    assert (exit_at.value - entry_at.value, duration.value) == (2 * HOUR, 2 * HOUR)
    assert (currency, day) == ("USD", datetime.date(2026, 1, 5))


def test_a_fill_through_zero_ends_one_trip_with_its_fee_and_begins_the_next(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 2, 100), fill("T2", SELL, 1, 101))
    trading.at(MONDAY + HOUR, fill("T3", SELL, 4, 103, fee=Decimal(5), fee_currency="USD"))
    trading.at(MONDAY + 2 * HOUR, fill("T4", BUY, 3, 101))
    assert values(trading.store, *RESULT) == [
        ("LONG", 2, 100, 102, 200, 5, 195),
        ("SHORT", 3, 103, 101, 300, 0, 300),
    ]


def test_a_change_that_ends_a_trip_and_begins_one_is_of_both(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 1, 100), fill("T2", SELL, 1, 102), fill("T3", BUY, 1, 104))
    # It was sold, not bought: one is sold at 100 to undo it, and one at 101.
    correction = TradeCorrected(trade_id="T1", symbol="ESZ5", quantity=Decimal(1), price=Decimal(101), side=SELL)
    trading.at(MONDAY + HOUR, correction, stream="trade/A/T1")
    trading.at(MONDAY + 2 * HOUR, fill("T4", BUY, 1, 99))
    assert values(trading.store, *RESULT) == [
        ("LONG", 1, 100, 102, 100, 0, 100),
        ("LONG", 1, 104, 100, -200, 0, -200),
        ("SHORT", 1, 101, 99, 100, 0, 100),
    ]


def test_a_late_fill_a_bust_and_a_correction_change_the_trips_that_they_are_of(trading: Trading) -> None:
    trading.at(MONDAY + 2 * HOUR, fill("T2", SELL, 1, 103), fill("T4", SELL, 1, 104))
    trading.at(MONDAY + HOUR, fill("T1", BUY, 2, 100))
    assert values(trading.store, *RESULT) == [("LONG", 2, 100, Decimal("103.5"), 350, 0, 350)]
    correction = TradeCorrected(trade_id="T4", symbol="ESZ5", quantity=Decimal(1), price=Decimal(105))
    trading.at(MONDAY + 3 * HOUR, correction, stream="trade/A/T4")
    assert values(trading.store, *RESULT) == [("LONG", 2, 100, 104, 400, 0, 400)]
    trading.at(MONDAY + 3 * HOUR, TradeBusted(trade_id="T4", symbol="ESZ5"), stream="trade/A/T4")
    assert values(trading.store, *RESULT) == []


def test_a_correction_after_the_position_was_flat_changes_price_and_result(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 1, 100), fill("T2", SELL, 1, 103), fill("T3", BUY, 1, 104))
    correction = TradeCorrected(trade_id="T1", symbol="ESZ5", quantity=Decimal(1), price=Decimal(99))
    trading.at(MONDAY + HOUR, correction, stream="trade/A/T1")
    charged = FeeCharged(trade_id="T2", symbol="ESZ5", amount=Decimal(2), currency="USD")
    trading.at(MONDAY + HOUR, charged, stream="fee/A/T2")
    assert values(trading.store, *RESULT) == [("LONG", 1, 99, 103, 200, 2, 198)]


def test_a_split_leaves_prices_on_the_later_base(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 1, 100))
    split = PositionAdjusted(symbol="ESZ5", quantity=Decimal(1), reason=AdjustmentReason.SPLIT)
    trading.at(MONDAY + HOUR, split, stream="position/A/ESZ5")
    trading.at(MONDAY + 2 * HOUR, fill("T2", SELL, 2, 60))
    assert values(trading.store, *RESULT) == [("LONG", 2, 50, 60, 1_000, 0, 1_000)]


def test_two_names_of_one_contract_are_one_position(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 1, 100), fill("T2", SELL, 3, 103, symbol="CON.ES"))
    defined = ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD", broker_ids=("CON.ES",))
    trading.book.append("contract/-/ESZ5", defined)
    trading.at(MONDAY + HOUR, fill("T3", BUY, 2, 101))
    assert values(trading.store, "symbol", *RESULT, symbol="CON.ES") == [
        ("ESZ5", "LONG", 1, 100, 103, 150, 0, 150),
        ("ESZ5", "SHORT", 2, 103, 101, 200, 0, 200),
    ]


def test_a_trip_that_began_under_another_name_keeps_what_began_it(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 2, 100, symbol="CON.ES"), fill("T2", SELL, 5, 103, symbol="CON.ES"))
    defined = ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD", broker_ids=("CON.ES",))
    trading.book.append("contract/-/ESZ5", defined)
    trading.at(MONDAY + HOUR, fill("T3", BUY, 3, 101), fill("T4", BUY, 1, 101))
    assert values(trading.store, "symbol", *RESULT) == [
        ("ESZ5", "LONG", 2, 100, 103, 300, 0, 300),
        ("ESZ5", "SHORT", 3, 103, 101, 300, 0, 300),
    ]


def test_positions_of_two_names_that_turn_out_to_be_one_make_one_trip(trading: Trading) -> None:
    for symbol in ("ESZ5", "CON.ES"):
        trading.at(
            MONDAY, fill(f"A{symbol}", SELL, 1, 90, symbol=symbol), fill(f"B{symbol}", BUY, 3, 100, symbol=symbol)
        )
    defined = ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD", broker_ids=("CON.ES",))
    trading.book.append("contract/-/ESZ5", defined)
    trading.at(MONDAY + HOUR, fill("T", SELL, 4, 102), fill("U", BUY, 1, 102))
    assert values(trading.store, "symbol", *RESULT) == [
        ("ESZ5", "SHORT", 2, 90, 100, -1_000, 0, -1_000),
        ("ESZ5", "LONG", 4, 100, 102, 400, 0, 400),
    ]


def test_a_reopened_account_has_the_round_trips_of_its_new_life(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 1, 100), fill("T2", SELL, 1, 103))
    reopen(trading, TUESDAY)
    trading.at(TUESDAY, fill("T3", BUY, 1, 100), fill("T4", SELL, 1, 99))
    assert values(trading.store, "gross") == [(-50,)]
    assert len(analysis.fills(trading.store)) == 4


def test_all_round_trips_are_given_in_the_order_in_which_they_ended(trading: Trading) -> None:
    for number in range(150):
        bought, sold = fill(f"B{number}", BUY, 1, 100), fill(f"S{number}", SELL, 1, 100 + number)
        trading.at(MONDAY + number * HOUR, bought, sold)
    assert values(trading.store, "gross") == [(50 * number,) for number in range(150)]
    assert values(trading.store, "gross", start=TUESDAY, stop=TUESDAY + 2 * HOUR) == [(1_200,), (1_250,)]
    assert values(trading.store, "gross", trading_day="2026-01-06") == [(50 * number,) for number in range(24, 48)]


def test_a_trip_has_the_strategy_that_all_its_orders_have_and_the_tags_of_its_trades(trading: Trading) -> None:
    for order_id, strategy in (("O-1", "breakout"), ("O-2", "breakout"), ("O-3", "fading")):
        order = OrderSubmitted(symbol="ESZ5", side=BUY, quantity=Decimal(1), strategy=strategy)
        trading.at(MONDAY, order, stream=f"order/A/{order_id}")
    trading.at(MONDAY, fill("T1", BUY, 1, 100))
    trading.at(MONDAY, fill("T2", SELL, 1, 101), stream="order/A/O-2")
    trading.at(MONDAY, fill("T3", BUY, 1, 100))
    trading.at(MONDAY, fill("T4", SELL, 1, 101), stream="order/A/O-3")
    trading.book.append("note/A/1", NoteAdded(target="order/A/O-2", tags=("good",)))
    assert values(trading.store, "strategy", "tags") == [("breakout", '["good"]'), (None, "[]")]
    assert (
        len(values(trading.store, "tags", tag="good")) == len(values(trading.store, "tags", strategy="breakout")) == 1
    )


def test_excursions_are_the_worst_and_the_best_that_a_trip_had_made(trading: Trading) -> None:
    trading.at(MONDAY + HOUR, fill("T1", BUY, 2, 100))
    trading.at(MONDAY + 4 * HOUR, fill("T2", SELL, 1, 104))
    trading.at(MONDAY + 7 * HOUR, fill("T3", SELL, 1, 101))
    given = prices((0, 50), (2, 99), (3, 107), (5, 97), (6, 98), (8, 500))
    # At 99 two lots are 1 below their price; at 107 they are 7 above; at 97 the one that is left is 3 below, and the
    # other has made 4.
    assert values(trading.store, "mae", "mfe", prices=given) == [(-100, 700)]


def test_excursions_of_a_short_trip_are_at_the_high_and_the_low_of_bars(trading: Trading) -> None:
    trading.at(MONDAY + HOUR, fill("T1", SELL, 1, 100))
    trading.at(MONDAY + 3 * HOUR, fill("T2", BUY, 1, 98))
    at = [datetime.datetime(2026, 1, 5, hour, tzinfo=datetime.UTC) for hour in (0, 2)]
    bars = {"time": at, "symbol": ["ESZ5"] * 2, "high": [300.0, 102.5], "low": [1.0, 97.5]}
    for given in (pd.DataFrame(bars), pl.DataFrame(bars), pa.table(bars), pd.DataFrame(bars).set_index("time")):
        assert values(trading.store, "mae", "mfe", prices=given) == [(-125, 125)]


def test_excursions_are_unknown_without_a_price_between_entry_and_exit(trading: Trading) -> None:
    trading.at(MONDAY + HOUR, fill("T1", SELL, 1, 100))
    trading.at(MONDAY + 3 * HOUR, fill("T2", BUY, 1, 98))
    assert values(trading.store, "mae", "mfe") == [(None, None)]
    for given in (prices((0, 99), (4, 99)), prices((2, 99), symbol="NQZ5"), prices((2, "nan")), prices()):
        assert values(trading.store, "mae", "mfe", prices=given) == [(None, None)]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (5, "prices is a frame of pandas, polars or Arrow"),
        ({"at": [1]}, "columns at or time, symbol, and price or high and low; it has at"),
        ({"at": [1], "symbol": ["X"], "price": [1.0]}, "the instants of prices, at, have a time zone"),
        (
            {"at": [datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)], "symbol": ["X"], "price": ["much"]},
            "prices cannot be read",
        ),
    ],
)
def test_prices_that_mean_nothing_are_refused(trading: Trading, given: object, sentence: str) -> None:
    with pytest.raises(InvalidEvent, match=sentence):
        analysis.round_trips(trading.store, prices=given)
