"""A reader's queries: few, whatever the times between records, with answers of bounded size."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence

import pytest

from eventstore import Record
from eventstore.influx import client as clients
from eventstore.influx.client import RESPONSE_BYTES_MAX
from eventstore.influx.read.reader import InfluxReader
from eventstore.influx.read.source import InfluxSource
from eventstore.influx.read.timeline import Timeline
from eventstore.influx.read.windows import PAGE_BYTES
from eventstore.journal import Query
from tests.influx import filling
from tests.influx.filling import BEGAN_AT, SECOND, CountingClient
from tests.influx.servers import Server

MONTH = 30 * 86_400 * SECOND
LONG = 100_000
QUESTIONS_MAX = 40


def set_back() -> Iterator[int]:
    """Ten thousand records a second apart; then the clock is set back by a day, and 100,000 follow 1 ns apart."""
    yield from filling.seconds(10_000)
    yield from range(BEGAN_AT + 20_000 * SECOND, BEGAN_AT + 20_000 * SECOND + LONG)
    yield from filling.seconds(5_000, after=30_000)


def rare() -> Iterator[int]:
    """Some thousands in a burst, then years with one a month, then another burst."""
    yield from range(BEGAN_AT, BEGAN_AT + 5_000 * 1_000, 1_000)
    yield from (BEGAN_AT + number * MONTH for number in range(1, 60))
    yield from range(BEGAN_AT + 61 * MONTH, BEGAN_AT + 61 * MONTH + 5_000)


@pytest.fixture(scope="module", params=[set_back, rare], ids=["a clock set back", "months between records"])
def log(request: pytest.FixtureRequest, server: Server) -> Iterator[tuple[str, Sequence[Record]]]:
    """A bucket with a log of these times."""
    bucket = server.make_bucket()
    records = filling.records_at(request.param())
    filling.fill(server, bucket, records)
    yield bucket, records
    server.delete_bucket(bucket)


def source_of(server: Server, bucket: str) -> tuple[CountingClient, InfluxSource]:
    client = CountingClient(filling.settings_of(server, bucket))
    return client, InfluxSource(client, "main", filling.LOG_ID)


def test_a_position_is_found_with_few_queries(server: Server, log: tuple[str, Sequence[Record]]) -> None:
    bucket, records = log
    chance = random.Random(11)
    client, source = source_of(server, bucket)
    source.head()
    edges = [1, len(records) // 2, len(records) - 1, 5_000, 4_999, 5_001, 5_059]
    for after in [*edges, *(chance.randrange(len(records)) for _ in range(10))]:
        source._times = Timeline(source._queries)  # as of a new reader
        del client.queries[:], client.sizes[:]
        assert source.read(Query(after=after, limit=3, until=len(records))) == records[after : after + 3]
        assert len(client.queries) <= QUESTIONS_MAX
        assert sum(client.sizes) < 20_000
    source.close()


def test_the_head_is_found_with_few_queries(server: Server, log: tuple[str, Sequence[Record]]) -> None:
    bucket, records = log
    client, source = source_of(server, bucket)
    assert source.head() == len(records)
    assert len(client.queries) <= QUESTIONS_MAX
    assert sum(client.sizes) < 500_000
    asked = len(client.queries)
    assert source.head() == len(records)
    assert len(client.queries) == asked + 1
    source.close()


def test_a_time_is_found_with_one_query(server: Server, log: tuple[str, Sequence[Record]]) -> None:
    bucket, records = log
    client, source = source_of(server, bucket)
    source.head()
    for position in (1, 2, 5_000, len(records) - 1):
        asked = len(client.queries)
        assert source.position_at(records[position - 1].recorded_at) == position
        assert len(client.queries) <= asked + 2
    source.close()


def test_the_whole_log_is_read_with_few_queries(server: Server, log: tuple[str, Sequence[Record]]) -> None:
    bucket, records = log
    client = CountingClient(filling.settings_of(server, bucket))
    with InfluxReader(client, "main") as reader:
        assert list(reader.read()) == records
        assert len(client.queries) <= QUESTIONS_MAX + len(records) // 5_000
        asked = len(client.queries)
        found = list(reader.read(account="ACC2"))
        assert found == [record for record in records if record.account == "ACC2"]
        assert len(client.queries) - asked <= 6 + len(found) // 5_000


def test_records_a_nanosecond_apart_are_complete_in_pages_of_any_size(
    server: Server, log: tuple[str, Sequence[Record]]
) -> None:
    bucket, records = log
    _, source = source_of(server, bucket)
    chance, after = random.Random(5), 0
    while after < len(records):
        limit = chance.choice((1, 700, 3_000, 10_000))
        page = source.read(Query(after=after, limit=limit))
        assert page == records[after : after + limit]
        after += len(page)
    source.close()


@pytest.fixture(scope="module")
def heavy(server: Server) -> Iterator[tuple[str, Sequence[Record]]]:
    """A bucket with 3,000 small records, then 1,500 of 60 KB, 90 MB in all."""
    bucket = server.make_bucket()
    records = filling.records_at(filling.seconds(3_000))
    records += filling.records_at(filling.seconds(1_500, after=3_000), after=3_000, size=59_900)
    filling.fill(server, bucket, records)
    yield bucket, records
    server.delete_bucket(bucket)


@pytest.mark.parametrize("account", [None, "ACC1"], ids=["all", "an account"])
def test_no_response_exceeds_its_bound(
    server: Server, heavy: tuple[str, Sequence[Record]], account: str | None
) -> None:
    bucket, records = heavy
    client = CountingClient(filling.settings_of(server, bucket))
    expected = [record for record in records if account in {None, record.account}]
    _, source = source_of(server, bucket)
    with InfluxReader(client, "main") as reader:
        assert list(reader.read(account=account)) == expected
    assert max(client.sizes) <= RESPONSE_BYTES_MAX
    source.read(Query(after=3_000, limit=800))
    assert source.page * 60_000 < 2 * PAGE_BYTES
    source.close()


def test_a_page_has_as_many_records_as_requested_however_large(
    server: Server, heavy: tuple[str, Sequence[Record]]
) -> None:
    bucket, records = heavy
    _, source = source_of(server, bucket)
    for after, limit in itertools.product((0, 2_900, 3_600), (1, 150, 800)):
        assert source.read(Query(after=after, limit=limit)) == records[after : after + limit]
        assert len(source.read(Query(after=after, limit=100, stream=filling.STREAMS[1]))) == 100
    source.close()


def test_a_response_that_is_too_large_is_requested_in_parts(
    server: Server, heavy: tuple[str, Sequence[Record]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, records = heavy
    monkeypatch.setattr(clients, "RESPONSE_BYTES_MAX", 150_000)
    client, source = source_of(server, bucket)
    assert source.head() == len(records)
    assert source.read(Query(after=2_990, limit=30)) == records[2_990:3_020]
    assert (
        source.read(Query(after=2_990, limit=10, account="ACC1"))
        == [record for record in records[2_990:3_010] if record.account == "ACC1"][:10]
    )
    assert max(client.sizes) <= 150_000
    source.close()
