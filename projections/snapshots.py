"""Snapshots: cuts through all views at one position, in a file of their own; a cache of the fold, never a source."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import warnings
from typing import TYPE_CHECKING, Any

import apsw
import msgspec
from typing_extensions import override

from eventstore import StorageFull, StoreError, Unavailable
from eventstore.locations import local_path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from eventstore import EventReader
    from projections.fold import Fold, Slot
    from projections.view import View

FORMAT = 1
CUTS_KEPT = 64
_LEVEL = 1

# `lineage` tells logs, revisions and shapes of state apart: what one wrote, another never reads. A cut that was
# thinned out stays, not `kept`, while a state of it is still the newest of its partition for a later cut.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS cut (
  log_id BLOB NOT NULL, position INTEGER NOT NULL, digest BLOB NOT NULL, kept INTEGER NOT NULL,
  PRIMARY KEY (log_id, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS part (
  view TEXT NOT NULL, lineage BLOB NOT NULL, position INTEGER NOT NULL, revision INTEGER NOT NULL, seal BLOB NOT NULL,
  PRIMARY KEY (view, lineage, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (
  view TEXT NOT NULL, lineage BLOB NOT NULL, partition TEXT NOT NULL, position INTEGER NOT NULL,
  data BLOB NOT NULL, digest BLOB NOT NULL,
  PRIMARY KEY (view, lineage, partition, position)
) STRICT, WITHOUT ROWID;
"""
# The newest state of each partition as of a cut, out of the cuts of this very history. With a bare column beside
# max(), SQLite takes it from the row that has the maximum.
_NEWEST = (
    "SELECT partition, max(position), digest FROM state WHERE view = ? AND lineage = ? AND position <= ? "
    "AND position IN (SELECT value FROM json_each(?)) GROUP BY partition ORDER BY partition"
)
_NEEDLESS = (
    "DELETE FROM state AS s WHERE substr(s.lineage, 1, 16) = ?1 AND EXISTS ("
    "SELECT 1 FROM state n WHERE n.view = s.view AND n.lineage = s.lineage "
    "AND n.partition = s.partition AND n.position > s.position AND n.position <= "
    "(SELECT min(c.position) FROM cut c WHERE c.kept AND c.log_id = ?1 AND c.position >= s.position))"
)


class SnapshotWarning(UserWarning):
    """A snapshot is damaged, older or of another log: it was passed over, and the log is folded instead."""


class Loaded(msgspec.Struct):
    """A view's states, by partition, as of a position; 0 where no cut could be used."""

    position: int
    states: dict[str, Any]


class Snapshots:
    """A file of cuts. Raises Unavailable or StorageFull where the file cannot be used."""

    def __init__(self, path: str | Path) -> None:
        self.path = local_path(path, "the snapshots' file")
        try:
            self._connection = self._open()
        except apsw.Error as e:
            if isinstance(e, apsw.CantOpenError | apsw.ReadOnlyError | apsw.IOError | apsw.BusyError):
                msg = f"{self.path} cannot hold snapshots ({e}): give another path, or snapshots=False"
                raise Unavailable(msg) from e
            self._begin_anew(e)

    def _open(self) -> apsw.Connection:
        connection = apsw.Connection(str(self.path))
        try:
            connection.set_busy_timeout(5_000)
            connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA trusted_schema = OFF")
            if connection.execute("PRAGMA user_version").get not in {0, FORMAT}:
                # Of another format: a cache of no use here.
                connection.execute("DROP TABLE IF EXISTS cut; DROP TABLE IF EXISTS part; DROP TABLE IF EXISTS state")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin_anew(self, why: apsw.Error) -> None:
        """A cache may be thrown away, but not silently, and not without keeping what was there."""
        aside = self.path.with_name(self.path.name + ".damaged")
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        if self.path.exists():
            self.path.replace(aside)
        warnings.warn(f"{self.path} is damaged ({why}); kept as {aside}, begun anew", SnapshotWarning, stacklevel=3)
        self._connection = self._open()

    def save(self, fold: Fold, reader: EventReader, *, leave_out: Collection[str] = ()) -> bool:
        """Write a cut at the fold's position with the states that changed since the last; tell whether one was due.

        A view with a parked partition is left out, as those named are: its state there is not a fold of the log.
        Raises Unavailable while another process writes, StorageFull.
        """
        digest = _digest_at(reader, fold.position)
        if digest is None:
            return False
        slots = [slot for name, slot in fold.slots.items() if not slot.parked and name not in leave_out]
        try:
            with self._written():
                history = self._history(reader, forget=True)
                if history and history[-1] > fold.position:
                    # Another process has gone further: its thinning counted on no cut before its own.
                    return False
                cut = (reader.log_id, fold.position, digest)
                self._connection.execute("INSERT OR REPLACE INTO cut VALUES (?, ?, ?, 1)", cut)
                for slot in slots:
                    self._save_part(slot, reader.log_id, fold.position, [*history, fold.position])
                self._thin(reader.log_id)
        except (apsw.CorruptError, apsw.NotADBError) as e:
            self._begin_anew(e)
            return False
        except apsw.FullError as e:
            msg = f"no room for a snapshot in {self.path}: make room; the log itself is not touched by this"
            raise StorageFull(msg) from e
        except (apsw.BusyError, apsw.IOError, apsw.ReadOnlyError) as e:
            msg = f"no snapshot could be written to {self.path} ({e}): the next one holds everything"
            raise Unavailable(msg) from e
        for slot in slots:
            slot.changed.clear()
        return True

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        # Immediate: a transaction that reads first could not write after another process has.
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _save_part(self, slot: Slot, log_id: bytes, position: int, history: list[int]) -> None:
        view, lineage = slot.view, lineage_of(slot.view, log_id)
        rows = []
        for partition in slot.changed:
            data = zstd.compress(msgspec.msgpack.encode(slot.states[partition]), _LEVEL)
            rows.append((view.name, lineage, partition, position, data, hashlib.sha256(data).digest()))
        self._connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?, ?)", rows)
        seal = self._seal(view.name, lineage, position, history)[0]
        part = (view.name, lineage, position, view.revision, seal)
        self._connection.execute("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?)", part)

    def _seal(self, view: str, lineage: bytes, position: int, history: list[int]) -> tuple[bytes, list[Any]]:
        """Return a digest over all states of a view at a cut, so that a missing one is noticed, and what they are."""
        newest: list[Any] = self._connection.execute(_NEWEST, (view, lineage, position, json.dumps(history))).fetchall()
        seal = hashlib.sha256()
        for partition, _, digest in newest:
            seal.update(hashlib.sha256(partition.encode()).digest() + digest)
        return seal.digest(), newest

    def load(
        self, view: View[Any], reader: EventReader, *, until: int, partitions: Sequence[str] | None = None
    ) -> Loaded:
        """Return a view's states from the newest cut at or before `until` that can be believed."""
        problems: list[str] = []
        try:
            found = self._find(view, reader, until, partitions, problems)
        except (apsw.CorruptError, apsw.NotADBError, apsw.SQLError) as e:
            problems.append(f"the snapshots in {self.path} are damaged ({e})")
            found = Loaded(0, {})
        except apsw.Error as e:
            msg = f"{self.path} cannot be read ({e}): try again, or give snapshots=False"
            raise Unavailable(msg) from e
        if problems:
            warnings.warn(f"{problems[0]}: passed over", SnapshotWarning, stacklevel=2)
        return found

    def _find(
        self, view: View[Any], reader: EventReader, until: int, partitions: Sequence[str] | None, problems: list[str]
    ) -> Loaded:
        lineage = lineage_of(view, reader.log_id)
        history = self._history(reader)
        sql = (
            "SELECT p.position, p.seal FROM part p JOIN cut c ON c.position = p.position AND c.log_id = ? "
            "WHERE p.view = ? AND p.lineage = ? AND p.position <= ? AND c.kept ORDER BY p.position DESC"
        )
        parts: list[Any] = self._connection.execute(sql, (reader.log_id, view.name, lineage, until)).fetchall()
        for position, seal in parts:
            where = f"the snapshot of {view.name} at {position}"
            if position not in history:
                problems.append(f"{where} is of another log, or of another history of this one")
                continue
            try:
                return Loaded(position, dict(self._states(view, lineage, position, history, seal, partitions)))
            except _DamagedError as e:
                problems.append(f"{where} is damaged ({e})")
        if not parts:
            problems += self._strangers(view, lineage, until)
        return Loaded(0, {})

    def _strangers(self, view: View[Any], lineage: bytes, until: int) -> list[str]:
        sql = "SELECT position, revision, lineage FROM part WHERE view = ? AND lineage <> ? AND position <= ? "
        sql += "ORDER BY position DESC"
        row: Any = self._connection.execute(sql, (view.name, lineage, until)).fetchone()
        if row is None:
            return []
        where = f"the snapshot of {view.name} at {row[0]}"
        if row[2][:16] != lineage[:16]:
            return [f"{where} is of another log"]
        return [f"{where} was made by revision {row[1]} of the view, this is {view.revision}, or by another state"]

    def _states(  # noqa: PLR0917 - one private caller
        self,
        view: View[Any],
        lineage: bytes,
        position: int,
        history: list[int],
        seal: bytes,
        partitions: Sequence[str] | None,
    ) -> Iterator[tuple[str, Any]]:
        found, newest = self._seal(view.name, lineage, position, history)
        if found != seal:
            msg = "a state is missing or was exchanged"
            raise _DamagedError(msg)
        decoder = msgspec.msgpack.Decoder(type(view.initial()))
        sql = "SELECT data FROM state WHERE view = ? AND lineage = ? AND partition = ? AND position = ?"
        for partition, at, digest in newest:
            if partitions is not None and partition not in partitions:
                continue
            data = self._connection.execute(sql, (view.name, lineage, partition, at)).get
            if not isinstance(data, bytes) or hashlib.sha256(data).digest() != digest:
                msg = f"the state of {partition} does not have its digest"
                raise _DamagedError(msg)
            try:
                yield partition, decoder.decode(zstd.decompress(data))
            except (zstd.ZstdError, msgspec.MsgspecError) as e:
                raise _DamagedError(str(e)) from e

    def _history(self, reader: EventReader, *, forget: bool = False) -> list[int]:
        """Return the cuts of this log whose record is still the log's; the others can be forgotten for good."""
        head = reader.head()
        sql = "SELECT position, digest FROM cut WHERE log_id = ? ORDER BY position"
        rows: list[Any] = self._connection.execute(sql, (reader.log_id,)).fetchall()
        history: list[int] = [row[0] for row in rows]
        dead: list[int] = []
        # Whoever wrote a cut that is the log's had forgotten all before it that were not: one look is enough.
        for position, digest in reversed(rows):
            if position <= head and _digest_at(reader, position) == digest:
                break
            dead.append(history.pop())
        if forget and dead:
            gone = [(reader.log_id, position) for position in dead]
            self._connection.executemany("DELETE FROM cut WHERE log_id = ? AND position = ?", gone)
            self._connection.executemany("DELETE FROM part WHERE substr(lineage, 1, 16) = ? AND position = ?", gone)
            self._connection.executemany("DELETE FROM state WHERE substr(lineage, 1, 16) = ? AND position = ?", gone)
        return history

    def cuts(self) -> list[int]:
        """Return the positions of the cuts, oldest first."""
        rows: list[Any] = self._connection.execute("SELECT position FROM cut WHERE kept ORDER BY position").fetchall()
        return [row[0] for row in rows]

    def _thin(self, log_id: bytes) -> None:
        """Keep a bounded number of cuts: of too many, the one that leaves the smallest hole goes."""
        sql = "SELECT position FROM cut WHERE kept AND log_id = ? ORDER BY position"
        cuts = [row[0] for row in self._connection.execute(sql, (log_id,))]
        if len(cuts) <= CUTS_KEPT:
            return
        while len(cuts) > CUTS_KEPT:
            # The newest is where a restart begins, so it always stays; older cuts may lie wider apart.
            index = min(range(1, len(cuts) - 1), key=lambda i: (cuts[i + 1] - cuts[i - 1]) * (i + 1))
            gone = (log_id, cuts.pop(index))
            self._connection.execute("UPDATE cut SET kept = 0 WHERE log_id = ? AND position = ?", gone)
        self._connection.execute(_NEEDLESS, (log_id,))
        self._connection.execute(
            "DELETE FROM cut WHERE NOT kept AND NOT EXISTS (SELECT 1 FROM state WHERE state.position = cut.position)"
        )
        self._connection.execute("DELETE FROM part WHERE position NOT IN (SELECT position FROM cut WHERE kept)")

    def close(self) -> None:
        self._connection.close()

    @override
    def __repr__(self) -> str:
        return f"<Snapshots in {self.path}, cuts at {self.cuts()[-3:]}>"


class _DamagedError(Exception):
    """A state cannot be believed."""


def lineage_of(view: View[Any], log_id: bytes) -> bytes:
    """Return what tells a view's states apart from all others': log, revision and the shape of the state.

    Another shape is another state, whatever its revision says.
    """
    return log_id + hashlib.sha256(str(view.revision).encode() + b"\0" + _shape(type(view.initial()))).digest()


def _shape(state: type[Any]) -> bytes:
    if state not in _shapes:
        _shapes[state] = msgspec.json.encode(msgspec.json.schema(state), order="deterministic")
    return _shapes[state]


_shapes: dict[type[Any], bytes] = {}


def _digest_at(reader: EventReader, position: int) -> bytes | None:
    try:
        for record in reader.read(after=position - 1, until=position) if position else ():
            return record.digest
    except StoreError as e:
        msg = f"the log cannot be read at {position}, so no snapshot of it can be checked"
        raise Unavailable(msg) from e
    return None
