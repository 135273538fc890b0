"""An import: the whole file validated, then appended in batches of fixed size, then reported."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.batch import Batch
from eventstore.clock import derived_times
from eventstore.errors import VersionConflict
from eventstore.record_errors import DuplicateEvent
from eventstore.trading import ContractDefined, OrderFilled, TradeExecuted
from gateways.importers.alongside import Alongside, counted_once, known_executions
from gateways.importers.base import BadRow
from gateways.importers.comparison import PnlRow, PnlSums, compare
from gateways.importers.definitions import define, known_contracts
from gateways.importers.granularity import zone_in
from gateways.importers.mapped import MappedReader
from gateways.importers.notes import note_of
from gateways.importers.plan import FilePlan, read_plan
from gateways.importers.protection import put_in_shadow
from gateways.importers.staging import encoded_item
from gateways.presenting.documents import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from typing_extensions import Unpack

    from eventstore.record import Record
    from eventstore.store import EventStore
    from gateways.importers.base import Reader
    from gateways.importers.file_options import FileOptions, Progress
    from gateways.importers.staging import EncodedItem

BATCH = 1_000
BATCH_ALONE = 5_000
"""How many events are appended at once while nobody else appends, who would have to wait: it takes less time each."""
APPENDING = "appending"
_TRADES = "trade/"
ELSEWHERE = "executions that the log has from another file"


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did.

    `rows`: lines read, without the header. `events`: those of the accepted rows, contract definitions included, of
    which `added` are new in the log and `already_there` were in it before. `repeated`: rows that repeat an earlier
    row of the file. `left_out`: with `keep_going`, the rows that cannot be imported. `ignored`: rows without an
    event, by reason. `types`: events by type. `pnl`: the file's own profit and loss compared with the fold's; of
    more than 10,000 figures, those that differ. `pnl_sums`: all figures, added up. `shadow`: the accounts that were put
    in shadow mode, because nobody had set a limit for them yet.
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
    pnl_sums: PnlSums = PnlSums()
    shadow: tuple[str, ...] = ()

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
    store: EventStore, path: str | Path, format: str | None = None, **options: Unpack[FileOptions]
) -> ImportReport:  # fmt: skip
    """Append the events of a file to the store; importing it again, or after an interruption, adds what is missing.

    `format` is one of `FORMATS`, None for the one that the file fits; `mapping` of the options stands in its place.
    `progress` is also called after each batch, with the phase APPENDING.

    The whole file is validated before the first append. Its events are appended in order of time and row, in atomic
    batches of 1,000, or of 5,000 while nobody else appends; an account without limits and without a protection mode is
    put in shadow mode first. Raises what `read_plan` raises, with nothing written; BadRow for a row that the log has
    with other content, after what precedes it was appended, unless `keep_going` leaves it out; and whatever `append`
    raises.
    """
    plan = read_plan(path, format, known_contracts(store), **options)
    return append_plan(store, plan, options.get("progress"), alongside=options.get("alongside", False))


def append_plan(
    store: EventStore, plan: FilePlan, progress: Progress | None = None, *, alongside: bool = False
) -> ImportReport:  # fmt: skip
    """Append the events of a file that was read; `alongside` as for `import_file`."""
    with derived_times():
        return _Appending(store, plan, _elsewhere(store, plan, alongside=alongside), progress).run()


def _elsewhere(store: EventStore, plan: FilePlan, *, alongside: bool) -> Alongside:
    """Return what of a file's executions the log has from elsewhere; raise InvalidEvent unless they may be there."""
    reader = plan.reader
    # The events are read for it once more, which a first import need not wait for.
    if reader.is_of_market or next(store.read(types=(OrderFilled, TradeExecuted), limit=1), None) is None:
        return Alongside()
    found = known_executions(store, plan.items, reader.options.contracts, reader.format, zone_in(reader))
    if alongside:
        found.refuse_doubtful(reader.file)
    else:
        found.refuse(reader.file)
    return found


def _is_after_fees(reader: Reader[Any]) -> bool:
    return isinstance(reader, MappedReader) and reader.after_fees is True


class _Appending:
    def __init__(self, store: EventStore, plan: FilePlan, elsewhere: Alongside, progress: Progress | None) -> None:
        self._store, self._plan, self._elsewhere, self._progress = store, plan, elsewhere, progress
        name = plan.reader.path.name.encode("utf-8", "replace").decode()
        self._note = note_of(plan.reader.format, name)
        self._refused: set[int] = set()
        self._events = self._added = 0
        self._head = store.head()
        self._types: Counter[str] = Counter()

    def run(self) -> ImportReport:
        plan, reader = self._plan, self._plan.reader
        contracts = self._define()
        shadow = () if reader.is_of_market else put_in_shadow(self._store, plan.began_at, self._note)
        found = self._elsewhere.matches
        items = map(encoded_item, counted_once(plan.items, self._elsewhere)) if found else plan.encoded()
        done, size, last = 0, BATCH, 0
        while batch := list(itertools.islice(items, size)):
            records = self._append(batch)
            self._take(records)
            done += len(batch)
            size = BATCH_ALONE if records and records[0].position == last + 1 else BATCH
            last = records[-1].position if records else 0
            if self._progress is not None:
                self._progress(APPENDING, done, len(plan.items))
        accepted = (item for item in plan.items if item.line not in self._refused)
        compared = compare(reader.compares, accepted, contracts, after_fees=_is_after_fees(reader))
        return ImportReport(
            file=reader.file,
            format=reader.format,
            rows=plan.rows,
            events=self._events,
            added=self._added,
            already_there=self._events - self._added,
            repeated=plan.repeated,
            left_out=tuple(plan.left_out),
            ignored=self._ignored(),
            types=dict(self._types),
            contracts=tuple(contracts),
            pnl=compared.rows,
            pnl_sums=compared.sums,
            shadow=shadow,
        )

    def _ignored(self) -> dict[str, int]:
        counted = self._elsewhere.count
        return dict(self._plan.reader.ignored) | ({ELSEWHERE: counted} if counted else {})

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
            self._events += 1
            self._added += record.position > self._head
            self._types[record.type] += 1

    def _append(self, items: Sequence[EncodedItem]) -> Sequence[Record]:
        try:
            return self._append_all(items)
        except DuplicateEvent as e:
            if len(items) == 1:
                self._refuse(items[0], e)
                return ()
        # The log has only part of the batch, from a shorter export: halving finds which part, in few steps.
        half = len(items) // 2
        return [*self._append(items[:half]), *self._append(items[half:])]

    def _append_all(self, items: Sequence[EncodedItem]) -> Sequence[Record]:
        """Append events all or nothing, those of a trade's own stream as the first of it, which is quicker."""
        try:
            return self._append_batches(items, are_firsts=True)
        except VersionConflict:
            # The log has something else of one of the trades, such as a correction.
            return self._append_batches(items, are_firsts=False)

    def _append_batches(self, items: Sequence[EncodedItem], *, are_firsts: bool) -> Sequence[Record]:
        note, begun = self._note, set[str]()
        batches = []
        for item in items:
            stream = item.stream
            expected = 0 if are_firsts and stream.startswith(_TRADES) and stream not in begun else None
            begun.add(stream)
            batches.append(Batch(stream, item.event, expected, None, item.occurred_at, None, note))
        return self._store.append_many(batches)

    def _refuse(self, item: EncodedItem, error: DuplicateEvent) -> None:
        where = f"at position {error.record.position} " if error.record is not None else ""
        why = f"contradicts the log, which has {item.key} of {item.stream} {where}with other content"
        self._refused.add(item.line)
        self._plan.refuse(BadRow(self._plan.reader.file, item.line, "", "", why))
