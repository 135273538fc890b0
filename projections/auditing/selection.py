"""Which records a timeline shows, and which of them are on one page, in the order of either time."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, NamedTuple

from eventstore import EventReader, InvalidEvent
from eventstore.arguments import filter_of, position_of
from eventstore.clock import to_ns
from eventstore.errors import shown
from projections.replay import only
from projections.view import GROUP, SHARED
from projections.views.approvals import is_policy, person_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Record
    from eventstore.clock import Times
    from eventstore.reader import Types

RECORDED, OCCURRED = "recorded", "occurred"
PAGE_MAX = 100_000
"""A page is in memory as a whole."""


class TimelineSelection(NamedTuple):
    """What is asked for. `start` (included) and `stop` (not) are UNIX ns of the time that orders it.

    Records of the types named in `unless_automatic` count unless a policy appended them to answer a record.
    """

    account: str | None
    types: Types | None
    actor: str | None
    start: int | None
    stop: int | None
    by: str
    unless_automatic: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        *,
        account: str | None,
        types: Types | None,
        actor: str | None,
        start: Times | None,
        stop: Times | None,
        by: str,
        unless_automatic: frozenset[str] = frozenset(),
    ) -> TimelineSelection:
        """Return what arguments ask for; raise InvalidEvent for those that mean nothing."""
        if by not in {RECORDED, OCCURRED}:
            msg = f"by is the time that orders the entries, {RECORDED!r} or {OCCURRED!r}, not {shown(by)}"
            raise InvalidEvent(msg)
        if actor is not None and not (type(actor) is str and actor.strip()):
            msg = f"actor is a name as it was recorded, as in 'ana@desk/eventstore' or 'ana', not {shown(actor)}"
            raise InvalidEvent(msg)
        filter_of(None, account, types)
        bounds = [None if each is None else to_ns(each) for each in (start, stop)]
        return cls(account, types, actor, bounds[0], bounds[1], by, unless_automatic)

    @property
    def folded(self) -> frozenset[str] | None:
        """The accounts that are folded to see what a record changed; None for all."""
        return folded_for(self.account)

    def has(self, actor: str, type_: str, causation_id: bytes | None) -> bool:
        """Return whether a record by an actor, `user@host/program`, is asked for: by that, or by the person alone."""
        # The writer of a record names its cause: that alone does not show that no person did it.
        if causation_id is not None and type_ in self.unless_automatic and is_policy(actor):
            return False
        if self.actor is None or self.actor in {actor, actor.partition("@")[0]}:
            return True
        # Who writes their name in another way is the same person, as for approvals.
        return {"@", "/"}.isdisjoint(self.actor) and person_of(self.actor) == person_of(actor)


def folded_for(account: str | None) -> frozenset[str] | None:
    """Return the accounts that are folded to see what records of one, or of all, changed; None for all.

    What belongs to none, and what is a group's, may change every account.
    """
    is_shared = account is None or account == SHARED or account.startswith(GROUP)
    return None if is_shared else only(account)


def page_of(store: EventReader, selection: TimelineSelection, *, after: int, limit: int) -> tuple[list[Record], bool]:
    """Return a page of records in the order asked for, and whether it is the last one."""
    first = position_of("after", after)
    count = position_of("limit", limit)
    if not 1 <= count <= PAGE_MAX:
        msg = f"limit is how many entries a page has, 1 to {PAGE_MAX:,}, not {shown(limit)}"
        raise InvalidEvent(msg)
    found = (_recorded if selection.by == RECORDED else _occurred)(store, selection, first, count + 1)
    return found[:count], len(found) <= count


def recorded(store: EventReader, selection: TimelineSelection, after: int) -> Iterator[Record]:
    """Yield the selected records past a log position, in the order of the log."""
    records = store.read(
        after=after,
        account=selection.account,
        types=selection.types,
        start=selection.start,
        stop=selection.stop,
    )
    return (each for each in records if selection.has(each.actor, each.type, each.causation_id))


def _recorded(store: EventReader, selection: TimelineSelection, after: int, most: int) -> list[Record]:
    return list(itertools.islice(recorded(store, selection, after), most))


def _occurred(store: EventReader, selection: TimelineSelection, after: int, most: int) -> list[Record]:
    last = (-1, 0)
    if after:
        seen = next(store.read(after=after - 1, limit=1), None)
        if seen is None or seen.position != after:
            msg = f"after is the log position of the last entry that was seen, and the log has no record at {after:,}"
            raise InvalidEvent(msg)
        last = (seen.occurred_at, seen.position)
    # Any record may have occurred at any time, so that all are looked at; only a page of them is kept.
    places = heapq.nsmallest(most, (each for each in _places(store, selection) if each > last))
    wanted = {position for _, position in places}
    if not wanted:
        return []
    records = store.read(
        after=min(wanted) - 1, until=max(wanted), account=selection.account, types=selection.types
    )  # fmt: skip
    found = {record.position: record for record in records if record.position in wanted}
    return [found[position] for _, position in places]


def _places(store: EventReader, selection: TimelineSelection) -> Iterator[tuple[int, int]]:
    """Yield when each selected record occurred, and its log position, in the order of the log."""
    start, stop = selection.start, selection.stop
    members = ("occurred_at", "actor", "type", "causation_id")
    rows = store.rows(members, account=selection.account, types=selection.types)
    for position, occurred_at, *others in itertools.chain.from_iterable(rows):
        in_time = (start is None or start <= occurred_at) and (stop is None or occurred_at < stop)
        if in_time and selection.has(*others):
            yield occurred_at, position
