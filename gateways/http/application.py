"""The application: every route with the scope that it needs, and the same answers to the same errors everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.handlers.base import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from eventstore.extras import version
from gateways.http.access import Caller, NotAuthenticated, Scope
from gateways.http.answering import response_of
from gateways.http.bodies import BodyRequest
from gateways.http.gate import Gate
from gateways.http.live.hub import Hub
from gateways.http.routes import ROUTES
from gateways.http.service import Service

if TYPE_CHECKING:
    from gateways.http.gate import ASGIApp


def create_app(service: Service) -> Gate:
    """Return the ASGI application that serves a log: the gate, and behind it the routes."""
    return Gate(cast("ASGIApp", routed(service)), service)


def routed(service: Service) -> Litestar:
    """Return the routes alone, which expect what the gate knows of a request."""
    hub = Hub(service)

    def provide_service() -> Service:
        return service

    def provide_hub() -> Hub:
        return hub

    return Litestar(
        route_handlers=ROUTES,
        request_class=BodyRequest,
        dependencies={
            "service": Provide(provide_service, sync_to_thread=False),
            "hub": Provide(provide_hub, sync_to_thread=False),
            "caller": Provide(caller_of, sync_to_thread=False),
        },
        guards=[guard],
        exception_handlers={Exception: response_of},
        openapi_config=OpenAPIConfig(
            title="Trading event store",
            version=version(),
            path="/docs",
            components=Components(
                security_schemes={"key": SecurityScheme(type="http", scheme="bearer", description="An API key.")}
            ),
            security=[{"key": []}],
        ),
        request_max_body_size=service.settings.body_bytes_max,
        logging_config=None,
    )


# It names the service so that Litestar provides one after the other: both at once would each take a task.
def caller_of(request: ASGIConnection[Any, Any, Any, Any], service: NamedDependency[Service]) -> Caller:  # noqa: ARG001
    """Return whom a request is from, for the routes."""
    return known_caller(request)


def known_caller(request: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Return whom a request is from; raise NotAuthenticated where the gate has found no key, or none that is valid."""
    state = request.scope["state"]
    caller: Caller | None = state.get("caller")
    if caller is None:
        msg = "no key was sent"
        raise state.get("not_authenticated") or NotAuthenticated(msg)
    return caller


# A coroutine, for Litestar would call a function in a thread.
async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Raise NotAllowed unless the caller has the scope that a route names, for the accounts in its path and query.

    A route says `opt={"scope": Scope.READ}`; `None` is for what anybody may ask, or, where it
    takes the caller, for every key.
    """
    scope = handler.opt.get("scope", Scope.ADMIN)
    if scope is None:
        return
    caller = known_caller(connection)
    caller.require(scope, connection.path_params.get("account"))
    # All of them: which one of several a route takes is the route's business.
    for account in connection.query_params.getall("account", []):
        caller.require(scope, account)
