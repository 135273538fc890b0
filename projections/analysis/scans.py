"""What DuckDB scans: events and frames as polars' IO sources, which read only what a query asks for."""

from __future__ import annotations

import itertools
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from eventstore.reader import SEARCHED_MAX
from eventstore.streams import NAME
from projections.analysis.arrays import array_of
from projections.analysis.columns import TEXT_DECIMALS, Column, Kind, arrow_schema
from projections.analysis.events import SYMBOL, columns_of, read_batches
from projections.analysis.folding import QUOTIENTS, rounded
from projections.analysis.libraries import arrow, compute, library
from projections.analysis.parquet_views import archive_of, query_of
from projections.analysis.predicates import fitting, values_of
from projections.analysis.progress import Progress
from projections.analysis.sources import types_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eventstore import EventReader
    from projections.analysis.columns import Exact
    from projections.analysis.frame import Frame
    from projections.analysis.sources import Selection


_FRAMES_MAX = 10
"""Of more accounts or symbols than these, the frame of all is made instead of one of each."""


class Canceled(Exception):
    """The query that reads was interrupted."""


class Reading:
    """What all tables of one query share: the records they are of, how many were read, and what went wrong.

    DuckDB says of a scan that fails only that it did: `failure` is the error itself.
    """

    def __init__(self, reader: EventReader, selection: Selection, *, exact: Exact, progress: bool | None) -> None:
        self.reader, self.selection, self.exact, self.progress = reader, selection, exact, progress
        self.canceled = threading.Event()
        self.failure: Exception | None = None
        self.records = 0

    def check(self) -> None:
        """Raise Canceled if nobody waits for the rows any longer."""
        if self.canceled.is_set():
            raise Canceled


class TableScan(Protocol):
    """Rows that a query may name."""

    def schema(self) -> Any:  # noqa: ANN401 - a schema of Arrow's
        """Return the Arrow schema of all columns."""

    def batches(self, columns: Sequence[str], predicate: Any) -> Iterator[Any]:  # noqa: ANN401 - an expression of polars
        """Yield batches with some columns, in any order, of all rows that fit a predicate, and perhaps of others."""


class EventScan:
    """The events of some types, None for all that the log has. `names` are the columns, None for the usual ones."""

    def __init__(self, reading: Reading, types: tuple[str, ...] | None, names: Sequence[str] | None = None) -> None:
        self._reading = reading
        self._selection = msgspec.structs.replace(reading.selection, types=types)
        self._columns = columns_of(reading.reader, self._selection, names)

    def schema(self) -> Any:  # noqa: ANN401 - a schema of Arrow's
        return arrow_schema(self._columns, self._reading.exact)

    def from_archive(self) -> str | None:
        """Return a query of DuckDB that gives the rows of the reader's archive, and leave the later ones to the scan.

        None if there is no archive, or if it has to be read in another way.
        """
        archive = archive_of(self._reading.reader)
        if archive is None:
            return None
        head = min(archive.catalog.head, self._selection.until)
        archived = msgspec.structs.replace(self._selection, until=head)
        query = query_of(archive, archived, self._columns, self._reading.exact)
        if query is not None:
            self._selection = msgspec.structs.replace(self._selection, after=max(head, self._selection.after))
        return query

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to scan."""
        return self._selection.after >= self._selection.until

    def batches(self, columns: Sequence[str], predicate: Any) -> Iterator[Any]:  # noqa: ANN401 - an expression of polars
        chosen = [column for column in self._columns if column.name in columns]
        for selection in self._narrowed(predicate):
            yield from self._read(selection, chosen)

    def _narrowed(self, predicate: Any) -> Iterator[Selection]:  # noqa: ANN401 - the same
        """Yield what to read of the log: an account has an index of its own, and types are left out while reading."""
        selection = self._selection
        if predicate is None:
            yield selection
            return
        all_types = types_in(self._reading.reader) if selection.types is None else selection.types
        types = fitting(predicate, "type", all_types)
        if not types:
            return
        if len(types) < len(all_types):
            selection = msgspec.structs.replace(selection, types=types)
        symbols = values_of(predicate, SYMBOL) if any(column.name == SYMBOL for column in self._columns) else None
        if symbols is not None and len(symbols) == 1:
            selection = msgspec.structs.replace(selection, symbol=symbols[0])
        accounts = values_of(predicate, "account")
        if accounts is None:
            yield selection
            return
        for account in accounts:
            if selection.account in {None, account} and is_account(account):
                yield msgspec.structs.replace(selection, account=account)

    def _read(self, selection: Selection, chosen: Sequence[Column]) -> Iterator[Any]:
        reading = self._reading
        with Progress(selection.until - selection.after, reading.progress) as shown_progress:
            # Part by part, because looking for what is rare takes long without giving anything.
            for after in range(selection.after, selection.until, SEARCHED_MAX):
                until = min(after + SEARCHED_MAX, selection.until)
                part = msgspec.structs.replace(selection, after=after, until=until)
                for last, records, rows in read_batches(reading.reader, part, chosen, reading.exact):
                    reading.check()
                    reading.records += records
                    yield rows
                    shown_progress.at(last - selection.after)
                reading.check()
                shown_progress.at(until - selection.after)


class FrameScan:
    """The rows of a frame. `make` returns it for an account and a symbol, None for all, and a kind of decimals.

    A frame is made once for each account and symbol that a query asks for, however often it is scanned.
    """

    def __init__(self, reading: Reading, make: Callable[[str | None, str | None, Exact], Frame]) -> None:
        self._reading, self._make = reading, make
        self._frames: dict[tuple[str | None, str | None], Frame] = {}
        self._columns = make(reading.selection.account, None, reading.exact).schema

    def schema(self) -> Any:  # noqa: ANN401 - a schema of Arrow's
        return self._columns

    def batches(self, columns: Sequence[str], predicate: Any) -> Iterator[Any]:  # noqa: ANN401 - an expression of polars
        names = [name for name in self._columns.names if name in columns]
        for account, symbol in itertools.product(self._asked(predicate, "account"), self._asked(predicate, "symbol")):
            self._reading.check()
            for batch in self._frame(account, symbol).to_arrow().to_batches():
                self._reading.check()
                # A frame of one of a contract's names has the rows of all: each is asked for once.
                own = batch if symbol is None else batch.filter(compute().equal(batch.column(SYMBOL), symbol))
                yield self._typed(own.select(names))

    def _typed(self, batch: Any) -> Any:  # noqa: ANN401 - batches of Arrow's
        """Return a batch with the decimals that were asked for; raise InvalidEvent, naming it, if one does not fit."""
        pa = arrow()
        arrays, fields = [], []
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            field = self._columns.field(name)
            is_text = values.type != field.type and pa.types.is_decimal(field.type)
            arrays.append(_scaled(values, name) if is_text else values)
            fields.append(field)
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

    def _asked(self, predicate: Any, column: str) -> Sequence[str | None]:  # noqa: ANN401 - the same
        names = self._columns.names
        given = self._reading.selection.account if column == "account" else None
        # At which instants a frame of past states is depends on its account, and a predicate must not change that.
        is_asked = predicate is not None and column in names and (column != "account" or "at" not in names)
        values = values_of(predicate, column) if is_asked else None
        # No contract is called '', which a frame's function refuses; and each frame reads what belongs to no account.
        if values is None or "" in values or len(values) > _FRAMES_MAX:
            return [given]
        return [value for value in values if given in {None, value} and (column != "account" or is_account(value))]

    def _frame(self, account: str | None, symbol: str | None) -> Frame:
        key = account, symbol
        if key not in self._frames:
            # As text, so that a figure of more digits than a column has is an error only of a query that names it.
            exact = TEXT_DECIMALS if self._reading.exact is True else self._reading.exact
            self._frames[key] = self._make(*key, exact)
        return self._frames[key]


def _scaled(texts: Any, name: str) -> Any:  # noqa: ANN401 - arrays of Arrow's
    """Return a frame's decimals from their texts, as the frame gives them with exact=True."""
    decimals = [None if text is None else Decimal(text) for text in texts.to_pylist()]
    return array_of(rounded(decimals) if name in QUOTIENTS else decimals, Column(name, Kind.DECIMAL), exact=True)


def lazy_frame(reading: Reading, scan: TableScan) -> Any:  # noqa: ANN401 - a LazyFrame of polars
    """Return a scan as polars' LazyFrame, to which DuckDB hands the columns and predicates of a query."""
    pl = library("polars")
    schema = pl.from_arrow(_plain(scan.schema().empty_table())).schema

    def read(columns: list[str] | None, predicate: Any, limit: int | None, _batch_size: int | None) -> Iterator[Any]:  # noqa: ANN401 - an expression
        names = list(schema) if columns is None else columns
        needed = set(names) if predicate is None else {*names, *predicate.meta.root_names()}
        try:
            # Polars learns nothing from a source without rows.
            yield pl.DataFrame(schema={name: schema[name] for name in names})
            # Some versions of polars ask for no rows where they want to know the columns.
            for batch in scan.batches([name for name in schema if name in needed], predicate) if limit != 0 else ():
                rows = pl.from_arrow(_plain(batch), rechunk=False)
                # A source is trusted with the predicate: polars does not apply it again.
                yield (rows if predicate is None else rows.filter(predicate)).select(names)
        except Exception as e:
            reading.failure = reading.failure or e
            raise

    return library("polars.io.plugins").register_io_source(read, schema=schema, validate_schema=True)


class RowStream:
    """A scan as a stream of Arrow: all columns of all rows, read only as far as they are taken."""

    def __init__(self, reading: Reading, scan: TableScan) -> None:
        self._reading, self._scan = reading, scan
        self._schema = _plain(scan.schema().empty_table()).schema

    def __arrow_c_schema__(self) -> object:
        return self._schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        stream = arrow().RecordBatchReader.from_batches(self._schema, self._batches())
        return stream.__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[Any]:
        try:
            for batch in self._scan.batches(self._schema.names, None):
                yield _plain(batch)
        except Exception as e:
            self._reading.failure = self._reading.failure or e
            raise


def _plain(rows: Any) -> Any:  # noqa: ANN401 - a table or a batch of Arrow's
    """Return rows with the types that survive DuckDB: enums as text, and durations, of which it keeps µs, as ns."""
    pa = arrow()
    fields, arrays = [], []
    for field, values in zip(rows.schema, rows.columns, strict=True):
        target = field.type
        if pa.types.is_dictionary(target):
            target = target.value_type
        elif pa.types.is_duration(target):
            target = pa.int64()
        fields.append(pa.field(field.name, target))
        arrays.append(values if target == field.type else values.cast(target))
    return type(rows).from_arrays(arrays, schema=pa.schema(fields))


def is_account(text: str) -> bool:
    """Return whether a text can be an account's name: no other is in any log."""
    return NAME.fullmatch(text) is not None
