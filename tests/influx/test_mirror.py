"""A store's mirror on a real InfluxDB: every appended event arrives, complete and once, and MIRRORED reports it."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import msgspec
import pytest

import eventstore
from eventstore import MIRRORED, Batch, CorruptJournal, InfluxSettings, NotMirrored, Unavailable
from eventstore.clock import NANOSECONDS, ManualClock
from eventstore.influx.ship.shipper import Shipper
from eventstore.influx.status import CURSOR, LOCK_FILE
from eventstore.side import FileSide
from tests.influx.api import Server
from tests.influx.mirroring import (
    WAIT_SECONDS,
    as_lines,
    count,
    event,
    expected_points,
    expected_types,
    fill,
    points,
    run_worker,
    ship,
)
from tests.influx.servers import free_port
from tests.waiting import until

SECONDS = 1.0


@pytest.fixture
def dead(settings: InfluxSettings) -> InfluxSettings:
    """Settings with the address of a port without a server."""
    return msgspec.structs.replace(settings, url=f"http://127.0.0.1:{free_port()}", wait_seconds=SECONDS)


def test_appended_events_read_back_in_another_process_byte_for_byte(data: Path, settings: InfluxSettings) -> None:
    with eventstore.open(data, influx=settings) as store:
        fill(store, 1_234)
        assert store.mirror.wait(timeout=WAIT_SECONDS)
        assert run_worker(settings, "read", "main") == as_lines(list(store.read()))


def test_each_record_and_each_type_has_its_point(
    data: Path, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    with eventstore.open(data) as store:
        fill(store, 300)
        assert ship(data, settings) == 300
        assert points(server, bucket) == expected_points(store)
        assert points(server, bucket, "types") == expected_types(store)
        (claim,) = points(server, bucket, "logs")
        assert ("log_id", store.log_id.hex()) in claim  # type: ignore[operator]


def test_the_status_has_position_lag_and_state(data: Path, settings: InfluxSettings, dead: InfluxSettings) -> None:
    with eventstore.open(data) as store:
        found = store.mirror.status
        assert (found.position, found.lag_events, found.lag_seconds, found.state) == (0, 0, 0.0, "stopped")
    with eventstore.open(data, influx=dead) as store:
        fill(store, 20)
        until(lambda: store.mirror.status.state == "waiting", "the server is unreachable")
        time.sleep(0.1)
        found = store.mirror.status
        assert (found.position, found.lag_events) == (0, 20)
        assert 0.1 <= found.lag_seconds < WAIT_SECONDS
        assert "does not respond" in (found.last_error or "")
        assert "20 behind" in repr(store.mirror)
    with eventstore.open(data, influx=settings) as store:
        assert store.mirror.wait(timeout=WAIT_SECONDS)
        found = store.mirror.status
        assert (found.position, found.lag_events, found.lag_seconds) == (20, 0, 0.0)
        assert (found.state, found.last_error) == ("shipping", None)


def test_wait_returns_once_a_position_is_confirmed_and_not_before(
    data: Path, settings: InfluxSettings, dead: InfluxSettings
) -> None:
    with eventstore.open(data, influx=dead) as store:
        fill(store, 10)
        assert store.mirror.wait(0, timeout=0.1)
        assert not store.mirror.wait(1, timeout=0.1)
    with eventstore.open(data, influx=settings) as store:
        assert store.mirror.wait(10, timeout=WAIT_SECONDS)
        assert not store.mirror.wait(11, timeout=0.1)


def test_mirrored_returns_after_influxdb_has_it(
    data: Path, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    with eventstore.open(data, influx=settings) as store:
        for number in range(1, 21):
            store.append("order/ACC1/1", event(number), durability=MIRRORED)
            assert count(server, bucket) == number


def test_mirrored_in_another_process_waits_for_the_one_that_ships(
    data: Path, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    with eventstore.open(data, influx=settings) as store:
        fill(store, 5)
        assert run_worker(settings, "mirrored", data, WAIT_SECONDS) == ["6"]
        assert count(server, bucket) == 6
        # Opened with `influx` too: its own process waits for the lock, and its store for the other's cursor.
        with eventstore.open(data, influx=settings) as second:
            second.append("order/ACC1/second", event(1), durability=MIRRORED)
            assert count(server, bucket) == 7


def test_mirrored_without_a_mirror_is_refused_before_anything_is_written(data: Path) -> None:
    with eventstore.open(data) as store:
        with pytest.raises(Unavailable, match="influx=InfluxSettings"):
            store.append("order/ACC1/1", event(1), durability=MIRRORED)
        assert store.head() == 0


def test_mirrored_waits_for_the_last_record_that_a_repeated_append_returns(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches repeated with their keys return their first records, in the order of the repeated call."""
    with eventstore.open(data) as store:
        first = store.append("order/ACC1/1", event(1), key="1")
        second = store.append("order/ACC1/2", event(2), key="2")
        lock = FileSide(data / "main").lock(LOCK_FILE)
        assert lock.take()
        lock.release()
        asked: list[int] = []
        monkeypatch.setattr(store.mirror, "_wait", lambda target, _: asked.append(target))
        again = [Batch("order/ACC1/2", event(2), key="2"), Batch("order/ACC1/1", event(1), key="1")]
        assert store.append_many(again, durability=MIRRORED) == second + first
        assert asked == [2]


@pytest.mark.slow
def test_not_mirrored_carries_the_records_which_are_shipped_later(
    data: Path, settings: InfluxSettings, dead: InfluxSettings
) -> None:
    with eventstore.open(data, influx=dead) as store:
        began = time.monotonic()
        with pytest.raises(NotMirrored, match="durable in the journal") as caught:
            store.append("order/ACC1/1", event(1), durability=MIRRORED)
        assert SECONDS <= time.monotonic() - began < SECONDS + 2.0
        assert list(caught.value.records) == list(store.read())
    assert run_worker(dead, "mirrored", data, SECONDS) == ["NotMirrored", "2"]
    with eventstore.open(data, influx=settings) as store:
        assert store.mirror.wait(timeout=WAIT_SECONDS)
        assert run_worker(settings, "read", "main") == as_lines(list(store.read()))


def test_a_dead_server_neither_slows_nor_fails_an_append(data: Path, dead: InfluxSettings, tmp_path: Path) -> None:
    def slowest_of_the_quick(path: Path, influx: InfluxSettings | None) -> float:
        with eventstore.open(path, influx=influx) as store:
            if influx:
                until(lambda: store.mirror.status.state == "waiting", "the server is unreachable")
            taken = []
            for number in range(300):
                began = time.monotonic()
                store.append("order/ACC1/1", event(number))
                taken.append(time.monotonic() - began)
            assert store.head() == 300
        return sorted(taken)[270]

    quiet, mirrored = slowest_of_the_quick(tmp_path / "quiet", None), slowest_of_the_quick(data, dead)
    # With tolerance for other tests: waiting for a connection would take tenths of seconds.
    assert mirrored < quiet * 5 + 0.02


def test_a_damaged_cursor_halts_with_its_name_and_loses_no_record(
    data: Path, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    with eventstore.open(data, influx=settings) as store:
        fill(store, 10)
        assert store.mirror.wait(timeout=WAIT_SECONDS)
        cursor = data / "main" / "watermarks" / CURSOR
        cursor.write_bytes(b"{")
        found = store.mirror.status
        assert found.state == "halted"
        assert "watermark" in (found.last_error or "")
        assert "damaged" in (found.last_error or "")
        with pytest.raises(NotMirrored, match="damaged") as caught:
            store.mirror.confirm(list(store.read()))
        assert len(caught.value.records) == 10
        cursor.unlink()
        assert store.append("order/ACC1/1", event(1), durability=MIRRORED)
        assert count(server, bucket) == 11


@pytest.mark.parametrize("what", ["log_id", "root"])
def test_a_cursor_of_another_log_or_tree_ships_nothing(
    what: str, data: Path, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    with eventstore.open(data) as store:
        fill(store, 10)
        ship(data, settings)
        fill(store, 10)
        cursor = data / "main" / "watermarks" / CURSOR
        other = cursor.read_bytes()
        good = msgspec.json.decode(other)
        del good["checksum"]  # as an older version wrote it
        wrong = msgspec.json.encode(good | {what: "00" * len(good[what][::2])})
        shipper = Shipper(store._journal, FileSide(data / "main"), settings)
        cursor.write_bytes(wrong)
        with pytest.raises(CorruptJournal, match="another log" if what == "log_id" else "another root"):
            shipper.run(once=True, patience_seconds=SECONDS)
        assert count(server, bucket) == 10
        cursor.write_bytes(other)
        assert ship(data, settings) == 20


@pytest.mark.parametrize("how", ["removed", "older", "empty"])
def test_an_older_cursor_changes_nothing_in_influxdb(
    how: str, data: Path, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    cursor = data / "main" / "watermarks" / CURSOR
    with eventstore.open(data) as store:
        fill(store, 50)
        ship(data, settings)
        older = cursor.read_bytes()
        fill(store, 6_000)
        ship(data, settings)
        before = points(server, bucket), points(server, bucket, "types"), points(server, bucket, "logs")
        newer = msgspec.json.decode(cursor.read_bytes())
        if how == "removed":
            cursor.unlink()
        else:
            cursor.write_bytes(older if how == "older" else b"")
        assert ship(data, settings) == 6_050
        assert (points(server, bucket), points(server, bucket, "types"), points(server, bucket, "logs")) == before
        assert before[0] == expected_points(store)
        assert msgspec.json.decode(cursor.read_bytes()) == newer, "the cursor's file was not written again"


def test_two_events_in_one_nanosecond_or_after_a_clock_set_back_are_two_points(
    data: Path, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    clock = ManualClock(1_700_000_000 * NANOSECONDS)
    with eventstore.open(data, clock=clock) as store:
        fill(store, 100, size=1)
        clock.set(clock.now_ns() - 3_600 * NANOSECONDS)
        fill(store, 100)
        ship(data, settings)
        assert len(points(server, bucket)) == 200
        assert points(server, bucket) == expected_points(store)
        assert run_worker(settings, "read", "main") == as_lines(list(store.read()))


@pytest.mark.slow
def test_twenty_processes_and_two_logs_in_one_bucket_lose_no_point(
    data: Path, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(eventstore.open(data, log=log, influx=settings)) for log in ("main", "other")]
        assert run_worker(settings, "append", data, 20, 40) == ["20"]
        for store in stores:
            assert store.head() == 400
            assert store.mirror.wait(timeout=WAIT_SECONDS)
            assert points(server, bucket, log=store.log) == expected_points(store)
            assert run_worker(settings, "read", store.log) == as_lines(list(store.read()))


def test_symbols_are_tags_as_the_first_claim_says(
    data: Path, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    without = msgspec.structs.replace(settings, symbols=False)
    with eventstore.open(data) as store, eventstore.open(data, log="other") as other:
        fill(store, 20)
        fill(other, 20)
        ship(data, without)
        ship(data, settings, log="other")
        fill(store, 20)
        fill(other, 20)
        ship(data, settings)
        ship(data, without, log="other")
        assert points(server, bucket) == expected_points(store, symbols=False)
        assert not any("symbol" in tags for tags, _ in points(server, bucket).values())
        assert points(server, bucket, log="other") == expected_points(other)


def test_events_without_a_class_here_have_the_declared_measures_of_their_type(
    data: Path, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    # Registered in the appending process only: the shipping process, like the child, has no such class.
    assert run_worker(settings, "declare", data, 5) == ["5"]
    assert ship(data, settings) == 5
    found = sorted(fields["position"] for _, fields in points(server, bucket).values())  # type: ignore[type-var]
    assert found == [1, 2, 3, 4, 5]
    depths = {fields["position"]: fields.get("depth") for _, fields in points(server, bucket).values()}
    assert depths == {1: 0.5, 2: 1.5, 3: 2.5, 4: 3.5, 5: 4.5}
    with eventstore.open(data) as store:
        assert points(server, bucket, "types") == expected_types(store)
        assert run_worker(settings, "read", "main") == as_lines(list(store.read()))
