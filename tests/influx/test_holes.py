"""Missing, partial or malformed points are waited for or named, and never skipped silently."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eventstore import Closed, Gap, Record, Refused
from eventstore.influx.client import Client
from eventstore.influx.read import queries, windows
from eventstore.influx.read.reader import InfluxReader
from eventstore.influx.read.timeline import Anchor
from eventstore.testing import in_time
from tests.influx import filling
from tests.influx.servers import Server

OTHER_ID = bytes(16)
FILTERS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "the account": {"account": "ACC1"},
    "another account": {"account": "ACC2"},
    "a type": {"types": "Noted"},
    "a category": {"stream": "position/"},
    "a prefix": {"stream": "order/ACC1/"},
    "a stream": {"stream": filling.STREAMS[0]},
}


@pytest.fixture
def reader(server: Server, bucket: str) -> Iterator[Callable[[], InfluxReader]]:
    """Return a function that opens a reader of the test's bucket."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(InfluxReader(Client(filling.settings_of(server, bucket)), "main"))


@pytest.fixture(scope="module")
def bucket_with_gap(server: Server) -> Iterator[str]:
    """A bucket with 3,000 records, the 1,200th and 1,201st deleted."""
    bucket = server.make_bucket()
    records = filling.records_at(filling.seconds(3_000))
    filling.fill(server, bucket, records)
    for record in records[1_199:1_201]:
        filling.delete(server, bucket, record)
    yield bucket
    server.delete_bucket(bucket)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
def test_reading_across_a_deleted_point_raises_gap(
    server: Server, bucket_with_gap: str, filters: dict[str, Any]
) -> None:
    with InfluxReader(Client(filling.settings_of(server, bucket_with_gap)), "main") as reader:
        with pytest.raises(Gap) as caught:
            list(reader.read(**filters))
        assert (caught.value.log, caught.value.after, caught.value.found) == ("main", 1_199, 1_202)
        with pytest.raises(Gap) as caught:
            list(reader.read(after=1_100, **filters))
        assert (caught.value.after, caught.value.found) == (1_199, 1_202)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
def test_records_before_and_after_a_gap_can_be_read(
    server: Server, bucket_with_gap: str, filters: dict[str, Any]
) -> None:
    with InfluxReader(Client(filling.settings_of(server, bucket_with_gap)), "main") as reader:
        assert reader.head() == 3_000
        account, stream = filters.get("account"), filters.get("stream", "")
        fitting = [
            record.position
            for record in filling.records_at(filling.seconds(3_000))
            if (account is None or record.account == account)
            and record.stream.startswith(stream)
            and record.type == filters.get("types", record.type)
        ]
        before = [record.position for record in reader.read(until=1_199, **filters)]
        behind = [record.position for record in reader.read(after=1_201, **filters)]
        assert before == [position for position in fitting if position <= 1_199]
        assert behind == [position for position in fitting if position > 1_201]


@pytest.mark.usefixtures("impatient")
def test_following_and_verifying_raise_gap(server: Server, bucket_with_gap: str) -> None:
    with InfluxReader(Client(filling.settings_of(server, bucket_with_gap)), "main") as reader:
        found: list[int] = []

        def follow() -> None:
            found.extend(record.position for record in reader.follow())

        for call in (follow, reader.root, reader.verify):
            with pytest.raises(Gap) as caught:
                in_time(call)
            assert (caught.value.after, caught.value.found) == (1_199, 1_202)
        assert found == list(range(1, len(found) + 1))


@pytest.mark.usefixtures("impatient")
def test_a_gap_is_reported_however_far_behind_the_head(
    server: Server, bucket: str, reader: Callable[[], InfluxReader]
) -> None:
    records = filling.records_at(filling.seconds(30_000))
    filling.fill(server, bucket, records)
    filling.delete(server, bucket, records[4_999])
    assert reader().head() == 30_000
    kinds: list[dict[str, Any]] = [{}, {"types": "Changed"}, {"after": 4_998, "account": "ACC2", "limit": 1}]
    for filters in kinds:
        with pytest.raises(Gap) as caught:
            list(reader().read(**filters))
        assert (caught.value.after, caught.value.found) == (4_999, 5_001)
    assert [record.position for record in reader().read(after=5_000, limit=2)] == [5_001, 5_002]


@pytest.mark.usefixtures("impatient")
def test_a_log_without_its_first_record_has_a_gap(
    server: Server, bucket: str, reader: Callable[[], InfluxReader]
) -> None:
    records = filling.records_at(filling.seconds(20))
    filling.fill(server, bucket, records)
    filling.delete(server, bucket, records[0])
    for account in (None, "ACC1"):
        with pytest.raises(Gap) as caught:
            list(reader().read(account=account))
        assert (caught.value.after, caught.value.found) == (0, 2)


def followed(reader: InfluxReader, count: int, seen: list[Record]) -> threading.Thread:
    """Follow in a thread until so many records have arrived."""
    cancel = threading.Event()

    def run() -> None:
        for record in reader.follow(cancel=cancel):
            seen.append(record)
            if len(seen) == count:
                cancel.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def wait_for(seen: list[Record], count: int) -> None:
    end = threading.Event()
    for _ in range(1_000):
        if len(seen) >= count:
            return
        end.wait(0.01)
    msg = f"only {len(seen)} of {count} came"
    raise AssertionError(msg)


@pytest.mark.parametrize("present", ["position", "data", "meta", "stream", "occurred_at"])
def test_an_incomplete_point_is_held_back_until_its_other_fields_arrive(
    server: Server, bucket: str, reader: Callable[[], InfluxReader], present: str
) -> None:
    records = filling.records_at(filling.seconds(12))
    filling.fill(server, bucket, records[:9])
    part, rest = filling.parts_of(filling.lines_of(records)[9], present)
    filling.write(server, bucket, [part])
    seen: list[Record] = []
    thread = followed(reader(), 12, seen)
    wait_for(seen, 9)
    thread.join(0.2)
    assert seen == records[:9]
    filling.write(server, bucket, filling.lines_of(records)[10:])
    thread.join(0.2)
    assert seen == records[:9]
    filling.write(server, bucket, [rest])
    thread.join(10)
    assert seen == records


def test_reading_waits_for_points_in_flight(server: Server, bucket: str, reader: Callable[[], InfluxReader]) -> None:
    records = filling.records_at(filling.seconds(12))
    filling.fill(server, bucket, [*records[:7], *records[8:]])
    one = reader()
    threading.Timer(0.3, filling.write, (server, bucket, filling.lines_of(records)[7:8])).start()
    assert list(one.read()) == records


@pytest.fixture
def seen(
    server: Server, bucket: str, reader: Callable[[], InfluxReader], monkeypatch: pytest.MonkeyPatch
) -> tuple[InfluxReader, list[Record]]:
    """Return a reader, and the twelve records it has seen, the eighth of which is deleted now."""
    monkeypatch.setattr(windows, "PAGE_POINTS_FIRST", 4)
    records = filling.records_at(filling.seconds(12))
    filling.fill(server, bucket, records)
    one = reader()
    assert one.head() == 12
    filling.delete(server, bucket, records[7])
    return one, records


@pytest.mark.parametrize("filters", [{}, {"account": "ACC1"}], ids=["all", "account"])
def test_a_lost_point_that_was_seen_is_waited_for(
    server: Server, bucket: str, seen: tuple[InfluxReader, list[Record]], filters: dict[str, Any]
) -> None:
    """A killed server may lose points that it had shown; its mirror ships them again once it notices."""
    one, records = seen
    if filters:
        one._influx._queries.note_failure()  # otherwise a span is not counted again
        one._influx._counted = (Anchor(0, 0), Anchor(0, 0))
    threading.Timer(
        4 * queries.OLD_GAP_SECONDS, filling.write, (server, bucket, filling.lines_of(records)[7:8])
    ).start()
    assert list(one.read(**filters)) == [r for r in records if not filters or r.account == filters["account"]]


def test_closing_ends_the_wait_for_a_lost_point(seen: tuple[InfluxReader, list[Record]]) -> None:
    one, _ = seen
    threading.Timer(4 * queries.OLD_GAP_SECONDS, one.close).start()
    with pytest.raises(Closed, match="connect again"):
        in_time(lambda: list(one.read()))


@pytest.mark.usefixtures("impatient")
def test_a_point_that_stays_incomplete_is_a_gap(
    server: Server, bucket: str, reader: Callable[[], InfluxReader]
) -> None:
    records = filling.records_at(filling.seconds(12))
    filling.fill(server, bucket, [*records[:7], *records[8:]])
    filling.write(server, bucket, [filling.parts_of(filling.lines_of(records)[7], "position", "data")[0]])
    with pytest.raises(Gap) as caught:
        list(reader().read())
    assert (caught.value.after, caught.value.found) == (7, 8)


def foreign_lines(records: list[Record]) -> dict[str, str]:
    """Return lines that do not belong to the log, by what is wrong with them."""
    line = filling.lines_of(records)[5]
    tags, fields, at = line.split(" ", 1)[0], line.split(" ", 1)[1].rsplit(" ", 1)[0], line.rsplit(" ", 1)[1]
    elsewhere = filling.lines_of(records, log_id=OTHER_ID)
    return {
        "another log's id, between": f"{elsewhere[5].rsplit(' ', 1)[0]} {int(at) + 1}",
        "another log's id, as the newest": f"{elsewhere[5].rsplit(' ', 1)[0]} {filling.BEGAN_AT * 2}",
        "another type at the same time": f"{tags}2 {fields} {at}",
        "the same position later": f"{tags} {fields} {int(at) + 5}",
        "a meta that is not JSON": f'{tags},symbol=X {fields.split(",meta=")[0]},meta="?" {int(at) + 5}',
        "a meta of other members": f'{tags},symbol=X {fields.split(",meta=")[0]},meta="{{}}" {int(at) + 5}',
        "a position below zero": f"{tags}2 {fields.replace('position=6i', 'position=-6i')} {int(at) + 5}",
        "a position of another type": f'{tags} position=6.5,stream="a/b/c" {int(at) + 700 * 86_400 * filling.SECOND}',
        "a position of another type that is whole": f"{tags} position=6 {int(at) + 700 * 86_400 * filling.SECOND}",
    }


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("what", foreign_lines(filling.records_at(filling.seconds(12))))
@pytest.mark.parametrize("filters", [{}, {"account": "ACC1"}, {"types": "Noted"}], ids=["all", "account", "type"])
def test_a_foreign_point_is_refused(
    server: Server, bucket: str, reader: Callable[[], InfluxReader], what: str, filters: dict[str, Any]
) -> None:
    records = filling.records_at(filling.seconds(12))
    filling.fill(server, bucket, records)
    filling.write(server, bucket, [foreign_lines(records)[what]])
    with pytest.raises(Refused, match="eventstore mirror --check"):
        list(reader().read(**filters))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("after", [0, 3_000])
def test_a_foreign_point_in_a_long_log_is_refused(
    server: Server, bucket: str, reader: Callable[[], InfluxReader], after: int
) -> None:
    records = filling.records_at(filling.seconds(6_000))
    filling.fill(server, bucket, records)
    filling.write(server, bucket, [filling.lines_of(records)[4_000].replace("type=", "type=Un", 1)])
    for account in (None, "ACC1"):
        with pytest.raises(Refused, match="eventstore mirror --check"):
            list(reader().read(after=after, account=account))
