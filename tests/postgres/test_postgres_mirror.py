"""The mirror of a log in PostgreSQL: one process ships it over all hosts, and only what no fail-over takes back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

import eventstore
from eventstore import MIRRORED, EventStore, InfluxSettings, NotMirrored, Unavailable
from eventstore.errors import OutcomeUnknown, Refused
from eventstore.influx import status
from eventstore.influx.repair.restore import adopt
from eventstore.influx.ship.shipper import Shipper
from eventstore.journal import append
from eventstore.journals.postgres import Location, PostgresJournal
from eventstore.journals.postgres.marking import PostgresMarks
from eventstore.migration import migrate
from eventstore.testing import batch
from eventstore.watermarks import Watermark
from tests.cli.command import run_here
from tests.influx.api import Server
from tests.influx.mirroring import WAIT_SECONDS, count, event, expected_points, fill, points
from tests.postgres.pairs import PostgresPair
from tests.postgres.scenes import ONE, STREAM, appended, await_waiting
from tests.postgres.servers import PostgresServer
from tests.waiting import until

PASSWORD = "hunter2"
MARK = Watermark("0" * 32, 3, "1" * 64)


@pytest.fixture
def store(postgres_url: str) -> Iterator[EventStore]:
    """A log of ten events, not shipped yet."""
    with eventstore.open(postgres_url) as store:
        fill(store, 10)
        yield store


@pytest.fixture
def handle(store: EventStore, postgres_url: str) -> Iterator[Callable[[], PostgresJournal]]:
    """Open one more handle on that log, each as another process has it; all are closed at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(contextlib.closing(PostgresJournal(Location.of(postgres_url))))


def end_beats(server: PostgresServer) -> None:
    """End all sessions that hold locks, as the server does with those that are silent."""
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")


def shipping_pid(store: EventStore) -> int:
    """Return the process that ships a log."""
    assert store.side is not None
    found = status.read_status(store.side)
    assert found is not None
    return found.pid


def ship(journal: PostgresJournal, settings: InfluxSettings, patience: float = WAIT_SECONDS) -> int:
    return Shipper(journal, journal.side, settings).run(once=True, patience_seconds=patience)


@contextlib.contextmanager
def running(shipper: Shipper) -> Iterator[None]:
    """Run a shipper in a thread, and stop it."""
    thread = threading.Thread(target=shipper.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        shipper.stop()
        thread.join(WAIT_SECONDS)


def test_a_store_mirrors_its_log(
    postgres_url: str, influx: InfluxSettings, influx_server: Server, tmp_path: Path
) -> None:
    """The process that ships reads where from its input: among its arguments no password is shown."""
    url = postgres_url.replace("es@", f"es:{PASSWORD}@")
    with eventstore.open(url, influx=influx) as store, eventstore.open(postgres_url) as other:
        fill(store, 500)
        store.append("order/ACC1/1", event(1), durability=MIRRORED)
        assert count(influx_server, influx.bucket) == 501
        # Any other process that has it open sees the same, and may ask for as much.
        other.append("order/ACC1/2", event(2), durability=MIRRORED)
        until(lambda: other.mirror.status.lag_events == 0, other.mirror)
        assert store.mirror.status == other.mirror.status
        assert other.mirror.status.state == "shipping"
        process = Path(f"/proc/{shipping_pid(store)}")
        shown = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        assert b"log\x20main at postgresql://***@" in shown
        assert PASSWORD.encode() not in shown
        assert points(influx_server, influx.bucket) == expected_points(other)
    with eventstore.open(postgres_url, read_only=True) as store:
        found = store.mirror.status
        assert (found.position, found.state) == (502, "stopped")


@pytest.mark.slow
def test_another_process_takes_over_from_one_that_is_paused(
    postgres_url: str, influx: InfluxSettings, influx_server: Server
) -> None:
    with eventstore.open(postgres_url, influx=influx) as first, eventstore.open(postgres_url, influx=influx) as second:
        fill(first, 10)
        assert first.mirror.wait(10, WAIT_SECONDS)
        paused = shipping_pid(first)
        os.kill(paused, signal.SIGSTOP)
        try:
            fill(first, 10)
            # The server ends a session that has been silent for three seconds.
            assert second.mirror.wait(20, 20)
            assert shipping_pid(first) != paused
        finally:
            os.kill(paused, signal.SIGCONT)
        fill(second, 3_000)
        first.append("order/ACC1/1", event(1), durability=MIRRORED)
        assert shipping_pid(second) != paused
        assert first.mirror.status.state == "shipping"
        assert points(influx_server, influx.bucket) == expected_points(first)


def test_what_is_stored_and_cannot_be_asked_for_is_not_mirrored(
    store: EventStore, postgres_url: str, influx: InfluxSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server that keeps the mirror's cursor may be away for a while: the records are there all the same."""
    asked: list[str] = []

    def stamp(_marks: PostgresMarks, name: str) -> object:
        asked.append(name)
        raise Unavailable("the server is away")  # noqa: EM101, TRY003 - a test's message

    with eventstore.open(postgres_url, influx=msgspec.structs.replace(influx, wait_seconds=0.3)) as mirrored:
        with monkeypatch.context() as patched:
            patched.setattr(PostgresMarks, "stamp", stamp)
            with pytest.raises(NotMirrored, match="the server is away") as caught:
                mirrored.append("order/ACC1/1", event(1), durability=MIRRORED)
        assert [record.position for record in caught.value.records] == [11]
        assert len(asked) > 2
        assert mirrored.mirror.wait(11, WAIT_SECONDS)


def test_a_log_that_nobody_mirrors_says_so(store: EventStore) -> None:
    with pytest.raises(Unavailable, match="this store has none"):
        store.append("order/ACC1/1", event(1), durability=MIRRORED)
    assert store.mirror.status.state == "stopped"
    assert store.mirror.status.lag_events == 10


def test_commands_ship_and_compare(
    store: EventStore, postgres_url: str, influx: InfluxSettings, influx_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("url", "org", "bucket", "token"):
        monkeypatch.setenv(f"EVENTSTORE_INFLUX_{name.upper()}", getattr(influx, name))
    data = ("--data", postgres_url)
    shipped = run_here("mirror", "--once", "--json", *data)
    assert json.loads(shipped.out) == {"log": "main", "position": 10, "head": 10}, shipped.err
    assert points(influx_server, influx.bucket) == expected_points(store)
    checked = run_here("mirror", "--check", *data)
    assert (checked.code, "the same 10 records" in checked.out) == (0, True), checked.err
    third = next(store.read(after=2, limit=1))
    influx_server.influxql(influx.bucket, f"DELETE FROM events WHERE time = {third.recorded_at}")  # noqa: S608 - a number
    checked = run_here("mirror", "--check", "--repair", *data)
    assert (checked.code, checked.out.startswith("1 missing")) == (0, True), checked.err
    assert run_here("adopt", *data).code == 0
    assert points(influx_server, influx.bucket) == expected_points(store)


def test_who_lost_the_lock_ships_no_further_until_it_has_it_again(
    handle: Callable[[], PostgresJournal], influx: InfluxSettings, postgres: PostgresServer
) -> None:
    first, second = handle(), handle()
    shipper, other = Shipper(first, first.side, influx), second.side.lock(status.LOCK_FILE)
    assert shipper._lock.take()
    shipper._keep_lock()
    shipper._report("shipping")
    end_beats(postgres)
    until(other.take, "the other one has the lock")
    until(lambda: not shipper._lock.is_held, "the first one knows that it has lost it")
    with pytest.raises(Unavailable, match="another process ships"):
        shipper._keep_lock()
    status.write_status(second.side, status.ShipperStatus(1, "shipping", "the other's"))
    shipper._report("waiting", "not this one's to say")
    assert status.read_status(first.side) == status.ShipperStatus(1, "shipping", "the other's")
    other.release()
    until(lambda: not second.side.is_locked(status.LOCK_FILE), "it is released")
    shipper._keep_lock()
    assert shipper._lock.is_held


def test_a_mark_is_written_by_the_lock_that_was_taken_last(
    handle: Callable[[], PostgresJournal], postgres: PostgresServer
) -> None:
    """Also by a process that was paused right after it had looked whether it holds the lock."""
    first, second = handle().side, handle().side
    mine, theirs = first.lock("mirror.lock"), second.lock("mirror.lock")
    assert mine.take()
    first.marks(mine).write("mirror", MARK)
    end_beats(postgres)
    until(theirs.take, "the other one has the lock")
    with pytest.raises(Unavailable):
        # At first for its connection, which has been ended.
        first.marks(mine).write("mirror", MARK)
    with pytest.raises(Unavailable, match=r"another process has taken mirror\.lock"):
        first.marks(mine).write("mirror", Watermark("0" * 32, 9, "1" * 64))
    assert second.marks().read("mirror") == MARK
    second.marks(theirs).write("mirror", Watermark("0" * 32, 5, "1" * 64))
    assert first.marks().stamp("mirror") != first.marks().stamp("other")
    found = first.marks().read("mirror")
    assert found is not None
    assert found.position == 5


def test_two_that_ship_at_once_send_the_same_bytes(
    store: EventStore,
    handle: Callable[[], PostgresJournal],
    influx: InfluxSettings,
    influx_server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where one was paused, and resumes while it sends."""
    monkeypatch.setattr(Shipper, "_take_lock", lambda _shipper, **_asked: True)
    monkeypatch.setattr(Shipper, "_keep_lock", lambda _shipper: None)
    fill(store, 2_000)
    shippers = [Shipper(journal, journal.side, influx) for journal in (handle(), handle())]
    for shipper in shippers:
        # Neither has the lock whose holder alone writes the mark.
        monkeypatch.setattr(shipper, "_marks", shipper._side.marks())
        monkeypatch.setattr(shipper._history, "_marks", shipper._side.marks())
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda each: each.run(once=True, patience_seconds=WAIT_SECONDS), shippers))
    assert ended == [2_010, 2_010]
    assert points(influx_server, influx.bucket) == expected_points(store)


def test_a_dump_that_is_restored_elsewhere_does_not_ship_until_it_is_adopted(
    own_postgres: PostgresServer, influx: InfluxSettings
) -> None:
    own_postgres.execute("CREATE DATABASE copied")
    with eventstore.open(own_postgres.url(log="main")) as store:
        fill(store, 10)
        assert ship(store.journal, influx) == 10  # type: ignore[arg-type] # of one in PostgreSQL
    conninfo = ("-h", "127.0.0.1", "-p", str(own_postgres.port), "-U", "es")
    dump = str(own_postgres.data / "dump.sql")
    own_postgres.programs.run("pg_dump", *conninfo, "-d", "postgres", "-n", "eventstore_main", "-f", dump)
    own_postgres.programs.run("psql", *conninfo, "-q", "-v", "ON_ERROR_STOP=1", "-d", "copied", "-f", dump)
    with contextlib.closing(PostgresJournal(Location.of(own_postgres.url("copied", log="main")))) as copied:
        with pytest.raises(Refused, match=r"another copy of this journal .* not by log main at postgresql://\*\*\*@"):
            ship(copied, influx)
        adopt(influx, copied.side, "main", copied.log_id)
        assert ship(copied, influx) == 10
    first = PostgresJournal(Location.of(own_postgres.url(log="main")))
    with contextlib.closing(first), pytest.raises(Refused, match="another copy"):
        ship(first, influx)


def test_a_log_that_was_put_back_to_an_earlier_state_does_not_ship(
    postgres_url: str, postgres: PostgresServer, influx: InfluxSettings, tmp_path: Path
) -> None:
    """As after a fail-over that lost acknowledged events: the mirror has more, or others, than the log."""
    with eventstore.open(tmp_path) as store:
        fill(store, 8)
    migrate(tmp_path, postgres_url)
    with contextlib.closing(PostgresJournal(Location.of(postgres_url))) as journal:
        append(journal, ONE)
        assert ship(journal, influx) == 9
    postgres.execute(f"DROP SCHEMA {journal.location.schema} CASCADE".encode())
    migrate(tmp_path, postgres_url)
    with contextlib.closing(PostgresJournal(Location.of(postgres_url))) as journal:
        adopt(influx, journal.side, "main", journal.log_id)
        with pytest.raises(Refused, match="up to position 9, but the journal ends at 8"):
            ship(journal, influx)
        append(journal, [batch(STREAM, "another")])
        with pytest.raises(Refused, match="different records at position 9"):
            ship(journal, influx)


def test_what_no_standby_has_is_not_shipped(
    replicated: PostgresJournal,
    opened_replicated: Callable[[], PostgresJournal],
    pair: PostgresPair,
    influx: InfluxSettings,
    influx_server: Server,
) -> None:
    """A wait that somebody cancels leaves a record that is visible, and that a fail-over takes back."""
    shipping = opened_replicated()
    shipper = Shipper(shipping, shipping.side, influx)
    with running(shipper):
        until(lambda: shipper.position == 1, "it ships")
        with pair.stalled(cut=True):
            with ThreadPoolExecutor(1) as pool:
                outcome = appended(pool, replicated, ONE)
                pair.primary.execute("SELECT pg_cancel_backend(%s)", await_waiting(pair))
                with pytest.raises(OutcomeUnknown):
                    outcome.result(WAIT_SECONDS)
            assert shipping.head() == 2
            with pytest.raises(Unavailable, match="no standby has confirmed"):
                shipping.barrier()
            until(lambda: not shipper._checked_at, "the shipper has met that too")
            assert count(influx_server, influx.bucket) == shipper.position == 1
            pair.primary.kill()
    pair.promote()
    pair.rewind()
    # The record is not there, and another one takes its place.
    assert len(pair.primary.execute("SELECT 1 FROM eventstore_main.event")) == 1
    (record,) = append(opened_replicated(), ONE)
    assert record.position == 2
    assert ship(opened_replicated(), influx) == 2
    assert count(influx_server, influx.bucket) == 2


def test_a_mirror_that_is_ahead_of_its_log_halts(pair: PostgresPair, influx: InfluxSettings) -> None:
    """A SYNCED log has only asynchronous standbys: a fail-over may lose what was acknowledged, and mirrored."""
    location = Location.of(pair.url(log="main"))
    with contextlib.ExitStack() as stack:
        journal, far = (stack.enter_context(contextlib.closing(PostgresJournal(location))) for _ in range(2))
        append(journal, ONE)
        pair.await_confirmed()
        shipper = Shipper(far, far.side, influx)
        stack.enter_context(running(shipper))
        until(lambda: shipper.position == 1, "it ships")
        with pair.stalled(cut=True):
            append(journal, [batch(STREAM, "more")])
            until(lambda: shipper.position == 2, "it ships what was acknowledged")
            pair.primary.kill()
        pair.promote()

        def is_halted() -> bool:
            return shipper._status is not None and shipper._status.state == "halted"

        until(is_halted, "it halts")
        assert shipper._status is not None
        assert "a fail-over has taken it back" in (shipper._status.last_error or "")
    later = PostgresJournal(location)
    with contextlib.closing(later), pytest.raises(Refused, match="up to position 2, but the journal ends at 1"):
        ship(later, influx)
