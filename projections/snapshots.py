"""Snapshots: cuts through all views at one position, in a file of their own; a cache of the fold, never a source."""

from __future__ import annotations

import hashlib
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import msgspec
from typing_extensions import override

from eventstore import StorageFull, Unavailable

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from eventstore import EventReader
    from projections.fold import Fold
    from projections.view import View

FORMAT = 1
CUTS_KEPT = 64
_LEVEL = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cut (
  position INTEGER PRIMARY KEY, log_id BLOB NOT NULL, digest BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS part (
  position INTEGER NOT NULL, view TEXT NOT NULL, revision INTEGER NOT NULL, fingerprint BLOB NOT NULL,
  PRIMARY KEY (position, view)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (
  view TEXT NOT NULL, partition TEXT NOT NULL, position INTEGER NOT NULL, data BLOB NOT NULL, digest BLOB NOT NULL,
  PRIMARY KEY (view, partition, position)
) STRICT, WITHOUT ROWID;
"""


class SnapshotWarning(UserWarning):
    """A snapshot is damaged, older or of another log: it was passed over, and the log is folded instead."""


class Loaded(msgspec.Struct):
    """A view's states, by partition, as of a position; 0 where no cut could be used."""

    position: int
    states: dict[str, Any]


class Snapshots:
    """A file of cuts. Raises Unavailable or StorageFull where the file cannot be used."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._connection = self._open()
        except (apsw.NotADBError, apsw.CorruptError) as e:
            # A cache may be thrown away, but not silently, and not without keeping what was there.
            aside = self.path.with_name(self.path.name + ".damaged")
            self.path.replace(aside)
            warnings.warn(f"{self.path} is damaged ({e}); kept as {aside}, begun anew", SnapshotWarning, stacklevel=2)
            self._connection = self._open()

    def _open(self) -> apsw.Connection:
        try:
            connection = apsw.Connection(str(self.path))
            connection.set_busy_timeout(5_000)
            connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA trusted_schema = OFF")
            found = connection.execute("PRAGMA user_version").get
            if found not in {0, FORMAT}:
                # Of another format: a cache of no use here.
                connection.execute("DROP TABLE IF EXISTS cut; DROP TABLE IF EXISTS part; DROP TABLE IF EXISTS state")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute(_SCHEMA)
        except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.IOError, apsw.BusyError) as e:
            msg = f"{self.path} cannot hold snapshots ({e}): give another path, or snapshots=False"
            raise Unavailable(msg) from e
        return connection

    def save(self, fold: Fold, reader: EventReader, *, leave_out: Collection[str] = ()) -> bool:
        """Write a cut at the fold's position with the states that changed since the last; tell whether one was due.

        A view with a parked partition is left out, as those named are: its state there is not a fold of the log.
        """
        digest = _digest_at(reader, fold.position)
        if digest is None:
            return False
        slots = [slot for name, slot in fold.slots.items() if not slot.parked and name not in leave_out]
        rows = []
        for slot in slots:
            for partition in slot.changed:
                data = zstd.compress(msgspec.msgpack.encode(slot.states[partition]), _LEVEL)
                rows.append((slot.view.name, partition, fold.position, data, hashlib.sha256(data).digest()))
        parts = [(fold.position, s.view.name, s.view.revision, fingerprint(s.view)) for s in slots]
        try:
            with self._connection:
                self._connection.execute(
                    "INSERT OR REPLACE INTO cut VALUES (?, ?, ?)", (fold.position, reader.log_id, digest)
                )
                self._connection.executemany("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?)", parts)
                self._connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?)", rows)
                self._thin()
        except apsw.FullError as e:
            msg = f"no room for a snapshot in {self.path}: make room; the log itself is not touched by this"
            raise StorageFull(msg) from e
        for slot in slots:
            slot.changed.clear()
        return True

    def load(
        self,
        view: View[Any],
        reader: EventReader,
        *,
        until: int,
        partitions: Sequence[str] | None = None,
    ) -> Loaded:
        """Return a view's states from the newest cut at or before `until` that can be believed."""
        wanted = (view.revision, fingerprint(view))
        sql = (
            "SELECT c.position, c.log_id, c.digest, p.revision, p.fingerprint FROM cut c JOIN part p USING (position) "
            "WHERE p.view = ? AND c.position <= ? ORDER BY c.position DESC"
        )
        warned = False
        rows: list[Any] = self._connection.execute(sql, (view.name, until)).fetchall()
        for position, log_id, digest, *found in rows:
            problem = None
            if log_id != reader.log_id or digest != _digest_at(reader, position):
                problem = "is of another log"
            elif tuple(found) != wanted:
                problem = f"was made by revision {found[0]} of the view, this is {view.revision}, or by another state"
            else:
                try:
                    return Loaded(position, dict(self._states(view, position, partitions)))
                except _DamagedError as e:
                    problem = f"is damaged ({e})"
            if not warned:
                warned = True
                text = f"the snapshot of {view.name} at {position} {problem}: passed over"
                warnings.warn(text, SnapshotWarning, stacklevel=2)
        return Loaded(0, {})

    def _states(self, view: View[Any], position: int, partitions: Sequence[str] | None) -> Iterator[tuple[str, Any]]:
        decoder = msgspec.msgpack.Decoder(type(view.initial()))
        narrowed = "" if partitions is None else f"AND partition IN ({', '.join('?' * len(partitions))})"
        # With a bare column beside max(), SQLite takes it from the row that has the maximum.
        sql = (
            f"SELECT partition, max(position), data, digest FROM state "  # noqa: S608 - no user's text
            f"WHERE view = ? AND position <= ? {narrowed} GROUP BY partition"
        )
        for partition, _, data, digest in self._connection.execute(sql, (view.name, position, *(partitions or ()))):
            if hashlib.sha256(data).digest() != digest:
                msg = f"the state of {partition} does not have its digest"
                raise _DamagedError(msg)
            try:
                yield partition, decoder.decode(zstd.decompress(data))
            except (zstd.ZstdError, msgspec.MsgspecError) as e:
                raise _DamagedError(str(e)) from e

    def cuts(self) -> list[int]:
        """Return the positions of the cuts, oldest first."""
        return [int(row[0]) for row in self._connection.execute("SELECT position FROM cut ORDER BY position")]

    def _thin(self) -> None:
        """Keep a bounded number of cuts: of too many, the one that leaves the smallest hole goes."""
        cuts = self.cuts()
        while len(cuts) > CUTS_KEPT:
            # The newest is where a restart begins, so it always stays; older cuts may lie wider apart.
            index = min(range(1, len(cuts) - 1), key=lambda i: (cuts[i + 1] - cuts[i - 1]) * (i + 1))
            gone = cuts.pop(index)
            self._connection.execute("DELETE FROM cut WHERE position = ?", (gone,))
            self._connection.execute("DELETE FROM part WHERE position = ?", (gone,))
            # A state stays as long as it is the newest of its partition for some cut.
            following = cuts[index]
            self._connection.execute(
                "DELETE FROM state AS s WHERE position = ? AND EXISTS (SELECT 1 FROM state n WHERE n.view = s.view "
                "AND n.partition = s.partition AND n.position > s.position AND n.position <= ?)",
                (gone, following),
            )

    def close(self) -> None:
        self._connection.close()

    @override
    def __repr__(self) -> str:
        return f"<Snapshots in {self.path}, cuts at {self.cuts()[-3:]}>"


class _DamagedError(Exception):
    """A state cannot be believed."""


def fingerprint(view: View[Any]) -> bytes:
    """Return a digest of the shape of a view's state: another shape is another state, whatever its revision says."""
    schema = msgspec.json.schema(type(view.initial()))
    return hashlib.sha256(msgspec.json.encode(schema, order="deterministic")).digest()


def _digest_at(reader: EventReader, position: int) -> bytes | None:
    for record in reader.read(after=position - 1, until=position) if position else ():
        return record.digest
    return None
