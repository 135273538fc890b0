"""Compares a journal's history with InfluxDB's, decides where shipping resumes, and ships lost points again.

An InfluxDB 2.7 that is killed twice may lose points that it confirmed in between (docs/INFLUXDB.md, "When something
fails"). So after a failure the cursor is trusted only as far as the points before it have been counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from eventstore.errors import CorruptJournal, Refused
from eventstore.influx.client import EVENT_ROWS
from eventstore.influx.points import EVENT_COLUMNS, EVENTS, Decoder, ForeignPoint
from eventstore.influx.repair.check import Comparison
from eventstore.influx.ship.batches import RECORDS_MAX
from eventstore.influx.status import CURSOR
from eventstore.journal import Query
from eventstore.proofs.verify import tree_at
from eventstore.watermarks import Watermark

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore.influx.client import Client
    from eventstore.journal import Maintenance
    from eventstore.record import Record
    from eventstore.side import Marks

# Positions counted by one query, so that it stays within the timeout however long the log is.
COUNTED_MAX = 200_000
COUNTED_AT_ONCE_MAX = 1_000_000
# Losses among so many of the newest positions are shipped again: far more than InfluxDB keeps in its write-ahead log
# alone, and the weeks that a restored backup of InfluxDB may lack. Losses before that look like a deletion on purpose,
# and need a decision: the mirror halts.
LOOK_BACK = 2_000_000
LOOK_BACK_ROUTINE = 50_000


class ResumePoint(NamedTuple):
    """The position to resume from, and a message for the status if InfluxDB had lost confirmed points."""

    position: int
    loss: str | None = None


class History:
    """Compares a journal with the points that a bucket holds of it."""

    def __init__(self, journal: Maintenance, marks: Marks) -> None:
        self._journal, self._marks = journal, marks
        self._decoder = Decoder(journal.log, journal.log_id)
        self._scrubbed_to = 0

    def resume(
        self,
        client: Client,
        *,
        is_new: bool,
        routine: bool,
        symbols: bool,
        count_all: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> ResumePoint:
        """Return where to resume; raise Refused unless InfluxDB holds this journal's own history.

        If confirmed points were lost, the cursor is moved back before anything else, so that nothing after the first
        of them counts as mirrored. Points missing between others are shipped again here, and only those: altered
        points stay as evidence. `progress` is called in between, and may raise.

        In a bucket that is new to this log (`is_new`) the cursor means nothing: it belongs to another bucket. A
        `routine` check, without a failure before it, looks back less far; with `count_all` every point is counted.
        """
        mark = self._cursor()
        confirmed = 0 if mark is None else mark.position
        position, since, loss = 0, 0, None
        if is_new and confirmed:
            bucket, log = client.settings.bucket, self._journal.log
            loss = (
                f"bucket {bucket!r} had no claim of log {log!r}, although position {confirmed:,} was confirmed: "
                "everything missing is shipped again"
            )
            self._move_cursor(0)
        elif confirmed:
            position = confirmed
            held = self._contiguous_to(client, position, LOOK_BACK_ROUTINE if routine else LOOK_BACK)
            if held < position:
                position, loss = self._ship_missing(client, held, position, symbols=symbols, progress=progress)
            if count_all:
                self._check_count(client, max(position - LOOK_BACK, 0))
            since = self._check_same(client, position) if position else 0
        newest = self._influx_record(client, f"time > {since} ORDER BY time DESC")
        if newest is not None:
            if newest.position > self._journal.head():
                msg = (
                    f"InfluxDB has log {self._journal.log!r} up to position {newest.position}, but the journal ends at "
                    f"{self._journal.head()}: it is an older copy. Restore it: eventstore restore --from-influx"
                )
                raise Refused(msg)
            self._check_same(client, newest.position, newest)
            # The cursor's file may be missing, or older than InfluxDB's points: those that are present need not be sent
            # again. Except the newest batch, which was perhaps never confirmed: points are visible before they are
            # synced.
            position = self._advance_by_count(client, position, since, newest.position - RECORDS_MAX)
        return ResumePoint(position, loss)

    def scrub(self, client: Client, confirmed: int) -> bool:
        """Count the next part of the confirmed positions, in turn through the log; return whether it is complete."""
        low = self._scrubbed_to if self._scrubbed_to < confirmed else 0
        high = min(low + COUNTED_MAX, confirmed)
        self._scrubbed_to = high
        return low == high or self._count(client, self._time_of(low), high) >= high - low

    def _cursor(self) -> Watermark | None:
        mark = self._marks.read(CURSOR)
        if mark is not None:
            if mark.log_id != self._journal.log_id.hex():
                raise CorruptJournal(mark.position, f"the mirror's cursor belongs to another log ({mark.log_id})")
            if mark.root and mark.root != tree_at(self._journal, mark.position).root().hex():
                raise CorruptJournal(mark.position, "the mirror's cursor has another root here")
        return mark

    def _move_cursor(self, position: int) -> None:
        digest = self._journal_record(position).digest.hex() if position else ""
        root = tree_at(self._journal, position).root().hex() if position else ""
        mark = Watermark(self._journal.log_id.hex(), position, digest, root)
        self._marks.write(CURSOR, mark)

    def _contiguous_to(self, client: Client, confirmed: int, look_back: int) -> int:
        """Return up to which position InfluxDB still has all confirmed points, of the newest `look_back` ones.

        Raises Refused if the position before those is missing: the loss goes back too far to be repaired unasked.
        """
        low = max(confirmed - look_back, 0)
        since = self._check_same(client, low) if low else 0
        if self._count(client, since, confirmed) >= confirmed - low:
            return confirmed
        # Bisected: the counts up to `held` are complete, those up to `missing` are not.
        held, missing = low, confirmed
        while missing - held > 1:
            middle = (held + missing) // 2
            if self._count(client, since, middle) >= middle - low:
                held = middle
            else:
                missing = middle
        return held

    def _check_count(self, client: Client, until: int) -> None:
        """Raise Refused if InfluxDB has fewer points up to a position than there are records."""
        low = 0
        while low < until:
            high = min(low + COUNTED_AT_ONCE_MAX, until)
            if (missing := high - low - self._count(client, self._time_of(low), high)) > 0:
                msg = (
                    f"InfluxDB lacks {missing:,} of positions {low + 1:,} to {high:,}, which it had confirmed: points "
                    "were deleted, expired, or an older copy was restored. List them: eventstore mirror --check; ship "
                    "them again: eventstore mirror --check --repair"
                )
                raise Refused(msg, position=low + 1)
            low = high

    def _ship_missing(
        self, client: Client, held: int, confirmed: int, *, symbols: bool, progress: Callable[[int, int], None] | None
    ) -> tuple[int, str]:
        """Ship missing points again, or leave them to normal shipping; return where to resume, and what was lost."""
        self._move_cursor(held)
        position, missing, more = held, confirmed - held, ""
        # If nothing follows the first missing point, normal shipping from there replaces all of them.
        if self._count(client, self._time_of(held), confirmed):
            comparison = Comparison(self._journal, client, shipped=confirmed, symbols=symbols, repair=True)
            found = comparison.run(progress, after=held, until=confirmed)
            position, missing = confirmed, found.missing
            self._move_cursor(confirmed)
            if found.altered or found.foreign:
                more = (
                    "; altered or foreign points there are left as they are: list them with eventstore mirror --check"
                )
        loss = (
            f"InfluxDB had lost {missing:,} of positions {held + 1} to {confirmed}, which it had confirmed: they "
            f"are shipped again{more}"
        )
        return position, loss

    def _check_same(self, client: Client, position: int, found: Record | None = None) -> int:
        """Return the time of a record; raise Refused unless InfluxDB holds the same record there."""
        record = self._journal_record(position)
        found = found or self._influx_record(client, f"time = {record.recorded_at}")
        if found is None:
            msg = (
                f"InfluxDB lacks position {position}, which it had confirmed: points were deleted, or an older "
                "copy was restored. List them: eventstore mirror --check; ship them again: eventstore mirror --check "
                "--repair"
            )
            raise Refused(msg, position=position)
        if found.digest != record.digest:
            msg = (
                f"InfluxDB and the journal have different records at position {position}: another history under the "
                "same name. List the differences: eventstore mirror --check"
            )
            raise Refused(msg, position=position)
        return record.recorded_at

    def _journal_record(self, position: int) -> Record:
        records = self._journal.read(Query(after=position - 1, limit=1))
        if not records or records[0].position != position:
            raise CorruptJournal(position, "the mirror shipped this record, but the journal does not have it")
        return records[0]

    def _influx_record(self, client: Client, where: str) -> Record | None:
        query = f"SELECT {EVENT_COLUMNS} FROM {EVENTS} WHERE log = $log AND {where} LIMIT 1"  # noqa: S608 - no user's text
        rows = EVENT_ROWS.rows(client.fetch(query, {"log": self._journal.log}))
        try:
            return self._decoder.record(rows[0]) if rows else None
        except ForeignPoint as e:
            bucket = client.settings.bucket
            msg = (
                f"bucket {bucket!r} holds points under the name of log {self._journal.log!r} that are not its own: {e}"
            )
            raise Refused(msg) from e

    def _advance_by_count(self, client: Client, low: int, since: int, high: int) -> int:
        """Return up to which position between two InfluxDB has every point, in steps of COUNTED_MAX."""
        while low < high:
            step = min(low + COUNTED_MAX, high)
            if self._count(client, since, step) != step - low:
                break
            low, since = step, self._time_of(step)
        return low

    def _time_of(self, position: int) -> int:
        return self._journal_record(position).recorded_at if position else 0

    def _count(self, client: Client, since: int, until: int) -> int:
        """Return how many points there are after a time and up to that of a position."""
        at = self._journal_record(until).recorded_at
        query = f"SELECT count(position) FROM {EVENTS} WHERE log = $log AND time > {since} AND time <= {at}"  # noqa: S608 - numbers
        rows = client.query_rows(query, {"log": self._journal.log})
        return int(rows[0][1]) if rows else 0
