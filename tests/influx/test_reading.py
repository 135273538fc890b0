"""A reader of InfluxDB returns what the journal has: with any filter, in any thread, through outages, in any book."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import eventstore
import projections
from eventstore import Batch, Closed, EventStore, InfluxSettings, ReadOnly, Record, Unavailable
from eventstore.influx.client import Client
from eventstore.influx.read.reader import InfluxReader
from eventstore.testing import in_time
from gateways.demo.day import ACCOUNTS, ticks
from projections.worker import Worker
from tests.influx import filling
from tests.influx.proxy import Proxy
from tests.influx.servers import LocalServer, Server
from tests.projections.histories import states

EVENTS = 3_000


class Twin(NamedTuple):
    """A store, and the settings of a bucket with the same log."""

    store: EventStore
    settings: InfluxSettings
    records: Sequence[Record]

    def reader(self) -> InfluxReader:
        return InfluxReader(Client(self.settings), "main")


@pytest.fixture(scope="module")
def twin(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    """A part of the demo day in a store and in a bucket."""
    bucket = server.make_bucket()
    settings = filling.settings_of(server, bucket)
    with eventstore.open(tmp_path_factory.mktemp("twin")) as store:
        for tick in ticks(lambda _account, _symbol, _at: True):
            store.append_many(
                [
                    Batch(fact.stream, fact.event, key=fact.key, occurred_at=fact.occurred_at, actor=fact.actor)
                    for fact in tick
                ]
            )
            if store.head() >= EVENTS:
                break
        records = list(store.read())
        filling.fill(server, bucket, records, log_id=store.log_id)
        yield Twin(store, settings, records)
    server.delete_bucket(bucket)


@pytest.fixture(scope="module")
def reader(twin: Twin) -> Iterator[InfluxReader]:
    with twin.reader() as reader:
        yield reader


arguments = st.fixed_dictionaries(
    {},
    optional={
        "after": st.integers(0, EVENTS + 10),
        "limit": st.integers(0, EVENTS),
        "until": st.integers(0, EVENTS + 10),
        "stream": st.sampled_from(
            ["order/", "order/ACC1/", "position/ACC2/", "mark/-/open", "contract/", "x/", "order/A9/"]
        ),
        "account": st.sampled_from(["-", *ACCOUNTS, "NONE"]),
        "types": st.lists(st.sampled_from(["OrderFilled", "OrderSubmitted", "Marked", "Unheard"]), max_size=3),
        "start": st.tuples(st.integers(1, EVENTS), st.integers(-1, 1)),
        "stop": st.tuples(st.integers(1, EVENTS), st.integers(-1, 1)),
    },
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_arguments=arguments, choice=st.integers(0, EVENTS - 1))
def test_any_arguments_return_what_the_journal_returns(
    twin: Twin, reader: InfluxReader, given_arguments: dict[str, Any], choice: int
) -> None:
    for bound in {"start", "stop"} & set(given_arguments):
        position, beside = given_arguments[bound]
        given_arguments[bound] = twin.records[position - 1].recorded_at + beside
    if given_arguments.get("stream") == "x/":
        given_arguments["stream"] = twin.records[choice].stream
    assert list(reader.read(**given_arguments)) == list(twin.store.read(**given_arguments))


def test_head_versions_times_root_and_proof_equal_the_journal_s(twin: Twin, reader: InfluxReader) -> None:
    assert (reader.head(), reader.log, reader.log_id) == (len(twin.records), "main", twin.store.log_id)
    for record in twin.records[:: EVENTS // 20]:
        assert reader.version(record.stream) == twin.store.version(record.stream)
        for at in (record.recorded_at - 1, record.recorded_at, record.recorded_at + 1):
            assert reader.position_at(at) == twin.store.position_at(at)
    assert reader.root() == twin.store.root()
    assert reader.verify().ok
    assert reader.verify().checked == len(twin.records)


def test_records_read_match_a_root_of_the_journal(twin: Twin, reader: InfluxReader) -> None:
    count = len(twin.records)
    size, root = twin.store.root(EVENTS // 3)
    assert reader.root(size) == (size, root)
    assert reader.verify(root=root.hex(), size=size).ok
    found = reader.verify(root=root, size=size + 1, after=count)
    assert (found.ok, found.first_bad) == (False, 1)
    assert reader.verify(root=root, size=count + 1).first_bad == count + 1
    # This bucket has no roots of a mirror: after the given one only the order is verified.
    assert reader.verify(root=twin.store.root()[1]).unproved == ("the log's name",)
    assert f"positions {size + 1} to {count}" in reader.verify(root=root, size=size).unproved[1]
    assert f"positions 1 to {count}" in reader.verify().unproved[1]


def test_a_book_a_past_a_difference_and_steps_equal_the_journal_s(twin: Twin, reader: InfluxReader) -> None:
    with projections.open(reader) as book, projections.open(twin.store) as known:
        assert book.position == len(twin.records)
        assert states(book._fold) == states(known._fold)
    first, second = (twin.records[place].recorded_at for place in (EVENTS // 3, EVENTS // 2))
    for given_ in ({"recorded_at": first}, {"position": 777}, {"occurred_at": twin.records[900].occurred_at}):
        past, was = (projections.as_of(source, **given_) for source in (reader, twin.store))  # type: ignore[arg-type]
        assert past.position == was.position
        assert states(past._fold) == states(was._fold)
    assert projections.diff(reader, first, second) == projections.diff(twin.store, first, second)
    for (record, book), (known_record, _) in zip(
        projections.steps(reader, until=400), projections.steps(twin.store, until=400), strict=True
    ):
        assert record == known_record
        assert book.position == record.position


def test_a_worker_keeps_a_book_current_from_influx_alone(server: Server, bucket: str, twin: Twin) -> None:
    filling.fill(server, bucket, twin.records[:500], log_id=twin.store.log_id)
    lines = filling.lines_of(twin.records[500:2_000], log_id=twin.store.log_id)
    with InfluxReader(Client(filling.settings_of(server, bucket)), "main") as reader:
        worker = Worker(reader, projections.open(reader)).start()
        for first in range(0, len(lines), 500):
            filling.write(server, bucket, lines[first : first + 500])
        assert worker.wait(2_000, 20)
        worker.stop()
        known = projections.as_of(twin.store, position=2_000)
        assert states(worker.book._fold) == states(known._fold)


def test_a_reader_cannot_write(reader: InfluxReader) -> None:
    assert not any(hasattr(reader, verb) for verb in ("append", "append_many", "enqueue"))
    with projections.open(reader) as book, pytest.raises(ReadOnly, match="append in a process"):
        book.append("order/ACC1/O-1", [])


def test_any_number_of_threads_read_one_source(twin: Twin, reader: InfluxReader) -> None:
    def part(number: int) -> bool:
        after, account = number * 211 % EVENTS, [None, *ACCOUNTS][number % 3]
        expected = [r for r in twin.records[after : after + 700] if account in {None, r.account}]
        return list(reader.read(after=after, until=after + 700, account=account)) == expected

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(part, range(40)))


def test_closing_ends_following_in_another_thread(twin: Twin) -> None:
    reader = twin.reader()
    threading.Timer(0.3, reader.close).start()
    with pytest.raises(Closed):
        in_time(lambda: list(reader.follow()))
    with pytest.raises(Closed):
        reader.head()


@pytest.mark.parametrize("moment", range(6))
def test_closing_ends_reading_at_any_moment(twin: Twin, moment: int) -> None:
    reader = twin.reader()
    threading.Timer(moment * 0.02, reader.close).start()

    def read_on() -> None:
        while True:
            list(reader.read())

    with pytest.raises(Closed):
        in_time(read_on)


def test_a_reader_survives_a_killed_server(own_server: LocalServer) -> None:
    bucket = own_server.make_bucket()
    records = filling.records_at(filling.seconds(1_500))
    filling.fill(own_server, bucket, records[:1_200])
    with InfluxReader(Client(filling.settings_of(own_server, bucket)), "main") as reader:
        seen: list[Record] = []
        following = threading.Thread(target=lambda: seen.extend(first_of(reader, 1_500)), daemon=True)
        following.start()
        time.sleep(0.2)
        own_server.kill()
        time.sleep(0.2)
        own_server.restart()
        filling.write(own_server, bucket, filling.lines_of(records[1_200:]))
        following.join(30)
        assert seen == records


def first_of(reader: InfluxReader, count: int) -> Iterator[Record]:
    """Follow until so many records have arrived."""
    for _, record in zip(range(count), reader.follow(), strict=False):
        yield record


def test_a_reader_gives_up_after_patience_seconds(own_server: LocalServer) -> None:
    bucket = own_server.make_bucket()
    filling.fill(own_server, bucket, filling.records_at(filling.seconds(10)))
    settings = filling.settings_of(own_server, bucket, patience_seconds=1.0)
    with InfluxReader(Client(settings), "main") as reader:
        assert reader.head() == 10
        own_server.kill()
        began = time.monotonic()
        with pytest.raises(Unavailable, match="does not respond"):
            list(reader.read())
        assert 0.9 < time.monotonic() - began < 6


def test_a_query_with_a_cut_response_is_retried(server: Server, twin: Twin) -> None:
    with Proxy.before(server) as proxy:
        settings = msgspec.structs.replace(twin.settings, url=proxy.url)
        with InfluxReader(Client(settings), "main") as reader:
            proxy.cut_after_request(3, path="/query")
            assert list(reader.read()) == twin.records
            proxy.answer_with(503, 3, path="/query")
            assert list(reader.read(account="ACC1")) == list(twin.store.read(account="ACC1"))
            assert proxy.cuts == 3
