"""The tables of an older program's SQLite file into a log: each row once, whatever ended an earlier attempt."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import Batch, DuplicateEvent, InvalidEvent, StoreError
from eventstore.clock import derived_times
from eventstore.events import encode
from eventstore.ids import keyed_id
from eventstore.streams import account_of
from eventstore.trading import OrderFilled, TradeExecuted
from gateways.importers.protection import put_in_shadow
from gateways.legacy import backups, foxtrot_tables, risk_tables
from gateways.legacy.database import Database
from gateways.legacy.reports import ItemStatus, MigratedItem, MigrationReport
from gateways.legacy.rows import LeftOut, MissingChoice, PlannedRow, TableChoices, TableRowReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from eventstore import EventStore

BATCH = 1_000
ATTEMPTS_MAX = 20
ACTOR = "migration"
_OBJECTS = "oms_state"
_NO_MAPPING = "no mapping says what its rows are: migrate them by --mapping FILE.toml, or leave them"
_SETS = (foxtrot_tables, risk_tables)
_SYMBOL_TABLES = ("orders", "trades", "positions")


class PlannedTables(msgspec.Struct):
    """The events of all rows, the rows that are left out, and what must be chosen before anything is written."""

    rows: list[PlannedRow] = []
    items: list[MigratedItem] = []
    questions: dict[str, None] = {}

    def set_aside(self, table: str, why: str, count: int) -> None:
        if count:
            rows = "1 row" if count == 1 else f"{count:,} rows"
            self.items.append(MigratedItem(table, rows, ItemStatus.SET_ASIDE, why, count))


def plan_tables(path: Path, choices: TableChoices) -> PlannedTables:
    """Return what a file's tables become; raise InvalidEvent, naming all that must be chosen, if they do not say it."""
    planned = PlannedTables()
    with Database(path) as database:
        tables = database.tables()
        reading = _Reading(database, tables, choices, path.stat().st_mtime_ns)
        for table, columns in tables.items():
            reading.read(planned, table, columns)
    if planned.questions:
        msg = f"{path.name}: {'; '.join(planned.questions)}"
        raise InvalidEvent(msg)
    planned.rows.sort(key=lambda row: row.occurred_at)
    return planned


class _Reading:
    def __init__(
        self, database: Database, tables: dict[str, tuple[str, ...]], choices: TableChoices, written_at: int
    ) -> None:
        self._database, self._choices, self._written_at = database, choices, written_at
        self._several = _on_several_exchanges(database, tables)

    def read(self, planned: PlannedTables, table: str, columns: tuple[str, ...]) -> None:
        planner = _planner(table, columns)
        if planner is not None:
            self._read_rows(planned, table, planner)
        elif table == _OBJECTS and {"key", "value"} <= {*columns}:
            self._read_objects(planned)
        else:
            count = sum(1 for _ in self._database.rows(table))
            why = next((each.LEFT_OUT[table] for each in _SETS if table in each.LEFT_OUT), None)
            if why is not None:
                planned.set_aside(table, why, count)
            elif count:
                planned.items.append(MigratedItem(table, f"{count:,} rows", ItemStatus.LEFT_OUT, _NO_MAPPING, count))

    def _read_rows(self, planned: PlannedTables, table: str, planner: Callable[[TableRowReader], PlannedRow]) -> None:
        pickled = 0
        for number, cells in enumerate(self._database.rows(table), 1):
            pickled += cells.get("data_compressed") is not None
            self._plan(planned, table, planner, cells, number)
        planned.set_aside(
            table, "their objects are pickles, which are never read: what their columns say is migrated", pickled
        )

    def _read_objects(self, planned: PlannedTables) -> None:
        for row in self._database.rows(_OBJECTS):
            key = str(row["key"])
            planner = foxtrot_tables.PLANNERS.get(key)
            if planner is None:
                planned.items.append(MigratedItem(_OBJECTS, key, ItemStatus.LEFT_OUT, _NO_MAPPING))
                continue
            try:
                found = list(foxtrot_tables.objects(row["value"]))
            except LeftOut as e:
                planned.items.append(MigratedItem(_OBJECTS, key, ItemStatus.LEFT_OUT, str(e)))
                continue
            for number, cells in enumerate(found, 1):
                self._plan(planned, key, planner, cells, number)

    def _plan(
        self,
        planned: PlannedTables,
        table: str,
        planner: Callable[[TableRowReader], PlannedRow],
        cells: dict[str, Any],
        number: int,
    ) -> None:
        cells["number"] = number
        cells["several_exchanges"] = str(cells.get("symbol")) in self._several
        row = TableRowReader(table, cells, self._choices, self._written_at)
        try:
            found = planner(row)
            # Checked here, so that nothing is written where a row cannot be.
            encode(found.event)
            account_of(found.stream)
            _id(found)
            planned.rows.append(found)
        except MissingChoice as e:
            planned.questions[str(e)] = None
        except (LeftOut, StoreError) as e:
            status = ItemStatus.SET_ASIDE if isinstance(e, LeftOut) and e.by_rule else ItemStatus.LEFT_OUT
            planned.items.append(MigratedItem(table, _name(cells, number), status, str(e)))


def _planner(table: str, columns: Sequence[str]) -> Callable[[TableRowReader], PlannedRow] | None:
    return next(
        (each.PLANNERS[table] for each in _SETS if table in each.PLANNERS and each.MARKS[table] in columns), None
    )


def _on_several_exchanges(database: Database, tables: dict[str, tuple[str, ...]]) -> set[str]:
    """Return the symbols that a file has on more than one exchange: the exchange is then a part of the name."""
    found: dict[str, set[str]] = {}
    for table in _SYMBOL_TABLES:
        if {"symbol", "exchange"} <= {*tables.get(table, ())}:
            for cells in database.rows(table):
                if cells["exchange"]:
                    found.setdefault(str(cells["symbol"]), set()).add(str(cells["exchange"]))
    return {symbol for symbol, exchanges in found.items() if len(exchanges) > 1}


def _name(cells: dict[str, Any], number: int) -> str:
    names = ("vt_orderid", "vt_tradeid", "vt_positionid", "id", "rule_id")
    return str(next((cells[name] for name in names if cells.get(name)), f"row {number}"))


def migrate_tables(
    store: EventStore, path: Path, choices: TableChoices, *, backup: bool = True, dry_run: bool = False
) -> MigrationReport:
    """Append the events of a SQLite file's rows; again, or after an interruption, those that are missing.

    The whole file is read and checked first. Accounts that get executions and have no limits are put in shadow mode.
    """
    planned = plan_tables(path, choices)
    with derived_times():
        return _Migrating(store, path, planned).run(backup=backup, dry_run=dry_run)


class _Migrating:
    def __init__(self, store: EventStore, path: Path, planned: PlannedTables) -> None:
        self._store, self._path, self._planned = store, path, planned
        self._note = f"migrate {path.name}".encode("utf-8", "replace").decode()[:500]
        self._items: list[MigratedItem] = []
        self._seen: dict[bytes, PlannedRow] = {}
        self._added = 0

    def run(self, *, backup: bool, dry_run: bool) -> MigrationReport:
        rows = self._planned.rows
        kept: tuple[Path, ...] = ()
        shadow: tuple[str, ...] = ()
        if rows and not dry_run:
            kept = backups.back_up([self._path], self._store) if backup else ()
            shadow = put_in_shadow(self._store, _began_at(rows), self._note)
        for start in range(0, len(rows), BATCH):
            self._take(rows[start : start + BATCH], dry_run=dry_run)
        issues = () if dry_run else tuple(self._missing())
        return MigrationReport(
            files=(str(self._path),),
            account=None,
            dry_run=dry_run,
            items=(*self._items, *self._planned.items),
            added=self._added,
            backups=tuple(map(str, kept)),
            issues=issues,
            shadow=shadow,
        )

    def _take(self, rows: Sequence[PlannedRow], *, dry_run: bool) -> None:
        missing = {_id(row): row for row in rows if self._is_missing(row)}
        for _ in range(ATTEMPTS_MAX):
            if not missing or dry_run:
                return
            head = self._store.head()
            with contextlib.suppress(DuplicateEvent):
                records = self._store.append_many([self._batch(row) for row in missing.values()])
                self._added += sum(record.position > head for record in records)
                return
            # Another process migrates the same file, and has appended some of them meanwhile.
            missing = {id_: row for id_, row in missing.items() if self._store.find(id_) is None}
        msg = f"another process migrates {self._path.name} at the same time: run it again to add what is missing"
        raise InvalidEvent(msg)

    def _batch(self, row: PlannedRow) -> Batch:
        return Batch(row.stream, row.event, key=_key(row), occurred_at=row.occurred_at, actor=ACTOR, note=self._note)

    def _is_missing(self, row: PlannedRow) -> bool:
        """Return whether a row's event is to be appended, and note what becomes of it."""
        id_ = _id(row)
        earlier = self._seen.setdefault(id_, row)
        if earlier is not row:
            same = earlier.event == row.event
            status = ItemStatus.SET_ASIDE if same else ItemStatus.LEFT_OUT
            why = "it repeats an earlier row" if same else "an earlier row has the same id and other content"
            self._items.append(MigratedItem(row.table, row.name, status, why))
            return False
        record = self._store.find(id_)
        if record is None:
            self._items.append(MigratedItem(row.table, row.name, ItemStatus.MIGRATED))
            return True
        if record.event == row.event:
            self._items.append(MigratedItem(row.table, row.name, ItemStatus.KNOWN))
        else:
            why = f"the log has it with other content, at position {record.position}"
            self._items.append(MigratedItem(row.table, row.name, ItemStatus.LEFT_OUT, why))
        return False

    def _missing(self) -> Iterator[str]:
        """Yield what reading back does not find: nothing, usually."""
        contradicting = Counter((item.kind, item.name) for item in self._items if item.status is ItemStatus.LEFT_OUT)
        for row in self._planned.rows:
            record = self._store.find(_id(row))
            if record is None:
                yield f"{row.table} {row.name} is missing in the log"
            elif record.event != row.event and not contradicting[row.table, row.name]:
                yield f"{row.table} {row.name} differs in the log"


def _id(row: PlannedRow) -> bytes:
    return keyed_id(row.stream, _key(row))


def _key(row: PlannedRow) -> str:
    """Return what names a row's fact: of what may change, its content too, so that a later state is another fact."""
    if not row.changes:
        return row.identity
    return f"{row.identity} {hashlib.sha256(encode(row.event)[1]).hexdigest()[:16]}"


def _began_at(rows: Sequence[PlannedRow]) -> dict[str, int]:
    """Return the accounts that traded, each with the time of its first execution."""
    found: dict[str, int] = {}
    for row in rows:
        if isinstance(row.event, OrderFilled | TradeExecuted):
            account = account_of(row.stream)
            found[account] = min(found.get(account, row.occurred_at), row.occurred_at)
    return found
