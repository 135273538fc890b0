"""The gate: foreign names and pages, bodies that are too large or encoded, keys in URLs, rates; and what is logged."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from typing_extensions import override

from eventstore import ManualClock, SystemClock
from gateways.http import ServiceSettings
from gateways.http.access import Scope
from gateways.http.answering import RequestRefused
from gateways.http.exchange import SECURITY_HEADERS, Exchange
from gateways.http.origins import is_known_host, is_same_origin
from gateways.http.request_log import JSON, LineFormatter
from tests.http.keys import NOW, Keyed, event, key_file, keyed
from tests.http.serving import Running, running

if TYPE_CHECKING:
    from gateways.http import Service
    from gateways.http.exchange import Message

BODY_MAX = 100_000
MINE, RELATED = "0b5d6f0e-6d0b-4c39-9f0e-3a1f5d0c8a11", "6f9c2a54-1d57-4a4e-8a31-0c7b0d2f9e22"
KEYS = dict.fromkeys(("desk", "other"), ((Scope.READ, Scope.APPEND, Scope.TRADE), ()))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    settings = ServiceSettings(
        body_bytes_max=BODY_MAX,
        body_seconds=1,
        cors_origins=("https://desk.example",),
        allowed_hosts=("store.example",),
    )
    with keyed(tmp_path_factory.mktemp("gate"), KEYS, settings) as found:
        yield found


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Keyed]:
    # A clock that stands still: no token comes back while this machine is busy.
    with keyed(tmp_path, KEYS, ServiceSettings(requests_per_second=0.5), ManualClock(NOW)) as found:
        yield found


@pytest.fixture(scope="module")
def open_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("open")) as found:
        yield found


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["instance"] == f"urn:uuid:{answer.headers['x-request-id']}"
    return answer.status_code, answer.json()["title"]


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "10.0.0.1", "["]
)
def test_a_name_that_points_here_without_leave_is_refused(open_service: Running, host: str) -> None:
    for path in ("/health/live", "/v1/records", "/nothing"):
        assert open_service.client.get(path, headers={"host": host}).status_code in {400, 421}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]", "[::1]:80", "localhost."])
def test_the_loopback_s_names_are_known(open_service: Running, host: str) -> None:
    assert open_service.client.get("/health/live", headers={"host": host}).status_code == 200


def test_two_names_are_none(open_service: Running) -> None:
    answer = raw(open_service.url, b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
    assert b" 421 " in answer.split(b"\r\n")[0] or b" 400 " in answer.split(b"\r\n")[0]


def test_an_allowed_name_is_known(service: Keyed) -> None:
    assert service.served.client.get("/health/live", headers={"host": "store.example:443"}).status_code == 200


def test_an_address_is_known_where_the_connection_came_to_it() -> None:
    assert is_known_host("10.0.0.7:8000", {"server": ("10.0.0.7", 8000)}, ())
    assert is_known_host("[fe80::1]:8000", {"server": ("fe80::1", 8000)}, ())
    assert not is_known_host("10.0.0.8:8000", {"server": ("10.0.0.7", 8000)}, ())
    assert not is_known_host("", {"server": ("", 8000)}, ())


@pytest.mark.parametrize(
    ("origin", "authority", "is_same"),
    [
        ("http://localhost:8000", "localhost:8000", True),
        ("https://store.example", "store.example", True),
        ("https://store.example", "store.example:443", True),
        ("http://localhost:8001", "localhost:8000", False),
        ("http://127.0.0.1:8000", "localhost:8000", False),
        ("https://store.example.evil.example", "store.example", False),
        ("null", "store.example", False),
        ("", "", False),
        ("file://", "", False),
        ("http://[", "[", False),
        ("http://store.example@evil.example", "store.example", False),
    ],
)
def test_an_origin_is_a_page_s_own(origin: str, authority: str, is_same: bool) -> None:
    assert is_same_origin(origin, authority) is is_same


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "https://desk.example:444", ""]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_a_page_of_another_origin_is_refused(open_service: Running, method: str, origin: str) -> None:
    answer = open_service.client.request(method, "/v1/streams/order/ACC1/O-1", headers={"origin": origin})
    assert problem(answer) == (403, "ForeignOrigin")
    assert "access-control-allow-origin" not in answer.headers


def test_a_socket_of_another_origin_is_not_opened(open_service: Running) -> None:
    answer = handshake(open_service.url, b"Origin: https://evil.example\r\n")
    assert b" 403 " in answer.split(b"\r\n")[0]
    assert b"ForeignOrigin" in answer


def test_an_allowed_origin_may_ask_and_is_named(service: Keyed) -> None:
    asked = {"origin": "https://desk.example", "access-control-request-method": "POST"}
    preflight = service.served.client.options("/v1/streams/order/ACC1/O-1", headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, "https://desk.example")
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    headers = service.headers("desk") | {"origin": "https://desk.example"}
    answer = service.served.client.get("/v1/records", headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://desk.example")
    assert answer.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in answer.headers


def test_without_leave_nothing_is_shared_with_other_origins(open_service: Running) -> None:
    for path in ("/health/live", "/v1/records"):
        assert not [name for name in open_service.client.get(path).headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/health/live", "/v1/records", "/v1/records?limit=x", "/nothing", "/docs"])
def test_every_answer_has_the_headers_that_protect_it(open_service: Running, path: str) -> None:
    answer = open_service.client.get(path)
    for name, value in SECURITY_HEADERS:
        assert answer.headers[name.decode()] == value.decode()
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity", "x"])
def test_an_encoded_body_is_refused(service: Keyed, encoding: str) -> None:
    headers = service.headers("desk") | {"content-encoding": encoding}
    answer = service.served.client.post("/v1/batches", content=b"{}", headers=headers)
    assert problem(answer) == (415, "UnsupportedEncoding")


def test_a_body_that_is_too_large_is_refused_before_it_is_read(service: Keyed) -> None:
    answer = raw(
        service.url,
        b"POST /v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100001\r\n"
        b"Authorization: " + service.headers("desk")["authorization"].encode() + b"\r\n\r\n",
    )
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert b'"limit":100000' in answer


def test_a_chunked_body_is_refused_once_it_is_too_large(service: Keyed) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 5_000

    answer = service.served.client.post("/v1/batches", content=chunks(), headers=service.headers("desk"))
    assert answer.status_code == 413


@pytest.mark.parametrize("length", [b"-1", b"1e3", b"99999999999999999999999999", b"0x10", b""])
def test_a_length_that_is_none_is_refused(open_service: Running, length: bytes) -> None:
    answer = raw(
        open_service.url, b"POST /v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + length + b"\r\n\r\n"
    )
    assert answer.split(b" ")[1] in {b"400", b"413"}


def test_a_body_that_does_not_arrive_is_given_up(service: Keyed) -> None:
    head = (
        b"POST /v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n"
        b"Authorization: " + service.headers("desk")["authorization"].encode() + b"\r\n\r\n{"
    )
    answer = raw(service.url, head)
    assert b" 408 " in answer.split(b"\r\n")[0]


def test_a_long_query_is_refused(open_service: Running) -> None:
    assert problem(open_service.client.get("/v1/records?stream=" + "x" * 9_000)) == (414, "UriTooLong")


@pytest.mark.parametrize("name", ["key", "Token", "api_key", "access_token", "stream"])
def test_a_key_in_the_url_is_refused_with_words(service: Keyed, name: str) -> None:
    text = service.texts["desk"]
    answer = service.get("desk", f"/v1/records?{name}={text}")
    assert problem(answer) == (400, "KeyInUrl")
    assert text not in answer.text


def test_a_request_id_is_taken_only_if_it_is_a_uuid(open_service: Running) -> None:
    mine = MINE
    assert open_service.client.get("/health/live", headers={"x-request-id": mine}).headers["x-request-id"] == mine
    for other in ("1", "x" * 36, mine + "0", "<script>", "{" + mine[1:]):
        answer = open_service.client.get("/health/live", headers={"x-request-id": other, "x-correlation-id": other})
        assert uuid.UUID(answer.headers["x-request-id"]).version == 7
        assert answer.headers["x-request-id"] != other
        assert "x-correlation-id" not in answer.headers


class Lines(logging.Handler):
    """Keeps what is logged, as JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(LineFormatter(JSON, SystemClock()))
        self.found: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, logger = Lines(), logging.getLogger("eventstore.http")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_each_request_is_one_line_without_secrets(service: Keyed, lines: Lines) -> None:
    text = service.texts["desk"]
    mine, related = MINE, RELATED
    headers = service.headers("desk") | {"x-request-id": mine, "x-correlation-id": related}
    sent = {"events": [event("OrderAccepted", broker_order_id="B-1")], "note": "private"}
    service.served.client.post("/v1/streams/order/ACC1/O-secret", json=sent, headers=headers)
    service.served.client.get(f"/v1/records?key={text}", headers=headers)
    service.served.client.get("/v1/records", headers={"authorization": f"Bearer {text[:-1]}"})
    service.served.client.get("/no/such/path")
    found: list[dict[str, Any]] = [json.loads(line) for line in lines.found]
    assert [(each["method"], each["route"], each["status"], each["key"]) for each in found] == [
        ("POST", "/v1/streams/{category}/{account}/{entity}", 200, "desk"),
        ("GET", "-", 400, None),
        ("GET", "/v1/records", 401, None),
        ("GET", "-", 404, None),
    ]
    assert (found[0]["request_id"], found[0]["correlation_id"]) == (mine, related)
    assert all(each["ms"] >= 0 for each in found)
    for secret in (text, text[3:20], "private", "O-secret", "B-1", "no/such"):
        assert secret not in "".join(lines.found)


def test_a_key_that_asks_too_often_is_held_back_and_may_still_lock(slow: Keyed) -> None:
    order, lockout = event("OrderAccepted"), event("LockoutSet", rule_id="kill")
    answers = [slow.get("desk", "/v1/records?limit=1") for _ in range(5)]
    assert answers[0].status_code == 200
    assert problem(answers[-1]) == (429, "TooManyRequests")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 2
    appends = [slow.append("desk", "order/ACC1/O-2", order) for _ in range(5)]
    assert problem(appends[-1]) == (429, "TooManyRequests")
    groups = {"groups": [{"batches": [{"stream": "lockout/ACC1/kill", "events": [lockout]}]}]}
    taken = event("EnforcementTaken", request_id="R", success=True)
    for _ in range(5):
        assert slow.append("desk", "lockout/ACC1/kill", lockout).status_code == 200
        assert slow.append("desk", "enforcement/ACC1/R", taken).status_code == 200
        assert "records" in slow.post("desk", "/v1/groups", groups).json()["outcomes"][0]
    both = [{"stream": "lockout/ACC1/kill", "events": [lockout]}, {"stream": "order/ACC1/O-2", "events": [order]}]
    assert 429 in {slow.post("desk", "/v1/batches", {"batches": both}).status_code for _ in range(5)}
    outcomes = [slow.post("desk", "/v1/groups", {"groups": [{"batches": both}]}).json()["outcomes"] for _ in range(5)]
    assert "TooManyRequests" in {each.get("problem", {}).get("title") for (each,) in outcomes}
    # Another key is not concerned.
    assert slow.get("other", "/v1/records?limit=1").status_code == 200


def test_requests_without_a_key_hold_back_no_key_and_no_health(slow: Keyed) -> None:
    assert {slow.served.client.get("/v1/records").status_code for _ in range(10)} == {401, 429}
    assert slow.get("desk", "/v1/records?limit=1").status_code == 200
    assert {slow.served.client.get("/health/live").status_code for _ in range(10)} == {200}


def test_an_unreadable_file_of_keys_keeps_everybody_out_until_it_is_back(tmp_path: Path) -> None:
    with keyed(tmp_path, {"desk": ((Scope.READ,), ())}) as service:
        path = key_file(tmp_path).path
        content = path.read_bytes()
        path.write_bytes(b"{")
        answer = service.get("desk", "/v1/records")
        assert problem(answer) == (503, "Unavailable")
        path.write_bytes(content)
        assert service.get("desk", "/v1/records").status_code == 200


def raw(url: str, sent: bytes) -> bytes:
    """Send bytes, and return what is answered first."""
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port or 0), 20) as connection:
        connection.sendall(sent)
        found = b""
        while not _is_whole(found):
            part = connection.recv(65_536)
            if not part:
                break
            found += part
    return found


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    return bool(end) and (b" 101 " in head or b"content-length: 0" in head.lower() or b"}" in body)


def handshake(url: str, *headers: bytes, path: str = "/v1/ws") -> bytes:
    return raw(
        url,
        b"GET " + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + b"".join(headers) + b"\r\n",
    )


async def received(parts: list[Message], settings: ServiceSettings) -> int:
    """Return how many messages a handler that asks for a whole body is given."""
    waiting = iter(parts)
    scope = {"type": "http", "headers": []}

    async def receive() -> Message:
        return next(waiting)

    async def send(_message: Message) -> None:
        pass

    exchange = Exchange(scope, receive, send, cast("Service", SimpleNamespace(settings=settings)))
    count = 0
    for count in range(1, len(parts) + 1):  # noqa: B007 - how many came
        await exchange.receive()
    return count


def test_every_handler_s_body_is_bounded_also_where_no_library_does_it() -> None:
    settings = ServiceSettings(body_bytes_max=10)
    parts: list[Message] = [{"type": "http.request", "body": b"12345", "more_body": True} for _ in range(3)]
    assert asyncio.run(received(parts[:2], settings)) == 2
    with pytest.raises(RequestRefused, match="more than 10 bytes"):
        asyncio.run(received(parts, settings))
