"""Whole days, mirrored while they are appended and read by another process: every byte, and every book."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

import eventstore
import projections
from eventstore import Batch, EventReader, EventStore, InfluxSettings, Record
from gateways.demo.day import EVENTS, ticks
from gateways.importers import import_file
from tests.influx import filling
from tests.influx.servers import Server
from tests.projections.histories import states
from tests.reliability.checking import ROOT, environment

DATA = ROOT.parent / "shared" / "data" / "lobster"
pytestmark = pytest.mark.untraced

MIRROR_SECONDS_MAX = 90.0
READ_SECONDS_MAX = 120.0


class Summary(msgspec.Struct, frozen=True):
    """What a process has read: the number of records, and digests of their bytes, of the book and of the tree."""

    records: int
    content: str
    book: str
    root: str


def summary_of(reader: EventReader) -> Summary:
    size, root = reader.root()
    found = digested(msgspec.msgpack.encode(record) for record in reader.read())
    return Summary(size, found, book_of(reader), root.hex())


def digested(parts: Iterable[bytes]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(4, "big") + part)
    return whole.hexdigest()


def book_of(reader: EventReader) -> str:
    """Return a digest of the states of all views, folded from the beginning."""
    past = projections.as_of(reader, position=reader.head())
    assert not past.parked
    found = states(past._fold)
    return digested(repr(key).encode() + msgspec.msgpack.encode(found[key]) for key in sorted(found))


def summary_elsewhere(settings: InfluxSettings) -> Summary:
    """Read in another process, which has InfluxDB only."""
    command = [sys.executable, "-m", "tests.influx.test_whole_days"]
    given = msgspec.json.encode(settings)
    found = subprocess.run(
        command, input=given, cwd=ROOT, env=environment(), timeout=READ_SECONDS_MAX, capture_output=True, check=True
    )
    return msgspec.json.decode(found.stdout, type=Summary)


def compare(store: EventStore, settings: InfluxSettings, count: int) -> None:
    assert store.mirror.wait(timeout=MIRROR_SECONDS_MAX), store.mirror.status
    assert store.head() == count
    elsewhere = summary_elsewhere(settings)
    assert elsewhere == summary_of(store)
    assert elsewhere.records == count
    with eventstore.connect(settings=settings) as reader:
        for here, there in zip(store.read(), reader.read(), strict=True):
            assert_same(here, there)


def assert_same(here: Record, there: Record) -> None:
    assert msgspec.msgpack.encode(here) == msgspec.msgpack.encode(there)


@pytest.mark.slow
def test_the_demo_s_day_is_the_same_in_influx(server: Server, bucket: str, tmp_path: Path) -> None:
    settings = filling.settings_of(server, bucket)
    with eventstore.open(tmp_path / "data", influx=settings) as store:
        for tick in ticks(lambda _account, _symbol, _at: True):
            store.append_many(
                [
                    Batch(fact.stream, fact.event, key=fact.key, occurred_at=fact.occurred_at, actor=fact.actor)
                    for fact in tick
                ]
            )
        assert abs(store.head() - EVENTS) < EVENTS // 2
        compare(store, settings, store.head())


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real data is not on this machine: there is no {DATA}")
def test_a_nasdaq_day_is_the_same_in_influx(server: Server, bucket: str, tmp_path: Path) -> None:
    settings = filling.settings_of(server, bucket)
    with eventstore.open(tmp_path / "data", influx=settings) as store:
        import_file(store, next(DATA.glob("*.zip")), "lobster", account="N1")
        compare(store, settings, 147_917)


if __name__ == "__main__":
    with eventstore.connect(settings=msgspec.json.decode(sys.stdin.buffer.read(), type=InfluxSettings)) as reader:
        sys.stdout.buffer.write(msgspec.json.encode(summary_of(reader)))
