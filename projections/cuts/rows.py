"""The rows of the snapshots' file: which cuts belong to the log, the states of a cut, and thinning of old ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import StoreError, Unavailable
from projections.cuts.states import Packed
from projections.cuts.troubles import DamagedError
from projections.view import GROUP, SHARED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import apsw

    from eventstore import EventReader

_PURPOSE = "eventstore cut 2"
_DIGEST_BYTES = 32
BYTES_FOR_EACH_EVENT = 45
"""How much the cuts may take for each event of the log: 15 % of the 300 bytes that it takes at least in a journal."""
CUTS_MAX = 1_024

# The newest state of each partition as of a cut, from cuts of this log alone: found by one seek for each partition and
# one for its newest state, however many cuts there are. Before a cut of the log's history all are of that history.
_NEWEST = (
    "WITH RECURSIVE named (name) AS (SELECT min(partition) FROM state WHERE view = ?1 AND lineage = ?2 UNION ALL "
    "SELECT (SELECT min(partition) FROM state WHERE view = ?1 AND lineage = ?2 AND partition > name) "
    "FROM named WHERE name IS NOT NULL) "
    "SELECT partition, digest, position FROM named CROSS JOIN state ON state.rowid = (SELECT rowid FROM state "
    "WHERE view = ?1 AND lineage = ?2 AND partition = name AND position <= ?3 "
    "AND EXISTS (SELECT 1 FROM cut c WHERE c.log_id = substr(?2, 1, 16) AND c.position = state.position) "
    "ORDER BY position DESC LIMIT 1) ORDER BY partition"
)
_PUT = (
    "INSERT OR REPLACE INTO state (view, lineage, partition, position, data, size, digest) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
# A state is unused if a newer one of its partition is at or before the first kept cut that could need it, and before
# those of the account's own: their parts are named by view and account, char(31) in between. What is of every book,
# whose names are ?4 or begin with ?5, all of them may need.
_DELETE_UNUSED = (
    "DELETE FROM state AS s WHERE substr(s.lineage, 1, 16) = ?1 AND s.position > ?2 AND s.position <= ?3 AND EXISTS ("
    "SELECT 1 FROM state n WHERE n.view = s.view AND n.lineage = s.lineage "
    "AND n.partition = s.partition AND n.position > s.position AND n.position <= "
    "(SELECT min(c.position) FROM cut c WHERE c.kept AND c.log_id = ?1 AND c.position >= s.position)) "
    "AND NOT EXISTS (SELECT 1 FROM part p WHERE p.lineage = s.lineage AND p.position >= s.position "
    "AND (p.view = s.view || char(31) || s.partition OR (s.partition = ?4 OR substr(s.partition, 1, 1) = ?5) "
    "AND p.view > s.view || char(31) AND p.view < s.view || char(32)) AND NOT EXISTS ("
    "SELECT 1 FROM state n WHERE n.view = s.view AND n.lineage = s.lineage "
    "AND n.partition = s.partition AND n.position > s.position AND n.position <= p.position))"
)
_DELETE_CUTS = "DELETE FROM cut WHERE NOT kept AND NOT EXISTS (SELECT 1 FROM state WHERE state.position = cut.position)"
_DELETE_PARTS = (
    "DELETE FROM part WHERE NOT EXISTS (SELECT 1 FROM cut c WHERE c.log_id = substr(part.lineage, 1, 16) "
    "AND c.position = part.position AND (c.kept OR instr(part.view, char(31))))"
)
_DELETE_OWN = (
    "DELETE FROM part WHERE substr(lineage, 1, 16) = ? AND position = ? "
    "AND instr(view, char(31)) AND substr(view, instr(view, char(31)) + 1) = ?"
)
_OWN_BYTES = (
    "SELECT coalesce(sum(length(data)), 0) FROM state s WHERE substr(lineage, 1, 16) = ?1 AND NOT EXISTS ("
    "SELECT 1 FROM cut c WHERE c.log_id = ?1 AND c.position = s.position AND c.kept)"
)
_OWN_CUTS = (
    "SELECT DISTINCT substr(view, instr(view, char(31)) + 1), position FROM part "
    "WHERE instr(view, char(31)) AND substr(lineage, 1, 16) = ? AND position > ? AND position <= ? ORDER BY 1, 2"
)


def digest_at(reader: EventReader, log_position: int) -> bytes | None:
    """Return the digest of the log's record at a position; raise Unavailable where the log cannot be read."""
    try:
        for record in reader.read(after=log_position - 1, until=log_position) if log_position else ():
            return record.digest
    except StoreError as e:
        msg = f"the log cannot be read at {log_position}, so no snapshot of it can be checked"
        raise Unavailable(msg) from e
    return None


def history_of(connection: apsw.Connection, reader: EventReader, *, forget: bool = False) -> list[int]:
    """Return the cuts whose record is still in the log, as it was; with `forget`, delete all others for good."""
    head = reader.head()
    sql = "SELECT position, digest FROM cut WHERE log_id = ? ORDER BY position"
    rows: list[Any] = connection.execute(sql, (reader.log_id,)).fetchall()
    history = [row[0] for row in rows]
    if not all(isinstance(log_position, int) and log_position > 0 for log_position in history):
        msg = "a cut has an impossible log position"
        raise DamagedError(msg)
    dead: list[int] = []
    # From the newest back to the first valid one: its writer had deleted all invalid cuts before it.
    for log_position, digest in reversed(rows):
        if log_position <= head and digest_at(reader, log_position) == digest:
            break
        dead.append(history.pop())
    if forget and dead:
        gone = [(reader.log_id, log_position) for log_position in dead]
        connection.executemany("DELETE FROM cut WHERE log_id = ? AND position = ?", gone)
        connection.executemany("DELETE FROM part WHERE substr(lineage, 1, 16) = ? AND position = ?", gone)
        connection.executemany("DELETE FROM state WHERE substr(lineage, 1, 16) = ? AND position = ?", gone)
    return history


def newest(connection: apsw.Connection, view: str, lineage: bytes, log_position: int) -> dict[str, tuple[bytes, int]]:
    """Return a view's partitions as of a cut in the log's history, each with its digest and the cut that wrote it."""
    found: list[Any] = connection.execute(_NEWEST, (view, lineage, log_position)).fetchall()
    for partition, digest, at in found:
        sound = isinstance(partition, str) and isinstance(digest, bytes) and isinstance(at, int)
        if not sound or len(digest) != _DIGEST_BYTES:
            msg = "a state lacks its partition's name or its digest"
            raise DamagedError(msg)
    return {partition: (digest, at) for partition, digest, at in found}


def digests_in(connection: apsw.Connection, view: str, lineage: bytes, log_position: int) -> dict[Any, Any]:
    """Return the same digests by partition, unchecked: for a comparison with known ones."""
    return {partition: digest for partition, digest, _ in connection.execute(_NEWEST, (view, lineage, log_position))}


def signed_text(
    cut: tuple[bytes, int, bytes], view: str, lineage: bytes, revision: int, digests: Mapping[str, bytes]
) -> bytes:
    """Return what a cut's signature covers: its place in the log, the view, every partition's name and digest."""
    return msgspec.msgpack.encode((_PURPOSE, *cut, view, lineage, revision, sorted(digests.items())))


def put_cut(connection: apsw.Connection, cut: tuple[bytes, int, bytes], *, is_kept: bool) -> None:
    """Note a cut; one that is not kept, as of single accounts, stays while something in the file was written for it."""
    if is_kept:
        connection.execute("INSERT OR REPLACE INTO cut VALUES (?, ?, ?, 1)", cut)
    else:
        connection.execute("INSERT OR IGNORE INTO cut VALUES (?, ?, ?, 0)", cut)


def put_states(
    connection: apsw.Connection, view: str, lineage: bytes, log_position: int, states: Mapping[str, Packed]
) -> None:
    rows = [(view, lineage, partition, log_position, *packed) for partition, packed in states.items()]
    connection.executemany(_PUT, rows)


def remove_partitions(connection: apsw.Connection, view: str, lineage: bytes, partitions: Iterable[str]) -> None:
    """Remove partitions that the fold of the log does not have from every cut."""
    rows = [(view, lineage, partition) for partition in partitions]
    connection.executemany("DELETE FROM state WHERE view = ? AND lineage = ? AND partition = ?", rows)


def state_of(connection: apsw.Connection, view: str, lineage: bytes, partition: str, at: int) -> Packed:
    sql = "SELECT data, size, digest FROM state WHERE view = ? AND lineage = ? AND partition = ? AND position = ?"
    row: Any = connection.execute(sql, (view, lineage, partition, at)).fetchone()
    if row is None:
        msg = "its row has disappeared"
        raise DamagedError(msg)
    return Packed(*row)


def kept_cuts(connection: apsw.Connection) -> list[int]:
    """Return the log positions of the cuts of all logs in the file, oldest first."""
    rows: list[Any] = connection.execute("SELECT position FROM cut WHERE kept ORDER BY position").fetchall()
    return [row[0] for row in rows]


def own_cuts(connection: apsw.Connection, log_id: bytes, after: int, until: int) -> dict[str, list[int]]:
    """Return where each account has cuts of its own between two log positions, oldest first."""
    found: dict[str, list[int]] = {}
    for account, log_position in connection.execute(_OWN_CUTS, (log_id, after, until)):
        found.setdefault(str(account), []).append(int(log_position))
    return found


def thin(connection: apsw.Connection, log_id: bytes, kept: int) -> None:
    """Drop cuts until they fit into the part of the journal's size that they may take, or so few are kept.

    Those go that leave the smallest gap, so that an old past is as near to a cut as a new one. A restart begins at the
    newest, which always stays. What accounts' own cuts keep alone may take as much, once so few of all are left.
    """
    sql = "SELECT position FROM cut WHERE kept AND log_id = ? ORDER BY position"
    rows: list[Any] = connection.execute(sql, (log_id,)).fetchall()
    cuts = [row[0] for row in rows]
    newest: Any = connection.execute("SELECT max(position) FROM cut WHERE log_id = ?", (log_id,)).get
    bytes_max = newest * BYTES_FOR_EACH_EVENT
    while len(cuts) > kept and (len(cuts) > CUTS_MAX or _bytes_used(connection) > bytes_max):
        index = min(range(1, len(cuts) - 1), key=lambda i: cuts[i + 1] - cuts[i - 1])
        before, gone = cuts[index - 1], cuts.pop(index)
        connection.execute("UPDATE cut SET kept = 0 WHERE log_id = ? AND position = ?", (log_id, gone))
        _delete_unused(connection, log_id, before, gone)
    if _bytes_used(connection) > bytes_max:
        owns = own_cuts(connection, log_id, 0, newest)
        for _, account, before, gone in _droppable(owns):
            if connection.execute(_OWN_BYTES, (log_id,)).get <= bytes_max:
                break
            connection.execute(_DELETE_OWN, (log_id, gone, account))
            _delete_unused(connection, log_id, before, gone)


def _delete_unused(connection: apsw.Connection, log_id: bytes, before: int, gone: int) -> None:
    """Delete what only the cut at `gone` needed, which is not kept any more."""
    # What an earlier cut without a part of its own holds for this one lies after the one before.
    connection.execute(_DELETE_UNUSED, (log_id, before, gone, SHARED, GROUP))
    connection.execute(_DELETE_CUTS)
    connection.execute(_DELETE_PARTS)


def _droppable(owns: dict[str, list[int]]) -> list[tuple[int, str, int, int]]:
    """Return every second one of each account's own cuts: the gap it leaves, account, the one before, itself.

    The smallest gap comes first.
    """
    found = []
    for account, cuts in owns.items():
        at = [0, *cuts]
        found += [(at[i + 1] - at[i - 1], account, at[i - 1], at[i]) for i in range(1, len(at) - 1, 2)]
    return sorted(found)


def _bytes_used(connection: apsw.Connection) -> int:
    pages: Any = connection.execute("PRAGMA page_count").get
    free: Any = connection.execute("PRAGMA freelist_count").get
    size: Any = connection.execute("PRAGMA page_size").get
    return int(pages - free) * int(size)
