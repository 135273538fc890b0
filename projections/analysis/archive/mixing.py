"""A log and its archive as one: what is archived comes from the archive, the rest from the journal or InfluxDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import override

import eventstore
from eventstore import CorruptJournal, EventReader, EventStore, InvalidEvent
from eventstore.errors import shown
from eventstore.journal import ColumnSource
from projections.analysis.archive.source import ArchiveSource

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from eventstore import Record
    from eventstore.journal import MissingTail, Query
    from eventstore.journal import Source as RecordSource
    from projections.analysis.columns import Column, Exact
    from projections.analysis.sources import Selection, Source


class ArchivedSource:
    """Reads each position once: up to the archive's end from the archive, past it from another source of the log."""

    def __init__(self, archive: ArchiveSource, reader: EventReader) -> None:
        self._archive, self._reader = archive, reader
        # The reader's own source, because a page of a query is asked for, not an iterator.
        self._rest: RecordSource = reader._source  # noqa: SLF001 - readers have no public name for it
        self.log, self.log_id, self.page = reader.log, reader.log_id, self._rest.page

    @property
    def archive(self) -> ArchiveSource:
        """The archive that comes first."""
        return self._archive

    @property
    def typed_until(self) -> int:
        """The last position that `batches` gives."""
        return self._archive.typed_until

    def batches(self, selection: Selection, columns: Sequence[Column], exact: Exact) -> Iterator[tuple[int, Any]]:
        return self._archive.batches(selection, columns, exact)

    def read(self, query: Query, /) -> Sequence[Record]:
        self._check_open()
        found = list(self._archive.read(query)) if query.after < self.typed_until else []
        rest = self._after_archive(query, len(found))
        return [*found, *self._rest.read(rest)] if rest is not None else found

    def columns(self, query: Query, members: Sequence[str], /) -> list[list[Any]]:
        self._check_open()
        found = self._archive.columns(query, members) if query.after < self.typed_until else [[] for _ in members]
        rest = self._after_archive(query, len(found[0]))
        if rest is None:
            return found
        if isinstance(self._rest, ColumnSource):
            more = self._rest.columns(rest, members)
        else:
            records = self._records(rest)
            more = [[getattr(record, name) for record in records] for name in members]
        return [[*one, *other] for one, other in zip(found, more, strict=True)]

    def _records(self, query: Query) -> list[Record]:
        """Return the records of a query that may ask for more than the source's pages have."""
        records: list[Record] = []
        while len(records) < query.limit:
            size = min(query.limit - len(records), self._rest.page)
            after = records[-1].position if records else query.after
            page = self._rest.read(msgspec.structs.replace(query, after=after, limit=size))
            records += page
            if len(page) < size:
                break
        return records

    def _after_archive(self, query: Query, count: int) -> Query | None:
        """Return what is left of a query once the archive gave so many records; None if nothing is."""
        end = self.typed_until
        if count >= query.limit or (query.until is not None and query.until <= end):
            return None
        return msgspec.structs.replace(query, after=max(query.after, end), limit=query.limit - count)

    def head(self) -> int:
        self._check_open()
        return max(self._reader.head(), self.typed_until)

    def version(self, stream: str) -> int:
        self._check_open()
        return self._reader.version(stream) or self._archive.version(stream)

    def position_at(self, recorded_at: int) -> int:
        found = self._archive.position_at(recorded_at)
        return found if found < self.typed_until else max(found, self._rest.position_at(recorded_at))

    def type_names(self) -> Sequence[str]:
        self._check_open()
        return sorted({*self._archive.type_names(), *self._reader.types()})

    def wait(self, position: int, timeout: float) -> bool:
        self._check_open()
        return self.typed_until > position or self._rest.wait(position, timeout)

    def close(self) -> None:
        self._archive.close()

    def _check_open(self) -> None:
        # A closed archive says so; the store may be open all the same.
        self._archive.head()

    @override
    def __repr__(self) -> str:
        return f"<{self._archive!r}, then {self._reader!r}>"


class ArchivedReader(EventReader):
    """Reads a log with the help of its archive; `with_archive` gives it."""

    def __init__(self, archive: ArchiveSource, reader: EventReader, *, closing: bool) -> None:
        self._roots_by_size = {sealed.last: sealed.root for sealed in archive.catalog.ranges}
        self._reader, self._closing = reader, closing
        super().__init__(ArchivedSource(archive, reader))

    @property
    @override
    def missing_tail(self) -> MissingTail | None:
        return self._reader.missing_tail

    @override
    def _roots(self) -> Mapping[int, str]:
        return self._roots_by_size

    @override
    def close(self) -> None:
        super().close()
        if self._closing:
            self._reader.close()


def with_archive(store: Source, folder: str | os.PathLike[str]) -> ArchivedReader:
    """Return a reader of a log that takes what is archived from its archive, and the rest from the store.

    Whatever takes a store takes it: frames, SQL, `projections.as_of`. Each position is read once, and every frame is
    the same as from the store alone. A path is opened, and closed with the reader; a store that is given stays open.

    Raises InvalidEvent for the archive of another log, CorruptJournal where a journal has another root than it.
    """
    archive = ArchiveSource(folder)
    if isinstance(store, EventReader):
        _check_same(archive, store)
        return ArchivedReader(archive, store, closing=False)
    reader = eventstore.open(store, read_only=True)
    try:
        _check_same(archive, reader)
    except BaseException:
        reader.close()
        raise
    return ArchivedReader(archive, reader, closing=True)


def _check_same(archive: ArchiveSource, reader: EventReader) -> None:
    catalog = archive.catalog
    if archive.log_id != reader.log_id:
        msg = f"{archive.folder} is the archive of another log, {shown(catalog.log)}: give that of log {reader.log}"
        raise InvalidEvent(msg)
    if isinstance(reader, EventStore) and reader.chain is not None:
        msg = f"log {reader.log} continues another one, and its archive has positions of its own: read the store alone"
        raise InvalidEvent(msg)
    if isinstance(reader, EventStore) and 0 < catalog.head <= reader.head():
        root = reader.root(catalog.head)[1].hex()
        if root != catalog.ranges[-1].root:
            what = f"the log's first {catalog.head} records have another root than those of its archive"
            raise CorruptJournal(catalog.head, f"{what}: check both, eventstore verify and eventstore archive --check")
