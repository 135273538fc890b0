"""All routes, by subject."""

from gateways.http.routes import appending, exports, health, proofs, questions, records, timeline

ROUTES = (
    *appending.ROUTES,
    *records.ROUTES,
    *timeline.ROUTES,
    *questions.ROUTES,
    *proofs.ROUTES,
    *exports.ROUTES,
    *health.ROUTES,
)

__all__ = ["ROUTES"]
