"""The gate in front of every route: what no route should see is refused, and each request has an id and a caller."""

from __future__ import annotations

import itertools
import os
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec

from eventstore import StoreError
from eventstore.clock import NANOSECONDS
from eventstore.ids import id_text, new_ids
from eventstore.remote.problems import MEDIA_TYPE
from gateways.http.access import NotAuthenticated
from gateways.http.answering import RequestRefused, document_of, retry_after
from gateways.http.exchange import Exchange, too_large
from gateways.http.keys.secret import looks_like_key
from gateways.http.origins import is_known_host, is_same_origin
from gateways.http.owners import ANSWERED_BY, ANSWERED_FROM
from gateways.http.rates import TooManyRequests
from gateways.http.request_log import RequestLine, requests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from gateways.http import exchange as exchanges
    from gateways.http.exchange import Header
    from gateways.http.served import LogService

    Message: TypeAlias = exchanges.Message
    Scope: TypeAlias = exchanges.AsgiScope
    Receive: TypeAlias = exchanges.Receive
    Send: TypeAlias = exchanges.Send
    ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

UNCOUNTED = frozenset({"/health/live", "/health"})
"""What is answered at any rate without a key: else a client that asks too often could have the service restarted."""
_COUNTED_LATER = ("/v1/streams/", "/v1/batches", "/v1/groups", "/v1/enforcement/")
"""Appends take a token once it is known what they are about; claims and answers of enforcement take none."""
_KEY_PARAMETERS = frozenset({"key", "api_key", "api-key", "apikey", "token", "access_token", "authorization"})
_ALLOWED_HEADERS = b"authorization, content-type, last-event-id, x-correlation-id, x-request-id"
_EXPOSED_HEADERS = f"{ANSWERED_BY}, {ANSWERED_FROM}, retry-after, x-correlation-id, x-request-id".encode()
_PREFLIGHT_SECONDS = b"600"
_RESPONSE_IN_HANDSHAKE = "websocket.http.response"
_NUMBER_BYTES = 9
ANONYMOUS = ""
"""The bucket of all requests without a key."""


class Gate:
    """ASGI middleware: what is refused here no route sees, and what is answered has passed it."""

    def __init__(self, app: ASGIApp, service: LogService) -> None:
        self._app, self._service = app, service
        # No secret: they only have to differ, and to ask the system for each would let other threads in between.
        self._numbers = itertools.count(int.from_bytes(os.urandom(_NUMBER_BYTES), "big"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        clock = self._service.store.clock
        began = clock.monotonic_ns()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        state = scope.setdefault("state", {})
        state["request_id"] = id_ = uuid_in(headers, "x-request-id") or self._new_id(clock.now_ns())
        correlation = uuid_in(headers, "x-correlation-id")
        exchange = Exchange(scope, receive, send, self._service)
        exchange.extra_headers += [(b"x-request-id", id_.encode())]
        if correlation is not None:
            exchange.extra_headers.append((b"x-correlation-id", correlation.encode()))
        try:
            await self._pass(scope, headers, exchange)
        finally:
            requests.info(
                "%s",
                RequestLine(
                    request_id=id_,
                    correlation_id=correlation,
                    method="WS" if scope["type"] == "websocket" else scope["method"],
                    route=scope.get("path_template") or "-",
                    status=exchange.status,
                    ms=(clock.monotonic_ns() - began) / (NANOSECONDS // 1000),
                    key=exchange.caller.name if exchange.caller is not None and exchange.caller.key else None,
                ),
            )

    async def _pass(self, scope: Scope, headers: dict[str, str], exchange: Exchange) -> None:
        try:
            if self._check_request(scope, headers, exchange):
                await answer_preflight(exchange)
                return
            self._check_caller(scope, headers, exchange)
        except (RequestRefused, StoreError, TooManyRequests) as e:
            await refuse(scope, exchange.send, e, scope["state"]["request_id"])
            return
        await self._app(scope, exchange.receive, exchange.send)

    def _new_id(self, now: int) -> str:
        (id_,) = new_ids(1, now, lambda size: next(self._numbers).to_bytes(size, "big"))
        return id_text(id_)

    def _check_request(self, scope: Scope, headers: dict[str, str], exchange: Exchange) -> bool:
        """Raise RequestRefused for what no route may see; return whether only what may be asked is asked for."""
        settings = self._service.settings
        self._check_addressed(scope, headers, exchange)
        if len(scope["query_string"]) > settings.query_bytes_max:
            msg = f"the query has more than {settings.query_bytes_max:,} bytes"
            raise RequestRefused(414, "UriTooLong", msg, "Ask for less at once.", limit=settings.query_bytes_max)
        _check_no_key(scope["query_string"].decode("latin-1"))
        if scope["type"] == "websocket":
            return False
        if headers.get("content-encoding", "identity").lower() != "identity":
            msg = "the body is encoded, and the service takes it as it is: an encoded one may become of any size"
            raise RequestRefused(415, "UnsupportedEncoding", msg, "Send it without `Content-Encoding`.")
        length = headers.get("content-length", "0")
        if not (length.isdecimal() and length.isascii()) or int(length[:20]) > settings.body_bytes_max:
            raise too_large(settings.body_bytes_max)
        return scope["method"] == "OPTIONS" and "access-control-request-method" in headers and "origin" in headers

    def _check_addressed(self, scope: Scope, headers: dict[str, str], exchange: Exchange) -> None:
        """Raise RequestRefused for a name that is not this service's, and for a page that may not ask it."""
        settings = self._service.settings
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        authority = hosts[0].decode("latin-1") if len(hosts) == 1 else ""
        if not is_known_host(authority, scope, settings.allowed_hosts):
            msg = f"the service has not the name {authority!r:.100}"
            raise RequestRefused(
                421, "MisdirectedRequest", msg, "Start it with --allowed-host NAME for each name it has."
            )
        origin = headers.get("origin")
        if origin is None:
            return
        if origin in settings.cors_origins:
            exchange.extra_headers += _cors(origin)
        elif not is_same_origin(origin, authority):
            msg = f"a page of {origin!r:.100} may not ask this service"
            raise RequestRefused(403, "ForeignOrigin", msg, "Start it with --cors-origin ORIGIN for each that may.")

    def _check_caller(self, scope: Scope, headers: dict[str, str], exchange: Exchange) -> None:
        """Find out whom a request is from, and take a token of theirs; the routes' guard asks for a key."""
        state, path = scope["state"], scope["path"]
        try:
            exchange.caller = state["caller"] = self._service.authenticator.caller(headers)
        except NotAuthenticated as e:
            state["not_authenticated"] = e
            if path not in UNCOUNTED:
                self._service.rates.take(ANONYMOUS)
            return
        is_append = scope.get("method") == "POST" and path.startswith(_COUNTED_LATER)
        if not is_append and path not in UNCOUNTED:
            self._service.rates.take(exchange.caller.key)


def uuid_in(headers: dict[str, str], name: str) -> str | None:
    """Return the UUID that a header holds, as UUIDs are written; None for anything else, which is not repeated."""
    text = headers.get(name, "")
    try:
        return str(uuid.UUID(text)) if len(text) == 36 else None  # noqa: PLR2004 - a UUID's length
    except ValueError:
        return None


def _check_no_key(query: str) -> None:
    """Raise RequestRefused for a key in the URL, which servers, proxies and browsers keep in logs and histories."""
    if not query:
        return
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name.lower() in _KEY_PARAMETERS or looks_like_key(value):
            msg = "a key was sent in the URL, where logs and histories keep it: revoke it, it is no longer a secret"
            raise RequestRefused(400, "KeyInUrl", msg, "Send `Authorization: Bearer KEY` as a header.")


def _cors(origin: str) -> list[Header]:
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", _EXPOSED_HEADERS),
        (b"vary", b"origin"),
    ]


async def answer_preflight(exchange: Exchange) -> None:
    """Answer a browser that asks which requests a page of an allowed origin may make."""
    headers = [
        (b"access-control-allow-methods", b"GET, POST, PUT, DELETE"),
        (b"access-control-allow-headers", _ALLOWED_HEADERS),
        (b"access-control-max-age", _PREFLIGHT_SECONDS),
    ]
    await exchange.send({"type": "http.response.start", "status": HTTPStatus.NO_CONTENT, "headers": headers})
    await exchange.send({"type": "http.response.body", "body": b"", "more_body": False})


async def refuse(scope: Scope, send: Send, error: Exception, request_id: str) -> None:
    """Answer a request that no route sees with a problem document; a socket is not opened, and answered the same."""
    document = document_of(error, request_id)
    status, content = document["status"], msgspec.json.encode(document)
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(content))]
    if status in {429, 503}:
        headers.append((b"retry-after", str(retry_after(error)).encode()))
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    start, body = "http.response.start", "http.response.body"
    if scope["type"] == "websocket":
        if _RESPONSE_IN_HANDSHAKE not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": document["detail"][:120]})
            return
        start, body = f"websocket.{start}", f"websocket.{body}"
    await send({"type": start, "status": status, "headers": headers})
    await send({"type": body, "body": content, "more_body": False})
