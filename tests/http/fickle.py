"""What comes between a client and its service: lost answers, refusals for a while, connections cut at any byte."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from eventstore import Closed, OutcomeUnknown, Overloaded, StoreError
from eventstore.remote.identity import LOG_ID_HEADER, MSGPACK
from eventstore.remote.packing import PackedOutcome, packed
from eventstore.remote.problems import MEDIA_TYPE, problem_of
from gateways.http import Service

if TYPE_CHECKING:
    from gateways.http.gate import ASGIApp, Message, Receive, Scope, Send

LOST = "the answer is lost"
STOPPING = Closed("the service is stopping")
FULL = Overloaded("too much waits: nothing was written")
UNSURE = OutcomeUnknown([bytes(16)], "a sync failed")
LIMITED = "too many requests"
_LIMITED: dict[str, Any] = {
    "type": "urn:trading-eventstore:problem:TooManyRequests",
    "title": "TooManyRequests",
    "status": 429,
}
GARBLED = "the answer is of something else"


class Limited(Exception):
    """A key has made too many requests."""


class Inside(NamedTuple):
    """An error that is the outcome of a group, in an answer that came."""

    error: StoreError | Limited


Failure: TypeAlias = "str | StoreError | Inside"


class Fickle:
    """Makes an application fail as planned, one request after another; what is past the plan is answered."""

    def __init__(self, *plan: Failure, path: str = "/v1/groups") -> None:
        self.plan, self.path, self.asked = list(plan), path, 0

    def __call__(self, app: ASGIApp, service: Service) -> ASGIApp:
        log_id = service.store.log_id.hex().encode()

        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            if scope.get("path") != self.path:
                await app(scope, receive, send)
                return
            self.asked += 1
            failure = self.plan.pop(0) if self.plan else None
            if failure is None:
                await app(scope, receive, send)
                return
            if failure == LOST:

                async def lose(message: Message) -> None:
                    pass

                await app(scope, receive, lose)
            await fail(failure, send, log_id)

        return call


async def fail(failure: Failure, send: Send, log_id: bytes) -> None:
    """Answer a request as a failure of that kind does."""
    status, body, media_type = 502, b"Bad Gateway", "text/plain"
    if isinstance(failure, Inside):
        problem = problem_of(failure.error) if isinstance(failure.error, StoreError) else _LIMITED
        outcome = PackedOutcome(problem=msgspec.json.encode(problem))
        status, body, media_type = 200, packed([outcome]), MSGPACK
    elif isinstance(failure, StoreError):
        problem = problem_of(failure)
        status, body, media_type = problem["status"], msgspec.json.encode(problem), MEDIA_TYPE
    elif failure == LIMITED:
        status, body, media_type = 429, msgspec.json.encode(_LIMITED), MEDIA_TYPE
    elif failure == GARBLED:
        status, body, media_type = 404, b"<html>", "text/html"
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", b"0"),
        (LOG_ID_HEADER.encode(), log_id),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Cutter:
    """A proxy of TCP connections, each cut after a number of bytes that is drawn; `spare` lets all through."""

    def __init__(self, port: int, chance: random.Random, bytes_max: int) -> None:
        self._port, self._chance, self._bytes_max = port, chance, bytes_max
        self.cuts = 0
        self.spare = False
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._connect, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _connect(self, client: socket.socket) -> None:
        # Cut in both directions: before the request is whole, before the answer is, and in between.
        left = [self._chance.randrange(self._bytes_max)]
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port)) as server:
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._pump, args=(server, client, left), daemon=True)
            back.start()
            self._pump(client, server, left)
            back.join()

    def _pump(self, source: socket.socket, target: socket.socket, left: list[int]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if not self.spare and len(data) >= left[0]:
                    target.sendall(data[: left[0]])
                    self.cuts += 1
                    break
                left[0] -= 0 if self.spare else len(data)
                target.sendall(data)
        for side in (source, target):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in list(self._threads):
            thread.join(10.0)


@contextlib.contextmanager
def cutting(port: int, *, seed: int, bytes_max: int) -> Iterator[Cutter]:
    cutter = Cutter(port, random.Random(seed), bytes_max)
    try:
        yield cutter
    finally:
        cutter.close()
