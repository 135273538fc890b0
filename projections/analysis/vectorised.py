"""Positions, cash, profit and loss, and equity of whole histories of fills, as columns and without a loop over them.

All figures are exact: numbers are counted as whole numbers of a power of ten, and are the fold's to the last digit
where each fill is an execution as the fold counts it, as `analysis.fills` gives them. Money is in the contract's
currency; a contract without a multiplier has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.analysis.columns import Column, Kind, arrow_schema, exact_of
from projections.analysis.fifo import realized_points
from projections.analysis.fill_columns import FillColumns, codes_of, fill_columns, grouped
from projections.analysis.frame import Frame
from projections.analysis.libraries import arrow, library
from projections.analysis.marking import equity_of
from projections.analysis.trips import trips_of
from projections.analysis.whole_numbers import Whole, aligned, column_of, numbers_of, product, summable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projections.analysis.columns import Exact

_PLACE = (
    Column("position", Kind.INTEGER),
    Column("occurred_at", Kind.INSTANT),
    Column("account", Kind.TEXT),
    Column("symbol", Kind.TEXT),
)
RUNNING = (
    *_PLACE,
    Column("net_quantity", Kind.DECIMAL),
    Column("realized", Kind.DECIMAL),
    Column("cash", Kind.DECIMAL),
    Column("currency", Kind.TEXT),
)
"""The columns of running figures."""
EQUITY = (
    Column("at", Kind.INSTANT),
    Column("account", Kind.TEXT),
    Column("currency", Kind.TEXT),
    Column("equity", Kind.DECIMAL),
)
"""The columns of equity."""
TRIPS = (
    Column("account", Kind.TEXT),
    Column("symbol", Kind.TEXT),
    Column("direction", Kind.ENUM, ("LONG", "SHORT")),
    Column("entry_at", Kind.INSTANT),
    Column("exit_at", Kind.INSTANT),
    Column("duration", Kind.DURATION),
    Column("quantity", Kind.DECIMAL),
    Column("entry_price", Kind.FLOAT),
    Column("exit_price", Kind.FLOAT),
    Column("gross", Kind.DECIMAL),
    Column("fees", Kind.DECIMAL),
    Column("net", Kind.DECIMAL),
    Column("currency", Kind.TEXT),
)
"""The columns of round trips."""


def running(fills: object, *, exact: Exact = False) -> Frame:
    """Return a row for each fill: what is held after it, what it realized, and the account's cash after it.

    `fills` is a frame of any library with the columns of `analysis.fills`: occurred_at, account, symbol, side,
    quantity and price, and where they matter position, position_side, multiplier, fee, fee_currency and currency.
    Its numbers must be exact: decimals or text, or floats that are short decimal numbers.

    `net_quantity` is signed. `realized` is money by FIFO and before fees; `cash` the sum of what was received less what
    was paid, and less the fees in the same currency, by account and currency. Both are null without a multiplier.
    Rows stand as in `fills`; sums run in the order of time and log position.

    Raises InvalidEvent for rows that are not fills, numbers that are not exact, and at reading for a figure that
    `exact=True` does not hold.
    """
    asked, columns = exact_of(exact), fill_columns(fills)
    points = columns.points
    money = summable(product(points, columns.unit))
    realized = product(realized_points(columns, points), columns.unit)
    held = columns.holdings.since_start(library("numpy").cumsum(summable(columns.quantity).values))
    cash = _cash(columns, money)
    arrays = [
        arrow().array(columns.position),
        columns.table.column("occurred_at"),
        *[columns.table.column(name) for name in ("account", "symbol")],
        column_of(_as_given(columns, Whole(held, columns.quantity.digits)), "net_quantity", asked),
        column_of(_as_given(columns, realized), "realized", asked, columns.unknown),
        column_of(cash, "cash", asked, _without_cash(columns)),
        _currency(columns),
    ]
    return _frame(RUNNING, arrays, asked, "fills")


def equity(fills: object, prices: object = None, *, exact: Exact = False) -> Frame:
    """Return what each account is worth after each instant that changes it: its cash, and what it holds at the market.

    `fills` is as for `running`. `prices` is a frame with columns `at`, `symbol` and `price`; a fill is a price too, and
    the newest one counts. It is a row for each account and currency, at each instant at which one of its holdings is
    filled or has a new price. `equity` counts from zero: deposits are not in the fills. It is null from the first fill
    of a contract without a multiplier on.
    """
    asked, columns = exact_of(exact), fill_columns(fills)
    marked = equity_of(columns, fees_of(columns), _currency_codes(columns), prices)
    table, rows = columns.table, arrow().array(marked.rows)
    arrays = [
        arrow().array(marked.at).cast(arrow().timestamp("ns", tz="UTC")),
        table.column("account").take(rows),
        _currency(columns).take(rows),
        column_of(marked.equity, "equity", asked, marked.unknown),
    ]
    return _frame(EQUITY, arrays, asked, "instants")


def round_trips(fills: object, *, exact: Exact = False) -> Frame:
    """Return the round trips of fills, each from flat to flat, in the order in which they ended.

    `fills` is as for `running`. A fill through zero ends one, which takes its fee, and begins the next. `quantity` is
    all that was opened; the mean prices are float64, for a quotient need not be a decimal number. `gross` is money
    before fees, null without a multiplier; `net` is less the `fees`, which are those in the contract's currency, and
    null if there are others.
    """
    np = library("numpy")
    asked, columns = exact_of(exact), fill_columns(fills)
    trips = trips_of(columns, fees_of(columns), foreign_fees(columns))
    pa, table = arrow(), columns.table
    last = columns.holdings.order[trips.last]
    unknown = None if columns.unknown is None else columns.unknown[last]
    gross, fees = aligned(trips.gross, trips.fees)
    lost = trips.has_foreign if unknown is None else trips.has_foreign | unknown
    rows = pa.array(last)
    entry, ended = columns.at[trips.first], columns.at[trips.last]
    instant = pa.timestamp("ns", tz="UTC")
    arrays = [
        table.column("account").take(rows),
        table.column("symbol").take(rows),
        pa.DictionaryArray.from_arrays(pa.array(np.where(trips.is_long, 0, 1).astype(np.int32)), ["LONG", "SHORT"]),
        pa.array(entry).cast(instant),
        pa.array(ended).cast(instant),
        pa.array(ended - entry).cast(pa.duration("ns")),
        column_of(trips.quantity, "quantity", asked),
        pa.array(trips.mean(trips.entry)),
        pa.array(trips.mean(trips.exit)),
        column_of(gross, "gross", asked, unknown),
        column_of(fees, "fees", asked),
        column_of(Whole(gross.values - fees.values, gross.digits), "net", asked, lost),
        _currency(columns).take(rows),
    ]
    order = pa.array(np.lexsort((columns.position[last], ended)))
    return _frame(TRIPS, [array.take(order) for array in arrays], asked, "round trips")


def _frame(columns: Sequence[Column], arrays: Sequence[Any], exact: Exact, title: str) -> Frame:
    pa = arrow()
    schema = arrow_schema(columns, exact)
    table = pa.table([array.cast(field.type) for array, field in zip(arrays, schema, strict=True)], schema=schema)
    return Frame(columns, lambda: iter(table.to_batches()), exact=exact, title=title)


def _as_given(columns: FillColumns, number: Whole) -> Whole:
    """Return numbers in the holdings' order as the rows were given."""
    found = library("numpy").empty_like(number.values)
    found[columns.holdings.order] = number.values
    return Whole(found, number.digits)


def _currency(columns: FillColumns) -> Any:  # noqa: ANN401 - an array of Arrow's
    table = columns.table
    if "currency" not in table.column_names:
        return arrow().chunked_array([arrow().nulls(table.num_rows, arrow().string())])
    return table.column("currency").cast(arrow().string())


def _currency_codes(columns: FillColumns) -> Any:  # noqa: ANN401 - an array of numpy's
    """Return a number for each row as given: rows of one account and currency have the same."""
    return codes_of(columns.table, ("account", "currency"))


def fees_of(columns: FillColumns) -> Whole:
    """Return the fees in the contract's currency, in the holdings' order; a fee without a currency is in it."""
    fee = numbers_of(columns.table, "fee", default=0)
    foreign = _is_foreign(columns)
    values = fee.values if foreign is None else library("numpy").where(foreign, 0, fee.values)
    return Whole(values[columns.holdings.order], fee.digits)


def foreign_fees(columns: FillColumns) -> Any:  # noqa: ANN401 - the same
    """Return which fills, in the holdings' order, have a fee in another currency."""
    np = library("numpy")
    foreign = _is_foreign(columns)
    if foreign is None:
        return np.zeros(columns.table.num_rows, dtype=bool)
    return (foreign & (numbers_of(columns.table, "fee", default=0).values != 0))[columns.holdings.order]


def _is_foreign(columns: FillColumns) -> Any:  # noqa: ANN401 - the same
    table, pa = columns.table, arrow()
    if not {"fee_currency", "currency"} <= set(table.column_names) or not table.num_rows:
        return None
    pc = library("pyarrow.compute")
    named, own = (table.column(name).cast(pa.string()) for name in ("fee_currency", "currency"))
    foreign = pc.and_(pc.is_valid(named), pc.fill_null(pc.not_equal(named, own), fill_value=True))
    return foreign.combine_chunks().to_numpy(zero_copy_only=False)


def _cash(columns: FillColumns, money: Whole) -> Whole:
    """Return running sums of cash by account and currency, as the rows were given."""
    np = library("numpy")
    paid, fee = aligned(money, fees_of(columns))
    flow = _as_given(columns, Whole(-paid.values - fee.values, paid.digits))
    flow = summable(flow)
    at = np.empty_like(columns.at)
    at[columns.holdings.order] = columns.at
    groups = grouped(_currency_codes(columns), at, columns.position)
    found = np.empty_like(flow.values)
    found[groups.order] = groups.since_start(np.cumsum(flow.values[groups.order]))
    return Whole(found, flow.digits)


def _without_cash(columns: FillColumns) -> Any:  # noqa: ANN401 - the same
    """Return the rows from the first fill without a multiplier on, by account and currency; None if there is none."""
    np = library("numpy")
    if columns.unknown is None:
        return None
    at = np.empty_like(columns.at)
    at[columns.holdings.order] = columns.at
    groups = grouped(_currency_codes(columns), at, columns.position)
    lost = np.empty(len(at), dtype=bool)
    lost[groups.order] = groups.since_start(np.cumsum(columns.unknown[groups.order].astype(np.int64))) > 0
    return lost
