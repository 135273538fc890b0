"""Finding the newest valid cut of each view."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from projections.cuts import own, rows
from projections.cuts.states import Packed, Undecoded, lineage_of
from projections.cuts.troubles import DamagedError
from projections.on_demand import decoder_of
from projections.view import is_for_all

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from eventstore import EventReader
    from projections.cuts.place import CutRows
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


class _Part(NamedTuple):
    """A view's part of a cut as it is stored; `account` if it is a cut of that one alone."""

    row: rows.PartRow
    account: str | None

    @property
    def log_position(self) -> int:
        return self.row.position


class Search:
    """The cuts of one log at or before a position. Why a cut is ignored is added to `problems`."""

    def __init__(self, cuts: CutRows, reader: EventReader, until: int, problems: list[str]) -> None:
        self._cuts, self._reader, self._until, self._problems = cuts, reader, until, problems
        self._history = frozenset(rows.history_of(cuts, reader))
        self._key = cuts.key()
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
            elif part.row.signer != self._key.name:
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
            states = rows.newest_states(self._cuts, view.name, lineage, part.log_position)
            digests = {partition: digest for partition, (_, digest) in states.items()}
            signed = part.row.signer == self._key.name and self._is_signed(view, part, digests)
            return StoredPart(view, part.log_position, signed, states)
        return None

    def _parts(self, name: str, lineage: bytes, account: str | None = None) -> Iterator[_Part]:
        found = rows.parts_of(self._cuts, name, lineage, self._until, is_own=account is not None)
        return (_Part(row, account) for row in found)

    def _loaded(self, view: View[Any], lineage: bytes, part: _Part, partitions: Collection[str] | None) -> Loaded:
        place = (view.name, lineage, part.log_position)
        if partitions is None:
            states = rows.newest_states(self._cuts, *place)
            found = {partition: digest for partition, (_, digest) in states.items()}
        else:
            written = rows.newest(self._cuts, *place)
            if part.account is not None:
                written = own.states_of(written, (part.account,))
            # All digests are checked, even for one partition: the signature covers all that the cut has of the view.
            found = {partition: digest for partition, (digest, _) in written.items()}
            states = {
                partition: (rows.state_of(self._cuts, view.name, lineage, partition, at), digest)
                for partition, (digest, at) in written.items()
                if partition in partitions or is_for_all(partition)
            }
        if not self._is_signed(view, part, found):
            msg = "its signature does not match: a state is missing, or was replaced or changed"
            raise DamagedError(msg)
        decoder = decoder_of(type(view.initial()))
        loaded = {}
        for partition, (packed, digest) in states.items():
            try:
                loaded[partition] = Undecoded(packed, digest, decoder, part.log_position)
            except DamagedError as e:
                msg = f"the state of {partition}: {e}"
                raise DamagedError(msg) from e
        return Loaded(part.log_position, loaded, found)

    def _is_signed(self, view: View[Any], part: _Part, digests: dict[str, bytes]) -> bool:
        log_position = part.log_position
        # One read of the log for all views of a cut.
        if log_position not in self._digests:
            self._digests[log_position] = rows.digest_at(self._reader, log_position)
        digest = self._digests[log_position]
        if digest is None or not isinstance(part.row.signature, bytes):
            return False
        cut = (self._reader.log_id, log_position, digest)
        text = rows.signed_text(cut, part.row.view, part.row.lineage, view.revision, digests)
        return self._key.verifies(text, part.row.signature)

    def _why_none(self, view: View[Any], lineage: bytes) -> list[str]:
        """Say why the newest cut of a view is not usable here, if the file has one."""
        found = rows.newest_of_others(self._cuts, view.name, lineage, self._until)
        if found is None:
            return []
        log_position, revision, other = found
        where = f"the snapshot of {view.name} at {log_position}"
        if not isinstance(other, bytes) or other[: rows.LOG_ID_BYTES] != lineage[: rows.LOG_ID_BYTES]:
            return [f"{where} belongs to another log"]
        return [
            f"{where} has another state type, or was made by revision {revision} of the view; this is {view.revision}"
        ]
