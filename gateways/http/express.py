"""The way past the router for the most frequent requests: an append to one stream, and an order that is submitted.

It takes half of the time. The routes of the same paths document them. What is answered here is decided by the same
functions, in the same order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from eventstore.remote.wire import SentAppend
from gateways.http.access import Scope, caller_in
from gateways.http.appends import append_to_stream
from gateways.http.bodies import decoded
from gateways.http.gate import refuse
from gateways.http.orders import SubmittedOrder, submit_order

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from gateways.http.access import Caller
    from gateways.http.gate import ASGIApp, Receive, Send
    from gateways.http.gate import Scope as AsgiScope
    from gateways.http.service import Service

_encode = msgspec.json.Encoder().encode


class Way(NamedTuple):
    """A path and what answers it: the template, the scope that it needs, and the place of the account among its parts.

    `answer` takes the service, the caller, the parts of the path and the body.
    """

    template: str
    scope: Scope
    account: int
    answer: Callable[[Service, Caller, Sequence[str], bytes], Awaitable[object]]


class Express:
    """ASGI middleware in front of the router."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        # With a query the router's guard looks at what it names.
        if scope["type"] == "http" and scope["method"] == "POST" and not scope["query_string"]:
            parts = scope["path"].split("/")
            way = _way_of(parts)
            if way is not None:
                await self._answer(way, parts, scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _answer(self, way: Way, parts: list[str], scope: AsgiScope, receive: Receive, send: Send) -> None:
        state = scope["state"]
        # For the request log and the metrics, as the router would have it.
        scope["path_template"] = way.template
        try:
            caller = caller_in(state)
            caller.require(way.scope, parts[way.account])
            body = await _body_of(receive)
            if body is None:
                return
            content = _encode(await way.answer(self._service, caller, parts, body))
        except Exception as e:  # noqa: BLE001 - each becomes a problem document; what is not foreseen is logged there
            await refuse(scope, send, e, state["request_id"])
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content, "more_body": False})


async def _append(service: Service, caller: Caller, parts: Sequence[str], body: bytes) -> object:
    sent: SentAppend = decoded(body, SentAppend)
    return await append_to_stream(service, caller, "/".join(parts[3:]), sent)


async def _submit(service: Service, caller: Caller, parts: Sequence[str], body: bytes) -> object:
    sent: SubmittedOrder = decoded(body, SubmittedOrder)
    return await submit_order(service, caller, parts[3], sent)


_APPEND = Way("/v1/streams/{category}/{account}/{entity}", Scope.APPEND, 4, _append)
_SUBMIT = Way("/v1/orders/{account}/submit", Scope.TRADE, 3, _submit)


def _way_of(parts: Sequence[str]) -> Way | None:
    """Return what answers a path, by its parts; None where the router does."""
    match parts:
        case ["", "v1", "streams", category, account, entity] if category and account and entity:
            return _APPEND
        case ["", "v1", "orders", account, "submit"] if account:
            return _SUBMIT
    return None


async def _body_of(receive: Receive) -> bytes | None:
    """Return the whole body, None where the client left before it was there."""
    found = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        part: bytes = message.get("body", b"")
        found += part
        if not message.get("more_body", False):
            return found
