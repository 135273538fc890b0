"""The test proxy passes everything on, and fails only as planned."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.influx.proxy import Proxy
from tests.influx.servers import LocalServer, Refused, Server

POINT = b"price,symbol=XBT value=1i 1700000000000000000"
TIMEOUT_SECONDS = 0.3
WAIT_SECONDS = 10.0


@pytest.fixture
def client(server: Server, proxy: Proxy) -> Server:
    """The server, reached through the proxy."""
    return Server(proxy.url, server.org, server.token)


def count(server: Server, bucket: str) -> int:
    return len(server.flux(f'from(bucket: "{bucket}") |> range(start: 0)'))


@pytest.mark.container
def test_one_connection_carries_requests_of_every_kind(server: Server, proxy: Proxy, bucket: str) -> None:
    path = f"/api/v2/write?org={server.org}&bucket={bucket}"
    headers = {"Authorization": f"Token {server.token}"}
    chunks = [POINT.replace(b"XBT", b"%d" % number) + b"\n" for number in range(1000)]
    query = f'from(bucket: "{bucket}") |> range(start: 0)'
    requests: list[tuple[str, bytes | Iterator[bytes] | None]] = [
        (path, POINT),
        (path, iter(chunks)),
        (f"/api/v2/query?org={server.org}", query.encode()),
        ("/health", None),
    ]
    with contextlib.closing(http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=WAIT_SECONDS)) as connection:
        statuses = []
        answer = b""
        for target, body in requests:
            kind = {"Content-Type": "application/vnd.flux"}
            connection.request("POST" if body else "GET", target, body, headers | kind)
            used = connection.sock
            response = connection.getresponse()
            statuses.append(response.status)
            answer = max(answer, response.read(), key=len)
            assert connection.sock is used
    assert statuses == [204, 204, 200, 200]
    assert answer.count(b",XBT") == 1
    assert answer.count(b",price,") == 1001
    assert (proxy.requests, proxy.cuts) == (4, 0)


@pytest.mark.container
def test_a_cut_response_leaves_the_point_written(server: Server, proxy: Proxy, client: Server, bucket: str) -> None:
    proxy.cut_after_request(2)
    for _ in range(2):
        with pytest.raises(http.client.RemoteDisconnected):
            client.write(bucket, POINT)
    assert count(server, bucket) == 1
    assert client.is_ready()
    client.write(bucket, POINT)
    assert (proxy.requests, proxy.cuts) == (4, 2)


def test_a_cut_on_another_path_does_not_affect_writes(proxy: Proxy, client: Server, bucket: str) -> None:
    proxy.cut_after_request(path="/api/v2/query")
    client.write(bucket, POINT)
    with pytest.raises(http.client.RemoteDisconnected):
        count(client, bucket)
    assert count(client, bucket) == 1


@pytest.mark.container
def test_a_request_with_a_planned_response_does_not_reach_the_server(
    server: Server, proxy: Proxy, client: Server, bucket: str
) -> None:
    proxy.answer_with(429, 2, {"Retry-After": "1"})
    for _ in range(2):
        with pytest.raises(Refused, match="as planned"):
            client.write(bucket, POINT)
    assert count(server, bucket) == 0
    client.write(bucket, POINT)
    assert count(server, bucket) == 1


def test_a_planned_response_has_its_headers_and_keeps_the_connection(server: Server, proxy: Proxy) -> None:
    proxy.answer_with(503, headers={"Retry-After": "7"}, path="/health")
    with contextlib.closing(http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=WAIT_SECONDS)) as connection:
        answers = []
        for _ in range(2):
            connection.request("GET", "/health")
            response = connection.getresponse()
            answers.append((response.status, response.getheader("Retry-After")))
            response.read()
    assert answers == [(503, "7"), (200, None)]


def test_a_refusing_proxy_cuts_connections_until_it_accepts_again(server: Server, proxy: Proxy, client: Server) -> None:
    with contextlib.closing(http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=WAIT_SECONDS)) as connection:
        connection.request("GET", "/health")
        connection.getresponse().read()
        assert connection.sock is not None
        proxy.refuse()
        assert connection.sock.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        client.request("GET", "/health")
    proxy.accept()
    assert client.is_ready()


@pytest.mark.container
def test_a_delayed_write_arrives_after_its_client_has_gone(
    server: Server, proxy: Proxy, client: Server, bucket: str
) -> None:
    proxy.delay(2 * TIMEOUT_SECONDS)
    query = {"org": server.org, "bucket": bucket}
    with pytest.raises(TimeoutError):
        client.request("POST", "/api/v2/write", query=query, body=POINT, seconds_max=TIMEOUT_SECONDS)
    assert count(server, bucket) == 0
    end = time.monotonic() + WAIT_SECONDS
    while count(server, bucket) == 0:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_dead_server_is_a_broken_connection_and_a_new_one_is_found(own_server: LocalServer) -> None:
    with Proxy.before(own_server) as proxy:
        client = Server(proxy.url, own_server.org, own_server.token)
        own_server.kill()
        with pytest.raises(http.client.RemoteDisconnected):
            client.request("GET", "/health")
        own_server.restart()
        assert client.is_ready()


def test_leaving_the_proxy_does_not_wait_for_the_server(own_server: LocalServer) -> None:
    with Proxy.before(own_server) as proxy:
        client = Server(proxy.url, own_server.org, own_server.token)
        own_server.pause()
        with pytest.raises(TimeoutError):
            client.request("GET", "/health", seconds_max=TIMEOUT_SECONDS)
        left = time.monotonic()
    assert time.monotonic() - left < 2.0
