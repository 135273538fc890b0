"""Writing a cut: of all accounts, of single ones or of shares, and signing what is really stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from projections.cuts import own, rows
from projections.cuts.troubles import DamagedError
from projections.shares import share_of
from projections.view import is_for_all

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from eventstore import EventReader
    from projections.cuts.place import CutRows
    from projections.cuts.states import Packed
    from projections.view import View

CUTS_KEPT = 16
"""So many cuts are kept, however large they are."""


class WrittenCut(NamedTuple):
    """What a cut is of: a log up to a position, and which accounts. Those in `own` have one of their own as well."""

    log_id: bytes
    log_position: int
    digest: bytes
    extent: own.Extent
    own: Collection[str]

    @property
    def place(self) -> tuple[bytes, int, bytes]:
        return self.log_id, self.log_position, self.digest


class ViewPart(NamedTuple):
    """What one view adds to a cut: states to write, and the digests of those that are stored already."""

    view: View[Any]
    lineage: bytes
    states: dict[str, Packed]
    digests: dict[str, bytes]

    @property
    def expected(self) -> dict[str, bytes]:
        """The digests that all states have once these are written."""
        return self.digests | {partition: state.digest for partition, state in self.states.items()}


class MissingStatesError(Exception):
    """The place lacks states that earlier cuts wrote: `missing`, by view."""

    def __init__(self, missing: dict[str, set[str]]) -> None:
        self.missing = missing
        super().__init__()


def write(cuts: CutRows, reader: EventReader, cut: WrittenCut, parts: Sequence[ViewPart]) -> bool:
    """Write a cut, and drop old ones; return False where a later one has been written. Raises MissingStatesError."""
    history = rows.history_of(cuts, reader, forget=True)
    if _is_superseded(cuts, history, cut):
        return False
    rows.put_cut(cuts, cut.place, is_kept=cut.extent.is_whole)
    put = _put_shares if cut.extent.shares else _put
    missing = {part.view.name: put(cuts, cut, part) for part in parts}
    if any(missing.values()):
        # Rolls back: the next attempt also writes what is missing.
        raise MissingStatesError(missing)
    rows.thin(cuts, cut.log_id, CUTS_KEPT)
    return True


def _is_superseded(cuts: CutRows, history: list[int], cut: WrittenCut) -> bool:
    """Return whether another process has written a later cut, and thinned out what an earlier one would rest on."""
    if not cut.extent.shares:
        return bool(history) and history[-1] > cut.log_position
    # Other members of a group are at other positions: only a later cut of the same accounts counts.
    shares = {own.name_of_share(share) for share in cut.extent.shares}
    return any(
        not name or (name in shares if own.is_share(name) else cut.extent.has_account(name))
        for name in rows.names_after(cuts, cut.log_id, cut.log_position)
    )


def _put(cuts: CutRows, cut: WrittenCut, part: ViewPart) -> set[str]:
    """Write a view's part of a cut of all accounts, or of some; return the partitions whose state is missing."""
    view, expected = part.view, part.expected
    rows.put_states(cuts, view.name, part.lineage, cut.log_position, part.states)
    found = rows.digests_in(cuts, view.name, part.lineage, cut.log_position)
    if not cut.extent.is_whole:
        expected, found = own.states_of(expected, cut.own), own.states_of(found, cut.own)
    missing = _compare(cuts, view.name, part, found, expected)
    signed = {view.name: expected} if cut.extent.is_whole else {}
    if own.takes_part(view):
        signed |= {own.part_of(view.name, name): own.states_of(expected, (name,)) for name in cut.own}
    rows.put_parts(cuts, _signed(cuts, cut, part, signed))
    return missing


def _put_shares(cuts: CutRows, cut: WrittenCut, part: ViewPart) -> set[str]:
    """Write a view's part of a cut of shares, one for each of them; return the partitions whose state is missing.

    What is of every book is stored once, under the first share of these: nobody else writes there, so no other member's
    states, which need not be of the same bytes, come between it and what was signed.
    """
    view, lineage, expected = part.view, part.lineage, part.expected
    first = own.part_of(view.name, own.name_of_share(min(cut.extent.shares)))
    of_all = {name: state for name, state in part.states.items() if is_for_all(name)}
    rows.put_states(cuts, first, lineage, cut.log_position, of_all)
    rows.put_states(cuts, view.name, lineage, cut.log_position, _of_shares(part.states, cut))
    found = _of_shares(rows.digests_in(cuts, view.name, lineage, cut.log_position), cut)
    accounts = _of_shares(expected, cut)
    found_shared = rows.digests_in(cuts, first, lineage, cut.log_position)
    shared = {name: digest for name, digest in expected.items() if is_for_all(name)}
    missing = _compare(cuts, first, part, found_shared, shared) | _compare(cuts, view.name, part, found, accounts)
    signed = {share: dict(shared) for share in cut.extent.shares}
    for name, digest in accounts.items():
        signed[share_of(name)][name] = digest
    named = {own.part_of(view.name, own.name_of_share(share)): digests for share, digests in signed.items()}
    epochs = [fence.epoch for fence in cut.extent.shares.values()]
    rows.put_parts(cuts, _signed(cuts, cut, part, named, shared_in=first), epochs)
    return missing


def _of_shares(found: Mapping[Any, Any], cut: WrittenCut) -> dict[str, Any]:
    """Return what belongs to an account of the cut's shares."""
    return {name: each for name, each in found.items() if cut.extent.has_account(name)}


def _compare(
    cuts: CutRows, name: str, part: ViewPart, found: Mapping[Any, Any], expected: Mapping[str, bytes]
) -> set[str]:
    """Return the partitions whose state is missing; remove those that should not be there. Raises DamagedError.

    Compared, not believed: another process may have written other states, or lost some that this one wrote. A cut is
    signed only over what is really stored.
    """
    if found == expected:
        return set()
    rows.remove_partitions(cuts, name, part.lineage, found.keys() - expected.keys())
    return _missing(found, expected, part.states)


def _missing(found: Mapping[Any, Any], expected: Mapping[str, bytes], written: Collection[str]) -> set[str]:
    """Return the partitions whose state is missing; raise DamagedError where one of them was just written."""
    lacking = {partition for partition, digest in expected.items() if found.get(partition) != digest}
    if not lacking.isdisjoint(written):
        msg = "a state that was just written is missing"
        raise DamagedError(msg)
    return lacking


def _signed(
    cuts: CutRows,
    cut: WrittenCut,
    part: ViewPart,
    named: Mapping[str, Mapping[str, bytes]],
    *,
    shared_in: str | None = None,
) -> list[rows.PartRow]:
    """Return a view's parts, by name, each signed over its digests."""
    key, revision, lineage = cuts.key(), part.view.revision, part.lineage
    return [
        rows.PartRow(
            name,
            lineage,
            cut.log_position,
            revision,
            key.name,
            key.sign(rows.signed_text(cut.place, name, lineage, revision, digests)),
            shared_in,
        )
        for name, digests in named.items()
    ]
