"""Windows: a log's points in order, some thousands to an answer, the next ones on their way while these are used."""

from __future__ import annotations

import contextlib
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from eventstore.errors import Unavailable
from eventstore.influx.client import ROWS, TooWide
from eventstore.influx.points import EVENTS, SELECTED, Row
from eventstore.influx.read.timeline import Anchor

if TYPE_CHECKING:
    from eventstore.influx.client import Raw
    from eventstore.influx.read.queries import Asking
    from eventstore.influx.read.timeline import Timeline

# The server begins each answer anew in every series: 0.1 s, which many points have to share.
WIDTH_FIRST = 40_000
WIDTH_GROWTH = 8
WIDTH_MAX = 100_000
ANSWER_BYTES = 28_000_000
# What is left is divided, so that the last answer too is read while the one before it becomes records.
PARTS, PART_LEAST = 2, 40_000


class Width:
    """How many points to ask for at once: as many as fit in an answer of some megabytes, learnt from those before."""

    def __init__(self) -> None:
        self.count = WIDTH_FIRST

    def learn(self, rows: int, size: int) -> None:
        """Note how many bytes so many points came to."""
        if rows:
            fitting = ANSWER_BYTES * rows // max(size, 1)
            self.count = max(min(fitting, self.count * WIDTH_GROWTH, WIDTH_MAX), 1)

    def halve(self, asked: int) -> None:
        """Note that so many points were more than an answer may hold."""
        self.count = max(min(self.count, asked) // 2, 1)

    def part(self, left: int) -> int:
        """Return how many of those that are left to ask for next."""
        return min(-(-left // max(min(PARTS, left // PART_LEAST), 1)), self.count)


class Windows:
    """Fetches windows of one log. Used by one thread at a time."""

    def __init__(self, asking: Asking, times: Timeline, width: Width, name: str) -> None:
        self._asking, self._times, self._width = asking, times, width
        self._ahead: tuple[Anchor, Future[Raw]] | None = None
        self._kept: tuple[Anchor, list[Row]] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    def rows(self, start: Anchor, wanted: int, stop: int) -> list[Row]:
        """Return some rows past an anchor and up to a time: no more than wanted, and than one answer may hold."""
        while True:
            count = min(wanted, self._width.count)
            try:
                rows, size = self._asking.rows(ROWS, _query(start, count, stop))
            except TooWide:
                self._width.halve(count)
            else:
                self._width.learn(len(rows), size)
                return rows

    def next(self, start: Anchor, wanted: int, top: Anchor, *, go_on: bool) -> list[Row]:
        """Return some rows past an anchor, at most as many as are wanted, none past `top`.

        With `go_on` those after them are asked for, which the server works at while these become records.
        """
        rows = self._known(start)
        if rows is None:
            count = self._width.part(top.position - start.position) if go_on else wanted
            stop = self._times.reach(start, count, top)
            rows = self.rows(start, count, stop)
            if not rows and stop < top.recorded_at:  # the time by which they were probably recorded was not right
                rows = self.rows(start, count, top.recorded_at)
        if go_on and rows and rows[-1].position == start.position + len(rows):
            self._go_on(Anchor(rows[-1].position, rows[-1].recorded_at), top)
        if len(rows) > wanted:
            last, rest = rows[wanted - 1], rows[wanted:]
            rows = rows[:wanted]
            if last.position == start.position + wanted:
                self._kept = Anchor(last.position, last.recorded_at), rest
        return rows

    def close(self) -> None:
        """Wait for nothing that is on its way."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _known(self, start: Anchor) -> list[Row] | None:
        """Return the rows past an anchor that came before, None where none did. They are used once."""
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] == start:
            return kept[1]
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead[0] != start:
            return None
        try:
            raw = ahead[1].result()
            rows = ROWS.rows(raw)
        except (CancelledError, TooWide):
            return None
        except Unavailable:
            self._asking.note_trouble()
            return None
        self._width.learn(len(rows), len(raw.body))
        return rows

    def _go_on(self, start: Anchor, top: Anchor) -> None:
        count = self._width.part(top.position - start.position)
        if self._ahead is None and count > 0:
            query = _query(start, count, self._times.reach(start, count, top))
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                self._ahead = start, self._thread.submit(self._asking.fetch, query)


def _query(start: Anchor, count: int, stop: int) -> str:
    """Ask for so many points past an anchor, up to a time."""
    return (
        f"SELECT {SELECTED} FROM {EVENTS} WHERE log = $log AND time > {start.recorded_at} AND time <= {stop} "  # noqa: S608 - numbers
        f"LIMIT {count}"
    )
