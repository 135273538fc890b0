"""Plays a recorded session of a ProjectX gateway on 127.0.0.1: REST interface and user hub (SignalR over websocket).

A session has phases, one for each connection of the hub. A phase says what the REST interface answers, and what the
hub sends once so many orders have been placed; then it keeps the connection, or drops it. `$1` in a recording stands
for the tag of the first order that was placed, and what names one that was not placed is left out.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from typing_extensions import override

SESSION = Path(__file__).with_name("projectx_session.json")
TOKEN = "a-token"
_ACCEPTS = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_END = "\x1e"


class RecordedSession:
    """What the gateway says, and what it was asked."""

    def __init__(self, path: Path = SESSION) -> None:
        self.phases: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["phases"]
        self.phase = -1
        self.tags: list[str] = []
        self.refused: list[str] = []
        self.calls: list[str] = []
        self.placed = threading.Condition()
        self.before_place: Callable[[], None] = _nothing
        self.after_place: Callable[[], None] = _nothing

    def connect(self) -> dict[str, Any]:
        """Return the phase of the next connection; the last one stays."""
        self.phase = min(self.phase + 1, len(self.phases) - 1)
        return self.phases[self.phase]

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request."""
        good = {"success": True, "errorCode": 0, "errorMessage": None}
        if path != "Order/place":
            answer: dict[str, Any] = self._known(self.phases[max(self.phase, 0)]["rest"][path])
            return good | answer
        self.before_place()
        with self.placed:
            is_new = body["customTag"] not in self.tags
            (self.tags if is_new else self.refused).append(body["customTag"])
            self.placed.notify_all()
        self.after_place()
        order_id = self.phases[0]["first_order_id"] + self.tags.index(body["customTag"])
        failed: dict[str, Any] = {"success": False, "errorCode": 2, "errorMessage": "in use"}
        return good | {"orderId": order_id} if is_new else failed

    def messages(self, phase: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what the hub sends in a phase, once its orders are placed."""
        with self.placed:
            assert self.placed.wait_for(lambda: len(self.tags) >= phase["after_orders"], timeout=60)
        sent: list[dict[str, Any]] = self._known(phase["hub"])
        return sent

    def _known(self, recorded: Any) -> Any:  # noqa: ANN401 - JSON
        """Return a part of the recording with the tags that orders have by now."""
        if isinstance(recorded, str) and recorded.startswith("$"):
            return self.tags[int(recorded[1:]) - 1]
        if isinstance(recorded, list):
            return [self._known(each) for each in recorded if self._needs(each) <= len(self.tags)]
        if isinstance(recorded, dict):
            return {name: self._known(each) for name, each in recorded.items() if name != "needs"}
        return recorded

    @staticmethod
    def _needs(recorded: Any) -> int:  # noqa: ANN401 - JSON
        return int(recorded.get("needs", 0)) if isinstance(recorded, dict) else 0


def _nothing() -> None:
    pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: GatewayOfSession

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_known = self.headers["Authorization"] == f"Bearer {TOKEN}"
        answer = self.server.session.post(self.path.removeprefix("/api/"), body) if is_known else {}
        data = json.dumps(answer).encode()
        self.send_response(200 if is_known else 401)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        """Become a websocket, and play the next phase."""
        assert self.path.endswith(f"access_token={TOKEN}")
        key = self.headers["Sec-WebSocket-Key"] + _ACCEPTS
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.close_connection = True
        phase = self.server.session.connect()
        assert json.loads(self._received()) == {"protocol": "json", "version": 1}
        self._send({})
        self.server.session.calls += [json.loads(self._received())["target"] for _ in range(4)]
        for each in self.server.session.messages(phase):
            self._send({"type": 1} | each)
        self._send({"type": 6})
        while phase["stays"] and self._received():
            pass

    def _received(self) -> str:
        """Return the text of the client's next frame, "" at the end."""
        head = self.rfile.read(2)
        if len(head) < 2 or head[0] & 0x0F == 8:  # a close
            return ""
        size = head[1] & 0x7F
        size = struct.unpack(">H", self.rfile.read(2))[0] if size == 126 else size
        mask, masked = self.rfile.read(4), self.rfile.read(size)
        return bytes(each ^ mask[index % 4] for index, each in enumerate(masked)).decode().rstrip(_END)

    def _send(self, data: dict[str, Any]) -> None:
        text = (json.dumps(data) + _END).encode()
        size = bytes([len(text)]) if len(text) < 126 else b"\x7e" + struct.pack(">H", len(text))
        self.wfile.write(b"\x81" + size + text)
        self.wfile.flush()

    @override
    def log_message(self, *_: object) -> None: ...


class GatewayOfSession(ThreadingHTTPServer):
    """Serves a session on a free port, in threads of its own."""

    daemon_threads = True

    def __init__(self, session: RecordedSession) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.session = session
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that was killed does not read its answer."""

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()
