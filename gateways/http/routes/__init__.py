"""All routes, by subject."""

from gateways.http.routes import (
    appending,
    charts,
    enforcement,
    exports,
    following,
    health,
    log,
    maintenance,
    metrics,
    notes,
    orders,
    page_data,
    proofs,
    questions,
    records,
    sockets,
    state_versions,
    states,
    timeline,
    verification,
)

ROUTES = (
    *appending.ROUTES,
    *records.ROUTES,
    *charts.ROUTES,
    *enforcement.ROUTES,
    *exports.ROUTES,
    *following.ROUTES,
    *health.ROUTES,
    *log.ROUTES,
    *maintenance.ROUTES,
    *metrics.ROUTES,
    *notes.ROUTES,
    *orders.ROUTES,
    *page_data.ROUTES,
    *proofs.ROUTES,
    *questions.ROUTES,
    *sockets.ROUTES,
    *state_versions.ROUTES,
    *states.ROUTES,
    *timeline.ROUTES,
    *verification.ROUTES,
)

MEMBER_ROUTES = (*enforcement.READ_ROUTES, health.live, *states.ROUTES)
"""What a member of a group answers, each about one account."""

__all__ = ["MEMBER_ROUTES", "ROUTES"]
