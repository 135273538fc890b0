"""All routes, by subject."""

from gateways.http.routes import (
    appending,
    enforcement,
    following,
    health,
    maintenance,
    notes,
    orders,
    records,
    sockets,
    states,
)

ROUTES = (
    *appending.ROUTES,
    *records.ROUTES,
    *enforcement.ROUTES,
    *following.ROUTES,
    *health.ROUTES,
    *maintenance.ROUTES,
    *notes.ROUTES,
    *orders.ROUTES,
    *sockets.ROUTES,
    *states.ROUTES,
)

__all__ = ["ROUTES"]
