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
from tests.influx.mirroring import count, expected_points, fill, points, ship, until
from tests.influx.test_checking import instant
from tests.influx.test_claims import at_work, forget, measures_of


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper, "RECHECK_SECONDS", 0.1)


@pytest.fixture
def shipped(tmp_path: Path, settings: InfluxSettings) -> Iterator[EventStore]:
    """A store of ten events, which InfluxDB has."""
    with eventstore.open(tmp_path / "data") as store:
        fill(store, 10)
        ship(tmp_path / "data", settings)
        yield store


@pytest.mark.parametrize("gone", [(10, 10), (4, 6), (1, 10)])
def test_what_was_confirmed_and_is_gone_is_shipped_again(
    shipped: EventStore, settings: InfluxSettings, server: Server, bucket: str, gone: tuple[int, int]
) -> None:
    """A server that was killed may have lost what it had confirmed, at the end or in the middle."""
    first, last = (next(shipped.read(after=position - 1)).recorded_at for position in gone)
    server.delete_points(bucket, '_measurement="events"', instant(first), instant(last))
    fill(shipped, 5)
    with at_work(shipped, settings) as shipping_:
        until(lambda: shipped.mirror.status.position == 15, "it goes on by itself")
        told = shipped.mirror.status.last_error or ""
        missing = gone[1] - gone[0] + 1
        assert f"had lost {missing} of positions {gone[0]} to 10, which it had confirmed" in told
        shipping_.shipper._checked_at = 0
        assert points(server, bucket) == expected_points(shipped)


def test_what_is_gone_from_long_before_the_cursor_halts_until_it_is_back(
    shipped: EventStore, settings: InfluxSettings, server: Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is no crash: points were deleted, or an older copy was restored, and somebody has to look."""
    monkeypatch.setattr("eventstore.influx.ship.history.LOOK_BACK", 4)
    lines = Encoder("main", shipped.log_id, measures_of(shipped)).lines(shipped.read())
    forget(server, bucket)
    fill(shipped, 5)
    with at_work(shipped, settings) as shipping_:
        shipping_.halts("lacks position 6", "--repair")
        assert count(server, bucket) == 0
        server.write(bucket, "\n".join(lines).encode())
        shipping_.goes_on()
    assert points(server, bucket) == expected_points(shipped)


def test_what_is_lost_while_shipping_leaves_no_hole(
    shipped: EventStore, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    """What was made ready goes on from the old place, and InfluxDB has nothing of what was before it."""
    with at_work(shipped, settings) as shipping_:
        shipping_.goes_on()
        forget(server, bucket)
        fill(shipped, 5)
        shipping_.shipper._checked_at = 0  # as after any trouble
        until(lambda: count(server, bucket) == 15, "all is shipped again")
        until(lambda: shipped.mirror.status.position == 15, "and told")
    assert points(server, bucket) == expected_points(shipped)


def test_what_was_altered_beside_what_is_lost_stays_as_evidence(
    shipped: EventStore, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    lines = Encoder("main", shipped.log_id, measures_of(shipped)).lines(shipped.read())
    gone = next(shipped.read(after=2)).recorded_at
    server.delete_points(bucket, '_measurement="events"', instant(gone), instant(gone))
    forged = lines[6].replace("position=7i", "position=70i")
    server.write(bucket, forged.encode())
    with at_work(shipped, settings):
        until(lambda: "had lost 1 of positions 3 to 10" in (shipped.mirror.status.last_error or ""), "it is told")
        assert "left as they are: list them with eventstore mirror --check" in (shipped.mirror.status.last_error or "")
        until(lambda: count(server, bucket) == 10, "what is gone is there again")
    found = server.influxql(bucket, "SELECT position FROM events WHERE position = 70")
    assert len(found["results"][0]["series"][0]["values"]) == 1
