"""Finding the newest valid cut of each view."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from projections.cuts import own, rows
from projections.cuts.keys import signing_key
from projections.cuts.states import Packed, Undecoded, lineage_of
from projections.cuts.troubles import DamagedError
from projections.on_demand import decoder_of
from projections.view import is_for_all

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import apsw

    from eventstore import EventReader
    from projections.view import View


_OTHER_KEY = (
    "snapshots are signed with another key: they were made by another user, on another machine, or before the key was "
    "replaced"
)


class Loaded(msgspec.Struct):
    """A view's states by partition as of a log position, with their digests; position 0 if no cut is valid.

    A state is Undecoded until it is needed: an account may not be asked for before the next restart.
    """

    log_position: int
    states: dict[str, Any]
    digests: dict[str, bytes] = {}


class StoredPart(NamedTuple):
    """A view's part of the newest cut that has it, valid or not: each state with the digest it should have."""

    view: View[Any]
    log_position: int
    signed: bool
    states: dict[str, tuple[Packed, bytes]]


class _PartRow(NamedTuple):
    """A view's part of a cut as the file has it; `account` if it is a cut of that one alone."""

    name: str
    log_position: int
    signer: object
    signature: object
    account: str | None


class Search:
    """The cuts of one log at or before a position. Why a cut is ignored is added to `problems`."""

    def __init__(self, connection: apsw.Connection, reader: EventReader, until: int, problems: list[str]) -> None:
        self._connection, self._reader, self._until, self._problems = connection, reader, until, problems
        self._history = frozenset(rows.history_of(connection, reader))
        self._key = signing_key()
        self._digests: dict[int, bytes | None] = {}

    def find(self, view: View[Any], partitions: Collection[str] | None) -> Loaded:
        """Return a view's states, of some partitions and those of every book, or all, from the newest valid cut."""
        lineage = lineage_of(view, self._reader.log_id)
        parts = self._parts(view.name, lineage)
        account = own.only_account(partitions)
        if account is not None:
            own_parts = self._parts(own.part_of(view.name, account), lineage, account)
            parts = heapq.merge(parts, own_parts, key=lambda part: -part.log_position)
        has_parts = False
        # From the newest back: an invalid cut costs only the records between it and the one before.
        for part in parts:
            has_parts = True
            where = f"the snapshot of {view.name} at {part.log_position}"
            if part.log_position not in self._history:
                self._problems.append(f"{where} belongs to another log, or to another history of this one")
            elif part.signer != self._key.name:
                self._problems.append(_OTHER_KEY)
            else:
                try:
                    return self._loaded(view, lineage, part, partitions)
                except DamagedError as e:
                    self._problems.append(f"{where} is damaged ({e})")
        if not has_parts:
            self._problems += self._why_none(view, lineage)
        return Loaded(0, {})

    def stored(self, view: View[Any]) -> StoredPart | None:
        """Return a view's part of the newest cut that has it, whether it is valid or not."""
        lineage = lineage_of(view, self._reader.log_id)
        for part in self._parts(view.name, lineage):
            if part.log_position not in self._history:
                continue
            states, digests = {}, {}
            for partition, (digest, at) in self._newest(view, lineage, part.log_position).items():
                states[partition] = rows.state_of(self._connection, view.name, lineage, partition, at), digest
                digests[partition] = digest
            signed = part.signer == self._key.name and self._is_signed(view, lineage, part, digests)
            return StoredPart(view, part.log_position, signed, states)
        return None

    def _parts(self, name: str, lineage: bytes, account: str | None = None) -> Iterator[_PartRow]:
        sql = (
            "SELECT p.position, p.signer, p.signature FROM part p JOIN cut c ON c.position = p.position "
            "AND c.log_id = ? WHERE p.view = ? AND p.lineage = ? AND p.position <= ? AND (c.kept OR ?) "
            "ORDER BY p.position DESC"
        )
        bindings = (self._reader.log_id, name, lineage, self._until, account is not None)
        # Row by row: usually the first one is valid.
        found: Iterator[Any] = iter(self._connection.execute(sql, bindings))
        return (_PartRow(name, log_position, signer, signature, account) for log_position, signer, signature in found)

    def _newest(self, view: View[Any], lineage: bytes, log_position: int) -> dict[str, tuple[bytes, int]]:
        return rows.newest(self._connection, view.name, lineage, log_position)

    def _loaded(self, view: View[Any], lineage: bytes, part: _PartRow, partitions: Collection[str] | None) -> Loaded:
        found = self._newest(view, lineage, part.log_position)
        if part.account is not None:
            found = own.states_of(found, (part.account,))
        # All digests are checked, even for one partition: the signature covers all that the cut has of the view.
        digests = {partition: digest for partition, (digest, _) in found.items()}
        if not self._is_signed(view, lineage, part, digests):
            msg = "its signature does not match: a state is missing, or was replaced or changed"
            raise DamagedError(msg)
        decoder = decoder_of(type(view.initial()))
        states = {}
        for partition, (digest, at) in found.items():
            if partitions is not None and not (partition in partitions or is_for_all(partition)):
                continue
            packed = rows.state_of(self._connection, view.name, lineage, partition, at)
            try:
                states[partition] = Undecoded(packed, digest, decoder, part.log_position)
            except DamagedError as e:
                msg = f"the state of {partition}: {e}"
                raise DamagedError(msg) from e
        return Loaded(part.log_position, states, digests)

    def _is_signed(self, view: View[Any], lineage: bytes, part: _PartRow, digests: dict[str, bytes]) -> bool:
        log_position = part.log_position
        # One read of the log for all views of a cut.
        if log_position not in self._digests:
            self._digests[log_position] = rows.digest_at(self._reader, log_position)
        digest = self._digests[log_position]
        if digest is None or not isinstance(part.signature, bytes):
            return False
        cut = (self._reader.log_id, log_position, digest)
        text = rows.signed_text(cut, part.name, lineage, view.revision, digests)
        return self._key.verifies(text, part.signature)

    def _why_none(self, view: View[Any], lineage: bytes) -> list[str]:
        """Say why the newest cut of a view is not usable here, if the file has one."""
        sql = "SELECT position, revision, lineage FROM part WHERE view = ? AND lineage <> ? AND position <= ? "
        sql += "ORDER BY position DESC"
        row: Any = self._connection.execute(sql, (view.name, lineage, self._until)).fetchone()
        if row is None:
            return []
        where = f"the snapshot of {view.name} at {row[0]}"
        if not isinstance(row[2], bytes) or row[2][:16] != lineage[:16]:
            return [f"{where} belongs to another log"]
        return [
            f"{where} has another state type, or was made by revision {row[1]} of the view; this is {view.revision}"
        ]
