"""Real outages: a killed service, connections cut at any byte, another log in a log's place. Every append once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import eventstore
from eventstore import EventStore, Record, Refused, Unavailable
from eventstore.testing.store_contract import ORDER, fill, order
from tests.http.fickle import cutting
from tests.http.serving import WAIT_SECONDS, running

pytestmark = pytest.mark.service

THREADS = 8
SEED = 20_261_201


class ServiceProcess:
    """`eventstore serve` in a process of its own, on a port that it has again after each start."""

    def __init__(self, directory: Path) -> None:
        with eventstore.open(directory):
            pass
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "eventstore", "serve", "--data", str(self._directory)]
        self._process = subprocess.Popen([*command, "--port", str(self.port)], stdout=subprocess.DEVNULL)

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                assert time.monotonic() < deadline, "the service does not answer"
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(WAIT_SECONDS)


class Appenders:
    """Threads that append their numbers to one stream, each in order; what was acknowledged is kept."""

    def __init__(self, store: EventStore, each: int) -> None:
        self._store, self._each = store, each
        self.acknowledged: list[list[Record]] = [[] for _ in range(THREADS)]
        self.failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(THREADS)]

    def _run(self, number: int) -> None:
        try:
            for turn in range(self._each):
                self.acknowledged[number] += self._store.append(ORDER, fill(f"{number}/{turn}"))
        except BaseException as e:  # noqa: BLE001 - compared where the threads are joined
            self.failures.append(e)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def count(self) -> int:
        return sum(map(len, self.acknowledged))

    def wait(self, is_over: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not is_over() and any(thread.is_alive() for thread in self._threads):
            assert time.monotonic() < deadline, "the threads do not come so far"
            time.sleep(0.002)

    def check(self) -> None:
        """Wait for the end; check that all is recorded once, in each thread's order, as it was acknowledged."""
        for thread in self._threads:
            thread.join(WAIT_SECONDS)
        assert self.failures == []
        records = list(self._store.read())
        by_position: dict[int, Record] = {record.position: record for record in records}
        assert [by_position[record.position] for each in self.acknowledged for record in each] == [
            record for each in self.acknowledged for record in each
        ]
        found = [_trade(record) for record in records]
        for number in range(THREADS):
            mine = [trade for trade in found if trade.startswith(f"{number}/")]
            assert mine == [f"{number}/{turn}" for turn in range(self._each)]
        assert len(found) == THREADS * self._each
        assert self._store.verify().ok


def _trade(record: Record) -> str:
    event: Any = record.event
    return str(event.trade_id)


def test_a_service_that_is_killed_and_started_again_has_every_append_once(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path)
    service.start()
    try:
        service.wait()
        with eventstore.connect(service.url, key="", retry_seconds=50.0) as store:
            appenders = Appenders(store, 125)
            appenders.start()
            for share in (200, 600):
                appenders.wait(lambda share=share: appenders.count > share)  # type: ignore[misc]
                service.kill()
                service.start()
            appenders.check()
    finally:
        service.kill()


@pytest.mark.parametrize("bytes_max", [12_000, 30_000])
def test_connections_cut_at_any_byte_lose_and_double_nothing(tmp_path: Path, bytes_max: int) -> None:
    with (
        running(tmp_path) as service,
        cutting(int(service.url.rpartition(":")[2]), seed=SEED + bytes_max, bytes_max=bytes_max) as proxy,
    ):
        proxy.spare = True
        with eventstore.connect(proxy.url, key="", retry_seconds=50.0) as store:
            proxy.spare = False
            appenders = Appenders(store, 40)
            appenders.start()
            appenders.wait(lambda: False)
            assert proxy.cuts >= 5
            proxy.spare = True
            appenders.check()


def test_a_follower_misses_nothing_while_the_service_is_away(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        port = int(service.url.rpartition(":")[2])
        with cutting(port, seed=SEED, bytes_max=6_000) as proxy:
            proxy.spare = True
            store = eventstore.connect(proxy.url, key="")
            following = store.follow()
            proxy.spare = False
            with eventstore.connect(service.url, key="") as writer:
                for number in range(10):
                    writer.append(ORDER, fill(f"T-{number}"))
                    assert next(following).position == number + 1
            proxy.spare = True
            store.close()


def test_another_log_in_the_place_of_the_first_takes_and_gives_nothing(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "first")
    service.start()
    try:
        service.wait()
        store = eventstore.connect(service.url, key="")
        store.append(ORDER, order())
        service.kill()
        other = ServiceProcess(tmp_path / "second")
        other.port = service.port
        other.start()
        try:
            other.wait()
            for call in (lambda: store.append(ORDER, order()), lambda: list(store.read()), store.head):
                with pytest.raises(Refused, match="another"):
                    call()
            with pytest.raises(Refused, match="another"):
                next(store.follow(after=1))
            with eventstore.connect(service.url, key="") as fresh:
                assert fresh.head() == 0
        finally:
            other.kill()
        store.close()
    finally:
        service.kill()


def test_a_forks_child_finds_its_store_closed(tmp_path: Path) -> None:
    with running(tmp_path) as service, eventstore.connect(service.url, key="") as store:
        store.append(ORDER, order())
        child = os.fork()
        if not child:
            try:
                store.head()
            except eventstore.Closed:
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert store.head() == 1


def test_a_service_that_stopped_is_unavailable_to_readers(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        store = eventstore.connect(service.url, key="", retry_seconds=0.3)
    with pytest.raises(Unavailable, match="cannot be reached"):
        store.head()
    with pytest.raises(Unavailable, match="nothing was written"):
        store.append(ORDER, order())
    with pytest.raises(Unavailable):
        next(store.follow())
    store.close()
