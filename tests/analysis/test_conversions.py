"""A frame in each form: every nanosecond, null and row is kept, memory is bounded, and what is written is whole."""

from __future__ import annotations

import importlib
import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import eventstore
from eventstore import EventReader, InvalidEvent
from eventstore.html import table_html
from projections import analysis
from projections.analysis import progress as progress_module
from projections.analysis.ahead import ahead
from projections.analysis.columns import Column, Kind
from projections.analysis.frame import Frame
from tests.analysis.recorded import START, Sample, draft, log_of

INSTANTS = [START + number for number in range(1_000)]


def _library(name: str) -> Any:  # noqa: ANN401 - a module
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def reader() -> EventReader:
    """A log of 1,000 events, 1 ns apart in all their times."""
    return log_of(
        *[
            draft("FrameSample", f'{{"symbol":"A","price":"1","at":{at}}}', number=-number, schema=2)
            for number, at in enumerate(INSTANTS)
        ]
    )


@pytest.fixture(scope="module")
def frame(reader: EventReader) -> Frame:
    return analysis.events(reader, progress=False)


def _of_arrow(table: Any) -> list[int]:  # noqa: ANN401 - a table of Arrow's
    found: list[int] = table.column("at").cast("int64").to_pylist()
    return found


def _of_parquet(path: Path) -> list[int]:
    return _of_arrow(_library("pyarrow.parquet").read_table(path))


def _by_duckdb(relation: object) -> list[int]:
    duckdb = _library("duckdb")
    connection = duckdb.connect()
    connection.register("frame", relation) if not isinstance(relation, Path) else None
    source = f"'{relation}'" if isinstance(relation, Path) else "frame"
    found = connection.sql(f'SELECT epoch_ns("at") FROM {source} ORDER BY position').fetchall()  # noqa: S608 - a test's
    return [row[0] for row in found]


CONVERSIONS: dict[str, Callable[[Frame, Path], Sequence[int]]] = {
    "to_arrow": lambda frame, _: _of_arrow(frame.to_arrow()),
    "to_pandas": lambda frame, _: frame.to_pandas()["at"].astype("int64").tolist(),
    "to_polars": lambda frame, _: frame.to_polars()["at"].to_physical().to_list(),
    "to_parquet": lambda frame, path: _of_parquet(frame.to_parquet(path / "frame.parquet")),
    "iter_batches": lambda frame, _: [at for batch in frame.iter_batches(7) for at in _of_arrow(batch)],
    "the C stream": lambda frame, _: _of_arrow(_library("pyarrow").table(frame)),
    "the C stream to polars": lambda frame, _: _library("polars").DataFrame(frame)["at"].to_physical().to_list(),
    "DuckDB reading the stream": lambda frame, _: _by_duckdb(_library("pyarrow").RecordBatchReader.from_stream(frame)),
    "DuckDB reading the frame": lambda frame, _: _by_duckdb(frame),
    "DuckDB reading Parquet": lambda frame, path: _by_duckdb(frame.to_parquet(path / "frame.parquet")),
    "polars reading Parquet": lambda frame, path: (
        _library("polars").read_parquet(frame.to_parquet(path / "frame.parquet"))["at"].to_physical().to_list()
    ),
    "pandas reading Parquet": lambda frame, path: (
        _library("pandas").read_parquet(frame.to_parquet(path / "frame.parquet"))["at"].astype("int64").tolist()
    ),
}


@pytest.mark.parametrize("conversion", CONVERSIONS.values(), ids=CONVERSIONS)
def test_instants_that_are_a_nanosecond_apart_stay_so(
    reader: EventReader, conversion: Callable[[Frame, Path], Sequence[int]], tmp_path: Path
) -> None:
    # Read for each conversion, so that none depends on a table that another one kept.
    assert list(conversion(analysis.events(reader, progress=False), tmp_path)) == INSTANTS


def test_instants_are_in_utc_in_each_form(frame: Frame) -> None:
    assert str(frame.schema.field("at").type) == "timestamp[ns, tz=UTC]"
    assert str(frame.to_pandas()["at"].dtype) == "datetime64[ns, UTC]"
    assert str(frame.to_polars()["at"].dtype) == "Datetime(time_unit='ns', time_zone='UTC')"


def test_the_records_own_times_keep_their_nanoseconds(reader: EventReader, frame: Frame) -> None:
    table = frame.to_arrow()
    for name in ("recorded_at", "occurred_at"):
        expected = [getattr(record, name) for record in reader.read()]
        assert table.column(name).cast("int64").to_pylist() == expected


def _mixed() -> Frame:
    """Return a frame in which each column lacks a value."""
    return analysis.events(
        log_of(draft("FrameSample", '{"symbol":"A","price":"1"}', number=1, schema=2), draft("Other", "{}", number=2)),
        columns=["count", "is_open", "price", "symbol", "side", "at", "took", "day", "share"],
    )


def test_pandas_keeps_rows_of_which_each_column_lacks_a_value() -> None:
    found = _mixed().to_pandas()
    assert len(found) == 2
    assert found["count"].tolist()[0] == 0
    assert str(found["count"].dtype) == "Int64"
    assert found.isna().iloc[1].all()
    assert list(found.columns) == _mixed().columns


def test_polars_has_nulls_where_values_are_missing() -> None:
    found = _mixed().to_polars()
    assert [value for value in found.row(1) if value is not None] == []
    assert found["count"].to_list() == [0, None]


@pytest.mark.parametrize("name", ["price", "count"])
def test_a_column_of_one_null_is_a_frame(name: str) -> None:
    reader = log_of(
        draft("Other", "{}", number=1), draft("FrameSample", '{"symbol":"A","price":"1"}', number=2, schema=2)
    )
    frame = analysis.events(reader, columns=[name], account="ACC1", types=["Other", Sample], stop=START - 1)
    assert [len(frame), len(frame.to_pandas()), frame.to_polars().height] == [1, 1, 1]


def test_a_frame_without_rows_converts_to_each_form(tmp_path: Path) -> None:
    frame = analysis.events(log_of(), types=Sample)
    assert [len(frame), len(frame.to_pandas()), frame.to_polars().height] == [0, 0, 0]
    assert list(frame.to_pandas().columns) == frame.columns == frame.to_polars().columns
    assert _of_parquet(frame.to_parquet(tmp_path / "none.parquet")) == []
    assert _by_duckdb(frame) == []
    assert str(frame.to_pandas()["at"].dtype) == "datetime64[ns, UTC]"


def test_batches_have_at_most_the_rows_that_were_asked_for(frame: Frame) -> None:
    assert {batch.num_rows for batch in frame.iter_batches(300)} == {300, 200}


def test_no_more_than_two_pages_are_read_before_the_first_batch_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def pages() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    results = ahead(lambda number: number * 2, pages())
    assert next(results) == 0
    assert read == [0, 1]
    assert list(results) == [number * 2 for number in range(1, 100)]


def test_the_next_page_is_worked_on_while_a_result_is_used() -> None:
    second = threading.Event()

    def work(number: int) -> int:
        if number:
            second.set()
        return number

    results = ahead(work, iter(range(3)))
    next(results)
    assert second.wait(10)
    results.close()  # type: ignore[attr-defined] # a generator


def test_an_error_of_the_work_ends_the_reading() -> None:
    read = []

    def pages() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    with pytest.raises(ZeroDivisionError):
        list(ahead(lambda number: 1 // (number - 1), pages()))
    assert len(read) < 5
    assert not any(thread.name.startswith("frames") for thread in threading.enumerate())


def test_readings_that_are_given_up_leave_no_thread(reader: EventReader, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = analysis.events(reader, progress=False).iter_batches()
    next(batches)
    batches.close()  # type: ignore[attr-defined] # a generator
    assert not any(thread.name.startswith("frames") for thread in threading.enumerate())


def test_a_path_of_a_data_directory_is_read_each_time_and_left_alone(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        store.append("test/ACC1/one", Sample(symbol="A", price=1))  # type: ignore[arg-type] # an int is taken
    frame = analysis.events(tmp_path / "data")
    assert frame.to_pandas()["price"].tolist() == [1.0]
    assert [batch.num_rows for batch in frame.iter_batches()] == [1]


def test_a_file_is_replaced_in_one_step(frame: Frame, tmp_path: Path) -> None:
    target = tmp_path / "frame.parquet"
    target.write_text("old")
    assert frame.to_parquet(target) == target
    assert len(_of_parquet(target)) == 1_000
    assert [path.name for path in tmp_path.iterdir()] == ["frame.parquet"]


def test_a_file_is_not_left_half_written(tmp_path: Path) -> None:
    reader = log_of(
        draft("FrameSample", '{"symbol":"A","price":"1"}', number=1, schema=2),
        draft("FrameSample", '{"symbol":"A","price":"1e-10"}', number=2, schema=2),
    )
    with pytest.raises(InvalidEvent):
        analysis.events(reader, exact=True).to_parquet(tmp_path / "frame.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_no_directory_is_refused_with_what_to_do(frame: Frame, tmp_path: Path) -> None:
    with pytest.raises(InvalidEvent, match="make it first"):
        frame.to_parquet(tmp_path / "none" / "frame.parquet")


class _Endless(Frame):
    """A frame whose rows never end."""

    def __init__(self) -> None:
        pa = _library("pyarrow")
        batch = pa.record_batch({"n": pa.array(range(1_000))})

        def batches() -> Iterator[Any]:
            yield from ahead(lambda _: batch, iter(lambda: time.sleep(0.001), 1))

        super().__init__([Column("n", Kind.INTEGER)], batches, exact=False)


# An interruption within coverage's own lock would leave it locked.
@pytest.mark.untraced
@pytest.mark.parametrize("action", ["to_arrow", "to_parquet", "iter_batches"])
def test_an_interruption_stops_within_a_second_and_leaves_nothing(action: str, tmp_path: Path) -> None:
    frame = _Endless()
    actions: dict[str, Callable[[], object]] = {
        "to_arrow": frame.to_arrow,
        "to_parquet": lambda: frame.to_parquet(tmp_path / "frame.parquet"),
        "iter_batches": lambda: [batch.num_rows for batch in frame.iter_batches()],
    }
    sent: list[float] = []

    def interrupt() -> None:
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.3, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        actions[action]()
    assert time.monotonic() - sent[0] < 1
    timer.join()
    assert list(tmp_path.iterdir()) == []
    assert not any(thread.name.startswith("frames") for thread in threading.enumerate())


def test_a_frame_is_shown_as_a_table_whose_texts_are_escaped() -> None:
    reader = log_of(draft("FrameSample", '{"symbol":"<script>alert(1)</script>","price":"1"}', number=1, schema=2))
    shown = analysis.events(reader)._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "1 events" in shown


def test_a_long_frame_shows_its_beginning_and_its_end(frame: Frame) -> None:
    shown = frame._repr_html_()
    assert shown.count("<tr>") == 1 + 10 + 1
    assert "1,000 events" in shown
    assert "…" in shown
    # All nine digits of an instant are there.
    assert "23:30:00.123456789" in shown or ".123456789" in shown


def test_a_frame_without_rows_is_shown() -> None:
    assert "0 events" in analysis.events(log_of(), types=Sample)._repr_html_()


def test_colours_of_a_table_are_the_pages_own() -> None:
    shown = table_html(["a"], [["b"]])
    assert "currentColor" in shown
    assert "#" not in shown
    assert "rgb(" not in shown


def test_signs_that_act_on_a_page_are_shown_by_their_numbers() -> None:
    shown = table_html(["a\u202eb"], [["<b>&\x00\x1b[0m\ud800", None]], caption="c\u2066<i>")
    assert "a\\u202eb" in shown
    assert "&lt;b&gt;&amp;\\u0000\\u001b[0m\\ud800" in shown
    assert "c\\u2066&lt;i&gt;" in shown
    assert shown.isprintable()


def test_repr_says_how_much_there_is(reader: EventReader) -> None:
    frame = analysis.events(reader, progress=False)
    assert "not read yet" in repr(frame)
    assert len(frame) == 1_000
    assert "1,000 rows" in repr(frame)


def test_progress_is_shown_after_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    monkeypatch.setattr(progress_module, "DELAY_SECONDS", 0.05)
    with progress_module.Progress(100, asked=True) as shown:
        shown.at(10)
        assert written.getvalue() == ""
        time.sleep(0.2)
        shown.at(60)
        assert "60" in written.getvalue()
    assert progress_module.DELAY_SECONDS == 0.05


def test_progress_may_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    monkeypatch.setattr(progress_module, "DELAY_SECONDS", 0.0)
    with progress_module.Progress(100, asked=False) as shown:
        shown.at(50)
    with progress_module.Progress(100, asked=None) as shown:
        shown.at(50)
    assert written.getvalue() == ""


def test_two_seconds_are_the_delay() -> None:
    assert progress_module.DELAY_SECONDS == 2.0
