"""All routes, by subject."""

from gateways.http.routes import (
    appending,
    charts,
    enforcement,
    following,
    health,
    maintenance,
    notes,
    orders,
    page_data,
    questions,
    records,
    states,
    timeline,
    verification,
)

ROUTES = (
    *appending.ROUTES,
    *charts.ROUTES,
    *enforcement.ROUTES,
    *following.ROUTES,
    *health.ROUTES,
    *maintenance.ROUTES,
    *notes.ROUTES,
    *orders.ROUTES,
    *page_data.ROUTES,
    *questions.ROUTES,
    *records.ROUTES,
    *states.ROUTES,
    *timeline.ROUTES,
    *verification.ROUTES,
)

__all__ = ["ROUTES"]
