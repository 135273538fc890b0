"""All routes, by subject."""

from gateways.http.routes import appending, following, health, records

ROUTES = (*appending.ROUTES, *records.ROUTES, *following.ROUTES, *health.ROUTES)

__all__ = ["ROUTES"]
