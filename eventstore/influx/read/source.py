"""The source: one log read from InfluxDB alone, in order, without gaps, each point complete."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from typing_extensions import override

from eventstore.errors import Closed, Gap, Refused
from eventstore.influx.client import EVENT_ROWS, UNTYPED_ROWS, ResponseTooLarge
from eventstore.influx.points import CHECK_HINT, EVENT_COLUMNS, EVENTS, FIELDS, Decoder, ForeignPoint, PointRow
from eventstore.influx.read import queries
from eventstore.influx.read.queries import QueryClient, validate_positions
from eventstore.influx.read.timeline import Anchor, Timeline
from eventstore.influx.read.windows import PAGE_POINTS_FIRST, PAGE_POINTS_MAX, PageSizer, Windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.influx.client import Client
    from eventstore.influx.read.queries import Deadline
    from eventstore.journal import Query
    from eventstore.record import Record

POLL_SECONDS = 0.02
# The newest batches may still be incomplete when their last point is seen; everything older was confirmed.
IN_FLIGHT_MAX = 10_000
# More new points than this are counted, not read: a caller that asks for the head may not want their records.
COUNT_FROM = 5_000


class InfluxSource:
    """Reads one log. Any number of threads may use it; their calls are serialised.

    InfluxDB promises neither order nor completeness: the points of one write become visible one by one, and a killed
    server may lose some. So positions are known as complete only up to where every point has been read or counted,
    and that is where the head is, unless a gap stays.

    Raises Unavailable if InfluxDB does not respond for `patience_seconds` of the settings, Refused if it refuses or
    holds points that do not belong to the log, Gap for missing positions.
    """

    def __init__(self, client: Client, log: str, log_id: bytes) -> None:
        self.log, self.log_id = log, log_id
        self._client = client
        self._decoder = Decoder(log, log_id)
        self._lock = threading.RLock()
        self._queries = QueryClient(client, log)
        self._closed = self._queries.closed
        self._times = Timeline(self._queries)
        self._sizer = PageSizer()
        self._windows = Windows(self._queries, self._times, self._sizer, f"reader of {log}")
        # Every position up to `_complete` is present. The head is the same, or past it if there is a lasting gap.
        self._complete = self._head = Anchor(0, 0)
        # The position before the gap, and when it was first seen (monotonic seconds).
        self._gap: tuple[int, float] | None = None
        # A span without gaps, known from counting or reading: it is not counted again.
        self._counted = (Anchor(0, 0), Anchor(0, 0))
        # The records that the last `head` read: most callers read them next.
        self._recent: list[Record] = []

    @property
    def page(self) -> int:
        """How many records fit in one response, which depends on their size."""
        return self._sizer.count

    # The Source protocol

    def head(self) -> int:
        """Return the last position up to which every point is present and complete.

        Missing points may still arrive: for GAP_SECONDS the head stays before them. If they do not arrive, the head
        becomes the newest position, and reading across the gap raises Gap.
        """
        with self._lock:
            self._check_open()
            newest = self._newest()
            if newest is not None and newest.position <= self._complete.position:
                raise _repeated(newest.recorded_at, newest.position)
            if newest is not None:
                self._advance(newest)
            return self._head.position

    def stable_head(self) -> int:
        """Return the head after waiting for points that may still arrive before the newest one seen."""
        while True:
            with self._lock:
                head = self.head()
                if self._gap is None or head > self._complete.position:
                    return head
            self._closed.wait(POLL_SECONDS)

    def read(self, query: Query, /) -> Sequence[Record]:
        with self._lock:
            self._check_open()
            after, until = query.after, query.until
            top = self._head.position if until is not None and until <= self._head.position else self.head()
            top = top if until is None else min(top, until)
            if after >= top or query.types == ():
                return []
            limit = min(query.limit, PAGE_POINTS_MAX)
            where, values = _conditions(query.stream, query.account, query.types)
            if where:
                return self._filtered(after, top, limit, where, values)
            return self._contiguous(after, min(top, after + limit))

    def version(self, stream: str) -> int:
        with self._lock:
            if not self.head():
                return 0
            where, values = _conditions(stream, None, None)
            found = self._matching(Anchor(0, 0), self._head, where, values, "ORDER BY time DESC LIMIT 1")
            # A newer record of the stream could be missing.
            self._check_complete(_anchor(found[0]) if found else Anchor(0, 0), self._head)
            return found[0].version if found else 0

    def position_at(self, recorded_at: int) -> int:
        with self._lock:
            head = self.head()
            if not head or recorded_at >= self._head.recorded_at:
                return head
            rows = self._queries.positions(
                f"SELECT position FROM {EVENTS} WHERE log = $log AND time <= {recorded_at} "  # noqa: S608 - a number
                "ORDER BY time DESC LIMIT 1"
            )
            return int(rows[0][1]) if rows else 0

    def type_names(self) -> Sequence[str]:
        with self._lock:
            self._check_open()
            values, _ = self._queries.rows(
                UNTYPED_ROWS, f"SHOW TAG VALUES FROM {EVENTS} WITH KEY = type WHERE log = $log"
            )
            return sorted({str(row[1]) for row in values})

    def wait(self, position: int, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while self.head() <= position:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._closed.wait(min(left, POLL_SECONDS))
        return True

    def close(self) -> None:
        """Close the connections; a second call does nothing."""
        self._closed.set()
        self._windows.close()
        self._client.close()

    # All records in order

    def _contiguous(self, after: int, until: int) -> list[Record]:
        """Return the records after a position up to another; raise Gap if one is missing."""
        if self._recent and self._recent[0].position <= after + 1 and until <= self._recent[-1].position:
            first = self._recent[0].position
            return self._recent[after + 1 - first : until + 1 - first]
        last = self._times.locate(after, self._head)
        # A caller that reads a whole page most likely reads the next one too.
        prefetch = until - after >= min(self._sizer.count, PAGE_POINTS_FIRST)
        found: list[Record] = []
        deadline: Deadline | None = None
        while last.position < until:
            left = until - last.position
            more = self._prefix(self._windows.next(last, left, self._head, prefetch=prefetch), last.position)
            if more:
                found += more
                last, deadline = _anchor(more[-1]), None
                continue
            # Points that were counted before existed: the server lost them, and its mirror will ship them again.
            deadline = deadline or self._queries.deadline(seen=self._counted[0] <= last < self._counted[1])
            if not deadline.wait():
                self._counted = (Anchor(0, 0), Anchor(0, 0))
                raise Gap(self.log, last.position, self._times.next_position(last))
        self._times.add(last)
        return found

    def _prefix(self, rows: Sequence[PointRow], after: int) -> list[Record]:
        """Return the records of rows after a position, up to the first missing or incomplete one."""
        found: list[Record] = []
        for row in rows:
            record = self._record(row)
            if record is None or record.position > after + 1:
                break
            if record.position <= after:
                raise _repeated(row.recorded_at, record.position)
            found.append(record)
            after += 1
        return found

    # Filtered records

    def _filtered(self, after: int, until: int, limit: int, where: str, values: dict[str, object]) -> list[Record]:
        start, stop = self._times.locate(after, self._head), self._times.locate(until, self._head)
        # Filtered records are not contiguous, so a missing one would go unnoticed: the whole span is counted.
        self._check_complete(start, stop)
        found: list[Record] = []
        while len(found) < limit:
            count = min(limit - len(found), self._sizer.count)
            try:
                more = self._matching(start, stop, where, values, f"LIMIT {count}")
            except ResponseTooLarge:
                self._sizer.halve(count)
                continue
            found += more
            if len(more) < count:
                break
            start = _anchor(more[-1])
        return found

    def _matching(self, start: Anchor, stop: Anchor, where: str, values: dict[str, object], end: str) -> list[Record]:
        query = (
            f"SELECT {EVENT_COLUMNS} FROM {EVENTS} WHERE log = $log AND time > {start.recorded_at} "  # noqa: S608 - numbers
            f"AND time <= {stop.recorded_at} AND {where} {end}"
        )
        rows, size = self._queries.rows(EVENT_ROWS, query, values)
        self._sizer.learn(len(rows), size)
        found = []
        for row in rows:
            record = self._record(row)
            if record is None:
                msg = f"the point at {row.recorded_at} is incomplete: eventstore mirror --check names what it lacks"
                raise Refused(msg)
            found.append(record)
        return found

    def _check_complete(self, low: Anchor, high: Anchor) -> None:
        """Raise Gap unless every position between two anchors is present. A span is counted once only."""
        first, last = self._counted
        # An adjoining span extends the one that was counted; a separate one replaces it.
        if first <= low <= last:
            low = last
        else:
            first = low
        if high <= low:
            return
        deadline = self._queries.deadline(seen=False)
        while (last_before := self._times.last_before_gap(low, high, ("position",))) is not None:
            if not deadline.wait():
                raise Gap(self.log, last_before.position, self._times.next_position(last_before))
        self._counted = (first, high)

    # The head

    def _newest(self) -> Anchor | None:
        past = f"FROM {EVENTS} WHERE log = $log AND time > {self._complete.recorded_at} ORDER BY time DESC LIMIT 1"
        found = self._queries.columns(f"SELECT position {past}; SELECT meta {past}")
        rows = validate_positions(found.get("position", []))
        newest = Anchor(rows[0][1], rows[0][0]) if rows else None
        for at, meta in found.get("meta", []):
            # Checks the log's id at once: a caller may never read as far as this point.
            self._record(PointRow(at, newest.position if newest is not None else 0, "", 0, "", str(meta), ""))
        return newest

    def _advance(self, newest: Anchor) -> None:
        """Move `_complete` and the head forward, up to the newest point seen."""
        self._recent = []
        while self._complete.position < newest.position:
            if newest.position - self._complete.position > min(self._sizer.count, COUNT_FROM):
                self._recent = []
                self._advance_by_count(newest)
                break
            # One row more than there are positions: it would be a point that does not belong here.
            rows = self._windows.rows(self._complete, newest.position - self._complete.position + 1, newest.recorded_at)
            more = self._prefix(rows, self._complete.position)
            if not more:
                break
            self._recent += more
            self._set_complete(_anchor(more[-1]), counted_from=self._complete)
        if self._complete.position > newest.position:
            raise _repeated(newest.recorded_at, newest.position)
        self._head = self._complete
        if self._complete.position == newest.position:
            self._gap = None
            return
        now = time.monotonic()
        if self._gap is None or self._gap[0] != self._complete.position:
            self._gap = (self._complete.position, now)
        # A gap so far back, or so old, is not a batch being written: readers must see it, as a Gap.
        if newest.position - self._complete.position > IN_FLIGHT_MAX or now - self._gap[1] >= queries.GAP_SECONDS:
            self._head = newest

    def _advance_by_count(self, newest: Anchor) -> None:
        """Move `_complete` forward by more than one response holds: by counting, and only what may be in flight."""
        low = self._complete
        if newest.position - low.position > IN_FLIGHT_MAX:
            low = self._times.before(newest, IN_FLIGHT_MAX) or low
        self._set_complete(self._times.last_before_gap(low, newest, FIELDS) or newest, counted_from=low)

    def _set_complete(self, anchor: Anchor, *, counted_from: Anchor) -> None:
        first, last = self._counted
        self._counted = (first if first <= counted_from <= last else counted_from, anchor)
        self._complete = anchor
        self._times.add(anchor)

    # Helpers

    def _record(self, row: PointRow) -> Record | None:
        try:
            return self._decoder.record(row)
        except ForeignPoint as e:
            msg = f"{e}: {CHECK_HINT}"
            raise Refused(msg) from e

    def _check_open(self) -> None:
        if self._closed.is_set():
            msg = f"this reader of log {self.log} is closed: connect again"
            raise Closed(msg)

    @override
    def __repr__(self) -> str:
        settings = self._client.settings
        return f"<InfluxSource {self.log} in {settings.bucket} at {settings.address}, head {self._head.position}>"


def _repeated(at: int, position: int) -> Refused:
    return Refused(f"the point at {at} repeats position {position}: {CHECK_HINT}")


def _anchor(record: Record) -> Anchor:
    return Anchor(record.position, record.recorded_at)


def _conditions(
    stream: str | None, account: str | None, types: tuple[str, ...] | None
) -> tuple[str, dict[str, object]]:
    """Return a filter as an InfluxQL condition and its bound values, '' if there is none."""
    equal: list[tuple[str, str]] = []
    if stream is not None:
        parts = stream.rstrip("/").split("/")
        equal += zip(("category", "account"), parts, strict=False)
        if not stream.endswith("/"):
            equal.append(("stream", stream))
    if account is not None:
        equal.append(("account", account))
    where = [f"{name} = ${name}{number}" for number, (name, _) in enumerate(equal)]
    values: dict[str, object] = {f"{name}{number}": value for number, (name, value) in enumerate(equal)}
    if types:
        where.append("(" + " OR ".join(f'"type" = $type{number}' for number in range(len(types))) + ")")
        values |= {f"type{number}": name for number, name in enumerate(types)}
    return " AND ".join(where), values
