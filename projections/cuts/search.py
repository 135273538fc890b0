"""Finding the newest valid cut of each view."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from projections.cuts import own, rows
from projections.cuts.states import Packed, Undecoded, lineage_of
from projections.cuts.troubles import DamagedError
from projections.on_demand import decoder_of
from projections.shares import AccountShares, share_of
from projections.view import is_for_all

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

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


class ShareStart(NamedTuple):
    """Where some accounts of some views start from: the states as of a log position, with those of every book."""

    log_position: int
    accounts: AccountShares
    states: dict[str, Loaded]


class _Part(NamedTuple):
    """A view's part of a cut as it is stored; `of_account` says which accounts it has, None for all."""

    row: rows.PartRow
    of_account: Callable[[str], bool] | None

    @property
    def log_position(self) -> int:
        return self.row.position


class _Written(NamedTuple):
    """Where a state is stored: under the name of its view, or of a part."""

    name: str
    digest: bytes
    at: int


_ONE_BY_ONE_MAX = 8
"""So many states are read each by itself, without others beside them."""


class Search:
    """The cuts of one log at or before a position. Why a cut is ignored is added to `problems`."""

    def __init__(self, cuts: CutRows, reader: EventReader, until: int, problems: list[str]) -> None:
        self._cuts, self._reader, self._until, self._problems = cuts, reader, until, problems
        self._history = frozenset(rows.history_of(cuts, reader))
        self._key = cuts.key()
        self._digests: dict[int, bytes | None] = {}
        self._newest: dict[tuple[str, bytes, int], dict[str, tuple[bytes, int]]] = {}
        self._states: dict[tuple[str, bytes, int], dict[str, tuple[Packed, bytes]]] = {}

    def find(self, view: View[Any], partitions: Collection[str] | None) -> Loaded:
        """Return a view's states, of some partitions and those of every book, or all, from the newest valid cut."""
        lineage = lineage_of(view, self._reader.log_id)
        parts = [self._parts(view.name, lineage)]
        account = own.only_account(partitions)
        if account is not None:
            parts.append(self._parts(own.part_of(view.name, account), lineage, {account}.__contains__))
            parts.append(self._parts_of_share(view, lineage, share_of(account)))
        wanted = None if partitions is None else partitions.__contains__
        return self._first_valid(view, lineage, parts, wanted)

    def find_share(self, view: View[Any], share: int) -> Loaded:
        """Return a view's states of the accounts of a share and of every book, from its newest valid cut."""
        lineage = lineage_of(view, self._reader.log_id)
        parts = [self._parts_of_share(view, lineage, share), self._parts(view.name, lineage)]
        return self._first_valid(view, lineage, parts, lambda account: share_of(account) == share)

    def _first_valid(
        self,
        view: View[Any],
        lineage: bytes,
        parts: Sequence[Iterator[_Part]],
        wanted: Callable[[str], bool] | None,
    ) -> Loaded:
        has_parts = False
        # From the newest back: an invalid cut costs only the records between it and the one before.
        for part in heapq.merge(*parts, key=lambda part: -part.log_position):
            has_parts = True
            where = f"the snapshot of {view.name} at {part.log_position}"
            if part.log_position not in self._history:
                self._problems.append(f"{where} belongs to another log, or to another history of this one")
            elif part.row.signer != self._key.name:
                self._problems.append(_OTHER_KEY)
            else:
                try:
                    return self._loaded(view, lineage, part, wanted)
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

    def _parts(self, name: str, lineage: bytes, of_account: Callable[[str], bool] | None = None) -> Iterator[_Part]:
        found = rows.parts_of(self._cuts, name, lineage, self._until, is_own=of_account is not None)
        return (_Part(row, of_account) for row in found)

    def _parts_of_share(self, view: View[Any], lineage: bytes, share: int) -> Iterator[_Part]:
        name = own.part_of(view.name, own.name_of_share(share))
        return self._parts(name, lineage, lambda account: share_of(account) == share)

    def _loaded(self, view: View[Any], lineage: bytes, part: _Part, wanted: Callable[[str], bool] | None) -> Loaded:
        # All digests are checked, even for one partition: the signature covers all that the cut has of the view.
        written = self._written(view, lineage, part)
        if not self._is_signed(view, part, {partition: each.digest for partition, each in written.items()}):
            msg = "its signature does not match: a state is missing, or was replaced or changed"
            raise DamagedError(msg)
        chosen = {
            partition: each
            for partition, each in written.items()
            if wanted is None or is_for_all(partition) or wanted(partition)
        }
        decoder = decoder_of(type(view.initial()))
        states = {}
        for partition, each in chosen.items():
            packed = self._state(lineage, part.log_position, partition, each, len(chosen))
            try:
                states[partition] = Undecoded(packed, each.digest, decoder, part.log_position)
            except DamagedError as e:
                msg = f"the state of {partition}: {e}"
                raise DamagedError(msg) from e
        return Loaded(part.log_position, states, {partition: each.digest for partition, each in chosen.items()})

    def _written(self, view: View[Any], lineage: bytes, part: _Part) -> dict[str, _Written]:
        """Return where each state of a part is stored."""
        found = self._newest_in(view.name, lineage, part.log_position)
        written = {name: _Written(view.name, *each) for name, each in found.items()}
        if part.of_account is None:
            return written
        shared_in = part.row.shared_in
        written = {
            name: each
            for name, each in written.items()
            if (shared_in is None if is_for_all(name) else part.of_account(name))
        }
        if shared_in is not None:
            found = self._newest_in(shared_in, lineage, part.log_position)
            written |= {name: _Written(shared_in, *each) for name, each in found.items()}
        return written

    def _newest_in(self, name: str, lineage: bytes, log_position: int) -> dict[str, tuple[bytes, int]]:
        # The parts of several shares are of one log position.
        place = (name, lineage, log_position)
        if place not in self._newest:
            self._newest[place] = rows.newest(self._cuts, *place)
        return self._newest[place]

    def _state(self, lineage: bytes, log_position: int, partition: str, written: _Written, count: int) -> Packed:
        """Return a state of so many that are needed: where they are many, all of its view are read at once."""
        if count <= _ONE_BY_ONE_MAX:
            return rows.state_of(self._cuts, written.name, lineage, partition, written.at)
        place = (written.name, lineage, log_position)
        if place not in self._states:
            self._states[place] = rows.newest_states(self._cuts, *place)
        packed, _ = self._states[place][partition]
        return packed

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


def by_position(views: Sequence[str], found: dict[str, dict[int, Loaded]], accounts: AccountShares) -> list[ShareStart]:
    """Return what was found of views and shares, those that begin at one position together; the oldest come first."""
    starts: dict[tuple[int, frozenset[int]], dict[str, Loaded]] = {}
    shares = own.shares_with(accounts)
    for view in views:
        loaded = found.get(view, {})
        at: dict[int, list[int]] = {}
        for share in shares:
            at.setdefault(loaded[share].log_position if share in loaded else 0, []).append(share)
        for log_position, together in at.items():
            merged = Loaded(log_position, {}, {})
            for each in (loaded[share] for share in together if share in loaded):
                merged.states |= {name: state for name, state in each.states.items() if _has(accounts, name)}
                merged.digests |= {name: digest for name, digest in each.digests.items() if _has(accounts, name)}
            starts.setdefault((log_position, frozenset(together)), {})[view] = merged
    return [
        ShareStart(log_position, _among(accounts, together), states)
        for (log_position, together), states in sorted(starts.items(), key=lambda item: item[0][0])
    ]


def _has(accounts: AccountShares, name: str) -> bool:
    return is_for_all(name) or name in accounts


def _among(accounts: AccountShares, shares: frozenset[int]) -> AccountShares:
    """Return those of some accounts that are in some shares."""
    single = (name for name in accounts.also if share_of(name) in shares and share_of(name) not in accounts.numbers)
    return AccountShares(shares & accounts.numbers, frozenset(single))
