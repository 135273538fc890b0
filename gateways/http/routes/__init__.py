"""All routes, by subject."""

from gateways.http.routes import appending, following, health, records, sockets, state_versions

ROUTES = (
    *appending.ROUTES,
    *records.ROUTES,
    *following.ROUTES,
    *health.ROUTES,
    *sockets.ROUTES,
    *state_versions.ROUTES,
)

__all__ = ["ROUTES"]
