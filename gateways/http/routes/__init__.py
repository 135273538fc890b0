"""All routes, by subject."""

from gateways.http.routes import appending, enforcement, health, maintenance, notes, orders, records, states

ROUTES = (
    *appending.ROUTES,
    *records.ROUTES,
    *orders.ROUTES,
    *states.ROUTES,
    *enforcement.ROUTES,
    *notes.ROUTES,
    *maintenance.ROUTES,
    *health.ROUTES,
)

__all__ = ["ROUTES"]
