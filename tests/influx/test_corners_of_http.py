"""Edge cases of HTTP: what a server, or anything else on its port, may answer to each call of the client."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest
from typing_extensions import override

from eventstore import Closed, InfluxSettings, Refused, Unavailable
from eventstore.influx import client as clients
from eventstore.influx.client import Client
from tests.influx.servers import free_port

WRITE, QUERY, BUCKETS, PING = "/api/v2/write", "/query", "/api/v2/buckets", "/ping"
NOWHERE = InfluxSettings("http://nowhere.invalid", "org", "bucket")

Answer = tuple[int, dict[str, str], bytes]
"""A status, headers, and a body."""


@contextlib.contextmanager
def answering(answers: Mapping[str, Answer]) -> Iterator[Client]:
    """Return a client of a server that has one response per path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            code, headers, body = answers[self.path.partition("?")[0]]
            self.send_response(code)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the library's name

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        settings = InfluxSettings(f"http://127.0.0.1:{server.server_address[1]}", "org", "bucket")
        with contextlib.closing(Client(settings)) as client:
            yield client
        server.shutdown()
        thread.join()


def test_without_the_library_the_client_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "influxdb_client", None)
    found = importlib.util.spec_from_file_location("client_without_its_library", clients.__file__)
    assert found is not None
    assert found.loader is not None
    with pytest.raises(ImportError, match=r"pip install 'trading-eventstore\[influx\]'"):
        found.loader.exec_module(importlib.util.module_from_spec(found))


def test_a_write_counts_only_with_its_own_status() -> None:
    """A proxy's login page also has status 200."""
    with answering({WRITE: (200, {}, b"<html>")}) as client, pytest.raises(Unavailable, match="with 200, not 204"):
        client.write(b"a b=1 1")


@pytest.mark.parametrize(
    ("code", "error"),
    [(204, None), (200, None), (400, None), (413, None), (422, None), (401, Refused), (403, Refused), (404, Refused)],
)
def test_an_empty_write_checks_the_permission_only(code: int, error: type[Refused] | None) -> None:
    """InfluxDB 2 responds with 204; others may reject it as empty."""
    with answering({WRITE: (code, {}, b"")}) as client:
        if error is None:
            client.check_writing()
        else:
            with pytest.raises(error):
                client.check_writing()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"Retry-After": "7"}, 7.0), ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.0), ({}, 0.0)],
    ids=["seconds", "a date", "nothing"],
)
@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_of_a_busy_server_is_kept(code: int, headers: dict[str, str], seconds: float) -> None:
    answer = (code, headers, b"")
    calls: list[Callable[[Client], object]] = [Client.ping, Client.check_bucket]
    calls += [lambda client: client.write(b"a b=1 1"), lambda client: client.query_rows("SELECT")]
    with answering({WRITE: answer, QUERY: answer, BUCKETS: answer, PING: answer}) as client:
        for call in calls:
            with pytest.raises(Unavailable, match=f"responds with {code} .no reason given.") as caught:
                call(client)
            assert caught.value.retry_after == seconds
            assert not isinstance(caught.value, Refused)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"code":"x","message":"disk full"}', "disk full"),
        (b'{"error":"disk\\n full"}', "disk full"),
        (b'{"code":"x"}', '{"code":"x"}'),
        (b'["disk", "full"]', '["disk", "full"]'),
        (b"<p>\ndisk  full\n</p>", "<p> disk full </p>"),
        (b"", "no reason given"),
        (b" \n ", "no reason given"),
        (b"x" * 10_000, "x" * 500),
    ],
)
def test_an_error_has_the_message_of_the_body_in_one_line(body: bytes, words: str) -> None:
    answer = (500, {"Content-Type": "text/plain"}, body)
    with answering({WRITE: answer, PING: answer}) as client:
        for call in (client.ping, lambda: client.write(b"a b=1 1")):
            with pytest.raises(Unavailable) as caught:
                call()
            assert f" responds with 500 ({words})" in str(caught.value)


def test_a_response_to_a_write_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "RESPONSE_BYTES_MAX", 10)
    with (
        answering({WRITE: (400, {"Content-Type": "text/plain"}, b"x" * 10_000)}) as client,
        pytest.raises(Refused, match=f"rejects this: {'x' * 11}$"),
    ):
        client.write(b"a b=1 1")
    with answering({WRITE: (200, {}, b"x" * 10_000)}) as client, pytest.raises(Unavailable, match="with 200, not 204"):
        client.write(b"a b=1 1")


def test_a_page_in_another_encoding_is_not_a_response() -> None:
    """A proxy may have one for its own errors."""
    answer = (502, {"Content-Type": "text/html; charset=latin-1"}, "Schlüssel".encode("latin-1"))
    calls: list[Callable[[Client], object]] = [Client.ping, Client.check_bucket]
    calls += [lambda client: client.write(b"a b=1 1"), lambda client: client.query_rows("SELECT")]
    with answering({WRITE: answer, QUERY: answer, BUCKETS: answer, PING: answer}) as client:
        for call in calls:
            with pytest.raises(Unavailable, match="InfluxDB at"):
                call(client)


def test_a_ping_returns_the_servers_version() -> None:
    with answering({PING: (204, {"X-Influxdb-Version": "v2.7.12"}, b"")}) as client:
        assert client.ping() == "v2.7.12"
    with answering({PING: (200, {}, b"")}) as client:
        assert client.ping() == ""


def test_every_call_reports_an_unreachable_server() -> None:
    settings = InfluxSettings(f"http://127.0.0.1:{free_port()}", "org", "bucket")
    with contextlib.closing(Client(settings)) as client:
        for call in (
            client.ping,
            client.check_bucket,
            lambda: client.write(b"a b=1 1"),
            lambda: client.query_rows("SELECT"),
        ):
            with pytest.raises(Unavailable, match="does not respond") as caught:
                call()
            assert " at 0x" not in str(caught.value)


def test_a_server_without_a_list_of_buckets_is_accepted() -> None:
    """InfluxDB 1 and 3 have none; one that has the list but not the organisation is refused."""
    with answering({BUCKETS: (404, {}, b"404 page not found")}) as client:
        client.check_bucket()
    with (
        answering({BUCKETS: (404, {}, b'{"message":"organization name \\"org\\" not found"}')}) as client,
        pytest.raises(Refused, match="there is no organisation 'org'") as caught,
    ):
        client.check_bucket()
    assert caught.value.status == 404


def test_a_closed_client_says_so() -> None:
    client = Client(NOWHERE)
    client.close()
    client.close()
    for call in (
        client.ping,
        client.check_bucket,
        lambda: client.write(b"a b=1 1"),
        lambda: client.query_rows("SELECT"),
    ):
        with pytest.raises(Closed, match="connect again"):
            call()


@pytest.mark.parametrize("token", ["geheïm", "secret\x07", "sec\nret"])
def test_an_invalid_token_is_not_sent_and_not_shown(token: str) -> None:
    with pytest.raises(Unavailable, match="contains invalid characters") as caught:
        msgspec.structs.replace(NOWHERE, token=token).secret()
    assert token not in str(caught.value)
