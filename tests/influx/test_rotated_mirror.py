"""The mirror of a rotated log: each log has its own, and a position is waited for in the log that has it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import eventstore
from eventstore import MIRRORED, Batch, InfluxSettings, NotMirrored
from projections.rotation import rotate
from tests.cli.command import run_here
from tests.influx.mirroring import WAIT_SECONDS, event

OLD, NEW = Batch("order/ACC1/1", event(1), key="old"), Batch("order/ACC1/2", event(2), key="new")
SECONDS = 1.0


@pytest.fixture
def rotated(data: Path) -> Path:
    """Return the directory of a log with a record, and of the one that continues it; neither is mirrored."""
    with eventstore.open(data) as store:
        store.append_many([OLD])
        rotate(store)
    return data


def ship_old(data: Path, settings: InfluxSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ship what the old log has, as it is done after a rotation."""
    for name in ("url", "org", "bucket", "token"):
        monkeypatch.setenv(f"EVENTSTORE_INFLUX_{name.upper()}", str(getattr(settings, name)))
    assert run_here("mirror", "--once", "--data", data).code == 0


def test_a_position_of_a_record_is_waited_for(rotated: Path, settings: InfluxSettings) -> None:
    with eventstore.open(rotated, influx=settings) as store:
        [record] = store.append_many([NEW], durability=MIRRORED)
        assert record.position == store.head()
        assert store.mirror.wait(record.position, timeout=WAIT_SECONDS)
        assert not store.mirror.wait(record.position + 1, timeout=0.2)
        assert not store.mirror.wait(1, timeout=0.2), "the old log was never shipped"


def test_what_the_old_log_has_is_mirrored_once_that_is(
    rotated: Path, settings: InfluxSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry returns a record of the old log, alone or beside one of the newest."""
    impatient = msgspec.structs.replace(settings, wait_seconds=SECONDS)
    with eventstore.open(rotated, influx=impatient) as store:
        assert store.mirror.wait(timeout=WAIT_SECONDS)
        with pytest.raises(NotMirrored, match="the events up to position 1 are durable") as caught:
            store.append_many([OLD], durability=MIRRORED)
        assert [record.position for record in caught.value.records] == [1]
    ship_old(rotated, settings, monkeypatch)
    with eventstore.open(rotated, influx=settings) as store:
        assert store.mirror.wait(1, timeout=SECONDS)
        [old] = store.append_many([OLD], durability=MIRRORED)
        assert old.position == 1
        [new] = store.append_many([NEW], durability=MIRRORED)
        assert store.append_many([OLD], durability=MIRRORED) == [old]
        assert new.position == store.head()


def test_not_mirrored_carries_the_records_as_the_store_has_them(rotated: Path, settings: InfluxSettings) -> None:
    nowhere = msgspec.structs.replace(settings, url="http://127.0.0.1:9", wait_seconds=SECONDS)
    with eventstore.open(rotated, influx=nowhere) as store:
        with pytest.raises(NotMirrored) as caught:
            store.append_many([NEW], durability=MIRRORED)
        assert list(caught.value.records) == list(store.read(stream=NEW.stream))
        assert f"up to position {store.head()} are durable" in str(caught.value)
