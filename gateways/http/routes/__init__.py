"""All routes, by subject."""

from gateways.http.routes import (
    appending,
    charts,
    enforcement,
    following,
    health,
    orders,
    page_data,
    records,
    states,
    verification,
)

ROUTES = (
    *appending.ROUTES,
    *charts.ROUTES,
    *enforcement.ROUTES,
    *following.ROUTES,
    *health.ROUTES,
    *orders.ROUTES,
    *page_data.ROUTES,
    *records.ROUTES,
    *states.ROUTES,
    *verification.ROUTES,
)

__all__ = ["ROUTES"]
