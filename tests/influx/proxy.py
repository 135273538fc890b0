"""A small HTTP proxy that cuts, refuses, delays and answers by itself on request."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import BinaryIO, Final, Self
from urllib.parse import urlsplit

from tests.influx.api import Server
from tests.influx.servers import free_port

WRITE: Final = "/api/v2/write"
CONNECT_SECONDS_MAX: Final = 5.0
ANSWER_SECONDS_MAX: Final = 60.0
IDLE_SECONDS_MAX: Final = 120.0
JOIN_SECONDS_MAX: Final = 5.0
LINE_BYTES_MAX: Final = 65_536
LINE_ENDS: Final = (b"\r\n", b"\n")


class Proxy:
    """Forwards each complete request and then its response, over keep-alive connections, unless a fault is planned.

    Used as a context manager. Each request has its own connection to the server, so that a restart of the server does
    not break a later request.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.requests = 0
        """How many complete requests have arrived, for any path, including those that were cut or answered here."""
        self.cuts = 0
        """How many connections were cut after the server had responded."""
        self._lock = threading.Lock()
        self._cut: dict[str, int] = {}
        self._answers: dict[str, tuple[int, bytes]] = {}
        self._delay_seconds = 0.0
        self._closing = threading.Event()
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    @classmethod
    def before(cls, server: Server) -> Self:
        """Return a proxy to a server."""
        address = urlsplit(server.url)
        return cls(address.hostname or "", address.port or 80)

    def __enter__(self) -> Self:
        self.accept()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self.refuse()
        for thread in self._threads:
            thread.join(JOIN_SECONDS_MAX)

    def cut_after_request(self, count: int = 1, *, path: str = WRITE) -> None:
        """Cut the client's connection instead of forwarding the response, for the next `count` requests to the path.

        The server has responded by then: what was sent is written, and the client does not know.
        """
        with self._lock:
            self._cut[path] = count

    def answer_with(
        self, status: int, times: int = 1, headers: Mapping[str, str] | None = None, *, path: str = WRITE
    ) -> None:
        """Respond to the next requests to the path here: they do not reach the server."""
        body = b'{"code":"planned","message":"the proxy answers as planned"}'
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {fields[name]}" for name in fields)]
        with self._lock:
            self._answers[path] = (times, "\r\n".join([*lines, "", ""]).encode() + body)

    def delay(self, seconds: float) -> None:
        """Forward each request after a delay, even if its client no longer waits; 0 ends that."""
        self._delay_seconds = seconds

    def refuse(self) -> None:
        """Cut all connections and stop listening: the system refuses new ones."""
        with self._lock:
            listener, self._listener = self._listener, None
            doomed = [*self._open, *([listener] if listener else [])]
        for one in doomed:
            # Wakes the thread that waits on the socket and closes it.
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        if listener:
            listener.close()

    def accept(self) -> None:
        """Listen, for the first time or again, on the same port."""
        with self._lock:
            if self._listener is None:
                self._listener = socket.create_server(("127.0.0.1", self._port))
                self._spawn(self._listen, self._listener)

    def _spawn(self, work: Callable[[socket.socket], None], one: socket.socket) -> None:
        thread = threading.Thread(target=work, args=(one,), name=f"proxy {self._port}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as reader, contextlib.suppress(OSError, EOFError), self._watched(client):
            if self._listener is None:
                return
            client.settimeout(IDLE_SECONDS_MAX)
            while request := _read_message(reader, answers=""):
                answer = self._answer(*request)
                if answer is None:
                    return
                client.sendall(answer)

    def _answer(self, first: str, request: bytes) -> bytes | None:
        """Return the response for the client, None for none."""
        method, target, _ = first.split(" ", 2)
        path = target.partition("?")[0]
        with self._lock:
            self.requests += 1
            times, planned = self._answers.get(path, (0, b""))
            self._answers[path] = (times - 1, planned)
            cutting = times < 1 and self._cut.get(path, 0) > 0
            self._cut[path] = self._cut.get(path, 0) - cutting
        if self._closing.wait(self._delay_seconds):
            return None
        if times > 0:
            return planned
        answer = self._forward(method, request)
        if cutting:
            with self._lock:
                self.cuts += 1
            return None
        return answer

    def _forward(self, method: str, request: bytes) -> bytes:
        with socket.create_connection(self._target, CONNECT_SECONDS_MAX) as server, self._watched(server):
            server.settimeout(ANSWER_SECONDS_MAX)
            server.sendall(request)
            with server.makefile("rb") as reader:
                message = _read_message(reader, answers=method)
        if message is None:
            raise EOFError
        return message[1]

    @contextlib.contextmanager
    def _watched(self, one: socket.socket) -> Iterator[None]:
        """Register the socket for `refuse` while it is in use."""
        with self._lock:
            self._open.add(one)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(one)


def _read_message(reader: BinaryIO, *, answers: str) -> tuple[str, bytes] | None:
    """Return a message's first line and all its bytes, None at the end of the stream.

    `answers` is the request's method if the message is a response, which may extend to the end of the stream.
    """
    head = [reader.readline(LINE_BYTES_MAX)]
    if not head[0]:
        return None
    while head[-1] not in LINE_ENDS:
        head.append(_read_line(reader))
    fields = {
        name.strip().lower(): value.strip().lower()
        for name, _, value in (line.decode("latin-1").partition(":") for line in head[1:-1])
    }
    first = head[0].decode("latin-1").strip()
    return first, b"".join(head) + _read_body(reader, first, fields, answers)


def _read_body(reader: BinaryIO, first: str, fields: Mapping[str, str], answers: str) -> bytes:
    if answers and (answers == "HEAD" or first.split(" ")[1] in {"204", "304"}):
        return b""
    if fields.get("transfer-encoding") == "chunked":
        return _read_chunks(reader)
    if "content-length" in fields:
        return _read_exactly(reader, int(fields["content-length"]))
    return reader.read() if answers else b""


def _read_chunks(reader: BinaryIO) -> bytes:
    """Return chunks as received, with their sizes and trailers."""
    parts = []
    size = -1
    while size != 0:
        parts.append(_read_line(reader))
        size = int(parts[-1].partition(b";")[0], 16)
        if size:
            parts.append(_read_exactly(reader, size + len(b"\r\n")))
    while parts[-1] not in LINE_ENDS:
        parts.append(_read_line(reader))
    return b"".join(parts)


def _read_line(reader: BinaryIO) -> bytes:
    line = reader.readline(LINE_BYTES_MAX)
    if not line:
        raise EOFError
    return line


def _read_exactly(reader: BinaryIO, size: int) -> bytes:
    content = reader.read(size)
    if len(content) < size:
        raise EOFError
    return content
