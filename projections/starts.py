"""Where each view starts from: its newest valid cut, what its log begins with, or the first record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.carried import carried_states
from projections.cuts.search import Loaded
from projections.view import View, completed, is_by_account, is_volatile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import EventReader
    from projections.snapshots import Snapshots


def starts_of(
    views: Iterable[View[Any]],
    reader: EventReader,
    snapshots: Snapshots | None,
    *,
    until: int,
    accounts: frozenset[str] | None,
    occurred_until: int | None = None,
) -> list[tuple[View[Any], Loaded]]:
    """Return the views, each with its states of some accounts or all as of a log position at or before `until`."""
    chosen = [completed(view) for view in views]
    found: dict[str, Loaded] = {}
    if snapshots is not None:
        # A partition of several accounts has more, in a cut, than a book of some accounts would fold.
        separable = [view for view in chosen if accounts is None or is_by_account(view) or view.shared]
        stored = [view for view in separable if not is_volatile(view)]
        found = snapshots.load_all(stored, reader, until=until, partitions=accounts)
    without = [view for view in chosen if not is_volatile(view) and not _has_cut(found, view)]
    if without:
        # What is carried on rests on all records before, those that occurred after an instant asked for included.
        found |= carried_states(without, reader, until=until, accounts=accounts, occurred_until=occurred_until)
    # Observed events are not in the log: a view that rests on them starts empty, with nothing to fold.
    return [(view, found.get(view.name) or Loaded(until if is_volatile(view) else 0, {})) for view in chosen]


def _has_cut(found: dict[str, Loaded], view: View[Any]) -> bool:
    return view.name in found and found[view.name].log_position > 0
