"""SQL over a history, by DuckDB: events, a table for each type of them, and the frames as tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from eventstore import InvalidEvent, StoreError
from eventstore.errors import shown
from eventstore.locations import is_utf8
from projections.analysis.columns import exact_of
from projections.analysis.database import QueryFailed, connected, interruptible
from projections.analysis.frame import Frame
from projections.analysis.libraries import library
from projections.analysis.parameters import parameters_of
from projections.analysis.results import columns_in, presentable
from projections.analysis.scans import Canceled, Reading
from projections.analysis.sources import OCCURRED, opened, selection_of
from projections.analysis.sql_tables import Tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.clock import Times
    from projections.analysis.columns import Exact
    from projections.analysis.parameters import Parameters
    from projections.analysis.sources import Source

_NO_TABLE = re.compile(r"Table with name (.+) does not exist")
_AT = re.compile(r'(?<!")\bat\b(?!")', re.IGNORECASE)
_WITH_ROWS = frozenset({"CALL", "COPY", "EXECUTE", "EXPLAIN", "MULTI", "PRAGMA", "SELECT"})


class QueryResult(Frame):
    """The rows of a query, with the columns that it names.

    `records_read` is how many records of the log its tables of events read; what a frame reads is not in it.
    """

    def __init__(self, table: Any, *, exact: Exact, records_read: int) -> None:  # noqa: ANN401 - a table of Arrow's
        super().__init__(columns_in(table.schema), lambda: iter(table.to_batches()), exact=exact)
        self._table = table
        self.records_read = records_read

    @property
    @override
    def schema(self) -> Any:
        """The Arrow schema, of the types that DuckDB gave the columns."""
        return self._table.schema


def sql(
    store: Source,
    query: str,
    *,
    account: str | None = None,
    start: Times | None = None,
    stop: Times | None = None,
    time: str = OCCURRED,
    exact: Exact = False,
    parameters: Parameters | None = None,
    progress: bool | None = None,
) -> QueryResult:
    """Run a query on a history, and return its rows.

    The tables are `events` (all types), one for each type (`order_filled`), `records` (what is stored of each event:
    id, digest, data as JSON), and the frames (`fills`, `orders`, …) with their usual arguments; SHOW TABLES lists them.
    Only what a query names is read: its columns, and the accounts, types and one symbol that it compares with by `=` or
    IN. Bounds of time are arguments: `start` is included, `stop` is not; they and `account` hold for all tables. The
    tables of events have the records that the log has now. `positions`, `equity` and `headroom` are at the instants
    that the frame of all accounts has, whatever a query compares; with `account`, at that account's own.

    Of an archive, DuckDB reads the Parquet files by itself where their typed columns are what a table has: these
    records are not in `records_read`.

    `parameters` are values for `?` or `$name`: a sequence or a mapping. Statements that are separated by semicolons run
    in turn, and the rows are those of the last one. What they create is in memory and ends with the call, as do
    settings: `SET memory_limit = '2GB'; SET threads = 2; SELECT …`. The zone is UTC. Local files can be read and
    written; extensions and the network cannot be used.

    Instants have nanoseconds, durations are integers of them; a column `at` is written `"at"`. `exact`: figures as
    float64 (False), decimal128(38, 9) (True) or text ("text"). Without ORDER BY the rows are in no certain order.

    Raises QueryFailed with DuckDB's message for a query that does not run, InvalidEvent for other arguments and for a
    figure that the query names and `exact=True` cannot hold.
    """
    asked = exact_of(exact)
    text = _text_of(query)
    with opened(store) as reader, connected() as connection:
        selection = selection_of(reader, account=account, start=start, stop=stop, time=time)
        reading = Reading(reader, selection, exact=asked, progress=progress)
        tables = Tables(reading, {"start": start, "stop": stop, "time": time})
        table = _result(connection, tables, reading, text, parameters)
    return QueryResult(table, exact=asked, records_read=reading.records)


def _text_of(query: object) -> str:
    if isinstance(query, str) and query.strip() and is_utf8(query):
        return query
    msg = f"query is SQL in Unicode text, not {shown(query)}"
    raise InvalidEvent(msg)


def _result(
    connection: Any,  # noqa: ANN401 - DuckDB's
    tables: Tables,
    reading: Reading,
    query: str,
    parameters: Parameters | None,
) -> Any:  # noqa: ANN401 - a table of Arrow's
    def work() -> Any:  # noqa: ANN401 - the same
        statements = _statements(connection, query)
        given = parameters_of(parameters, [statement.named_parameters for statement in statements])
        tables.attach(connection, query)
        table = None
        for statement, values in zip(statements, given, strict=True):
            relation = connection.sql(statement.query, params=values)
            reading.check()
            if relation is not None:
                table = presentable(relation.to_arrow_table(), [str(each) for each in relation.types])
        return table

    try:
        return interruptible(connection, work, reading.canceled.set)
    except (library("duckdb").Error, Canceled, ValueError, TypeError, OverflowError, RuntimeError) as e:
        raise _failure(e, query, tables, reading) from e


def _statements(connection: Any, query: str) -> Sequence[Any]:  # noqa: ANN401 - DuckDB's
    """Return the statements of a query; raise QueryFailed for those that would pretend to do something."""
    statements: Sequence[Any] = connection.extract_statements(query)
    if not statements:
        msg = "the query has no statement, only comments or blanks"
        raise QueryFailed(msg)
    kinds = [_kind_of(statement) for statement in statements]
    if {"LOAD", "EXTENSION"} & set(kinds):
        msg = "extensions of DuckDB can be neither installed nor loaded here"
        raise QueryFailed(msg)
    if kinds[-1] not in _WITH_ROWS:
        msg = (
            f"the last statement ({kinds[-1]}) gives no rows, and what it would change is a database in memory "
            "that ends with the call; the log is never changed by SQL. End with a SELECT"
        )
        raise QueryFailed(msg)
    return statements


def _kind_of(statement: Any) -> str:  # noqa: ANN401 - DuckDB's
    try:
        name: str = statement.type.name
    except ValueError:
        # DuckDB's own list of kinds lacks some, such as UPDATE EXTENSIONS.
        return "EXTENSION"
    return name


def _failure(error: Exception, query: str, tables: Tables, reading: Reading) -> StoreError:
    """Return the error of this project that a failed query is raised as."""
    for each in (reading.failure, error):
        if isinstance(each, StoreError):
            return each
    if reading.failure is not None:
        return QueryFailed(f"reading the log failed: {reading.failure}")
    if found := _NO_TABLE.search(str(error)):
        why = tables.missing(found[1])
        return why if isinstance(why, StoreError) else QueryFailed(why)
    if "INSTALL" in str(error):
        # DuckDB's advice is to install the extension.
        first = str(error).partition("\n")[0]
        return QueryFailed(f"{first}; extensions of DuckDB can be neither installed nor loaded here")
    if isinstance(error, library("duckdb").ParserException) and _AT.search(query):
        return QueryFailed(f'{error}\nAT is a keyword: write the column of that name as "at"')
    return QueryFailed(str(error))
