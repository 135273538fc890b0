"""Possible answers of a server: JSON instead of MessagePack, errors inside a 200, parts, refusals, several logs."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from typing_extensions import override

import eventstore
from eventstore import InfluxSettings, InvalidEvent, Record, Refused, StoreError, Unavailable
from eventstore.influx.client import UNTYPED_ROWS, Client, RawResponse
from eventstore.influx.read import windows
from eventstore.influx.read.reader import InfluxReader
from eventstore.influx.read.source import InfluxSource
from eventstore.journal import Query
from eventstore.journals.memory import MemoryJournal
from eventstore.testing import SourceContract
from tests.influx import filling
from tests.influx.filling import JsonClient
from tests.influx.proxy import Proxy
from tests.influx.servers import Server, free_port

SECONDS_MAX = 5.0


@pytest.fixture(scope="module")
def mirrored(server: Server, journal: MemoryJournal, records: Sequence[Record]) -> Iterator[InfluxSettings]:
    """Settings of a bucket with the history of the contract suite."""
    bucket = server.make_bucket()
    filling.fill(server, bucket, records, log_id=journal.log_id)
    yield filling.settings_of(server, bucket)
    server.delete_bucket(bucket)


class TestInJson(SourceContract):
    @pytest.fixture
    def source(self, mirrored: InfluxSettings, journal: MemoryJournal) -> Iterator[InfluxSource]:
        source = InfluxSource(JsonClient(mirrored), "main", journal.log_id)
        yield source
        source.close()


ROW = [1, 1, "a/b/c", 1, "{}", "{}", "Noted"]
COLUMNS = ["time", "position", "stream", "occurred_at", "data", "meta", "type"]
ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "an error": ({"error": "engine is closed"}, "engine is closed"),
    "a statement's error": ({"results": [{"statement_id": 0, "error": "timeout"}]}, "timeout"),
    "an error after rows": (
        {"results": [{"series": [{"name": "events", "columns": COLUMNS, "values": [ROW]}], "error": "cut"}]},
        "cut",
    ),
    "a part of a series": (
        {"results": [{"series": [{"name": "events", "columns": COLUMNS, "values": [ROW], "partial": True}]}]},
        "a partial response",
    ),
    "a part of the series": (
        {"results": [{"series": [{"name": "events", "columns": COLUMNS, "values": [ROW]}], "partial": True}]},
        "a partial response",
    ),
}


class CannedClient(Client):
    """Returns the same response to every query."""

    def __init__(self, settings: InfluxSettings, raw: RawResponse) -> None:
        super().__init__(settings)
        self._raw = raw

    @override
    def fetch(self, query: str, values: Mapping[str, object] | None = None) -> RawResponse:
        return self._raw


def source_of(response: RawResponse) -> InfluxSource:
    settings = InfluxSettings("http://nowhere.invalid", "org", "bucket", patience_seconds=0.05)
    return InfluxSource(CannedClient(settings, response), "main", filling.LOG_ID)


@pytest.mark.parametrize("in_json", [False, True], ids=["MessagePack", "JSON"])
@pytest.mark.parametrize("what", ANSWERS)
def test_an_error_or_a_partial_response_with_status_200_is_raised(what: str, in_json: bool) -> None:
    answer, words = ANSWERS[what]
    body = msgspec.json.encode(answer) if in_json else msgspec.msgpack.encode(answer)
    source = source_of(RawResponse(body, not in_json))
    for call in (source.head, lambda: source.read(Query(limit=1)), lambda: source.version("a/b/c")):
        with pytest.raises(Unavailable, match=words):
            call()
    source.close()


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[1,2"], ids=["nothing", "a page", "bytes", "cut"])
@pytest.mark.parametrize("is_msgpack", [False, True], ids=["JSON", "MessagePack"])
def test_a_body_that_cannot_be_decoded_is_unavailable(body: bytes, is_msgpack: bool) -> None:
    source = source_of(RawResponse(body, is_msgpack))
    with pytest.raises(Unavailable):
        source.head()
    source.close()


def test_a_row_with_wrong_types_is_refused_and_names_the_check() -> None:
    row = [1, "1", "a/b/c", 1, "{}", "{}", "Noted"]
    answer = {"results": [{"series": [{"name": "events", "columns": COLUMNS, "values": [row]}]}]}
    source = source_of(RawResponse(msgspec.msgpack.encode(answer), is_msgpack=True))
    with pytest.raises(Refused, match="eventstore mirror --check"):
        source.head()
    source.close()


class StartingClient(Client):
    """Fails each query once, with status 200, as a server does that is starting or stopping."""

    def __init__(self, settings: InfluxSettings) -> None:
        super().__init__(settings)
        self._asked: set[str] = set()

    @override
    def fetch(self, query: str, values: Mapping[str, object] | None = None) -> RawResponse:
        if query in self._asked:
            return super().fetch(query, values)
        self._asked.add(query)
        return RawResponse(msgspec.msgpack.encode({"results": [{"error": "engine is closed"}]}), is_msgpack=True)


def test_a_query_that_fails_with_status_200_is_retried(
    mirrored: InfluxSettings, journal: MemoryJournal, records: Sequence[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "PAGE_POINTS_FIRST", 4)
    source = InfluxSource(StartingClient(mirrored), "main", journal.log_id)
    assert source.head() == len(records)
    assert source.read(Query(limit=len(records))) == records
    some = records[0]
    assert source.version(some.stream) == len([record for record in records if record.stream == some.stream])
    assert source.read(Query(limit=1, stream=some.stream)) == [some]
    assert source.position_at(some.recorded_at) == journal.position_at(some.recorded_at)
    source.close()


def test_a_failed_statement_is_an_error_in_both_encodings(mirrored: InfluxSettings) -> None:
    for kind in (Client, JsonClient):
        client = kind(mirrored)
        with pytest.raises(Unavailable, match="rejects this: failed to parse query"):
            client.query_rows("SELECT position FROM events WHERE nonsense(")
        assert UNTYPED_ROWS.rows(client.fetch("SELECT position FROM events WHERE log = $log", {"log": "none"})) == []
        client.close()


@pytest.fixture
def several(server: Server, bucket: str) -> tuple[InfluxSettings, dict[str, list[Record]]]:
    """A bucket with three logs, two of which have records at the same times."""
    logs = {
        name: filling.records_at(times, log=name, log_id=bytes([number]) * 16)
        for number, (name, times) in enumerate(
            {"alpha": filling.seconds(900), "beta": filling.seconds(700), "gamma": range(5, 500_000, 1_000)}.items()
        )
    }
    for number, records in enumerate(logs.values()):
        filling.fill(server, bucket, records, log_id=bytes([number]) * 16)
    return filling.settings_of(server, bucket), logs


def by_time(record: Record) -> tuple[int, str]:
    return record.recorded_at, record.log


def test_several_logs_are_merged_and_resumed(
    several: tuple[InfluxSettings, dict[str, list[Record]]],
) -> None:
    settings, logs = several
    merged = list(heapq.merge(*logs.values(), key=by_time))
    with InfluxReader(Client(settings), "beta") as reader:
        assert reader.logs() == ("alpha", "beta", "gamma")
        assert list(reader.read_logs()) == merged
        begun = list(itertools.islice(reader.read_logs(), 1_000))
        cursors = dict.fromkeys(logs, 0) | {record.log: record.position for record in begun}
        assert begun + list(reader.read_logs(after=cursors)) == merged
        two = [record for record in merged if record.log != "beta"]
        assert list(reader.read_logs(after={"alpha": 0, "gamma": 0})) == two
        start, stop = filling.BEGAN_AT + 5 * filling.SECOND, filling.BEGAN_AT + 90 * filling.SECOND
        assert list(reader.read_logs(start=start, stop=stop)) == [
            record for record in merged if start <= record.recorded_at < stop
        ]
        with pytest.raises(Refused, match="no log 'delta': its logs are alpha, beta, gamma"):
            list(reader.read_logs(after={"delta": 0}))


def test_each_log_has_only_its_own_records(several: tuple[InfluxSettings, dict[str, list[Record]]]) -> None:
    settings, logs = several
    for name, records in logs.items():
        with eventstore.connect(settings=settings, log=name) as reader:
            assert list(reader.read()) == records
            assert list(reader.read(account="ACC1")) == [r for r in records if r.account == "ACC1"]


def connected(mirrored: InfluxSettings, **changes: Any) -> None:  # noqa: ANN401 - members of all types
    log = changes.pop("log", "main")
    with eventstore.connect(settings=msgspec.structs.replace(mirrored, **changes), log=log) as reader:
        reader.head()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a token": ({"token": "wrong"}, "does not accept the token"),
    "no token": ({"token": ""}, "does not accept the token"),
    "a bucket": ({"bucket": "no-such-bucket"}, "no-such-bucket"),
    "an organisation": ({"org": "no-such-org"}, "no-such-org"),
    "a log": ({"log": "no-such-log"}, "has no log 'no-such-log': its logs are main"),
    "a host": ({"url": "http://no-such-host.invalid:8086"}, "no-such-host"),
    "a token's file": ({"token_file": "no/such/file"}, "no/such/file cannot be read"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_setting_is_named_at_once(mirrored: InfluxSettings, what: str) -> None:
    changes, words = WRONG[what]
    began = time.monotonic()
    with pytest.raises(Unavailable, match=words) as caught:
        connected(mirrored, **changes)
    assert time.monotonic() - began < SECONDS_MAX
    assert mirrored.token not in str(caught.value)


def test_a_port_without_a_server_is_named_at_once(mirrored: InfluxSettings) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    began = time.monotonic()
    with pytest.raises(Unavailable, match=url):
        connected(mirrored, url=url)
    assert time.monotonic() - began < SECONDS_MAX


def test_a_malformed_log_name_is_refused(mirrored: InfluxSettings) -> None:
    with pytest.raises(InvalidEvent, match="log 'a b'"):
        connected(mirrored, log="a b")


def test_a_revoked_token_ends_a_reader_at_once(
    server: Server, mirrored: InfluxSettings, records: Sequence[Record]
) -> None:
    with Proxy.before(server) as proxy:
        settings = msgspec.structs.replace(mirrored, url=proxy.url, patience_seconds=60.0)
        with eventstore.connect(settings=settings) as reader:
            assert reader.head() == len(records)
            proxy.answer_with(401, 1, path="/query")
            began = time.monotonic()
            with pytest.raises(StoreError, match="does not accept the token"):
                reader.head()
            assert time.monotonic() - began < SECONDS_MAX


def test_a_read_token_is_enough_to_read(server: Server, mirrored: InfluxSettings, records: Sequence[Record]) -> None:
    token = server.make_token(mirrored.bucket, read=True, write=False)
    with eventstore.connect(mirrored.url, org=mirrored.org, bucket=mirrored.bucket, token=token) as reader:
        assert list(reader.read()) == list(records)
