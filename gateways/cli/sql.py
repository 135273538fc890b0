"""`sql`: a query over a log's events and frames, as a table, JSON or CSV."""

from __future__ import annotations

import csv as csv_format
import sys
from collections.abc import Iterator
from datetime import tzinfo
from decimal import Context, Decimal
from typing import Annotated, Any

import typer

from eventstore import InvalidEvent
from eventstore.clock import format_time
from gateways.cli import instants, options
from gateways.cli.options import CommonOptions
from gateways.cli.queries import LogQuery, open_query
from gateways.cli.read import Start, Stop
from gateways.presenting.documents import json_text, plain
from gateways.presenting.escaping import escaped
from gateways.presenting.output import put_json, put_table
from gateways.presenting.presenter import NONE
from projections.numbers import in_full

_EXACT = Context(prec=76)
"""More digits than any decimal of DuckDB has."""

Query = Annotated[str, typer.Argument(metavar="QUERY", help="SQL, for example 'select * from order_filled limit 5'.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV (RFC 4180) with a header.")]
AsText = Annotated[
    bool, typer.Option("--text", help="Figures as text, as they were written: also of more than nine decimals.")
]


@options.command(url=True, read_only=True, zone=True)
def sql(
    common: CommonOptions,
    query: Query,
    *,
    account: options.Account = None,
    start: Start = None,
    stop: Stop = None,
    csv: Csv = False,
    text: AsText = False,
    rows: options.Rows = options.ROWS,
) -> None:
    """Query a log with SQL, by DuckDB: events, a table for each type (order_filled), and frames such as fills and days.

    'show tables' lists the tables, 'describe fills' a table's columns. Figures are exact. The log is never changed.
    """
    from projections import analysis

    if csv and common.as_json:
        msg = "give one of --csv and --json"
        raise InvalidEvent(msg)
    with open_query(common, account) as log:
        table = analysis.sql(
            log.store,
            query,
            account=account,
            start=_instant(log, start),
            stop=_instant(log, stop),
            time="recorded",
            exact="text" if text else True,
        ).to_arrow()
    if csv:
        _put_csv(table, log.shown.document_zone)
    elif common.as_json:
        for values in _rows(table, log.shown.document_zone):
            put_json(dict(zip(table.column_names, values, strict=True)))
    else:
        shown = ([_cell(value) for value in values] for values in _rows(table, log.shown.zone))
        put_table("Rows", table.column_names, shown, shown=rows)


def _instant(log: LogQuery, text: str | None) -> int | None:
    """Return when the record, the mark or the time that a bound names was recorded."""
    return None if text is None else max(1, instants.instant_of(log.store, text, log.shown.zone).recorded_at)


def _rows(table: Any, zone: tzinfo) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - an Arrow table
    """Yield rows of plain JSON values: times with nine digits and zone, decimals as text."""
    columns = [_values(table.column(index), zone) for index in range(table.num_columns)]
    return zip(*columns, strict=True) if columns else iter(())


def _values(column: Any, zone: tzinfo) -> list[Any]:  # noqa: ANN401 - a column of it
    if str(column.type).startswith("timestamp[ns, tz="):
        return [None if each is None else format_time(each, zone) for each in column.cast("int64").to_pylist()]
    return [_plain(value, zone) for value in column.to_pylist()]


def _plain(value: Any, zone: tzinfo) -> Any:  # noqa: ANN401 - any value of DuckDB's
    if isinstance(value, Decimal):
        # A column of decimals has all its places in each row; what was written had fewer.
        return in_full(value.normalize(_EXACT))
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return plain(value, zone) if isinstance(value, list | dict) else str(value)


def _cell(value: object) -> str:
    if value is None:
        return NONE
    return value if isinstance(value, str) else json_text(value)


def _put_csv(table: Any, zone: tzinfo) -> None:  # noqa: ANN401 - the same
    # A file gets the text as it is; on a terminal, nothing in it may take effect.
    written = escaped if sys.stdout.isatty() else str
    writer = csv_format.writer(sys.stdout, lineterminator="\n")
    writer.writerow([written(name) for name in table.column_names])
    for values in _rows(table, zone):
        writer.writerow(["" if value is None else written(_cell(value)) for value in values])
