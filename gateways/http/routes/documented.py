"""What every route documents: the answers that it may give beside its own."""

from __future__ import annotations

import msgspec
from litestar.openapi.datastructures import ResponseSpec

from eventstore.remote.problems import MEDIA_TYPE


class ProblemDocument(msgspec.Struct, kw_only=True):
    """A problem document (RFC 9457). Beside these members stands the data of the error, as its class names it."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    next: str | None = None
    """What to do next."""
    path: str | None = None
    """The malformed member, as a JSON Pointer (RFC 6901)."""


_MEANING = {
    400: "The request is malformed as HTTP or JSON.",
    401: "No key, or one that is not valid.",
    403: "The key has not the scope or the account, or a page of another origin asks.",
    404: "Nothing of this name.",
    405: "The route has not this method.",
    408: "The body did not arrive in time.",
    409: "What was expected does not hold: `expected` and `found`, or `record`, say what does.",
    413: "The body, the batch or an event is too large.",
    414: "The query is too long.",
    415: "The body is not JSON, or it is encoded.",
    421: "The service has not the name that the request is addressed to, or another log than the one it names.",
    422: "A member or a parameter is malformed: `path` names it.",
    423: "A lockout forbids it: `lockouts` says which, until when and why.",
    429: "Too many requests of this key: `Retry-After`.",
    503: "The service cannot answer now: `Retry-After`.",
    504: "InfluxDB has not confirmed in time what is on the service's disk: it will be shipped.",
    507: "The disk is full: nothing was written.",
}
ALWAYS = (400, 401, 403, 408, 413, 414, 415, 421, 422, 429, 503)


def responses(*statuses: int) -> dict[int, ResponseSpec]:
    """Return the documentation of problems that a route may answer with, those that any may included."""
    return {
        status: ResponseSpec(
            ProblemDocument, description=_MEANING[status], media_type=MEDIA_TYPE, generate_examples=False
        )
        for status in sorted({*ALWAYS, *statuses})
    }
