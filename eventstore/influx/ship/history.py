"""What InfluxDB holds of a journal's history: the same up to the cursor, or less where it lost what it had confirmed.

An InfluxDB 2.7 that is killed twice may drop what it confirmed in between (docs/INFLUXDB.md, "When something fails"):
a cursor is believed after a failure only as far as the points behind it are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from eventstore.errors import CorruptJournal, Refused
from eventstore.influx import status
from eventstore.influx.client import ANY, ROWS
from eventstore.influx.points import EVENTS, SELECTED, Decoder, Encoder, Foreign, Types
from eventstore.influx.repair.check import Comparing
from eventstore.influx.ship.batches import RECORDS_MAX
from eventstore.journal import Query
from eventstore.proofs.verify import tree_at
from eventstore.watermarks import Watermark, Watermarks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from eventstore.influx.client import Client
    from eventstore.journal import Maintenance
    from eventstore.record import Record

# As many are counted by one question, so that it is answered in time however long the log is.
COUNTED_MAX = 200_000
COUNTED_AT_ONCE_MAX = 1_000_000
# What is missing of so many is shipped again: far more than InfluxDB keeps in its write-ahead log alone, and some weeks
# of a busy log, as an older copy of InfluxDB may lack them. Whoever deleted more than that is asked what was meant.
LOOKED_BACK = 2_000_000
LOOKED_BACK_OFTEN = 50_000


class Held(NamedTuple):
    """The position to resume from, and what the status is to say: that InfluxDB had lost what it had confirmed."""

    position: int
    told: str | None = None


class History:
    """Compares a journal with what a bucket has of it."""

    def __init__(self, journal: Maintenance, directory: Path) -> None:
        self._journal, self._directory = journal, directory
        self._decoder = Decoder(journal.log, journal.log_id)
        self._types = Types(journal)
        self._encoders: dict[bool, Encoder] = {}
        self._scrubbed_to = 0
        self._marks = Watermarks(directory / "watermarks").hold()

    def resume(
        self,
        client: Client,
        *,
        is_new: bool,
        often: bool,
        symbols: bool,
        whole: bool = False,
        step: Callable[[int, int], None] | None = None,
    ) -> Held:
        """Return where to resume; raise Refused unless InfluxDB has the journal's own history.

        The cursor is moved back before anything else is done about points that InfluxDB had confirmed and lost, so
        that nothing past the first of them counts as mirrored. Points that are missing between others are shipped
        again here, and those alone, so that what somebody altered there stays as evidence; `step` is called in
        between, and may raise.

        In a bucket that is new to this log the cursor counts for nothing: it is of another bucket. A check that is
        made `often`, without any failure before, looks back less far; one of the `whole` history counts all of it.
        """
        mark = self._cursor()
        confirmed = 0 if mark is None else mark.position
        position, since, told = 0, 0, None
        if is_new and confirmed:
            bucket, log = client.settings.bucket, self._journal.log
            told = (
                f"bucket {bucket!r} had no claim of log {log!r}, of which position {confirmed:,} was confirmed: "
                "everything that it lacks is shipped again"
            )
            self._move_cursor(0)
        elif confirmed:
            position = confirmed
            held = self._held(client, position, LOOKED_BACK_OFTEN if often else LOOKED_BACK)
            if held < position:
                position, told = self._replace_missing(client, held, position, symbols=symbols, step=step)
            if whole:
                self._check_count(client, max(position - LOOKED_BACK, 0))
            since = self._same(client, position) if position else 0
        newest = self._record(client, f"time > {since} ORDER BY time DESC")
        if newest is not None:
            if newest.position > self._journal.head():
                msg = (
                    f"InfluxDB has log {self._journal.log!r} up to position {newest.position}, the journal ends at "
                    f"{self._journal.head()}: it is an older copy. Restore it: eventstore restore --from-influx"
                )
                raise Refused(msg)
            self._same(client, newest.position, newest)
            # The cursor's file may be older than what InfluxDB has, or gone. The newest batch was perhaps never
            # confirmed, and what is not confirmed may be seen before it is synced: it is sent again.
            position = self._counted(client, position, since, newest.position - RECORDS_MAX)
        return Held(position, told)

    def lacking(self, client: Client, positions: Sequence[int], *, symbols: bool) -> int:
        """Return the first of some positions that InfluxDB does not have, 0 where it has all of them.

        Asked by all tags and the time of each, which costs the server the least.
        """
        if symbols not in self._encoders:
            self._encoders[symbols] = Encoder(
                self._journal.log, self._journal.log_id, self._types.measures, symbols=symbols
            )
        queries: list[str] = []
        values: dict[str, object] = {}
        for position in positions:
            record = self._recorded(position)
            tags = self._encoders[symbols].tags(record)
            where = " AND ".join(f'"{name}" = ${name}{position}' for name in tags)
            values |= {f"{name}{position}": value for name, value in tags.items()}
            queries.append(f"SELECT position FROM {EVENTS} WHERE {where} AND time = {record.recorded_at}")  # noqa: S608 - bound values
        rows = [row for series in ANY.series(client.fetch("; ".join(queries), values)) for row in series.values]
        found = {row[1] for row in rows}
        return next((position for position in positions if position not in found), 0)

    def scrub(self, client: Client, confirmed: int) -> bool:
        """Count the next part of what was confirmed, the first after the last; tell whether all of it is there."""
        low = self._scrubbed_to if self._scrubbed_to < confirmed else 0
        high = min(low + COUNTED_MAX, confirmed)
        self._scrubbed_to = high
        return low == high or self._count(client, self._time_of(low), high) >= high - low

    def _cursor(self) -> Watermark | None:
        mark = status.read_cursor(self._directory)
        if mark is not None:
            if mark.log_id != self._journal.log_id.hex():
                raise CorruptJournal(mark.position, f"the mirror's cursor is of another log ({mark.log_id})")
            if mark.root and mark.root != tree_at(self._journal, mark.position).root().hex():
                raise CorruptJournal(mark.position, "the mirror's cursor saw another tree here")
        return mark

    def _move_cursor(self, position: int) -> None:
        digest = self._recorded(position).digest.hex() if position else ""
        root = tree_at(self._journal, position).root().hex() if position else ""
        mark = Watermark(self._journal.log_id.hex(), position, digest, root)
        self._marks.write(status.CURSOR, mark)

    def _held(self, client: Client, confirmed: int, back: int) -> int:
        """Return up to where InfluxDB still has what it confirmed, looking back some way, where it must have all."""
        low = max(confirmed - back, 0)
        since = self._same(client, low) if low else 0
        if self._count(client, since, confirmed) >= confirmed - low:
            return confirmed
        held, missing = low, confirmed
        while missing - held > 1:
            middle = (held + missing) // 2
            if self._count(client, since, middle) >= middle - low:
                held = middle
            else:
                missing = middle
        return held

    def _check_count(self, client: Client, until: int) -> None:
        """Raise Refused unless InfluxDB has as many points up to a position as there are records."""
        low = 0
        while low < until:
            high = min(low + COUNTED_AT_ONCE_MAX, until)
            if (missing := high - low - self._count(client, self._time_of(low), high)) > 0:
                msg = (
                    f"InfluxDB lacks {missing:,} of positions {low + 1:,} to {high:,}, which it had confirmed: points "
                    "were deleted, expired, or an older copy was restored. Look with: eventstore mirror --check, then "
                    "ship them again with --repair"
                )
                raise Refused(msg, position=low + 1)
            low = high

    def _replace_missing(
        self, client: Client, held: int, confirmed: int, *, symbols: bool, step: Callable[[int, int], None] | None
    ) -> tuple[int, str]:
        """See to it that what is missing is shipped again; return where to resume, and what was missing."""
        self._move_cursor(held)
        position, missing, more = held, confirmed - held, ""
        if self._count(client, self._time_of(held), confirmed):
            comparing = Comparing(self._journal, client, shipped=confirmed, symbols=symbols, repair=True)
            found = comparing.run(step, after=held, until=confirmed)
            position, missing = confirmed, found.missing
            self._move_cursor(confirmed)
            if found.altered or found.foreign:
                more = (
                    "; others there are altered or foreign, and left as they are: eventstore mirror --check names them"
                )
        told = (
            f"InfluxDB had lost {missing:,} of positions {held + 1} to {confirmed}, which it had confirmed: they "
            f"are shipped again{more}"
        )
        return position, told

    def _same(self, client: Client, position: int, found: Record | None = None) -> int:
        """Return a record's time; raise Refused unless InfluxDB holds it as the journal does."""
        record = self._recorded(position)
        found = found or self._record(client, f"time = {record.recorded_at}")
        if found is None:
            msg = (
                f"InfluxDB lacks position {position}, which it had confirmed: points were deleted or it was restored. "
                "Look with: eventstore mirror --check, then mend with --repair"
            )
            raise Refused(msg, position=position)
        if found.digest != record.digest:
            msg = (
                f"InfluxDB holds another record at position {position} than the journal: another history under the "
                "same name. Look with: eventstore mirror --check"
            )
            raise Refused(msg, position=position)
        return record.recorded_at

    def _recorded(self, position: int) -> Record:
        records = self._journal.read(Query(after=position - 1, limit=1))
        if not records or records[0].position != position:
            raise CorruptJournal(position, "the mirror shipped this record, and the journal does not have it")
        return records[0]

    def _record(self, client: Client, where: str) -> Record | None:
        query = f"SELECT {SELECTED} FROM {EVENTS} WHERE log = $log AND {where} LIMIT 1"  # noqa: S608 - no user's text
        rows = ROWS.rows(client.fetch(query, {"log": self._journal.log}))
        try:
            return self._decoder.record(rows[0]) if rows else None
        except Foreign as e:
            bucket = client.settings.bucket
            msg = f"bucket {bucket!r} holds points of log {self._journal.log!r} that are not its own: {e}"
            raise Refused(msg) from e

    def _counted(self, client: Client, low: int, since: int, high: int) -> int:
        """Return up to which position, from one towards another, InfluxDB has as many points as there are."""
        while low < high:
            step = min(low + COUNTED_MAX, high)
            if self._count(client, since, step) != step - low:
                break
            low, since = step, self._time_of(step)
        return low

    def _time_of(self, position: int) -> int:
        return self._recorded(position).recorded_at if position else 0

    def _count(self, client: Client, since: int, until: int) -> int:
        """Return how many points there are past a time and up to a position's."""
        at = self._recorded(until).recorded_at
        query = f"SELECT count(position) FROM {EVENTS} WHERE log = $log AND time > {since} AND time <= {at}"  # noqa: S608 - numbers
        rows = client.ask(query, {"log": self._journal.log})
        return int(rows[0][1]) if rows else 0
