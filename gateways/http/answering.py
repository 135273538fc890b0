"""Every error as a problem document (RFC 9457), with the request's id; what is not foreseen is logged, not shown."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException, ValidationException

from eventstore import StoreError
from eventstore.remote.problems import MEDIA_TYPE, RETRY_AFTER, TYPE_PREFIX, problem_of
from gateways.http.access import NotAllowed, NotAuthenticated
from gateways.http.bodies import NO_BODY
from gateways.http.rates import TooManyRequests
from projections import PartitionParked

if TYPE_CHECKING:
    from litestar import Request

logger = logging.getLogger("eventstore.http")
_WAIT = frozenset({429, 503})
_MISSING = re.compile(r"Missing required \w+ parameter '([^']+)'")


class NotFound(Exception):
    """There is nothing under this name."""


class RequestRefused(Exception):
    """A request is understood and refused, with a status and members of its own."""

    def __init__(self, status: int, title: str, detail: str, next: str, **members: Any) -> None:  # noqa: ANN401
        self.status, self.title, self.next, self.members = status, title, next, members
        super().__init__(detail)


_PLAIN: dict[type[Exception], tuple[int, str]] = {
    NotAuthenticated: (401, "Send `Authorization: Bearer KEY` with a valid key."),
    NotAllowed: (403, "Use a key that has the scope and the account."),
    NotFound: (404, "Look up the name, and ask again."),
    TooManyRequests: (429, "Send it again after `Retry-After` seconds."),
}
"""The status of errors that say everything by their message, and what to do next."""


def problem(
    request_id: str,
    status: int,
    title: str,
    detail: str,
    next: str = "",
    **members: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Return a problem document of an error that is none of the store's."""
    found = {"type": f"{TYPE_PREFIX}{title}", "title": title, "status": status, "detail": detail}
    return found | ({"next": next} if next else {}) | members | {"instance": f"urn:uuid:{request_id}"}


def response_of(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Return the answer to a request that raised an error."""
    document = document_of(error, request_id_of(request.scope))
    headers = {"retry-after": str(retry_after(error))} if document["status"] in _WAIT else {}
    if document["status"] == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return Response(
        msgspec.json.encode(document), status_code=document["status"], media_type=MEDIA_TYPE, headers=headers
    )


def retry_after(error: Exception) -> int:
    """Return after how many seconds to try again."""
    return max(RETRY_AFTER, int(getattr(error, "retry_after", 0.0) or 0))


def document_of(error: Exception, request_id: str) -> dict[str, Any]:
    """Return the problem document of any error."""
    match error:
        case StoreError():
            return _of_store(error, request_id)
        case RequestRefused():
            return problem(request_id, error.status, error.title, str(error), error.next, **error.members)
        case NotAuthenticated() | NotAllowed() | TooManyRequests() | NotFound():
            status, next_ = _PLAIN[type(error)]
            return problem(request_id, status, type(error).__name__, str(error), next_)
        case ValidationException():
            return _malformed(error, request_id)
        case HTTPException():
            title = HTTPStatus(error.status_code).phrase.replace(" ", "")
            return problem(request_id, error.status_code, title, error.detail)
        case _:
            logger.error("request %s failed", request_id, exc_info=error)
            return problem(
                request_id, 500, "InternalError", "The service failed: its log has the error under this request's id."
            )


def _of_store(error: StoreError, request_id: str) -> dict[str, Any]:
    """Return the document of an error of the store, or of a view that has failed: that is nobody's mistake."""
    if not isinstance(error, PartitionParked):
        return problem_of(error, f"urn:uuid:{request_id}")
    return problem(
        request_id,
        503,
        "PartitionParked",
        str(error),
        "What this view says of the account is not known: have the partition folded again, then ask again.",
        view=error.view,
        partition=error.partition,
        position=error.position,
    )


_MISSING_BODY = ("data", repr("data"))
"""What Litestar says of a request without a body: the name under which its routes take one."""


def _malformed(error: ValidationException, request_id: str) -> dict[str, Any]:
    """Return the document of a parameter or a body that Litestar could not read: 422 with the path of the member."""
    extra = error.extra if isinstance(error.extra, list) else []
    found = [each for each in extra if isinstance(each, dict)]
    first = found[0] if found else {}
    where = first.get("key", "")
    detail = first.get("message") or error.detail
    missing = _MISSING.match(detail)
    if missing is not None:
        # Litestar's own words have the whole URL.
        where, detail = missing[1], f"the parameter {missing[1]!r} is missing"
    if (where, detail) == _MISSING_BODY:
        where, detail = "", NO_BODY
    path = "/" + str(where).replace(".", "/") if where else ""
    return problem(
        request_id,
        422,
        "InvalidEvent",
        str(detail),
        "Correct the member that `path` names.",
        **({"path": path} if path else {}),
    )


def request_id_of(scope: Any) -> str:  # noqa: ANN401 - ASGI's
    """Return the id that the gate gave a request."""
    found: str = scope.get("state", {}).get("request_id", "")
    return found
