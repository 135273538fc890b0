"""All routes, by subject."""

from gateways.http.routes import appending, health, log, records

ROUTES = (*appending.ROUTES, *records.ROUTES, *log.ROUTES, *health.ROUTES)

__all__ = ["ROUTES"]
