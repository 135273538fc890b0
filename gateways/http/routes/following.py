"""Following: records as they are appended, by server-sent events, resumed exactly where a client stopped."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Annotated, TypeAlias

from litestar import get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from litestar.response.base import ASGIResponse
from typing_extensions import override

from eventstore.errors import shown
from eventstore.remote.wire import malformed
from gateways.http.access import Scope
from gateways.http.answering import RequestRefused
from gateways.http.live.filters import filter_for
from gateways.http.live.follower import EventFollower
from gateways.http.live.frames import MEDIA_TYPE
from gateways.http.live.hub import Hub
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import After, Calling, FromQuery, Live, Serving

if TYPE_CHECKING:
    from litestar.types import Receive, Send
    from litestar.types import Scope as ASGIScope

    from gateways.http.access import Caller
    from gateways.http.live.filters import RecordFilter
    from gateways.http.service import Service

_STREAM = ResponseSpec(
    str,
    description=(
        "Events: `log` first (`log_id`: another one than before means another log), `record` with a record as its "
        "data and its log position as its id, `position` where a filter leaves records out, and `closed` with a "
        "problem document before the service ends the stream. Comments show that it lives."
    ),
    media_type=MEDIA_TYPE,
    generate_examples=False,
)
_LAST_EVENT_ID = "/Last-Event-ID"
_POSITION = re.compile(r"[0-9]{1,18}")
LastEventId = Annotated[
    str | None,
    HeaderParameter(name="Last-Event-ID", description="The log position to resume from; it wins over `after`."),
]


class Followed(ASGIResponse):
    """The answer that has no end: events, as they come."""

    def __init__(self, hub: Hub, caller: Caller, wanted: RecordFilter, after: int) -> None:
        super().__init__(media_type=MEDIA_TYPE)
        self._hub, self._caller, self._wanted, self._after = hub, caller, wanted, after

    @override
    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        follower = EventFollower(self._hub, scope, self._caller, self._wanted, self._after)  # type: ignore[arg-type]
        await follower.run(receive, send)  # type: ignore[arg-type]


LogId: TypeAlias = Annotated[
    uuid.UUID | None, QueryParameter(description="The id of the log that is meant: another one is refused.")
]


@get(
    "/v1/follow",
    opt={"scope": Scope.READ, "shared": True},
    media_type=MEDIA_TYPE,
    responses={**responses(409), 200: _STREAM},
    tags=["live"],
)
async def follow(
    service: Serving,
    hub: Live,
    caller: Calling,
    after: After = 0,
    stream: FromQuery[str | None] = None,
    account: FromQuery[list[str] | None] = None,
    category: FromQuery[list[str] | None] = None,
    types: FromQuery[list[str] | None] = None,
    log_id: LogId = None,
    last_event_id: LastEventId = None,
) -> Followed:
    """Follow the log by server-sent events: what lies past a position, then each new record within milliseconds.

    A browser's EventSource resumes by itself: the id of each event is its log position. A client that takes nothing
    for long is cut off with a reason, and resumes from its last id.
    """
    if last_event_id is not None:
        after = _position(last_event_id)
    wanted = filter_for(caller, stream=stream, accounts=account, categories=category, types=types)
    await _check_log(service, after, log_id)
    return Followed(hub, caller, wanted, after)


def _position(text: str) -> int:
    if not _POSITION.fullmatch(text):
        what = f"{shown(text)} is not a log position: send the id of the last event"
        raise malformed(_LAST_EVENT_ID, what)
    return int(text)


async def _check_log(service: Service, after: int, log_id: uuid.UUID | None) -> None:
    """Raise RequestRefused for a client that followed another log than this one."""
    own, chain = uuid.UUID(bytes=service.store.log_id), service.store.sync_store.chain
    # Of a log that this one continues the positions are the same, up to its end.
    ends = {} if chain is None or log_id is None else chain.ends()
    if log_id not in {None, own} and after > ends.get(log_id.bytes, -1):
        detail = f"this is log {own}, and the position {after} is of log {log_id}"
        raise RequestRefused(
            409, "OtherLog", detail, "Read this log from its beginning, or find the other one.", log_id=str(own)
        )
    head = await service.store.head()
    if after > head:
        detail = f"position {after} is past the log's head, {head}: it is of another log, or its tail is lost"
        next_ = "Do not resume by this position: compare `log_id`, and read again from one that both have."
        raise RequestRefused(409, "PositionAhead", detail, next_, expected=after, found=head, log_id=str(own))


ROUTES = (follow,)
