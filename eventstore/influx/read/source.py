"""The source: one log read from InfluxDB alone, in order, contiguous, each point whole."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from typing_extensions import override

from eventstore.errors import Closed, Gap, Refused
from eventstore.influx.client import ROWS, TooWide
from eventstore.influx.points import CHECK, EVENTS, FIELDS, SELECTED, Decoder, Foreign, Row
from eventstore.influx.read import queries
from eventstore.influx.read.queries import Asking, whole
from eventstore.influx.read.timeline import Anchor, Timeline
from eventstore.influx.read.windows import WIDTH_FIRST, WIDTH_MAX, Width, Windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.influx.client import Client
    from eventstore.influx.read.queries import Patience
    from eventstore.journal import Query
    from eventstore.record import Record

POLL_SECONDS = 0.02
# A batch that is on its way when the newest point is seen may be there in parts; what is older was confirmed.
IN_FLIGHT_MAX = 10_000
# Whoever asks for a head does not want so many records: they are counted.
LEAP_FROM = 5_000


class InfluxSource:
    """Reads one log. Any number of threads may ask; they are answered one after another.

    Raises Unavailable when InfluxDB has not answered for the settings' `patience_seconds`, Refused when it says no or
    holds what is not the log's, Gap for positions that are not there.
    """

    def __init__(self, client: Client, log: str, log_id: bytes) -> None:
        self.log, self.log_id = log, log_id
        self._client = client
        self._decoder = Decoder(log, log_id)
        self._lock = threading.RLock()
        self._asking = Asking(client, log)
        self._closed = self._asking.closed
        self._times = Timeline(self._asking)
        self._width = Width()
        self._windows = Windows(self._asking, self._times, self._width, f"reader of {log}")
        # All is there and whole up to the edge; the head is past it where a hole stays.
        self._edge = self._head = Anchor(0, 0)
        self._hole: tuple[int, float] | None = None
        self._counted = (Anchor(0, 0), Anchor(0, 0))
        self._fresh: list[Record] = []

    @property
    def page(self) -> int:
        """As many records as come in one answer, which depends on their size."""
        return self._width.count

    # The source's promises

    def head(self) -> int:
        """Return the last position up to which every point is there and whole.

        What is missing may be on its way, and is waited for: not by this call, but by those that come after it. When
        it stays away, the head is the newest position, and whoever reads over what is missing gets the Gap.
        """
        with self._lock:
            self._check_open()
            newest = self._newest()
            if newest is not None and newest.position <= self._edge.position:
                raise _once_more(newest.recorded_at, newest.position)
            if newest is not None:
                self._advance(newest)
            return self._head.position

    def settled(self) -> int:
        """Return the head once nothing that was seen past it is on its way any more."""
        while True:
            with self._lock:
                head = self.head()
                if self._hole is None or head > self._edge.position:
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
            limit = min(query.limit, WIDTH_MAX)
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
            self._check_whole(_anchor(found[0]) if found else Anchor(0, 0), self._head)
            return found[0].version if found else 0

    def position_at(self, recorded_at: int) -> int:
        with self._lock:
            head = self.head()
            if not head or recorded_at >= self._head.recorded_at:
                return head
            rows = self._asking.positions(
                f"SELECT position FROM {EVENTS} WHERE log = $log AND time <= {recorded_at} "  # noqa: S608 - a number
                "ORDER BY time DESC LIMIT 1"
            )
            return int(rows[0][1]) if rows else 0

    def wait(self, position: int, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while self.head() <= position:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._closed.wait(min(left, POLL_SECONDS))
        return True

    def close(self) -> None:
        """Give the connections back; a second call does nothing."""
        self._closed.set()
        self._windows.close()
        self._client.close()

    # Whole records in order

    def _contiguous(self, after: int, until: int) -> list[Record]:
        """Return the records past a position up to another; raise Gap unless they are all there."""
        if self._fresh and self._fresh[0].position <= after + 1 and until <= self._fresh[-1].position:
            first = self._fresh[0].position
            return self._fresh[after + 1 - first : until + 1 - first]
        last, wide = self._times.at(after, self._head), until - after >= min(self._width.count, WIDTH_FIRST)
        found: list[Record] = []
        patience: Patience | None = None
        while last.position < until:
            left = until - last.position
            more = self._prefix(self._windows.next(last, left, self._head, go_on=wide), last.position)
            if more:
                found += more
                last, patience = _anchor(more[-1]), None
                continue
            patience = patience or self._asking.patience(seen=self._counted[0] <= last < self._counted[1])
            if not patience.wait():
                self._counted = (Anchor(0, 0), Anchor(0, 0))
                raise Gap(self.log, last.position, self._times.following(last))
        self._times.add(last)
        return found

    def _prefix(self, rows: Sequence[Row], after: int) -> list[Record]:
        """Return the records of rows past a position, up to the first that is missing or not whole."""
        found: list[Record] = []
        for row in rows:
            record = self._record(row)
            if record is None or record.position > after + 1:
                break
            if record.position <= after:
                raise _once_more(row.recorded_at, record.position)
            found.append(record)
            after += 1
        return found

    # What fits a filter

    def _filtered(self, after: int, until: int, limit: int, where: str, values: dict[str, object]) -> list[Record]:
        start, stop = self._times.at(after, self._head), self._times.at(until, self._head)
        # What a filter leaves out is not seen to be there: it is counted.
        self._check_whole(start, stop)
        found: list[Record] = []
        while len(found) < limit:
            count = min(limit - len(found), self._width.count)
            try:
                more = self._matching(start, stop, where, values, f"LIMIT {count}")
            except TooWide:
                self._width.halve(count)
                continue
            found += more
            if len(more) < count:
                break
            start = _anchor(more[-1])
        return found

    def _matching(self, start: Anchor, stop: Anchor, where: str, values: dict[str, object], end: str) -> list[Record]:
        query = (
            f"SELECT {SELECTED} FROM {EVENTS} WHERE log = $log AND time > {start.recorded_at} "  # noqa: S608 - numbers
            f"AND time <= {stop.recorded_at} AND {where} {end}"
        )
        rows, size = self._asking.rows(ROWS, query, values)
        self._width.learn(len(rows), size)
        found = []
        for row in rows:
            record = self._record(row)
            if record is None:
                msg = f"the point at {row.recorded_at} is not whole: eventstore mirror --check names what it lacks"
                raise Refused(msg)
            found.append(record)
        return found

    def _check_whole(self, low: Anchor, high: Anchor) -> None:
        """Raise Gap unless every position between two anchors is there. What was counted once is not counted again."""
        first, last = self._counted
        if first <= low <= last:
            low = last
        else:
            first = low
        if high <= low:
            return
        patience = self._asking.patience(seen=False)
        while (missing := self._times.missing(low, high, ("position",))) is not None:
            if not patience.wait():
                raise Gap(self.log, missing.position, self._times.following(missing))
        self._counted = (first, high)

    # The head

    def _newest(self) -> Anchor | None:
        past = f"FROM {EVENTS} WHERE log = $log AND time > {self._edge.recorded_at} ORDER BY time DESC LIMIT 1"
        found = self._asking.columns(f"SELECT position {past}; SELECT meta {past}")
        rows = whole(found.get("position", []))
        newest = Anchor(rows[0][1], rows[0][0]) if rows else None
        for at, meta in found.get("meta", []):
            # Whether it is this log's at all: nobody may ever read as far as the window that it is in.
            self._record(Row(at, newest.position if newest is not None else 0, "", 0, "", str(meta), ""))
        return newest

    def _advance(self, newest: Anchor) -> None:
        """Move the edge on over what is there and whole, up to the newest point that was seen."""
        self._fresh = []
        while self._edge.position < newest.position:
            if newest.position - self._edge.position > min(self._width.count, LEAP_FROM):
                self._fresh = []
                self._leap(newest)
                break
            # One more than there should be, which would be a stranger.
            rows = self._windows.rows(self._edge, newest.position - self._edge.position + 1, newest.recorded_at)
            more = self._prefix(rows, self._edge.position)
            if not more:
                break
            self._fresh += more
            self._move_to(_anchor(more[-1]), counted_from=self._edge)
        if self._edge.position > newest.position:
            raise _once_more(newest.recorded_at, newest.position)
        self._head = self._edge
        if self._edge.position == newest.position:
            self._hole = None
            return
        now = time.monotonic()
        if self._hole is None or self._hole[0] != self._edge.position:
            self._hole = (self._edge.position, now)
        if newest.position - self._edge.position > IN_FLIGHT_MAX or now - self._hole[1] >= queries.GAP_SECONDS:
            self._head = newest

    def _leap(self, newest: Anchor) -> None:
        """Move the edge on over more than an answer holds: by counting, and only what can be on its way."""
        low = self._edge
        if newest.position - low.position > IN_FLIGHT_MAX:
            low = self._times.before(newest, IN_FLIGHT_MAX) or low
        self._move_to(self._times.missing(low, newest, FIELDS) or newest, counted_from=low)

    def _move_to(self, edge: Anchor, *, counted_from: Anchor) -> None:
        first, last = self._counted
        self._counted = (first if first <= counted_from <= last else counted_from, edge)
        self._edge = edge
        self._times.add(edge)

    # Asking

    def _record(self, row: Row) -> Record | None:
        try:
            return self._decoder.record(row)
        except Foreign as e:
            msg = f"{e}: {CHECK}"
            raise Refused(msg) from e

    def _check_open(self) -> None:
        if self._closed.is_set():
            msg = f"this reading end of log {self.log} is closed: connect again"
            raise Closed(msg)

    @override
    def __repr__(self) -> str:
        settings = self._client.settings
        return f"<InfluxSource {self.log} in {settings.bucket} at {settings.address}, seen to {self._head.position}>"


def _once_more(at: int, position: int) -> Refused:
    return Refused(f"the point at {at} has position {position} once more: {CHECK}")


def _anchor(record: Record) -> Anchor:
    return Anchor(record.position, record.recorded_at)


def _conditions(
    stream: str | None, account: str | None, types: tuple[str, ...] | None
) -> tuple[str, dict[str, object]]:
    """Return a filter as InfluxQL with bound values, '' for none."""
    wanted: list[tuple[str, str]] = []
    if stream is not None:
        parts = stream.rstrip("/").split("/")
        wanted += zip(("category", "account"), parts, strict=False)
        if not stream.endswith("/"):
            wanted.append(("stream", stream))
    if account is not None:
        wanted.append(("account", account))
    where = [f"{name} = ${name}{number}" for number, (name, _) in enumerate(wanted)]
    values: dict[str, object] = {f"{name}{number}": value for number, (name, value) in enumerate(wanted)}
    if types:
        where.append("(" + " OR ".join(f'"type" = $type{number}' for number in range(len(types))) + ")")
        values |= {f"type{number}": name for number, name in enumerate(types)}
    return " AND ".join(where), values
