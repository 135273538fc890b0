"""Planned events of one file in a temporary file, so that a long import takes no memory."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import apsw
import msgspec
from typing_extensions import override

from eventstore.batch import EncodedEvent
from eventstore.errors import StorageFull, Unavailable
from eventstore.events import decode, encode
from eventstore.ids import keyed_id
from gateways.importers.base import PlannedEvent
from gateways.importers.places_of_ids import PlacesOfIds

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE_KIB = 65_536
READING_CACHE_KIB = 4_096
BATCH = 1_000
"""How many events are written, and read, at once."""
_TABLES = """
CREATE TABLE staged (
  place INTEGER PRIMARY KEY, id BLOB NOT NULL, latest INTEGER NOT NULL, row INTEGER NOT NULL,
  occurred_at INTEGER NOT NULL, line INTEGER NOT NULL, stream TEXT NOT NULL, key TEXT NOT NULL,
  type TEXT NOT NULL, schema INTEGER NOT NULL, reported TEXT, data BLOB NOT NULL
) STRICT;
CREATE TABLE ordered (number INTEGER PRIMARY KEY, staged INTEGER NOT NULL) STRICT;
"""
_INSERT = f"INSERT INTO staged VALUES ({', '.join('?' * 12)})"  # noqa: S608 - question marks
_FIND = "SELECT type, schema, data, line FROM staged WHERE place = ? AND id = ?"
_SORT = "INSERT INTO ordered (staged) SELECT place FROM staged ORDER BY latest, row, place"
_SORT_NEWEST_FIRST = _SORT.replace("row", "-row")
_READ = "SELECT {} FROM staged WHERE place > ? AND place <= ? ORDER BY place"
_READ_SORTED = """
SELECT {} FROM ordered CROSS JOIN staged ON place = staged WHERE number > ? AND number <= ? ORDER BY number
"""
_PLANNED = "type, schema, data, line, stream, key, occurred_at, reported"
_ENCODED = "line, stream, key, occurred_at, id, type, schema, data"


class StagedEvent(NamedTuple):
    """An event as it is stored, with the line that it is from."""

    type: str
    schema: int
    data: bytes
    line: int


class EncodedItem(msgspec.Struct, frozen=True, gc=False):
    """A planned event as it was encoded, with its id."""

    line: int
    stream: str
    key: str
    occurred_at: int
    event: EncodedEvent


class Staging(Sequence[PlannedEvent]):
    """The events of a file: looked up by id while they are added, then read in the order in which they are appended.

    They are in a temporary file of SQLite's that no name leads to: it is gone when this is closed or the process ends,
    however it ends. Raises StorageFull where there is no room for it. Only one thread may use it.
    """

    def __init__(self) -> None:
        self._count = 0
        # What is added in order needs no sorting.
        self._last = (0, 0)
        self._is_in_order = True
        self._reading: str | None = None
        # An index of SQLite's would cost each event as much again: ids come in no order, and most are new.
        self._places = PlacesOfIds()
        self._waiting: dict[bytes, tuple[StagedEvent, tuple[object, ...]]] = {}
        with _translated():
            # Without a name, SQLite creates a temporary file, and removes its name at once.
            self._connection = apsw.Connection("")
            for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KIB}"):
                self._connection.execute(f"PRAGMA {pragma}").fetchall()
            self._connection.execute(_TABLES).fetchall()
            self._connection.execute("BEGIN")

    def find(self, id_: bytes) -> StagedEvent | None:
        """Return the event that has been added with an id."""
        places = self._places.may_be_at(id_)
        if not places:
            return None
        if id_ in self._waiting:
            return self._waiting[id_][0]
        found = next((rows[0] for place in places if (rows := self._rows(_FIND, place, id_))), None)
        return None if found is None else StagedEvent(*found)

    def add(self, id_: bytes, item: PlannedEvent, stored: StagedEvent, *, latest: int, row: int) -> None:
        """Add an event that has not been added, to be sorted by `latest` and then by `row`."""
        assert self._reading is None, "what is added after the sorting would have no place"
        self._is_in_order = self._is_in_order and self._last <= (latest, row)
        self._last = (latest, row)
        self._count += 1
        self._places.add(id_, self._count)
        reported = None if item.reported is None else str(item.reported)
        self._waiting[id_] = stored, (
            self._count, id_, latest, row, item.occurred_at, item.line, item.stream, item.key,
            stored.type, stored.schema, reported, stored.data,
        )  # fmt: skip
        if len(self._waiting) >= BATCH:
            self._write()

    def sort(self, *, is_newest_first: bool) -> None:
        """Sort what was added, by time and then by row; with `is_newest_first`, by row from the last one to the first.

        The events of one row stay as they were added.
        """
        self._write()
        with _translated():
            if is_newest_first or not self._is_in_order:
                self._connection.execute(_SORT_NEWEST_FIRST if is_newest_first else _SORT)
                self._reading = _READ_SORTED
            else:
                self._reading = _READ
            self._connection.execute("COMMIT")
            # Nothing is looked up any more: what follows is read in order, and once.
            self._connection.execute(f"PRAGMA cache_size = -{READING_CACHE_KIB}").fetchall()
            self._connection.execute("PRAGMA shrink_memory").fetchall()
        self._places = PlacesOfIds()

    def close(self) -> None:
        """Give up the events and their file."""
        self._connection.close()

    def encoded(self) -> Iterator[EncodedItem]:
        """Yield the events in their order, without decoding what was encoded when it was added."""
        for start in range(0, self._count, BATCH):
            rows = self._in_order(_ENCODED, start, start + BATCH)
            for line, stream, key, occurred_at, id_, type_, schema, data in rows:
                yield EncodedItem(line, stream, key, occurred_at, EncodedEvent(id_, type_, schema, data))

    @override
    def __len__(self) -> int:
        return self._count

    @override
    def __iter__(self) -> Iterator[PlannedEvent]:
        for start in range(0, self._count, BATCH):
            yield from self._read(start, start + BATCH)

    @overload
    def __getitem__(self, index: int) -> PlannedEvent: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[PlannedEvent]: ...

    @override
    def __getitem__(self, index: int | slice) -> PlannedEvent | Sequence[PlannedEvent]:
        if isinstance(index, slice):
            start, stop, step = index.indices(self._count)
            return self._read(start, stop)[::step] if step > 0 else [self[place] for place in range(start, stop, step)]
        place = range(self._count)[index]
        return self._read(place, place + 1)[0]

    def _write(self) -> None:
        rows = [row for _, row in self._waiting.values()]
        with _translated():
            self._connection.executemany(_INSERT, rows)
        self._waiting = {}

    def _read(self, start: int, stop: int) -> list[PlannedEvent]:
        return [
            PlannedEvent(
                stream=stream,
                event=decode(StagedEvent(type_, schema, data, line)),
                key=key,
                occurred_at=occurred_at,
                line=line,
                reported=None if reported is None else Decimal(reported),
            )
            for type_, schema, data, line, stream, key, occurred_at, reported in self._in_order(_PLANNED, start, stop)
        ]

    def _in_order(self, columns: str, start: int, stop: int) -> list[Any]:
        assert self._reading is not None, "events are read after the sorting"
        return self._rows(self._reading.format(columns), start, stop)

    def _rows(self, sql: str, *values: int | bytes) -> list[Any]:
        with _translated():
            return self._connection.execute(sql, values).fetchall()


def encoded_item(item: PlannedEvent) -> EncodedItem:
    """Return a planned event as it is appended."""
    kind, data = encode(item.event)
    event = EncodedEvent(keyed_id(item.stream, item.key), kind.name, kind.schema, data)
    return EncodedItem(item.line, item.stream, item.key, item.occurred_at, event)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except apsw.FullError as e:
        msg = f"no room for the temporary file of an import ({e}): make room, or name another folder in SQLITE_TMPDIR"
        raise StorageFull(msg) from e
    except (apsw.IOError, apsw.CantOpenError) as e:
        msg = f"the temporary file of an import cannot be used ({e}): name another folder in SQLITE_TMPDIR"
        raise Unavailable(msg) from e
