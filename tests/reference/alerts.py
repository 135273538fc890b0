"""What one receiver of alerts must have got in the end, in plain Python: each lockout, and the last word on each limit.

It knows the records in their order, and what arrived; not how, when or by which process anything was sent.
"""

from __future__ import annotations

from typing import NamedTuple


class Said(NamedTuple):
    """A record about a limit: its id, its place in the log, and whether it says that the limit is judged again."""

    id: str
    position: int
    ended: bool


class Got(NamedTuple):
    """What arrived: the alert's id, what it is about, the place of its record, and whether it says that it is over."""

    id: str
    subject: str
    position: int | None
    ended: bool


class Expected:
    """The records that a receiver must hear of, and what it got."""

    def __init__(self) -> None:
        self.lockouts: list[str] = []
        self.limits: dict[str, list[Said]] = {}
        self.got: list[Got] = []
        self.interrupted = 0
        """How often a process was killed between sending and recording."""

    def problems(self, recorded: dict[str, int]) -> list[str]:
        """Return what is wrong in the end; `recorded`: how often the log says of an id that it was delivered."""
        found = [*self._lockouts(), *self._limits(), *self._ids()]
        for id_, times in recorded.items():
            if times != 1:
                found.append(f"{id_} is recorded {times} times")
        arrived = {each.id for each in self.got}
        # Where a process was killed before it recorded one about a limit, it may have been merged into the next.
        lasting = {*self.lockouts, *(said[-1].id for said in self.limits.values())}
        found += [f"{id_} arrived, and is not recorded" for id_ in (arrived & lasting) - set(recorded)]
        found += [f"{id_} is recorded, and did not arrive" for id_ in set(recorded) - arrived]
        repeated = len(self.got) - len(arrived)
        if repeated > self.interrupted:
            found.append(f"{repeated} arrived again, after {self.interrupted} interruptions")
        return found

    def _lockouts(self) -> list[str]:
        arrived = {each.id for each in self.got}
        return [f"lockout {each} did not arrive" for each in self.lockouts if each not in arrived]

    def _limits(self) -> list[str]:
        found = []
        for subject, said in self.limits.items():
            heard = [each for each in self.got if each.subject == subject]
            if not heard:
                found.append(f"nothing arrived about {subject}")
                continue
            last = said[-1]
            if (heard[-1].id, heard[-1].ended) != (last.id, last.ended):
                found.append(f"the last about {subject} is {heard[-1]}, not {last}")
            places = [each.position or 0 for each in heard]
            if places != sorted(places):
                found.append(f"older news about {subject} arrived after newer: {places}")
        return found

    def _ids(self) -> list[str]:
        """Each id is a record's own: nothing else arrived, and no record under two."""
        known = set(self.lockouts) | {each.id for said in self.limits.values() for each in said}
        found = [f"no record has the id {each.id}" for each in self.got if each.id not in known]
        by_place: dict[int | None, set[str]] = {}
        for each in self.got:
            by_place.setdefault(each.position, set()).add(each.id)
        return [*found, *(f"position {place} has ids {ids}" for place, ids in by_place.items() if len(ids) > 1)]
