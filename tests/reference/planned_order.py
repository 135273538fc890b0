"""Planned events as plain lists: what is known by id, and the order in which events are appended."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


class PlainStaging:
    """Rows of events (id, time, what it is): all in memory, sorted at the end by Python."""

    def __init__(self) -> None:
        self.by_id: dict[Hashable, object] = {}
        self._rows: list[list[tuple[int, object]]] = []

    def add_row(self, events: Iterable[tuple[Hashable, int, object]]) -> None:
        """Add the events of a row that are not known; none is placed before one that precedes it in its row."""
        latest, row = 0, []
        for id_, time, event in events:
            if id_ not in self.by_id:
                latest = max(latest, time)
                self.by_id[id_] = event
                row.append((latest, event))
        self._rows.append(row)

    def in_order(self, *, is_newest_first: bool) -> Sequence[object]:
        """Return the events by time, those of one time by row, those of one row as they are in it."""
        numbered = [
            (latest, -number if is_newest_first else number, place, event)
            for number, row in enumerate(self._rows)
            for place, (latest, event) in enumerate(row)
        ]
        return [event for *_, event in sorted(numbered, key=lambda each: each[:3])]
