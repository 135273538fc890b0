"""An import: the whole file validated, then appended in batches of fixed size, then reported."""

from __future__ import annotations

import contextlib
from collections import Counter
from datetime import date as Date  # noqa: N812 - `date` is an argument's name
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.batch import Batch
from eventstore.clock import derived_times
from eventstore.errors import InvalidEvent
from eventstore.events import encode
from eventstore.ids import keyed_id
from eventstore.record_errors import DuplicateEvent
from eventstore.streams import account_of
from eventstore.trading import ContractDefined
from gateways.importers.base import BadRow, Options, PlannedEvent
from gateways.importers.comparison import PnlRow, compare
from gateways.importers.contracts import table_of
from gateways.importers.definitions import define
from gateways.importers.formats import reader_of
from gateways.importers.texts import BYTES_MAX
from gateways.presenting.documents import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from eventstore.record import Record
    from eventstore.store import EventStore
    from gateways.importers.base import Reader, SourceLine
    from gateways.importers.contracts import Tables

    Progress = Callable[[str, int, int | None], None]

BATCH = 1_000
ROWS_MAX = 5_000_000
READING, APPENDING = "reading", "appending"


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did.

    `rows`: lines read, without the header. `events`: those of the accepted rows, contract definitions included, of
    which `added` are new in the log and `already_there` were in it before. `repeated`: rows that repeat an earlier
    row of the file. `left_out`: with `keep_going`, the rows that cannot be imported. `ignored`: rows without an
    event, by reason. `types`: events by type. `pnl`: the file's own profit and loss compared with the fold's.
    """

    file: str
    format: str
    rows: int
    events: int
    added: int
    already_there: int
    repeated: int = 0
    left_out: tuple[BadRow, ...] = ()
    ignored: dict[str, int] = {}
    types: dict[str, int] = {}
    contracts: tuple[str, ...] = ()
    pnl: tuple[PnlRow, ...] = ()

    @property
    def differing(self) -> tuple[PnlRow, ...]:
        """The profit and loss figures that differ from the fold's by more than half a cent."""
        return tuple(row for row in self.pnl if row.differs)

    def as_json(self) -> dict[str, object]:
        """Return the report as plain values for JSON: figures as text, the rows left out as their members."""
        members: dict[str, object] = plain(self)
        members["left_out"] = [
            {"line": bad.line, "column": bad.column, "value": bad.value, "why": bad.why} for bad in self.left_out
        ]
        members["pnl"] = [row.as_json() for row in self.pnl]
        return members


def import_file(
    store: EventStore,
    path: str | Path,
    format: str,
    *,
    account: str | None = None,
    symbol: str | None = None,
    date: Date | str | None = None,
    mapping: Mapping[str, str] | None = None,
    contracts: Tables | None = None,
    keep_going: bool = False,
    bytes_max: int = BYTES_MAX,
    progress: Progress | None = None,
) -> ImportReport:
    """Append the events of a file to the store; importing it again, or after an interruption, adds what is missing.

    `format` is one of `FORMATS`; its reader documents the events of each row. `account` is the account of the fills
    and orders; without it, the file must name one. `symbol` and `date` (a date or ISO text) are for lobster, if the
    file's name does not say them; `mapping`, from column to field, is for fills; `contracts` is a table, or a TOML
    file, used before the built-in one; an archive that expands to more than `bytes_max` is rejected.
    `progress(phase, done, total)` is called every 1,000 rows and after each batch, with the phases READING (total
    None, because it is unknown) and APPENDING.

    The whole file is validated before the first append. Its events are appended in order of time and row, in atomic
    batches of 1,000. Raises BadRow for the first malformed row, with nothing written, and for a row that the log has
    with other content, after what precedes it was appended; with `keep_going` such rows are left out and listed.
    Raises InvalidEvent for a file or options that do not fit the format, OSError for a file that cannot be read, and
    whatever `append` raises.
    """
    options = Options(
        account=account,
        contracts=table_of(contracts),
        symbol=symbol,
        date=_date(date),
        mapping=mapping or {},
        bytes_max=bytes_max,
    )
    if bytes_max <= 0:
        msg = f"bytes_max is {bytes_max}: give a number of bytes above 0"
        raise InvalidEvent(msg)
    given = {"symbol": symbol, "date": date, "mapping": mapping, "contracts": contracts}
    kind = reader_of(format)
    for name, value in given.items():
        if value is not None and name not in kind.takes:
            msg = f"format {format} does not take {name}: leave it out"
            raise InvalidEvent(msg)
    reader = kind(Path(path), options)
    plan = _Plan(reader, keep_going=keep_going)
    # Times are read from text, in the unit of their column: none is an int in a unit that may be mistaken.
    with derived_times():
        plan.read(progress)
        return _Appending(store, plan, progress).run()


class _Plan:
    """The whole file as validated events, in the order in which they are appended."""

    def __init__(self, reader: Reader[Any], *, keep_going: bool) -> None:
        self.reader, self.keep_going = reader, keep_going
        self.rows = self.repeated = 0
        self.left_out: list[BadRow] = []
        self.items: list[PlannedEvent] = []
        self._ordered: list[tuple[int, PlannedEvent]] = []
        self._by_id: dict[bytes, PlannedEvent] = {}

    def read(self, progress: Progress | None) -> None:
        with contextlib.closing(self.reader.rows()) as rows:
            for row in rows:
                self.rows += 1
                if self.rows > ROWS_MAX:
                    msg = f"{self.reader.file} has more than {ROWS_MAX:,} rows: split it, for example by day"
                    raise InvalidEvent(msg)
                self._take(row)
                if progress is not None and self.rows % BATCH == 0:
                    progress(READING, self.rows, None)
        self._ordered.sort(key=itemgetter(0))
        self.items = [planned for _, planned in self._ordered]
        self._ordered, self._by_id = [], {}

    def _take(self, row: SourceLine) -> None:
        try:
            self._accept(self.reader.plan(row))
        except BadRow as e:
            self.refuse(e)
        except InvalidEvent as e:
            self.refuse(BadRow(self.reader.file, row.line, "", "", str(e)))

    def refuse(self, bad: BadRow) -> None:
        """Add a row that cannot be imported to the report, or raise it."""
        if not self.keep_going:
            raise bad
        self.left_out.append(bad)

    def _accept(self, planned: Sequence[PlannedEvent]) -> None:
        """Accept all events of a row or none; a row's later event is never appended before its earlier one."""
        fresh: dict[bytes, PlannedEvent] = {}
        for item in planned:
            account_of(item.stream)
            _, data = encode(item.event)
            id_ = keyed_id(item.stream, item.key)
            known = self._by_id.get(id_)
            if known is None:
                fresh[id_] = item
            elif encode(known.event)[1] != data:
                why = f"repeats {item.key} of {item.stream} with other content than line {known.line}"
                raise BadRow(self.reader.file, item.line, "", "", why)
        self.repeated += bool(planned) and not fresh
        self._by_id.update(fresh)
        latest = 0
        for item in fresh.values():
            latest = max(latest, item.occurred_at)
            self._ordered.append((latest, item))


class _Appending:
    def __init__(self, store: EventStore, plan: _Plan, progress: Progress | None) -> None:
        self._store, self._plan, self._progress = store, plan, progress
        name = plan.reader.path.name.encode("utf-8", "replace").decode()
        self._note = f"import {plan.reader.format} {name}"
        self._refused: set[int] = set()
        self._positions: list[int] = []
        self._types: Counter[str] = Counter()

    def run(self) -> ImportReport:
        plan, reader = self._plan, self._plan.reader
        head = self._store.head()
        contracts = self._define()
        for start in range(0, len(plan.items), BATCH):
            self._take(self._append(plan.items[start : start + BATCH]))
            if self._progress is not None:
                self._progress(APPENDING, min(start + BATCH, len(plan.items)), len(plan.items))
        accepted = [item for item in plan.items if item.line not in self._refused]
        added = sum(position > head for position in self._positions)
        return ImportReport(
            file=reader.file,
            format=reader.format,
            rows=plan.rows,
            events=len(self._positions),
            added=added,
            already_there=len(self._positions) - added,
            repeated=plan.repeated,
            left_out=tuple(plan.left_out),
            ignored=dict(reader.ignored),
            types=dict(self._types),
            contracts=tuple(contracts),
            pnl=tuple(compare(reader.compares, accepted, contracts)),
        )

    def _define(self) -> Mapping[str, ContractDefined]:
        if not self._plan.items:
            return {}
        definitions = define(self._store, self._plan.reader.contracts, self._plan.items[0].occurred_at, self._note)
        self._take(definitions.values())
        return {
            symbol: event
            for symbol, record in definitions.items()
            if isinstance(event := record.event, ContractDefined)
        }

    def _take(self, records: Iterable[Record]) -> None:
        for record in records:
            self._positions.append(record.position)
            self._types[record.type] += 1

    def _append(self, items: Sequence[PlannedEvent]) -> Sequence[Record]:
        batches = [Batch(i.stream, i.event, key=i.key, occurred_at=i.occurred_at, note=self._note) for i in items]
        try:
            return self._store.append_many(batches)
        except DuplicateEvent as e:
            if len(items) == 1:
                self._refuse(items[0], e)
                return ()
        # The log has only part of the batch, from a shorter export: halving finds which part, in few steps.
        half = len(items) // 2
        return [*self._append(items[:half]), *self._append(items[half:])]

    def _refuse(self, item: PlannedEvent, error: DuplicateEvent) -> None:
        where = f"at position {error.record.position} " if error.record is not None else ""
        why = f"contradicts the log, which has {item.key} of {item.stream} {where}with other content"
        self._refused.add(item.line)
        self._plan.refuse(BadRow(self._plan.reader.file, item.line, "", "", why))


def _date(date: Date | str | None) -> Date | None:
    if not isinstance(date, str):
        return date
    try:
        return Date.fromisoformat(date)
    except ValueError as e:
        msg = f"{date!r} is not a date: write it like 2012-06-21"
        raise InvalidEvent(msg) from e
