"""Any text makes a round trip through InfluxDB unchanged, and no filter text becomes part of a query."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore import EventReader, Record
from eventstore.events.codec import EVENT_BYTES_MAX
from eventstore.ids import keyed_id
from eventstore.influx.client import Client
from eventstore.influx.read.reader import InfluxReader
from eventstore.testing import naive_digest
from tests.influx import filling
from tests.influx.filling import BEGAN_AT, LOG_ID, SECOND, JsonClient, with_digest
from tests.influx.servers import Server

AWKWARD = (
    "", " ", "\\", '"', '\\"', "\\\\", "a\\", "\n", "\r\n", "a\nb", "\t", "\x00", "\x7f", "\x85", "\u2028", "\ufeff",
    "\ufffe", "é", "漢字", "😀", "e\u0301", "\u202e", "'", "' OR 1=1 --", "; DROP MEASUREMENT events", "$log", "/.*/",
    "a,b=c d", "#", "%2F", "{}", "null", "x" * 2_000, '"' * 500, "\\" * 501,
)  # fmt: skip
texts = st.one_of(
    st.sampled_from(AWKWARD),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.text("\\\"\n ,='é", max_size=20),
)
entities = texts.map(lambda text: "".join(sign for sign in text if sign.isprintable()).replace("/", "%2F")[:30] or "-")


def record_with(position: int, each: tuple[str, ...], log: str = "main") -> Record:
    """Return a record with four texts: the entity of its stream, in its data, its actor and its note."""
    entity, text, actor, note = each
    stream = f"order/ACC1/{entity}"
    data = json.dumps({"text": text, "symbol": text, "reason": note}, ensure_ascii=False).encode()
    record = Record(
        keyed_id(stream, str(position)), stream, "Noted", 1, BEGAN_AT, data, actor, note, None, None, position, 1,
        BEGAN_AT + position * SECOND, b"", log,
    )  # fmt: skip
    return with_digest(record)


numbers = itertools.count(1)


@pytest.fixture(scope="module")
def texts_bucket(server: Server) -> Iterator[str]:
    bucket = server.make_bucket()
    yield bucket
    server.delete_bucket(bucket)


def read_back(server: Server, bucket: str, records: Sequence[Record]) -> None:
    """Write records, read them in both encodings, and compare them and their independently computed digests."""
    filling.fill(server, bucket, records)
    for kind in (Client, JsonClient):
        with InfluxReader(kind(filling.settings_of(server, bucket)), records[0].log) as reader:
            found = list(reader.read())
            assert found == list(records)
            assert [naive_digest(LOG_ID, record) for record in found] == [record.digest for record in records]
            for record in {record.stream: record for record in records[:4]}.values():
                by_stream = [r for r in records if r.stream == record.stream]
                assert list(reader.read(stream=record.stream)) == by_stream


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(drawn=st.lists(st.tuples(entities, texts, texts, texts), min_size=40, max_size=80))
def test_any_text_in_any_field_is_read_back(
    server: Server, texts_bucket: str, drawn: list[tuple[str, str, str, str]]
) -> None:
    log = f"log-{next(numbers)}"
    read_back(server, texts_bucket, [record_with(position, each, log) for position, each in enumerate(drawn, 1)])


def test_each_awkward_text_in_each_field_is_read_back(server: Server, bucket: str) -> None:
    printable = [text for text in AWKWARD if text and text.isprintable() and "/" not in text and len(text) < 100]
    plain = ("e", "t", "a", "n")
    drawn = [
        (*plain[:place], text, *plain[place + 1 :]) for place in range(4) for text in (AWKWARD if place else printable)
    ]
    read_back(server, bucket, [record_with(position, each) for position, each in enumerate(drawn, 1)])


@pytest.mark.parametrize(
    "sign", ["x", '"', "\\", "é", "😀", "\n"], ids=["letters", "quotes", "backslashes", "é", "emoji", "newlines"]
)
def test_an_event_of_the_maximum_size_is_read_back(server: Server, bucket: str, sign: str) -> None:
    size = len(json.dumps(sign, ensure_ascii=False).encode()) - 2
    data = json.dumps({"text": sign * ((EVENT_BYTES_MAX - 20) // size)}, ensure_ascii=False).encode()
    long = [record_with(position, ("e", "t", "a", sign * 2_000)) for position in (1, 2)]
    records = [with_digest(msgspec.structs.replace(record, data=data)) for record in long]
    assert EVENT_BYTES_MAX - 60 < len(data) <= EVENT_BYTES_MAX
    read_back(server, bucket, records)


@pytest.fixture(scope="module")
def reader(server: Server) -> Iterator[tuple[EventReader, Sequence[Record]]]:
    """A reader of streams whose names would inject code into a query."""
    bucket = server.make_bucket()
    records = [record_with(position, (entity, "t", "a", "n")) for position, entity in enumerate(INJECTED, 1)]
    filling.fill(server, bucket, records)
    with InfluxReader(Client(filling.settings_of(server, bucket)), "main") as reader:
        yield reader, records
    server.delete_bucket(bucket)


INJECTED = (
    "' OR 1=1", "' OR 'a'='a", "x' OR time > 0 --", '" OR 1=1', "; DROP SERIES FROM events", "$stream0", "$log",
    "\\' OR 1=1", "\\", "'", '"', "%", ".*", "=~", "a b", "é", "😀", "-- ", "') OR (1=1", "\\\\",
)  # fmt: skip


@pytest.mark.parametrize("entity", INJECTED)
def test_the_name_of_a_stream_is_never_part_of_a_query(
    reader: tuple[EventReader, Sequence[Record]], entity: str
) -> None:
    source, records = reader
    stream = f"order/ACC1/{entity}"
    expected = [record for record in records if record.stream == stream]
    assert len(expected) == 1
    assert list(source.read(stream=stream)) == expected
    assert list(source.read(stream=stream, types=("Noted", "Other"), account="ACC1")) == expected
    assert source.version(stream) == 1
    for other in (f"order/ACC1/{entity}'", f"order/ACC2/{entity}", f"order/ACC1/{entity} "):
        assert list(source.read(stream=other)) == []
        assert source.version(other) == 0
