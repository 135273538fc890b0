"""What InfluxDB holds of a journal's history: the same up to the cursor, or less where it lost what it had confirmed.

An InfluxDB 2.7 that is killed twice may drop what it confirmed in between (docs/INFLUXDB.md, "When something fails"):
a cursor is believed after a trouble only as far as the points behind it are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from eventstore.errors import CorruptJournal, Refused
from eventstore.influx import status
from eventstore.influx.batches import RECORDS_MAX, tree_at
from eventstore.influx.check import Comparing
from eventstore.influx.client import ROWS
from eventstore.influx.points import EVENTS, SELECTED, Decoder, Foreign

if TYPE_CHECKING:
    from pathlib import Path

    from eventstore.influx.client import Client
    from eventstore.journal import Journal
    from eventstore.record import Record
    from eventstore.watermarks import Watermark

# As many are counted by one question, so that it is answered in time however long the log is.
COUNTED_MAX = 200_000
# What InfluxDB has not yet moved from its write-ahead log to its files is far less than this.
LOOKED_BACK = 400_000
LOOKED_BACK_OFTEN = 50_000


class Held(NamedTuple):
    """The position to go on from, and what is to be told: that InfluxDB had lost some of what it had confirmed."""

    position: int
    told: str | None = None


class History:
    """Compares a journal with what a bucket has of it."""

    def __init__(self, journal: Journal, directory: Path) -> None:
        self._journal, self._directory = journal, directory
        self._decoder = Decoder(journal.log, journal.log_id)

    def resume(self, client: Client, *, is_new: bool, often: bool, symbols: bool) -> Held:
        """Return where to go on; raise Refused unless InfluxDB has the journal's own history.

        What InfluxDB had confirmed and lost is shipped again first: that alone, so that what somebody altered there
        stays as evidence.

        In a bucket that is new to this log the cursor's file counts for nothing: it tells of another bucket. A check
        that is made `often`, without any trouble before, looks back less far.
        """
        mark = self._cursor()
        position, since, told = 0, 0, None
        if mark is not None and not is_new:
            position = mark.position
            held = self._held(client, position, LOOKED_BACK_OFTEN if often else LOOKED_BACK)
            if held < position:
                told = self._ship_again(client, held, position, symbols=symbols)
            since = self._same(client, position)
        newest = self._record(client, f"time > {since} ORDER BY time DESC")
        if newest is None:
            return Held(position, told)
        if newest.position > self._journal.head():
            msg = (
                f"InfluxDB has log {self._journal.log!r} up to position {newest.position}, the journal ends at "
                f"{self._journal.head()}: it is an older copy. Restore it: eventstore restore --from-influx"
            )
            raise Refused(msg)
        self._same(client, newest.position, newest)
        # The cursor's file may be older than what InfluxDB has, or gone. The newest batch was perhaps never confirmed,
        # and what is not confirmed may be seen before it is synced: it is sent again.
        return Held(self._counted(client, position, since, newest.position - RECORDS_MAX), told)

    def _cursor(self) -> Watermark | None:
        mark = status.read_cursor(self._directory)
        if mark is not None:
            if mark.log_id != self._journal.log_id.hex():
                raise CorruptJournal(mark.position, f"the mirror's cursor is of another log ({mark.log_id})")
            if mark.root and mark.root != tree_at(self._journal, mark.position).root().hex():
                raise CorruptJournal(mark.position, "the mirror's cursor saw another tree here")
        return mark

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

    def _ship_again(self, client: Client, held: int, confirmed: int, *, symbols: bool) -> str:
        comparing = Comparing(self._journal, client, shipped=confirmed, symbols=symbols, repair=True)
        found = comparing.run(after=held, until=confirmed)
        told = (
            f"InfluxDB had lost {found.missing:,} of positions {held + 1} to {confirmed}, which it had confirmed: they "
            "are shipped again"
        )
        if found.altered or found.foreign:
            told += "; others there are altered or foreign, and left as they are: eventstore mirror --check names them"
        return told

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
        records = self._journal.read(after=position - 1, limit=1)
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
            low, since = step, self._recorded(step).recorded_at
        return low

    def _count(self, client: Client, since: int, until: int) -> int:
        """Return how many points there are past a time and up to a position's."""
        at = self._recorded(until).recorded_at
        query = f"SELECT count(position) FROM {EVENTS} WHERE log = $log AND time > {since} AND time <= {at}"  # noqa: S608 - numbers
        rows = client.ask(query, {"log": self._journal.log})
        return int(rows[0][1]) if rows else 0
