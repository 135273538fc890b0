"""What a mirror refuses: it halts, says what to do, writes no event, and resumes once the cause is fixed."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import apsw
import msgspec
import pytest

import eventstore
from eventstore import EventStore, InfluxSettings, Unavailable
from eventstore.influx import claims
from eventstore.influx.client import Client
from eventstore.influx.points import Encoder
from eventstore.influx.ship import shipper
from eventstore.influx.ship.shipper import Shipper
from eventstore.influx.status import CURSOR
from eventstore.side import HOME, FileSide
from eventstore.trading import FeeCharged
from tests.influx.api import Server
from tests.influx.mirroring import WAIT_SECONDS, count, expected_points, fill, points, run_worker, ship
from tests.influx.proxy import Proxy
from tests.waiting import until

HOUR_SECONDS = 3_600


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper, "RECHECK_SECONDS", 0.1)


class Shipping(NamedTuple):
    """A shipper that runs in a thread of this process."""

    store: EventStore
    shipper: Shipper

    def halts(self, *words: str) -> str:
        """Wait until it is halted for a reason that contains these words; return the reason."""

        def is_halted() -> bool:
            found = self.store.mirror.status
            return found.state == "halted" and all(word in (found.last_error or "") for word in words)

        with contextlib.suppress(AssertionError):
            until(is_halted, "halted", seconds=10)
        found = self.store.mirror.status
        assert is_halted(), found
        return found.last_error or ""

    def lines(self) -> list[str]:
        """Return the lines of all events."""
        return Encoder("main", self.store.log_id, measures_of(self.store)).lines(self.store.read())

    def resumes(self) -> None:
        """Wait until it has shipped everything."""
        assert self.store.head()
        until(lambda: self.store.mirror.status.position == self.store.head(), "it resumes by itself")
        until(lambda: self.store.mirror.status.state == "shipping", "its state is shipping")
        assert self.store.mirror.status.last_error is None


@contextlib.contextmanager
def shipper_running(store: EventStore, settings: InfluxSettings) -> Iterator[Shipping]:
    """Ship a store's log in a thread."""
    assert store.directory is not None
    shipper = Shipper(store._journal, FileSide(store.directory), settings)
    thread = threading.Thread(target=shipper.run)
    thread.start()
    try:
        yield Shipping(store, shipper)
    finally:
        shipper.stop()
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive()


def replaced(settings: InfluxSettings, **changes: str) -> InfluxSettings:
    return msgspec.structs.replace(settings, **changes)


# Tokens and buckets


def test_a_wrong_token_halts_until_its_file_has_the_right_one(
    store: EventStore, settings: InfluxSettings, server: Server, bucket: str, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("wrong", "utf-8")
    with shipper_running(store, replaced(settings, token="", token_file=str(token_file))) as running:
        running.halts("token", "unauthorized")
        assert count(server, bucket) == 0
        token_file.write_text(server.token + "\n", "utf-8")
        running.resumes()
    assert points(server, bucket) == expected_points(store)


def test_a_token_that_may_only_read_halts(
    store: EventStore, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    token = server.make_token(bucket, read=True, write=False)
    with shipper_running(store, replaced(settings, token=token)) as running:
        running.halts("the token has no permission", bucket)
        assert not points(server, bucket, "logs")
        assert count(server, bucket) == 0


def test_a_token_that_may_only_write_halts(
    store: EventStore, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    token = server.make_token(bucket, read=False, write=True)
    with shipper_running(store, replaced(settings, token=token)) as running:
        running.halts(bucket)
        assert count(server, bucket) == 0


def test_a_missing_organisation_halts(store: EventStore, settings: InfluxSettings) -> None:
    with shipper_running(store, replaced(settings, org="nobody")) as running:
        running.halts("nobody")


def test_a_missing_bucket_halts_until_it_is_created(
    store: EventStore, settings: InfluxSettings, server: Server
) -> None:
    name = settings.bucket + "-later"
    with shipper_running(store, replaced(settings, bucket=name)) as running:
        running.halts(name, "create it")
        server.make_bucket(name=name)
        running.resumes()
    assert points(server, name) == expected_points(store)
    server.delete_bucket(name)


def test_a_bucket_with_finite_retention_halts(store: EventStore, settings: InfluxSettings, server: Server) -> None:
    name = server.make_bucket(retention_seconds=HOUR_SECONDS)
    with shipper_running(store, replaced(settings, bucket=name)) as running:
        running.halts(name, "deletes points", "infinite")
        assert count(server, name) == 0
    server.delete_bucket(name)


def test_patience_limits_a_halt_too(
    store: EventStore, settings: InfluxSettings, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the next check is much later."""
    monkeypatch.setattr(shipper, "RECHECK_SECONDS", WAIT_SECONDS)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="none"):
        ship(data, replaced(settings, bucket="none"), seconds=0.2)
    assert time.monotonic() - began < WAIT_SECONDS / 2


# Other logs, other copies, other histories


def test_another_log_of_the_same_name_halts(
    store: EventStore, settings: InfluxSettings, server: Server, bucket: str, tmp_path: Path
) -> None:
    with eventstore.open(tmp_path / "other") as other:
        fill(other, 3)
        ship(tmp_path / "other", settings)
        before = points(server, bucket)
        with shipper_running(store, settings) as running:
            running.halts("another log 'main'", other.log_id.hex(), "another name")
        assert points(server, bucket) == before == expected_points(other)


def test_points_of_another_log_without_a_claim_halt(
    store: EventStore, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    record = next(store.read())
    line = Encoder("main", bytes(16), lambda _type, _schema: ()).lines([record])[0]
    server.write(bucket, line.encode())
    before = points(server, bucket)
    with shipper_running(store, settings) as running:
        running.halts("another log", bytes(16).hex())
        assert points(server, bucket) == before
        assert not points(server, bucket, "logs"), "a bucket that is refused was claimed"
        server.delete_points(bucket, '_measurement="events"')
        running.resumes()
    assert points(server, bucket) == expected_points(store)


@pytest.mark.parametrize("with_home", [True, False])
def test_a_copied_folder_is_refused_until_it_is_adopted(
    *, with_home: bool, store: EventStore, settings: InfluxSettings, data: Path, server: Server, tmp_path: Path
) -> None:
    bucket = settings.bucket
    ship(data, settings)
    shutil.copytree(data, tmp_path / "copy")
    if not with_home:
        (tmp_path / "copy" / "main" / HOME).unlink()
    before = points(server, bucket), points(server, bucket, "logs")
    with eventstore.open(tmp_path / "copy") as copy:
        fill(copy, 5)
        with shipper_running(store, settings), shipper_running(copy, settings) as running:
            running.halts("another copy", "eventstore adopt")
            assert (points(server, bucket), points(server, bucket, "logs")) == before
            home = FileSide(tmp_path / "copy" / "main").new_home()
            with contextlib.closing(Client(settings)) as client:
                found = claims.current(client, "main")
                assert found is not None
                claims.write(client, "main", copy.log_id, home, symbols=True, at=found.claimed_at + 1)
            running.resumes()
        # The copy that shipped before is refused now.
        with shipper_running(store, settings) as running:
            running.halts("another copy", "eventstore adopt")
        assert points(server, bucket) == expected_points(copy)


def test_a_copied_folder_is_refused_in_the_process_of_a_store(
    store: EventStore, settings: InfluxSettings, data: Path, tmp_path: Path
) -> None:
    ship(data, settings)
    shutil.copytree(data, tmp_path / "copy")
    with eventstore.open(tmp_path / "copy", influx=settings) as copy:
        fill(copy, 1)
        until(lambda: copy.mirror.status.state == "halted", "the copy is refused")
        assert "eventstore adopt" in (copy.mirror.status.last_error or "")
        assert not copy.mirror.wait(timeout=WAIT_SECONDS), "a halted mirror confirms nothing"


@pytest.mark.parametrize("grown", [0, 5, 50])
def test_a_journal_older_than_influxdb_is_refused(
    *, grown: int, store: EventStore, settings: InfluxSettings, data: Path, server: Server, tmp_path: Path
) -> None:
    """Whether or not, and how far, it was appended to since it was restored."""
    bucket = settings.bucket
    ship(data, settings)
    store.backup(tmp_path / "backup")
    fill(store, 20)
    ship(data, settings)
    before = points(server, bucket)
    shutil.copy(data / "main" / HOME, tmp_path / "backup" / "main")
    with eventstore.open(tmp_path / "backup") as restored:
        fill(restored, grown)
        home = FileSide(tmp_path / "backup" / "main").new_home()
        with contextlib.closing(Client(settings)) as client:
            claims.write(client, "main", restored.log_id, home, symbols=True, at=1 << 62)
        with shipper_running(restored, settings) as running:
            if grown < 20:
                running.halts("up to position 30", "eventstore restore")
            else:
                running.halts("different records at position 30", "another history")
    assert points(server, bucket) == before


def test_an_altered_record_is_not_shipped_and_nothing_after_it(
    settings: InfluxSettings, server: Server, bucket: str, data: Path
) -> None:
    with eventstore.open(data) as store:
        fill(store, 10)
        ship(data, settings)
        fill(store, 1_000)
    with contextlib.closing(apsw.Connection(str(data / "main" / "journal.db"))) as file:
        file.execute("UPDATE event SET note = 'forged' WHERE position = 15")
    with eventstore.open(data) as store, shipper_running(store, settings) as running:
        running.halts("position 15", "digest")
        assert count(server, bucket) == 10
        with pytest.raises(Unavailable, match="position 15"):
            ship(data, settings, seconds=0.2)


# A new bucket


def test_a_new_bucket_gets_the_log_from_its_beginning(
    store: EventStore, settings: InfluxSettings, data: Path, server: Server
) -> None:
    ship(data, settings)
    name = server.make_bucket()
    fill(store, 5)
    assert ship(data, replaced(settings, bucket=name)) == 15
    assert points(server, name) == expected_points(store)
    server.delete_bucket(name)


# Writes that InfluxDB rejects


def test_a_type_conflict_halts_at_its_position_until_it_is_fixed(
    store: EventStore, settings: InfluxSettings, server: Server, bucket: str, data: Path
) -> None:
    """A foreign point has text in a field that is a number in the model."""
    first = next(store.read())
    ship(data, settings)
    server.write(bucket, f'events,log=stranger amount="text" {first.recorded_at}'.encode())
    store.append("order/ACC1/X", FeeCharged(trade_id="1", amount=Decimal(3), currency="USD"))
    fill(store, 3)
    with shipper_running(store, settings) as running:
        running.halts("position 11", "FeeCharged", "conflict")
        assert store.mirror.status.position == 10
        # In this order: a mirror that checks again in between must not find confirmed points missing.
        (data / "main" / "watermarks" / CURSOR).unlink()
        server.delete_points(bucket, '_measurement="events"')
        running.resumes()
    assert points(server, bucket) == expected_points(store)


def test_a_request_that_is_too_large_is_sent_in_parts(
    store: EventStore, settings: InfluxSettings, server: Server, bucket: str, data: Path
) -> None:
    with Proxy.before(server) as proxy:
        proxy.answer_with(413, 4)
        assert ship(data, replaced(settings, url=proxy.url)) == 10
    assert points(server, bucket) == expected_points(store)


@pytest.mark.parametrize("code", [400, 413, 422])
def test_a_rejected_event_halts_with_its_position(
    *, code: int, store: EventStore, settings: InfluxSettings, server: Server, bucket: str, data: Path
) -> None:
    ship(data, settings)
    fill(store, 7)
    with Proxy.before(server) as proxy:
        proxy.answer_with(code, 1_000_000)
        with shipper_running(store, replaced(settings, url=proxy.url)) as running:
            reason = running.halts("position 11", "as planned")
            assert "Nothing after it" in reason
            assert store.mirror.status.position == 10
            assert not store.mirror.wait(timeout=WAIT_SECONDS)
            assert count(server, bucket) == 10
            proxy.answer_with(code, 0)
            running.resumes()
    assert points(server, bucket) == expected_points(store)
    assert run_worker(settings, "read", "main")


def forget(server: Server, bucket: str) -> None:
    """Delete a log's events: an older backup of InfluxDB would lack them too."""
    server.delete_points(bucket, '_measurement="events"')
    until(lambda: count(server, bucket) == 0, "the points are deleted")


def measures_of(store: EventStore) -> Callable[[str, int], tuple[str, ...]]:
    found = {(kind.name, kind.schema): kind.measures for kind in store._journal.types()}
    return lambda name, schema: found[name, schema]
