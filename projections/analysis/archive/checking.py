"""Checking an archive: every record hashed again, the tree grown again, and typed columns compared with the data."""

from __future__ import annotations

import warnings
from array import array
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import CorruptJournal, EventStore, InvalidEvent, Record, StorageWarning, UnsupportedFormat, Verification
from eventstore.events.registry import by_name
from eventstore.journal import LOG_NAME, Fault
from eventstore.proofs.merkle import HASH_BYTES, Frontier
from eventstore.record import Digester
from projections.analysis.archive import layout
from projections.analysis.archive.layout import ArchivedFile, Catalog, FileMetadata, SealedRange
from projections.analysis.archive.typed import DIGEST_START, DoesNotFit, RecordDecoder, fingerprint, schema_of
from projections.analysis.libraries import arrow, compute, library
from projections.analysis.progress import Progress
from projections.analysis.sources import opened

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    from eventstore import EventReader
    from projections.analysis.sources import Source

_STRANGERS_SHOWN = 3
_SELECTED = ("position", "recorded_at", "occurred_at", "type", "account", "stream", "symbol")
"""Columns by whose statistics a read passes over row groups."""
_UNTYPED = 16


def check_archive(
    folder: str | os.PathLike[str], *, store: Source | None = None, progress: bool | None = None
) -> Verification:
    """Check an archive by itself, and against the log that it is of where one is given.

    Every record is hashed again, the tree grown again and compared with the roots of the ranges and of the log; typed
    columns are compared with the data, and what is said of the files with the files. `first_bad` is the first position
    that does not verify. `unproved` names the types whose class has changed since, so that their typed columns, which
    no frame uses then, cannot be compared. Files of others are left alone and named in a StorageWarning.

    Raises Unavailable for a folder that is not an archive, InvalidEvent for the archive of another log.
    """
    place = layout.folder_of(folder)
    try:
        catalog = layout.load(place)
    except UnsupportedFormat:
        raise
    except CorruptJournal as e:
        return Verification(ok=False, checked=0, first_bad=e.position, reason=e.reason)
    _warn(place, catalog)
    if store is None:
        return _check(place, catalog, None, progress)
    with opened(store) as given:
        reader = given.alone() if isinstance(given, EventStore) else given
        if reader.log_id.hex() != catalog.log_id:
            msg = f"{place} is the archive of another log, {catalog.log}: check it without log {reader.log}"
            raise InvalidEvent(msg)
        return _check(place, catalog, reader, progress)


def _warn(folder: Path, catalog: Catalog) -> None:
    found = layout.strangers(folder, catalog)
    begun = [path for path in found if layout.is_begun(path, catalog)]
    others = [path for path in found if path not in begun]
    if begun:
        what = f"{_some(begun)} in {folder} are of a run that was interrupted: eventstore archive completes them"
        warnings.warn(what, StorageWarning, stacklevel=3)
    if others:
        what = f"{_some(others)} in {folder}: not part of the archive, ignored"
        warnings.warn(what, StorageWarning, stacklevel=3)


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - _STRANGERS_SHOWN} more" if len(paths) > _STRANGERS_SHOWN else ""
    return f"{', '.join(paths[:_STRANGERS_SHOWN])}{more}"


def _check(folder: Path, catalog: Catalog, reader: EventReader | None, progress: bool | None) -> Verification:  # noqa: FBT001 - as above
    tree = Frontier()
    with Progress(catalog.head, progress) as shown:
        for sealed in catalog.ranges:
            found = _Range(folder, catalog, sealed)
            faults = found.faults(tree, shown)
            if not faults and reader is not None and reader.head() >= sealed.last:
                faults = found.differences(reader)
            if faults:
                # The first position counts; what belongs to none comes last.
                first = min(faults, key=lambda fault: fault.position)
                return Verification(
                    ok=False, checked=max(first.position - 1, 0), first_bad=first.position, reason=first.reason
                )
    if tree.to_bytes().hex() != catalog.tree:
        reason = f"the tree in {layout.CATALOG} is not that of the records"
        return Verification(ok=False, checked=catalog.head, first_bad=catalog.head, reason=reason)
    return Verification(ok=True, checked=catalog.head, unproved=(LOG_NAME, *_stale(catalog)))


def _stale(catalog: Catalog) -> list[str]:
    """Return the types whose typed columns were made with another class than today's, or none."""
    names = {
        name
        for sealed in catalog.ranges
        for file in sealed.files
        for name, found in file.types.items()
        if found.made_with != fingerprint(name) and found.made_with
    }
    return [f"the typed columns of {name}, whose class has changed since" for name in sorted(names)]


class _SaidOtherwise(CorruptJournal):
    """The table of contents says something of a file that is not so."""


class _Range:
    """The files of one range, and what they have at each position."""

    def __init__(self, folder: Path, catalog: Catalog, sealed: SealedRange) -> None:
        self._folder, self._catalog, self._sealed = folder, catalog, sealed
        size = sealed.last - sealed.first + 1
        self._digests, self._times = bytearray(HASH_BYTES * size), array("q", bytes(8 * size))
        self._digester = Digester(bytes.fromhex(catalog.log_id))

    def faults(self, tree: Frontier, shown: Progress) -> list[Fault]:
        """Return what is wrong with the range alone; grow the tree by its records if nothing is."""
        sealed, done = self._sealed, self._sealed.first - 1
        faults, said = list[Fault](), list[Fault]()
        for file in sealed.files:
            try:
                for rows in self._check_file(file):
                    done += rows
                    shown.at(done)
                said += self._check_bytes(file)
            except _SaidOtherwise as e:
                said.append(Fault(e.position, e.reason))
            except CorruptJournal as e:
                faults.append(Fault(e.position, e.reason))
        # What is said of a file is of all its positions: a record that is missing or changed says more.
        faults = [*faults, *self._order()] or said
        if not faults:
            tree.grow([bytes(self._digests[at : at + HASH_BYTES]) for at in range(0, len(self._digests), HASH_BYTES)])
            if tree.root().hex() != sealed.root:
                what = f"positions {sealed.first} to {sealed.last} do not give the root of their range"
                faults.append(Fault(sealed.first, what))
        return faults

    def _order(self) -> list[Fault]:
        """Return the first position that no file has, or that was recorded before the one before it."""
        last = 0
        for index, at in enumerate(self._times):
            if at <= last:
                what = "it was not recorded after the one before it" if at else "the record is missing"
                return [Fault(self._sealed.first + index, what)]
            last = at
        if (self._times[0], last) != (self._sealed.recorded_first, self._sealed.recorded_last):
            return [Fault(self._sealed.first, f"{layout.CATALOG} has other times of its range than the records")]
        return []

    def _check_bytes(self, file: ArchivedFile) -> list[Fault]:
        path = self._folder / file.path
        with layout.readable(path, file.first):
            if (path.stat().st_size, layout.digest_of(path)) == (file.size, file.sha256):
                return []
        return [Fault(file.first, f"{path} is not the file that was written: its SHA-256 is another one")]

    def _check_file(self, file: ArchivedFile) -> Iterator[int]:
        """Check a file, yielding how many rows are done; raise CorruptJournal with the first bad position."""
        path = self._folder / file.path
        columns = self._catalog.layouts[file.layout]
        self._check_metadata(file, columns)
        decoder = RecordDecoder(columns)
        parquet = library("pyarrow.parquet")
        last, ends = file.first - 1, list[int]()
        filled = [False] * len(columns)
        with layout.readable(path, file.first), parquet.ParquetFile(path, page_checksum_verification=True) as content:
            for group in range(content.num_row_groups):
                with layout.readable(path, last + 1):
                    table = content.read_row_group(group).replace_schema_metadata()
                if table.schema != schema_of(columns):
                    raise CorruptJournal(file.first, f"{path} has other columns than {layout.CATALOG} says")
                records = self._records(table, last, path)
                _compare(table, decoder, records, file, path)
                _check_statistics(content.metadata.row_group(group), table, records[0].position, path)
                last = records[-1].position
                ends.append(last)
                filled = [
                    was or table.column(column.name).null_count < table.num_rows
                    for was, column in zip(filled, columns, strict=True)
                ]
                yield len(records)
        signs = "".join("01"[each] for each in filled)
        counts = {name: found.count for name, found in file.types.items()}
        if (tuple(ends), signs, decoder.counts) != (file.groups, file.filled, counts):
            raise _SaidOtherwise(file.first, f"{layout.CATALOG} says something else of {path} than what it holds")

    def _check_metadata(self, file: ArchivedFile, columns: tuple[layout.FileColumn, ...]) -> None:
        sealed, catalog = self._sealed, self._catalog
        path = self._folder / file.path
        # Not what this process may have seen before.
        layout.check_footer.__wrapped__(path, file.footer, file.first)
        found = layout.metadata_of(path, file.first)
        if found.log_id != catalog.log_id:
            raise CorruptJournal(file.first, f"{path} is a file of another log, {found.log}")
        expected = FileMetadata(
            format=layout.FORMAT, log=catalog.log, log_id=catalog.log_id, day=sealed.day, category=file.category,
            first=file.first, last=file.last, count=file.count, range_first=sealed.first, range_last=sealed.last,
            tree_size=sealed.last, root=sealed.root,
            categories={each.category: each.count for each in sealed.files}, types=file.types, columns=columns,
        )  # fmt: skip
        if found != expected:
            names = [name for name in FileMetadata.__struct_fields__ if getattr(found, name) != getattr(expected, name)]
            raise CorruptJournal(file.first, f"{path} and {layout.CATALOG} differ in {', '.join(names)}")

    def _records(self, table: Any, last: int, path: Path) -> list[Record]:  # noqa: ANN401 - a table of Arrow's
        """Return a row group's records, each with the digest that its members give, and note these."""
        pa, sealed = arrow(), self._sealed
        columns = []
        for name in Record.__struct_fields__[:-2]:
            column = table.column(name)
            if pa.types.is_timestamp(column.type):
                column = column.cast(pa.int64())
            columns.append((column.cast(pa.binary()) if name == "data" else column).to_pylist())
        starts = table.column("digest_start").to_pylist()
        records = []
        for start, members in zip(starts, zip(*columns, strict=True), strict=True):
            record = Record(*members, b"", self._catalog.log)  # type: ignore[call-arg] # in the order of its members
            position = record.position
            if not last < position <= sealed.last:
                raise CorruptJournal(last + 1, f"in {path} position {position} follows position {last}")
            last, index = position, position - sealed.first
            if self._times[index]:
                raise CorruptJournal(position, f"two files have the record, {path} and another one")
            digest = self._digester.digest(record)
            if digest[:DIGEST_START] != start:
                raise CorruptJournal(
                    position, "the record does not have its digest: it was changed after it was written"
                )
            self._digests[HASH_BYTES * index : HASH_BYTES * (index + 1)] = digest
            self._times[index] = record.recorded_at
            records.append(msgspec.structs.replace(record, digest=digest))
        return records

    def differences(self, reader: EventReader) -> list[Fault]:
        """Return the first position at which the log has another record than the archive, if there is one."""
        sealed = self._sealed
        if isinstance(reader, EventStore) and reader.root(sealed.last)[1].hex() == sealed.root:
            return []
        for page in reader.rows(("digest",), after=sealed.first - 1, until=sealed.last):
            for position, digest in page:
                at = HASH_BYTES * (position - sealed.first)
                if self._digests[at : at + HASH_BYTES] != digest:
                    return [Fault(position, "the log has another record here than its archive")]
        if isinstance(reader, EventStore):
            return [Fault(sealed.first, f"the log has another root with {sealed.last} records than its archive")]
        return []


def _compare(table: Any, decoder: RecordDecoder, records: list[Record], file: ArchivedFile, path: Path) -> None:  # noqa: ANN401 - of Arrow's
    """Raise CorruptJournal for the first record whose columns are not those that its stream and its data give."""
    pc = compute()
    try:
        made = decoder.table(records)
    except DoesNotFit as e:
        reason = f"in {path} the columns {e} cannot hold what the data has"
        raise CorruptJournal(records[0].position, reason) from e
    is_typed = _typed_today(table, file)
    worst: tuple[int, str] | None = None
    for index, name in enumerate(table.column_names):
        one, other = table.column(name).combine_chunks(), made.column(name).combine_chunks()
        if one.equals(other):
            continue
        differs = pc.or_(
            pc.fill_null(pc.not_equal(one, other), fill_value=False), pc.not_equal(pc.is_null(one), pc.is_null(other))
        )
        if index >= _UNTYPED:
            differs = pc.and_(differs, is_typed)
        row = pc.index(differs, value=True).as_py()
        if row >= 0 and (worst is None or row < worst[0]):
            worst = row, name
    if worst is not None:
        what = f"in {path} the column {worst[1]} is not what the record has: it was changed after it was written"
        raise CorruptJournal(records[worst[0]].position, what)


def _typed_today(table: Any, file: ArchivedFile) -> Any:  # noqa: ANN401 - of Arrow's
    """Return of which rows the typed columns were made with today's class, as an array of booleans."""
    pa, pc = arrow(), compute()
    found = pa.nulls(table.num_rows, pa.bool_()).fill_null(fill_value=False)
    for name, said in file.types.items():
        known = by_name(name)
        if known is not None and said.made_with == fingerprint(name):
            # What an upcaster makes of an older schema is not used by frames, and may have changed with its code.
            is_today = pc.equal(table.column("schema"), known.schema)
            found = pc.or_(found, pc.and_(pc.equal(table.column("type"), name), is_today))
    return found


def _check_statistics(about: Any, table: Any, position: int, path: Path) -> None:  # noqa: ANN401 - of Arrow's
    """Raise CorruptJournal where a row group's statistics would have a read pass over records that it has."""
    pa, pc = arrow(), compute()
    for index in range(about.num_columns):
        chunk = about.column(index)
        name, found = chunk.path_in_schema, chunk.statistics
        if name not in _SELECTED or found is None or not found.has_min_max:
            continue
        values = table.column(name)
        values = values.cast(pa.binary() if pa.types.is_string(values.type) else pa.int64())
        real = pc.min_max(values).as_py()
        if (found.min_raw, found.max_raw) != (real["min"], real["max"]):
            raise CorruptJournal(position, f"in {path} the statistics of {name} are not those of its values")
