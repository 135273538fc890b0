"""Servers die, hang, refuse and time out, mirrors are killed: no event is lost, duplicated or reordered."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from typing_extensions import override

import eventstore
from eventstore import Record, Unavailable
from eventstore.influx.client import Client
from eventstore.influx.repair.check import Comparison
from eventstore.influx.ship.mirror import Mirror
from eventstore.journal import Query
from eventstore.journals.sqlite import SqliteJournal
from tests.influx.api import Server
from tests.influx.mirroring import (
    WAIT_SECONDS,
    as_lines,
    count,
    expected_points,
    expected_types,
    fill,
    line_of,
    points,
    run_worker,
    settings_for,
    ship,
    worker,
)
from tests.influx.proxy import Proxy
from tests.influx.servers import LocalServer
from tests.proving import cases
from tests.waiting import until

SEED = int(os.environ.get("RELIABILITY_SEED", "20260721"))
EVENTS, KILLS, PAUSES, CUTS = cases(test=[(50_000, 10, 3, 25)], prove=[(100_000, 20, 5, 50)])[-1]
SLOW_SECONDS = 5.0
RECOVERS = 0.9
MIRROR_KILLS = cases(test=[25], prove=[50])[-1]
WAITING = cases(test=[100_000], prove=[200_000])[-1]
MEMORY_MAX = 30_000_000


@pytest.fixture
def chance() -> random.Random:
    print(f"RELIABILITY_SEED={SEED}")  # noqa: T201 - to reproduce a failure
    return random.Random(SEED)


@pytest.mark.parametrize(("code", "headers", "seconds"), [(429, {"Retry-After": "2"}, 2.0), (503, {}, 0.0)])
def test_an_overloaded_server_is_waited_for(
    *, code: int, headers: dict[str, str], seconds: float, data: Path, server: Server, bucket: str, proxy: Proxy
) -> None:
    settings = settings_for(server, bucket, proxy.url)
    with eventstore.open(data) as store:
        fill(store, 10)
        ship(data, settings)
        fill(store, 10)
        times = 1 if seconds else 6
        requests = proxy.requests
        proxy.answer_with(code, times, headers)
        began = time.monotonic()
        assert ship(data, settings) == 20
        assert time.monotonic() - began >= seconds
        assert proxy.requests > requests + times
        assert points(server, bucket) == expected_points(store)


def test_lost_responses_repeat_no_event(data: Path, server: Server, bucket: str, proxy: Proxy) -> None:
    settings = settings_for(server, bucket, proxy.url)
    with eventstore.open(data) as store:
        fill(store, 6_000)
        proxy.cut_after_request(5)
        assert ship(data, settings) == 6_000
        assert proxy.cuts == 5
        assert points(server, bucket) == expected_points(store)
        assert points(server, bucket, "types") == expected_types(store)


def test_a_temporary_error_of_the_journal_does_not_end_shipping(
    data: Path, server: Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with eventstore.open(data) as store:
        fill(store, 100)
        read = SqliteJournal.read
        failed: list[str] = []

        def failing(journal: SqliteJournal, query: Query) -> Sequence[Record]:
            if threading.current_thread().name.startswith("encoder") and len(failed) < 2:
                failed.append("once")
                msg = "the disk does not respond"
                raise Unavailable(msg)
            return read(journal, query)

        monkeypatch.setattr(SqliteJournal, "read", failing)
        assert ship(data, settings_for(server, bucket)) == 100
        assert len(failed) == 2
        assert points(server, bucket) == expected_points(store)


class _LazyStatus:
    """The status of a mirror at the time it is printed."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    @override
    def __str__(self) -> str:
        return f"shipping continues: {self._mirror.status}"


class Outages:
    """Kills, pauses and restarts a server, and cuts responses, in random order; `mirror` tells its progress."""

    def __init__(self, server: LocalServer, proxy: Proxy, chance: random.Random, mirror: Mirror) -> None:
        self._server, self._proxy, self._chance, self._mirror = server, proxy, chance, mirror
        self.did: Counter[str] = Counter()
        self._plan = ["kill"] * KILLS + ["pause"] * PAUSES + ["cut"] * CUTS
        chance.shuffle(self._plan)

    def run(self) -> None:
        for what in self._plan:
            position = self._mirror.status.position
            getattr(self, "_" + what)()
            self.did[what] += 1
            # Mostly the mirror recovers, sometimes the next outage comes first.
            if self._chance.random() < RECOVERS:
                until(partial(self._has_advanced, position), _LazyStatus(self._mirror))
            time.sleep(self._chance.uniform(0.0, 0.05))

    def _has_advanced(self, position: int) -> bool:
        return self._mirror.status.position > position

    def _kill(self) -> None:
        self._server.kill()
        time.sleep(self._chance.uniform(0.0, 0.1))
        self._server.restart()

    def _pause(self) -> None:
        self._server.pause()
        time.sleep(self._chance.uniform(0.1, 0.6))
        self._server.resume()

    def _cut(self) -> None:
        """Cut off the response to the next write, after the server has sent it; return when that is done."""
        cuts = self._proxy.cuts
        self._proxy.cut_after_request()
        until(lambda: self._proxy.cuts > cuts, "the proxy cuts off a response")


@pytest.mark.prove
@pytest.mark.slow
@pytest.mark.untraced
def test_no_outage_loses_repeats_or_reorders_an_event(
    data: Path, own_server: LocalServer, chance: random.Random
) -> None:
    bucket = own_server.make_bucket()
    with Proxy.before(own_server) as proxy, eventstore.open(data) as store:
        settings = settings_for(own_server, bucket, proxy.url, timeout_seconds=5.0, patience_seconds=WAIT_SECONDS)
        fill(store, 100)
        ship(data, settings)
        with (
            worker(settings, "ship", data) as shipping,
            worker(settings, "follow", "main", EVENTS) as following,
            worker(settings, "pace", data, EVENTS) as appending,
        ):
            seen: list[str] = []
            reading = threading.Thread(target=lambda: seen.extend(following.stdout or ()))
            reading.start()
            until(lambda: store.mirror.status.position > 1_000 and seen, "all processes are running")
            outages = Outages(own_server, proxy, chance, store.mirror)
            head = store.head()
            outages.run()
            assert store.head() < EVENTS, "the appends were over before the outages"
            assert store.head() > head + EVENTS / 4, "the appends did not continue during the outage"
            assert appending.stdin is not None
            appending.stdin.write("hurry")
            appending.stdin.flush()
            assert float(line_of(appending)) < SLOW_SECONDS, "an append waited for an outage"
            until(lambda: store.mirror.status.position == EVENTS, f"everything is shipped: {store.mirror.status}")
            reading.join(WAIT_SECONDS)
            assert not reading.is_alive(), f"the reader has seen {len(seen)}: {store.mirror.status}"
            assert following.wait(WAIT_SECONDS) == 0, f"the reader ended after {len(seen)}: {store.mirror.status}"
            assert shipping.poll() is None
        assert outages.did == {"kill": KILLS, "pause": PAUSES, "cut": CUTS}
        # Points lost in the last kill are shipped again once the mirror has checked.
        until(lambda: count(own_server, bucket) >= EVENTS, "InfluxDB has all events")
        assert count(own_server, bucket) == EVENTS
        records = list(store.read())
        assert len(seen) == EVENTS
        for line, record in zip(seen, records, strict=True):
            assert line.rstrip() == f"{record.position} {record.digest.hex()}"
        client = Client(settings)
        compared = Comparison(store._journal, client, shipped=EVENTS, symbols=settings.symbols).run()
        client.close()
        assert compared.ok, compared.first
        with eventstore.connect(settings=settings) as source:
            for ours, theirs in zip(records, source.read(), strict=True):
                assert ours == theirs


@pytest.mark.prove
@pytest.mark.slow
@pytest.mark.untraced
def test_no_kill_of_the_mirror_loses_or_changes_a_point(
    data: Path, server: Server, bucket: str, chance: random.Random
) -> None:
    settings = settings_for(server, bucket)
    with eventstore.open(data) as store:
        fill(store, 10_000)
        with worker(settings, "forks", data, MIRROR_KILLS, chance.getrandbits(32)) as killing:
            while killing.poll() is None:
                fill(store, 50)
                time.sleep(0.05)
            assert line_of(killing) == str(MIRROR_KILLS)
        assert store.mirror.status.position > 0
        assert ship(data, settings) == store.head()
        assert points(server, bucket) == expected_points(store)
        assert points(server, bucket, "types") == expected_types(store)
        assert run_worker(settings, "read", "main") == as_lines(list(store.read()))


@pytest.mark.prove
@pytest.mark.slow
@pytest.mark.untraced
def test_memory_stays_flat_while_events_wait_for_a_dead_server(
    data: Path, server: Server, bucket: str, proxy: Proxy
) -> None:
    """First it accepts no write, so that the next batches are encoded; then it is killed."""
    settings = settings_for(server, bucket, proxy.url)
    with eventstore.open(data) as store:
        fill(store, 10_000, size=1_000)
        ship(data, settings)
        proxy.answer_with(503, 1_000_000)
        with worker(settings, "ship", data) as shipping:
            fill(store, 10_000, size=1_000)
            until(lambda: store.mirror.status.state == "waiting", "no write is accepted")
            time.sleep(1.0)
            memory = memory_of(shipping.pid)
            fill(store, WAITING - 10_000, size=1_000)
            time.sleep(1.0)
            proxy.refuse()
            until(lambda: "refused" in (store.mirror.status.last_error or ""), "the server is unreachable")
            time.sleep(0.5)
            assert store.mirror.status.lag_events == WAITING
            assert memory_of(shipping.pid) < memory + MEMORY_MAX


def memory_of(pid: int) -> int:
    """Return how much memory a process has used at most, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
