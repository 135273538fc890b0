"""All routes, by subject."""

from gateways.http.routes import appending, health, questions, records, timeline

ROUTES = (*appending.ROUTES, *records.ROUTES, *timeline.ROUTES, *questions.ROUTES, *health.ROUTES)

__all__ = ["ROUTES"]
