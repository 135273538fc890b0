"""Which records a frame has, by type, account, stream, symbol and time; and arguments that mean nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import eventstore
from eventstore import EventReader, InvalidEvent
from projections import analysis
from projections.analysis.columns import RECORD
from tests.analysis.recorded import START, Named, Sample, draft, log_of

SYMBOLS = ["A", "B", 'with "quotes"', "it's"]


@pytest.fixture(scope="module")
def reader() -> EventReader:
    """Forty events: the later one is recorded, the earlier it has happened; every fifth has no symbol."""
    drafts = []
    for number in range(40):
        symbol = SYMBOLS[number % 4].replace('"', '\\"')
        stream = f"test/ACC{number % 2}/{number % 3}"
        if number % 5 == 0:
            drafts.append(draft("Other", "{}", number=number, stream=stream))
        else:
            data = f'{{"symbol":"{symbol}","price":"{number}"}}'
            drafts.append(draft("FrameSample", data, number=number, schema=2, stream=stream))
    return log_of(*drafts)


def positions(reader: EventReader, **given: Any) -> list[int]:  # noqa: ANN401 - any argument of a frame
    found: list[int] = analysis.events(reader, progress=False, **given).to_arrow().column("position").to_pylist()
    return found


def test_all_records_are_there_in_the_logs_order(reader: EventReader) -> None:
    assert positions(reader) == list(range(1, 41))


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_symbol_leaves_out_all_others_and_those_without_one(reader: EventReader, symbol: str) -> None:
    expected = [r.position for r in reader.read() if r.type == "FrameSample" and r.event.symbol == symbol]  # type: ignore[attr-defined]
    assert expected
    assert positions(reader, symbol=symbol) == expected
    # Also where the column of it is not asked for.
    table = analysis.events(reader, symbol=symbol, columns=["position"]).to_arrow()
    assert table.column("position").to_pylist() == expected


def test_an_account_a_stream_and_a_prefix_are_filters(reader: EventReader) -> None:
    records = list(reader.read())
    assert positions(reader, account="ACC1") == [r.position for r in records if r.account == "ACC1"]
    assert positions(reader, stream="test/ACC1/2") == [r.position for r in records if r.stream == "test/ACC1/2"]
    assert positions(reader, stream="test/ACC0/") == [r.position for r in records if r.account == "ACC0"]


def test_an_account_of_none_is_an_empty_frame_with_columns(reader: EventReader) -> None:
    frame = analysis.events(reader, account="NOBODY")
    assert len(frame) == 0
    assert "price" in frame.columns


@pytest.mark.parametrize("types", [Sample, "FrameSample", [Sample], ("FrameSample", Named)])
def test_types_are_classes_or_their_names(reader: EventReader, types: Any) -> None:  # noqa: ANN401 - as users give them
    assert positions(reader, types=types) == [r.position for r in reader.read() if r.type == "FrameSample"]


def test_columns_are_those_of_the_types(reader: EventReader) -> None:
    assert analysis.events(reader, types="Other").columns == [column.name for column in RECORD]
    assert "event_position" in analysis.events(reader, types=[Named]).columns
    assert "event_position" not in analysis.events(reader).columns


def test_columns_are_given_in_the_order_in_which_they_are_named(reader: EventReader) -> None:
    frame = analysis.events(reader, columns=["price", "id", "digest", "data", "position", "correlation_id", "price"])
    assert frame.columns == ["price", "id", "digest", "data", "position", "correlation_id"]
    record = next(iter(reader.read(after=1)))
    assert frame.to_arrow().to_pylist()[1] == {
        "price": 1.0, "id": str(record.uuid), "digest": record.digest.hex(), "data": record.data.decode(),
        "position": 2, "correlation_id": None,
    }  # fmt: skip


def test_a_start_is_included_and_a_stop_is_not(reader: EventReader) -> None:
    records = list(reader.read())
    at = [record.occurred_at for record in records]
    expected = [r.position for r in records if at[20] <= r.occurred_at < at[10]]
    assert positions(reader, start=at[20], stop=at[10]) == expected == list(range(12, 22))
    recorded = [record.recorded_at for record in records]
    assert positions(reader, start=recorded[10], stop=recorded[20], time="recorded") == list(range(11, 21))
    assert positions(reader, start=recorded[10] + 1, time="recorded") == list(range(12, 41))


def test_a_range_that_ends_before_it_starts_is_empty(reader: EventReader) -> None:
    assert positions(reader, start=START, stop=START - 10) == []
    assert positions(reader, start=START + 30, stop=START + 3, time="recorded") == []


def test_a_frame_has_the_records_of_when_it_was_asked_for(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        store.append("test/A/1", Sample(symbol="A", price=1))  # type: ignore[arg-type] # an int is taken
        frame = analysis.events(store)
        store.append("test/A/1", Sample(symbol="B", price=2))  # type: ignore[arg-type] # the same
        assert [batch.num_rows for batch in frame.iter_batches()] == [1]
        assert len(frame) == 1
        assert len(analysis.events(store)) == 2


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown type": ({"types": "FrameSampel"}, "did you mean FrameSample"),
    "a type far from all": ({"types": "Zzzzzzzzzzzz"}, "no class of that name"),
    "no type at all": ({"types": 7}, "event classes or their names"),
    "another axis": ({"time": "happened"}, "occurred.*recorded"),
    "exact as a number": ({"exact": 2}, "exact is True, False or 'text'"),
    "an empty symbol": ({"symbol": ""}, "symbol"),
    "symbols": ({"symbol": ["A"]}, "symbol"),
    "an unknown column": ({"columns": ["prise"]}, "no columns .*prise"),
    "a column as text": ({"columns": "price"}, "price"),
    "a naive time": ({"start": "2026-01-01T00:00:00"}, "zone"),
    "an int of seconds": ({"start": 1_764_500_000}, "1990|seconds"),
    "a stream that is none": ({"stream": "order"}, "stream"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_an_argument_that_means_nothing_is_refused(reader: EventReader, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidEvent, match=message):
        analysis.events(reader, **given)


def test_a_path_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(eventstore.StoreError):
        analysis.events(tmp_path / "none")
    with pytest.raises(InvalidEvent):
        analysis.events(7)  # type: ignore[arg-type] # on purpose


def test_a_file_and_a_memory_journal_give_the_same_frame(reader: EventReader, tmp_path: Path) -> None:
    drafts = [
        draft(r.type, r.data, number=START - r.occurred_at, schema=r.schema, stream=r.stream) for r in reader.read()
    ]
    with log_of(*drafts, path=tmp_path / "journal.db") as on_disk:
        found = analysis.events(on_disk, exact=True).to_arrow()
        assert found.equals(analysis.events(reader, exact=True).to_arrow())
        assert on_disk.types() == reader.types() == ("FrameSample", "Other")


def test_what_a_filter_wants_is_found_in_any_part_of_a_log(
    reader: EventReader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("eventstore.reader.SEARCHED_MAX", 4)
    monkeypatch.setattr("eventstore.reader.COLUMNS_PAGE", 3)
    drafts = [draft("FrameNamed" if n in {2, 3, 30} else "Other", "{}", number=n) for n in range(33)]
    with log_of(*drafts, path=tmp_path / "journal.db") as on_disk:
        pages = list(on_disk.columns(["type"], types="FrameNamed"))
        assert [position for page in pages for position in page[0]] == [3, 4, 31]
        assert [position for page in on_disk.columns([]) for position in page[0]] == list(range(1, 34))
        assert list(on_disk.columns([], after=33)) == []


@pytest.mark.parametrize("members", ["stream", ["streem"], ["stream", "event"]])
def test_members_that_records_lack_are_refused(reader: EventReader, members: Any) -> None:  # noqa: ANN401 - on purpose
    with pytest.raises(InvalidEvent, match="records have no members"):
        reader.rows(members)


def test_the_log_may_be_a_member(reader: EventReader) -> None:
    assert next(reader.rows(["log", "version"]))[0] == (1, "main", 1)
