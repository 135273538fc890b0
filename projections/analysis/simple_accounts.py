"""Fills read straight into columns, of the accounts whose executions are simply their fills, without a fold."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from eventstore import trading
from eventstore.trading import ContractDefined, OrderFilled, Payoff, TradeExecuted
from projections.analysis.arrays import array_of
from projections.analysis.columns import OF_RECORDS, SCALE, Column, Kind, arrow_schema, arrow_type, exact_of, united
from projections.analysis.events import event_batches
from projections.analysis.fill_columns import codes_of, encoded, fill_columns, instants_of
from projections.analysis.frame import Frame
from projections.analysis.libraries import arrow, compute, library
from projections.analysis.sources import opened, selection_of
from projections.analysis.whole_numbers import summable
from projections.views.executions.position_totals import LOTS_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from eventstore import Event, EventReader
    from projections.analysis.columns import Exact
    from projections.analysis.sources import Selection, Source

_FILLS = (OrderFilled, TradeExecuted)
_CHANGING = (
    trading.FeeCharged,
    trading.TradeBusted,
    trading.TradeCorrected,
    trading.PositionAdjusted,
    trading.AccountReopened,
)
"""What makes of an account's fills something else than they say."""
_READ = (
    "position", "occurred_at", "recorded_at", "account", "symbol", "side", "position_side", "quantity", "price", "fee",
    "fee_currency", "trade_id", "exchange_trade_id", "stream",
)  # fmt: skip
_GIVEN = _READ[:-2]
_TERMS = ("currency", "multiplier")
_NAMES = tuple(kind.__name__ for kind in _FILLS)
_COLUMNS = {
    **OF_RECORDS,
    **united(_NAMES),
    "currency": Column("currency", Kind.TEXT),
    "multiplier": Column("multiplier", Kind.DECIMAL),
}


class SimpleFills(NamedTuple):
    """`fills` are those of simple accounts, with their contracts' `currency` and `multiplier`; `others` need a fold."""

    fills: Frame
    others: tuple[str, ...]


class _Terms(NamedTuple):
    """What a contract's results are in; `is_simple`: fills under this name say what they count for."""

    multiplier: Decimal | None
    currency: str | None
    is_simple: bool


_UNDEFINED = _Terms(None, None, is_simple=True)


def simple_fills(store: Source, *, account: str | None = None, exact: Exact = True) -> SimpleFills:
    """Return the fills of the accounts for which these are the executions as the fold counts them.

    An account is simple if nothing but fills has changed what it holds: no bust, correction, adjustment, later fee or
    reopening; if no trade id comes twice, and none of a venue is given, by which reports are compared; if each contract
    is traded on one side only, in the order of the log, under its only name and in fewer lots than the fold merges; and
    if the contract is linear, defined once at most, and not of a coin that a fee may be taken from. All others, sorted,
    are left to `analysis.fills`.
    """
    asked = exact_of(exact)
    with opened(store) as reader:
        table, others = simple_table(reader, selection_of(reader, account=account), asked)
    chosen = table.select([*_GIVEN, *_TERMS])
    columns = tuple(_COLUMNS[name] for name in chosen.column_names)
    frame = Frame(columns, lambda: iter(chosen.to_batches()), exact=asked, title="fills")
    return SimpleFills(frame, tuple(sorted(others)))


def simple_table(
    reader: EventReader, selection: Selection, exact: Exact, *, progress: bool | None = False
) -> tuple[Any, set[str]]:
    """Return the fills of simple accounts up to a selection's last record, and the accounts that are not simple."""
    columns = [_COLUMNS[name] for name in _READ]
    read = replace(selection, after=0, types=_NAMES, symbol=None, occurred=(None, None))
    batches = event_batches(reader, read, columns, exact=exact, progress=progress)
    table = arrow().Table.from_batches(batches, schema=arrow_schema(columns, exact))
    terms = _terms(reader, selection)
    others = accounts_of(reader, selection, _CHANGING) | _unusual(table, terms)
    return _with_terms(without(table, others), terms, exact), others


def _terms(reader: EventReader, selection: Selection) -> dict[str, _Terms]:
    """Return the terms of each name that a contract has ever had."""
    found: dict[str, _Terms] = {}
    for record in reader.read(types=ContractDefined, until=selection.until):
        event = record.event
        assert isinstance(event, ContractDefined)
        unit = event.point_value
        is_simple = (
            event.symbol not in found
            and event.payoff is Payoff.LINEAR
            and event.base_currency is None
            and (unit is None or -int(unit.as_tuple().exponent) <= SCALE)
        )
        found[event.symbol] = _Terms(unit, event.currency, is_simple)
        for name in event.broker_ids:
            if name != event.symbol:
                found[name] = _Terms(None, None, is_simple=False)
    return found


def accounts_of(reader: EventReader, selection: Selection, types: Sequence[type[Event]]) -> set[str]:
    """Return the accounts with events of some types, up to a selection's last record."""
    pages = reader.rows(("stream",), until=selection.until, account=selection.account, types=types)
    return {stream.split("/", 2)[1] for page in pages for _, stream in page}


def _unusual(table: Any, terms: dict[str, _Terms]) -> set[str]:  # noqa: ANN401 - a table of Arrow's
    """Return the accounts with a fill that may not count as it says."""
    pa, pc, np = arrow(), compute(), library("numpy")
    if not table.num_rows:
        return set()
    wrong = pa.array(sorted(name for name, found in terms.items() if not found.is_simple), pa.string())
    nobody = pc.fill_null(pc.equal(table.column("trade_id"), ""), fill_value=True)
    marks = [
        pc.is_valid(table.column("exchange_trade_id")),
        pc.is_null(table.column("symbol")),
        pc.is_in(table.column("symbol"), value_set=wrong),
        pc.greater(table.column("occurred_at"), table.column("recorded_at")),
        nobody,
    ]
    is_unusual = functools.reduce(np.logical_or, [mark.to_numpy() for mark in marks])
    is_unusual |= _is_repeated(codes_of(table, ("account", "trade_id")))
    contract, at = codes_of(table, ("account", "symbol")), instants_of(table, "occurred_at")
    order = np.argsort(contract, kind="stable")
    is_same = contract[order][1:] == contract[order][:-1]
    side = codes_of(table, ("position_side",))[order]
    is_unusual[order[1:]] |= is_same & ((at[order][1:] < at[order][:-1]) | (side[1:] != side[:-1]))
    found = set(table.column("account").filter(pa.array(is_unusual)).unique().to_pylist())
    return found | _of_many_lots(without(table, found))


def without(table: Any, accounts: set[str]) -> Any:  # noqa: ANN401 - tables of Arrow's
    """Return the rows of all other accounts."""
    pa, pc = arrow(), compute()
    return table.filter(pc.invert(pc.is_in(table.column("account"), value_set=pa.array(sorted(accounts), pa.string()))))


def _of_many_lots(table: Any) -> set[str]:  # noqa: ANN401 - the same
    """Return the accounts with so many fills since a position was flat that the fold may have merged lots."""
    np = library("numpy")
    if table.num_rows < LOTS_MAX:
        return set()
    columns = fill_columns(table)
    held = columns.holdings.since_start(np.cumsum(summable(columns.quantity).values))
    row = np.arange(len(held))
    is_turn = np.concatenate([[True], (held[:-1] == 0) | ((held[1:] > 0) != (held[:-1] > 0))])
    is_turn[columns.holdings.starts] = True
    since = np.maximum.accumulate(np.where(is_turn, row, 0))
    rows = columns.holdings.order[row - since >= LOTS_MAX]
    return set(table.column("account").take(arrow().array(rows)).unique().to_pylist())


def _is_repeated(codes: Any) -> Any:  # noqa: ANN401 - arrays of numpy's
    np = library("numpy")
    _, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    return counts[inverse.reshape(-1)] > 1


def _with_terms(table: Any, terms: dict[str, _Terms], exact: Exact) -> Any:  # noqa: ANN401 - tables of Arrow's
    """Return fills with the currency and the multiplier of their contracts."""
    pa = arrow()
    symbols = encoded(table, "symbol")
    found = [terms.get(name, _UNDEFINED) for name in symbols.dictionary.to_pylist()]
    for name, kind in (("currency", Kind.TEXT), ("multiplier", Kind.DECIMAL)):
        column = Column(name, kind)
        values = array_of([getattr(each, name) for each in found], column, exact)
        table = table.append_column(name, pa.chunked_array([values.take(symbols.indices)], arrow_type(column, exact)))
    return table
