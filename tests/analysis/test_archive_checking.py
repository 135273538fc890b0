"""Checking an archive: whatever is changed in it is found, at its position, and never by a library's exception."""

from __future__ import annotations

import contextlib
import random
import shutil
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typing_extensions import override

import eventstore
from eventstore import (
    CorruptJournal,
    InvalidEvent,
    StorageWarning,
    StoreError,
    Unavailable,
    UnsupportedFormat,
    Verification,
)
from eventstore.trading import Marked
from projections import analysis
from projections.analysis.archive import layout, typed, writing
from tests.analysis.archive_log import agree, rewrite, write_log
from tests.proving import rounds


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("archived") / "data"
    write_log(directory, orders=60, turns=3)
    return directory


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive") / "archive"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writing, "ROW_GROUP", 50)
        analysis.archive(data, folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return shutil.copytree(whole, tmp_path / "a")


def paths(folder: Path) -> list[str]:
    return [file.path for sealed in layout.load(folder).ranges for file in sealed.files]


def checked(folder: Path, **arguments: object) -> Verification:
    with warnings.catch_warnings(action="ignore"):
        return analysis.check_archive(folder, **arguments)  # type: ignore[arg-type] # as given


def test_what_was_written_is_in_order_alone_and_against_the_log(data: Path, whole: Path) -> None:
    with eventstore.open(data, read_only=True) as store:
        assert analysis.check_archive(whole) == Verification(ok=True, checked=store.head())
        assert analysis.check_archive(whole, store=store).ok
    assert analysis.check_archive(whole, store=data).ok


@pytest.mark.slow
@pytest.mark.parametrize("category", ["order", "measured"])
def test_a_changed_value_in_any_column_is_found_at_its_position(folder: Path, whole: Path, category: str) -> None:
    """Also by somebody who lets the table of contents agree: typed columns derive from the data, the rest is hashed."""
    path = next(path for path in paths(whole) if path.startswith(f"{category}/"))
    table = pq.read_table(whole / path)
    typed_rows = [
        index
        for index, kind in enumerate(table.column("type").to_pylist())
        if kind not in {"NotedElsewhere", "Divided"}
    ]
    for name in table.column_names:
        values = table.column(name).to_pylist()
        row = next((index for index in typed_rows if values[index] is not None), typed_rows[0])
        rewrite(folder, path, {name: changed(table.column(name), row)})
        found = checked(folder)
        assert not found.ok, name
        if name not in {"position", "recorded_at"}:
            assert found.first_bad == table.column("position")[row].as_py(), (name, found)
        shutil.copy(whole / path, folder / path)
        shutil.copy(whole / layout.CATALOG, folder / layout.CATALOG)
    assert checked(folder).ok


def changed(column: pa.ChunkedArray, row: int) -> pa.Array:
    """Return a column with another value in one row."""
    values, kind = column.to_pylist(), column.type
    if pa.types.is_timestamp(kind):
        values, kind = column.cast(pa.int64()).to_pylist(), pa.int64()
    old = values[row]
    if pa.types.is_fixed_size_binary(kind):
        values[row] = bytes(kind.byte_width) if old != bytes(kind.byte_width) else b"\1" * kind.byte_width
    elif pa.types.is_string(kind):
        values[row] = f"{old or ''}x"
    elif pa.types.is_boolean(kind):
        values[row] = not old
    elif pa.types.is_date(kind):
        values[row] = None if old else 1
    else:
        values[row] = (old or 0) + 1
    return pa.array(values, kind).cast(column.type)


def test_reading_a_record_that_was_changed_names_it(folder: Path, whole: Path) -> None:
    path = next(path for path in paths(whole) if path.startswith("order/"))
    table = pq.read_table(whole / path)
    rewrite(folder, path, {"actor": changed(table.column("actor"), 5)})
    with analysis.ArchiveReader(folder) as reader, pytest.raises(CorruptJournal, match="digest") as caught:
        list(reader.read())
    assert caught.value.position == table.column("position")[5].as_py()


def test_a_byte_changed_anywhere_is_found(whole: Path, tmp_path: Path) -> None:
    for seed in rounds("archive bytes", test=8, prove=2_000):
        chance = random.Random(seed)
        folder = shutil.copytree(whole, tmp_path / "a", dirs_exist_ok=True)
        path = folder / chance.choice(paths(folder))
        content = bytearray(path.read_bytes())
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        found = checked(folder)
        assert not found.ok
        assert found.first_bad
        # A read finds it, or was not concerned; no other exception reaches the caller.
        with contextlib.suppress(StoreError):
            analysis.events(folder).to_arrow()
        with contextlib.suppress(StoreError), analysis.ArchiveReader(folder) as reader:
            list(reader.read())


def test_a_byte_changed_in_the_table_of_contents_is_found(whole: Path, tmp_path: Path) -> None:
    for seed in rounds("archive contents", test=12, prove=2_000):
        chance = random.Random(seed)
        folder = shutil.copytree(whole, tmp_path / "a", dirs_exist_ok=True)
        path = folder / layout.CATALOG
        content = bytearray(path.read_bytes())
        place = chance.randrange(len(content))
        # Other signs may be blanks between members.
        while not chr(content[place]).isalnum():
            place = (place + 1) % len(content)
        content[place] ^= 1
        path.write_bytes(content)
        with contextlib.suppress(UnsupportedFormat, InvalidEvent):
            assert not checked(folder).ok, place


def test_a_footer_that_was_changed_reaches_no_library(folder: Path, whole: Path) -> None:
    """One that says another physical type of a column lets pyarrow end the process."""
    file = layout.load(whole).ranges[0].files[0]
    content = bytearray((folder / file.path).read_bytes())
    content[-20] ^= 1
    (folder / file.path).write_bytes(content)
    found = checked(folder)
    assert (found.first_bad, "footer" in (found.reason or "")) == (file.first, True)
    with pytest.raises(CorruptJournal, match="footer"):
        analysis.events(folder).to_arrow()


def test_statistics_that_would_hide_records_are_found(folder: Path, whole: Path) -> None:
    """A read passes over a row group by them; here they end before its last position."""
    file = next(file for file in layout.load(whole).ranges[0].files if file.category == "order")
    content = (folder / file.path).read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    real, forged = (struct.pack("<q", position) for position in (file.last, file.last - 1))
    assert real in content[footer:]
    (folder / file.path).write_bytes(content[:footer] + content[footer:].replace(real, forged))
    agree(folder, file.path)
    found = checked(folder)
    assert (found.ok, "statistics of position" in (found.reason or "")) == (False, True)


def test_a_truncated_a_missing_and_an_exchanged_file_are_found(whole: Path, tmp_path: Path) -> None:
    sealed = layout.load(whole).ranges[1]
    for number, file in enumerate(sealed.files):
        folder = shutil.copytree(whole, tmp_path / f"{number}")
        path = folder / file.path
        path.write_bytes(path.read_bytes()[: file.size // 2])
        agree(folder, file.path)
        assert checked(folder).first_bad == file.first
        path.unlink()
        found = checked(folder)
        assert (found.first_bad, "is missing" in (found.reason or "")) == (file.first, True)
        shutil.copy(folder / layout.load(whole).ranges[0].files[0].path, path)
        agree(folder, file.path)
        assert checked(folder).first_bad == file.first


def test_a_missing_and_a_doubled_record_are_found(whole: Path, tmp_path: Path) -> None:
    path = next(path for path in paths(whole) if path.startswith("order/"))
    positions = pq.read_table(whole / path).column("position").to_pylist()
    for number, rows in enumerate(([*range(5), *range(6, len(positions))], [*range(6), *range(5, len(positions))])):
        folder = shutil.copytree(whole, tmp_path / f"{number}")
        rewrite(folder, path, rows=rows)
        found = checked(folder)
        assert not found.ok
        assert found.first_bad in positions[4:8]


def test_a_file_of_another_log_is_found(data: Path, whole: Path, tmp_path: Path) -> None:
    write_log(tmp_path / "other", orders=60, turns=4)
    analysis.archive(tmp_path / "other", tmp_path / "b")
    path = paths(whole)[0]
    folder = shutil.copytree(whole, tmp_path / "a")
    shutil.copy(tmp_path / "b" / path, folder / path)
    agree(folder, path)
    found = checked(folder)
    assert (found.first_bad, "another log" in (found.reason or "")) == (
        layout.load(whole).ranges[0].files[0].first,
        True,
    )
    with pytest.raises(InvalidEvent, match="another log"):
        analysis.check_archive(tmp_path / "b", store=data)


@pytest.mark.parametrize(("first", "what"), [(-1, "overlaps"), (1, "gap")])
def test_ranges_that_overlap_or_leave_a_gap_are_found(folder: Path, first: int, what: str) -> None:
    catalog = layout.load(folder)
    second = msgspec.structs.replace(catalog.ranges[1], first=catalog.ranges[1].first + first)
    ranges = (catalog.ranges[0], second, *catalog.ranges[2:])
    layout.save(folder, msgspec.structs.replace(catalog, ranges=ranges))
    found = checked(folder)
    assert (found.ok, found.first_bad, what in (found.reason or "")) == (False, catalog.ranges[0].last + 1, True)


def test_a_root_that_is_not_that_of_the_records_is_found(folder: Path, data: Path) -> None:
    """Data, digests and table of contents that are written again together have another root than the log."""
    catalog = layout.load(folder)
    path = catalog.ranges[0].files[0].path
    table = pq.read_table(folder / path)
    forge(folder, path, table)
    found = checked(folder)
    assert not found.ok
    assert "root" in (found.reason or "")
    assert not checked(folder, store=data).ok


def forge(folder: Path, path: str, table: pa.Table) -> None:
    """Change a note, and the beginning of its record's digest with it."""
    with analysis.ArchiveReader(folder) as reader:
        position = table.column("position")[0].as_py()
        record = msgspec.structs.replace(next(reader.read(after=position - 1, limit=1)), note="forged")
        digest = eventstore.record.Digester(reader.log_id).digest(record)
    notes = ["forged", *table.column("note").to_pylist()[1:]]
    starts = [digest[: typed.DIGEST_START], *table.column("digest_start").to_pylist()[1:]]
    kind = pa.binary(typed.DIGEST_START)
    rewrite(folder, path, {"note": pa.array(notes), "digest_start": pa.array(starts, kind)})


def test_files_of_others_are_left_alone_and_named(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    (folder / "order" / "copy.parquet").write_bytes(b"mine")
    with pytest.warns(StorageWarning, match=r"notes\.txt, order/copy\.parquet .*ignored"):
        assert analysis.check_archive(folder).ok
    assert analysis.events(folder).to_arrow().num_rows == layout.load(folder).head


def test_a_log_that_differs_from_its_archive_is_named_by_position(folder: Path, data: Path) -> None:
    class Other(eventstore.EventReader):
        """Reads the log with one digest changed, as a log is that went on differently after a restore."""

        @override
        def rows(self, members: Any, **arguments: Any) -> Iterator[Any]:
            for page in super().rows(members, **arguments):
                yield [(position, bytes(32) if position == 77 else digest) for position, digest in page]

    with eventstore.open(data, read_only=True) as store:
        found = checked(folder, store=Other(store._source))
    assert (found.ok, found.first_bad, "another record" in (found.reason or "")) == (False, 77, True)


def test_an_archive_that_is_none_and_one_of_the_future_say_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not an archive"):
        analysis.check_archive(tmp_path)
    (tmp_path / layout.CATALOG).write_text('{"format": 99, "log": "main"}')
    with pytest.raises(UnsupportedFormat, match="newer"):
        analysis.check_archive(tmp_path)
    for text in ("", "{}", "[]", '{"format": 1, "log": "main", "log_id": "zz"}', '{"format": "1"}', "\xff"):
        (tmp_path / layout.CATALOG).write_text(text)
        assert not analysis.check_archive(tmp_path).ok


def test_an_archive_of_an_older_log_is_checked_as_far_as_the_log_goes(whole: Path, tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "other") as other:
        other.append("mark/-/m", Marked(name="m"))
        with pytest.raises(InvalidEvent, match="another log"):
            analysis.check_archive(whole, store=other)
