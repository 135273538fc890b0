"""Feeds: when each of them last showed that it works, which keeps its unchanged quotes fresh."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from projections.views.quotes.state import QuotesState
    from projections.views.quotes.values import Value

FEEDS_MAX = 10_000


def note_alive(state: QuotesState, source: str, at: int, now: int) -> None:
    """Note that a feed works, at its own time, but never later than that was received.

    A time noted before that lies in the future is from a clock that has been set back since.
    """
    feeds = state.feeds
    at = min(at, now)
    known = feeds.get(source)
    if known is None and len(feeds) >= FEEDS_MAX:
        del feeds[min(feeds, key=feeds.__getitem__)]
    if known is None or at > known or known > now:
        feeds[source] = at


def good_at(feeds: dict[str, int], value: Value, at: int) -> int:
    """Return the newest instant, as of another one, at which a value was still what its feed says."""
    known = value.at
    if value.source is None or known > at:
        return known
    return max(known, min(feeds.get(value.source, known), at))
