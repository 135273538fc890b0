"""Conditions that stop holding while shipping: noticed, named, and nothing is confirmed until they are fixed."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from eventstore import MIRRORED, EventStore, InfluxSettings, NotMirrored
from eventstore.influx import claims, status
from eventstore.influx.client import Client
from eventstore.influx.ship import mirror, shipper
from eventstore.influx.ship.mirror import Mirror
from eventstore.influx.ship.shipper import Shipper
from eventstore.side import FileSide
from eventstore.trading import OrderSubmitted, Side
from tests.influx.api import Server
from tests.influx.mirroring import WAIT_SECONDS, count, event, expected_points, fill, points, settings_for
from tests.influx.proxy import WRITE, Proxy
from tests.influx.servers import LocalServer
from tests.influx.test_checking import instant
from tests.influx.test_claims import Shipping, replaced, shipper_running
from tests.waiting import until

HOUR_SECONDS = 3_600
QUERY = "/query"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper, "RECHECK_SECONDS", 0.1)
    monkeypatch.setattr(shipper, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(shipper, "WRITE_CHECK_SECONDS", 0.1)
    monkeypatch.setattr(mirror, "WAIT_SECONDS", WAIT_SECONDS)


@pytest.fixture
def rare_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two appends nothing is checked except by the confirmation itself."""
    monkeypatch.setattr(shipper, "CHECK_SECONDS", 1_000)
    monkeypatch.setattr(shipper, "WRITE_CHECK_SECONDS", 1_000)


@contextlib.contextmanager
def shipped(store: EventStore, settings: InfluxSettings) -> Iterator[Shipping]:
    """Ship a store's ten events, and keep running."""
    with shipper_running(store, settings) as running:
        until(lambda: store.mirror.wait(timeout=0.1), "the ten events are shipped")
        until(lambda: running.shipper._heartbeat_head == 10, "no heartbeat is due")
        yield running


def append(store: EventStore) -> None:
    store.append("order/ACC1/late", event(1), durability=MIRRORED)


def wait_for_error(store: EventStore, words: str) -> None:
    until(lambda: words in (store.mirror.status.last_error or ""), f"the status contains: {words}")


def check_unconfirmed(store: EventStore, *words: str) -> None:
    """Check that neither new nor old events are confirmed, and that the error names the cause."""
    head = store.head()
    with pytest.raises(NotMirrored) as caught:
        append(store)
    assert [word for word in words if word not in str(caught.value)] == []
    assert store.head() == head + 1, "it is durable in the journal"
    assert not store.mirror.wait(timeout=WAIT_SECONDS)
    assert not store.mirror.wait(1, timeout=WAIT_SECONDS), "it is uncertain what InfluxDB still has"


# Retention


def test_a_finite_retention_halts_until_it_is_infinite_and_expired_points_are_shipped_again(
    store: EventStore, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    oldest = [instant(record.recorded_at) for record in store.read(limit=3)]
    with shipped(store, settings) as running:
        server.change_bucket(bucket, retention_seconds=HOUR_SECONDS)
        running.halts(bucket, "deletes points after 3,600 s", "infinite")
        check_unconfirmed(store, "halted", "deletes points after 3,600 s")
        server.delete_points(bucket, '_measurement="events"', oldest[0], oldest[-1])
        server.change_bucket(bucket, retention_seconds=0)
        wait_for_error(store, "had lost 3 of positions 1 to 10")
        append(store)
        assert points(server, bucket) == expected_points(store)


# The token


@pytest.mark.parametrize(("path", "code"), [(WRITE, 403), (QUERY, 403), (WRITE, 401), (QUERY, 401)])
def test_a_token_that_loses_a_permission_halts_even_if_nothing_is_to_be_shipped(
    *, path: str, code: int, store: EventStore, settings: InfluxSettings, proxy: Proxy
) -> None:
    with shipped(store, replaced(settings, url=proxy.url)) as running:
        proxy.answer_with(code, 1_000_000, path=path)
        running.halts("token", settings.bucket)
        check_unconfirmed(store, "token")
        proxy.answer_with(code, 0, path=path)
        running.resumes()
        append(store)


def test_a_revoked_token_halts(store: EventStore, settings: InfluxSettings, server: Server, bucket: str) -> None:
    token = server.make_token(bucket, read=True, write=True)
    with shipped(store, replaced(settings, token=token)) as running:
        found = msgspec.json.decode(server.request("GET", "/api/v2/authorizations"))["authorizations"]
        revoked = next(one["id"] for one in found if one["token"] == token)
        server.request("DELETE", f"/api/v2/authorizations/{revoked}")
        running.halts("does not accept the token", "unauthorized")
        check_unconfirmed(store, "does not accept the token")


# The bucket and the organisation


@pytest.mark.usefixtures("rare_checks")
def test_a_recreated_bucket_has_the_whole_log_before_an_event_counts_as_mirrored(
    store: EventStore, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    with shipped(store, settings):
        server.delete_bucket(bucket)
        server.make_bucket(name=bucket)
        append(store)
        assert points(server, bucket) == expected_points(store)
        assert points(server, bucket, "logs")
        assert f"bucket '{bucket}' had no claim of log 'main'" in (store.mirror.status.last_error or "")


def test_what_a_new_bucket_lacks_does_not_count_as_mirrored(
    store: EventStore, settings: InfluxSettings, server: Server, bucket: str, proxy: Proxy
) -> None:
    with shipped(store, replaced(settings, url=proxy.url)):
        proxy.answer_with(503, 1_000_000)
        server.delete_bucket(bucket)
        server.make_bucket(name=bucket)
        until(lambda: store.mirror.status.position == 0, "the cursor is moved back")
        assert not store.mirror.wait(1, timeout=0.1)
        proxy.answer_with(503, 0)
        until(lambda: store.mirror.wait(timeout=0.1), "everything is shipped again")
        assert points(server, bucket) == expected_points(store)


@pytest.mark.usefixtures("rare_checks")
def test_an_event_is_read_back_with_any_tags(store: EventStore, settings: InfluxSettings) -> None:
    with shipped(store, settings):
        for number, symbol in enumerate(["ES, Z=5", 'it\'s "5"', "ü$log11", "100% €", "a\\b", "", "x" * 129]):
            submitted = OrderSubmitted(symbol=symbol, side=Side.BUY, quantity=Decimal(1))
            store.append(f"order/A.:@-_/{number}", submitted, durability=MIRRORED)
        assert store.mirror.status.last_error is None


def test_a_recreated_bucket_is_noticed_even_if_nothing_is_appended(
    store: EventStore, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    with shipped(store, settings):
        server.delete_bucket(bucket)
        server.make_bucket(name=bucket)
        until(lambda: count(server, bucket) == 10, "everything is shipped again")
    assert points(server, bucket) == expected_points(store)


@pytest.mark.usefixtures("rare_checks")
def test_all_points_are_counted_in_a_bucket_that_replaces_another(
    store: EventStore, settings: InfluxSettings, server: Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the claim, and what a routine check reads: the newest events and the first one."""
    monkeypatch.setattr("eventstore.influx.ship.history.LOOK_BACK_ROUTINE", 2)
    monkeypatch.setattr("eventstore.influx.ship.history.COUNTED_MAX", 1)
    records = list(store.read())
    with shipped(store, settings) as running:
        server.change_bucket(bucket, name=f"{bucket}-old")
        server.make_bucket(name=bucket)
        with contextlib.closing(Client(settings)) as client:
            home = FileSide(store.directory or Path()).home()
            claims.write(client, "main", store.log_id, home, symbols=True, at=records[0].recorded_at)
            client.write("\n".join([*running.lines()[:1], *running.lines()[5:]]).encode())
        running.shipper._checked_at = 1  # as if the last check was long ago
        until(lambda: count(server, bucket) == 10, "the missing events are shipped again")
        wait_for_error(store, "had lost 4 of positions 2 to 10")
    server.delete_bucket(f"{bucket}-old")


@pytest.mark.parametrize("is_deleted", [True, False])
def test_a_deleted_or_renamed_bucket_halts_until_it_is_back(
    *, is_deleted: bool, store: EventStore, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    with shipped(store, settings) as running:
        if is_deleted:
            server.delete_bucket(bucket)
        else:
            server.change_bucket(bucket, name=f"{bucket}-new")
        running.halts(f"bucket '{bucket}'", "create it")
        check_unconfirmed(store, f"bucket '{bucket}'", "create it")
        if is_deleted:
            server.make_bucket(name=bucket)
        else:
            server.change_bucket(f"{bucket}-new", name=bucket)
        append_until_confirmed(store)
    assert points(server, bucket) == expected_points(store)


def append_until_confirmed(store: EventStore) -> None:
    until(lambda: store.mirror.status.state != "halted", "it checks again")
    append(store)


def test_a_renamed_organisation_halts_until_it_has_its_name_again(
    store: EventStore, settings: InfluxSettings, server: Server
) -> None:
    name = server.org
    with shipped(store, settings) as running:
        try:
            server.rename_org(f"{name}-new")
            running.halts("no organisation", name)
            check_unconfirmed(store, "no organisation")
        finally:
            server.rename_org(name)
        append_until_confirmed(store)


# The claim


def test_a_claim_of_another_log_halts(store: EventStore, settings: InfluxSettings, server: Server, bucket: str) -> None:
    with shipped(store, settings) as running:
        with contextlib.closing(Client(settings)) as client:
            claims.write(client, "main", bytes(16), "home", symbols=True, at=1 << 62)
        running.halts("another log 'main'", bytes(16).hex())
        check_unconfirmed(store, "another log 'main'")
        assert count(server, bucket) == 10


def test_a_deleted_claim_is_written_again(
    store: EventStore, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    with shipped(store, settings):
        server.delete_points(bucket, '_measurement="logs"')
        until(lambda: points(server, bucket, "logs"), "the log is claimed again")
        append(store)
        assert points(server, bucket) == expected_points(store)


# An older copy of the server


@pytest.mark.usefixtures("rare_checks")
@pytest.mark.parametrize("how", ["older", "empty"])
def test_an_older_copy_has_the_whole_log_before_an_event_counts_as_mirrored(
    *, how: str, store: EventStore, own_server: LocalServer, tmp_path: Path
) -> None:
    bucket = own_server.make_bucket()
    folder, kept = own_server._directory, tmp_path / "kept"
    with shipped(store, settings_for(own_server, bucket)):
        own_server.stop()
        shutil.copytree(folder, kept)
        own_server.restart()
        fill(store, 20)
        assert store.mirror.wait(timeout=WAIT_SECONDS)
        own_server.kill()
        shutil.rmtree(folder)
        if how == "older":
            kept.rename(folder)
        else:
            folder.mkdir()
        own_server.restart()
        if how == "empty":
            own_server.set_up()
            own_server.make_bucket(name=bucket)
        append_until_confirmed(store)
        assert points(own_server, bucket) == expected_points(store)
        assert "shipped again" in (store.mirror.status.last_error or "")


# Missing old points


def test_missing_old_points_are_found_at_the_start(
    store: EventStore, settings: InfluxSettings, server: Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.influx.ship.history.LOOK_BACK", 4)
    gone = next(store.read(after=2)).recorded_at
    with shipped(store, settings) as running:
        lines = running.lines()
    server.delete_points(bucket, '_measurement="events"', instant(gone), instant(gone))
    with shipper_running(store, settings) as running:
        running.halts("lacks 1 of positions 1 to 6", "--repair")
        check_unconfirmed(store, "lacks 1 of positions 1 to 6")
        server.write(bucket, lines[2].encode())
        append_until_confirmed(store)
    assert points(server, bucket) == expected_points(store)


def test_missing_old_points_are_found_while_shipping(
    store: EventStore, settings: InfluxSettings, server: Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.influx.ship.history.LOOK_BACK_ROUTINE", 2)
    monkeypatch.setattr("eventstore.influx.ship.history.COUNTED_MAX", 3)
    gone = next(store.read(after=4)).recorded_at
    with shipped(store, settings):
        server.delete_points(bucket, '_measurement="events"', instant(gone), instant(gone))
        wait_for_error(store, "had lost 1 of positions 5 to 10")
        until(lambda: count(server, bucket) == 10, "it is shipped again")


def test_a_repair_stops_with_the_mirror_and_the_next_one_completes_it(
    store: EventStore, settings: InfluxSettings, server: Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.influx.repair.check.RANGE", 2)
    gone = [instant(record.recorded_at) for record in store.read(limit=9)]
    with shipped(store, settings):
        pass
    server.delete_points(bucket, '_measurement="events"', gone[0], gone[-1])
    shipper = Shipper(store._journal, FileSide(store.directory or Path()), settings)

    def stop_then_report(position: int, of: int) -> None:
        shipper._drain_until = 0
        Shipper._report_repair(shipper, position, of)

    monkeypatch.setattr(shipper, "_report_repair", stop_then_report)
    shipper.run()
    assert store.mirror.status.position == 0, "missing points count as mirrored"
    assert count(server, bucket) < 10
    with shipped(store, settings):
        assert points(server, bucket) == expected_points(store)


# Damaged cursors


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"log_id": "00" * 16, "position": 1}, "belongs to another log"),
        ({"position": 1_000}, "past the journal's end"),
    ],
    ids=["another log's", "too high"],
)
def test_a_cursor_of_another_log_or_past_the_end_confirms_nothing(
    *,
    change: dict[str, object],
    words: str,
    store: EventStore,
    settings: InfluxSettings,
    data: Path,
) -> None:
    with shipped(store, settings):
        pass
    mark = status.read_cursor(FileSide(data / "main"))
    assert mark is not None
    FileSide(data / "main").marks().write(status.CURSOR, msgspec.structs.replace(mark, **change))
    found: Mirror = store.mirror
    assert not found.wait(1, timeout=WAIT_SECONDS)
    assert (found.status.state, found.status.position) == ("halted", 0)
    assert words in (found.status.last_error or "")
    with pytest.raises(NotMirrored, match=words):
        found.confirm(list(store.read(limit=1)))
