"""The routes as an OpenAPI document and as a page for people, served without any other host."""

from gateways.http.documentation.config import openapi_config

__all__ = ["openapi_config"]
