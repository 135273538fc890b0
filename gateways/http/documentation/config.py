"""Where the documentation is served, and by what: `/docs`, and `/docs/openapi.json` for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, Router, get
from litestar.enums import OpenAPIMediaType
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from typing_extensions import override

from eventstore.extras import version
from gateways.http.documentation.described import described
from gateways.http.documentation.page import page_of

PATH = "/docs"
STYLE = Path(__file__).with_name("docs.css")
_TITLE = "Trading event store"
_ABOUT = (
    "A log of trading events, served: append facts, read records, ask what holds and what held, check and submit "
    "orders, follow, audit and prove. Figures are decimal numbers as text; times are ISO 8601 with nine digits. Errors "
    "are problem documents (RFC 9457) that say what to do next."
)


def openapi_config() -> OpenAPIConfig:
    """Return how the routes are documented: anybody may read it, for it says nothing of the log."""
    document = _Document()
    return OpenAPIConfig(
        title=_TITLE,
        version=version(),
        description=_ABOUT,
        components=Components(
            security_schemes={"key": SecurityScheme(type="http", scheme="bearer", description="An API key.")}
        ),
        security=[{"key": []}],
        use_handler_docstrings=True,
        render_plugins=[_Page(document), _Json(document)],
        openapi_router=Router(PATH, route_handlers=[style], include_in_schema=False, opt={"scope": None}),
    )


class _Document:
    """The document and the page, each made when it is first asked for."""

    def __init__(self) -> None:
        self._made: tuple[bytes, bytes] | None = None

    def made(self, app: Litestar, schema: dict[str, Any]) -> tuple[bytes, bytes]:
        if self._made is None:
            document = described(schema, app)
            self._made = msgspec.json.encode(document), page_of(document).encode()
        return self._made


class _Page(OpenAPIRenderPlugin):
    def __init__(self, document: _Document) -> None:
        super().__init__(path="/")
        self._document = document

    @override
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return self._document.made(request.app, openapi_schema)[1]


class _Json(OpenAPIRenderPlugin):
    def __init__(self, document: _Document) -> None:
        super().__init__(path="/openapi.json", media_type=OpenAPIMediaType.OPENAPI_JSON)
        self._document = document

    @override
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return self._document.made(request.app, openapi_schema)[0]


@get("/docs.css", include_in_schema=False, sync_to_thread=False)
def style() -> Response[bytes]:
    """Return the page's style."""
    return Response(STYLE.read_bytes(), media_type="text/css; charset=utf-8")
