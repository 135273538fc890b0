"""A frame: rows of a history, read when they are asked for, and given to pandas, polars, Arrow or a Parquet file."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from eventstore import InvalidEvent, StorageFull, Unavailable
from eventstore.clock import NANOSECONDS
from eventstore.errors import shown
from eventstore.html import table_html
from eventstore.locations import local_path
from projections.analysis.columns import Column, Kind, arrow_schema
from projections.analysis.libraries import arrow, library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from projections.analysis.columns import Exact

ROWS_SHOWN = 10
"""How many rows a notebook shows: half of them from the beginning, half from the end."""


class Frame:
    """Rows with typed columns. They are read at the first use, and kept where a whole table was asked for.

    Instants are `timestamp[ns, UTC]` in every form. Prices, quantities and money are float64, decimal128(38, 9) or
    text, as `exact` said. A value that is missing is null, never 0.
    """

    def __init__(
        self, columns: Sequence[Column], batches: Callable[[], Iterator[Any]], *, exact: Exact, title: str = "rows"
    ) -> None:
        self._columns, self._batches, self._exact, self._title = tuple(columns), batches, exact, title
        self._table: Any = None

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self._columns]

    @property
    def schema(self) -> Any:  # noqa: ANN401 - a schema of Arrow's
        """The Arrow schema."""
        return arrow_schema(self._columns, self._exact)

    def iter_batches(self, size: int | None = None) -> Iterator[Any]:
        """Return an iterator of pyarrow.RecordBatch objects, at most `size` rows each, in the frame's order.

        Where rows are read from a log as they are, no more than a page of them is in memory.
        """
        given: object = size
        if given is not None and (not isinstance(given, int) or isinstance(given, bool) or given < 1):
            msg = f"size is a number of rows from 1 on, not {shown(size)}"
            raise InvalidEvent(msg)
        return self._in_batches(size)

    def _in_batches(self, size: int | None) -> Iterator[Any]:
        batches = self._batches() if self._table is None else iter(self._table.to_batches())
        for batch in batches:
            step = batch.num_rows if size is None else size
            for start in range(0, batch.num_rows, max(step, 1)):
                yield batch.slice(start, step)

    def to_arrow(self) -> Any:  # noqa: ANN401 - a table of Arrow's
        """Return a pyarrow.Table."""
        if self._table is None:
            self._table = arrow().Table.from_batches(self._batches(), schema=self.schema)
        return self._table

    def to_pandas(self) -> Any:  # noqa: ANN401 - pandas is optional
        """Return a pandas.DataFrame: integers and booleans that may be missing are Int64 and boolean."""
        pa = arrow()
        pd = library("pandas")
        nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
        table = self.to_arrow()
        whole = [name for name in table.column_names if not table.column(name).null_count]
        rest = [name for name in table.column_names if name not in set(whole)]
        # Each by itself where it has columns: pandas gives a frame without columns no rows.
        frames = [table.select(whole).to_pandas()] if whole else []
        frames += [table.select(rest).to_pandas(types_mapper=nullable.get)] if rest else []
        return frames[0] if len(frames) == 1 else pd.concat(frames, axis=1)[table.column_names]

    def to_polars(self) -> Any:  # noqa: ANN401 - polars is optional
        """Return a polars.DataFrame."""
        return library("polars").from_arrow(self.to_arrow(), rechunk=False)

    def to_parquet(self, path: str | os.PathLike[str]) -> Path:
        """Write a Parquet file, batch by batch, and return its path. The file is there whole or not at all."""
        target = local_path(path, "the file")
        if not target.parent.is_dir():
            msg = f"there is no directory {target.parent} to write {target.name} into: make it first"
            raise InvalidEvent(msg)
        try:
            if target.is_dir():
                msg = f"{target} is a directory: name a file in it"
                raise InvalidEvent(msg)
            self._write(target)
        except OSError as e:
            if e.errno in {errno.ENOSPC, errno.EDQUOT}:
                msg = f"no room for {target} ({e.strerror}): make room and try again"
                raise StorageFull(msg) from e
            msg = f"{target} cannot be written ({e.strerror or e}): name another place"
            raise Unavailable(msg) from e
        return target

    def _write(self, target: Path) -> None:
        parquet = library("pyarrow.parquet")
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        os.close(descriptor)
        try:
            with parquet.ParquetWriter(name, self.schema, compression="zstd") as writer:
                for batch in self.iter_batches():
                    writer.write_batch(batch)
            Path(name).replace(target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Give the rows to any library that takes Arrow's C stream (Arrow PyCapsule Interface)."""
        stream = arrow().RecordBatchReader.from_batches(self.schema, self.iter_batches())
        return stream.__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        return int(self.to_arrow().num_rows)

    @override
    def __repr__(self) -> str:
        size = "not read yet" if self._table is None else f"{self._table.num_rows:,} rows"
        return f"<{type(self).__name__} {self._title}: {size}, {len(self._columns)} columns>"

    def _repr_html_(self) -> str:
        table = self.to_arrow()
        rows, half = table.num_rows, ROWS_SHOWN // 2
        cells = _cells(table.slice(0, half if rows > ROWS_SHOWN else rows), self._columns)
        if rows > ROWS_SHOWN:
            cells.append(["…"] * len(self._columns))
            cells += _cells(table.slice(rows - half), self._columns)
        return table_html(self.columns, cells, caption=f"{rows:,} {self._title}")


def _cells(table: Any, columns: Sequence[Column]) -> list[list[object]]:  # noqa: ANN401 - a table of Arrow's
    texts = [_texts(table.column(column.name), column) for column in columns]
    return [list(row) for row in zip(*texts, strict=True)]


def _texts(values: Any, column: Column) -> list[object]:  # noqa: ANN401 - a column of Arrow's
    pa = arrow()
    try:
        # Arrow writes all nine digits of an instant; Python's own types do not have them.
        as_text = values.cast(pa.int64() if column.kind is Kind.DURATION else pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        # Lists, structs and bytes: Arrow has no text for them.
        as_text = values
    texts: list[object] = as_text.to_pylist()
    shorten = _SHORTER.get(column.kind)
    if shorten is None or (column.kind is Kind.DECIMAL and not pa.types.is_floating(values.type)):
        return texts
    return [None if text is None else shorten(text) for text in texts]


def _duration(nanoseconds: int) -> str:
    """Return hours, minutes and seconds, with as many decimals as it has."""
    seconds, rest = divmod(abs(nanoseconds), NANOSECONDS)
    minutes, seconds = divmod(seconds, 60)
    text = f"{minutes // 60}:{minutes % 60:02}:{seconds:02}.{rest:09}".rstrip("0").rstrip(".")
    return f"-{text}" if nanoseconds < 0 else text


def _instant(text: str) -> str:
    """Return an instant without the zeros that end its fraction."""
    head, dot, fraction = text.rstrip("Z").partition(".")
    kept = fraction.rstrip("0")
    return f"{head}{dot if kept else ''}{kept}Z"


def _number(text: str) -> str:
    """Return a float without the last digits, which are its rounding's."""
    return f"{float(text):,.12g}"


_SHORTER: dict[Kind, Callable[[Any], str]] = {
    Kind.DURATION: _duration,
    Kind.INSTANT: _instant,
    Kind.DECIMAL: _number,
    Kind.FLOAT: _number,
}
"""How values are written for people to read; the conversions have all digits."""
