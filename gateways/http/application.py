"""The application: every route with the scope that it needs, and the same answers to the same errors everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import Provide
from litestar.handlers.base import BaseRouteHandler

from gateways.http.access import Caller, NotAllowed, Scope
from gateways.http.answering import response_of
from gateways.http.bodies import BodyRequest
from gateways.http.documentation import openapi_config
from gateways.http.gate import Gate
from gateways.http.reads import record_question
from gateways.http.routes import ROUTES
from gateways.http.service import Service
from projections.view import SHARED

if TYPE_CHECKING:
    from gateways.http.gate import ASGIApp


def create_app(service: Service) -> Gate:
    """Return the ASGI application that serves a log: the gate, and behind it the routes."""
    return Gate(cast("ASGIApp", routed(service)), service)


def routed(service: Service) -> Litestar:
    """Return the routes alone, which expect what the gate knows of a request."""

    def provide_service() -> Service:
        return service

    return Litestar(
        route_handlers=ROUTES,
        request_class=BodyRequest,
        state=State({"service": service}),
        dependencies={
            "service": Provide(provide_service, sync_to_thread=False),
            "caller": Provide(caller_of, sync_to_thread=False),
        },
        guards=[guard],
        before_request=record_question,
        exception_handlers={Exception: response_of},
        openapi_config=openapi_config(),
        request_max_body_size=service.settings.body_bytes_max,
        logging_config=None,
    )


def caller_of(request: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Return whom a request is from; the gate has looked."""
    caller: Caller = request.scope["state"]["caller"]
    return caller


def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Raise NotAllowed unless the caller has the scope that a route names, for the account in its path or query.

    A route says `opt={"scope": Scope.READ}`; `None` is for what anybody may ask.
    """
    scope = handler.opt.get("scope", Scope.ADMIN)
    if scope is None:
        return
    caller: Caller | None = connection.scope["state"].get("caller")
    if caller is None:
        msg = "no key was sent"
        raise NotAllowed(msg)
    caller.require(scope, connection.path_params.get("account"))
    # All of them: which one of several a route takes is the route's business.
    for account in connection.query_params.getall("account", []):
        # What belongs to no account is the route's business too, where it says so.
        caller.require(scope, None if account == SHARED and handler.opt.get("shared") else account)
