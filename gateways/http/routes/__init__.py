"""All routes, by subject."""

from gateways.http.routes import (
    appending,
    charts,
    following,
    health,
    page_data,
    records,
)

ROUTES = (
    *appending.ROUTES,
    *charts.ROUTES,
    *following.ROUTES,
    *health.ROUTES,
    *page_data.ROUTES,
    *records.ROUTES,
)

__all__ = ["ROUTES"]
