"""Vectorised figures are those of the fold, and of a plain loop, to the last digit."""

from __future__ import annotations

import collections
import datetime
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import hypothesis
import pyarrow as pa
import pytest
from hypothesis import strategies as st

import projections
from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import ContractDefined, OrderFilled, Side
from projections import analysis
from projections.analysis import vectorised
from tests.analysis.recorded import START
from tests.proving import examples

SECOND = 1_000_000_000
UNITS = {"ES": Decimal(50), "CL": Decimal(1_000), "X": Decimal("0.001")}
CURRENCIES = {"ES": "USD", "CL": "USD", "X": "EUR"}


class Fill(NamedTuple):
    account: str
    symbol: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str | None
    later: int


def _decimal(places: int, most: int) -> st.SearchStrategy[Decimal]:
    return st.integers(-most, most).map(lambda number: Decimal(number).scaleb(-places))


_FILLS = st.builds(
    Fill,
    account=st.sampled_from("AB"),
    symbol=st.sampled_from(["ES", "ES", "CL", "X"]),
    quantity=st.one_of(st.integers(-5, 5).map(Decimal), _decimal(2, 400)).filter(bool),
    price=st.one_of(_decimal(2, 100_000), _decimal(4, 100_000), st.integers(1, 9).map(Decimal)),
    fee=st.one_of(st.just(Decimal(0)), _decimal(3, 5_000)),
    fee_currency=st.sampled_from([None, None, "USD", "EUR", "BTC"]),
    later=st.sampled_from([0, 0, 1, 5]),
)
HISTORIES = st.lists(_FILLS, min_size=1, max_size=40)


def recorded(fills: Sequence[Fill], *, contracts: bool = True) -> EventStore:
    """Return a store with contracts and fills, of which several happen at one time."""
    clock = ManualClock(START)
    store = EventStore(MemoryJournal(clock=clock), clock=clock)
    if contracts:
        for symbol, unit in UNITS.items():
            contract = ContractDefined(
                symbol=symbol, multiplier=unit, currency=CURRENCIES[symbol], may_be_negative=True
            )
            store.append(f"contract/-/{symbol}", contract)
    at = START
    for number, fill in enumerate(fills):
        at += fill.later * SECOND
        clock.set(at + 10 * SECOND + number)
        event = OrderFilled(
            trade_id=f"T{number}", symbol=fill.symbol, side=Side.BUY if fill.quantity > 0 else Side.SELL,
            quantity=abs(fill.quantity), price=fill.price, fee=fill.fee, fee_currency=fill.fee_currency,
        )  # fmt: skip
        store.append(f"order/{fill.account}/O{number}", event, occurred_at=at)
    return store


def simple(store: EventStore) -> analysis.Frame:
    found = analysis.simple_fills(store)
    assert found.others == ()
    return found.fills


def rows_of(frame: analysis.Frame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = frame.to_arrow().to_pylist()
    return rows


def looped(rows: Sequence[dict[str, Any]]) -> list[tuple[Decimal, Decimal, Decimal]]:
    """Return net quantity, realized and cash after each fill, by a plain loop."""
    lots: dict[Any, list[list[Decimal]]] = collections.defaultdict(list)
    cash: dict[Any, Decimal] = collections.defaultdict(Decimal)
    found = []
    for row in rows:
        held, unit = lots[row["account"], row["symbol"]], row["multiplier"]
        left = row["quantity"] if row["side"] == "BUY" else -row["quantity"]
        place = row["account"], row["currency"]
        cash[place] -= left * row["price"] * unit
        if row["fee_currency"] in {None, row["currency"]}:
            cash[place] -= row["fee"]
        realized = Decimal(0)
        while left and held and (held[0][0] > 0) is not (left > 0):
            size = min(abs(left), abs(held[0][0]))
            closed = size if held[0][0] > 0 else -size
            realized += closed * (row["price"] - held[0][1]) * unit
            held[0][0] -= closed
            left += closed
            if not held[0][0]:
                held.pop(0)
        if left:
            held.append([left, row["price"]])
        found.append((sum((lot[0] for lot in held), Decimal(0)), realized, cash[place]))
    return found


@hypothesis.settings(max_examples=examples(test=60, prove=5_000))
@hypothesis.given(HISTORIES)
def test_each_fill_has_what_a_plain_loop_makes_of_it(fills: list[Fill]) -> None:
    frame = simple(recorded(fills))
    found = [
        (row["net_quantity"], row["realized"], row["cash"]) for row in rows_of(vectorised.running(frame, exact=True))
    ]
    assert found == looped(rows_of(frame))


@hypothesis.settings(max_examples=examples(test=40, prove=2_000))
@hypothesis.given(HISTORIES)
def test_positions_and_results_are_the_books(fills: list[Fill]) -> None:
    store = recorded(fills)
    last: dict[tuple[str, str], Decimal] = {}
    realized: dict[tuple[str, str], Decimal] = collections.defaultdict(Decimal)
    for row in rows_of(vectorised.running(simple(store), exact=True)):
        last[row["account"], row["symbol"]] = row["net_quantity"]
        realized[row["account"], row["symbol"]] += row["realized"]
    with projections.open(store) as book:
        for (account, symbol), quantity in last.items():
            position = book.positions.get(account, symbol)
            assert (position.quantity, position.realized) == (quantity, realized[account, symbol])
        for account in {account for account, _ in last}:
            totals = {each.currency: each.realized for each in book.pnl.total(account)}
            mine: dict[str, Decimal] = collections.defaultdict(Decimal)
            for (owner, symbol), amount in realized.items():
                if owner == account:
                    mine[CURRENCIES[symbol]] += amount
            for currency, amount in mine.items():
                assert totals[currency] == amount


@hypothesis.settings(max_examples=examples(test=40, prove=2_000))
@hypothesis.given(HISTORIES)
def test_round_trips_are_the_books(fills: list[Fill]) -> None:
    store = recorded(fills)
    rows = rows_of(vectorised.round_trips(simple(store), exact=True))
    with projections.open(store) as book:
        for account in {fill.account for fill in fills}:
            trips = book.trips.of(account)
            mine = [row for row in rows if row["account"] == account]
            assert len(mine) == len(trips)
            for row, trip in zip(mine, trips, strict=True):
                assert trip.points is not None
                own = {name: amount for name, amount in trip.fees if name in {"", row["currency"]}}
                others = {name for name, _ in trip.fees} - set(own)
                assert row["symbol"] == trip.symbol
                assert row["exit_at"].value == trip.ended_at
                assert row["gross"] == trip.points * UNITS[trip.symbol]
                assert row["fees"] == sum(own.values())
                if others:
                    assert row["net"] is None
                elif row["net"] is not None:
                    assert row["net"] == row["gross"] - row["fees"]


def marked(rows: Sequence[dict[str, Any]], prices: Sequence[tuple[int, str, Decimal]]) -> dict[Any, Decimal]:
    """Return equity by account and currency after each instant, by a plain loop over all that happens."""
    held: dict[Any, Decimal] = collections.defaultdict(Decimal)
    newest: dict[Any, Decimal] = {}
    cash: dict[Any, Decimal] = collections.defaultdict(Decimal)
    found = {}
    happened: list[tuple[int, int, int, Any]] = [(row["occurred_at"].value, 0, n, row) for n, row in enumerate(rows)]
    happened += [(at, 1, n, (symbol, price)) for n, (at, symbol, price) in enumerate(prices)]
    for at, _, _, what in sorted(happened, key=lambda each: each[:3]):
        if isinstance(what, dict):
            key = what["account"], what["symbol"]
            signed = what["quantity"] if what["side"] == "BUY" else -what["quantity"]
            held[key] += signed
            newest[key] = what["price"]
            place = what["account"], what["currency"]
            cash[place] -= signed * what["price"] * what["multiplier"]
            if what["fee_currency"] in {None, what["currency"]}:
                cash[place] -= what["fee"]
            changed = [key]
        else:
            changed = [key for key in newest if key[1] == what[0]]
            for key in changed:
                newest[key] = what[1]
        for account, symbol in changed:
            currency = CURRENCIES[symbol]
            value = sum(
                held[a, s] * newest[a, s] * UNITS[s] for a, s in newest if (a, CURRENCIES[s]) == (account, currency)
            )
            found[at, account, currency] = cash[account, currency] + value
    return found


@hypothesis.settings(max_examples=examples(test=40, prove=2_000))
@hypothesis.given(
    HISTORIES,
    st.lists(
        st.tuples(st.integers(-5, 30), st.sampled_from(["ES", "CL", "X", "Y"]), _decimal(2, 100_000)), max_size=20
    ),
)
def test_equity_is_what_a_plain_loop_makes_of_fills_and_prices(
    fills: list[Fill], ticks: list[tuple[int, str, Decimal]]
) -> None:
    frame = simple(recorded(fills))
    prices = [(START + at * SECOND, symbol, price) for at, symbol, price in ticks]
    table = pa.table({
        "at": pa.array([at for at, _, _ in prices], pa.int64()).cast(pa.timestamp("ns", "UTC")),
        "symbol": pa.array([symbol for _, symbol, _ in prices], pa.string()),
        "price": pa.array([price for _, _, price in prices], pa.decimal128(38, 9)),
    })  # fmt: skip
    for given, used in ((None, []), (table, prices)):
        found = rows_of(vectorised.equity(frame, given, exact=True))
        equity = {(row["at"].value, row["account"], row["currency"]): row["equity"] for row in found}
        assert equity == marked(rows_of(frame), used)
        assert len(found) == len(equity)


def table_of(*fills: tuple[str, Any, Any], **more: Any) -> Any:  # noqa: ANN401 - columns of any kind
    """Return a table of fills of one contract, a second apart: side, quantity and price."""
    count = len(fills)
    columns = {
        "occurred_at": pa.array([START + n * SECOND for n in range(count)]).cast(pa.timestamp("ns", "UTC")),
        "account": ["A"] * count,
        "symbol": ["ES"] * count,
        "side": [side for side, _, _ in fills],
        "quantity": [quantity for _, quantity, _ in fills],
        "price": [price for _, _, price in fills],
    }
    return pa.table(columns | more)


def test_a_fill_through_zero_ends_a_round_trip_and_begins_the_next() -> None:
    table = table_of(("BUY", 2, 10), ("SELL", 5, 11), ("BUY", 3, 9), ("BUY", 1, 9), fee=[1, 2, 3, 4])
    found = rows_of(vectorised.round_trips(table))
    assert [(row["direction"], row["quantity"], row["gross"], row["fees"], row["net"]) for row in found] == [
        ("LONG", 2.0, 2.0, 3.0, -1.0),
        ("SHORT", 3.0, 6.0, 3.0, 3.0),
    ]
    assert [(row["entry_price"], row["exit_price"]) for row in found] == [(10.0, 11.0), (11.0, 9.0)]
    assert [row["duration"].value for row in found] == [SECOND, SECOND]


def test_what_is_open_at_the_end_has_not_ended() -> None:
    assert rows_of(vectorised.round_trips(table_of(("BUY", 2, 10), ("SELL", 1, 11)))) == []


@pytest.mark.parametrize("function", [vectorised.running, vectorised.equity, vectorised.round_trips])
def test_fills_of_none_are_a_frame_of_the_right_columns(function: Any) -> None:  # noqa: ANN401 - any of these
    empty = table_of(("BUY", 1, 1)).slice(0, 0)
    frame = function(empty, exact=True)
    assert len(frame) == 0
    assert frame.to_arrow().schema == frame.schema
    assert rows_of(function(simple(recorded([])), exact=True)) == []


@pytest.mark.parametrize("library", ["to_pandas", "to_polars", "to_arrow"])
def test_fills_may_be_a_frame_of_any_library(library: str) -> None:
    fills = [Fill("A", "ES", Decimal(n % 3 - 1 or 2), Decimal(n), Decimal("0.1"), None, 1) for n in range(1, 9)]
    frame = simple(recorded(fills))
    expected = rows_of(vectorised.running(frame, exact=True))
    assert rows_of(vectorised.running(getattr(frame, library)(), exact=True)) == expected
    as_text = analysis.simple_fills(recorded(fills), exact="text").fills
    assert rows_of(vectorised.running(as_text, exact=True)) == expected
    as_floats = analysis.simple_fills(recorded(fills), exact=False).fills
    assert rows_of(vectorised.running(as_floats, exact=True)) == expected


def test_without_a_multiplier_money_is_null_and_quantities_are_known() -> None:
    store = recorded([Fill("A", "ES", Decimal(1), Decimal(5), Decimal(1), None, 1)] * 2, contracts=False)
    rows = rows_of(vectorised.running(simple(store)))
    assert [(row["net_quantity"], row["realized"], row["cash"]) for row in rows] == [
        (1.0, None, None),
        (2.0, None, None),
    ]
    assert [row["equity"] for row in rows_of(vectorised.equity(simple(store)))] == [None, None]


def test_numbers_past_64_bits_are_exact() -> None:
    big, small = Decimal(10**20), Decimal("0.000000001")
    table = table_of(("BUY", big, small), ("SELL", big, 3 * small))
    rows = rows_of(vectorised.running(table, exact=True))
    assert [row["realized"] for row in rows] == [Decimal(0), Decimal(2 * 10**11)]
    assert [row["equity"] for row in rows_of(vectorised.equity(table, exact="text"))] == [
        "0.000000000",
        "200000000000.000000000",
    ]


def test_sums_past_64_bits_are_exact() -> None:
    price = Decimal("900000000.123456789")
    table = table_of(*[("BUY", Decimal("999.999"), price)] * 40)
    rows = rows_of(vectorised.running(table, exact="text"))
    assert Decimal(rows[-1]["cash"]) == -40 * Decimal("999.999") * price


def test_a_figure_that_does_not_fit_is_named() -> None:
    table = table_of(("BUY", Decimal("0.00001"), Decimal("0.00001")))
    with pytest.raises(InvalidEvent, match=r"cash = .*exact='text'"):
        vectorised.running(table, exact=True)
    assert rows_of(vectorised.running(table, exact="text"))[0]["cash"] == "-0.0000000001"


WRONG: dict[str, tuple[Any, str]] = {
    "not a frame": (7, "fills are a frame"),
    "no price": (table_of(("BUY", 1, 1)).drop_columns(["price"]), "no columns price"),
    "a price of null": (table_of(("BUY", 1, 1), ("BUY", 1, None)), "price is missing in 1 row"),
    "another side": (table_of(("HOLD", 1, 1)), "side is BUY or SELL"),
    "floats that are not exact": (table_of(("BUY", 1.0, 1 / 3)), "price has numbers that a float"),
    "texts instead of numbers": (table_of(("BUY", "one", 1)), "quantity"),
    "days instead of instants": (
        table_of(("BUY", 1, 1), occurred_at=[datetime.date(2026, 1, 1)]),
        "occurred_at is a column of instants",
    ),
    "two multipliers": (table_of(("BUY", 1, 1), ("SELL", 1, 1), multiplier=[1, 2]), "multiplier changes"),
    "dates as prices": (table_of(("BUY", 1, datetime.date(2026, 1, 1))), "price is a column of numbers"),
}


@pytest.mark.parametrize(("rows", "message"), WRONG.values(), ids=WRONG)
def test_rows_that_are_not_fills_are_refused(rows: Any, message: str) -> None:  # noqa: ANN401 - on purpose
    with pytest.raises(InvalidEvent, match=message):
        vectorised.running(rows)


def test_rows_in_any_order_are_counted_in_the_order_of_time() -> None:
    fills = [
        Fill("AB"[n % 2], "ES", Decimal((-1) ** (n // 2) * (n % 4 + 1)), Decimal(n), Decimal(0), None, 1)
        for n in range(20)
    ]
    table = simple(recorded(fills)).to_arrow()
    shuffled = table.take(pa.array([n * 7 % 20 for n in range(20)]))
    expected = {row["position"]: row for row in rows_of(vectorised.running(table, exact=True))}
    found = rows_of(vectorised.running(shuffled, exact=True))
    assert [row["position"] for row in found] == shuffled.column("position").to_pylist()
    assert {row["position"]: row for row in found} == expected
    assert rows_of(vectorised.round_trips(shuffled, exact=True)) == rows_of(vectorised.round_trips(table, exact=True))
    assert sorted(map(repr, rows_of(vectorised.equity(shuffled)))) == sorted(
        map(repr, rows_of(vectorised.equity(table)))
    )


def test_floats_are_the_nearest_to_the_exact_figures() -> None:
    price = Decimal("123456789.123456789")
    table = table_of(*[("BUY", Decimal("999.9999"), price + n) for n in range(50)])
    exact = rows_of(vectorised.running(table, exact="text"))
    found = rows_of(vectorised.running(table))
    assert [row["cash"] for row in found] == [float(row["cash"]) for row in exact]


def test_units_of_one_holding_are_never_matched_with_those_of_another() -> None:
    table = table_of(("BUY", 2, 10), ("SELL", 1, 11), ("SELL", 1, 99), ("BUY", 1, 1), account=["A", "A", "B", "C"])
    rows = rows_of(vectorised.running(table))
    assert [(row["net_quantity"], row["realized"]) for row in rows] == [(2.0, 0.0), (1.0, 1.0), (-1.0, 0.0), (1.0, 0.0)]


def test_decimals_that_come_late_in_a_column_count() -> None:
    fills = [("BUY", Decimal(10 * n), Decimal(100)) for n in range(1, 1_200)]
    fills.append(("SELL", Decimal("0.5"), Decimal("100.01")))
    rows = rows_of(vectorised.running(table_of(*fills), exact=True))
    assert rows[-1]["realized"] == Decimal("0.005")
    assert rows[-1]["net_quantity"] == sum(Decimal(10 * n) for n in range(1, 1_200)) - Decimal("0.5")


def test_mean_prices_of_large_numbers_are_the_nearest_floats() -> None:
    one, other = Decimal("98765432.123456789"), Decimal("98765439.987654321")
    table = table_of(("BUY", Decimal("1.1"), one), ("BUY", Decimal("2.3"), other), ("SELL", Decimal("3.4"), other))
    row = rows_of(vectorised.round_trips(table))[0]
    assert row["entry_price"] == float((Decimal("1.1") * one + Decimal("2.3") * other) / Decimal("3.4"))
    assert row["exit_price"] == float(other)
