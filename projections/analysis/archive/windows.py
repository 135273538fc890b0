"""Windows of an archive: the rows between two log positions, of the files that have some, in the order of the log."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.streams import prefix_end
from projections.analysis.archive.layout import ArchivedFile, Catalog, check_footer, readable
from projections.analysis.libraries import library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


WINDOW_BYTES = 128 << 20


class RowFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows of an archive are read, as a query or a selection has it."""

    stream: str | None = None
    account: str | None = None
    types: tuple[str, ...] | None = None
    occurred: tuple[int | None, int | None] = (None, None)

    def has_file(self, file: ArchivedFile) -> bool:
        """Return whether a file may have such a row."""
        is_of_stream = self.stream is None or self.stream.partition("/")[0] == file.category
        return is_of_stream and (self.types is None or not file.types.keys().isdisjoint(self.types))

    def predicate(self, after: int, until: int) -> Any:  # noqa: ANN401 - an expression of polars'
        """Return what rows past a position and up to another have to fulfil."""
        pl = library("polars")
        found = (pl.col("position") > after) & (pl.col("position") <= until)
        if self.account is not None:
            found &= pl.col("account") == self.account
        if self.stream is not None and self.stream.endswith("/"):
            found &= (pl.col("stream") >= self.stream) & (pl.col("stream") < prefix_end(self.stream))
        elif self.stream is not None:
            found &= pl.col("stream") == self.stream
        if self.types is not None:
            found &= pl.col("type").is_in(list(self.types))
        for bound, fits in zip(self.occurred, ("ge", "lt"), strict=True):
            if bound is not None:
                instant = pl.lit(bound, dtype=pl.Int64).cast(pl.Datetime("ns", "UTC"))
                found &= getattr(pl.col("occurred_at"), fits)(instant)
        return found


Group = tuple[str, str]
"""Files that have the same columns: the name of their layout, and their category."""


def groups_of(catalog: Catalog, rows: RowFilter, after: int, until: int) -> dict[Group, list[ArchivedFile]]:
    """Return the files that may have rows between two positions, in order."""
    found: dict[Group, list[ArchivedFile]] = {}
    first = bisect.bisect_right(catalog.ranges, after, key=lambda sealed: sealed.last)
    for sealed in catalog.ranges[first:]:
        if sealed.first > until:
            break
        for file in sealed.files:
            if file.last > after and file.first <= until and rows.has_file(file):
                found.setdefault((file.layout, file.category), []).append(file)
    return found


def frame_of(
    folder: Path,
    groups: dict[Group, list[ArchivedFile]],
    predicate: Callable[[Group], Any],
    columns: Callable[[Group], Sequence[Any]],
) -> Any:  # noqa: ANN401 - a frame of polars'
    """Return the rows of some files that fulfil a predicate, in the order of the log; `columns` has the position.

    None if there are no rows.
    """
    pl = library("polars")
    files = [file for group in groups.values() for file in group]
    for file in files:
        check_footer(folder / file.path, file.footer, file.first)
    with readable(folder / files[0].path, min(file.first for file in files)):
        scans = [
            pl.scan_parquet([folder / file.path for file in found], glob=False, hive_partitioning=False)
            .filter(predicate(group))
            .select(columns(group))
            for group, found in groups.items()
        ]
        parts = [part for part in pl.collect_all(scans) if part.height]
        if len(parts) <= 1:
            return parts[0] if parts else None
        frame = pl.concat(parts, how="vertical", rechunk=True)
        return frame[frame["position"].arg_sort()]


def ends_of(catalog: Catalog, size: int) -> list[int]:
    """Return log positions that cut an archive into windows, where row groups end if possible.

    A window has up to `size` records, and fewer where their data is large.
    """
    ends: list[int] = []
    before = records = weight = 0
    for sealed in catalog.ranges:
        largest = max(sealed.files, key=lambda file: file.count)
        for end in (*largest.groups[:-1], sealed.last):
            added = end - before
            if records and (records + added > size or weight + added * sealed.weight > WINDOW_BYTES):
                ends.append(before)
                records = weight = 0
            records, weight, before = records + added, weight + added * sealed.weight, end
    return [*ends, before] if before else []


def windows_of(ends: Sequence[int], after: int, until: int) -> Iterator[tuple[int, int]]:
    """Yield the windows between two positions: past the first of each pair, and up to the second."""
    for end in ends[bisect.bisect_right(ends, after) :]:
        if after >= until:
            return
        yield after, min(end, until)
        after = end
