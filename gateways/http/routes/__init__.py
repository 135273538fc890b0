"""All routes, by subject."""

from gateways.http.routes import appending, health, records

ROUTES = (*appending.ROUTES, *records.ROUTES, *health.ROUTES)

__all__ = ["ROUTES"]
