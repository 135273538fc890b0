"""A receiver of alerts over HTTP that fails as often as it should, and checks signatures by itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import socket
import threading
from types import TracebackType
from typing import Any, NamedTuple, Self

from typing_extensions import override

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
HANG = 0
"""An answer that never comes, until the receiver is closed."""


class Received(NamedTuple):
    """One request: its method and path, its headers by lower-case name, its body."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.body)


class HttpReceiver:
    """Listens on a port of its own; `answers` are the status codes of the next requests, then 200.

    Until `listen` its connections are refused.
    """

    def __init__(self, *answers: int, listening: bool = True) -> None:
        self.answers = list(answers)
        self.received: list[Received] = []
        self.arrived = threading.Condition()
        self._closing = threading.Event()
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._server: http.server.ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/alerts?key=a-secret-of-the-url"
        if listening:
            self.listen()

    def listen(self) -> None:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.answer(self)

            def do_GET(self) -> None:
                receiver.answer(self)

            @override
            def log_message(self, format: str, *args: Any) -> None:
                """Print nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = self._socket
        self._server.server_address = self._socket.getsockname()
        self._socket.listen(64)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self.arrived:
            status = self.answers.pop(0) if self.answers else 200
            self.received.append(Received(handler.command, handler.path, headers, body))
            self.arrived.notify_all()
        if status == HANG:
            self._closing.wait(60)
            return
        handler.send_response(status)
        handler.send_header("location", "http://127.0.0.1:1/elsewhere")
        handler.end_headers()

    def wait(self, count: int, seconds: float = 60) -> list[Received]:
        """Return what was received once it is so much; fail after a while."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.received) >= count, seconds), self.received
        return self.received

    @property
    def ids(self) -> list[str]:
        return [each.headers["webhook-id"] for each in self.received]

    def close(self) -> None:
        self._closing.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._socket.close()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def is_signed(received: Received, secret: str = SECRET) -> bool:
    """Return whether a request has the signature that Standard Webhooks asks for: computed here by itself."""
    key = base64.b64decode(secret[len("whsec_") :])
    content = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode() + received.body
    block = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(each ^ 0x36 for each in block) + content).digest()
    outer = hashlib.sha256(bytes(each ^ 0x5C for each in block) + inner).digest()
    expected = "v1," + base64.b64encode(outer).decode()
    return hmac.compare_digest(received.headers["webhook-signature"], expected)
