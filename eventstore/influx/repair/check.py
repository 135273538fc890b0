"""Compares a journal with the points that InfluxDB holds of it, range by range, and ships missing ones again."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from eventstore.errors import CorruptJournal
from eventstore.events import Instant
from eventstore.influx.points import EVENTS, FIELDS, Encoder, JournalTypes, escape_string, escape_tag
from eventstore.journal import Query
from eventstore.record import Digester

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eventstore.influx.client import Client
    from eventstore.journal import Maintenance
    from eventstore.record import Record

# Records and points in memory at a time.
RANGE = 5_000
DIFFERENCES_MAX = 100
TIME_MIN = -(1 << 63) + 2
"""The earliest time that InfluxDB can store."""
TIME_MAX = (1 << 63) - 2
_TAGS = ("account", "category", "log", "symbol", "type")

Kind = Literal["missing", "altered", "foreign"]
Columns = dict[str, Any]


class PointDifference(msgspec.Struct, frozen=True):
    """A difference between InfluxDB and the journal. `position` is the journal's, 0 if it has no such record.

    `missing`: there is no such point, or it lacks fields. `altered`: the point has different content. `foreign`: the
    point is not a record of the journal.
    """

    kind: Kind
    position: int
    recorded_at: Instant
    detail: str


class ComparisonResult(msgspec.Struct, frozen=True):
    """The result of a comparison. `differences` are in order of time, the first 100 of them."""

    ok: bool
    checked: int
    points: int
    missing: int
    altered: int
    foreign: int
    repaired: int
    differences: tuple[PointDifference, ...]

    @property
    def first(self) -> PointDifference | None:
        return self.differences[0] if self.differences else None


class Comparison:
    """Compares all records of a journal with all points that InfluxDB has under the log's name.

    Records after `shipped`, the mirror's cursor, may or may not be present. With `repair`, missing records are shipped
    again, with the same bytes as the first time. Altered and foreign points are reported and left as they are: they
    are evidence.
    """

    def __init__(
        self, journal: Maintenance, client: Client, *, shipped: int, symbols: bool, repair: bool = False
    ) -> None:
        self._journal, self._client, self._shipped, self._repair = journal, client, shipped, repair
        self._types = JournalTypes(journal)
        self._encoder = Encoder(journal.log, journal.log_id, self._types.measures, symbols=symbols)
        self._digester = Digester(journal.log_id)
        self._counts: dict[Kind, int] = {"missing": 0, "altered": 0, "foreign": 0}
        self._differences: list[PointDifference] = []
        self._points = self._repaired = self._checked = 0

    def run(
        self, progress: Callable[[int, int], None] | None = None, *, after: int = 0, until: int | None = None
    ) -> ComparisonResult:
        """Compare range by range; raise CorruptJournal if a record of the journal does not match its digest.

        Compares the whole log, and points before and after it; or only the positions after `after` up to `until`.
        """
        head = self._journal.head() if until is None else until
        before = self._journal.read(Query(after=after - 1, limit=1))[0].recorded_at if after else TIME_MIN - 1
        while after < head:
            records = self._check_digests(after, self._journal.read(Query(after=after, until=head, limit=RANGE)))
            last = records[-1]
            self._compare(records, self._rows(before, last.recorded_at))
            after, before = last.position, last.recorded_at
            if progress is not None:
                progress(after, head)
        if until is None:
            # Queried before the journal is read: a point that is shipped meanwhile must not look foreign.
            rows = self._rows(before, TIME_MAX)
            self._compare(self._journal.read(Query(after=after, limit=2 * RANGE)), rows)
        counts = self._counts
        return ComparisonResult(
            ok=not any(counts.values()),
            checked=self._checked,
            points=self._points,
            repaired=self._repaired,
            differences=tuple(self._differences),
            **counts,
        )

    def _check_digests(self, after: int, records: Sequence[Record]) -> Sequence[Record]:
        for expected, record in enumerate(records, after + 1):
            if record.position != expected or not self._digester.is_sound(record):
                raise CorruptJournal(expected, "the record is missing or does not match its digest")
        return records

    def _rows(self, before: int, until: int) -> dict[int, list[Columns]]:
        """Return all points after a time and up to another, by time."""
        query = f"SELECT * FROM {EVENTS} WHERE log = $log AND time > {before} AND time <= {until}"  # noqa: S608 - numbers
        found: dict[int, list[Columns]] = defaultdict(list)
        for columns, values in self._client.query_tables(query, {"log": self._journal.log}):
            for value in values:
                row = {name: cell for name, cell in zip(columns, value, strict=True) if cell is not None}
                found[row.pop("time")].append(row)
                self._points += 1
        return found

    def _compare(self, records: Sequence[Record], rows: dict[int, list[Columns]]) -> None:
        missing: list[Record] = []
        known: set[int] = set()
        for record, line in zip(records, self._encoder.lines(records), strict=True):
            known.add(record.recorded_at)
            missing += self._compare_one(record, line, rows.get(record.recorded_at, []))
        for recorded_at in sorted(rows.keys() - known):
            for row in rows[recorded_at]:
                self._note("foreign", 0, recorded_at, f"the journal has no record of this time: {_describe(row)}")
        self._differences.sort(key=lambda difference: difference.recorded_at)
        if missing and self._repair:
            self._client.write("\n".join(self._encoder.lines(missing)).encode())
            self._repaired += len(missing)

    def _compare_one(self, record: Record, line: str, rows: list[Columns]) -> Iterator[Record]:
        """Note the differences at the time of one record; yield the record if it has to be shipped again."""
        self._checked += record.position <= self._shipped
        measures = self._types.measures(record.type, record.schema)
        others, tags = [], line.split(" position=", 1)[0]
        found = False
        # InfluxDB identifies a point by its tags and time. With the same tags it is this record's point, perhaps
        # altered; with others it was added beside it.
        for row in rows:
            if _line(row, measures, record.recorded_at) == line:
                found = True
            elif _tags(row) != tags:
                others.append(row)
            else:
                found = True
                yield from self._note_point(record, line, row, measures)
        if not found and record.position <= self._shipped:
            self._note(
                "missing", record.position, record.recorded_at, f"{record.type} of {record.stream}: no such point"
            )
            yield record
        for row in others:
            detail = f"an additional point at the time of this record: {_describe(row)}"
            self._note("foreign", record.position, record.recorded_at, detail)

    def _note_point(self, record: Record, line: str, row: Columns, measures: Sequence[str]) -> Iterator[Record]:
        snippets = _snippets(row, measures)
        altered = sorted(name for name, snippet in snippets.items() if snippet not in line)
        added = sorted(row.keys() - snippets.keys() - set(_TAGS))
        if altered or added:
            names = ", ".join(altered + added)
            self._note("altered", record.position, record.recorded_at, f"{record.type} of {record.stream}: {names}")
        elif record.position <= self._shipped:
            self._note("missing", record.position, record.recorded_at, f"{record.type} of {record.stream} lacks fields")
            yield record

    def _note(self, kind: Kind, position: int, recorded_at: int, detail: str) -> None:
        self._counts[kind] += 1
        if len(self._differences) < DIFFERENCES_MAX:
            self._differences.append(PointDifference(kind, position, recorded_at, detail))


def _line(row: Columns, measures: Sequence[str], recorded_at: int) -> str | None:
    """Return the line that would write a point, None if it has fields that its type does not have, or lacks one."""
    snippets = _snippets(row, measures)
    if not snippets.keys() >= set(FIELDS) or row.keys() - snippets.keys() - set(_TAGS):
        return None
    return f"{_tags(row)} {','.join(snippets.values())} {recorded_at}"


def _tags(row: Columns) -> str:
    return EVENTS + "".join([f",{name}={escape_tag(str(row[name]))}" for name in _TAGS if name in row])


def _snippets(row: Columns, measures: Sequence[str]) -> dict[str, str]:
    """Return the fields of a point that its type has, each as it stands in a line."""
    # As the encoder writes them, so that equal content gives equal text.
    found = {}
    for name in (*FIELDS, *measures):
        value = row.get(name)
        if value is None:
            continue
        if isinstance(value, str):
            found[name] = f'{name}="{escape_string(value)}"'
        elif name in FIELDS:
            found[name] = f"{name}={value}i"
        else:
            found[name] = f"{name}={float(value)!r}"
    return found


def _describe(row: Columns) -> str:
    what = f"{row.get('type', 'no type')} of {row.get('stream', 'no stream')}"
    return f"{what}, with position {row.get('position', 'none')}"
