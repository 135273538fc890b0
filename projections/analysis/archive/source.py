"""An archive as a source of records, and as columns of frames without any JSON in between."""

from __future__ import annotations

import bisect
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from msgspec.structs import force_setattr
from typing_extensions import override

from eventstore import Closed, CorruptJournal, EventReader, InvalidEvent, Record
from eventstore.journal import PAGE_MAX
from eventstore.record import Digester
from projections.analysis.archive import layout
from projections.analysis.archive.columns import Plan, arrays_of, null_of
from projections.analysis.archive.typed import DIGEST_START
from projections.analysis.archive.windows import RowFilter, ends_of, frame_of, groups_of, windows_of
from projections.analysis.arrays import nulls_of
from projections.analysis.columns import TEXT_DECIMALS, arrow_schema
from projections.analysis.decoding import PageDecoder
from projections.analysis.libraries import arrow, library
from projections.analysis.sources import openers

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from eventstore.journal import Query
    from projections.analysis.archive.layout import ArchivedFile
    from projections.analysis.archive.windows import Group
    from projections.analysis.columns import Column, Exact
    from projections.analysis.sources import Selection

WINDOW = 262_144
"""Records that are in memory at once as columns: two row groups of a file."""
_FIRST_WINDOW, _LAST_WINDOW, _GROWTH, _WINDOW_BYTES = 2_048, 65_536, 4, 32 << 20
_CURSORS_MAX = 16
_MEMBERS = tuple(name for name in Record.__struct_fields__ if name not in {"log", "digest"})
_INSTANTS = frozenset({"recorded_at", "occurred_at"})
_SYMBOL = "symbol"


class ArchiveSource:
    """The read side of one log, of what an archive had of it when this was opened. For any number of threads.

    Raises Unavailable for a folder that is not an archive, CorruptJournal for one that is damaged.
    """

    page = PAGE_MAX // 2

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = layout.folder_of(folder)
        self.catalog = layout.load(self.folder)
        self.log, self.log_id = self.catalog.log, bytes.fromhex(self.catalog.log_id)
        self._ends = ends_of(self.catalog, WINDOW)
        self._cursors: OrderedDict[tuple[Any, ...], _Cursor] = OrderedDict()
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def typed_until(self) -> int:
        """The last position that `batches` gives."""
        return self.catalog.head

    def head(self) -> int:
        self._check_open()
        return self.catalog.head

    def read(self, query: Query, /) -> Sequence[Record]:
        return self.records(self._rows(query, (*_MEMBERS, "digest_start")))

    def records(self, rows: Sequence[tuple[Any, ...]]) -> list[Record]:
        """Return records from their members and the beginnings of their digests, which are computed here."""
        digester, found = Digester(self.log_id), []
        for *members, start in rows:
            record = Record(*members, b"", self.log)  # type: ignore[call-arg] # in the order of its members
            digest = digester.digest(record)
            if digest[:DIGEST_START] != start:
                what = "the record does not have its digest: it was changed after it was written"
                raise CorruptJournal(record.position, what)
            force_setattr(record, "digest", digest)
            found.append(record)
        return found

    def columns(self, query: Query, members: Sequence[str], /) -> list[list[Any]]:
        if "digest" in members:
            records = self.read(query)
            return [[getattr(record, name) for record in records] for name in members]
        rows = self._rows(query, tuple(members))
        return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in members]

    def _rows(self, query: Query, members: tuple[str, ...]) -> list[tuple[Any, ...]]:
        self._check_open()
        until = self.catalog.head if query.until is None else min(query.until, self.catalog.head)
        rows = RowFilter(stream=query.stream, account=query.account, types=query.types)
        key = (members, rows)
        with self._lock:
            cursor = self._cursors.pop(key, None)
        if cursor is None or cursor.position != query.after:
            cursor = _Cursor(self, members, rows, query.after)
        found = cursor.take(query.limit, until)
        with self._lock:
            self._cursors[key] = cursor
            if len(self._cursors) > _CURSORS_MAX:
                self._cursors.popitem(last=False)
        return found

    def window(self, rows: RowFilter, members: Sequence[str], after: int, until: int) -> Any:  # noqa: ANN401 - a frame
        """Return members of the rows between two positions as a frame of polars, None if there are none."""
        pl = library("polars")
        groups = groups_of(self.catalog, rows, after, until)
        if not groups:
            return None
        chosen = [pl.col("position")] + [_member(name) for name in members if name != "position"]
        return frame_of(self.folder, groups, lambda _: rows.predicate(after, until), lambda _: chosen)

    def version(self, stream: str) -> int:
        self._check_open()
        rows = RowFilter(stream=stream)
        for sealed in reversed(self.catalog.ranges):
            found = self.window(rows, ("version",), sealed.first - 1, sealed.last)
            if found is not None and found.height:
                return int(found["version"][-1])
        return 0

    def position_at(self, recorded_at: int) -> int:
        self._check_open()
        ranges = self.catalog.ranges
        index = bisect.bisect_right(ranges, recorded_at, key=lambda sealed: sealed.recorded_first) - 1
        if index < 0:
            return 0
        sealed = ranges[index]
        if recorded_at >= sealed.recorded_last:
            return sealed.last
        pl = library("polars")
        instant = pl.lit(recorded_at, dtype=pl.Int64).cast(pl.Datetime("ns", "UTC"))
        groups = groups_of(self.catalog, RowFilter(), sealed.first - 1, sealed.last)
        chosen = [pl.col("position").max()]
        found = frame_of(self.folder, groups, lambda _: pl.col("recorded_at") <= instant, lambda _: chosen)
        return int(found["position"].max())

    def type_names(self) -> Sequence[str]:
        self._check_open()
        return sorted({name for sealed in self.catalog.ranges for file in sealed.files for name in file.types})

    def wait(self, position: int, timeout: float) -> bool:
        if self.head() > position:
            return True
        time.sleep(timeout)
        return False

    def close(self) -> None:
        self._is_closed = True
        self._cursors.clear()

    def _check_open(self) -> None:
        if self._is_closed:
            msg = f"the archive {self.folder} was closed: open it again"
            raise Closed(msg)

    @override
    def __repr__(self) -> str:
        return f"<ArchiveSource {self.folder} of log {self.log} up to position {self.catalog.head}>"

    def batches(self, selection: Selection, columns: Sequence[Column], exact: Exact) -> Iterator[tuple[int, Any]]:
        """Yield batches of a frame of events, each with the last log position that it covers.

        What a class that has changed since reads in another way is decoded from the events' data; all else comes from
        the typed columns. Rows that a filter of `selection` leaves out may be among them, if its column was decoded.
        """
        self._check_open()
        rows = RowFilter(
            stream=selection.stream, account=selection.account, types=selection.types, occurred=selection.occurred
        )
        for after, until in windows_of(self._ends, selection.after, selection.until):
            groups = groups_of(self.catalog, rows, after, until)
            if groups:
                batch = _Window(self, groups, columns, exact).batch(rows, selection, after, until)
                if batch is not None:
                    yield until, batch


class _Window:
    """The rows of one window as a batch of Arrow's."""

    def __init__(
        self, source: ArchiveSource, groups: dict[Group, list[ArchivedFile]], columns: Sequence[Column], exact: Exact
    ) -> None:
        self._source, self._groups, self._columns, self._exact = source, groups, columns, exact

    def batch(self, rows: RowFilter, selection: Selection, after: int, until: int) -> Any:  # noqa: ANN401 - a batch
        pl = library("polars")
        catalog = self._source.catalog
        plans = {
            group: Plan(self._columns, catalog.layouts[group[0]], files, selection.types, exact=self._exact)
            for group, files in self._groups.items()
        }
        from_data = {name for plan in plans.values() for name in plan.from_data}
        direct = {name for plan in plans.values() for name in plan.direct} - from_data
        taken = [column for column in self._columns if column.name in direct]
        extra = self._extra(from_data)

        def predicate(group: Group) -> Any:  # noqa: ANN401 - an expression
            found = rows.predicate(after, until)
            if selection.symbol is None or _SYMBOL in from_data:
                return found
            symbol = plans[group].direct.get(_SYMBOL)
            return found & (pl.lit(value=False) if symbol is None else symbol == selection.symbol)

        def chosen(group: Group) -> list[Any]:
            plan = plans[group]
            own = [
                plan.direct[column.name] if column.name in plan.direct else null_of(column, self._exact)
                for column in taken
                if column.name != "position" and column.name not in extra
            ]
            return [pl.col("position"), *own, *(_member(name) for name in extra)]

        frame = frame_of(self._source.folder, self._groups, predicate, chosen)
        if frame is None:
            return None
        own = [column for column in taken if column.name not in extra]
        frame, arrays = self._decoded(frame, own, extra, from_data, selection.symbol)
        if arrays is None:
            return None
        for column in self._columns:
            if column.name not in arrays:
                arrays[column.name] = nulls_of(column, frame.height, self._exact)
        schema = arrow_schema(self._columns, self._exact)
        return arrow().RecordBatch.from_arrays([arrays[column.name] for column in self._columns], schema=schema)

    def _decoded(
        self,
        frame: Any,  # noqa: ANN401 - of polars
        taken: list[Column],
        extra: tuple[str, ...],
        from_data: set[str],
        symbol: str | None,
    ) -> tuple[Any, dict[str, Any] | None]:
        """Return a frame's rows with their arrays; without those of other symbols if one of them does not fit."""
        try:
            return frame, self._arrays(frame, taken, extra, from_data)
        except InvalidEvent:
            if symbol is None or _SYMBOL not in from_data:
                raise
            frame = self._of_symbol(frame, symbol)
            return frame, self._arrays(frame, taken, extra, from_data) if frame.height else None

    def _of_symbol(self, frame: Any, symbol: str) -> Any:  # noqa: ANN401 - of polars
        """Return the rows of a frame whose events' data have a symbol."""
        decoder = PageDecoder([column for column in self._columns if column.name == _SYMBOL], TEXT_DECIMALS)
        found = decoder.batch(self._page(frame, decoder.members)).column(_SYMBOL)
        chosen = [text == symbol for text in found.cast(arrow().string()).to_pylist()]
        return frame.filter(library("polars").Series(chosen, dtype=library("polars").Boolean))

    def _extra(self, from_data: set[str]) -> tuple[str, ...]:
        """Return the members of records that are read to decode columns from."""
        if "digest" in from_data:
            return (*(name for name in _MEMBERS if name != "position"), "digest_start")
        return ("type", "schema", "data") if from_data else ()

    def _arrays(
        self,
        frame: Any,  # noqa: ANN401 - of polars
        taken: list[Column],
        extra: tuple[str, ...],
        from_data: set[str],
    ) -> dict[str, Any]:
        arrays = arrays_of(frame, taken, self._exact)
        decoded = [column for column in self._columns if column.name in from_data or column.name in extra]
        if not decoded:
            return arrays
        decoder = PageDecoder(decoded, self._exact)
        page = self._page(frame, decoder.members)
        batch = decoder.batch(page)
        return arrays | dict(zip(batch.schema.names, batch.columns, strict=True))

    def _page(self, frame: Any, members: Sequence[str]) -> list[list[Any]]:  # noqa: ANN401 - of polars
        if "digest" not in members:
            return [frame[name].to_list() for name in ("position", *members)]
        records = self._source.records(frame.select(*_MEMBERS, "digest_start").rows())
        return [[getattr(record, name) for record in records] for name in ("position", *members)]


class _Cursor:
    """Rows that are read page by page: what was read of a window, and how far it was given away."""

    def __init__(self, source: ArchiveSource, members: tuple[str, ...], rows: RowFilter, after: int) -> None:
        self.position = self._loaded = after
        self._source, self._members, self._rows = source, members, rows
        self._size = _FIRST_WINDOW
        self._frame: Any = None
        self._given = 0

    def take(self, limit: int, until: int) -> list[tuple[Any, ...]]:
        """Return the next rows up to a position; fewer than the limit if there are no more."""
        found: list[tuple[Any, ...]] = []
        while len(found) < limit:
            if self._frame is None or self._given >= self._frame.height:
                if self._loaded >= until:
                    break
                self._load()
                continue
            positions = self._frame["position"]
            end = min(int(positions.search_sorted(until, "right")), self._given + limit - len(found))
            if end <= self._given:
                break
            part = self._frame.slice(self._given, end - self._given)
            found += part.select(self._members).rows()
            self._given, self.position = end, int(positions[end - 1])
        if len(found) < limit:
            self.position = until
        return found

    def _load(self) -> None:
        after, ranges = self._loaded, self._source.catalog.ranges
        sealed = ranges[bisect.bisect_right(ranges, after, key=lambda each: each.last)]
        until = min(after + self._size, after + max(_WINDOW_BYTES // sealed.weight, 1), ranges[-1].last)
        self._frame = self._source.window(self._rows, self._members, after, until)
        self._loaded, self._given = until, 0
        self._size = min(self._size * _GROWTH, _LAST_WINDOW)


def _member(name: str) -> Any:  # noqa: ANN401 - an expression of polars'
    """Return a member of records as Python has it: instants as integers, data as bytes."""
    pl = library("polars")
    found = pl.col(name)
    if name in _INSTANTS:
        return found.to_physical()
    return found.cast(pl.Binary) if name == "data" else found


class ArchiveReader(EventReader):
    """Reads an archive alone, with the roots of its ranges: `verify` proves its records by them."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._archive = ArchiveSource(folder)
        super().__init__(self._archive)

    @override
    def _roots(self) -> Mapping[int, str]:
        return {sealed.last: sealed.root for sealed in self._archive.catalog.ranges}


def recognized(path: object) -> ArchiveReader | None:
    """Return a reader of the archive at a path, None where there is none."""
    return ArchiveReader(path) if layout.is_archive(path) else None  # type: ignore[arg-type] # it is a path then


openers.append(recognized)
