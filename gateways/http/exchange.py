"""One request and its answer as they pass the gate: limits on what comes in, headers on what goes out."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING, Any

from eventstore.remote.identity import LOG_ID_HEADER
from gateways.http.answering import RequestRefused
from gateways.http.meters import UNROUTED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import TypeAlias

    from gateways.http.access import Caller
    from gateways.http.served import LogService

    Message: TypeAlias = MutableMapping[str, Any]
    AsgiScope: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    Header: TypeAlias = tuple[bytes, bytes]

SECURITY_HEADERS: tuple[Header, ...] = (
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""On every answer. One that a route sets itself stays as the route has it."""
_NO_STORE = (b"cache-control", b"no-store")
_EVENTS = b"text/event-stream"
WHOLE_BODY = "eventstore.body"
"""Where, among the extensions of a scope, stands what returns a body that is there already: see `Exchange.receive`."""
_LOG_ID = LOG_ID_HEADER.encode()
SUBPROTOCOL = "eventstore"


class Exchange:
    """Wraps `receive` and `send` of one request or socket."""

    def __init__(self, scope: AsgiScope, receive: Receive, send: Send, service: LogService) -> None:
        self._scope, self._receive, self._send, self._service = scope, receive, send, service
        self._began = time.perf_counter()
        self.status = 0
        """What was answered; 101 for a socket that was accepted, 0 where nothing was."""
        self.caller: Caller | None = None
        self.extra_headers: list[Header] = []
        self._is_socket = self._is_follower = scope["type"] == "websocket"
        self._bytes = 0
        self._has_whole_body = self._is_cut = False
        self._deadline: float | None = None

    async def receive(self) -> Message:
        """Return what comes next; raise RequestRefused for a body that is too large, or takes too long."""
        if self._is_cut:
            return {"type": "http.disconnect"}
        if self._is_socket or self._has_whole_body:
            message = await self._receive()
            while message["type"] == "websocket.receive" and self._is_over():
                # Not read any more: a follower looks at its key each second, and closes with a reason.
                message = await self._receive()
            return message
        # Mostly the body has come with the head, and a wait with a deadline takes longer than all else here.
        message = self._whole_body() or await self._body_part()
        if message["type"] == "http.request":
            self._has_whole_body = not message.get("more_body", False)
            self._bytes += len(message.get("body", b""))
            limit = self._service.settings.body_bytes_max
            if self._bytes > limit:
                raise too_large(limit)
        return message

    def _whole_body(self) -> Message | None:
        whole = self._scope.get("extensions", {}).get(WHOLE_BODY)
        body = None if whole is None or self._deadline is not None else whole(self._scope)
        return None if body is None else {"type": "http.request", "body": body, "more_body": False}

    async def _body_part(self) -> Message:
        loop = asyncio.get_running_loop()
        if self._deadline is None:
            self._deadline = loop.time() + self._service.settings.body_seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._receive()
        except TimeoutError as e:
            msg = f"the body did not arrive within {self._service.settings.body_seconds:g} seconds"
            raise RequestRefused(408, "RequestTimeout", msg, "Send it again, at once and whole.") from e

    async def send(self, message: Message) -> None:
        """Send a part of the answer; nothing more once the caller's key is over, as to a client that has left."""
        if self._is_cut:
            return
        match message["type"]:
            case "http.response.start" | "websocket.http.response.start":
                message = self._started(message)
            case "websocket.accept":
                self.status = 101
                message = {**message, "headers": self._headers(list(message.get("headers", ())))}
                if SUBPROTOCOL in self._scope.get("subprotocols", ()):
                    # A browser that offered protocols gives up a connection for which none of them is chosen.
                    message.setdefault("subprotocol", SUBPROTOCOL)
                    message["subprotocol"] = message["subprotocol"] or SUBPROTOCOL
            case "websocket.close" if not self.status:
                self.status = 403
            case "http.response.body" | "websocket.send":
                # A follower looks at its key by itself, and sends why it ends.
                if not self._is_follower and message.get("more_body", False) and self._is_over():
                    self._is_cut = True
                    await self._send({"type": "http.response.body", "body": b"", "more_body": False})
                    return
        await self._send(message)

    def _started(self, message: Message) -> Message:
        """Count the answer that begins, and return its beginning with the headers of every answer."""
        self.status = message["status"]
        headers = list(message.get("headers", ()))
        self._is_follower = any(name == b"content-type" and _EVENTS in value for name, value in headers)
        if not self._is_socket:
            # The router writes the template into the scope.
            scope, route = self._scope, str(self._scope.get("path_template") or UNROUTED)
            self._service.meters.answered(scope["method"], route, self.status, time.perf_counter() - self._began)
        return {**message, "headers": self._headers(headers)}

    def _headers(self, headers: list[Header]) -> list[Header]:
        which = (_LOG_ID, self._service.store.log_id.hex().encode())
        return [*headers, *_added(tuple([name for name, _ in headers])), which, *self.extra_headers]

    def _is_over(self) -> bool:
        return self.caller is not None and not self._service.authenticator.is_valid(self.caller)


@functools.lru_cache(maxsize=256)
def _added(names: tuple[bytes, ...]) -> tuple[Header, ...]:
    """Return what is added to headers of these names, of which the routes have few sets."""
    named = {name.lower() for name in names}
    return tuple(each for each in (*SECURITY_HEADERS, _NO_STORE) if each[0] not in named)


def too_large(limit: int) -> RequestRefused:
    """Return the refusal of a body that is larger than the service takes."""
    msg = f"the body has more than {limit:,} bytes"
    return RequestRefused(413, "BodyTooLarge", msg, "Split it: `limit` says how much is taken at once.", limit=limit)
