"""Reading a request's body: once, by msgspec, into the class that its route names, so that figures stay as sent."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import ClientException
from typing_extensions import override

from eventstore import InvalidEvent
from eventstore.remote.wire import malformed, pointer

NO_BODY = "the request has no body: send a JSON object, as /docs describes it"


class BodyRequest(Request[Any, Any, Any]):
    """A request whose JSON body is decoded as what the route's `data` is declared as.

    Litestar would decode it into Python's values first, and a number like 0.1 into a float.
    """

    @override
    async def json(self) -> Any:
        field = self.route_handler.parsed_data_field
        assert field is not None, "asked of routes that declare `data` alone"
        return decoded(await self.body(), field.annotation)


def decoded(body: bytes, cls: Any) -> Any:  # noqa: ANN401 - any class of a body
    """Return what a body holds; raise InvalidEvent for none, or with the path of what is malformed.

    Raises ClientException for what is not JSON.
    """
    if not body:
        raise InvalidEvent(NO_BODY)
    try:
        return _decoder(cls).decode(body)
    except msgspec.ValidationError as e:
        what, _, where = str(e).partition(" - at `$")
        raise malformed(pointer(where.rstrip("`")), what) from e
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        msg = f"the body is not JSON: {e}"
        raise ClientException(msg) from e


@functools.cache
def _decoder(cls: Any) -> msgspec.json.Decoder[Any]:  # noqa: ANN401 - any class of a body
    return msgspec.json.Decoder(cls)
