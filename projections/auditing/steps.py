"""A stream or an account step by step: each record with what it changed, and the view that failed on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore import InvalidEvent
from eventstore.arguments import position_of
from projections.auditing.effects import effects
from projections.auditing.selection import folded_for
from projections.auditing.timeline import entry_of
from projections.view import views_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from eventstore import EventReader
    from projections.auditing.timeline import Entry
    from projections.view import View


def steps(
    store: EventReader,
    *,
    stream: str | None = None,
    account: str | None = None,
    after: int = 0,
    until: int | None = None,
    views: Sequence[View[Any]] | None = None,
    zone: tzinfo | None = None,
) -> Iterator[Entry]:
    """Yield each record of a stream or an account past `after`, one at a time, with what it changed.

    Before and after are in the entry's `changes`. A view that fails on a record does not end it: `error` says which
    failed and why, there and with each later record that it would have folded. `stream` is a name, or a prefix with a
    trailing slash; `views` are folded beside the built-in ones, each with its own state among the changes.
    """
    if (stream is None) is (account is None):
        msg = "give a stream or an account, not both: steps goes through the records of one"
        raise InvalidEvent(msg)
    own = views_of(views)
    first = position_of("after", after)
    # A prefix such as order/ is of all accounts.
    named = account if stream is None else stream.split("/")[1] if stream.count("/") > 1 else None
    records = store.read(after=first, until=until, stream=stream, account=account)
    return (entry_of(effect, zone) for effect in effects(store, records, accounts=folded_for(named or None), views=own))
