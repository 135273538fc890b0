"""The rows of cuts: which cuts belong to the log, the states of a cut, and thinning of old ones."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from eventstore import StoreError, Unavailable
from projections.cuts.own import SEPARATOR, is_share
from projections.cuts.states import Packed
from projections.cuts.troubles import DamagedError
from projections.view import GROUP, SHARED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from eventstore import EventReader
    from projections.cuts.place import CutRows

_PURPOSE = "eventstore cut 2"
_DIGEST_BYTES = 32
LOG_ID_BYTES = 16
"""A lineage begins with its log's id."""
_PARTS_AT_ONCE = 8
BYTES_FOR_EACH_EVENT = 45
"""How much the cuts may take for each event of the log: 15 % of the 300 bytes that it takes at least in a journal."""
CUTS_MAX = 1_024
SHARE_CUTS_MAX = 64
"""How many cuts of a share are kept at most."""


class PartRow(NamedTuple):
    """A view's part of a cut as it is stored: `view` is named by `own.part_of` in a cut of an account."""

    view: str
    lineage: bytes
    position: int
    revision: int
    signer: object
    signature: object
    shared_in: str | None = None
    """Under what name a cut of a share has the states that belong to every book; None for other cuts."""


# The newest state of each partition as of a cut, from cuts of this log alone: found by one seek for each partition and
# one for its newest state, however many cuts there are. Before a cut of the log's history all are of that history.
_NEWEST = (
    "WITH RECURSIVE named (name) AS (SELECT min(partition) FROM state WHERE view = :view AND lineage = :lineage "
    "UNION ALL SELECT (SELECT min(partition) FROM state "
    "WHERE view = :view AND lineage = :lineage AND partition > name) FROM named WHERE name IS NOT NULL) "
    "SELECT partition, digest, position{more} FROM named CROSS JOIN state "
    "WHERE view = :view AND lineage = :lineage AND partition = name AND position = (SELECT n.position FROM state n "
    "WHERE n.view = :view AND n.lineage = :lineage AND n.partition = named.name AND n.position <= :until "
    "AND EXISTS (SELECT 1 FROM cut c WHERE c.log_id = :log_id AND c.position = n.position) "
    "ORDER BY n.position DESC LIMIT 1) ORDER BY partition"
)
_PUT = (
    "INSERT INTO state (view, lineage, partition, position, data, size, digest) "
    "VALUES (:view, :lineage, :partition, :position, :data, :size, :digest) "
    "ON CONFLICT (view, lineage, partition, position) "
    "DO UPDATE SET data = excluded.data, size = excluded.size, digest = excluded.digest"
)
_PUT_CUT = (
    "INSERT INTO cut (log_id, position, digest, kept) VALUES (:log_id, :position, :digest, :kept) "
    "ON CONFLICT (log_id, position) DO UPDATE SET digest = excluded.digest, kept = excluded.kept WHERE :kept = 1"
)
_PUT_PART = (
    "INSERT INTO part (view, lineage, position, revision, signer, signature{names}) "
    "VALUES (:view, :lineage, :position, :revision, :signer, :signature{values}) ON CONFLICT (view, lineage, position) "
    "DO UPDATE SET revision = excluded.revision, signer = excluded.signer, signature = excluded.signature{sets}"
)
_PUT_SHARE_PART = _PUT_PART.format(
    names=", shared_in, epoch",
    values=", :shared_in, :epoch",
    sets=", shared_in = excluded.shared_in, epoch = excluded.epoch",
)
_PUT_PART = _PUT_PART.format(names="", values="", sets="")
_NEWEST_PARTS = (
    "WITH RECURSIVE named (name) AS (SELECT min(view) FROM part WHERE view > :low AND view < :high "
    "UNION ALL SELECT (SELECT min(view) FROM part WHERE view > name AND view < :high) "
    "FROM named WHERE name IS NOT NULL) "
    "SELECT {columns} FROM named CROSS JOIN part p WHERE p.view = name AND p.lineage = :lineage "
    "AND p.position = (SELECT max(n.position) FROM part n "
    "WHERE n.view = named.name AND n.lineage = :lineage AND n.position <= :until)"
)
# A state is unused if a newer one of its partition is at or before the first kept cut that could need it, and before
# those of the account's own and of its share: their parts are named by view and account or share, the separator in
# between. What is of every book, which is named :shared or begins with :group, those of accounts may need; a part of a
# share says under which name it has it.
_DELETE_UNUSED = (
    "DELETE FROM state AS s WHERE substr(s.lineage, 1, 16) = :log_id AND s.position > :before AND s.position <= :gone "
    "AND EXISTS (SELECT 1 FROM state n WHERE n.view = s.view AND n.lineage = s.lineage "
    "AND n.partition = s.partition AND n.position > s.position AND NOT EXISTS (SELECT 1 FROM cut c "
    "WHERE c.kept = 1 AND c.log_id = :log_id AND c.position >= s.position AND c.position < n.position)) "
    "AND NOT EXISTS (SELECT 1 FROM part p WHERE p.lineage = s.lineage AND p.position >= s.position "
    "AND (p.view = s.view || :separator || s.partition {of_share}"
    "OR ((s.partition = :shared OR substr(s.partition, 1, 1) = :group) "
    "AND p.view > s.view || :separator AND p.view < s.view || :past_separator {is_not_of_share})) AND NOT EXISTS ("
    "SELECT 1 FROM state n WHERE n.view = s.view AND n.lineage = s.lineage "
    "AND n.partition = s.partition AND n.position > s.position AND n.position <= p.position))"
)
_DELETE_CUTS = (
    "DELETE FROM cut WHERE kept = 0 AND NOT EXISTS (SELECT 1 FROM state WHERE state.position = cut.position) "
    "AND NOT EXISTS (SELECT 1 FROM part WHERE part.position = cut.position AND part.view LIKE :own)"
)
_DELETE_PARTS = (
    "DELETE FROM part WHERE NOT EXISTS (SELECT 1 FROM cut c WHERE c.log_id = substr(part.lineage, 1, 16) "
    "AND c.position = part.position AND (c.kept = 1 OR part.view LIKE :own))"
)
_DELETE_OWN = (
    "DELETE FROM part WHERE substr(lineage, 1, 16) = :log_id AND position = :position "
    "AND substr(view, length(view) - length(:ending) + 1) = :ending"
)
_OWN_BYTES = (
    "SELECT coalesce(sum(length(data)), 0) FROM state s WHERE substr(lineage, 1, 16) = :log_id AND NOT EXISTS ("
    "SELECT 1 FROM cut c WHERE c.log_id = :log_id AND c.position = s.position AND c.kept = 1)"
)
_OWN_CUTS = (
    "SELECT DISTINCT substr(view, {find}(view, :separator) + 1), position FROM part "
    "WHERE view LIKE :own AND substr(lineage, 1, 16) = :log_id AND position > :after AND position <= :until "
    "ORDER BY 1, 2"
)
_OWN = f"%{SEPARATOR}%"


def digest_at(reader: EventReader, log_position: int) -> bytes | None:
    """Return the digest of the log's record at a position; raise Unavailable where the log cannot be read."""
    try:
        for record in reader.read(after=log_position - 1, until=log_position) if log_position else ():
            return record.digest
    except StoreError as e:
        msg = f"the log cannot be read at {log_position}, so no snapshot of it can be checked"
        raise Unavailable(msg) from e
    return None


def history_of(rows: CutRows, reader: EventReader, *, forget: bool = False) -> list[int]:
    """Return the cuts whose record is still in the log, as it was; with `forget`, delete all others for good."""
    head = reader.head()
    sql = "SELECT position, digest FROM cut WHERE log_id = :log_id ORDER BY position"
    cuts = list(rows.execute(sql, {"log_id": reader.log_id}))
    history = [log_position for log_position, _ in cuts]
    if not all(isinstance(log_position, int) and log_position > 0 for log_position in history):
        msg = "a cut has an impossible log position"
        raise DamagedError(msg)
    dead: list[int] = []
    # From the newest back to the first valid one: its writer had deleted all invalid cuts before it.
    for log_position, digest in reversed(cuts):
        if log_position <= head and digest_at(reader, log_position) == digest:
            break
        dead.append(history.pop())
    if forget and dead:
        gone = [{"log_id": reader.log_id, "position": log_position} for log_position in dead]
        rows.execute_many("DELETE FROM cut WHERE log_id = :log_id AND position = :position", gone)
        for table in ("part", "state"):
            sql = f"DELETE FROM {table} WHERE substr(lineage, 1, 16) = :log_id AND position = :position"  # noqa: S608 - constants
            rows.execute_many(sql, gone)
    return history


def newest(rows: CutRows, view: str, lineage: bytes, log_position: int) -> dict[str, tuple[bytes, int]]:
    """Return a view's partitions as of a cut in the log's history, each with its digest and the cut that wrote it."""
    return {
        partition: (digest, at) for partition, digest, at in map(_sound, _newest(rows, view, lineage, log_position))
    }


def newest_states(rows: CutRows, view: str, lineage: bytes, log_position: int) -> dict[str, tuple[Packed, bytes]]:
    """Return the same partitions, each with its state, which need not match its digest, and the digest."""
    found = _newest(rows, view, lineage, log_position, ", data, size")
    return {
        partition: (Packed(data, size, digest), digest)
        for partition, digest, _, data, size in ((*_sound(row[:3]), *row[3:]) for row in found)
    }


def digests_in(rows: CutRows, view: str, lineage: bytes, log_position: int) -> dict[Any, Any]:
    """Return the same digests by partition, unchecked: for a comparison with known ones."""
    return {partition: digest for partition, digest, _ in _newest(rows, view, lineage, log_position)}


def _newest(rows: CutRows, view: str, lineage: bytes, log_position: int, more: str = "") -> Iterator[tuple[Any, ...]]:
    values = {"view": view, "lineage": lineage, "until": log_position, "log_id": lineage[:LOG_ID_BYTES]}
    return rows.execute(_NEWEST.format(more=more), values)


def _sound(row: tuple[Any, ...]) -> tuple[str, bytes, int]:
    partition, digest, at = row
    sound = isinstance(partition, str) and isinstance(digest, bytes) and isinstance(at, int)
    if not sound or len(digest) != _DIGEST_BYTES:
        msg = "a state lacks its partition's name or its digest"
        raise DamagedError(msg)
    return partition, digest, at


def signed_text(
    cut: tuple[bytes, int, bytes], view: str, lineage: bytes, revision: int, digests: Mapping[str, bytes]
) -> bytes:
    """Return what a cut's signature covers: its place in the log, the view, every partition's name and digest."""
    return msgspec.msgpack.encode((_PURPOSE, *cut, view, lineage, revision, sorted(digests.items())))


def put_cut(rows: CutRows, cut: tuple[bytes, int, bytes], *, is_kept: bool) -> None:
    """Note a cut; one that is not kept, as of single accounts, stays while something was written for it."""
    log_id, log_position, digest = cut
    rows.execute(_PUT_CUT, {"log_id": log_id, "position": log_position, "digest": digest, "kept": int(is_kept)})


def put_parts(rows: CutRows, parts: Iterable[PartRow], epochs: Sequence[int] = ()) -> None:
    """Store parts; those of shares with the epochs of the locks that they rest on."""
    if epochs:
        values = [part._asdict() | {"epoch": epoch} for part, epoch in zip(parts, epochs, strict=True)]
        rows.execute_many(_PUT_SHARE_PART, values)
    else:
        rows.execute_many(_PUT_PART, [part._asdict() for part in parts])


def put_states(rows: CutRows, view: str, lineage: bytes, log_position: int, states: Mapping[str, Packed]) -> None:
    place = {"view": view, "lineage": lineage, "position": log_position}
    rows.execute_many(
        _PUT, [place | {"partition": partition} | packed._asdict() for partition, packed in states.items()]
    )


def remove_partitions(rows: CutRows, view: str, lineage: bytes, partitions: Iterable[str]) -> None:
    """Remove partitions that the fold of the log does not have from every cut."""
    gone = [{"view": view, "lineage": lineage, "partition": partition} for partition in partitions]
    rows.execute_many("DELETE FROM state WHERE view = :view AND lineage = :lineage AND partition = :partition", gone)


def state_of(rows: CutRows, view: str, lineage: bytes, partition: str, at: int) -> Packed:
    sql = (
        "SELECT data, size, digest FROM state "
        "WHERE view = :view AND lineage = :lineage AND partition = :partition AND position = :at"
    )
    for row in rows.execute(sql, {"view": view, "lineage": lineage, "partition": partition, "at": at}):
        return Packed(*row)
    msg = "its row has disappeared"
    raise DamagedError(msg)


def parts_of(rows: CutRows, name: str, lineage: bytes, until: int, *, is_own: bool) -> Iterator[PartRow]:
    """Yield the parts of a name at or before a position from the newest back; without `is_own`, of kept cuts alone."""
    sql = (
        f"SELECT {_columns(rows)} FROM part p "  # noqa: S608 - constants
        "JOIN cut c ON c.position = p.position AND c.log_id = :log_id WHERE p.view = :view AND p.lineage = :lineage "
        "AND p.position <= :until AND (c.kept = 1 OR :is_own = 1) ORDER BY p.position DESC LIMIT :limit"
    )
    values = {"log_id": lineage[:LOG_ID_BYTES], "view": name, "lineage": lineage, "is_own": int(is_own)}
    # Few at once: usually the first one is valid.
    while found := list(rows.execute(sql, values | {"until": until, "limit": _PARTS_AT_ONCE})):
        yield from itertools.starmap(PartRow, found)
        until = found[-1][2] - 1


def newest_parts(rows: CutRows, beginning: str, lineage: bytes, until: int) -> Iterator[PartRow]:
    """Return the newest part at or before a position of each name that begins so, found by one seek for each name."""
    past = beginning[:-1] + chr(ord(beginning[-1]) + 1)
    values = {"low": beginning, "high": past, "lineage": lineage, "until": until}
    return itertools.starmap(PartRow, rows.execute(_NEWEST_PARTS.format(columns=_columns(rows)), values))


def _columns(rows: CutRows) -> str:
    return f"p.view, p.lineage, p.position, p.revision, p.signer, p.signature, {rows.dialect.shared_in}"


def newest_of_others(rows: CutRows, view: str, lineage: bytes, until: int) -> tuple[Any, Any, Any] | None:
    """Return position, revision and lineage of a view's newest part of another lineage, if there is one."""
    sql = (
        "SELECT position, revision, lineage FROM part WHERE view = :view AND lineage <> :lineage "
        "AND position <= :until ORDER BY position DESC LIMIT 1"
    )
    for log_position, revision, other in rows.execute(sql, {"view": view, "lineage": lineage, "until": until}):
        return log_position, revision, other
    return None


def kept_cuts(rows: CutRows) -> list[int]:
    """Return the log positions of the cuts of all logs in the place, oldest first."""
    found = rows.execute("SELECT position FROM cut WHERE kept = 1 ORDER BY position", {})
    return [log_position for (log_position,) in found]


def own_cuts(rows: CutRows, log_id: bytes, after: int, until: int) -> dict[str, list[int]]:
    """Return where each account, and each share, has cuts of its own between two log positions, oldest first."""
    found: dict[str, list[int]] = {}
    values = {"separator": SEPARATOR, "own": _OWN, "log_id": log_id, "after": after, "until": until}
    for name, log_position in rows.execute(_OWN_CUTS.format(find=rows.dialect.find), values):
        found.setdefault(str(name), []).append(int(log_position))
    return found


def names_after(rows: CutRows, log_id: bytes, log_position: int) -> set[str]:
    """Return of which accounts and shares there are cuts past a position; an empty name is that of all accounts."""
    sql = "SELECT DISTINCT view FROM part WHERE substr(lineage, 1, 16) = :log_id AND position > :position"
    found = rows.execute(sql, {"log_id": log_id, "position": log_position})
    return {str(name).partition(SEPARATOR)[2] for (name,) in found}


def thin(rows: CutRows, log_id: bytes, kept: int) -> None:
    """Drop cuts until they fit into the part of the journal's size that they may take, or so few are kept.

    Those go that leave the smallest gap, so that an old past is as near to a cut as a new one. A restart begins at the
    newest, which always stays. What accounts' own cuts keep alone may take as much, once so few of all are left.
    """
    of_log = {"log_id": log_id}
    sql = "SELECT position, kept FROM cut WHERE log_id = :log_id ORDER BY position"
    found = list(rows.execute(sql, of_log))
    cuts, newest = [log_position for log_position, is_kept in found if is_kept], found[-1][0]
    bytes_max = newest * BYTES_FOR_EACH_EVENT
    while len(cuts) > kept and (len(cuts) > CUTS_MAX or rows.bytes_used(log_id) > bytes_max):
        index = min(range(1, len(cuts) - 1), key=lambda i: cuts[i + 1] - cuts[i - 1])
        before, gone = cuts[index - 1], cuts.pop(index)
        rows.execute("UPDATE cut SET kept = 0 WHERE log_id = :log_id AND position = :gone", of_log | {"gone": gone})
        _delete_unused(rows, log_id, before, gone)
    owns = own_cuts(rows, log_id, 0, newest)
    if rows.bytes_used(log_id) > bytes_max or _is_crowded(owns):
        for (_, before, gone), several in itertools.groupby(_droppable(owns), key=lambda each: each[:3]):
            ((used,),) = rows.execute(_OWN_BYTES, of_log)
            if used <= bytes_max and not _is_crowded(owns):
                break
            names = [name for *_, name in several]
            endings = [of_log | {"position": gone, "ending": SEPARATOR + name} for name in names]
            rows.execute_many(_DELETE_OWN, endings)
            for name in names:
                owns[name].remove(gone)
            # What a part of a share has of every book may be older than the one before, of another first share.
            _delete_unused(rows, log_id, 0 if any(map(is_share, names)) else before, gone)


def _is_crowded(owns: Mapping[str, Sequence[int]]) -> bool:
    """Return whether a share has too many cuts."""
    return any(len(places) > SHARE_CUTS_MAX for name, places in owns.items() if is_share(name))


def _delete_unused(rows: CutRows, log_id: bytes, before: int, gone: int) -> None:
    """Delete what only the cut at `gone` needed, which is not kept any more."""
    # What an earlier cut without a part of its own holds for this one lies after the one before.
    values = {"log_id": log_id, "before": before, "gone": gone, "shared": SHARED, "group": GROUP}
    dialect = rows.dialect
    sql = _DELETE_UNUSED.format(of_share=dialect.of_share, is_not_of_share=dialect.is_not_of_share)
    rows.execute(sql, values | {"separator": SEPARATOR, "past_separator": chr(ord(SEPARATOR) + 1)})
    rows.execute(_DELETE_CUTS, {"own": _OWN})
    rows.execute(_DELETE_PARTS, {"own": _OWN})


def _droppable(owns: dict[str, list[int]]) -> list[tuple[int, int, int, str]]:
    """Return every second one of each account's own cuts: the gap it leaves, the one before, itself, the account.

    The smallest gap comes first. Of a share the newest two stay, as a group has no cuts of all accounts: one may be
    damaged.
    """
    found = []
    for account, cuts in owns.items():
        at = [0, *(cuts[:-1] if is_share(account) else cuts)]
        found += [(at[i + 1] - at[i - 1], at[i - 1], at[i], account) for i in range(1, len(at) - 1, 2)]
    return sorted(found)
