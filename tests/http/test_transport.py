"""Connecting to a service: what is refused, what is kept secret, and whose certificate is trusted."""

from __future__ import annotations

import http.server
import socket
import ssl
import subprocess
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import eventstore
from eventstore import InvalidEvent, Refused, Unavailable
from eventstore.remote import transport
from eventstore.remote.transport import Transport
from eventstore.testing.store_contract import ACCOUNT, ORDER, balance, fill, order
from gateways.http.access import Caller, NotAuthenticated, Scope
from tests.http.serving import running

KEY = "es_c2VjcmV0LXRoYXQtbm9ib2R5LW1heS1zZWU"


class OneKey:
    """Knows one key, whose name is `desk`, for one account or all."""

    needs_key = True

    def __init__(self, *scopes: Scope, account: str | None = None) -> None:
        accounts = None if account is None else frozenset([account])
        self._caller = Caller("desk", frozenset(scopes), accounts)

    def caller(self, headers: Mapping[str, str]) -> Caller:
        if headers.get("authorization") != f"Bearer {KEY}":
            msg = "the key is not valid"
            raise NotAuthenticated(msg)
        return self._caller

    def is_valid(self, caller: Caller) -> bool:
        return True


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://localhost",
        "http://",
        "http://localhost:port",
        f"http://desk:{KEY}@localhost:1",
        f"http://localhost:1/?key={KEY}",
        f"http://localhost:1/#{KEY}",
    ],
)
def test_a_url_that_is_none_or_holds_a_secret_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        eventstore.connect(url, key=KEY)
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("key", [f"{KEY}\r\nx: y", f"{KEY} {KEY}", "é" + KEY, "k" * 513])
def test_a_key_that_is_none_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        eventstore.connect("http://127.0.0.1:1", key=key)
    assert KEY not in str(refused.value)


def test_a_service_and_influxdb_are_not_named_together() -> None:
    with pytest.raises(InvalidEvent, match="one or the other"):
        eventstore.connect("http://127.0.0.1:1", key=KEY, org="desk")  # type: ignore[call-overload]
    with pytest.raises(InvalidEvent, match="URL"):
        eventstore.connect(key=KEY)  # type: ignore[call-overload]


def test_a_wrong_key_is_refused_at_once_and_shown_nowhere(tmp_path: Path) -> None:
    with running(tmp_path, authenticator=OneKey(Scope.APPEND)) as service:
        wrong = KEY.swapcase()
        with pytest.raises(Refused) as refused:
            eventstore.connect(service.url, key=wrong)
        assert refused.value.status == 401
        assert wrong not in str(refused.value)


def test_the_name_of_the_key_is_the_actor(tmp_path: Path) -> None:
    with (
        running(tmp_path, authenticator=OneKey(Scope.APPEND, Scope.READ)) as service,
        eventstore.connect(service.url, key=KEY) as store,
    ):
        (record,) = store.append(ORDER, order(), actor="desk")
        assert (store.actor, record.actor) == ("desk", "desk")
        assert KEY not in f"{store!r} {store.journal!r} {vars(store)!r}"


def test_a_key_for_one_account_reads_that_one_and_appends(tmp_path: Path) -> None:
    with running(tmp_path) as service, eventstore.connect(service.url, key="") as store:
        store.append_many([eventstore.Batch(ORDER, order()), eventstore.Batch("order/ACC2/O-1", order())])
    keys = OneKey(Scope.APPEND, Scope.READ, account="ACC1")
    with running(tmp_path, authenticator=keys) as service, eventstore.connect(service.url, key=KEY) as store:
        store.append(ORDER, fill("T"), expected=store.version(ORDER))
        for options in ({"account": "ACC1"}, {"stream": "order/ACC1/"}, {"stream": ORDER}):
            assert [record.position for record in store.read(**options)] == [1, 3]  # type: ignore[arg-type]
        for refused in (
            lambda: list(store.read()),
            lambda: list(store.read(account="ACC2")),
            lambda: list(store.read(stream="order/")),
            lambda: store.version("order/ACC2/O-1"),
            store.types,
            store.root,
        ):
            with pytest.raises(Refused) as not_allowed:
                refused()
            assert not_allowed.value.status == 403


def test_a_key_to_another_machine_without_encryption_is_warned_about() -> None:
    with pytest.warns(UserWarning, match="without encryption"):
        Transport("http://store.example.com", KEY).close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for url in ("http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://store.example.com"):
            Transport(url, KEY).close()
        Transport("http://store.example.com", "").close()


def test_proxies_of_the_environment_are_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with running(tmp_path) as service:
        with eventstore.connect(service.url, key="") as store:
            store.append(ACCOUNT, balance(1))
        with pytest.raises(Unavailable, match="proxy"):
            eventstore.connect(service.url, key="", proxy="http://127.0.0.1:1", retry_seconds=0.2)


@pytest.fixture
def certified(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Serve nothing with a certificate that only its own file vouches for; the URL and the file."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}", certificate
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_certificate_is_checked_and_its_authority_can_be_named(certified: tuple[str, Path]) -> None:
    url, certificate = certified
    with pytest.raises(Refused, match="certificate"):
        eventstore.connect(url, key=KEY)
    # Behind the right certificate answers something other than a service.
    with pytest.raises(Refused, match="status 501"):
        eventstore.connect(url, key=KEY, ca=certificate)


def test_an_answer_cut_off_anywhere_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PAUSE_SECONDS", 0.0)
    body = b'{"head":12}'
    answer = b"HTTP/1.1 200 OK\r\neventstore-log: 00ff\r\ncontent-length: 11\r\nx: y\r\n\r\n" + body
    asked = []

    def serve(listening: socket.socket) -> None:
        for size in range(len(answer) + 1):
            connection, _ = listening.accept()
            with connection:
                asked.append(connection.recv(65_536))
                connection.sendall(answer[:size])

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        asking = Transport(f"http://127.0.0.1:{listening.getsockname()[1]}", KEY)
        asking.claim(b"\x00\xff")
        found = asking.ask("GET", "/v1/head", query={"past": 3})
        thread.join(10.0)
        asking.close()
    assert found.body == body
    assert (len(asked), len(set(asked))) == (len(answer) + 1, 1)
