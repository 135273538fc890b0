"""Hostile connections: malformed, idle, slow, greedy. The service refuses them, and answers everybody else."""

from __future__ import annotations

import contextlib
import random
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateways.http import ServiceSettings
from gateways.http.connections import Outgoing, with_files_for
from tests.http.serving import Running, running
from tests.http.test_gate import raw
from tests.waiting import until

pytestmark = pytest.mark.service

WAIT_SECONDS = 30
SOCKETS = 40
SETTINGS = ServiceSettings(
    sockets_max=SOCKETS, header_seconds=1, body_seconds=1, send_seconds_max=1, idle_seconds=60, header_bytes_max=4_096
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("hostile"), settings=SETTINGS) as found:
        yield found


def connected(service: Running) -> socket.socket:
    address = httpx.URL(service.url)
    return socket.create_connection((address.host, address.port or 0), WAIT_SECONDS)


def answers(service: Running) -> bool:
    with httpx.Client(base_url=service.url, timeout=WAIT_SECONDS, trust_env=False) as client:
        return client.get("/health/live").status_code == 200


def closed(connection: socket.socket) -> bytes:
    """Return what is received until the other side closes; fail where it does not."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            found += part
    return found


HEAD = b"POST /v1/batches HTTP/1.1\r\nHost: localhost\r\n"
UPGRADE = b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
_WHOLE = UPGRADE + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
STARTS = (
    HEAD,
    HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n",
    HEAD + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",
    HEAD + b"Content-Type: \xff\xfe\r\n\r\n",
    HEAD + b"Authorization: Bearer \xff\xff\xff\r\n\r\n",
    HEAD + b"X: \x00\r\n\r\n",
    HEAD + b" folded\r\n\r\n",
    b"GET /v1/follow HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: -1\r\n\r\n",
    b"GET /v1/follow?after=x HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n",
    b"GET /%ff%00/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET //v1//records HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET http://evil.example/v1/records HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\r\n" * 100,
    UPGRADE + b"\r\n",
    UPGRADE + b"Sec-WebSocket-Version: 99\r\nSec-WebSocket-Key: x\r\n\r\n",
    UPGRADE + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \xff\r\n\r\n",
    _WHOLE + b"\xff\xff\xff\xff",
    _WHOLE + b"\x81\x05hello",
    _WHOLE + b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
    _WHOLE + b"\x83\x80\x00\x00\x00\x00\x0f\x80\x00\x00\x00\x00",
    _WHOLE + b"\x88\x81\x00\x00\x00\x00\x00",
    _WHOLE.replace(b"/v1/ws", b"/ws") + b"\x81\x82\x00\x00\x00\x00\xff\xfe",
)


def malformed(random_: random.Random) -> bytes:
    """Return one of the starts, with bytes changed, cut or doubled."""
    sent = bytearray(random_.choice(STARTS))
    for _ in range(random_.randrange(4)):
        place = random_.randrange(len(sent))
        match random_.randrange(4):
            case 0:
                sent[place] = random_.randrange(256)
            case 1:
                del sent[place : place + random_.randrange(1, 9)]
            case 2:
                sent[place:place] = random_.randbytes(random_.randrange(1, 40))
            case _:
                sent[place:place] = sent[place : place + 20]
        if not sent:
            break
    return bytes(sent) or b"\n"


def test_a_thousand_malformed_clients_change_nothing(service: Running, caplog: pytest.LogCaptureFixture) -> None:
    random_ = random.Random(19)
    statuses: dict[bytes, int] = {}
    for _ in range(1_000):
        with connected(service) as connection, contextlib.suppress(OSError):
            connection.sendall(malformed(random_))
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(0.01)
            status = connection.recv(12)[9:12]
            statuses[status] = statuses.get(status, 0) + 1
    assert not [status for status in statuses if status.startswith(b"5")], statuses
    assert answers(service)
    assert not [each for each in caplog.records if each.levelno >= 40], caplog.text


@pytest.mark.slow
def test_ten_thousand_idle_sockets_are_limited_and_keep_nobody_out(service: Running) -> None:
    held: list[socket.socket] = []
    # As many as this process may have open at once, beside the service's own.
    most = with_files_for(10_000 + SOCKETS) - SOCKETS
    try:
        for number in range(10_000):
            held.append(connected(service))
            if len(held) > most:
                held.pop(0).close()
            if number % 1_000 == 999:
                assert answers(service)
                assert len(service.connections) <= SOCKETS
        assert answers(service)
    finally:
        for each in held:
            each.close()


def test_one_more_connection_takes_the_place_of_the_one_idle_for_longest(service: Running) -> None:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connected(service)) for _ in range(SOCKETS)]
        assert answers(service)
        assert closed(held[0]) == b""
    assert answers(service)


def test_where_all_are_busy_one_more_is_refused_with_words(tmp_path: Path) -> None:
    settings = ServiceSettings(sockets_max=3, body_seconds=WAIT_SECONDS, header_seconds=WAIT_SECONDS)
    with running(tmp_path, settings=settings) as service, contextlib.ExitStack() as stack:
        for _ in range(3):
            connection = stack.enter_context(connected(service))
            connection.sendall(HEAD + b"Content-Length: 5\r\n\r\n")
        until(lambda: len(service.connections) == 3 and not service.connections.idle, "three requests")
        with connected(service) as one_more:
            answer = closed(one_more)
        assert answer[9:12] == b"503"
        assert b"retry-after: 1" in answer
        stack.close()
        until(lambda: answers(service), "an answer once they are gone")


def test_a_head_without_end_is_given_up(service: Running) -> None:
    with connected(service) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n")
        stop = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not stop.wait(0.1):
                    connection.sendall(b"X-A: b\r\n")

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert closed(connection)[9:12] in {b"408", b""}
        finally:
            stop.set()
            dripping.join(WAIT_SECONDS)


def test_a_connection_that_says_nothing_is_closed(service: Running) -> None:
    with connected(service) as connection:
        assert b" 408 " in closed(connection)


def test_a_body_without_end_is_given_up_whether_it_is_read_or_not(service: Running) -> None:
    for path in (b"/v1/batches", b"/nothing"):
        with connected(service) as connection:
            connection.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
            assert closed(connection)[9:12] in {b"408", b"404"}


def test_a_head_that_is_too_large_is_refused(service: Running) -> None:
    large = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 5_000 + b"\r\n\r\n"
    many = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 101 + b"\r\n"
    endless = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000
    for sent in (large, many, endless, b"GET /" + b"x" * 20_000):
        answer = raw(service.url, sent)
        assert answer[9:12] == b"431", sent[:60]
        assert b"content-security-policy" in answer


def test_who_takes_nothing_of_an_answer_is_cut_off(tmp_path: Path) -> None:
    text = "x" * 1_900
    sent = [{"type": "NoteAdded", "data": {"target": "order/ACC1/O-1", "text": text}} for _ in range(200)]
    with running(tmp_path, settings=SETTINGS) as service:
        for number in range(50):
            assert service.append(f"note/ACC1/{number}", *sent).status_code == 200
        registry = service.connections
        service.client.close()
        with connected(service) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.sendall(b"GET /v1/records?limit=10000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            until(lambda: any(each.transport.get_write_buffer_size() for each in list(registry._all)), "an answer")
            until(lambda: len(registry) == 0, "the end of a connection that takes nothing")


def test_of_many_files_as_many_as_allowed_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, limits: set_to.append(limits))
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (1_024, 4_096))
    assert (with_files_for(2_000), set_to) == (2_000, [(2_256, 4_096)])
    assert (with_files_for(10_000), set_to[1:]) == (3_840, [(4_096, 4_096)])
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert with_files_for(10_000) == 10_000


def test_what_still_drains_is_not_stalled() -> None:
    outgoing = Outgoing()
    assert [outgoing.stalled_for(left, now) for left, now in ((0, 1), (9, 2), (8, 3), (7, 4))] == [0, 0, 0, 0]
    assert [outgoing.stalled_for(left, now) for left, now in ((7, 5), (9, 6), (8, 7), (0, 8))] == [1, 2, 0, 0]
