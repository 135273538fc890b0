"""All routes, by subject."""

from gateways.http.routes import appending, health, metrics, records

ROUTES = (*appending.ROUTES, *records.ROUTES, *health.ROUTES, *metrics.ROUTES)

__all__ = ["ROUTES"]
