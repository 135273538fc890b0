"""`compose/nginx/eventstore.conf` in a real nginx in front of a service: TLS, events at once, WebSockets, limits."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.sync.client import connect

from gateways.http import ServiceSettings
from gateways.http.access import Scope
from tests.http.keys import Keyed, event, keyed

pytestmark = [pytest.mark.service, pytest.mark.untraced]

NAME = "store.example"
CONFIGURATION = Path(__file__).resolve().parents[2] / "compose" / "nginx" / "eventstore.conf"
WAIT_SECONDS = 30
_MAIN = """
{user}
pid {scratch}/nginx.pid;
error_log {scratch}/error.log;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    include {scratch}/eventstore.conf;
}}
"""


class Proxied(NamedTuple):
    """A service behind nginx: `client` asks it over TLS, verified against `context`."""

    service: Keyed
    port: int
    context: ssl.SSLContext
    scratch: Path
    client: httpx.Client


def certificate(directory: Path) -> None:
    """Write a key and its self-signed certificate for the proxy's name and the loopback."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)  # noqa: TID251 - openssl compares it with the machine's clock
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME), address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (directory / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "key.pem").write_bytes(secret)


def configured(scratch: Path, service: Keyed, port: int) -> Path:
    """Write the configuration with this test's ports and paths in place of the shipped ones."""
    text = CONFIGURATION.read_text(encoding="utf-8")
    upstream = service.url.removeprefix("http://")
    for shipped, own in (
        ("server 127.0.0.1:8000;", f"server {upstream};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("/etc/ssl/store.example/", f"{scratch}/"),
        ("/var/log/nginx/", f"{scratch}/"),
    ):
        assert shipped in text, f"{CONFIGURATION.name} lacks {shipped!r}"
        text = text.replace(shipped, own)
    (scratch / "eventstore.conf").write_text(text, encoding="utf-8")
    main = scratch / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    main.write_text(_MAIN.format(user=user, scratch=scratch), encoding="utf-8")
    return main


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    scratch = tmp_path_factory.mktemp("nginx")
    certificate(scratch)
    settings = ServiceSettings(allowed_hosts=(NAME,))
    keys = {"desk": ((Scope.READ, Scope.APPEND), ())}
    with keyed(tmp_path_factory.mktemp("served"), keys, settings) as service:
        port = free_port()
        command = ["nginx", "-p", str(scratch), "-c", str(configured(scratch, service, port)), "-g", "daemon off;"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as nginx:
            try:
                _wait_until_it_listens(nginx, port)
                context = ssl.create_default_context(cafile=str(scratch / "certificate.pem"))
                with httpx.Client(
                    base_url=f"https://127.0.0.1:{port}",
                    verify=context,
                    headers={**service.headers("desk"), "host": f"{NAME}:{port}"},
                    timeout=WAIT_SECONDS,
                    trust_env=False,
                ) as client:
                    yield Proxied(service, port, context, scratch, client)
            finally:
                nginx.terminate()
                nginx.wait(WAIT_SECONDS)


def _wait_until_it_listens(nginx: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        assert nginx.poll() is None, nginx.stderr and nginx.stderr.read()
        assert time.monotonic() < deadline, "nginx does not listen"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return


def test_plain_http_and_old_tls_are_refused(proxied: Proxied) -> None:
    assert httpx.get(f"http://127.0.0.1:{proxied.port}/v1/records").status_code == 400
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", proxied.port), WAIT_SECONDS) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain, server_hostname=NAME)


def test_other_names_keys_and_origins_are_refused_through_it_too(proxied: Proxied) -> None:
    ask = proxied.client.get
    assert ask("/v1/records", headers={"host": "evil.example"}).status_code == 421
    assert ask("/v1/records", headers={"authorization": "Bearer es_no"}).status_code == 401
    assert ask("/v1/records", headers={"origin": "https://evil.example"}).status_code == 403
    assert ask("/v1/records", headers={"origin": f"https://{NAME}:{proxied.port}"}).status_code == 200


def test_a_body_that_is_too_large_is_refused_there(proxied: Proxied) -> None:
    assert proxied.client.post("/v1/batches", content=b" " * 9_000_000).status_code == 413


def test_a_key_in_the_url_is_in_no_log_of_nginx(proxied: Proxied) -> None:
    text = proxied.service.texts["desk"]
    assert proxied.client.get(f"/v1/records?key={text}").status_code == 400
    logged = (proxied.scratch / "eventstore.log").read_text(encoding="utf-8")
    assert "/v1/records" in logged
    assert text not in logged


def test_what_is_appended_over_tls_is_read_over_tls(proxied: Proxied) -> None:
    sent = {"events": [event("OrderAccepted")]}
    answer = proxied.client.post("/v1/streams/order/ACC1/O-1", json=sent)
    assert (answer.status_code, answer.headers["strict-transport-security"]) == (200, "max-age=31536000")
    position = answer.json()["records"][0]["position"]
    records = proxied.client.get("/v1/records", params={"after": position - 1}).json()["records"]
    assert records[0]["actor"] == "desk"


def test_events_pass_at_once_while_the_stream_is_open(proxied: Proxied) -> None:
    head = proxied.client.get("/v1/records?limit=1").json()["head"]
    with proxied.client.stream("GET", "/v1/follow", params={"after": head}) as stream:
        lines = stream.iter_lines()
        assert next(line for line in lines if line == "event: log")
        for number in range(1, 4):
            began = time.monotonic()
            proxied.service.append("desk", "order/ACC1/O-1", event("OrderAccepted"))
            assert next(line for line in lines if line == f"id: {head + number}")
            assert time.monotonic() - began < 5


def test_a_websocket_passes_over_tls(proxied: Proxied) -> None:
    url, headers = f"wss://{NAME}:{proxied.port}/v1/ws", proxied.service.headers("desk")
    plain = socket.create_connection(("127.0.0.1", proxied.port), WAIT_SECONDS)
    with connect(url, sock=plain, ssl=proxied.context, additional_headers=headers) as opened:
        opened.send(json.dumps({"action": "subscribe", "topic": "records"}))
        assert json.loads(opened.recv(WAIT_SECONDS))["type"] == "subscribed"
        proxied.service.append("desk", "order/ACC1/O-1", event("OrderAccepted"))
        assert "OrderAccepted" in str(opened.recv(WAIT_SECONDS))
