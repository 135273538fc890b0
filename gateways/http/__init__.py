"""The service: one process serves a log to other machines over HTTP, and shows it to people."""

from gateways.http.application import create_app
from gateways.http.service import Service, open_service
from gateways.http.settings import ServiceSettings

__all__ = ["Service", "ServiceSettings", "create_app", "open_service"]
