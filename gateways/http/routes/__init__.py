"""All routes, by subject."""

from gateways.http.routes import appending, charts, health, page_data, records

ROUTES = (*appending.ROUTES, *records.ROUTES, *health.ROUTES, *page_data.ROUTES, *charts.ROUTES)

__all__ = ["ROUTES"]
