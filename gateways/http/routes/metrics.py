"""Metrics for Prometheus: how the service does, and how far each account is from its limits."""

from __future__ import annotations

import functools

from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec

from gateways.http.access import Scope
from gateways.http.metrics import CONTENT_TYPE, exposition
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import Calling, Serving


@get(
    "/metrics",
    opt={"scope": Scope.READ},
    responses=responses() | {200: ResponseSpec(str, description="Prometheus' text format.", media_type="text/plain")},
    tags=["health"],
)
async def metrics(service: Serving, caller: Calling) -> Response[bytes]:
    """Return all metrics in Prometheus' text format; for keys of every account."""
    caller.require_all_accounts(Scope.READ)
    # In a thread, and not refreshed first: how far the book is behind is one of the figures.
    found = await service.store.long(functools.partial(exposition, service))
    return Response(found, media_type=CONTENT_TYPE)


ROUTES = (metrics,)
