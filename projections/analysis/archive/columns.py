"""Columns of a frame, taken from the typed columns of an archive's files where these are what the frame has to show."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from eventstore.streams import ESCAPED_SLASH
from projections.analysis.archive.typed import fingerprint
from projections.analysis.columns import OF_RECORDS, TEXT_DECIMALS, Column, Kind, arrow_type, members_of
from projections.analysis.libraries import arrow, library

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from projections.analysis.archive.layout import ArchivedFile, FileColumn
    from projections.analysis.columns import Exact

_UUIDS = ("id", "correlation_id", "causation_id")
_UUID_PARTS = ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))
_EXACT_FLOAT = 1 << 53
_THREADS = 2


class Plan:
    """How the columns of a frame come from files of one layout and category.

    `direct` has a polars expression for each column that the files have, `from_data` the names of those that have to be
    decoded from the events' data: their class has changed, or is asked for in another form. All others are null.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        layout: Sequence[FileColumn],
        files: Sequence[ArchivedFile],
        types: Collection[str] | None,
        exact: Exact,
    ) -> None:
        self._category, self._exact = files[0].category, exact
        self._types = {
            (name, found.made_with if found.is_whole else "")
            for file in files
            for name, found in file.types.items()
            if types is None or name in types
        }
        self._layout = {(column.member, column.kind): column for column in layout}
        self._filled = {
            column.name for index, column in enumerate(layout) if any(file.filled[index] == "1" for file in files)
        }
        self._is_fresh = all(made_with and made_with == fingerprint(name) for name, made_with in self._types)
        self.direct: dict[str, Any] = {}
        self.from_data: set[str] = set()
        for column in columns:
            self._place(column)

    def _place(self, column: Column) -> None:
        if column.name in OF_RECORDS:
            if column.name == "digest":
                self.from_data.add(column.name)
            else:
                self.direct[column.name] = self._of_record(column.name)
            return
        kinds = self._kinds(column.name)
        if not kinds and self._is_fresh:
            return
        if not self._is_fresh or not self._is_direct(column, kinds):
            self.from_data.add(column.name)
            return
        names = [self._layout[column.name, kind].name for kind in sorted(kinds, key=str)]
        if parts := [library("polars").col(name) for name in names if name in self._filled]:
            self.direct[column.name] = self._typed(column, parts)

    def _kinds(self, name: str) -> set[Kind]:
        """Return the kinds that a member of this name has in the types of the files."""
        return {
            member.column.kind
            for type_name, _ in self._types
            for member in members_of(type_name)
            if member.column.name == name
        }

    def _is_direct(self, column: Column, kinds: set[Kind]) -> bool:
        if column.kind is Kind.DECIMAL and self._exact == TEXT_DECIMALS:
            return False
        found = [self._layout.get((column.name, kind)) for kind in kinds]
        if any(each is None or each.as_text for each in found):
            return False
        return kinds == {column.kind} or (column.kind is Kind.TEXT and kinds <= {Kind.TEXT, Kind.ENUM})

    def _typed(self, column: Column, parts: list[Any]) -> Any:  # noqa: ANN401 - an expression of polars'
        pl = library("polars")
        found = parts[0] if len(parts) == 1 else pl.coalesce(parts)
        if column.kind is Kind.ENUM:
            found = found.cast(_enum(column.values))
        return found.alias(column.name)

    def _of_record(self, name: str) -> Any:  # noqa: ANN401 - the same
        pl = library("polars")
        if name == "entity":
            start = len(self._category) + 2 + pl.col("account").str.len_bytes()
            return pl.col("stream").str.slice(start).str.replace_all(ESCAPED_SLASH, "/", literal=True).alias(name)
        if name in _UUIDS:
            text = pl.col(name).bin.encode("hex")
            return pl.concat_str([text.str.slice(*part) for part in _UUID_PARTS], separator="-").alias(name)
        return pl.col(name)


@functools.lru_cache(maxsize=1_000)
def _enum(values: tuple[str, ...]) -> Any:  # noqa: ANN401 - a type of polars'
    return library("polars").Enum(list(values))


def null_of(column: Column, exact: Exact) -> Any:  # noqa: ANN401 - the same
    """Return nulls as polars has them in the place of a column."""
    pl = library("polars")
    types = {
        Kind.INTEGER: pl.Int64,
        Kind.DURATION: pl.Int64,
        Kind.FLOAT: pl.Float64,
        Kind.BOOLEAN: pl.Boolean,
        Kind.DATE: pl.Date,
        Kind.INSTANT: pl.Datetime("ns", "UTC"),
        Kind.ENUM: _enum(column.values),
        Kind.DECIMAL: pl.String if exact == TEXT_DECIMALS else pl.Decimal(38, 9),
    }
    return pl.lit(None, dtype=types.get(column.kind, pl.String)).alias(column.name)


def arrays_of(frame: Any, columns: Sequence[Column], exact: Exact) -> dict[str, Any]:  # noqa: ANN401 - a frame of polars'
    """Return columns of a polars frame as arrays of the types that a frame here has."""
    pl = library("polars")
    table = frame.select([column.name for column in columns]).rechunk().to_arrow(compat_level=pl.CompatLevel.newest())

    def converted(column: Column) -> Any:  # noqa: ANN401 - an array
        values = table.column(column.name).combine_chunks()
        target = arrow_type(column, exact)
        if values.type == target:
            return values
        return _floats(values) if arrow().types.is_decimal(values.type) else values.cast(target)

    # Half of the time of a whole history goes into writing texts as Arrow's frames have them, one after another.
    with ThreadPoolExecutor(_THREADS) as threads:
        return dict(zip([column.name for column in columns], threads.map(converted, columns), strict=True))


def _floats(values: Any) -> Any:  # noqa: ANN401 - arrays
    """Return decimals with nine digits as the nearest floats, which are those that their texts are read as.

    Arrow multiplies by 1e-9, which rounds twice. A quotient of two floats that are exact is rounded once.
    """
    pa, np = arrow(), library("numpy")
    if not len(values):
        return values.cast(pa.float64())
    validity, data = values.buffers()
    words = np.frombuffer(data, np.int64).reshape(-1, 2)[values.offset : values.offset + len(values)]
    low = words[:, 0]
    if (words[:, 1] != low >> 63).any() or (np.abs(low) > _EXACT_FLOAT).any():
        return values.cast(pa.string()).cast(pa.float64())
    found = pa.array(low / 1e9)
    if not values.null_count:
        return found
    bits = validity if not values.offset else values.is_valid().buffers()[1]
    return pa.Array.from_buffers(pa.float64(), len(values), [bits, found.buffers()[1]])
