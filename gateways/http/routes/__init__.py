"""All routes, by subject."""

from gateways.http.routes import (
    appending,
    charts,
    enforcement,
    exports,
    following,
    health,
    maintenance,
    notes,
    orders,
    page_data,
    proofs,
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
    *exports.ROUTES,
    *following.ROUTES,
    *health.ROUTES,
    *maintenance.ROUTES,
    *notes.ROUTES,
    *orders.ROUTES,
    *page_data.ROUTES,
    *proofs.ROUTES,
    *questions.ROUTES,
    *records.ROUTES,
    *states.ROUTES,
    *timeline.ROUTES,
    *verification.ROUTES,
)

__all__ = ["ROUTES"]
