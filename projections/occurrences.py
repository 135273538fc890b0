"""Up to where a log has only records that had occurred by an instant: a cut there is one of that instant too."""

from __future__ import annotations

import bisect
import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventstore import EventReader

BLOCK = 4_096
"""The greatest time of occurrence is kept for so many records at once."""


class Occurrences:
    """The greatest `occurred_at` up to each block's end of one log; read once, and continued as the log grows.

    The journal has no index on times of occurrence: reading them takes about a second for a million records.
    """

    def __init__(self) -> None:
        self._latest: list[int] = []
        self._mutex = threading.Lock()

    def settled(self, reader: EventReader, instant: int, until: int) -> int:
        """Return the last position up to `until` before which, and at which, nothing occurred after an instant."""
        with self._mutex:
            self._continue(reader, until // BLOCK)
            # They never fall, for each is the greatest so far.
            block = min(bisect.bisect_right(self._latest, instant), until // BLOCK)
        first, last = block * BLOCK, min((block + 1) * BLOCK, until)
        for positions, times in reader.columns(("occurred_at",), after=first, until=last):
            for position, occurred_at in zip(positions, times, strict=True):
                if occurred_at > instant:
                    return int(position) - 1
        return last

    def _continue(self, reader: EventReader, blocks: int) -> None:
        after = len(self._latest) * BLOCK
        for positions, times in reader.columns(("occurred_at",), after=after, until=blocks * BLOCK):
            for position, occurred_at in zip(positions, times, strict=True):
                block, place = divmod(position - 1, BLOCK)
                if place == 0:
                    self._latest.append(max(occurred_at, self._latest[-1] if block else occurred_at))
                elif occurred_at > self._latest[block]:
                    self._latest[block] = occurred_at


_known: weakref.WeakKeyDictionary[EventReader, Occurrences] = weakref.WeakKeyDictionary()
_mutex = threading.Lock()


def settled(reader: EventReader, instant: int, until: int) -> int:
    """Return the last position, at most `until`, of the log's beginning in which all had occurred by an instant."""
    with _mutex:
        occurrences = _known.setdefault(reader, Occurrences())
    return occurrences.settled(reader, instant, until)
