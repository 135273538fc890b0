"""Comparing a journal with what InfluxDB holds of it, range by range, and shipping again what is gone."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from eventstore.errors import CorruptJournal
from eventstore.events import Instant
from eventstore.influx.points import EVENTS, FIELDS, Encoder, Types, escape_tag, escaped
from eventstore.journal import Query
from eventstore.record import Digester

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eventstore.influx.client import Client
    from eventstore.journal import Maintenance
    from eventstore.record import Record

RANGE = 5_000
NAMED_MAX = 100
TIME_LEAST = -(1 << 63) + 2
"""The first instant that InfluxDB can hold."""
TIME_MOST = (1 << 63) - 2
_TAGS = ("account", "category", "log", "symbol", "type")

Kind = Literal["missing", "altered", "foreign"]
Row = dict[str, Any]


class Difference(msgspec.Struct, frozen=True):
    """A place where InfluxDB does not hold what the journal does. `position` is the journal's, 0 where it has none.

    `missing`: no such point, or one that lacks fields. `altered`: a point with other content. `foreign`: a point that
    is no record of the journal.
    """

    kind: Kind
    position: int
    recorded_at: Instant
    detail: str


class Comparison(msgspec.Struct, frozen=True):
    """What a comparison found. `first` and `differences` are in the order of time; at most 100 are named."""

    ok: bool
    checked: int
    points: int
    missing: int
    altered: int
    foreign: int
    repaired: int
    differences: tuple[Difference, ...]

    @property
    def first(self) -> Difference | None:
        return self.differences[0] if self.differences else None


class Comparing:
    """Compares all that a journal has with all that InfluxDB has under the log's name.

    Records past `shipped`, the mirror's cursor, may be there or not yet. With `repair`, missing records are shipped
    again, with the same bytes as at first; what is altered or foreign is named and left alone: it is evidence.
    """

    def __init__(
        self, journal: Maintenance, client: Client, *, shipped: int, symbols: bool, repair: bool = False
    ) -> None:
        self._journal, self._client, self._shipped, self._repair = journal, client, shipped, repair
        self._types = Types(journal)
        self._encoder = Encoder(journal.log, journal.log_id, self._types.measures, symbols=symbols)
        self._digester = Digester(journal.log_id)
        self._counts: dict[Kind, int] = {"missing": 0, "altered": 0, "foreign": 0}
        self._named: list[Difference] = []
        self._points = self._repaired = self._checked = 0

    def run(
        self, progress: Callable[[int, int], None] | None = None, *, after: int = 0, until: int | None = None
    ) -> Comparison:
        """Compare range after range; raise CorruptJournal where the journal itself is not as it was written.

        All of the log, and what lies outside it; or only the positions past `after` and up to `until`.
        """
        head = self._journal.head() if until is None else until
        before = self._journal.read(Query(after=after - 1, limit=1))[0].recorded_at if after else TIME_LEAST - 1
        while after < head:
            records = self._sound(after, self._journal.read(Query(after=after, until=head, limit=RANGE)))
            last = records[-1]
            self._compare(records, self._rows(before, last.recorded_at))
            after, before = last.position, last.recorded_at
            if progress is not None:
                progress(after, head)
        if until is None:
            # Asked before the journal is read on, so that nothing is there of which the journal does not know yet.
            rows = self._rows(before, TIME_MOST)
            self._compare(self._journal.read(Query(after=after, limit=2 * RANGE)), rows)
        counts = self._counts
        return Comparison(
            ok=not any(counts.values()),
            checked=self._checked,
            points=self._points,
            repaired=self._repaired,
            differences=tuple(self._named),
            **counts,
        )

    def _sound(self, after: int, records: Sequence[Record]) -> Sequence[Record]:
        for expected, record in enumerate(records, after + 1):
            if record.position != expected or not self._digester.is_sound(record):
                raise CorruptJournal(expected, "the journal itself is not as it was written here")
        return records

    def _rows(self, before: int, until: int) -> dict[int, list[Row]]:
        """Return all points past a time and up to another, by their times."""
        query = f"SELECT * FROM {EVENTS} WHERE log = $log AND time > {before} AND time <= {until}"  # noqa: S608 - numbers
        found: dict[int, list[Row]] = defaultdict(list)
        for columns, values in self._client.table(query, {"log": self._journal.log}):
            for value in values:
                row = {name: cell for name, cell in zip(columns, value, strict=True) if cell is not None}
                found[row.pop("time")].append(row)
                self._points += 1
        return found

    def _compare(self, records: Sequence[Record], rows: dict[int, list[Row]]) -> None:
        gone: list[Record] = []
        known: set[int] = set()
        for record, line in zip(records, self._encoder.lines(records), strict=True):
            known.add(record.recorded_at)
            gone += self._compare_one(record, line, rows.get(record.recorded_at, []))
        for recorded_at in sorted(rows.keys() - known):
            for row in rows[recorded_at]:
                self._note("foreign", 0, recorded_at, f"no record of the journal is of this time: {_told(row)}")
        self._named.sort(key=lambda difference: difference.recorded_at)
        if gone and self._repair:
            self._client.write("\n".join(self._encoder.lines(gone)).encode())
            self._repaired += len(gone)

    def _compare_one(self, record: Record, line: str, rows: list[Row]) -> Iterator[Record]:
        """Note what differs at one record's place; yield the record where it has to be shipped again."""
        self._checked += record.position <= self._shipped
        measures = self._types.measures(record.type, record.schema)
        others, place = [], line.split(" position=", 1)[0]
        met = False
        for row in rows:
            if _line(row, measures, record.recorded_at) == line:
                met = True
            elif _tags(row) != place:
                others.append(row)
            else:
                met = True
                yield from self._note_point(record, line, row, measures)
        if not met and record.position <= self._shipped:
            self._note("missing", record.position, record.recorded_at, f"{record.type} of {record.stream} is not there")
            yield record
        for row in others:
            self._note("foreign", record.position, record.recorded_at, f"beside the record of this time: {_told(row)}")

    def _note_point(self, record: Record, line: str, row: Row, measures: Sequence[str]) -> Iterator[Record]:
        snippets = _snippets(row, measures)
        wrong = sorted(name for name, snippet in snippets.items() if snippet not in line)
        strange = sorted(row.keys() - snippets.keys() - set(_TAGS))
        if wrong or strange:
            names = ", ".join(wrong + strange) or "its content"
            self._note("altered", record.position, record.recorded_at, f"{record.type} of {record.stream}: {names}")
        elif record.position <= self._shipped:
            self._note("missing", record.position, record.recorded_at, f"{record.type} of {record.stream} lacks fields")
            yield record

    def _note(self, kind: Kind, position: int, recorded_at: int, detail: str) -> None:
        self._counts[kind] += 1
        if len(self._named) < NAMED_MAX:
            self._named.append(Difference(kind, position, recorded_at, detail))


def _line(row: Row, measures: Sequence[str], recorded_at: int) -> str | None:
    """Return the line that would write a point, None for one that has more, or less, than the model's members."""
    snippets = _snippets(row, measures)
    if not snippets.keys() >= set(FIELDS) or row.keys() - snippets.keys() - set(_TAGS):
        return None
    return f"{_tags(row)} {','.join(snippets.values())} {recorded_at}"


def _tags(row: Row) -> str:
    return EVENTS + "".join([f",{name}={escape_tag(str(row[name]))}" for name in _TAGS if name in row])


def _snippets(row: Row, measures: Sequence[str]) -> dict[str, str]:
    """Return the fields that a point of the model has, each as it stands in a line."""
    found = {}
    for name in (*FIELDS, *measures):
        value = row.get(name)
        if value is None:
            continue
        if isinstance(value, str):
            found[name] = f'{name}="{escaped(value)}"'
        elif name in FIELDS:
            found[name] = f"{name}={value}i"
        else:
            found[name] = f"{name}={float(value)!r}"
    return found


def _told(row: Row) -> str:
    what = f"{row.get('type', 'no type')} of {row.get('stream', 'no stream')}"
    return f"{what}, which says it is position {row.get('position', 'none')}"
