"""All routes, by subject."""

from gateways.http.routes import appending, following, health, records, sockets

ROUTES = (*appending.ROUTES, *records.ROUTES, *following.ROUTES, *health.ROUTES, *sockets.ROUTES)

__all__ = ["ROUTES"]
