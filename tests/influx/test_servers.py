"""The test servers keep points, distinguish tokens, die, come back, hang, and are found."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.influx import servers
from tests.influx.servers import (
    PORTS,
    STOP_SECONDS_MAX,
    Absent,
    LocalServer,
    Refused,
    Server,
    find_influxd,
    free_port,
    must_have_server,
    open_server,
    opened,
)

POINT = b'price,symbol=XBT value=1i,text="a, b",up=true,half=0.5 1700000000123456789'
ETHER = b"price,symbol=ETH value=2i 1700000000123456789"
TIMEOUT_SECONDS = 0.3
WAIT_SECONDS = 10.0


def values(server: Server, bucket: str) -> list[object]:
    query = f'from(bucket: "{bucket}") |> range(start: 0) |> filter(fn: (r) => r._field == "value")'
    return sorted(row["_value"] for row in server.flux(query))


@pytest.mark.container
def test_a_written_point_is_read_by_flux_and_influxql(server: Server, bucket: str) -> None:
    server.write(bucket, POINT)
    rows = server.flux(f'from(bucket: "{bucket}") |> range(start: 0)')
    assert {row["_field"]: row["_value"] for row in rows} == {"value": 1, "text": "a, b", "up": True, "half": 0.5}
    assert {row["_time"] for row in rows} == {"2023-11-14T22:13:20.123456789Z"}
    answer = server.influxql(bucket, "SELECT value, symbol FROM price")
    assert answer["results"][0]["series"][0]["values"] == [[1700000000123456789, 1, "XBT"]]


@pytest.mark.container
def test_a_query_that_fails_raises(server: Server, bucket: str) -> None:
    with pytest.raises(Refused, match="400"):
        server.flux("from(")
    server.write(bucket, POINT)
    rows = f'from(bucket: "{bucket}") |> range(start: 0)'
    late = f'{rows} |> map(fn: (r) => ({{x: 1 / 0}})) |> yield(name: "b")'
    with pytest.raises(Refused, match="divide by zero"):
        server.flux(f'{rows} |> yield(name: "a") {late}')
    with pytest.raises(Refused, match="failed to parse"):
        server.influxql(bucket, "SELECT")


@pytest.mark.container
def test_a_token_has_only_its_permissions(server: Server, bucket: str) -> None:
    reader = server.make_token(bucket, read=True, write=False)
    writer = server.make_token(bucket, read=False, write=True)
    with pytest.raises(Refused) as refused:
        server.write(bucket, POINT, token=reader)
    assert refused.value.status == 403
    server.write(bucket, POINT, token=writer)
    query = f'from(bucket: "{bucket}") |> range(start: 0)'
    assert server.flux(query, token=reader)
    with pytest.raises(Refused):
        server.flux(query, token=writer)


@pytest.mark.container
def test_only_the_selected_points_are_deleted(server: Server, bucket: str) -> None:
    server.write(bucket, POINT + b"\n" + ETHER)
    server.delete_points(bucket, 'symbol="XBT"', "2023-11-14T00:00:00Z", "2023-11-15T00:00:00Z")
    assert values(server, bucket) == [2]
    server.delete_points(bucket)
    assert values(server, bucket) == []


@pytest.mark.container
def test_a_bucket_with_a_retention_refuses_older_points(server: Server) -> None:
    bucket = server.make_bucket(retention_seconds=3600)
    with pytest.raises(Refused, match="retention"):
        server.write(bucket, POINT)
    server.delete_bucket(bucket)
    with pytest.raises(Refused) as refused:
        server.write(bucket, POINT)
    assert refused.value.status == 404


def test_a_killed_server_keeps_its_points_and_its_address(own_server: LocalServer) -> None:
    bucket, url = own_server.make_bucket(), own_server.url
    own_server.write(bucket, POINT)
    own_server.kill()
    with pytest.raises(ConnectionRefusedError):
        own_server.write(bucket, POINT)
    own_server.restart()
    assert own_server.url == url
    assert values(own_server, bucket) == [1]


def test_a_running_server_restarts_too(own_server: LocalServer) -> None:
    bucket = own_server.make_bucket()
    own_server.write(bucket, POINT)
    own_server.restart()
    assert values(own_server, bucket) == [1]


def test_a_paused_server_responds_only_after_it_resumes(own_server: LocalServer) -> None:
    own_server.pause()
    with pytest.raises(TimeoutError):
        own_server.request("GET", "/health", seconds_max=TIMEOUT_SECONDS)
    own_server.resume()
    assert own_server.is_ready()


def test_a_paused_server_is_stopped(own_server: LocalServer) -> None:
    own_server.pause()
    began = time.monotonic()
    own_server.stop()
    assert time.monotonic() - began < STOP_SECONDS_MAX
    assert not own_server.is_ready()


def test_a_server_tries_another_port_if_another_server_has_it(
    own_server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = iter([int(own_server.url.rpartition(":")[2]), free_port()])
    monkeypatch.setattr(servers, "free_port", lambda: next(ports))
    server = LocalServer(find_influxd(), tmp_path / "other")
    server.start()
    try:
        assert server.url != own_server.url
        assert server.make_bucket()
    finally:
        server.stop()


def test_a_port_is_outside_the_range_of_outgoing_connections() -> None:
    bounds = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not bounds.exists():
        pytest.skip("Linux alone says which ports it gives away")
    assert free_port() in PORTS
    assert PORTS.stop <= int(bounds.read_text(encoding="ascii").split()[0])


STARTING = """
import sys, threading, time
from pathlib import Path
from tests.influx import servers
from tests.influx.servers import LocalServer, find_influxd

def start():
    server = LocalServer(find_influxd(), Path(sys.argv[1]))
    server.start()
    urls.append(server.url)

urls = []
thread = threading.Thread(target=start)
thread.start()
thread.join()
# Not before: an interrupt while a thread is joined may be swallowed, like an error in a callback.
print(*urls, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_server_outlives_the_thread_that_started_it_and_dies_with_its_process(tmp_path: Path, number: int) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", STARTING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=root) as parent:
        try:
            assert parent.stdout is not None
            server = Server(parent.stdout.readline().strip(), "tests", "none")
            assert server.is_ready()
            parent.send_signal(number)
            parent.wait(WAIT_SECONDS)
        finally:
            parent.kill()
    end = time.monotonic() + WAIT_SECONDS
    while server.is_ready():
        assert time.monotonic() < end
        time.sleep(0.05)


class TestWhichServer:
    @pytest.fixture(autouse=True)
    def asked_for_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asking = ("EVENTSTORE_TEST_INFLUX", "INFLUXDB_IMAGE", "CI")
        for name in [name for name in os.environ if name.startswith(asking)]:
            monkeypatch.delenv(name)

    def test_a_named_server_comes_first(self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in (("URL", server.url + "/"), ("ORG", server.org), ("TOKEN", server.token)):
            monkeypatch.setenv(f"EVENTSTORE_TEST_INFLUX_{name}", value)
        with opened(tmp_path) as named:
            assert type(named) is Server
            named.delete_bucket(named.make_bucket())

    def test_a_named_server_that_does_not_respond_is_not_replaced(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EVENTSTORE_TEST_INFLUX_URL", f"http://127.0.0.1:{free_port()}")
        with pytest.raises(Absent, match="_ORG is not set"):
            open_server(tmp_path)
        monkeypatch.setenv("EVENTSTORE_TEST_INFLUX_ORG", "tests")
        monkeypatch.setenv("EVENTSTORE_TEST_INFLUX_TOKEN", "none")
        with pytest.raises(Absent, match="no InfluxDB responds at"):
            open_server(tmp_path)
        assert must_have_server()

    @pytest.mark.container
    def test_influxd_replaces_an_unavailable_image_unless_it_was_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(servers, "IMAGE", "registry.invalid/influxdb:none")
        with opened(tmp_path) as server:
            assert type(server) is LocalServer
        assert not must_have_server()
        monkeypatch.setenv("INFLUXDB_IMAGE", "registry.invalid/influxdb:none")
        assert must_have_server()
        with pytest.raises(Absent, match="Docker"):
            open_server(tmp_path)

    def test_influxd_replaces_an_engine_that_does_not_respond(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
        with opened(tmp_path) as server:
            assert type(server) is LocalServer

    def test_without_any_server_one_line_names_the_ways_to_get_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(Absent, match=r"^no InfluxDB for tests: start Docker, or install go, .* or set EVENTSTORE"):
            open_server(tmp_path)

    def test_an_unknown_kind_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EVENTSTORE_TEST_INFLUX", "podman")
        with pytest.raises(Absent, match="url, docker or influxd, not podman"):
            open_server(tmp_path)

    def test_in_ci_a_missing_server_is_a_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert not must_have_server()
        monkeypatch.setenv("CI", "true")
        assert must_have_server()
