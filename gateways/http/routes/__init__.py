"""All routes, by subject."""

from gateways.http.routes import (
    appending,
    charts,
    following,
    health,
    page_data,
    records,
    verification,
)

ROUTES = (
    *appending.ROUTES,
    *charts.ROUTES,
    *following.ROUTES,
    *health.ROUTES,
    *page_data.ROUTES,
    *records.ROUTES,
    *verification.ROUTES,
)

__all__ = ["ROUTES"]
