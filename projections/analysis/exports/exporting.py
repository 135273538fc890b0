"""Exporting: one pass over a log, into tables that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import InvalidEvent, TargetExists
from eventstore.arguments import position_of
from eventstore.errors import shown
from eventstore.files import PRIVATE_DIRECTORY, make_directory, publish_directory, sync_directory
from eventstore.locations import local_path
from projections.analysis.archive.layout import translated
from projections.analysis.exports.tables import ExportedTable, TableDecoder, tables_of
from projections.analysis.exports.writers import CsvTables, ParquetTables, SqlTables
from projections.analysis.progress import Progress
from projections.analysis.sources import OCCURRED, opened, selection_of, types_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventstore import EventReader
    from eventstore.clock import Times
    from projections.analysis.exports.writers import TableWriter
    from projections.analysis.sources import Selection, Source, Types

PARQUET, CSV, SQL = "parquet", "csv", "sql"
FORMS = (PARQUET, CSV, SQL)
ROWS_HELD, ROWS_WRITTEN = 200_000, 20_000
_MEMBERS = ("recorded_at", "occurred_at", "stream", "version", "actor", "note", "type", "schema", "data")


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What an export wrote: how many rows each table has, by its name.

    `text_decimals` names the tables whose decimals are text, because decimal128(38, 9) cannot hold one of them.
    """

    tables: dict[str, int]
    text_decimals: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return sum(self.tables.values())


def export(
    store: Source,
    target: str | os.PathLike[str],
    form: str,
    *,
    types: Types | None = None,
    account: str | None = None,
    start: Times | None = None,
    stop: Times | None = None,
    time: str = OCCURRED,
    after: int = 0,
    until: int | None = None,
    progress: bool | None = None,
) -> Exported:
    """Write a log as typed tables, one for each type of event (`order_filled` …), and return how many rows they have.

    `form`: "parquet" and "csv" make a new directory with a file for each table, "sql" one new file that psql loads.
    The other arguments are those of `events`; `after` and `until` bound the log positions, the second included. Every
    type of the log has its table, also without rows. Figures are exact in each form.

    The target is there whole or not at all. Raises TargetExists if something has its name, InvalidEvent for arguments
    that mean nothing and for an event that its class cannot read.
    """
    if form not in FORMS:
        msg = f"form is one of {', '.join(map(repr, FORMS))}, not {shown(form)}"
        raise InvalidEvent(msg)
    path = local_path(target, "the export").absolute()
    if path.exists() or path.is_symlink():
        msg = f"{path} exists already: name a new place for the export"
        raise TargetExists(msg)
    first = position_of("after", after)
    with opened(store) as reader:
        selection = selection_of(reader, types=types, account=account, start=start, stop=stop, time=time, until=until)
        selection = msgspec.structs.replace(selection, after=max(selection.after, first))
        texts: frozenset[str] = frozenset()
        while True:
            try:
                with translated(path):
                    return _Export(reader, selection, form, texts).write(path, progress)
            except _Unfit as e:
                texts |= {e.type}


class _Unfit(Exception):
    """A decimal of a type does not fit decimal128(38, 9)."""

    def __init__(self, type_name: str) -> None:
        self.type = type_name
        super().__init__(type_name)


class _Export:
    def __init__(self, reader: EventReader, selection: Selection, form: str, texts: frozenset[str]) -> None:
        self._reader, self._selection, self._form, self._texts = reader, selection, form, texts
        self._tables = tables_of(types_in(reader) if selection.types is None else selection.types)
        self._decoders: dict[str, TableDecoder] = {}
        self._held: dict[str, list[dict[str, Any]]] = {name: [] for name in self._tables}
        self._counts = dict.fromkeys(self._tables, 0)

    def write(self, path: Path, progress: bool | None) -> Exported:  # noqa: FBT001 - as `export` has it
        """Write everything under a temporary name, then give it its own."""
        make_directory(path.parent)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(PRIVATE_DIRECTORY)
        try:
            whole = temporary / path.name if self._form == SQL else temporary
            writer = self._writer(whole)
            try:
                self._fill(writer, progress)
            finally:
                writer.discard()
            for file in sorted(temporary.iterdir()):
                _sync(file)
            sync_directory(temporary)
            if path.exists() or path.is_symlink():
                msg = f"{path} appeared meanwhile: name a new place for the export"
                raise TargetExists(msg)
            publish_directory(whole, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return Exported(
            tables={table.name: self._counts[name] for name, table in self._tables.items()},
            text_decimals=tuple(sorted(self._tables[name].name for name in self._texts)),
        )

    def _writer(self, path: Path) -> TableWriter:
        if self._form == PARQUET:
            return ParquetTables(path, self._texts)
        if self._form == CSV:
            return CsvTables(path)
        last = self._selection.until
        return SqlTables(
            path, f"log {self._reader.log}, up to position {last}, exported by eventstore; load it with psql"
        )

    def _fill(self, writer: TableWriter, progress: bool | None) -> None:  # noqa: FBT001 - the same
        selection = self._selection
        held = 0
        with Progress(selection.until - selection.after, progress) as shown_progress:
            for row in self._rows():
                waiting = self._held[row["type"]]
                waiting.append(row)
                held += 1
                if len(waiting) >= ROWS_WRITTEN:
                    held -= self._flush(writer, row["type"])
                    shown_progress.at(row["position"] - selection.after)
                if held >= ROWS_HELD:
                    held -= self._flush(writer, max(self._held, key=lambda name: len(self._held[name])))
            for name in self._tables:
                self._flush(writer, name)
            writer.close(self._tables.values())

    def _rows(self) -> Iterator[dict[str, Any]]:
        selection = self._selection
        start, stop = selection.occurred
        for page in self._reader.rows(
            _MEMBERS, after=selection.after, until=selection.until, account=selection.account, types=selection.types
        ):
            for values in page:
                row = dict(zip(("position", *_MEMBERS), values, strict=True))
                at = row["occurred_at"]
                if (start is None or at >= start) and (stop is None or at < stop):
                    yield row

    def _flush(self, writer: TableWriter, name: str) -> int:
        rows = self._held[name]
        if not rows:
            return 0
        table = self._tables[name]
        as_text = writer.as_text or name in self._texts
        decoder = self._decoders.setdefault(name, TableDecoder(table, as_text=as_text))
        try:
            batch = decoder.batch(rows)
        except InvalidEvent:
            if as_text or not self._fits_text(table, rows):
                raise
            raise _Unfit(name) from None
        writer.write(table, batch)
        self._counts[name] += len(rows)
        self._held[name] = []
        return len(rows)

    def _fits_text(self, table: ExportedTable, rows: list[dict[str, Any]]) -> bool:
        with contextlib.suppress(InvalidEvent):
            TableDecoder(table, as_text=True).batch(rows)
            return True
        return False


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
