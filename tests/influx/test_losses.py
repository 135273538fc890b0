"""What InfluxDB confirmed and lost: detected after any failure, shipped again and reported, or halted on if large."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
from eventstore import EventStore, InfluxSettings
from eventstore.influx.points import Encoder
from eventstore.influx.ship import shipper
from tests.influx.api import Server
from tests.influx.mirroring import count, expected_points, fill, points, ship
from tests.influx.test_checking import instant
from tests.influx.test_claims import forget, measures_of, shipper_running
from tests.waiting import until


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper, "RECHECK_SECONDS", 0.1)


@pytest.fixture
def shipped(tmp_path: Path, settings: InfluxSettings) -> Iterator[EventStore]:
    """A store of ten events, mirrored to InfluxDB."""
    with eventstore.open(tmp_path / "data") as store:
        fill(store, 10)
        ship(tmp_path / "data", settings)
        yield store


@pytest.mark.parametrize("gone", [(10, 10), (4, 6), (1, 10)])
def test_lost_points_are_shipped_again(
    shipped: EventStore, settings: InfluxSettings, server: Server, bucket: str, gone: tuple[int, int]
) -> None:
    """A killed server may lose confirmed points, at the end or in the middle."""
    first, last = (next(shipped.read(after=position - 1)).recorded_at for position in gone)
    server.delete_points(bucket, '_measurement="events"', instant(first), instant(last))
    fill(shipped, 5)
    with shipper_running(shipped, settings) as running:
        until(lambda: shipped.mirror.status.position == 15, "it resumes by itself")
        error = shipped.mirror.status.last_error or ""
        missing = gone[1] - gone[0] + 1
        assert f"had lost {missing} of positions {gone[0]} to 10, which it had confirmed" in error
        running.shipper._checked_at = 0
        assert points(server, bucket) == expected_points(shipped)


def test_points_missing_long_before_the_cursor_halt_until_they_are_back(
    shipped: EventStore, settings: InfluxSettings, server: Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is not a crash: points were deleted or an older copy was restored, which needs a decision."""
    monkeypatch.setattr("eventstore.influx.ship.history.LOOK_BACK", 4)
    lines = Encoder("main", shipped.log_id, measures_of(shipped)).lines(shipped.read())
    forget(server, bucket)
    fill(shipped, 5)
    with shipper_running(shipped, settings) as running:
        running.halts("lacks position 6", "--repair")
        assert count(server, bucket) == 0
        server.write(bucket, "\n".join(lines).encode())
        running.resumes()
    assert points(server, bucket) == expected_points(shipped)


def test_points_lost_while_shipping_leave_no_gap(
    shipped: EventStore, settings: InfluxSettings, server: Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The encoded batches follow the old position, but InfluxDB has lost what comes before it."""
    # A check in between would bring the points back before the test has seen them gone.
    monkeypatch.setattr(shipper, "CHECK_SECONDS", 3_600)
    with shipper_running(shipped, settings) as running:
        running.resumes()
        forget(server, bucket)
        fill(shipped, 5)
        running.shipper._checked_at = 0  # as after a failure
        until(lambda: count(server, bucket) == 15, "everything is shipped again")
        until(lambda: shipped.mirror.status.position == 15, "and confirmed")
    assert points(server, bucket) == expected_points(shipped)


def test_an_altered_point_beside_a_lost_one_stays_as_evidence(
    shipped: EventStore, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    lines = Encoder("main", shipped.log_id, measures_of(shipped)).lines(shipped.read())
    lost_at = next(shipped.read(after=2)).recorded_at
    server.delete_points(bucket, '_measurement="events"', instant(lost_at), instant(lost_at))
    forged = lines[6].replace("position=7i", "position=70i")
    server.write(bucket, forged.encode())
    with shipper_running(shipped, settings):
        until(
            lambda: "had lost 1 of positions 3 to 10" in (shipped.mirror.status.last_error or ""),
            "the loss is reported",
        )
        assert "left as they are: list them with eventstore mirror --check" in (shipped.mirror.status.last_error or "")
        until(lambda: count(server, bucket) == 10, "the lost point is back")
    found = server.influxql(bucket, "SELECT position FROM events WHERE position = 70")
    assert len(found["results"][0]["series"][0]["values"]) == 1
