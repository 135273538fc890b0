"""All routes, by subject."""

from gateways.http.routes import (
    appending,
    enforcement,
    exports,
    following,
    health,
    log,
    maintenance,
    notes,
    orders,
    proofs,
    questions,
    records,
    sockets,
    state_versions,
    states,
    timeline,
)

ROUTES = (
    *appending.ROUTES,
    *records.ROUTES,
    *enforcement.ROUTES,
    *exports.ROUTES,
    *following.ROUTES,
    *health.ROUTES,
    *log.ROUTES,
    *maintenance.ROUTES,
    *notes.ROUTES,
    *orders.ROUTES,
    *proofs.ROUTES,
    *questions.ROUTES,
    *sockets.ROUTES,
    *state_versions.ROUTES,
    *states.ROUTES,
    *timeline.ROUTES,
)

__all__ = ["ROUTES"]
