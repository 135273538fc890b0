"""The gate in front of every route: gives each request an id and a caller."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import msgspec

from eventstore.ids import new_ids
from eventstore.remote.problems import MEDIA_TYPE
from gateways.http.access import NotAuthenticated
from gateways.http.answering import document_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any, TypeAlias

    from gateways.http.service import Service

    Message: TypeAlias = MutableMapping[str, Any]
    Scope: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

PUBLIC = frozenset({"/health/live", "/health"})
"""What is answered without a key."""
PUBLIC_PREFIX = "/app"
"""The page: it holds no figures, and asks for them with the key that it is given."""


class Gate:
    """ASGI middleware: whom a request is from is known before anything reads it."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        (id_,) = new_ids(1, self._service.store.clock.now_ns())
        state["request_id"] = str(uuid.UUID(bytes=id_))
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            state["caller"] = self._service.authenticator.caller(headers)
        except NotAuthenticated as e:
            if not is_public(scope["path"]):
                await refuse(scope, send, e, state["request_id"])
                return
        await self._app(scope, receive, send)


def is_public(path: str) -> bool:
    """Return whether a path is answered without a key."""
    return path in PUBLIC or path in {"/", PUBLIC_PREFIX} or path.startswith(f"{PUBLIC_PREFIX}/")


async def refuse(scope: Scope, send: Send, error: Exception, request_id: str) -> None:
    """Answer a request that no route sees with a problem document; close a socket with a reason."""
    document = document_of(error, request_id)
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": document["detail"][:120]})
        return
    headers = [(b"content-type", MEDIA_TYPE.encode())]
    await send({"type": "http.response.start", "status": document["status"], "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(document), "more_body": False})
