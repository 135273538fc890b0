"""A batch counts as mirrored once it has been read back, whatever InfluxDB loses after it confirmed the write."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import eventstore
from eventstore import EventStore, InfluxSettings
from eventstore.influx import status
from eventstore.influx.client import Client
from eventstore.influx.ship import mirror, sending, shipper
from eventstore.influx.ship.batches import EncodedBatch
from eventstore.influx.ship.sending import CircuitBreaker
from eventstore.influx.ship.shipper import Shipper
from eventstore.side import FileSide
from tests.influx.api import Server
from tests.influx.mirroring import WAIT_SECONDS, count, event, expected_points, fill, points, settings_for
from tests.influx.proxy import WRITE, Proxy
from tests.influx.test_checking import instant
from tests.influx.test_claims import replaced, shipper_running
from tests.influx.test_mirror_process import shipping_pid
from tests.waiting import until

QUERY = "/query"
FOREVER = 1_000_000


@pytest.fixture(autouse=True)
def _rare_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two batches nothing is checked, so that only reading back can notice a loss."""
    monkeypatch.setattr(shipper, "RECHECK_SECONDS", 0.1)
    monkeypatch.setattr(shipper, "CHECK_SECONDS", 1_000)
    monkeypatch.setattr(shipper, "WRITE_CHECK_SECONDS", 1_000)
    monkeypatch.setattr(mirror, "WAIT_SECONDS", WAIT_SECONDS)


def delete_from(server: Server, bucket: str, store: EventStore, position: int) -> None:
    """Delete the points of a position and of all later ones."""
    (first,) = store.read(after=position - 1, limit=1)
    server.delete_points(bucket, '_measurement="events"', start=instant(first.recorded_at))


@pytest.mark.parametrize("lost", [11, 10, 8, 1])
@pytest.mark.parametrize("is_between_batches", [False, True], ids=["after the write", "between two batches"])
def test_an_event_is_not_mirrored_before_all_points_are_there(
    *,
    lost: int,
    is_between_batches: bool,
    store: EventStore,
    settings: InfluxSettings,
    server: Server,
    bucket: str,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """InfluxDB loses a position and all after it, before or after it confirms the write of position 11."""
    with shipper_running(store, replaced(settings, url=proxy.url)) as running:
        until(lambda: store.mirror.wait(timeout=0.1), "ten events are mirrored")
        until(lambda: running.shipper._heartbeat_head == 10, "no heartbeat is due")

        failing: list[int] = []

        def send(client: Client, batch: EncodedBatch, breaker: CircuitBreaker) -> None:
            if failing:  # a retry that began before the proxy is fixed and ends after it loses nothing again
                sending.send(client, batch, breaker)
                return
            if is_between_batches and lost < batch.first:
                delete_from(server, bucket, store, lost)
            sending.send(client, batch, breaker)
            if not is_between_batches:
                delete_from(server, bucket, store, lost)
            failing.append(batch.position)
            proxy.answer_with(503, FOREVER, path=WRITE)

        confirmed: list[tuple[int, int]] = []
        confirm = Shipper._confirm

        def count_and_confirm(self: Shipper, batch: EncodedBatch) -> None:
            confirmed.append((batch.position, count(server, bucket)))
            confirm(self, batch)

        monkeypatch.setattr(shipper, "send", send)
        monkeypatch.setattr(Shipper, "_confirm", count_and_confirm)
        store.append("order/ACC1/late", event(1))
        if is_between_batches and lost == 11:
            assert store.mirror.wait(timeout=WAIT_SECONDS), "nothing is lost in this case"
        else:
            until(lambda: store.mirror.status.state == "waiting", "the loss is noticed")
            until(lambda: store.mirror.status.position == lost - 1, "the cursor is before the first lost point")
            assert not store.mirror.wait(timeout=0.1)
        monkeypatch.setattr(shipper, "send", sending.send)
        proxy.answer_with(503, 0, path=WRITE)
        until(lambda: store.mirror.wait(timeout=0.1), "the lost points are shipped again")
        assert points(server, bucket) == expected_points(store)
        assert confirmed, "the event was confirmed in the end"
        assert all(position == there for position, there in confirmed), confirmed


def test_a_kill_between_write_and_read_back_confirms_nothing(
    data: Path, server: Server, bucket: str, proxy: Proxy
) -> None:
    with eventstore.open(data, influx=settings_for(server, bucket, proxy.url)) as store:
        fill(store, 10)
        assert store.mirror.wait(timeout=WAIT_SECONDS)
        proxy.answer_with(503, FOREVER, path=QUERY)
        store.append("order/ACC1/late", event(1))
        until(lambda: count(server, bucket) == 11, "the event is written")
        assert not store.mirror.wait(timeout=0.1), "it is not read back yet"
        pid = shipping_pid(data)
        os.kill(pid, signal.SIGKILL)
        mark = status.read_cursor(FileSide(data / "main"))
        assert mark is not None
        assert mark.position == 10
        proxy.answer_with(503, 0, path=QUERY)
        assert store.mirror.wait(timeout=WAIT_SECONDS)
        assert shipping_pid(data) != pid
        assert points(server, bucket) == expected_points(store)
