"""Finding the newest valid cut of each view."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from projections.cuts import own, rows
from projections.cuts.states import Packed, Undecoded, lineage_of
from projections.cuts.troubles import DamagedError
from projections.on_demand import decoder_of
from projections.shares import AccountShares, share_of
from projections.view import is_for_all

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

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


class _FoundPart(NamedTuple):
    """A view's part of a cut as it is stored: of an account alone, of a share alone, or of all accounts."""

    row: rows.PartRow
    account: str | None = None
    share: int | None = None

    @property
    def log_position(self) -> int:
        return self.row.position


class _Written(NamedTuple):
    """Where a state is stored: under the name of its view, or of a part."""

    name: str
    digest: bytes
    at: int


_Place = tuple[str, bytes, int]
"""The name of a view or of a part, its lineage, and a log position."""
_ONE_BY_ONE_MAX = 8
"""So many states are read each by itself, without others beside them."""


class Search:
    """The cuts of one log at or before a position. Why a cut is ignored is added to `problems`."""

    def __init__(self, cuts: CutRows, reader: EventReader, until: int, problems: list[str]) -> None:
        self._cuts, self._reader, self._until, self._problems = cuts, reader, until, problems
        self._history = frozenset(rows.history_of(cuts, reader))
        self._key = cuts.key()
        self._digests: dict[int, bytes | None] = {}
        # The parts of several shares are of one log position: what is stored there is asked for once.
        self._newest: dict[_Place, dict[str, _Written]] = {}
        self._shares: dict[_Place, dict[int, dict[str, _Written]]] = {}
        self._states: dict[_Place, dict[str, tuple[Packed, bytes]]] = {}
        self._signed: dict[_Place, bool] = {}

    def find(self, view: View[Any], partitions: Collection[str] | None) -> Loaded:
        """Return a view's states, of some partitions and those of every book, or all, from the newest valid cut."""
        lineage = lineage_of(view, self._reader.log_id)
        parts = [self._parts(view.name, lineage)]
        account = own.only_account(partitions)
        if account is not None:
            parts.append(self._parts(own.part_of(view.name, account), lineage, account=account))
            share = share_of(account)
            parts.append(self._parts(own.part_of(view.name, own.name_of_share(share)), lineage, share=share))
        return self._first_valid(view, heapq.merge(*parts, key=_newest_first), partitions)

    def find_shares(self, view: View[Any], shares: Iterable[int]) -> dict[int, Loaded]:
        """Return a view's states of the accounts of each share and of every book, each from its newest valid cut."""
        lineage = lineage_of(view, self._reader.log_id)
        whole = self._parts(view.name, lineage)
        newest = {
            row.view: row for row in rows.newest_parts(self._cuts, own.part_of(view.name, "#"), lineage, self._until)
        }
        found = {}
        for share in shares:
            name = own.part_of(view.name, own.name_of_share(share))
            parts = self._parts(name, lineage, share=share, newest=newest[name]) if name in newest else iter(())
            whole, of_all = itertools.tee(whole)
            found[share] = self._first_valid(view, heapq.merge(parts, of_all, key=_newest_first), share)
        return found

    def _first_valid(
        self, view: View[Any], parts: Iterable[_FoundPart], wanted: Collection[str] | int | None
    ) -> Loaded:
        """Return the wanted partitions, or those of a share, or all, from the first valid one of some parts."""
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
                    return self._loaded(view, part, wanted)
                except DamagedError as e:
                    self._problems.append(f"{where} is damaged ({e})")
        if not has_parts:
            self._problems += self._why_none(view, lineage_of(view, self._reader.log_id))
        return Loaded(0, {})

    def stored(self, view: View[Any]) -> StoredPart | None:
        """Return a view's part of the newest cut that has it, whether it is valid or not."""
        lineage = lineage_of(view, self._reader.log_id)
        for part in self._parts(view.name, lineage):
            if part.log_position not in self._history:
                continue
            states = rows.newest_states(self._cuts, view.name, lineage, part.log_position)
            digests = {partition: digest for partition, (_, digest) in states.items()}
            signed = part.row.signer == self._key.name and self._verify(view, part, digests)
            return StoredPart(view, part.log_position, signed, states)
        return None

    def _parts(
        self,
        name: str,
        lineage: bytes,
        *,
        account: str | None = None,
        share: int | None = None,
        newest: rows.PartRow | None = None,
    ) -> Iterator[_FoundPart]:
        """Yield the parts of a name, the newest first, which may be known."""
        until = self._until
        if newest is not None:
            yield _FoundPart(newest, account, share)
            until = newest.position - 1
        is_own = account is not None or share is not None
        for row in rows.parts_of(self._cuts, name, lineage, until, is_own=is_own):
            yield _FoundPart(row, account, share)

    def _loaded(self, view: View[Any], part: _FoundPart, wanted: Collection[str] | int | None) -> Loaded:
        written = self._written(view, part)
        if not self._is_signed(view, part, written):
            msg = "its signature does not match: a state is missing, or was replaced or changed"
            raise DamagedError(msg)
        if isinstance(wanted, int):
            chosen = written if part.share is not None else self._of_share(view, part, wanted)
        else:
            chosen = written if wanted is None else own.states_of(written, wanted)
        one_by_one = not isinstance(wanted, int) and len(chosen) <= _ONE_BY_ONE_MAX
        decoder = decoder_of(type(view.initial()))
        states = {}
        for partition, each in chosen.items():
            packed = self._state(part, partition, each, one_by_one=one_by_one)
            try:
                states[partition] = Undecoded(packed, each.digest, decoder, part.log_position)
            except DamagedError as e:
                msg = f"the state of {partition}: {e}"
                raise DamagedError(msg) from e
        return Loaded(part.log_position, states, {partition: each.digest for partition, each in chosen.items()})

    def _written(self, view: View[Any], part: _FoundPart) -> dict[str, _Written]:
        """Return where each state of a part is stored."""
        if part.share is not None and part.row.shared_in is not None:
            shared = self._newest_in(part.row.shared_in, part)
            return self._by_share(view, part).get(part.share, {}) | shared
        found = self._newest_in(view.name, part)
        return found if part.account is None else own.states_of(found, (part.account,))

    def _of_share(self, view: View[Any], part: _FoundPart, share: int) -> dict[str, _Written]:
        """Return what a part of all accounts has of a share."""
        shared = {name: each for name, each in self._newest_in(view.name, part).items() if is_for_all(name)}
        return self._by_share(view, part).get(share, {}) | shared

    def _by_share(self, view: View[Any], part: _FoundPart) -> dict[int, dict[str, _Written]]:
        """Return where the state of each account of a view is stored as of a part, by its share."""
        place = (view.name, part.row.lineage, part.log_position)
        found = self._shares.get(place)
        if found is None:
            found = self._shares[place] = {}
            for name, each in self._newest_in(view.name, part).items():
                if not is_for_all(name):
                    found.setdefault(share_of(name), {})[name] = each
        return found

    def _newest_in(self, name: str, part: _FoundPart) -> dict[str, _Written]:
        place = (name, part.row.lineage, part.log_position)
        if place not in self._newest:
            found = rows.newest(self._cuts, *place)
            self._newest[place] = {partition: _Written(name, *each) for partition, each in found.items()}
        return self._newest[place]

    def _state(self, part: _FoundPart, partition: str, written: _Written, *, one_by_one: bool) -> Packed:
        """Return a state; of many, all of their view are read at once."""
        if one_by_one:
            return rows.state_of(self._cuts, written.name, part.row.lineage, partition, written.at)
        place = (written.name, part.row.lineage, part.log_position)
        if place not in self._states:
            self._states[place] = rows.newest_states(self._cuts, *place)
        packed, _ = self._states[place][partition]
        return packed

    def _is_signed(self, view: View[Any], part: _FoundPart, written: Mapping[str, _Written]) -> bool:
        # All digests are checked, even for one partition: the signature covers all that the cut has of the view.
        place = (part.row.view, part.row.lineage, part.log_position)
        if place not in self._signed:
            digests = {partition: each.digest for partition, each in written.items()}
            self._signed[place] = self._verify(view, part, digests)
        return self._signed[place]

    def _verify(self, view: View[Any], part: _FoundPart, digests: Mapping[str, bytes]) -> bool:
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


def _newest_first(part: _FoundPart) -> int:
    return -part.log_position


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
