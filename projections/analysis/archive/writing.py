"""Writing an archive: days that are over, each as files of its categories, whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import CorruptJournal, EventStore, InvalidEvent, Overloaded, Record, SystemClock, TargetExists
from eventstore.arguments import position_of
from eventstore.clock import NANOSECONDS, duration_ns, utc_date
from eventstore.files import FileLock, publish, temporary
from eventstore.record import Digester
from projections.analysis.archive import layout
from projections.analysis.archive.layout import ArchivedFile, Catalog, FileMetadata, SealedRange
from projections.analysis.archive.typed import DoesNotFit, RecordDecoder, layout_of, schema_of
from projections.analysis.libraries import arrow, library
from projections.analysis.progress import Progress
from projections.analysis.sources import opened

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from datetime import timedelta
    from pathlib import Path
    from typing import Self

    from eventstore import EventReader
    from eventstore.proofs.merkle import Frontier
    from projections.analysis.sources import Source

ROW_GROUP, ROW_GROUP_BYTES = 131_072, 64 << 20
ZSTD_LEVEL = 9
_DAY_NS = 86_400 * NANOSECONDS
_MEMBERS = tuple(name for name in Record.__struct_fields__ if name != "log")
# Positions and times grow by little. What hardly repeats needs no dictionary. Ids would be a tenth smaller if their
# bytes were split (BYTE_STREAM_SPLIT), but polars cannot read that.
_DELTA = ("position", "recorded_at", "occurred_at")
_UNLIKE = ("id", "data", "digest_start")


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """What `archive` did: the positions that it sealed, with how many bytes, and where the archive ends now.

    `first` is 0 if nothing was sealed. `root` is the log's, in hex, when it had `head` records.
    """

    first: int
    last: int
    files: int
    size: int
    head: int
    root: str


def archive(
    store: Source,
    folder: str | os.PathLike[str],
    *,
    older_than: timedelta | int | None = None,
    until: int | None = None,
    progress: bool | None = None,
) -> Archived:
    """Write what a log has of days that are over as Parquet files, and return what was written.

    A file holds the records of one UTC day of `recorded_at` and one category, sorted by log position: the members of
    each record with the stored bytes of its event, and the event's members as typed columns. A day is sealed once it is
    over; today is not, unless `until`, a log position (included), asks for a part of it. `older_than`, a timedelta or
    nanoseconds, seals only days that ended so long ago. What is sealed is never written again; a run that was
    interrupted is completed by the next one, which writes the same files. Nothing is deleted from the log.

    Of its digest, 32 bytes that no compression makes smaller, a record keeps the first four: each reading of a record
    and each check computes it again, so that four bytes name the record that was changed, and the roots prove all of
    them. Positions and instants are stored as differences, texts that repeat by dictionary, everything by zstd: the
    benchmark's records take a tenth of the journal's bytes.

    Raises InvalidEvent for arguments that mean nothing and for the archive of another log, CorruptJournal for a record
    that does not have its digest, TargetExists where another file has the place of one, Overloaded while another
    process writes the archive, StorageFull, ReadOnly and Unavailable for the folder.
    """
    place = layout.folder_of(folder)
    wait = None if older_than is None else duration_ns(older_than)
    last = None if until is None else position_of("until", until)
    with opened(store) as given:
        # An archive is of one log, by its own positions.
        reader = given.alone() if isinstance(given, EventStore) else given
        bound = _bound(reader, wait, last)
        layout.prepare(place)
        lock = FileLock(place / layout.LOCK)
        with layout.translated(place):
            is_taken = lock.take()
        if not is_taken:
            msg = f"another process writes the archive {place}: try again when it is done"
            raise Overloaded(msg)
        try:
            return _Archiver(reader, place).run(bound, progress)
        finally:
            lock.release()


def _bound(reader: EventReader, wait: int | None, until: int | None) -> int:
    """Return the last position that may be sealed: of the days that are over, or `until`."""
    head = reader.head()
    if until is not None and wait is None:
        return min(until, head)
    clock = reader.clock if isinstance(reader, EventStore) else SystemClock()
    today = (clock.now_ns() - (wait or 0)) // _DAY_NS * _DAY_NS
    last = reader.position_before(today)
    return last if until is None else min(last, until)


class _Archiver:
    """Seals one range after the other: a day, or what is still missing of one."""

    def __init__(self, reader: EventReader, folder: Path) -> None:
        self._reader, self._folder = reader, folder
        self._catalog = self._loaded()
        self._tree = self._catalog.frontier
        self._digester = Digester(reader.log_id)

    def _loaded(self) -> Catalog:
        reader, folder = self._reader, self._folder
        for path in layout.left_over(folder):
            path.unlink(missing_ok=True)
        if not (folder / layout.CATALOG).exists():
            return Catalog(format=layout.FORMAT, log=reader.log, log_id=reader.log_id.hex())
        catalog = layout.load(folder)
        if catalog.log_id != reader.log_id.hex():
            msg = f"{folder} is the archive of another log, {catalog.log}: give log {reader.log} a folder of its own"
            raise InvalidEvent(msg)
        if isinstance(reader, EventStore) and 0 < catalog.head <= reader.head():
            _check_root(reader, catalog.head, catalog.ranges[-1].root)
        return catalog

    def run(self, bound: int, progress: bool | None) -> Archived:  # noqa: FBT001 - as `archive` has it
        first = self._catalog.head + 1
        before = len(self._catalog.ranges)
        if not self._catalog.ranges:
            layout.save(self._folder, self._catalog)
        with Progress(max(bound - first + 1, 0), progress) as shown:
            while self._catalog.head < bound:
                start = self._catalog.head + 1
                day, last = self._next(start, bound)
                self._seal(day, start, last, lambda position: shown.at(position - first + 1))
        ranges = self._catalog.ranges[before:]
        files = [file for sealed in ranges for file in sealed.files]
        return Archived(
            first=ranges[0].first if ranges else 0,
            last=ranges[-1].last if ranges else 0,
            files=len(files),
            size=sum(file.size for file in files),
            head=self._catalog.head,
            root=self._tree.root().hex(),
        )

    def _next(self, first: int, bound: int) -> tuple[str, int]:
        """Return the day of a position, and the last position to seal of it: where an interrupted run meant to end."""
        record = next(self._reader.read(after=first - 1, limit=1))
        day_end = (record.recorded_at // _DAY_NS + 1) * _DAY_NS
        day = utc_date(record.recorded_at).isoformat()
        begun = layout.unsealed_end(self._folder, self._reader.log_id, day, first)
        last = min(self._reader.position_before(day_end), bound)
        return day, last if begun is None else min(begun, self._reader.head())

    def _seal(self, day: str, first: int, last: int, done: Callable[[int], None]) -> None:
        types = self._types_of(first, last)
        as_text = dict.fromkeys(types, frozenset[str]())
        while True:
            with contextlib.ExitStack() as files, layout.translated(self._folder):
                writers = {}
                for category, names in types.items():
                    columns = layout_of(category, names, as_text[category])
                    writers[category] = files.enter_context(_FileWriter(self._folder, category, day, first, columns))
                try:
                    times, tree = self._write(first, last, writers, done)
                except _Refused as e:
                    as_text[e.category] |= e.names
                    continue
                self._publish(day, (first, last), times, tree, writers)
                return

    def _types_of(self, first: int, last: int) -> dict[str, set[str]]:
        """Return the categories of a range, each with its types."""
        found: dict[str, set[str]] = {}
        for page in self._reader.rows(("stream", "type"), after=first - 1, until=last):
            for _, stream, type_ in page:
                found.setdefault(stream.partition("/")[0], set()).add(type_)
        return dict(sorted(found.items()))

    def _write(
        self, first: int, last: int, writers: dict[str, _FileWriter], done: Callable[[int], None]
    ) -> tuple[tuple[int, int], Frontier]:
        """Write a range's records; return when the first and the last were recorded, and the tree with them."""
        tree = self._tree.copy()
        times: list[int] = []
        after = first - 1
        for page in self._reader.rows(_MEMBERS, after=after, until=last):
            parts: dict[str, list[Record]] = {}
            for position, *values in page:
                record = Record(*values, self._reader.log)  # type: ignore[call-arg] # in the order of its members
                after += 1
                if position != after or not self._digester.is_sound(record):
                    what = "the record is missing" if position != after else "the record does not have its digest"
                    raise CorruptJournal(after, what)
                parts.setdefault(record.category, []).append(record)
            tree.grow([row[-1] for row in page])
            times += [page[0][_MEMBERS.index("recorded_at") + 1], page[-1][_MEMBERS.index("recorded_at") + 1]]
            for category, records in parts.items():
                writers[category].add(records)
            done(after)
        if after != last:
            raise CorruptJournal(after + 1, "the record is missing")
        if isinstance(self._reader, EventStore):
            _check_root(self._reader, last, tree.root().hex())
        return (times[0], times[-1]), tree

    def _publish(
        self, day: str, bounds: tuple[int, int], times: tuple[int, int], tree: Frontier, writers: dict[str, _FileWriter]
    ) -> None:
        catalog, root = self._catalog, tree.root().hex()
        counts = {category: writer.count for category, writer in writers.items()}
        common = {
            "format": layout.FORMAT, "log": self._reader.log, "log_id": self._reader.log_id.hex(), "day": day,
            "range_first": bounds[0], "range_last": bounds[1], "tree_size": bounds[1], "root": root,
            "categories": counts,
        }  # fmt: skip
        files = tuple(writer.close(common) for writer in writers.values())
        sealed = SealedRange(
            day=day,
            first=bounds[0],
            last=bounds[1],
            recorded_first=times[0],
            recorded_last=times[1],
            root=root,
            files=files,
        )
        layouts = {file.layout: writer.layout for file, writer in zip(files, writers.values(), strict=True)}
        self._catalog = msgspec.structs.replace(
            catalog,
            tree=tree.to_bytes().hex(),
            ranges=(*catalog.ranges, sealed),
            layouts=catalog.layouts | layouts,
        )
        layout.save(self._folder, self._catalog)
        self._tree = tree


def _check_root(store: EventStore, size: int, root: str) -> None:
    if store.root(size)[1].hex() != root:
        what = f"the log's first {size} records have another root than those of its archive: one of them was changed"
        raise CorruptJournal(size, what)


class _Refused(Exception):
    """A file has to be begun again, some of its columns as text."""

    def __init__(self, category: str, names: frozenset[str]) -> None:
        self.category, self.names = category, names
        super().__init__(category)


class _FileWriter:
    """One file, written under a temporary name, a row group at a time."""

    def __init__(
        self, folder: Path, category: str, day: str, first: int, columns: tuple[layout.FileColumn, ...]
    ) -> None:
        self.layout, self.count = columns, 0
        self._folder, self._category = folder, category
        self._path = layout.file_path(category, day, first)
        self._target = folder / self._path
        self._decoder = RecordDecoder(columns)
        self._waiting: list[Any] = []
        self._rows = self._data_size = self._waiting_size = 0
        self._groups: list[int] = []
        self._positions: list[int] = []
        self._filled = [False] * len(columns)
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Self:
        layout.prepare(self._target.parent)
        self._temporary = self._exit.enter_context(temporary(self._target))
        schema = schema_of(self.layout)
        plain = {*_DELTA, *_UNLIKE}
        self._writer = library("pyarrow.parquet").ParquetWriter(
            str(self._temporary),
            schema,
            compression="zstd",
            compression_level=ZSTD_LEVEL,
            use_dictionary=[name for name in schema.names if name not in plain],
            column_encoding=dict.fromkeys(_DELTA, "DELTA_BINARY_PACKED"),
            write_page_checksum=True,
            store_schema=False,
        )
        self._exit.callback(self._writer.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def add(self, records: list[Record]) -> None:
        """Add records; raise _Refused where a column has to be text."""
        try:
            table = self._decoder.table(records)
        except DoesNotFit as e:
            raise _Refused(self._category, e.names) from e
        self._waiting.append(table)
        for index, column in enumerate(self.layout):
            self._filled[index] |= table.column(column.name).null_count < table.num_rows
        self._positions = [*self._positions[:1], records[0].position, records[-1].position]
        self._rows += len(records)
        self.count += len(records)
        size = sum([len(record.data) for record in records])
        self._data_size += size
        self._waiting_size += size
        while self._rows >= ROW_GROUP:
            self._flush(ROW_GROUP)
        if self._waiting_size >= ROW_GROUP_BYTES and self._rows:
            self._flush(self._rows)

    def _flush(self, rows: int) -> None:
        table = arrow().concat_tables(self._waiting)
        self._writer.write_table(table.slice(0, rows), row_group_size=ROW_GROUP)
        self._groups.append(table.column("position")[rows - 1].as_py())
        self._waiting = [table.slice(rows)]
        self._rows -= rows
        # What is left of a page counts for nothing: it is one page at most.
        self._waiting_size = 0

    def close(self, common: dict[str, Any]) -> ArchivedFile:
        """Complete the file and give it its name; raise TargetExists if another one has it."""
        if self._rows:
            self._flush(self._rows)
        types = self._decoder.types()
        first, last = self._positions[0], self._positions[-1]
        said = FileMetadata(
            **common,
            category=self._category,
            first=first,
            last=last,
            count=self.count,
            types=types,
            columns=self.layout,
        )
        self._writer.add_key_value_metadata({layout.METADATA: msgspec.json.encode(said)})
        self._writer.close()
        path = self._published()
        return ArchivedFile(
            path=self._path,
            category=self._category,
            first=first,
            last=last,
            count=self.count,
            size=path.stat().st_size,
            data_size=self._data_size,
            sha256=layout.digest_of(path),
            footer=layout.footer_of(path),
            layout=_name_of(self.layout),
            types=types,
            groups=tuple(self._groups),
            filled="".join("01"[is_filled] for is_filled in self._filled),
        )

    def _published(self) -> Path:
        """Publish the file, unless an interrupted run did, with the same content."""
        try:
            publish(self._temporary, self._target)
        except TargetExists:
            if layout.digest_of(self._target) != layout.digest_of(self._temporary):
                msg = f"{self._target} is not a file of this archive, and has the place of one: move it away"
                raise TargetExists(msg) from None
        return self._target


def _name_of(columns: tuple[layout.FileColumn, ...]) -> str:
    return hashlib.sha256(msgspec.json.encode(columns)).hexdigest()[:16]
