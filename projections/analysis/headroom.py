"""How far an account was from each of its limits over time, as a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.analysis.columns import Column, Kind
from projections.analysis.questions import ACCOUNT, AT, STATUS, WHY, question
from projections.analysis.sources import OCCURRED
from projections.valuation import Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from eventstore.clock import Times
    from projections.analysis.columns import Exact
    from projections.analysis.every import At, Every
    from projections.analysis.frame import Frame
    from projections.analysis.sources import Source
    from projections.book import Book
    from projections.sessions import Calendar

UNKNOWN = Status.UNKNOWN
HEADROOM = (
    AT,
    ACCOUNT,
    Column("rule_id", Kind.TEXT),
    Column("kind", Kind.TEXT),
    Column("figure", Kind.DECIMAL),
    Column("limit", Kind.DECIMAL),
    Column("left", Kind.DECIMAL),
    Column("share", Kind.DECIMAL),
    STATUS,
    WHY,
)


def headroom(
    store: Source,
    account: str | None = None,
    *,
    every: Every | None = None,
    at: At | None = None,
    prices: object = None,
    stale_after: timedelta | int | None = None,
    start: Times | None = None,
    stop: Times | None = None,
    time: str = OCCURRED,
    calendar: Calendar | None = None,
    exact: Exact = False,
    progress: bool | None = None,
) -> Frame:
    """Return how one account, or each, stood to its limits at past instants: a row for each limit in force.

    As `book.limits.headroom` answers at each instant, with the settings that were in force. The arguments are those of
    `equity`, and so is the default: each trading day's end. `figure`, `limit` and `left` are in the limit's own unit,
    `share` is `left` as a part of the limit; they are null where nothing is compared, or where an input is missing:
    then `status` is UNKNOWN, and `why` says what. Limits of the account's groups are among them.
    """
    asked = question(
        store, account=account, at=at, every="day" if at is None and every is None else every, start=start, stop=stop,
        time=time, calendar=calendar, prices=prices, stale_after=stale_after, exact=exact, progress=progress,
        members=True,
    )  # fmt: skip
    return asked.frame(HEADROOM, lambda: rows_of, "rows of headroom")


def rows_of(book: Book, account: str, at: int) -> Iterator[tuple[Any, ...]]:
    """Yield the limits of an account in a book at an instant, a value for each column past `at` and `account`."""
    for each in book.limits.headroom(account, at):
        # With an input missing, a figure is that of the rest.
        figure, left, share = (each.figure, each.left, each.share) if each.status is not UNKNOWN else (None, None, None)
        yield (each.rule_id, each.kind, figure, each.limit, left, share, each.status, each.why)
