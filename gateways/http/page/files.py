"""Serving the page's files: only those that are in this folder, by name, each with a tag of its content."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath
from litestar.response.redirect import Redirect

from gateways.http.answering import NotFound

FOLDER = Path(__file__).resolve().parent
PREFIX = "/app"
"""Below it is the page: without a key, as it holds no figures. It asks for them with the key that it is given."""
VIEWS = ("now", "timeline", "as-of", "health")
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
NOT_MODIFIED = 304


@get("/", opt={"scope": None}, include_in_schema=False)
async def front() -> Redirect:
    """Lead to the page."""
    return Redirect(f"{PREFIX}/now")


@get([PREFIX, f"{PREFIX}/{{view:str}}"], opt={"scope": None}, include_in_schema=False)
async def page(request: Request[Any, Any, Any], view: FromPath[str] = "now") -> Response[bytes]:
    """Return the page; its address says which view it begins with."""
    if view not in VIEWS:
        msg = f"the page has no view {view!r}: {', '.join(VIEWS)}"
        raise NotFound(msg)
    return _answer(request, "index.html")


@get(f"{PREFIX}/files/{{name:path}}", opt={"scope": None}, include_in_schema=False)
async def file(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """Return one of the page's files."""
    return _answer(request, name.lstrip("/"))


def _answer(request: Request[Any, Any, Any], name: str) -> Response[bytes]:
    found = contents().get(name)
    if found is None:
        msg = f"the page has no file {name!r}"
        raise NotFound(msg)
    content, media_type, tag = found
    headers = {
        # Asked for again each time and mostly answered with 304: a page never mixes files of two versions.
        "cache-control": "no-cache",
        "content-security-policy": POLICY,
        "etag": tag,
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(b"", status_code=NOT_MODIFIED, headers=headers, media_type=media_type)
    return Response(content, headers=headers, media_type=media_type)


@functools.cache
def contents() -> dict[str, tuple[bytes, str, str]]:
    """Return the files by their names, each with its media type and tag; nothing outside of the folder is reachable."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in MEDIA_TYPES:
            content = path.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[path.relative_to(FOLDER).as_posix()] = (content, MEDIA_TYPES[path.suffix], tag)
    return found


PAGE_ROUTES = (front, page, file)
