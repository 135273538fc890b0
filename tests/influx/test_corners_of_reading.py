"""Edge cases of reading: logs that do not verify, incomplete points, anchors, a restored journal."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import msgspec
import pytest

from eventstore import CorruptJournal, Gap, InfluxSettings, Record, Refused
from eventstore.influx import points
from eventstore.influx.client import Client
from eventstore.influx.points import Encoder, extractor
from eventstore.influx.read import queries, timeline, windows
from eventstore.influx.read.roots import roots
from eventstore.influx.read.source import InfluxSource
from eventstore.influx.read.timeline import Anchor, Timeline
from eventstore.influx.repair import check
from eventstore.journal import Query, Source, declared
from eventstore.journals.sqlite import SqliteJournal
from eventstore.journals.sqlite.restore import Restoration
from eventstore.proofs import verify
from tests.influx import filling
from tests.influx.filling import BEGAN_AT, LOG_ID, SECOND, CountingClient
from tests.influx.servers import Server
from tests.influx.test_checking import Shipped, shipped

__all__ = ["shipped"]


@pytest.fixture
def opened(server: Server, bucket: str) -> Iterator[Callable[[], InfluxSource]]:
    """Return a function that opens a source of the test's bucket, which the test fills."""
    opened: list[InfluxSource] = []

    def open_() -> InfluxSource:
        opened.append(InfluxSource(CountingClient(filling.settings_of(server, bucket)), "main", LOG_ID))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


HOUR = 3_600 * SECOND


# Verifying the order


class ListSource:
    """A source of given records, two at a time."""

    page = 2

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records

    def head(self) -> int:
        return self._records[-1].position

    def read(self, query: Query) -> Sequence[Record]:
        until = query.until or self.head()
        return [record for record in self._records if query.after < record.position <= until][: query.limit]


def changed(records: Sequence[Record], position: int, **members: object) -> list[Record]:
    """Return the records with changed members of one, and the digest for them."""
    found = list(records)
    found[position - 1] = filling.with_digest(msgspec.structs.replace(found[position - 1], **members))
    return found


RECORDS = filling.records_at(filling.seconds(9))
DISORDERLY: dict[str, tuple[list[Record], int, str]] = {
    "a record is missing": ([*RECORDS[:4], *RECORDS[5:]], 5, "the record is missing"),
    "a version is left out": (changed(RECORDS, 7, version=4), 7, "version 4 of order/ACC2/O-2 follows version 2"),
    "a version is there twice": (changed(RECORDS, 7, version=2), 7, "version 2 of order/ACC2/O-2 follows version 2"),
    "a stream begins with another": (changed(RECORDS, 2, version=2), 2, "version 2 of position/ACC1/ESZ5 follows"),
    "a time goes back": (changed(RECORDS, 6, recorded_at=BEGAN_AT), 6, "not recorded after the one before it"),
    "a time is there twice": (changed(RECORDS, 6, recorded_at=RECORDS[4].recorded_at), 6, "not recorded after the"),
}


@pytest.mark.parametrize("what", DISORDERLY)
def test_a_record_out_of_order_is_named_with_its_position(what: str) -> None:
    records, position, reason = DISORDERLY[what]
    steps: list[tuple[int, int]] = []
    found = verify.verify_order(cast("Source", ListSource(records)), progress=lambda *step: steps.append(step))
    assert (found.ok, found.checked, found.first_bad) == (False, position - 1, position)
    assert reason in (found.reason or "")
    assert steps == [(done, 9) for done in range(2, position, 2)]


def test_records_in_order_verify_from_any_position() -> None:
    for after in range(10):
        found = verify.verify_order(cast("Source", ListSource(RECORDS)), after=after)
        assert (found.ok, found.checked) == (True, 9 - after)


# Points


@pytest.mark.parametrize("data", [b"[1, 2]", b'"price"', b"1.5", b"null"])
def test_an_event_that_is_not_an_object_has_no_symbol_and_no_measures(data: bytes) -> None:
    assert extractor(("price",), symbols=True)(data) == (None, "")


def test_a_line_does_not_depend_on_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [msgspec.structs.replace(record, note=f"{record.position % 5}") for record in RECORDS]
    lines = filling.lines_of(records)
    monkeypatch.setattr(points, "CACHED_MAX", 2)
    encoder = Encoder("main", LOG_ID, lambda _type, _schema: ())
    assert encoder.lines(records) == lines
    assert max(len(encoder._tags), len(encoder._tails)) <= 2


def test_an_invalid_root_is_left_out(server: Server, bucket: str) -> None:
    """The last one of each hour counts, even if it is foreign text."""
    trees = ["10:aa", "12:bb", "20:cc", "nothing", "x:dd", "30:ee"]
    hours = [0, 0, 1, 1, 2, 3]
    at = BEGAN_AT - BEGAN_AT % HOUR
    lines = [
        f'mirror,log=main tree="{tree}" {at + hour * HOUR + number}'
        for number, (tree, hour) in enumerate(zip(trees, hours, strict=True))
    ]
    server.write(bucket, "\n".join(lines).encode())
    client = CountingClient(filling.settings_of(server, bucket))
    assert roots(client, "main") == {12: "bb", 30: "ee"}
    assert roots(client, "other") == {}
    client.close()


# The source


def test_a_stream_of_an_empty_log_has_no_version(
    server: Server, bucket: str, opened: Callable[[], InfluxSource]
) -> None:
    filling.claim(server, bucket)
    one = opened()
    assert (one.version(filling.STREAMS[0]), one.head(), one.read(Query(limit=5))) == (0, 0, [])
    filling.fill(server, bucket, RECORDS)
    assert one.version(filling.STREAMS[0]) == 3


def test_nothing_is_queried_past_the_head(
    server: Server, bucket: str, opened: Callable[[], InfluxSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "PAGE_POINTS_FIRST", 4)
    filling.fill(server, bucket, RECORDS)
    one = opened()
    assert one.head() == 9
    assert one.read(Query(after=5, limit=4, until=9)) == RECORDS[5:]
    client = one._client
    assert isinstance(client, CountingClient)
    assert not [query for query in client.queries if f"time > {RECORDS[-1].recorded_at}" in query]
    assert not one._windows._prefetched


def test_an_incomplete_point_is_not_left_out_by_a_filter(
    server: Server, bucket: str, opened: Callable[[], InfluxSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "GAP_SECONDS", 0.0)
    filling.fill(server, bucket, [*RECORDS[:4], *RECORDS[5:]])
    part, rest = filling.parts_of(filling.lines_of(RECORDS)[4], "position", "stream")
    filling.write(server, bucket, [part])
    one = opened()
    with pytest.raises(
        Refused, match=f"the point at {RECORDS[4].recorded_at} is incomplete: eventstore mirror --check"
    ):
        one.read(Query(limit=9, account=RECORDS[4].account))
    filling.write(server, bucket, [rest])
    expected = [record for record in RECORDS if record.account == RECORDS[4].account]
    assert one.read(Query(limit=9, account=RECORDS[4].account)) == expected


def test_a_position_that_is_not_an_integer_is_refused(
    server: Server, bucket: str, opened: Callable[[], InfluxSource]
) -> None:
    """In another shard, where InfluxDB accepts another type for the field."""
    filling.fill(server, bucket, RECORDS)
    one = opened()
    assert one.head() == 9
    assert one.position_at(BEGAN_AT - 1) == 0
    early = BEGAN_AT - 700 * 86_400 * SECOND
    filling.write(server, bucket, [f"events,log=main,type=Noted position=0.5 {early}"])
    with pytest.raises(Refused, match=rf"the point at {early} has a position that is not an integer, 0\.5"):
        one.position_at(BEGAN_AT - 1)


def later(record: Record) -> str:
    """Return a record's line with a time after all others."""
    line, _, _ = filling.lines_of([record])[0].rpartition(" ")
    return f"{line} {RECORDS[-1].recorded_at + SECOND}"


@pytest.mark.parametrize("position", [5, 9])
def test_a_repeated_position_past_the_head_is_refused(
    server: Server, bucket: str, opened: Callable[[], InfluxSource], position: int
) -> None:
    filling.fill(server, bucket, RECORDS)
    one = opened()
    assert one.head() == 9
    filling.write(server, bucket, [later(RECORDS[position - 1])])
    # A new reader would take it for the end of the log.
    for source in (one, opened()):
        with pytest.raises(Refused, match=f"repeats position {position}: eventstore mirror --check"):
            source.head()


def test_the_repr_of_a_source_has_its_head(server: Server, bucket: str, opened: Callable[[], InfluxSource]) -> None:
    filling.fill(server, bucket, RECORDS)
    one = opened()
    one.head()
    assert repr(one) == f"<InfluxSource main in {bucket} at {server.url}, head 9>"


# The timeline


def anchors(records: Sequence[Record]) -> list[Anchor]:
    return [Anchor(record.position, record.recorded_at) for record in records]


def test_a_full_timeline_drops_half_of_its_anchors_and_keeps_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "ANCHORS_MAX", 8)
    records = filling.records_at(filling.seconds(200))
    known = Timeline(queries.QueryClient(Client(InfluxSettings("http://nowhere.invalid", "org", "bucket")), "main"))
    for anchor in anchors(records):
        known.add(anchor)
        assert 4 < len(known._anchors) <= 8 or anchor.position < 8
    assert known._anchors[0] == Anchor(0, 0)
    assert all(low < high for low, high in itertools.pairwise(known._anchors))
    assert set(known._anchors) <= {Anchor(0, 0), *anchors(records)}


def test_a_position_before_the_first_remaining_point_has_no_time(
    server: Server, bucket: str, opened: Callable[[], InfluxSource]
) -> None:
    filling.fill(server, bucket, RECORDS[4:])
    times, top = Timeline(opened()._queries), anchors(RECORDS)[-1]
    assert times.locate(2, top) == Anchor(2, 0)
    assert times.locate(6, top) == anchors(RECORDS)[5]
    # The first remaining point is not taken for position 1.
    assert Anchor(5, RECORDS[4].recorded_at) not in times._anchors


def test_a_log_emptied_meanwhile_has_a_gap(server: Server, bucket: str, opened: Callable[[], InfluxSource]) -> None:
    filling.claim(server, bucket)
    with pytest.raises(Gap) as caught:
        Timeline(opened()._queries).locate(5, anchors(RECORDS)[-1])
    assert (caught.value.after, caught.value.found) == (0, 0)


def test_a_gap_at_the_end_of_a_span_is_found(server: Server, bucket: str, opened: Callable[[], InfluxSource]) -> None:
    filling.fill(server, bucket, RECORDS[:7])
    times, known = Timeline(opened()._queries), anchors(RECORDS)
    assert times.last_before_gap(Anchor(0, 0), known[8], ("position",)) == known[6]
    assert times.last_before_gap(Anchor(0, 0), known[6], ("position",)) is None
    # Both ends are missing positions: they have the time of the last one before them.
    for last in (8, 9):
        assert times.last_before_gap(known[6], Anchor(last, known[6].recorded_at), ("position",)) == known[6]


# Comparison


def test_a_point_that_lacks_fields_is_missing_and_shipped_again(shipped: Shipped) -> None:
    record = shipped.records[19]
    shipped.delete(record)
    shipped.write(f"{shipped.line(record).split(',data=', 1)[0]} {record.recorded_at}")
    found = shipped.compare()
    assert (found.missing, found.altered, found.foreign) == (1, 0, 0)
    assert found.first is not None
    assert (found.first.kind, found.first.position) == ("missing", 20)
    assert found.first.detail.endswith(" lacks fields")
    assert shipped.compare(shipped=19).ok, "an unconfirmed point may be incomplete"
    assert shipped.compare(repair=True).repaired == 1
    assert shipped.compare().ok


def test_all_differences_are_counted_and_the_first_are_listed(
    shipped: Shipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "DIFFERENCES_MAX", 3)
    for record in shipped.records[10:15]:
        shipped.delete(record)
    found = shipped.compare()
    assert found.missing == 5
    assert [each.position for each in found.differences] == [11, 12, 13]
    assert shipped.compare(repair=True).repaired == 5


# A restored journal

IMPOSSIBLE: dict[str, tuple[list[Record], int, str]] = {
    "a digest of something else": (
        [*RECORDS[:4], msgspec.structs.replace(RECORDS[4], note="forged"), *RECORDS[5:]],
        5,
        "does not have its digest",
    ),
    "a missing position": ([*RECORDS[:4], *RECORDS[5:]], 6, "the position before it is missing"),
    "no first position": (RECORDS[1:], 2, "the position before it is missing"),
    "a time that goes back": (changed(RECORDS, 6, recorded_at=BEGAN_AT), 6, "not recorded after the one before it"),
    "a time that is there twice": (changed(RECORDS, 6, recorded_at=RECORDS[4].recorded_at), 6, "not recorded after"),
    "an id that is there twice": (changed(RECORDS, 7, id=RECORDS[0].id), 7, "an id or a stream's version is there"),
    "a version that is there twice": (changed(RECORDS, 7, version=2), 7, "an id or a stream's version is there twice"),
    "a version that is left out": (changed(RECORDS, 7, version=4), 1, "the versions of order/ACC2/O-2 have a gap"),
}


def restoration(directory: Path) -> Restoration:
    types = [declared(name, 1) for name in filling.TYPES]
    return Restoration(directory / "journal.db", "main", LOG_ID, created_at=1, types=types)


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_a_journal_is_not_restored_from_impossible_records(what: str, tmp_path: Path) -> None:
    records, position, reason = IMPOSSIBLE[what]
    written = restoration(tmp_path)

    def restore() -> None:
        for record in records:
            written.add([record])
        written.finish()

    with pytest.raises(CorruptJournal, match=reason) as caught:
        restore()
    assert caught.value.position == position
    written.abandon()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [1, 4, 9])
def test_a_journal_is_restored_from_valid_records(size: int, tmp_path: Path) -> None:
    written = restoration(tmp_path)
    for first in range(0, 9, size):
        written.add(RECORDS[first : first + size])
    written.finish()
    written.abandon()
    journal = SqliteJournal(tmp_path / "journal.db")
    assert list(journal.read(Query(limit=100))) == RECORDS
    assert verify.verify(journal).ok
    journal.close()
