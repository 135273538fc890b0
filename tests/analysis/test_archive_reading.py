"""Reading an archive: a source like any other, and frames that are the same as the journal's."""

from __future__ import annotations

import random
import shutil
import tracemalloc
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

import eventstore
import projections
from eventstore import Closed, CorruptJournal, EventReader, EventStore, InvalidEvent, Record, Unavailable
from eventstore.events import registry
from eventstore.journal import Query, append
from eventstore.journals.memory import MemoryJournal
from eventstore.testing import HISTORY, SourceContract
from eventstore.trading import Marked, OrderFilled
from projections import analysis
from projections.analysis.archive import layout, source, writing
from projections.analysis.archive.columns import _floats
from projections.analysis.archive.source import ArchiveReader, ArchiveSource
from projections.analysis.archive.windows import frame_of
from projections.analysis.decoding import PageDecoder
from tests.analysis.archive_log import BEGAN, DAY, Measured, write_log
from tests.projections.histories import states


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("archived") / "data"
    write_log(directory)
    return directory


@pytest.fixture(scope="module")
def store(data: Path) -> Iterator[EventStore]:
    with eventstore.open(data, read_only=True) as store:
        yield store


@pytest.fixture(scope="module")
def folder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of all days, in small row groups."""
    folder = tmp_path_factory.mktemp("archive") / "archive"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writing, "ROW_GROUP", 150)
        analysis.archive(data, folder)
    return folder


@pytest.fixture(scope="module")
def half(data: Path, store: EventStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the first half, which ends within a day."""
    folder = tmp_path_factory.mktemp("half") / "archive"
    analysis.archive(data, folder, until=store.head() // 2)
    return folder


@pytest.fixture(scope="module")
def records() -> Sequence[Record]:
    return list(_journal().read(Query(limit=1000)))


def _journal() -> MemoryJournal:
    global _memory  # noqa: PLW0603 - one journal for all tests of the contract, whose ids are drawn
    if _memory is None:
        _memory = MemoryJournal()
        for group in HISTORY:
            append(_memory, group)
    return _memory


_memory: MemoryJournal | None = None


@pytest.fixture(scope="module")
def contracted(records: Sequence[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contract") / "archive"
    reader = EventReader(_journal())
    # In several ranges, of which some end between two records of a group.
    for until in (7, 20, len(records)):
        analysis.archive(reader, folder, until=until)
    return folder


class TestArchiveSource(SourceContract):
    @pytest.fixture
    def source(self, contracted: Path) -> Iterator[ArchiveSource]:
        source = ArchiveSource(contracted)
        yield source
        source.close()


class TestArchivedSource(SourceContract):
    """The first records from an archive, the rest from the journal."""

    @pytest.fixture
    def source(self, records: Sequence[Record], tmp_path: Path) -> Iterator[object]:
        reader = EventReader(_journal())
        analysis.archive(reader, tmp_path / "a", until=23)
        with analysis.with_archive(reader, tmp_path / "a") as mixed:
            yield mixed._source


FRAMES: dict[str, dict[str, Any]] = {
    "everything": {},
    "exact": {"exact": True, "types": ("OrderFilled", "OrderSubmitted", "Divided")},
    "as text": {"exact": "text"},
    "one type": {"types": "OrderFilled"},
    "a joined member": {"types": ("Measured", "Divided")},
    "an unknown type of the log": {"types": "NotedElsewhere"},
    "an enum and a text of one name": {
        "types": ("PositionReported", "OrderRejected"),
        "columns": ("position", "reason"),
    },
    "account and symbol": {"account": "ACC001", "symbol": "ESZ5"},
    "a symbol with quotes in it": {"symbol": 'E"S,'},
    "an account of none": {"account": "NOBODY"},
    "a stream": {"stream": "measured/ACC1/a%2Fb ü"},
    "a category": {"stream": "Measured.of/"},
    "no type": {"types": ()},
    "an empty range": {"start": BEGAN + 100 * DAY},
    "by occurrence": {"start": BEGAN + DAY, "stop": BEGAN + 2 * DAY},
    "by recording": {"start": BEGAN + DAY, "stop": BEGAN + 2 * DAY, "time": "recorded"},
    "stored bytes": {"columns": ("digest", "id", "data", "correlation_id", "causation_id", "schema", "stream")},
    "a part of it": {
        "columns": ("position", "entity", "note", "amount", "wei", "parts", "named", "lasted", "at", "day")
    },
}


@pytest.mark.untraced
@pytest.mark.parametrize("asked", FRAMES.values(), ids=FRAMES)
def test_a_frame_from_journal_archive_and_mixture_is_the_same(
    store: EventStore, folder: Path, half: Path, asked: dict[str, Any]
) -> None:
    expected = analysis.events(store, **asked).to_arrow()
    from_archive = analysis.events(folder, **asked).to_arrow()
    with analysis.with_archive(store, half) as mixed:
        from_both = analysis.events(mixed, **asked).to_arrow()
    for found in (from_archive, from_both):
        assert found.schema == expected.schema
        assert _bytes(found) == _bytes(expected)


def _bytes(table: pa.Table) -> bytes:
    """Return a table's content as the bytes of an Arrow stream: dictionaries, nulls, and every bit of a float."""
    sink = pa.BufferOutputStream()
    plain = pa.table({
        name: table.column(name).cast(pa.string())
        if pa.types.is_dictionary(table.column(name).type)
        else table.column(name)
        for name in table.column_names
    })  # fmt: skip
    # Through Python's values, so that neither chunks nor what lies behind a null can differ.
    columns = [pa.array(plain.column(name).to_pylist(), plain.column(name).type) for name in plain.column_names]
    again = pa.table(columns, names=plain.column_names)
    with pa.ipc.new_stream(sink, again.schema) as writer:
        writer.write_table(again)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("window", [50, 333])
def test_windows_of_any_size_give_the_same_frame(
    store: EventStore, folder: Path, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(source, "WINDOW", window)
    found = analysis.events(folder)
    assert max(batch.num_rows for batch in found.iter_batches()) <= max(window, 700)
    assert _bytes(found.to_arrow()) == _bytes(analysis.events(store).to_arrow())


def test_floats_from_decimals_are_those_of_their_texts(store: EventStore) -> None:
    chance = random.Random(3)
    digits = [chance.randrange(-(10 ** (1 + number % 37)), 10 ** (1 + number % 37)) for number in range(20_000)]
    for largest in (53, 64, 130):
        values = [Decimal(each).scaleb(-9) if abs(each) < 1 << largest else None for each in digits]
        column = pa.array(values, pa.decimal128(38, 9))
        for found in (_floats(column), pa.concat_arrays([_floats(column.slice(0, 77)), _floats(column.slice(77))])):
            assert found.to_pylist() == [None if value is None else float(value) for value in values]


def test_it_decodes_nothing_where_the_classes_are_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PageDecoder, "batch", None)
    assert analysis.events(folder, types=("OrderFilled", "OrderSubmitted")).to_arrow().num_rows
    assert analysis.events(folder, types=("PositionReported", "OrderRejected"), exact=True).to_arrow().num_rows


def test_a_class_that_has_changed_since_reads_its_events_again(store: EventStore, folder: Path) -> None:
    kept = registry._by_name["Measured"]
    try:
        del registry._by_name["Measured"]

        @eventstore.event(name="Measured", categories=("measured", "Measured.of"))
        class MeasuredAgain(eventstore.Event, frozen=True, kw_only=True):
            amount: Decimal
            number: int = 8
            symbol: str | None = None

        found = analysis.events(folder, types=("Measured", "OrderFilled")).to_arrow()
        assert _bytes(found) == _bytes(analysis.events(store, types=("Measured", "OrderFilled")).to_arrow())
        assert set(found.column("number").to_pylist()) == {8, None}
    finally:
        registry._by_name["Measured"] = kept
        registry._by_class.pop(MeasuredAgain, None)
    found = analysis.events(folder, types=Measured).to_arrow()
    assert set(found.column("number").to_pylist()) == {7}


def test_rows_groups_without_what_is_asked_for_are_not_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of other categories and types are not even opened."""
    opened_files: list[str] = []

    def counted(place: Path, groups: Any, *rest: Any) -> Any:  # noqa: ANN401 - passed on
        opened_files.extend(file.category for group in groups.values() for file in group)
        return frame_of(place, groups, *rest)

    monkeypatch.setitem(vars(source), "frame_of", counted)
    analysis.events(folder, types=OrderFilled).to_arrow()
    assert set(opened_files) == {"order"}
    opened_files.clear()
    days = len(layout.load(folder).ranges)
    analysis.events(folder, stream="measured/").to_arrow()
    assert opened_files == ["measured"] * days


def test_records_books_and_proofs_come_from_an_archive_alone(store: EventStore, folder: Path) -> None:
    with analysis.ArchiveReader(folder) as reader:
        assert list(reader.read()) == list(store.read())
        assert list(reader.read(account="ACC1")) == list(store.read(account="ACC1"))
        assert reader.root() == store.root()
        found = reader.verify()
        assert (found.ok, found.checked, found.unproved) == (True, store.head(), ("the log's name",))
        assert reader.verify(root=store.root(200)[1], size=200).ok
        assert not reader.verify(root=bytes(32), size=200).ok
        for position in (0, 1, 777, store.head()):
            assert _states(reader, position) == _states(store, position)
        members = ("digest", "stream", "recorded_at", "data")
        rows = list(reader.rows(members, after=100, until=900, account="ACC001"))
        assert rows == list(store.rows(members, after=100, until=900, account="ACC001"))


def _states(reader: EventReader, position: int) -> object:
    return states(projections.as_of(reader, position=position)._fold)


def test_a_mixture_reads_each_position_once(store: EventStore, half: Path) -> None:
    with analysis.with_archive(store, half) as mixed:
        assert list(mixed.read()) == list(store.read())
        assert [record.position for record in mixed.read(account="ACC002")] == [
            record.position for record in store.read(account="ACC002")
        ]
        assert _states(mixed, store.head()) == _states(store, store.head())
        for stream in ("measured/ACC1/big", "order/ACC001/O-00000001", "no/ACC1/such"):
            assert mixed.version(stream) == store.version(stream)
        assert mixed.types() == store.types()
    # A store that was given stays open.
    assert store.head()


def test_a_log_that_has_lost_its_beginning_or_its_end_has_both_with_its_archive(
    store: EventStore, folder: Path, tmp_path: Path
) -> None:
    class Later:
        """A source without the first records, as a bucket is that expires them."""

        def __init__(self) -> None:
            self._source = store._source

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - passed on
            return getattr(self._source, name)

        def read(self, query: Query) -> Sequence[Record]:
            assert query.after >= layout.load(folder).head
            return self._source.read(query)

    reader = EventReader(Later())
    with analysis.with_archive(reader, folder) as mixed:
        assert [record.position for record in mixed.read()] == list(range(1, store.head() + 1))


def test_the_archive_of_another_log_or_history_is_refused(data: Path, half: Path, tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "other") as other:
        other.append("mark/-/m", Marked(name="m"))
        with pytest.raises(InvalidEvent, match="another log"):
            analysis.with_archive(other, half)
    folder = shutil.copytree(half, tmp_path / "a")
    catalog = layout.load(folder)
    forged = (*catalog.ranges[:-1], msgspec.structs.replace(catalog.ranges[-1], root="00" * 32))
    layout.save(folder, msgspec.structs.replace(catalog, ranges=forged))
    with pytest.raises(CorruptJournal, match="another root"):
        analysis.with_archive(data, folder)
    with pytest.raises(Unavailable, match="not an archive"):
        analysis.with_archive(data, tmp_path)


def test_a_closed_archive_and_a_missing_one_say_so(folder: Path, tmp_path: Path) -> None:
    reader = ArchiveReader(folder)
    reader.close()
    reader.close()
    with pytest.raises(Closed, match="open it again"):
        list(reader.read())
    with pytest.raises(Unavailable, match="not an archive"):
        ArchiveReader(tmp_path)
    with pytest.raises(InvalidEvent, match="path"):
        ArchiveReader(7)  # type: ignore[arg-type] # no path


def test_batches_of_a_long_history_take_no_more_memory_than_a_window(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "WINDOW", 200)
    largest, pool = 0, pa.default_memory_pool()
    before = pool.bytes_allocated()
    for batch in analysis.events(folder).iter_batches():
        largest = max(largest, batch.nbytes)
        assert pool.bytes_allocated() - before < 8 * largest + (1 << 20)
    assert not tracemalloc.is_tracing()
