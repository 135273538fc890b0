"""From a record down to its effects: what names it as a cause, and what followed in the same order or lockout."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from eventstore.trading import EnforcementRequested, LockoutSet, OrderSubmitted, WouldAsk, WouldLock
from projections.auditing.causes.answer import CausalLink, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventstore import Record
    from projections.auditing.causes.search import LogSearch

WINDOW = 5_000
"""How many positions after a record are searched for what names it as its cause."""
SEARCHED_MAX = 50_000
"""How many positions are searched for effects at most, unless all are asked for."""
EFFECTS_MAX = 1_000
DEPTH_MAX = 64
"""How long a chain of effects is followed."""
FOLLOWED_MAX = 200
"""How many later records of one stream are listed."""
REQUESTS_MAX = 10
"""How many records after a lockout may be requests of its decision."""
_LIVES = frozenset({"order", "lockout", "enforcement"})
"""Categories whose streams are one life each, or one after the other."""


class Downward:
    """Builds the tree of effects.

    A record's effects are later in the log, mostly right behind it: each one that is found is followed by another
    `WINDOW` of positions, of any account. `everything` searches up to the log's head instead.
    """

    def __init__(
        self,
        search: LogSearch,
        *,
        everything: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._search, self._everything = search, everything
        self._progress = progress
        self._children: dict[int, list[tuple[Role, Record]]] = {}
        self._ids: dict[bytes, int] = {}
        self._depths: dict[int, int] = {}
        self._starts: list[int] = []
        self.until = 0

    def effects(self, record: Record) -> tuple[CausalLink, ...]:
        """Return what a record led to, each with what that led to."""
        self._take(record)
        self._scan()
        return self._links(record.position, {record.position})

    def _take(self, record: Record) -> None:
        """Look for the effects of a record from now on."""
        if record.id in self._ids:
            return
        self._ids[record.id] = record.position
        heapq.heappush(self._starts, record.position)
        for each in self._requests(record):
            self._add(record.position, Role.REQUEST, each)
        if record.category in _LIVES and (record.version == 1 or record.type in _BEGIN):
            for each in self._followed(record):
                self._add(record.position, Role.FOLLOWED, each)

    def _requests(self, record: Record) -> Iterator[Record]:
        """Yield the requests of a lockout's decision, which is appended as a whole: they name the same cause."""
        if record.type not in _DECIDED:
            return
        for each in self._search.store.read(after=record.position, limit=REQUESTS_MAX):
            if each.type not in _ASKED or each.account != record.account or each.causation_id != record.causation_id:
                return
            yield each

    def _followed(self, record: Record) -> Iterator[Record]:
        for count, each in enumerate(self._search.store.read(stream=record.stream, after=record.position)):
            if each.type in _BEGIN:
                return
            if count >= FOLLOWED_MAX:
                self._search.note(f"only the next {FOLLOWED_MAX:,} records of {record.stream} are listed")
                return
            yield each

    def _add(self, parent: int, role: Role, record: Record) -> None:
        depth = self._depths.get(parent, 0) + 1
        if record.id in self._ids:
            return
        if len(self._ids) > EFFECTS_MAX or depth > DEPTH_MAX:
            self._search.note(f"not every effect is listed: position {record.position:,} is the first that is left out")
            self._starts.clear()
            return
        self._depths[record.position] = depth
        self._children.setdefault(parent, []).append((role, record))
        self._take(record)

    def _scan(self) -> None:
        """Search the positions after each record that was taken, in order, each once."""
        head, first, left = self._search.head, self._starts[0], SEARCHED_MAX
        self.until = done = first
        while self._starts:
            start = heapq.heappop(self._starts)
            after = max(start, done)
            until = head if self._everything else min(start + WINDOW, head, after + left)
            if until <= after:
                continue
            # What followed much later is searched as well, but only up to the first gap is everything known.
            if after == self.until:
                self.until = until
            left, done = left - (until - after), until
            self._search_between(after, until)

    def _search_between(self, after: int, until: int) -> None:
        for page in self._search.store.columns(("id", "causation_id"), after=after, until=until):
            positions, _, causes = page
            for position, cause in zip(positions, causes, strict=True):
                if cause is not None and cause in self._ids:
                    record = self._search.at(position)
                    if record is not None:
                        self._add(self._ids[cause], Role.EFFECT, record)
            if self._progress is not None:
                self._progress(positions[-1], until)

    def _links(self, position: int, shown: set[int]) -> tuple[CausalLink, ...]:
        links = []
        for role, record in sorted(self._children.get(position, ()), key=_position):
            if record.position in shown:
                continue
            shown.add(record.position)
            links.append(
                CausalLink(
                    role=role,
                    record=record,
                    sentence=self._search.sentence(record),
                    links=self._links(record.position, shown),
                )
            )
        return tuple(links)


_DECIDED = frozenset({LockoutSet.__name__, WouldLock.__name__})
_ASKED = frozenset({EnforcementRequested.__name__, WouldAsk.__name__})
_BEGIN = frozenset({LockoutSet.__name__, OrderSubmitted.__name__})


def _position(child: tuple[Role, Record]) -> int:
    return child[1].position
