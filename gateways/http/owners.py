"""Asking the owner of an account: the service of another member of the group, within a second, with the caller's key.

The key is sent only over a connection whose other end has said, without it, that it is this member with this log.
"""

from __future__ import annotations

import contextlib
import http.client
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from eventstore import InvalidEvent
from eventstore.remote.identity import LOG_ID_HEADER
from eventstore.remote.problems import MEDIA_TYPE
from eventstore.remote.transport import checked_url
from gateways.alerting.sending import connected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventstore.side import SeenMember

OWNER_SECONDS = 1.0
"""For so long an owner is asked, all in all."""
ANSWER_BYTES_MAX = 32_000_000
ANSWERED_BY, ANSWERED_FROM, FORWARDED_BY = (
    "eventstore-answered-by",
    "eventstore-answered-from",
    "eventstore-forwarded-by",
)
OWNER, CUT = "owner", "cut"
"""What an answer is from: the live book of the account's owner, or the newest cut and the records after it."""
LIVE = "/health/live"
_REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class OwnerAnswer(NamedTuple):
    """What a member answered that was asked as an owner; `source`: what it says that its answer is from."""

    status: int
    body: bytes
    media_type: str
    source: str

    @property
    def is_final(self) -> bool:
        """Whether it is the owner's own, or says that this key may not ask; all else is answered from a cut."""
        if self.status in _REFUSALS:
            return self.media_type == MEDIA_TYPE
        return (self.status, self.media_type, self.source) == (HTTPStatus.OK, "application/json", OWNER)


def ask_owner(
    owner: SeenMember, target: str, log_id: str, headers: Mapping[str, str], seconds: float = OWNER_SECONDS
) -> OwnerAnswer | None:
    """Return what an owner answers to a GET with these headers; None where it cannot be reached, or is another one.

    No redirect is followed, and no proxy of the environment is used.
    """
    with contextlib.suppress(InvalidEvent, OSError, http.client.HTTPException, ValueError):
        url = urlsplit(checked_url(owner.url))
        with connected(url.scheme, url.hostname or "", url.port, seconds) as connection:
            marks = {LOG_ID_HEADER: log_id, ANSWERED_BY: owner.id}
            found = _get(connection, url.path + LIVE, {LOG_ID_HEADER: log_id}, marks)
            if found is None or found.status != HTTPStatus.OK:
                return None
            # Never on another connection: it could lead to somebody else.
            connection.auto_open = 0
            return _get(connection, url.path + target, {**headers, LOG_ID_HEADER: log_id}, marks)
    return None


def _get(
    connection: http.client.HTTPConnection, target: str, headers: Mapping[str, str], marks: Mapping[str, str]
) -> OwnerAnswer | None:
    """Return an answer, None for one without the headers that mark it as the member's, or that is too long."""
    connection.request("GET", target, headers=dict(headers))
    response = connection.getresponse()
    body = response.read(ANSWER_BYTES_MAX + 1)
    if len(body) > ANSWER_BYTES_MAX or any(response.getheader(name) != value for name, value in marks.items()):
        return None
    media_type = response.getheader("content-type", "").partition(";")[0].strip()
    return OwnerAnswer(response.status, body, media_type, response.getheader(ANSWERED_FROM, ""))
