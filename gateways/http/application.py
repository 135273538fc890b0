"""The application: every route with the scope that it needs, and the same answers to the same errors everywhere."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Scope as HandledScope

from gateways.http.access import Caller, Scope, caller_in
from gateways.http.answering import response_of
from gateways.http.bodies import BodyRequest
from gateways.http.documentation import openapi_config
from gateways.http.express import Express
from gateways.http.gate import Gate
from gateways.http.identity import LogIdentity
from gateways.http.live.hub import Hub
from gateways.http.page import PAGE_ROUTES
from gateways.http.reads import record_question
from gateways.http.routes import ROUTES
from gateways.http.service import Service
from projections.view import SHARED

if TYPE_CHECKING:
    from gateways.http.gate import ASGIApp, Receive, Send
    from gateways.http.gate import Scope as AsgiScope


def create_app(service: Service) -> Gate:
    """Return the ASGI application that serves a log: nothing is answered but through its gate."""
    return Gate(LogIdentity(Express(Routed(service), service), service), service)


class Routed:
    """The routes alone, which expect what the gate knows of a request, for one service."""

    def __init__(self, service: Service) -> None:
        self._service, self._hub = service, Hub(service)
        self._routes = routes(service.settings.body_bytes_max)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        state = scope.setdefault("state", {})
        state["service"], state["hub"] = self._service, self._hub
        await cast("ASGIApp", self._routes)(scope, receive, send)


async def _live(receive: Receive, send: Send) -> None:
    """Say that all is ready, and that all has ended: the routes begin and end nothing, and are those of others too."""
    kind = ""
    while kind != "lifespan.shutdown":
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})


@functools.cache
def routes(body_bytes_max: int) -> Litestar:
    """Return the routes of all services of this process: to register them takes a tenth of a second.

    Which service a request is for is in its scope.
    """
    return Litestar(
        route_handlers=(*ROUTES, *PAGE_ROUTES),
        request_class=BodyRequest,
        dependencies={
            "service": Provide(service_of, sync_to_thread=False),
            "hub": Provide(hub_of, sync_to_thread=False),
            "caller": Provide(caller_of, sync_to_thread=False),
        },
        guards=[guard],
        before_request=record_question,
        exception_handlers={Exception: response_of},
        openapi_config=openapi_config(),
        request_max_body_size=body_bytes_max,
        logging_config=None,
    )


def service_of(scope: HandledScope) -> Service:
    """Return the service that a request is for."""
    service: Service = scope["state"]["service"]
    return service


def hub_of(scope: HandledScope) -> Hub:
    """Return what sends live messages of the service that a request is for."""
    hub: Hub = scope["state"]["hub"]
    return hub


# It names the service so that Litestar provides one after the other: both at once would each take a task.
def caller_of(request: ASGIConnection[Any, Any, Any, Any], service: NamedDependency[Service]) -> Caller:  # noqa: ARG001
    """Return whom a request is from, for the routes."""
    return caller_in(request.scope["state"])


# A coroutine, for Litestar would call a function in a thread.
async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Raise NotAllowed unless the caller has the scope that a route names, for the accounts in its path and query.

    A route says `opt={"scope": Scope.READ}`; `None` is for what anybody may ask, or, where it
    takes the caller, for every key.
    """
    scope = handler.opt.get("scope", Scope.ADMIN)
    if scope is None:
        return
    caller = caller_in(connection.scope["state"])
    caller.require(scope, connection.path_params.get("account"))
    # All of them: which one of several a route takes is the route's business.
    for account in connection.query_params.getall("account", []):
        # What belongs to no account is the route's business too, where it says so.
        caller.require(scope, None if account == SHARED and handler.opt.get("shared") else account)
