"""Writing an archive: which days, in which files, once, and the same after every kill."""

from __future__ import annotations

import datetime
import os
import random
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import duckdb
import msgspec
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

import eventstore
from eventstore import CorruptJournal, EventStore, InvalidEvent, Overloaded, TargetExists
from eventstore.clock import utc_date
from eventstore.files import FileLock
from eventstore.trading import Marked
from projections import analysis
from projections.analysis.archive import layout, writing
from tests.analysis.archive_log import DAY, Divided, Measured, contents, odd_records, write_log
from tests.cli.command import flip
from tests.proving import rounds

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("archived") / "data"
    write_log(directory)
    return directory


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of the days that are over, by the system's clock all of them."""
    folder = tmp_path_factory.mktemp("archive") / "archive"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writing, "ROW_GROUP", 200)
        analysis.archive(data, folder)
    return folder


def test_a_file_has_the_records_of_one_day_and_category_in_the_order_of_the_log(data: Path, whole: Path) -> None:
    with eventstore.open(data, read_only=True) as store:
        records = list(store.read())
    found = []
    for sealed in layout.load(whole).ranges:
        for file in sealed.files:
            rows = pq.read_table(whole / file.path, columns=["position", "stream", "type", "data", "id"]).to_pylist()
            positions = [row["position"] for row in rows]
            assert positions == sorted(positions)
            assert {records[position - 1].category for position in positions} == {file.category}
            assert {str(utc_date(records[position - 1].recorded_at)) for position in positions} == {sealed.day}
            found += [(r["position"], r["stream"], r["type"], r["data"].encode(), r["id"]) for r in rows]
    assert sorted(found) == [(r.position, r.stream, r.type, r.data, r.id) for r in records]


def test_a_file_says_of_which_log_and_range_it_is_and_the_root(data: Path, whole: Path) -> None:
    with eventstore.open(data, read_only=True) as store:
        for sealed in layout.load(whole).ranges:
            assert sealed.root == store.root(sealed.last)[1].hex()
            for file in sealed.files:
                said = layout.metadata_of(whole / file.path, 0)
                assert (said.log, said.log_id) == ("main", store.log_id.hex())
                assert (said.range_first, said.range_last, said.tree_size) == (sealed.first, sealed.last, sealed.last)
                assert (said.root, said.count, said.first, said.last) == (
                    sealed.root,
                    file.count,
                    file.first,
                    file.last,
                )
                assert said.categories == {each.category: each.count for each in sealed.files}


def test_a_day_is_sealed_when_it_is_over_and_a_part_of_it_only_if_asked_for(tmp_path: Path) -> None:
    clock = write_log(tmp_path / "data", orders=20)
    with eventstore.open(tmp_path / "data", clock=clock) as store:
        done = analysis.archive(store, tmp_path / "a")
        assert 0 < done.head < store.head()
        assert store.position_at(clock.now_ns() // DAY * DAY - 1) == done.head
        assert analysis.archive(store, tmp_path / "a").files == 0
        assert analysis.archive(store, tmp_path / "a", until=done.head + 3).head == done.head + 3
        clock.advance(DAY)
        odd_records(store, 50)
        # The rest of that day follows in files of its own, and the new day is not over.
        done = analysis.archive(store, tmp_path / "a")
        assert (done.head, done.head < store.head()) == (store.position_at(clock.now_ns() // DAY * DAY - 1), True)
        assert analysis.check_archive(tmp_path / "a", store=store).ok


def test_older_than_seals_only_days_that_ended_so_long_ago(tmp_path: Path) -> None:
    clock = write_log(tmp_path / "data", orders=20)
    with eventstore.open(tmp_path / "data", clock=clock) as store:
        wait = datetime.timedelta(days=2)
        done = analysis.archive(store, tmp_path / "a", older_than=wait)
        days = [sealed.day for sealed in layout.load(tmp_path / "a").ranges]
        today = clock.now_ns() // DAY * DAY
        assert done.head == store.position_at((clock.now_ns() - 2 * DAY) // DAY * DAY - 1)
        assert max(days) < str(datetime.datetime.fromtimestamp((today - 2 * DAY) / 1e9, datetime.UTC).date())


def test_an_empty_log_and_an_old_clock_archive_nothing(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        assert analysis.archive(store, tmp_path / "a").files == 0
        assert analysis.check_archive(tmp_path / "a", store=store).ok
        assert analysis.events(tmp_path / "a").to_arrow().num_rows == 0


@pytest.mark.slow
@pytest.mark.untraced
def test_an_archive_killed_at_any_step_becomes_the_same_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, folder = tmp_path / "data", tmp_path / "a"
    write_log(data, turns=4)
    monkeypatch.setattr(writing, "ROW_GROUP", 200)
    analysis.archive(data, tmp_path / "whole")
    for seed in rounds("archive kills", test=1, prove=100):
        chance = random.Random(seed)
        shutil.rmtree(folder, ignore_errors=True)
        ends = []
        for _ in range(2):
            ends.append(child(data, folder, chance.randrange(1, 60)))
            if (folder / layout.CATALOG).exists():
                with warnings.catch_warnings(action="ignore"):
                    assert analysis.check_archive(folder).ok
        assert -signal.SIGKILL in ends
        assert set(ends) <= {0, -signal.SIGKILL}
        assert child(data, folder, 1_000_000) == 0
        assert contents(folder) == contents(tmp_path / "whole")


def child(data: Path, folder: Path, kill_at: int) -> int:
    command = [sys.executable, "-m", "tests.analysis.archiving_child", str(data), str(folder), str(kill_at)]
    return subprocess.run(command, check=False, timeout=120, env=os.environ | {"PYTHONPATH": str(ROOT)}).returncode


def test_a_lost_table_of_contents_is_written_again_from_log_and_files(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "ROW_GROUP", 200)
    folder = shutil.copytree(whole, tmp_path / "a")
    (folder / layout.CATALOG).unlink()
    analysis.archive(data, folder)
    assert contents(folder) == contents(whole)


def test_a_partial_range_that_was_interrupted_ends_where_it_was_meant_to(data: Path, tmp_path: Path) -> None:
    analysis.archive(data, tmp_path / "a", until=350)
    catalog = layout.load(tmp_path / "a")
    # As a kill leaves it that comes before the range is in the table of contents, with one of its files missing.
    layout.save(tmp_path / "a", msgspec.structs.replace(catalog, tree="", ranges=()))
    (tmp_path / "a" / catalog.ranges[-1].files[0].path).unlink()
    before = contents(tmp_path / "a")
    analysis.archive(data, tmp_path / "a")
    assert [sealed.last for sealed in layout.load(tmp_path / "a").ranges][: len(catalog.ranges)] == [
        sealed.last for sealed in catalog.ranges
    ]
    after = contents(tmp_path / "a")
    assert {path for path in before if before[path] != after[path]} == {layout.CATALOG}
    assert analysis.check_archive(tmp_path / "a", store=data).ok


def test_a_file_in_the_place_of_one_is_never_overwritten(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "a" / layout.file_path("order", "2025-11-19", 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(TargetExists, match="move it away"):
        analysis.archive(data, tmp_path / "a")
    assert path.read_bytes() == b"mine"
    assert not [
        found for found in (tmp_path / "a").rglob("*") if found.name.startswith(".") and found.name != layout.LOCK
    ]


def test_a_folder_takes_one_log_and_one_process_at_a_time(data: Path, tmp_path: Path) -> None:
    analysis.archive(data, tmp_path / "a", until=10)
    with eventstore.open(tmp_path / "other") as other:
        other.append("mark/-/m", Marked(name="m"))
        with pytest.raises(InvalidEvent, match="another log"):
            analysis.archive(other, tmp_path / "a")
    lock = FileLock(tmp_path / "a" / layout.LOCK)
    assert lock.take()
    with pytest.raises(Overloaded, match="another process"):
        analysis.archive(data, tmp_path / "a")
    lock.release()


def test_a_record_that_was_changed_is_not_archived(tmp_path: Path) -> None:
    write_log(tmp_path / "data")
    flip(tmp_path / "data", 15)
    with pytest.raises(CorruptJournal, match="digest") as caught:
        analysis.archive(tmp_path / "data", tmp_path / "a")
    assert caught.value.position == 15
    assert layout.load(tmp_path / "a").head == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"older_than": "30d"}, "timedelta"),
        ({"older_than": -1}, "timedelta"),
        ({"until": -1}, "until"),
        ({"until": "now"}, "until"),
    ],
)
def test_an_argument_that_means_nothing_is_refused(
    data: Path, tmp_path: Path, arguments: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidEvent, match=sentence):
        analysis.archive(data, tmp_path / "a", **arguments)  # type: ignore[arg-type]
    with pytest.raises(InvalidEvent, match="at a URL"):
        analysis.archive(data, "postgresql://host/a")
    assert not (tmp_path / "a").exists()


def test_a_file_where_the_folder_should_be_is_an_error_of_ours(data: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(eventstore.StoreError, match="folder"):
        analysis.archive(data, tmp_path / "a")


def test_plain_polars_duckdb_and_pandas_read_it(data: Path, whole: Path) -> None:
    with eventstore.open(data, read_only=True) as store:
        assert isinstance(store, EventStore)
        fills = [r.event for r in store.read(types=("OrderFilled",))]
    total = sum(event.price * event.quantity for event in fills)  # type: ignore[attr-defined]
    orders = whole / "order"
    read = pl.read_parquet(f"{orders}/*.parquet").filter(type="OrderFilled")
    assert (read.height, read.select((pl.col("price") * pl.col("quantity")).sum()).item()) == (len(fills), total)
    sql = f"SELECT count(*), sum(price * quantity) FROM '{orders}/*.parquet' WHERE type = 'OrderFilled'"  # noqa: S608 - a test's path
    assert duckdb.connect().execute(sql).fetchall() == [(len(fills), total)]
    frame = pd.read_parquet(orders).query("type == 'OrderFilled'")
    assert (len(frame), (frame["price"] * frame["quantity"]).sum()) == (len(fills), total)
    everything = f"SELECT count(*), max(position) FROM read_parquet('{whole}/*/*.parquet', union_by_name = true)"  # noqa: S608 - the same
    assert duckdb.connect().execute(everything).fetchall() == [(layout.load(whole).head,) * 2]


def test_figures_that_no_decimal_column_holds_make_it_text_in_their_file_alone(whole: Path) -> None:
    kinds = {str(pq.read_schema(path).field("wei").type) for path in sorted((whole / "measured").glob("*.parquet"))}
    assert kinds == {"decimal128(38, 9)", "string"}
    values = [pq.read_table(path).column("wei").to_pylist() for path in sorted((whole / "measured").glob("*.parquet"))]
    assert [value for column in values for value in column if value is not None] == ["1E-18"]


def test_a_member_of_two_kinds_has_a_column_for_each(whole: Path) -> None:
    (path, *_) = sorted((whole / "measured").glob("*.parquet"))
    table = pq.read_table(path)
    assert {Measured.__name__, Divided.__name__} <= set(table.column("type").to_pylist())
    assert {str(table.schema.field(name).type) for name in ("by", "by_text")} == {"decimal128(38, 9)", "string"}
