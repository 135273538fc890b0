"""Where a replayed history differs from the original: record by record, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

from eventstore import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

LEFT_OUT = "left out, as asked"
REPLACED = "replaced, as asked"
NOT_DECIDED = "not decided again"
CAUSE_LEFT_OUT = "left out with its cause"
APPENDED = "appended"
DECIDED = "decided"
OTHERWISE = "recorded with other content"
_ASKED = frozenset({LEFT_OUT, REPLACED})


class Divergence(msgspec.Struct, frozen=True):
    """One difference, at a position of the original log: what was recorded there, and what is in its place.

    `was` is None for what the replay alone has: it then follows that position. `now` is None for what it has not.
    """

    position: int
    was: Record | None
    now: Record | None
    why: str

    @property
    def is_asked(self) -> bool:
        """Whether it is the change that was asked for, not what followed from it."""
        return self.why in _ASKED

    @override
    def __str__(self) -> str:
        return f"at position {self.position}: {described(self.was)}, now {described(self.now)} ({self.why})"


class Differences:
    """The differences so far. What was decided sooner than the log has it turns out to be none once it is met."""

    def __init__(self) -> None:
        self._by_id: dict[bytes, Divergence] = {}

    def __iter__(self) -> Iterator[Divergence]:
        return iter(sorted(self._by_id.values(), key=lambda each: each.position))

    def __len__(self) -> int:
        return len(self._by_id)

    def appended(self, record: Record, after: int, why: str = APPENDED) -> None:
        """Note a record that the replay has at its end, after a position of the original."""
        known = self._by_id.get(record.id)
        if known is None:
            self._by_id[record.id] = Divergence(after, None, record, why)
        elif known.now is None and known.was is not None:
            self._by_id[record.id] = Divergence(known.position, known.was, record, why)

    def left_out(self, record: Record, why: str) -> None:
        """Note that a record of the original is not there."""
        self._by_id[record.id] = Divergence(record.position, record, None, why)

    def replaced(self, record: Record, placed: list[Record]) -> None:
        """Note what stands in a record's place; the same fact makes none."""
        for number, each in enumerate(placed):
            if each.id == record.id and each.same_fact(record):
                continue
            was = record if number == 0 and all(other.id != record.id or other is each for other in placed) else None
            self._by_id[each.id] = Divergence(record.position, was, each, REPLACED)

    def met(self, record: Record, own: Record) -> None:
        """Note that the original has here what the replay had already."""
        if own.same_fact(record):
            self._by_id.pop(record.id, None)
        else:
            self._by_id[record.id] = Divergence(record.position, record, own, OTHERWISE)


def described(record: Record | None) -> str:
    """Return what a record is, in a few words."""
    return "nothing" if record is None else f"{record.type} in {record.stream}"
