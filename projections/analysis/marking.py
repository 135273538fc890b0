"""What accounts are worth at the market, without a loop: each holding's changes of value, added up by account."""

from __future__ import annotations

from typing import Any, NamedTuple

from projections.analysis.fill_columns import FillColumns, encoded, grouped, instants_of, table_of
from projections.analysis.libraries import library
from projections.analysis.whole_numbers import Whole, aligned, numbers_of, product, summable

PRICES = ("at", "symbol", "price")


class AccountEquity(NamedTuple):
    """Equity by account and currency at instants; `rows` is a row of the fills of the same account and currency."""

    at: Any
    rows: Any
    equity: Whole
    unknown: Any


class _Marks(NamedTuple):
    """Prices of holdings: of each, the holding, when, and the price."""

    holding: Any
    at: Any
    price: Whole


def equity_of(columns: FillColumns, fees: Whole, currency: Any, prices: object) -> AccountEquity:  # noqa: ANN401 - arrays
    """Return equity after each instant; `fees` in the holdings' order, `currency` a number for each row as given."""
    np = library("numpy")
    at, change = columns.at, None
    row = np.arange(len(at))
    quantity = summable(columns.quantity)
    holding = columns.holdings.codes
    price = columns.price
    fee = fees.values
    if prices is not None:
        marks = _marks(columns, prices)
        price, mark = aligned(price, marks.price)
        holding = np.concatenate([holding, marks.holding])
        at = np.concatenate([at, marks.at])
        # A price at the instant of a fill is newer than that.
        order = np.lexsort((np.arange(len(at)), at, holding))
        row = np.concatenate([row, columns.holdings.starts[marks.holding]])[order]
        quantity = Whole(np.concatenate([quantity.values, 0 * marks.holding])[order], quantity.digits)
        price = Whole(np.concatenate([price.values, mark.values])[order], price.digits)
        fee = np.concatenate([fee, 0 * marks.holding])[order]
        holding, at = holding[order], at[order]
    change = _changes(columns, holding, row, quantity, price)
    gained, charged = aligned(change, Whole(fee, fees.digits))
    gained = summable(Whole(gained.values - charged.values, gained.digits))
    return _summed(columns, currency, (at, row), gained)


def _changes(columns: FillColumns, holding: Any, row: Any, quantity: Whole, price: Whole) -> Whole:  # noqa: ANN401 - arrays
    """Return by how much each fill or price changes what its holding has made: what was held × the price's move."""
    np = library("numpy")
    held = np.cumsum(quantity.values) - quantity.values
    starts = np.searchsorted(holding, np.arange(len(columns.holdings.starts)))
    held -= held[starts][holding]
    move = np.zeros_like(price.values)
    move[1:] = price.values[1:] - price.values[:-1]
    move[starts] = 0
    return product(product(Whole(held, quantity.digits), Whole(move, price.digits)), _units(columns, row))


def _units(columns: FillColumns, row: Any) -> Whole:  # noqa: ANN401 - the same
    return Whole(columns.unit.values[row], columns.unit.digits)


def _marks(columns: FillColumns, prices: object) -> _Marks:
    """Return a mark for each price and each holding of its symbol."""
    np = library("numpy")
    table = table_of(prices, PRICES, "prices")
    price, at = numbers_of(table, "price"), instants_of(table, "at")
    names = encoded(table, "symbol")
    places = {name: number for number, name in enumerate(names.dictionary.to_pylist())}
    by_symbol = np.argsort(names.indices.to_numpy(), kind="stable")
    bounds = np.searchsorted(names.indices.to_numpy()[by_symbol], np.arange(len(places) + 1))
    holdings, rows = [], []
    for number, start in enumerate(columns.holdings.starts.tolist()):
        symbol = columns.table.column("symbol")[int(columns.holdings.order[start])].as_py()
        place = places.get(symbol)
        if place is None:
            continue
        found = by_symbol[bounds[place] : bounds[place + 1]]
        # Before its first fill a holding is worth nothing, at whatever price.
        found = found[at[found] >= columns.at[start]]
        rows.append(found)
        holdings.append(np.full(len(found), number, dtype=np.int64))
    row = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
    holding = np.concatenate(holdings) if holdings else row
    return _Marks(holding, at[row], Whole(price.values[row], price.digits))


def _summed(
    columns: FillColumns,
    currency: Any,  # noqa: ANN401 - arrays of numpy's
    changes: tuple[Any, Any],
    gained: Whole,
) -> AccountEquity:
    """Return running sums of `changes`, when and in which row's holding, by account and currency, at each instant."""
    np = library("numpy")
    at, row = changes
    given = columns.holdings.order[row]
    unknown = None if columns.unknown is None else columns.unknown[given]
    if len(given) == columns.table.num_rows:
        # Without further prices: as the fills were given, which is mostly in the order of time.
        as_given = np.empty_like(given)
        as_given[given] = np.arange(len(given))
        given, at, gained = given[as_given], at[as_given], Whole(gained.values[as_given], gained.digits)
        unknown = None if unknown is None else unknown[as_given]
    groups = grouped(currency[given], at)
    sums = groups.since_start(np.cumsum(gained.values[groups.order]))
    at = at[groups.order]
    is_last = np.ones(len(at), dtype=bool)
    is_last[:-1] = (at[1:] != at[:-1]) | (groups.codes[1:] != groups.codes[:-1])
    lost = None
    if unknown is not None:
        lost = groups.since_start(np.cumsum(unknown[groups.order].astype(np.int64)))[is_last] > 0
    return AccountEquity(at[is_last], given[groups.order][is_last], Whole(sums[is_last], gained.digits), lost)
