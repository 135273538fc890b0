"""The name of an account in a request: what cannot be one is refused."""

from __future__ import annotations

from eventstore import InvalidEvent
from eventstore.remote.wire import malformed
from eventstore.streams import check_name
from projections.view import GROUP, SHARED

_PATH = "/account"


def named(account: str) -> str:
    """Return the name of an account; raise InvalidEvent for one that cannot be one."""
    if account == SHARED or account.startswith(GROUP):
        raise malformed(_PATH, f"{account!r} is not an account: it stands for records without one, or for a group")
    try:
        return check_name("account", account)
    except InvalidEvent as e:
        raise malformed(_PATH, str(e)) from e
