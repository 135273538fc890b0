"""All routes, by subject."""

from gateways.http.routes import appending, enforcement, health, orders, records, states

ROUTES = (*appending.ROUTES, *records.ROUTES, *orders.ROUTES, *states.ROUTES, *enforcement.ROUTES, *health.ROUTES)

__all__ = ["ROUTES"]
