"""Round trips of the accounts whose fills count as they stand, as columns instead of by a fold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore import InvalidEvent, trading
from projections.analysis.arrays import array_of
from projections.analysis.columns import TEXT_DECIMALS, Column, arrow_schema
from projections.analysis.fill_columns import encoded, fill_columns
from projections.analysis.folding import rounded, strategies_of
from projections.analysis.libraries import arrow, library
from projections.analysis.simple_accounts import accounts_of, simple_table, without
from projections.analysis.tags import tags_of
from projections.analysis.trips import Trips, trips_of
from projections.analysis.vectorised import fees_of, foreign_fees
from projections.analysis.whole_numbers import Whole, aligned, column_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventstore import EventReader
    from projections.analysis.columns import Exact
    from projections.analysis.fill_columns import FillColumns
    from projections.analysis.sources import Selection

_DAYS = (trading.SessionOpened, trading.SessionReset, trading.ClockJumped)
"""What says which trading day an instant belongs to, where that is not its date in UTC."""
_DAY = 24 * 3_600 * 1_000_000_000


class SimpleTrips(NamedTuple):
    """Round trips by account, in the order in which they ended; `others` are the accounts that need a fold."""

    table: Any
    others: frozenset[str]

    def joined(self, folded: Iterable[Any]) -> Iterator[Any]:
        """Yield these round trips and those of the other accounts, all by account."""
        pa, np = arrow(), library("numpy")
        whole = pa.concat_tables([self.table, pa.Table.from_batches(folded, schema=self.table.schema)])
        accounts = encoded(whole, "account")
        places = np.argsort(np.argsort(np.array(accounts.dictionary.to_pylist(), dtype=object)))
        order = np.argsort(places[accounts.indices.to_numpy()], kind="stable") if len(whole) else np.arange(0)
        yield from whole.unify_dictionaries().take(pa.array(order)).combine_chunks().to_batches()


def simple_trips(
    reader: EventReader, selection: Selection, columns: Sequence[Column], exact: Exact, *, progress: bool | None
) -> SimpleTrips | None:
    """Return what needs no fold of a frame of round trips of these columns; None where that can do nothing.

    A simple account has, moreover, no sessions, no tags, and no fees in other currencies than its contracts'.
    """
    if exact == TEXT_DECIMALS:
        # The fold's texts have the zeros at the end with which the numbers were written.
        return None
    try:
        fills, others = simple_table(reader, selection, exact=True, progress=progress)
        fills, others = _without_more(reader, selection, fills, others)
        found = fill_columns(fills)
        trips = trips_of(found, fees_of(found), foreign_fees(found))
        table = _table(found, trips, _strategies(reader, selection, fills), columns, exact)
    except InvalidEvent:
        # A number of more digits than columns hold: the fold says the same, or more.
        return None
    return SimpleTrips(_chosen(table, found, trips, selection), frozenset(others))


def _without_more(
    reader: EventReader,
    selection: Selection,
    fills: Any,  # noqa: ANN401 - a table of Arrow's
    others: set[str],
) -> tuple[Any, set[str]]:
    more = accounts_of(reader, selection, _DAYS)
    more |= {account for account, _ in tags_of(reader, account=selection.account, until=selection.until)}
    left = without(fills, more)
    columns = fill_columns(left)
    foreign = columns.holdings.order[foreign_fees(columns)]
    more |= set(left.column("account").take(arrow().array(foreign)).to_pylist())
    return without(fills, more), others | more


def _strategies(reader: EventReader, selection: Selection, fills: Any) -> Any:  # noqa: ANN401 - arrays of Arrow's
    """Return the strategies of the fills' orders, as a dictionary array."""
    pa = arrow()
    known, streams = strategies_of(reader, selection), encoded(fills, "stream")
    names = pa.array([known.get(stream) for stream in streams.dictionary.to_pylist()], pa.string())
    return names.take(streams.indices).dictionary_encode()


def _table(
    found: FillColumns,
    trips: Trips,
    strategy: Any,  # noqa: ANN401 - an array of Arrow's
    columns: Sequence[Column],
    exact: Exact,
) -> Any:  # noqa: ANN401 - a table of Arrow's
    """Return the round trips in the order of their holdings."""
    pa, np, fills = arrow(), library("numpy"), found.table
    last = found.holdings.order[trips.last]
    unknown = None if found.unknown is None else found.unknown[last]
    gross, fees = aligned(trips.gross, trips.fees)
    net = Whole(gross.values - fees.values, gross.digits)
    entry_at, exit_at = found.at[trips.first], found.at[trips.last]
    codes = strategy.indices.fill_null(len(strategy.dictionary)).to_numpy()[found.holdings.order]
    is_one = pa.array(trips.cut.is_same(codes))
    rows, count = pa.array(last), len(last)
    arrays = {
        "account": fills.column("account").take(rows),
        "symbol": fills.column("symbol").take(rows),
        "direction": pa.array(np.where(trips.is_long, "LONG", "SHORT").tolist(), pa.string()),
        "entry_at": pa.array(entry_at),
        "exit_at": pa.array(exit_at),
        "duration": pa.array(exit_at - entry_at),
        "quantity": column_of(trips.quantity, "quantity", exact),
        "entry_price": _means(trips, trips.entry, columns, "entry_price", exact),
        "exit_price": _means(trips, trips.exit, columns, "exit_price", exact),
        "gross": column_of(gross, "gross", exact, unknown),
        "fees": column_of(fees, "fees", exact),
        "net": column_of(net, "net", exact, unknown),
        "currency": fills.column("currency").take(rows).cast(pa.string()),
        "trading_day": pa.array((exit_at // _DAY).astype(np.int32)),
        "strategy": library("pyarrow.compute").if_else(is_one, strategy.take(rows).cast(pa.string()), None),
        "tags": pa.array(["[]"] * count, pa.string()),
    }
    schema = arrow_schema(columns, exact)
    return pa.table(
        [arrays[each.name].cast(each.type) if each.name in arrays else pa.nulls(count, each.type) for each in schema],
        schema=schema,
    )


def _means(trips: Trips, total: Whole, columns: Sequence[Column], name: str, exact: Exact) -> Any:  # noqa: ANN401 - arrays
    if exact is False:
        return arrow().array(trips.mean(total))
    column = next(each for each in columns if each.name == name)
    return array_of(rounded(trips.quotients(total)), column, exact)


def _chosen(table: Any, found: FillColumns, trips: Trips, selection: Selection) -> Any:  # noqa: ANN401 - tables of Arrow's
    """Return the round trips that a selection has, by account in the order in which they ended."""
    np = library("numpy")
    exit_at, position = found.at[trips.last], found.position[found.holdings.order[trips.last]]
    begin, end = selection.occurred
    chosen = position > selection.after
    if begin is not None:
        chosen &= exit_at >= begin
    if end is not None:
        chosen &= exit_at < end
    order = np.lexsort((position, exit_at))
    return table.take(arrow().array(order[chosen[order]]))
