"""The page for people: static files, served by the same process. No build step, no network, nothing inline."""

from gateways.http.page.files import PAGE_ROUTES

__all__ = ["PAGE_ROUTES"]
